"""Whether a caller's best fixed exits are more than luck: guards of his own, and an allowance for all callers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import nan

import numpy as np

from ..kernels.arrays import Policies
from . import rates
from .caller_policies import CallerPolicies, CallerPolicy
from .fixed_exits import FixedExits
from .guards import MICRO_BPS, chance_of, interval
from .luck import SAMPLE, luck_of
from .settings import Guards
from .space import to_policies
from .tallies import Ground, by_day, calendar, only, returns, tally
from .verdict import NOT_PROVEN, PROVEN, TOO_FEW

LEAST_DAYS = 20  # with alerts: resamples of fewer say nothing


@dataclass(frozen=True)
class CallerGuard:
    """What speaks for and against the best cell of a caller, told from his own alerts; means an alert, in bps.

    ``days`` on which he has alerts; ``p``: how often the best of all cells, none having skill, does as well; ``q``
    allows for the other callers too (Benjamini and Hochberg). 95 % of resamples of the days lie from ``low_bps`` to
    ``high_bps``; then the means without his best trade and his five best, and in the worst order inside candles. NaN
    where the days are too few to tell. PROVEN: ``q`` is low enough, and all but the high end is above zero.
    """

    caller_name: str
    days: int
    word: str = TOO_FEW
    p: float = nan
    q: float = nan
    low_bps: float = nan
    high_bps: float = nan
    without_best_bps: float = nan
    without_best_5_bps: float = nan
    worst_bps: float = nan


def caller_guards(
    exits: FixedExits,
    found: CallerPolicies,
    asked: Guards,
    advance: Callable[[int], None] = lambda done: None,
) -> tuple[CallerGuard, ...]:
    """Return the guards of each row of ``found``, in that order; ``advance`` is told the callers done.

    A search over all cells is judged for each caller with enough days: O(callers * cells * (alerts + days *
    resamples)).
    """
    prepared = exits.there.prepared
    names = np.array(prepared.alerts.filter(prepared.ok)["caller_name"].to_pylist(), object)
    rows = []
    for done, each in enumerate(found.rows, 1):
        rows.append(_guarded(exits, each, only(exits.there, np.flatnonzero(names == each.caller_name))))
        advance(done)
    q = rates.q_values(np.array([row.p for row in rows]))
    return tuple(_told(replace(row, q=float(each)), asked) for row, each in zip(rows, q, strict=True))


def _guarded(exits: FixedExits, row: CallerPolicy, there: Ground) -> CallerGuard:
    """Return the guards of one caller, given his alerts, but for what hangs on the other callers."""
    grid, known = exits.work.grid, calendar(there)[0]
    days = int(np.count_nonzero(known.alerts))
    luck = None
    if days >= LEAST_DAYS:
        luck = luck_of(there, grid.cells, lambda first, n: _cells(exits, np.arange(first, first + n)), _sample(exits))
    if luck is None:
        return CallerGuard(row.caller_name, days)
    drawn = grid.drawn(0, grid.cells)
    best = int(np.flatnonzero((drawn["tp"] == row.best.tp) & (drawn["sl"] == row.best.sl))[0])
    policy = _cells(exits, np.array([best]))
    sums, made = by_day(there, policy), np.sort(returns(there, policy)[0])[::-1]
    low, high = interval(sums[0], known.alerts, luck.length)
    worst = float(tally(there, policy, False, lambda done: None)["worst_q"][0]) / made.size / MICRO_BPS
    without, without_5 = (float(made[most:].mean()) / MICRO_BPS for most in (1, 5))
    p = chance_of(sums, best, luck).p
    return CallerGuard(row.caller_name, days, "", p, nan, low, high, without, without_5, worst)


def _told(row: CallerGuard, asked: Guards) -> CallerGuard:
    """Return the guards with their word."""
    if row.word:
        return row
    above = min(row.low_bps, row.without_best_bps, row.without_best_5_bps, row.worst_bps) > 0
    return replace(row, word=PROVEN if above and row.q <= asked.max_luck else NOT_PROVEN)


def _cells(exits: FixedExits, numbers: np.ndarray) -> Policies:
    grid = exits.work.grid
    return to_policies(grid.space, grid.at(numbers))


def _sample(exits: FixedExits) -> Policies:
    """Return cells that stand for all: evenly spread."""
    few = min(exits.work.grid.cells, SAMPLE)
    return _cells(exits, np.arange(few) * exits.work.grid.cells // few)
