"""The verdict on a search over settings as one screen of 80 columns."""

from ..judgement_show import beside, screen, tried_so_far
from ..values import counted
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
    day = best.spread.without_caller
    without = (f"without its best day, {day.name}: {as_r(day.mean_bps)}",)
    below = [beside(best, as_r), without, *tried_so_far(proved.asked, proved.ledger, "candles")]
    return screen(proved.verdict, winner, below)
