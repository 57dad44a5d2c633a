"""What a page is made of: sections of cards, tables, charts and words. A template draws them; nothing here is HTML."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..show import plain

Tick = tuple[float, str]  # where, a share of the way from the left or the top, and what it says


@dataclass(frozen=True)
class Bar:
    """A bar in a cell, or an interval with a mark: shares of its width, 0 to 1. ``tone`` is gain, loss or ''."""

    low: float
    high: float
    mark: float | None = None
    tone: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its text, what it is sorted by where that is not the text, and a bar beside it."""

    text: str
    key: float | None = None
    tone: str = ""
    bar: Bar | None = None


@dataclass(frozen=True)
class Table:
    """Rows below ``heads`` (none: no line of heads), the first ``left`` columns text, the others numbers.

    ``fold``: the words on what it is folded behind; ``find``: with a field to find rows in; ``words``: cells wrap.
    """

    kind: ClassVar[str] = "table"
    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    left: int = 1
    note: str = ""
    fold: str = ""
    find: bool = False
    words: bool = False
    wide: bool = False


@dataclass(frozen=True)
class Card:
    """A number that matters, and what it is."""

    name: str
    value: str
    tone: str = ""
    note: str = ""


@dataclass(frozen=True)
class Cards:
    """Cards side by side."""

    kind: ClassVar[str] = "cards"
    cards: Sequence[Card]


@dataclass(frozen=True)
class Words:
    """A paragraph; ``tone`` is warn, faint or ''. With ``small`` words behind it, it is a verdict in large letters."""

    kind: ClassVar[str] = "words"
    text: str
    tone: str = ""
    small: str = ""


@dataclass(frozen=True)
class Shape:
    """Something drawn in a box 1,000 wide and high, y downwards: a path, of a class that the style sheet knows.

    ``series``: the number of the series it belongs to, where they can be hidden.
    """

    style: str
    path: str
    series: int | None = None


@dataclass(frozen=True)
class Mark:
    """A sign that keeps its size: where (1,000 wide and high), what, and its class."""

    x: float
    y: float
    text: str
    style: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart: what it shows in words, shapes in a box, ticks on two axes, and what is read off it by hand.

    ``data`` is for the page's script: ``mode`` x (the nearest point to the left or right), xy (the nearest) or cell;
    points in the box with their texts, times of both ends where it is a chart by time.
    """

    kind: ClassVar[str] = "chart"
    title: str
    label: str
    shapes: Sequence[Shape]
    left: Sequence[Tick]
    below: Sequence[Tick]
    height: int = 220
    x_name: str = ""
    y_name: str = ""
    marks: Sequence[Mark] = ()
    names: Sequence[str] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    legend: tuple[str, str] | tuple[()] = ()
    shades: Sequence[str] = ()
    wide: bool = False


Part = Table | Cards | Words | Chart


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading; ``anchor`` names it in addresses."""

    anchor: str
    title: str
    parts: Sequence[Part]
    lead: str = ""


def cell(value: Any, key: float | None = None, tone: str = "") -> Cell:
    """Return a cell of printable text; a dash for None and for what other rooms call undefined, no sign on a zero."""
    text = "–" if value in (None, "-") else plain(value)
    return Cell(_SIGNED_ZERO.sub("", text), key, tone)


_SIGNED_ZERO = re.compile(r"^[+-](?=0(\.0*)?( R|%)?$)")


def signed(text: str, value: float | None) -> Cell:
    """Return a cell in the colour of its sign, sorted by its value."""
    return cell(text, value, tone_of(value))


def bps(value: float | None, digits: int = 1) -> str:
    """Return basis points as a signed percentage, its thousands apart; a dash where undefined."""
    return "–" if value is None or value != value else f"{value / 100:+,.{digits}f}%"


def number(value: float | None, form: str) -> Cell:
    """Return a number, sorted by itself; a dash where it is undefined."""
    return cell(None if value is None else format(value, form), value)


def text(value: float | None, form: str) -> str:
    """Return a number; a dash where it is undefined."""
    return "–" if value is None else format(value, form)


def tone_of(value: float | None) -> str:
    """Return gain for what is above 0, loss for what is below."""
    return "" if value is None or not value or value != value else "gain" if value > 0 else "loss"


def facts(title: str, pairs: Sequence[tuple[str, Any]], **how: Any) -> Table:
    """Return a table of names and what they are."""
    return Table(title, (), [[cell(name), cell(value)] for name, value in pairs], left=2, words=True, **how)
