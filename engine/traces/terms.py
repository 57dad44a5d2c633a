"""Terms: what a threshold or constraint says, as a tree whose text is always the same for the same meaning."""

from dataclasses import dataclass
from typing import Literal

from ..values import show_number

Kind = Literal["number", "truth", "text"]

COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
_LEVELS = {"OR": 1, "AND": 2, "NOT": 3, **dict.fromkeys(COMPARISONS, 4), "+": 5, "-": 5, "*": 6, "/": 6, "%": 6}
_NEGATIVE, _POWER, _WHOLE = 7, 8, 9


@dataclass(frozen=True)
class Term:
    """One node. ``op`` says what it does with ``parts``, ``value`` what it holds.

    Leaves: "literal" (a number, true or false, or a text), "name" (a variable), "member" (the vote of a member, a
    number), "fires" (whether that vote is not zero), "vote" (whether the level's vote reaches the number ``value``).
    Others: "call" of the function ``value``, "negative", + - * / % **, the comparisons, NOT, AND and OR; those two have
    two parts or more, none of their own kind.
    """

    kind: Kind
    op: str
    value: float | bool | str = ""
    parts: tuple["Term", ...] = ()


def text(term: Term) -> str:
    """Return the term as ``expressions.parse`` reads it back, in one line: words in capitals, no needless bracket."""
    op, parts = term.op, term.parts
    if op in ("AND", "OR"):
        return f" {op} ".join(_within(part, _LEVELS[op] + 1) for part in parts)
    if op == "NOT":
        return f"NOT {_within(parts[0], _NEGATIVE if parts[0].op != 'NOT' else 0)}"
    if op == "negative":
        return f"-{_within(parts[0], _NEGATIVE)}"
    if op == "**":
        return f"{_within(parts[0], _WHOLE)} ** {_within(parts[1], _NEGATIVE)}"
    if op in _LEVELS:
        return f"{_within(parts[0], _LEVELS[op] + (op in COMPARISONS))} {op} {_within(parts[1], _LEVELS[op] + 1)}"
    if op == "call":
        return f"{term.value}({', '.join(map(text, parts))})"
    return _leaf(term.value, op)


def _leaf(value: float | bool | str, op: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{value}'" if op == "literal" else value
    return show_number(value)


def _within(term: Term, level: int) -> str:
    """Return the text, in brackets where it binds less than ``level``."""
    own = {"negative": _NEGATIVE, "**": _POWER, **_LEVELS}.get(term.op, _WHOLE)
    return text(term) if own >= level else f"({text(term)})"


def names_votes(term: Term) -> bool:
    """Return whether the term depends on the votes of a level, and not on the candles alone."""
    return term.op in ("member", "fires", "vote") or term == SIGNAL or any(map(names_votes, term.parts))


SIGNAL = Term("number", "name", "signal")
