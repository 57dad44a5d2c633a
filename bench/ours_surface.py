"""A sweep as a surface: every stop with every target at once."""

import numpy as np
from highwater.bench.market import Market
from highwater.bench.ours import FS1, load, stops_and_targets
from highwater.kernels import Costs, Policies, Rules, column, surface_all
from highwater.kernels.arrays import NEVER

__all__ = ["load", "sweep", "unmoved"]


def unmoved() -> Policies:
    """Return the moving stop that there is none of."""
    none = stops_and_targets(np.zeros(1), np.full(1, np.inf))
    return none._replace(tp=column(np.empty((1, 0))), frac_bps=column(np.empty((1, 0)), np.int64))


def sweep(market: Market, sl: np.ndarray, tp: np.ndarray, rules: Rules = FS1):
    """Return the mean return float64[T] of each pair of a stop and a target, all pairs of some of either."""
    stops, targets = np.unique(sl)[::-1], np.unique(tp)
    times = column([NEVER], np.int64)
    bars, windows, step = market.candles, market.windows, market.step
    found = surface_all(bars, windows, step, column(stops), column(targets), unmoved(), times, rules, Costs())[0, 0]
    k, m = np.searchsorted(targets, tp), np.searchsorted(-stops, -sl)
    return found["sum_q"][k, m] / windows.first.size / 1e6
