"""Highwater's own ways of the tasks that peers do too. Their answers are what every other way is checked against."""

import numpy as np
from highwater.bench.market import Market
from highwater.kernels import Costs, Policies, Rules, column, measure_all, policy_of, search_all, simulate_all
from highwater.kernels.arrays import NEVER

BLOCK = 64  # trials
ROUNDING = 0.51e-6  # ours adds up whole millionths, the others plain returns
FS1 = Rules()


def load(market: Market) -> Market:
    return market


def paths(market: Market):
    """Return (highest multiple float64[A], max drawdown float64[A], ms to 2x int64[A], -1 where it is not reached)."""
    found, touches = measure_all(market.candles, market.windows, market.alerts, market.step, column([2.0]))
    return found["ath_mult"], found["mdd"], touches["t_ms"][:, 0]


def policy(market: Market, sl: float, tp: float, rules: Rules = FS1):
    """Return (candle of the exit int64[A], its price float64[A]) of one stop and one target, multiples of the entry."""
    one = policy_of(stops_and_targets(np.array([sl]), np.array([tp])), 0)
    trades, _ = simulate_all(market.candles, market.windows, market.step, one, rules, Costs())
    return trades["bar"], trades["price"]


def sweep(market: Market, sl: np.ndarray, tp: np.ndarray, rules: Rules = FS1):
    """Return the mean return float64[T] of each pair of a stop and a target; a trade's is in whole millionths."""
    total, trials = np.zeros(sl.size, np.int64), stops_and_targets(sl, tp)
    for t in range(0, sl.size, BLOCK):
        block = Policies(*(part[t : t + BLOCK] for part in trials))
        found = search_all(market.candles, market.windows, market.step, block, rules, Costs())
        total[t : t + BLOCK] = found[0].sum(axis=0)
    return total / market.windows.first.size / 1e6


def stops_and_targets(sl: np.ndarray, tp: np.ndarray) -> Policies:
    """Return the policies that sell all at a stop or a target."""
    unset, never = column(np.zeros(sl.size)), column(np.full(sl.size, np.inf))
    shares, times = (
        column(np.full(shape, value), np.int64) for shape, value in (((sl.size, 1), 10_000), (sl.size, NEVER))
    )
    return Policies(column(sl), column(tp[:, None]), shares, never, unset, unset, never, times)
