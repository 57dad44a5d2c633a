"""A sweep in tables: every trial is the smallest of a few integers an alert."""

import numpy as np
from highwater.bench.market import Market
from highwater.bench.ours import FS1, load, stops_and_targets
from highwater.kernels import Costs, Rules, tally_tables

__all__ = ["load", "sweep"]


def sweep(market: Market, sl: np.ndarray, tp: np.ndarray, rules: Rules = FS1):
    """Return the mean return float64[T] of each pair of a stop and a target."""
    found = tally_tables(market.candles, market.windows, market.step, stops_and_targets(sl, tp), rules, Costs())
    return found["sum_q"] / market.windows.first.size / 1e6
