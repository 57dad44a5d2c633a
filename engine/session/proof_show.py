"""The verdict on a search over settings as one screen of 80 columns."""

from ..judgement_show import check_lines, counted, headline, indented
from .proof import Proof, as_r
from .search import Searched


def lines(proved: Proof, found: Searched) -> list[str]:
    """Return the screen, a line each."""
    best = proved.evidence
    winner = (
        f"winner #{best.trial_id:,}  mean {as_r(best.mean_bps)} a session day,",
        f"wins {best.win_rate:.0%};",
        f"{counted(best.alerts, 'trade')}, {counted(best.days, 'day')}",
    )
    out = [headline(proved.verdict), *indented(winner, 0)]
    for number, check in enumerate(proved.verdict.checks, 1):
        out += check_lines(number, check)
    lane = min(best.quality.lanes, key=lambda each: each.mean_bps)
    below = [f"worst lane {as_r(lane.mean_bps)} ({lane.name})"]
    if best.neighbours is not None:
        below = [f"neighbours {' … '.join(map(as_r, best.neighbours))};", *below]
    out += indented(below, 3)
    day, ledger = best.spread.without_caller, proved.ledger
    out += indented((f"without its best day, {day.name}: {as_r(day.mean_bps)}",), 3)
    tried = f"{counted(ledger.tried, 'configuration')} in {counted(ledger.searches, 'search', 'es')}"
    return [*out, *indented(("tried on these candles so far:", tried), 3)]
