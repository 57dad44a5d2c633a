"""The verdict on a search as one screen of 80 columns."""

from collections.abc import Iterator

from .judgement import Judgement
from .verdict import Check, percent

WIDTH = 80
_ROOM = WIDTH - 20  # for what a check found: beside its number and name, and its status


def lines(judged: Judgement) -> list[str]:
    """Return the screen, a line each."""
    if judged.verdict is None or judged.evidence is None or judged.ledger is None:
        return []
    word, failing, found = judged.verdict.word, judged.verdict.failing, judged.evidence
    why = f"{len(failing)} of {len(judged.verdict.checks)} checks fail"
    if len(failing) < 4:
        why += f": {', '.join(failing)}"
    wins = f"median {percent(found.median_bps, 0)}, wins {found.win_rate:.0%}"
    out = [
        f"VERDICT  {word} ({why})" if failing else f"VERDICT  {word}",
        f"winner #{found.trial_id:,}  mean {percent(found.mean_bps)} an alert, {wins}; "
        f"{found.alerts:,} alerts, {found.days:,} days",
    ]
    for number, check in enumerate(judged.verdict.checks, 1):
        out += _lines(number, check)
    lane = min(found.quality.lanes, key=lambda each: each.mean_bps)
    beside = ""
    if found.neighbours is not None:
        beside = f"neighbours {' … '.join(map(percent, found.neighbours))}; "
    out.append(f"   {beside}worst lane {percent(lane.mean_bps)} ({lane.name})")
    if judged.asked.holdout:
        out.append(
            f"   holdout sealed: the last {judged.asked.holdout:.0%} of the days; looked at {judged.ledger.peeks} times"
        )
    count = judged.ledger.searches
    searches = f"{count:,} search{'es' * (count > 1)}"
    out.append(f"   tried on these alerts so far: {judged.ledger.tried:,} configurations in {searches}")
    return out


def _lines(number: int, check: Check) -> Iterator[str]:
    rows = [""]
    for part in check.found:
        joined = f"{rows[-1]}  {part}" if rows[-1] else part
        rows = [*rows[:-1], joined] if len(joined) <= _ROOM else [*rows, part]
    yield f" {number} {check.name:<10}{rows[0]:<{_ROOM}}   {check.status}"
    for row in rows[1:]:
        yield f"{'':13}{row}"
