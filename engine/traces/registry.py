"""The registered strategies by name, and what was said of their parameters made whole."""

from collections.abc import Mapping
from itertools import chain
from numbers import Real
from types import MappingProxyType
from typing import Any

from ...io.config import nearest
from ...io.errors import UsageError
from . import bands, breakouts, crossovers, momentum, thresholds, trends
from .rule import Parameter, Rule, Value, Values

_ROOMS = (crossovers, bands, breakouts, thresholds, momentum, trends)

RULES: Mapping[str, Rule] = MappingProxyType({rule.name: rule for room in _ROOMS for rule in room.RULES})
CATEGORIES = tuple(dict.fromkeys(rule.category for rule in RULES.values()))
_BY_ALIAS = {alias: rule for rule in RULES.values() for alias in rule.aliases}


class OutOfOrder(UsageError):
    """A parameter that must be below another is not; a sweep goes on to the next combination."""


def rule_named(name: str) -> Rule:
    """Return the rule of that name or alias. Raises UsageError where there is none."""
    found = RULES.get(name) or _BY_ALIAS.get(name)
    if found is None:
        hint = nearest(name, chain(RULES, _BY_ALIAS)) or "; see highwater traces strategies"
        raise UsageError(f"unknown strategy '{name}'{hint}")
    return found


def complete(rule: Rule, given: Mapping[str, Any]) -> Values:
    """Return every parameter of the rule in the order it declares them: those given, by name or alias, else default.

    A whole float is an int where one is wanted. Raises UsageError for a parameter that the rule has not, or that is
    given twice, of another type or out of range, and where one that must be below another is not.
    """
    own = {word: each for each in rule.parameters for word in (each.name, *each.aliases)}
    found: dict[str, Value] = {}
    words: dict[str, str] = {}
    for word, value in given.items():
        if word not in own:
            has = ", ".join(each.name for each in rule.parameters)
            hint = nearest(word, own) or (f"; it has {has}" if has else "")
            raise UsageError(f"{rule.name} has no parameter '{word}'{hint}")
        each = own[word]
        if each.name in found:
            raise UsageError(f"{rule.name}: {each.name} is given twice, as {words[each.name]} and as {word}")
        found[each.name], words[each.name] = _value(rule, each, value), word
    whole = {each.name: found.get(each.name, each.default) for each in rule.parameters}
    for low, high in rule.ascending:
        if not whole[low] < whole[high]:
            raise OutOfOrder(f"{rule.name}: {low} is {whole[low]}; it must be below {high}, which is {whole[high]}")
    return whole


def samples(rule: Rule, n: int) -> Mapping[str, tuple[Value, ...]]:
    """Return ``n`` values of each parameter, from the lowest to the highest; of one that is true or false, both.

    Whole numbers are rounded and distinct, so there may be fewer of them; a single value is the default. Some
    combinations may be refused by ``complete``: those in which a pair that must ascend does not.
    """
    if n < 1:
        raise UsageError(f"{n} values of each parameter were asked for; it must be at least 1")
    return {each.name: _samples(each, n) for each in rule.parameters}


def _samples(each: Parameter, n: int) -> tuple[Value, ...]:
    if isinstance(each.default, bool):
        return False, True
    if n == 1:
        return (each.default,)
    spread = [each.low + (each.high - each.low) * i / (n - 1) for i in range(n)]
    if isinstance(each.default, int):
        return tuple(dict.fromkeys(round(value) for value in spread))
    return tuple(float(f"{value:.9g}") for value in spread)


def _value(rule: Rule, each: Parameter, value: Any) -> Value:
    """Return a given value in the parameter's own type."""
    kind: Any = type(each.default)
    if not _is_of(kind, value) or not each.low <= value <= each.high or (kind is int and int(value) != value):
        raise UsageError(f"{rule.name}: {each.name} is {repr(value)[:40]}; it must be {must_be(each)}")
    return kind(value)


def _is_of(kind: type, value: object) -> bool:
    """Return whether a value is one of a kind: true or false are no numbers."""
    return isinstance(value, bool) if kind is bool else isinstance(value, Real) and not isinstance(value, bool)


def must_be(each: Parameter) -> str:
    """Return in words what a parameter may be: "a whole number from 5 to 50"."""
    if isinstance(each.default, bool):
        return "true or false"
    kind = "a whole number" if isinstance(each.default, int) else "a number"
    return f"{kind} from {each.low:g} to {each.high:g}"
