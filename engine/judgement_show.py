"""The verdict on a search as one screen of 80 columns."""

from collections.abc import Iterable, Iterator

from .judgement import Judgement
from .values import show_bps as percent
from .verdict import Check, Verdict

WIDTH = 80
_INDENT = 3
_ROOM = WIDTH - 20  # for what a check found: beside its number and name, and its status


def lines(judged: Judgement) -> list[str]:
    """Return the screen, a line each."""
    if judged.verdict is None or judged.evidence is None or judged.ledger is None:
        return []
    found = judged.evidence
    winner = (
        f"winner #{found.trial_id:,}  mean {percent(found.mean_bps)} an alert,",
        f"median {percent(found.median_bps, 0)}, wins {found.win_rate:.0%};",
        f"{counted(found.alerts, 'alert')}, {counted(found.days, 'day')}",
    )
    out = [headline(judged.verdict), *indented(winner, 0)]
    for number, check in enumerate(judged.verdict.checks, 1):
        out += check_lines(number, check)
    lane = min(found.quality.lanes, key=lambda each: each.mean_bps)
    below = [f"worst lane {percent(lane.mean_bps)} ({lane.name})"]
    if found.neighbours is not None:
        below = [f"neighbours {' … '.join(map(percent, found.neighbours))};", *below]
    out += indented(below, _INDENT)
    ledger = judged.ledger
    if judged.asked.holdout:
        sealed = f"holdout sealed: the last {judged.asked.holdout:.0%} of the days;"
        out += indented((sealed, f"looked at {counted(ledger.peeks, 'time')}"), _INDENT)
    tried = f"{counted(ledger.tried, 'configuration')} in {counted(ledger.searches, 'search', 'es')}"
    return [*out, *indented(("tried on these alerts so far:", tried), _INDENT)]


def headline(verdict: Verdict) -> str:
    """Return the verdict in a line, with the checks that fail."""
    failing = verdict.failing
    why = f"{len(failing)} of {len(verdict.checks)} checks fail"
    if len(failing) < 4:
        why += f": {', '.join(failing)}"
    return f"VERDICT  {verdict.word} ({why})" if failing else f"VERDICT  {verdict.word}"


def counted(number: int, name: str, more: str = "s") -> str:
    """Return a number of things: 1 alert, 2 alerts."""
    return f"{number:,} {name}{more * (number != 1)}"


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


def check_lines(number: int, check: Check) -> Iterator[str]:
    """Yield the lines of a check."""
    rows = [""]
    for part in check.found:
        joined = f"{rows[-1]}  {part}" if rows[-1] else part
        rows = [*rows[:-1], joined] if len(joined) <= _ROOM else [*rows, part]
    yield f" {number} {check.name:<10}{rows[0]:<{_ROOM}}   {check.status}"
    for row in rows[1:]:
        yield f"{'':13}{row}"
