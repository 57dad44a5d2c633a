"""Sweeps: one document, many strategies. Counted before any is made, each different one once, in a fixed order.

A list of values, or "range(start, stop, step)", in the place of a parameter, a threshold, a filter or an exit makes one
strategy for each; several such lists in one strategy make every combination, the last one written varying fastest;
`params: [{...}, {...}]` makes one for each set. The items of `strategies` at the top are swept independently. There "*"
stands for every rule, "bands.*" for those of a category, {rule: "*"} for one, with samples of their parameters' ranges.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, product
from typing import Any

from ...io.errors import LimitError, UsageError
from .documents import entries
from .forms import Strategy
from .grammar import LISTS, mapping_of, member_place, parse_strategy, split_body, split_list, strategy_key
from .registry import OutOfOrder

MOST = 100_000  # strategies of one document
MOST_VALUES = 1_000_000  # of one range

_SWEPT = ("threshold", "weight_threshold", "filter")
_RANGE = re.compile(r"\s*range\s*\(([^()]*)\)\s*")
_NUMBER = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")


@dataclass(frozen=True)
class Expansion:
    """The different strategies of a document, in order; how many combinations were ``skipped`` since of two parameters
    that must ascend they do not, and how many were ``duplicates`` of an earlier one."""

    strategies: tuple[Strategy, ...]
    skipped: int = 0
    duplicates: int = 0

    def ids(self) -> Iterator[str]:
        """Yield the id of each strategy: strategy_0, strategy_1 and so on."""
        return (f"strategy_{i}" for i in range(len(self.strategies)))


@dataclass(frozen=True)
class _Plan:
    """The variants of a part of a document: how many there are, and how to make them, again and again."""

    count: int
    each: Callable[[], Iterator[Any]]


def parse_strategies(document: Any, place: str = "strategies", max_strategies: int = MOST) -> Expansion:
    """Return every strategy that a document says: an item, a list of items (a level), or {strategies: [items]}.

    Raises UsageError naming ``place``, LimitError where it says more than ``max_strategies``.
    """
    found = entries(document, place)
    plans = [_plan(entry.item, entry.place) for entry in found]
    total = sum(plan.count for plan in plans)
    if total > max_strategies:
        raise LimitError(
            f"{place} makes {total:,} strategies, the limit is {max_strategies:,}; sweep less or raise --max-strategies"
        )
    made: dict[tuple[str, str], Strategy] = {}
    skipped = duplicates = 0
    for entry, plan in zip(found, plans, strict=True):
        for variant in plan.each():
            try:
                strategy = parse_strategy(variant, entry.place)
            except OutOfOrder:
                if plan.count == 1 and not entry.sampled:
                    raise
                skipped += 1
                continue
            key = strategy.strategy_hash, strategy.risk_hash
            duplicates += key in made
            made.setdefault(key, strategy)
    if not made:
        raise UsageError(f"{place}: nothing is left of {total:,} strategies; in each a parameter is not below another")
    return Expansion(tuple(made.values()), skipped, duplicates)


def _plan(value: Any, place: str, depth: int = 1) -> _Plan:
    """Return the variants of an item."""
    item = mapping_of(value, place, depth)
    name = strategy_key(item, place)
    rest = {key: each for key, each in item.items() if key != name}
    if name in LISTS:
        items, settings = split_list(item[name], rest, place)
        members = [_plan(each, member_place(place, i), depth + 1) for i, each in enumerate(items)]
        body = _all(members, list)
    else:
        given, settings = split_body(name, item[name], rest, place)
        body = _parameters(given, f"{place}: {name}")
    keys = (name, *settings)
    return _all(
        [body, *(_setting(key, each, place) for key, each in settings.items())], lambda parts: _item(keys, parts)
    )


def _item(keys: Sequence[str], parts: Sequence[Any]) -> dict[str, Any]:
    """Return an item with parameters in a ``params`` of their own: none of them is taken for a setting."""
    made = dict(zip(keys, parts, strict=True))
    return made if keys[0] in LISTS else made | {keys[0]: {"params": parts[0]}}


def _parameters(given: Any, place: str) -> _Plan:
    """Return the variants of the parameters of a rule."""
    if isinstance(given, list | tuple):
        if not given:
            raise UsageError(f"{place}: params is an empty list; it must have at least one set of parameters")
        return _any([_parameters(each, place) for each in given])
    if not isinstance(given, Mapping):
        raise UsageError(f"{place}: params is {given!r:.60}; it must be a mapping of parameters, or a list of such")
    keys = tuple(given)
    plans = [_values(each, f"{place}: {key}") for key, each in given.items()]
    return _all(plans, lambda parts: dict(zip(keys, parts, strict=True)))


def _setting(key: str, value: Any, place: str) -> _Plan:
    if key == "risk" and isinstance(value, Mapping):
        keys, plans = tuple(value), [_values(each, f"{place}: risk: {name}") for name, each in value.items()]
        return _all(plans, lambda parts: dict(zip(keys, parts, strict=True)))
    if key == "threshold" and isinstance(value, Mapping):
        keys, plans = tuple(value), [_values(each, f"{place}: threshold: {name}") for name, each in value.items()]
        return _all(plans, lambda parts: dict(zip(keys, parts, strict=True)))
    return _values(value, f"{place}: {key}") if key in _SWEPT else _one(value)


def _values(value: Any, place: str) -> _Plan:
    """Return the alternatives that a list, or a range, stands for; anything else is the only one."""
    values = list(chain.from_iterable(_range(each, place) for each in _listed(value, place)))
    return _Plan(len(values), lambda: iter(values))


def _listed(value: Any, place: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        return [value]
    if not value:
        raise UsageError(f"{place} is an empty list; it must have at least one value")
    if any(isinstance(each, list | tuple) for each in value):
        raise UsageError(f"{place} is a list of lists; it must be a list of values")
    return value


def _range(value: Any, place: str) -> Sequence[Any]:
    """Return the numbers of "range(start, stop, step)", both ends among them; whole where all three are so written."""
    match = _RANGE.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return [value]
    parts = [part.strip() for part in match[1].split(",")]
    if len(parts) not in (2, 3) or not all(map(_NUMBER.fullmatch, parts)):
        raise UsageError(f"{place} is '{value:.60}'; it must be range(start, stop, step), such as range(10, 50, 10)")
    start, stop, step = (*map(Decimal, parts), Decimal(1))[:3]
    if step <= 0 or stop < start:
        raise UsageError(f"{place} is '{value:.60}'; it must run upwards, by a step above 0")
    count = int((stop - start) / step) + 1
    if count > MOST_VALUES:
        raise LimitError(f"{place} is '{value:.60}', {count:,} values; the limit is {MOST_VALUES:,}")
    whole = all(re.fullmatch("-?[0-9]+", part) for part in parts)
    return [int(start + i * step) if whole else float(start + i * step) for i in range(count)]


def _one(value: Any) -> _Plan:
    return _Plan(1, lambda: iter((value,)))


def _any(plans: Sequence[_Plan]) -> _Plan:
    """Return the variants of one plan after those of another."""
    return _Plan(sum(plan.count for plan in plans), lambda: chain.from_iterable(plan.each() for plan in plans))


def _all(plans: Sequence[_Plan], make: Callable[[Sequence[Any]], Any]) -> _Plan:
    """Return what ``make`` makes of every combination of the variants of several plans, the last varying fastest."""
    count = math.prod(plan.count for plan in plans)
    return _Plan(count, lambda: map(make, product(*(plan.each() for plan in plans))))
