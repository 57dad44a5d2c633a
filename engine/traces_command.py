"""The commands on strategy traces, and what they print."""

import json as json_format
import textwrap
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .traces.rule import Rule

Category = Literal["crossover", "bands", "breakout", "threshold", "momentum", "trend"]
WIDTH = 80


def traces_strategies(*, category: Category | None = None, json: bool = False) -> int | None:
    """List the strategies: when each is long and when short, its parameters, their defaults, ranges and other names.

    Args:
        category: Only strategies of this kind.
        json: Print one JSON document instead of text.
    """
    from .traces.registry import RULES

    rules = [rule for rule in RULES.values() if category in (None, rule.category)]
    if json:
        print(json_format.dumps({"strategies": [_document(rule) for rule in rules]}, indent=2, allow_nan=False))
        return None
    for rule in rules:
        print("\n".join(_lines(rule)), end="\n\n")
    print(f"{len(rules)} strategies; after each candle's close one is long, short or else flat")
    return None


def _document(rule: "Rule") -> dict[str, Any]:
    """Return a strategy as it is printed in JSON."""
    parameters = [
        {
            "name": each.name,
            "type": type(each.default).__name__,
            "default": each.default,
            "low": None if isinstance(each.default, bool) else each.low,
            "high": None if isinstance(each.default, bool) else each.high,
            "help": each.help,
            "aliases": each.aliases,
        }
        for each in rule.parameters
    ]
    words = {"name": rule.name, "category": rule.category, "aliases": rule.aliases, "long": rule.long}
    ascending = [" < ".join(pair) for pair in rule.ascending]
    return words | {"short": rule.short, "note": rule.note, "parameters": parameters, "constraints": ascending}


def _lines(rule: "Rule") -> "Iterator[str]":
    """Yield a strategy as text of WIDTH columns."""
    also = f", also {', '.join(rule.aliases)}" if rule.aliases else ""
    yield f"{rule.name} ({rule.category}{also})"
    yield from _wrapped("  long   ", rule.long)
    yield from _wrapped("  short  ", rule.short)
    cells = [
        (each.name, f"{each.default:g}", f"{each.low:g} to {each.high:g}")
        if not isinstance(each.default, bool)
        else (each.name, str(each.default).lower(), "true or false")
        for each in rule.parameters
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for each, (name, default, span) in zip(rule.parameters, cells, strict=True):
        first = f"  {name:<{widths[0]}}  {default:>{widths[1]}}  {span:<{widths[2]}}  "
        yield from _wrapped(first, each.help + (f"; also {', '.join(each.aliases)}" if each.aliases else ""))
    ascending = [f"{low} must be below {high}." for low, high in rule.ascending]
    if rule.note or ascending:
        yield from _wrapped("  ", " ".join([*ascending, rule.note]).strip())


def _wrapped(first: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first))
