"""The grammar of strategies: plain dicts and lists in, forms out; strict, so that no typo trades.

An item is a rule `{name: {parameters}}` or `{name: {params: {parameters}}}`, or a level `{strategy: [items]}`, with
settings beside it. A list is a level too; items at its end that hold nothing but settings are its settings.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ...io.config import check_keys, nearest
from ...io.errors import UsageError
from .expressions import parse
from .forms import Atom, Form, Strategy
from .levels import SETTINGS, Item, level
from .registry import RULES, complete, rule_named
from .risk import parse_risk
from .rule import Rule

DEEPEST = 10  # levels of a strategy
MOST = 1000  # members of a level
HEAVIEST = 1e9  # of a weight
ITEM = ("weight", "condition", "risk", *SETTINGS)

LISTS = ("strategy", "strategies")
RULE_NAMES = frozenset(name for rule in RULES.values() for name in (rule.name, *rule.aliases))
_CASES = "write members with a condition each"
_RUN = "it belongs to the run: a strategy is of one series"
_REFUSED = {
    **dict.fromkeys(("if_true", "if_false", "regime", "regimes", "cases", "conditions"), _CASES),
    **dict.fromkeys(("timeframe", "timeframes", "symbol", "symbols"), _RUN),
}


def parse_strategy(value: Any, place: str = "strategy") -> Strategy:
    """Return the strategy of an item or a list of items that sweeps nothing. Raises UsageError naming ``place``."""
    item = _item(value, place, 1)
    if item.weight not in (None, 1.0):
        raise UsageError(f"{place}: weight is {item.weight}; a strategy alone weighs 1")
    return Strategy(level([item], {}, place) if item.condition else item.form, item.risk)


def _item(value: Any, place: str, depth: int) -> Item:
    """Return what an item says."""
    value = mapping_of(value, place, depth)
    name = strategy_key(value, place)
    settings = {key: each for key, each in value.items() if key != name}
    if name in LISTS:
        form_of, body = _list, value[name]
    else:
        form_of, (body, settings) = _atom, split_body(name, value[name], settings, place)
    weight, condition = settings.pop("weight", None), settings.pop("condition", None)
    form, risk = form_of(name, body, settings, place, depth)
    return Item(
        name,
        form,
        None if weight is None else _weight(weight, place),
        None if condition is None else parse(condition, f"{place}: condition"),
        None if risk is None else parse_risk(risk, f"{place}: risk"),
    )


def mapping_of(value: Any, place: str, depth: int = 1) -> Mapping[str, Any]:
    """Return an item as a mapping: a list is a level, a text a rule by its name."""
    if depth > DEEPEST:
        raise UsageError(f"{place}: it nests deeper than {DEEPEST} levels, or holds itself")
    if isinstance(value, list | tuple):
        return {"strategy": value}
    if isinstance(value, str):
        return {value: {}}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise UsageError(f"{place} is {value!r:.60}; it must be a mapping such as {{sma_crossover: {{fast: 10}}}}")
    return value


def strategy_key(value: Mapping[str, Any], place: str) -> str:
    """Return the one key of an item that is no setting: the name of a rule, or that of a list."""
    others = [key for key in value if key not in ITEM]
    for key in others:
        if key in _REFUSED:
            raise UsageError(f"{place}: {key} is not supported; {_REFUSED[key]}")
    found = [key for key in others if key in LISTS or key in RULE_NAMES]
    unknown = [key for key in others if key not in found]
    if unknown and found:
        check_keys(value, (*found, *ITEM), place)
    if unknown:
        hint = nearest(unknown[0], ITEM)
        named(unknown[0], place) if not hint else check_keys(value, ITEM, place)
    if len(found) != 1:
        both = f"names {' and '.join(found)}; several strategies are a list" if found else "names no strategy"
        raise UsageError(f"{place}: it {both}")
    if found[0] == "strategies" and not {"combination", "weight_threshold"} & value.keys():
        raise UsageError(f"{place}: strategies is a sweep, which stands at the top; the list of a level is 'strategy'")
    return found[0]


def named(name: str, place: str) -> Rule:
    """Return the rule of that name or alias."""
    try:
        return rule_named(name)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from None


def split_body(name: str, body: Any, settings: Mapping[str, Any], place: str) -> tuple[Any, dict[str, Any]]:
    """Return the parameters of a rule's body, and the settings beside the rule and in the body."""
    rule, body = named(name, place), {} if body is None else body
    if not isinstance(body, Mapping):
        raise UsageError(f"{place}: {name} is {body!r:.60}; it must be a mapping of parameters, {{}} for the defaults")
    own = {word for each in rule.parameters for word in (each.name, *each.aliases)}
    inner = {key: each for key, each in body.items() if key in ITEM and key not in own}
    if twice := next((key for key in inner if key in settings), None):
        raise UsageError(f"{place}: {twice} is given twice, in {name} and beside it")
    given: Any = {key: each for key, each in body.items() if key not in inner}
    if "params" in given:
        check_keys(given, ("params", *ITEM), f"{place}: {name}")
        given = {} if given["params"] is None else given["params"]
    return given, {**settings, **inner}


def _atom(name: str, given: Any, settings: dict[str, Any], place: str, _: int) -> tuple[Form, Any]:
    """Return the form of a rule with its settings, and its exits as written."""
    if not isinstance(given, Mapping):
        raise UsageError(f"{place}: params of {name} is {given!r:.60}; it must be a mapping of its parameters")
    rule, risk = named(name, place), settings.pop("risk", None)
    try:
        values = complete(rule, {key: each for key, each in given.items() if each is not None})
    except UsageError as error:
        raise type(error)(f"{place}: {error}") from None
    atom, rest = Atom(rule.name, tuple(values.items())), _set(settings)
    return level([Item(name, atom)], rest, place) if rest else atom, risk


def _list(_: str, value: Any, settings: dict[str, Any], place: str, depth: int) -> tuple[Form, Any]:
    """Return the form of a list of items with its settings, and its exits as written."""
    items, more = split_list(value, settings, place)
    members = [_item(each, member_place(place, i), depth + 1) for i, each in enumerate(items)]
    for i, member in enumerate(members):
        if member.risk:
            own = member_place(place, i)
            raise UsageError(f"{own}: risk is of the whole strategy; a voting member holds no position of its own")
    risk = more.pop("risk", None)
    return level(members, _set(more), place), risk


def member_place(place: str, i: int) -> str:
    """Return the place of member ``i`` of the level at ``place``: "strategy, member 2.1"."""
    return f"{place}.{i + 1}" if ", member " in place else f"{place}, member {i + 1}"


def split_list(value: Any, settings: Mapping[str, Any], place: str) -> tuple[Sequence[Any], dict[str, Any]]:
    """Return the items of a list that are strategies, and the settings beside the list and at its end."""
    items = list(value) if isinstance(value, list | tuple) else [value]
    found = dict(settings)
    while items and _only_settings(items[-1]):
        for key, each in items.pop().items():
            if key in found:
                raise UsageError(f"{place}: {key} is given twice")
            found[key] = each
    if not items:
        raise UsageError(f"{place} is an empty list; it must have at least one strategy")
    if len(items) > MOST:
        raise UsageError(f"{place} has {len(items):,} members; it may have {MOST:,}")
    if any(map(_only_settings, items)):
        raise UsageError(f"{place}: the settings of a level stand behind all its members")
    return items, found


def _only_settings(item: Any) -> bool:
    return isinstance(item, Mapping) and bool(item) and all(key in ("risk", *SETTINGS) for key in item)


def _set(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in settings.items() if each is not None}


def _weight(value: Any, place: str) -> float:
    number = not isinstance(value, bool) and isinstance(value, int | float)
    if not number or not 0 < value <= HEAVIEST:
        raise UsageError(f"{place}: weight is {value!r:.60}; it must be a number above 0")
    return float(value)
