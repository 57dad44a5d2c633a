"""The top of a document of strategies: what it wraps, its items, and the wildcards among them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...io.config import MAX_DEPTH, check_keys, nearest
from ...io.errors import UsageError
from .grammar import LISTS, mapping_of, split_body, split_list, strategy_key
from .levels import SETTINGS
from .registry import CATEGORIES, RULES, rule_named, samples
from .rule import Rule

LABELS = ("name", "description", "strategy_id", "strategy_hash", "strategy_type")
WRAPS = ("config", "strategy_config")
GRANULARITY = 5  # values of each parameter that a wildcard tries
FINEST = 1000

_ABOVE = ("risk", *SETTINGS)  # beside a list of strategies: of each of them
_WILD = ("exclude", "granularity")


@dataclass(frozen=True)
class Entry:
    """An item of a document, to be swept by itself. ``sampled``: a wildcard made it."""

    item: Any
    place: str
    sampled: bool = False


def entries(document: Any, place: str) -> list[Entry]:
    """Return the items of a document. Raises UsageError naming ``place``.

    Labels (``LABELS``) change nothing, and a strategy may stand in ``config`` or ``strategy_config``, as a trace file
    has it.
    """
    _check_plain(document, place)
    document = _bare(document, place)
    if isinstance(document, Mapping) and "strategies" in document and not _votes(document):
        check_keys(document, ("strategies", *_WILD, *_ABOVE), place)
        above = {key: each for key, each in document.items() if key in _ABOVE and each is not None}
        wild = {key: each for key, each in document.items() if key in _WILD}
        items = document["strategies"]
        items = items if isinstance(items, list | tuple) else [items]
        found = [
            entry for i, item in enumerate(items) for entry in _entry(item, f"{place}, strategy {i + 1}", above, wild)
        ]
        if not found:
            raise UsageError(f"{place}: strategies is an empty list; it must have at least one strategy")
        return found
    return list(_entry(document, place, {}, {}))


def _check_plain(value: Any, place: str, depth: int = 1) -> None:
    """Raise UsageError for keys that are no text, and for what nests too deep or holds itself."""
    if depth > MAX_DEPTH:
        raise UsageError(f"{place}: it nests deeper than {MAX_DEPTH} levels, or holds itself")
    for key in value if isinstance(value, Mapping) else ():
        if not isinstance(key, str):
            raise UsageError(f"{place}: the key {key!r:.60} must be text")
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for each in inner:
        _check_plain(each, place, depth + 1)


def _bare(document: Any, place: str) -> Any:
    """Return the document without its labels, and out of its wrapping."""
    if not isinstance(document, Mapping):
        return document
    bare = {key: each for key, each in document.items() if key not in LABELS}
    wrap = next((key for key in WRAPS if key in bare), None)
    if wrap is None:
        return bare
    check_keys(bare, (wrap,), place)
    inner = bare[wrap]
    return {key: each for key, each in inner.items() if key not in LABELS} if isinstance(inner, Mapping) else inner


def _votes(document: Mapping[str, Any]) -> bool:
    return "combination" in document or "weight_threshold" in document


def _entry(item: Any, place: str, above: Mapping[str, Any], wild: Mapping[str, Any]) -> Iterator[Entry]:
    """Yield the entries of an item: one, or that of each rule a wildcard stands for."""
    asked = _wildcard(item)
    if asked is None:
        yield Entry(_under(item, above, place), place)
        return
    settings = {key: each for key, each in item.items() if each != "*"} if isinstance(item, Mapping) else {}
    check_keys(settings, (*_WILD, *_ABOVE), place)
    wild = {**wild, **settings}
    left_out = _excluded(wild.get("exclude", ()), place)
    own = {key: each for key, each in settings.items() if key in _ABOVE}
    rules = [rule for rule in _chosen(asked, place) if rule.name not in left_out]
    if not rules:
        raise UsageError(f"{place}: '{asked}' without those excluded leaves no strategy")
    for rule in rules:
        values = {name: list(each) for name, each in samples(rule, _granularity(wild, place)).items()}
        sampled = {rule.name: {"params": values}, **own}
        yield Entry(_under(sampled, above, place), f"{place}, {rule.name}", sampled=True)


def _wildcard(item: Any) -> str | None:
    """Return what a wildcard asks for: "*", a category or the name of a rule; None where the item is none."""
    if isinstance(item, str):
        return item if item == "*" else item.removesuffix(".*") if item.endswith(".*") else None
    if isinstance(item, Mapping):
        return next((str(key) for key, each in item.items() if each == "*" and key not in _WILD), None)
    return None


def _chosen(asked: str, place: str) -> Sequence[Rule]:
    """Return the rules of a category (with or without an s at its end), that of a name, or all of them."""
    if asked == "*":
        return list(RULES.values())
    found = [rule for rule in RULES.values() if rule.category.rstrip("s") == asked.rstrip("s")]
    if found:
        return found
    try:
        return [rule_named(asked)]
    except UsageError:
        hint = nearest(asked, (*CATEGORIES, *RULES)) or f"; categories are {', '.join(CATEGORIES)}"
        raise UsageError(f"{place}: '{asked}' is no category and no strategy{hint}") from None


def _excluded(value: Any, place: str) -> set[str]:
    """Return the names of the rules to leave out: of rules, or of categories."""
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise UsageError(f"{place}: exclude is {value!r:.60}; it must be a list of names")
    return {rule.name for word in words for rule in _chosen(word.removesuffix(".*"), f"{place}: exclude")}


def _granularity(wild: Mapping[str, Any], place: str) -> int:
    value = wild.get("granularity", GRANULARITY)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= FINEST:
        raise UsageError(f"{place}: granularity is {value!r:.60}; it must be a whole number from 1 to {FINEST:,}")
    return value


def _under(item: Any, above: Mapping[str, Any], place: str) -> Any:
    """Return an item with the settings of the list it stands in: a level of its own, whose exits its own replace."""
    if not above:
        return item
    item = mapping_of(item, place)
    name = strategy_key(item, place)
    rest = {key: each for key, each in item.items() if key != name}
    if name in LISTS:
        body, settings = split_list(item[name], rest, place)
    else:
        given, settings = split_body(name, item[name], rest, place)
        body = {"params": given}
    risk = settings.pop("risk", None)
    over = {key: each for key, each in above.items() if key != "risk"}
    risk = above.get("risk") if risk is None else risk
    made = {name: body, **settings}
    made = {"strategy": [made], **over} if over else made
    return made if risk is None else {**made, "risk": risk}
