"""What the filters of a strategy did: the signals before and after each clause, so that a dead one is seen."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Clause:
    """One clause of a level: how many candles wanted to be long or short ``before`` it, and how many ``after``.

    ``level`` is "top", or its place as "2.1"; ``rules`` those it is made of.
    """

    level: str
    rules: str
    text: str
    before: int
    after: int


@dataclass(frozen=True)
class FilterReport:
    """The clauses of a strategy in the order they were asked, inner levels first, on ``bars`` candles."""

    bars: int
    clauses: tuple[Clause, ...] = ()

    def lines(self, width: int = 80) -> Iterator[str]:
        """Yield the report as a table of at most ``width`` characters a line, a part for each level."""
        if not self.clauses:
            yield "no filters"
            return
        room = width - 2 - 2 * 10 - 13
        yield f"{'signals pass only where':{room + 2}}{'before':>10}{'after':>10}"
        for (level, rules), clauses in groupby(self.clauses, key=lambda each: (each.level, each.rules)):
            yield _cut(rules if level == "top" else f"member {level}, {rules}", width)
            for each in clauses:
                shown = f"  {_cut(each.text, room):{room}}{each.before:>10,}{each.after:>10,}"
                yield f"{shown}  {_verdict(each)}".rstrip()


def _verdict(each: Clause) -> str:
    if not each.before:
        return "no signals"
    return "passes all" if each.after == each.before else "passes none" if not each.after else ""


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 3] + "..."
