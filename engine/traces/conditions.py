"""What a condition says of every candle of a series: true, false, or not known yet.

Kleene's logic: a comparison with NaN is unknown, NOT of unknown is unknown, and only what is true lets a signal pass;
so neither a filter nor its opposite opens during a warm-up. A division by zero, a root of a negative number and what
exceeds the range of float64 are NaN.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...kernels.arrays import Floats
from ...kernels.signals import NONE, Signal
from ...kernels.votes import CLOSE_ENOUGH, sides
from .calls import timeframe_of
from .functions import FUNCTIONS, VARIABLES
from .terms import SIGNAL, Term, names_votes

if TYPE_CHECKING:
    from .features import Features, Key

FALSE, UNKNOWN, TRUE = -1, 0, 1
Truth = NDArray[np.int8]

_COMPARE: Mapping[str, tuple[Any, Any]] = MappingProxyType(
    {
        ">": (np.greater, np.less_equal),
        ">=": (np.greater_equal, np.less),
        "<": (np.less, np.greater_equal),
        "<=": (np.less_equal, np.greater),
    }
)


def _power(base: Any, exponent: Any) -> Any:
    from ...kernels.powers import powers

    base, exponent = np.broadcast_arrays(base, exponent)
    return powers(np.ascontiguousarray(base).ravel(), np.ascontiguousarray(exponent).ravel()).reshape(base.shape)


_CALCULATE: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "%": np.remainder, "**": _power}
)


@dataclass(frozen=True)
class Scope:
    """What a term may name: the features of a series; of a level its vote, float64[N] from -1 to 1, and its members'.

    The vote is NaN where there is none, those of members NONE. ``known`` and ``shared``: what was found, each distinct
    term once; the latter of the candles alone, so that several levels may share it.
    """

    features: "Features"
    vote: Floats = field(default_factory=lambda: np.empty(0))
    members: Mapping[str, Signal] = field(default_factory=dict)
    known: dict[Term, Any] = field(default_factory=dict)
    shared: dict[Term, Any] = field(default_factory=dict)


def holds(term: Term, scope: Scope) -> Truth:
    """Return TRUE, FALSE or UNKNOWN of each candle, int8[N]."""
    return np.broadcast_to(_value(term, scope), scope.features.bars.ts.shape)


def numbers(term: Term, features: "Features") -> Floats:
    """Return a number of the candles, float64[N]; NaN where it is unknown."""
    return np.broadcast_to(_value(term, Scope(features)), features.bars.ts.shape)


def key_of(term: Term) -> "Key":
    """Return the feature that a term of the candles is."""
    if term.op == "name":
        return VARIABLES[str(term.value)].key
    make = FUNCTIONS[str(term.value)].key if term.op == "call" else None
    if make is None:
        return ("term", term)
    takes = FUNCTIONS[str(term.value)].takes
    parts = zip(takes, term.parts[: len(takes)], strict=True)
    key = make(*(key_of(part) if kind == "series" else int(part.value) for kind, part in parts))
    frame = timeframe_of(term)
    return key if frame is None else ("framed", frame, key)


def _value(term: Term, scope: Scope) -> Any:
    known = scope.known if names_votes(term) else scope.shared
    if term not in known:
        with np.errstate(all="ignore"):
            known[term] = _compute(term, scope)
    return known[term]


def _compute(term: Term, scope: Scope) -> Any:
    """Return float64 of a number, int8 of a truth or the words of a text; [N] or a scalar."""
    op = term.op
    if op == "literal":
        return np.int8(TRUE if term.value else FALSE) if isinstance(term.value, bool) else np.float64(term.value)
    if term == SIGNAL:
        return np.where(np.isnan(scope.vote), np.nan, sides(scope.vote))
    if op in ("member", "fires"):
        votes = np.where((own := scope.members[str(term.value)]) == NONE, np.nan, own)
        return votes if op == "member" else _unequal(votes, 0.0)
    if op == "vote":
        return _compare(">=", np.abs(scope.vote) + CLOSE_ENOUGH, term.value)
    if op == "name" or (op == "call" and FUNCTIONS[str(term.value)].key):
        if term.kind == "number":
            return scope.features.series(key_of(term))
        found = scope.features[key_of(term)]
        return _compare(">", found, 0) if term.kind == "truth" else found
    parts = [_value(part, scope) for part in term.parts if not (part.kind == "text" and part.op == "literal")]
    return _combine(term, parts)


def _combine(term: Term, parts: list[Any]) -> Any:
    """Return what an operation makes of the values of its parts."""
    op = term.op
    if op == "call":
        return FUNCTIONS[str(term.value)].each(*parts)  # type: ignore[misc]
    if op == "NOT":
        return -parts[0]
    if op in ("AND", "OR"):
        found = parts[0]
        for part in parts[1:]:
            found = np.minimum(found, part) if op == "AND" else np.maximum(found, part)
        return found
    if op == "negative":
        return -parts[0]
    if op in _COMPARE:
        return _compare(op, *parts)
    if op in ("==", "!="):
        if term.parts[0].kind == "text":
            return _of_words(term, parts[0])
        differ = _unequal(*parts)
        return differ if op == "!=" else -differ
    found = _CALCULATE[op](*parts)
    if op == "/":
        found = np.where(np.equal(parts[1], 0.0), np.nan, found)
    return np.where(np.isfinite(found), found, np.nan)


def _compare(op: str, left: Any, right: Any) -> Any:
    true, false = _COMPARE[op]
    return _truth(true(left, right), false(left, right))


def _unequal(left: Any, right: Any) -> Any:
    return _truth(np.less(left, right) | np.greater(left, right), np.equal(left, right))


def _of_words(term: Term, codes: NDArray[Any]) -> Truth:
    """Return whether a text is, or is not, the word it is compared with."""
    called, word = term.parts
    place = FUNCTIONS[str(called.value)].words.index(str(word.value))
    same, other = codes == place, (codes >= 0) & (codes != place)
    return _truth(same, other) if term.op == "==" else _truth(other, same)


def _truth(true: Any, false: Any) -> Any:
    """Return TRUE, FALSE, or UNKNOWN where it is neither; int8."""
    return np.subtract(true, false, dtype=np.int8)
