"""The words and signs of a threshold or constraint, each with its place in the text."""

import re
from dataclasses import dataclass
from typing import Literal, NoReturn

from ...io.errors import UsageError

LONGEST = 2000  # characters of one expression

_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<text>'[^'\"\n]*'|\"[^'\"\n]*\")"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>\*\*|<=|>=|==|!=|[-+*/%<>(),])"
)
_REMEDY = {
    "=": "compare with ==",
    "&": "write AND",
    "|": "write OR",
    "!": "write NOT",
    "~": "write NOT",
    "'": "the text is not closed; it stands between two quotes of one kind",
    '"': "the text is not closed; it stands between two quotes of one kind",
    "#": "it holds no comments",
    ":": "a time is written HHMM: 930 for 09:30",
    "$": "write the value itself; a sweep lists several filters",
    ".": "write only numbers, names, signs and brackets",
}


@dataclass(frozen=True)
class Token:
    """A word or sign: ``text`` as written, from character ``at`` (from 0) on; kind "end" behind the last."""

    kind: Literal["number", "text", "name", "sign", "end"]
    text: str
    at: int


def tokens(source: str, place: str) -> list[Token]:
    """Return the tokens of ``source``, the last of kind "end". Raises UsageError for any character that is none."""
    if len(source) > LONGEST:
        raise UsageError(f"{place}: it has {len(source):,} characters; an expression has at most {LONGEST:,}")
    found: list[Token] = []
    at = 0
    while at < len(source):
        if source[at] in " \t\r\n":
            at += 1
            continue
        match = _TOKEN.match(source, at)
        if match is None:
            refuse(source, place, at, f"{source[at]!a} is nothing known here{_hint(source[at])}")
        if match.lastgroup == "number" and re.match(r"[\w.]", source[match.end() : match.end() + 1]):
            refuse(source, place, at, "a number ends in a letter, point or underscore")
        found.append(Token(match.lastgroup, match.group(), at))  # type: ignore[arg-type]
        at = match.end()
    return [*found, Token("end", "", len(source))]


def refuse(source: str, place: str, at: int, what: str) -> NoReturn:
    """Raise UsageError: ``what`` is wrong at character ``at`` of ``source``."""
    first = max(0, at - 30)
    shown = " ".join(source[first : first + 60].split())
    shown = ("..." if first else "") + ascii(shown)[1:-1] + ("..." if first + 60 < len(source) else "")
    raise UsageError(f'{place}: at character {at + 1} of "{shown}": {what}')


def _hint(sign: str) -> str:
    return f"; {_REMEDY[sign]}" if sign in _REMEDY else ""
