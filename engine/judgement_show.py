"""The verdict on a search as one screen of 80 columns."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from .values import counted
from .values import show_bps as percent

if TYPE_CHECKING:
    from .guards import Evidence
    from .judgement import Judgement
    from .ledger import Ledger
    from .settings import Guards
    from .verdict import Check, Verdict

WIDTH = 80
_INDENT = 3
_ROOM = WIDTH - 20  # for what a check found: beside its number and name, and its status


def lines(judged: "Judgement") -> list[str]:
    """Return the screen, a line each."""
    if judged.verdict is None or judged.evidence is None or judged.ledger is None:
        return []
    found = judged.evidence
    winner = (
        f"winner #{found.trial_id:,}  mean {percent(found.mean_bps)} an alert,",
        f"median {percent(found.median_bps, 0)}, wins {found.win_rate:.0%};",
        f"{counted(found.alerts, 'alert')}, {counted(found.days, 'day')}",
    )
    below = [beside(found, percent), *tried_so_far(judged.asked, judged.ledger, "alerts")]
    return screen(judged.verdict, winner, below)


def screen(verdict: "Verdict", winner: Iterable[str], below: Iterable[Iterable[str]]) -> list[str]:
    """Return a verdict, the words on its winner, every check and what stands below them, a line each."""
    out = [headline(verdict), *indented(winner, 0)]
    for number, check in enumerate(verdict.checks, 1):
        out += check_lines(number, check)
    return out + [line for parts in below for line in indented(parts, _INDENT)]


def beside(found: "Evidence", shown: Callable[[float], str]) -> list[str]:
    """Return how rules beside the winner do, and the worst of its stress lanes."""
    lane = min(found.quality.lanes, key=lambda each: each.mean_bps)
    worst = f"worst lane {shown(lane.mean_bps)} ({lane.name})"
    return [worst] if found.neighbours is None else [f"neighbours {' … '.join(map(shown, found.neighbours))};", worst]


def tried_so_far(asked: "Guards", ledger: "Ledger", what: str) -> Iterator[tuple[str, str]]:
    """Yield what is sealed and how often it was looked at, and what was ever tried on these alerts or candles."""
    if asked.holdout:
        yield f"holdout sealed: the last {asked.holdout:.0%} of the days;", f"looked at {counted(ledger.peeks, 'time')}"
    tried = f"{counted(ledger.tried, 'configuration')} in {counted(ledger.searches, 'search', 'es')}"
    yield f"tried on these {what} so far:", tried


def headline(verdict: "Verdict") -> str:
    """Return the verdict in a line, with the checks that fail."""
    failing = verdict.failing
    why = f"{len(failing)} of {len(verdict.checks)} checks fail"
    if len(failing) < 4:
        why += f": {', '.join(failing)}"
    return f"VERDICT  {verdict.word} ({why})" if failing else f"VERDICT  {verdict.word}"


def indented(parts: Iterable[str], indent: int) -> Iterator[str]:
    """Yield parts side by side while they fit a line; the lines below the first are indented by _INDENT."""
    row = ""
    for part in parts:
        joined = f"{row} {part}" if row else " " * indent + part
        if row and len(joined) > WIDTH:
            yield row
            joined = " " * _INDENT + part
        row = joined
    yield row


def check_lines(number: int, check: "Check") -> Iterator[str]:
    """Yield the lines of a check."""
    rows = [""]
    for part in check.found:
        joined = f"{rows[-1]}  {part}" if rows[-1] else part
        rows = [*rows[:-1], joined] if len(joined) <= _ROOM else [*rows, part]
    yield f" {number} {check.name:<10}{rows[0]:<{_ROOM}}   {check.status}"
    for row in rows[1:]:
        yield f"{'':13}{row}"
