"""A level of a strategy put together: its members weighed and in order, its settings parsed, nothing said twice."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...io.config import check_keys, nearest
from ...io.digest import canonical_json
from ...io.errors import UsageError
from .expressions import AMBIGUOUS, parse
from .forms import ANY, Combination, Form, Group, Member, item_of, only_rule
from .registry import RULES
from .risk import Risk
from .terms import Term, text

DEFAULT = Term("truth", "vote", 0.5)  # what a list without threshold asks of its vote
NO_VOTE = Term("truth", "vote", 0.0)
SETTINGS = ("threshold", "weight_threshold", "combination", "constraints", "filter", "on_reject")
COMBINATIONS = ("weighted", "average", "majority", "unanimous")
ON_REJECT = ("flat", "hold")


@dataclass(frozen=True)
class Item:
    """A member as its item says it: ``name`` as written, ``weight`` None where there is none."""

    name: str
    form: Form
    weight: float | None = None
    condition: Term | None = None
    risk: Risk | None = None


def level(items: Sequence[Item], settings: Mapping[str, Any], place: str) -> Form:
    """Return the form of a level: its only member where it says no more than that one."""
    combination = _choice(settings, "combination", COMBINATIONS, place)
    weights = _weights(items, combination, place)
    members = [Member(item.form, weight, item.condition) for item, weight in zip(items, weights, strict=True)]
    # A single vote, a majority and a unanimous vote are 1, 0 or -1: any least vote is met, or there is none.
    whole = len(items) == 1 or combination in ("majority", "unanimous")
    names = _names(items)
    long, short = _thresholds(settings, names, place, whole)
    group = Group(
        tuple(sorted(members, key=_place) if len(members) > 1 else members),
        _COMBINED[combination],
        long,
        short,
        _constraints(settings, names, place),
        "hold" if _choice(settings, "on_reject", ON_REJECT, place) == "hold" else "flat",
    )
    return _collapsed(group)


def _place(member: Member) -> bytes:
    return canonical_json(item_of(member, True))


_COMBINED: Mapping[str, Combination] = {
    "weighted": "weighted",
    "average": "weighted",
    "majority": "majority",
    "unanimous": "unanimous",
}


def _choice(settings: Mapping[str, Any], key: str, known: tuple[str, ...], place: str) -> str:
    value = settings.get(key, known[0])
    if value not in known:
        hint = nearest(value, known) if isinstance(value, str) else ""
        raise UsageError(f"{place}: {key} is {value!r:.60}; it must be one of {', '.join(known)}{hint}")
    return value


def _weights(items: Sequence[Item], combination: str, place: str) -> list[float]:
    """Return the weights, adding up to 1 but for rounding; equal where none is given."""
    given = [item.weight for item in items if item.weight is not None]
    if not given:
        return [1.0 / len(items)] * len(items)
    if combination != "weighted":
        raise UsageError(f"{place}: weights mean nothing where the combination is {combination}; leave them out")
    if len(given) < len(items):
        without = ", ".join(item.name for item in items if item.weight is None)
        raise UsageError(f"{place}: {without} has no weight and others have; give all of them one, or none")
    total = math.fsum(given)
    if not abs(total - 1.0) <= 1e-6:
        parts = " + ".join(f"{weight:.9g}" for weight in given) if len(given) < 9 else f"of {len(given)} members"
        raise UsageError(f"{place}: the weights {parts} are {total:.9g}; together they must be 1")
    # Weights that were divided once must not be again: what is read back is the same strategy.
    return given if abs(total - 1.0) <= 1e-12 else [weight / total for weight in given]


def _names(items: Sequence[Item]) -> dict[str, str]:
    """Return what a threshold may call the members by, each with the name of its rule."""
    found: dict[str, str] = {}
    for item in items:
        if rule := only_rule(item.form):
            for name in {item.name, rule, *RULES[rule].aliases}:
                found[name] = AMBIGUOUS if name in found else rule
    return found


def _thresholds(
    settings: Mapping[str, Any], names: Mapping[str, str], place: str, whole: bool
) -> tuple[Term | None, Term | None]:
    """Return what a vote above zero must meet, and one below."""
    if "threshold" in settings and "weight_threshold" in settings:
        raise UsageError(f"{place}: threshold and weight_threshold exclude each other; write one of them")
    key = "weight_threshold" if "weight_threshold" in settings else "threshold"
    value, where = settings.get(key), f"{place}: {key}"
    if key == "weight_threshold" and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise UsageError(f"{where} is {value!r:.60}; it must be a number from 0 to 1")
    if not isinstance(value, Mapping):
        found = DEFAULT if value is None else parse(value, where, names, least=True)
        return _least(found, whole), _least(found, whole)
    check_keys(value, ("long", "short"), where)
    if not any(each is not None for each in value.values()):
        raise UsageError(f"{where} says nothing; it must have long, short, or both")
    sides = {side: each for side, each in value.items() if each is not None}
    parsed = {side: parse(each, f"{where}: {side}", names, least=True) for side, each in sides.items()}
    return _least(parsed.get("long", DEFAULT), whole), _least(parsed.get("short", DEFAULT), whole)


def _least(term: Term, whole: bool) -> Term | None:
    """Return a threshold without a least vote that any vote meets; None where nothing is left of it."""
    if term == ANY:
        return None if whole else NO_VOTE
    if term.op == "vote" and whole:
        return None
    if term.op == "AND" and term.parts[0].op == "vote" and (whole or term.parts[0] == NO_VOTE):
        rest = term.parts[1:]
        return rest[0] if len(rest) == 1 else replace(term, parts=rest)
    return term


def _constraints(settings: Mapping[str, Any], names: Mapping[str, str], place: str) -> tuple[Term, ...]:
    """Return the parts of constraints and filter, all of which must hold, each once, in the order of their texts."""
    found: set[Term] = set()
    for key in ("constraints", "filter"):
        value = settings.get(key)
        for i, each in enumerate(value if isinstance(value, list | tuple) else [] if value is None else [value]):
            if isinstance(each, int | float) and not isinstance(each, bool):
                raise UsageError(f"{place}: {key} is {each}; a least vote stands in a threshold only")
            term = parse(each, f"{place}: {key}{f' {i + 1}' if isinstance(value, list | tuple) else ''}", names)
            found |= set(term.parts if term.op == "AND" else (term,))
    return tuple(sorted(found - {ANY}, key=text))


def _collapsed(group: Group) -> Form:
    """Return the level's only member where the level adds nothing to it, or nothing but constraints."""
    one = group.members[0]
    if len(group.members) > 1 or one.condition or group.long or group.short or group.on_reject != "flat":
        return replace(group, combination="weighted") if len(group.members) == 1 else group
    if not group.constraints:
        return one.form
    if isinstance(one.form, Group) and one.form.on_reject == "flat":
        both = {*one.form.constraints, *group.constraints}
        return replace(one.form, constraints=tuple(sorted(both, key=text)))
    return replace(group, combination="weighted")
