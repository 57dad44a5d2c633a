"""Fixed targets and stops on a run taken up again: what every cell of a grid returned to some of its alerts."""

from dataclasses import dataclass

import numpy as np

from ..io.errors import UsageError
from ..kernels.arrays import Floats, Ints
from .recipe import Prepared
from .settings import MEMORY
from .sizing import uncovered
from .space import Space, to_policies
from .surface import Work, plan, stripes
from .surface_grid import grid_of
from .sweep import guard_overflow
from .tallies import Ground, ground, only, returns
from .values import Range

TP, SL = Range(1.1, 10.0, 0.1), Range(0.2, 0.95, 0.05)  # the grid unless told otherwise
MOST_CELLS = 100_000


@dataclass(frozen=True)
class Cell:
    """A target and a stop, multiples of the entry price, and the mean return with them, in basis points."""

    tp: float
    sl: float
    avg_return_bps: float


@dataclass(frozen=True)
class FixedExits:
    """A grid of fixed targets and stops, ready to be tried on any alerts of a run that have a window."""

    there: Ground
    work: Work

    def sums(self) -> Ints:
        """Return the summed ``ret_q`` of every cell, int64, over all these alerts."""
        parts = stripes(self.there, self.work, "groups", lambda done: None)
        return np.concatenate([tally["sum_q"] for _, tally, _ in parts])

    def returns(self, rows: np.ndarray) -> Ints:
        """Return ``ret_q`` int64[N, cells] of every cell on the alerts numbered ``rows`` among those with a window."""
        grid = self.work.grid
        return returns(only(self.there, rows), to_policies(grid.space, grid.drawn(0, grid.cells))).T

    def best(self, sums: Ints, alerts: int) -> Cell:
        """Return the cell with the highest sum, of equal ones the first, with its mean over ``alerts``."""
        return self.cell(int(np.argmax(sums)), sums, alerts)

    def cell(self, number: int, sums: Ints, alerts: int) -> Cell:
        """Return one cell with its mean over the ``alerts`` that ``sums`` are of."""
        drawn = self.work.grid.drawn(number, 1)
        return Cell(float(drawn["tp"][0]), float(drawn["sl"][0]), float(sums[number]) / alerts / 100)


def not_covered(prepared: Prepared) -> str:
    """Return the flag of a run whose trades no surface covers, with its value; "" where one does."""
    return uncovered(Space({}), prepared.trading)


def fixed_exits(prepared: Prepared, highs: Floats, tp: Range, sl: Range, threads: int | None) -> FixedExits:
    """Return the grid of every ``tp`` with every ``sl``; ``highs`` float64[A] are ``ath_mult``, NaN without a window.

    Raises UsageError where a surface does not cover how the run traded, LimitError where the grid is too large.
    """
    grid = grid_of({"tp": (tp,), "sl": (sl,)}, MOST_CELLS)
    if what := not_covered(prepared):
        raise UsageError(f"the run traded with {what}, which fixed exits in hindsight do not cover")
    guard_overflow(prepared, highs)
    work = plan(grid, prepared, "avg_return_bps", False, None, MEMORY, MOST_CELLS)
    return FixedExits(ground(prepared, "tables", MEMORY, threads), work)
