"""The policies one step away from some: a winner alone among them is luck, the middle of a plateau less so."""

import numpy as np

from ..kernels.arrays import Floats, Ints
from .frontier import Frontier
from .objective import GROWTH, PLATEAU, names_of
from .space import GRID, Space, ascend, to_policies
from .tallies import Ground, returns, tally

FEW = 100  # trials that are looked at more closely
STEP = 0.05  # of a value, and a step of its grid at least
_SUMMIT = "summit_bps"  # beside PLATEAU: the highest mean


def around(there: Ground, space: Space, drawn: dict[str, Floats]) -> tuple[Ints, Ints]:
    """Return the lowest and the highest sum of ``ret_q`` of each policy and its neighbours, int64[N].

    A neighbour has one parameter moved by a step up or down, inside the range searched.
    """
    count = next(iter(drawn.values())).size
    moved = [_moved(space, drawn, name, way) for name in space.varied for way in (-1, 1)]
    whole = {name: np.concatenate([drawn[name], *(each[name] for each in moved)]) for name in drawn}
    ascend(whole, len(space.shares))
    sums = tally(there, to_policies(space, whole), False, lambda done: None)["sum_q"].reshape(-1, count)
    return sums.min(axis=0), sums.max(axis=0)


def neighbourhood(there: Ground, best: Frontier) -> tuple[Floats, Floats]:
    """Return the lowest and the highest mean, in bps, of each of the FEW best and its neighbours."""
    if _SUMMIT in best.rows:  # they were ranked by it
        return best.rows[PLATEAU], best.rows[_SUMMIT]
    sums = around(there, best.work.space, {name: values[:FEW] for name, values in best.drawn().items()})
    low, high = (each / there.fits.size / 100 for each in sums)
    return low, high


def settle(there: Ground, best: Frontier) -> None:
    """Rank the FEW best by their mean again, where the objective is over columns that only they are given.

    ``plateau_bps``, the lowest mean of a policy and its neighbours; ``log_growth_bps``, the mean of ln(1 + stake R) a
    trade, what an equity grows by that stakes a fixed share of itself on each alert.
    """
    wanted, more = names_of(best.work.objective) - set(best.rows), {}
    drawn = {name: values[:FEW] for name, values in best.drawn().items()}
    if PLATEAU in wanted:
        more[PLATEAU], more[_SUMMIT] = neighbourhood(there, best)
    if GROWTH in wanted:
        ret_q = returns(there, to_policies(best.work.space, drawn))
        with np.errstate(divide="ignore", invalid="ignore"):
            more[GROWTH] = np.log1p(best.work.stake * np.maximum(ret_q / 1e6, -1.0)).mean(axis=1) * 1e4
    if more:
        best.rank_again(more)


def _moved(space: Space, drawn: dict[str, Floats], name: str, way: int) -> dict[str, Floats]:
    each = space.ranges[name]
    grid = each.step or GRID[name]
    steps = np.maximum(1, np.rint(STEP * np.abs(drawn[name]) / grid))
    return drawn | {name: np.clip(np.round(drawn[name] + way * steps * grid, 10), each.low, each.high)}
