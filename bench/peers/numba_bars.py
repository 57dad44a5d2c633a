"""Numba, bar by bar: the strongest plain loop. Alert-major, early exit, alerts shared out among all cores."""

import numba
import numpy as np
from highwater.bench.market import STEP, Market

CHUNKS = 64  # of alerts, each with sums of its own


def load(market: Market):
    bars, windows = market.candles, market.windows
    return bars.open, bars.high, bars.low, bars.close, windows.first, windows.last, windows.price


def paths(data):
    return _paths(*data, STEP)


def policy(data, sl, tp):
    return _policy(*data, sl, tp)


def sweep(data, sl, tp):
    return _sweep(*data, sl, tp) / data[4].size


def search(data, policies):
    """Return the mean return of each policy: a stop, a target, a trailing stop and a time limit in candles."""
    limits = np.minimum(policies.time_ms // STEP, 2**31)
    return _search(*data, policies.sl, policies.tp[:, 0], 1.0 - policies.trail_pct, limits) / data[4].size


@numba.njit(parallel=True, nogil=True, error_model="numpy", cache=True)
def _paths(opens, highs, lows, closes, first, last, prices, step):
    ath, mdd, to_2x = np.empty(first.size), np.empty(first.size), np.empty(first.size, np.int64)
    for a in numba.prange(first.size):
        open_, high, low = opens[first[a] : last[a]], highs[first[a] : last[a]], lows[first[a] : last[a]]
        peak, worst, level, touch = prices[a], 1.0, 2.0 * prices[a], -1
        for i in range(high.size):
            if high[i] > peak:
                peak = high[i]
                if touch < 0 and peak >= level:
                    touch = i * step + (0 if open_[i] >= level else step)
            worst = min(worst, low[i] / peak)
        ath[a], mdd[a], to_2x[a] = peak / prices[a], worst - 1.0, touch
    return ath, mdd, to_2x


@numba.njit(nogil=True, error_model="numpy", cache=True)
def leave(open_, high, low, close, stop, target):
    """Return the candle and the price of the exit."""
    for i in range(high.size):
        if low[i] <= stop or high[i] >= target:
            if open_[i] <= stop:
                return i, open_[i]
            if low[i] <= stop and open_[i] < target:
                return i, stop
            return i, target
    return close.size - 1, close[-1]


@numba.njit(parallel=True, nogil=True, error_model="numpy", cache=True)
def _policy(opens, highs, lows, closes, first, last, prices, sl, tp):
    bar, price = np.empty(first.size, np.int64), np.empty(first.size)
    for a in numba.prange(first.size):
        s, e, p = first[a], last[a], prices[a]
        bar[a], price[a] = leave(opens[s:e], highs[s:e], lows[s:e], closes[s:e], p * sl, p * tp)
    return bar, price


@numba.njit(parallel=True, nogil=True, error_model="numpy", cache=True)
def _sweep(opens, highs, lows, closes, first, last, prices, sl, tp):
    total = np.zeros((CHUNKS, sl.size))
    for c in numba.prange(CHUNKS):
        for a in range(c * first.size // CHUNKS, (c + 1) * first.size // CHUNKS):
            s, e, p = first[a], last[a], prices[a]
            open_, high, low, close = opens[s:e], highs[s:e], lows[s:e], closes[s:e]
            for t in range(sl.size):
                total[c, t] += leave(open_, high, low, close, p * sl[t], p * tp[t])[1] / p - 1.0
    return total.sum(axis=0)


@numba.njit(nogil=True, error_model="numpy", cache=True)
def leave_trailing(open_, high, low, close, price, sl, target, keep, limit):
    """Return the price of the exit: the high first raises the trailing stop, then the low is tested."""
    peak = price
    for i in range(min(high.size, limit)):
        stop = max(sl, peak * keep)
        if open_[i] <= stop:
            return open_[i]
        peak = max(peak, open_[i])
        stop = max(sl, peak * keep)
        if open_[i] >= target:
            return target
        if low[i] <= stop:
            return stop
        if high[i] >= target:
            return target
        peak = max(peak, high[i])
        if low[i] <= peak * keep:
            return peak * keep
    return open_[limit] if limit < open_.size else close[-1]


@numba.njit(parallel=True, nogil=True, error_model="numpy", cache=True)
def _search(opens, highs, lows, closes, first, last, prices, sl, tp, keep, limits):
    total = np.zeros((CHUNKS, sl.size))
    for c in numba.prange(CHUNKS):
        for a in range(c * first.size // CHUNKS, (c + 1) * first.size // CHUNKS):
            s, e, p = first[a], last[a], prices[a]
            open_, high, low, close = opens[s:e], highs[s:e], lows[s:e], closes[s:e]
            for t in range(sl.size):
                sold = leave_trailing(open_, high, low, close, p, p * sl[t], p * tp[t], keep[t], limits[t])
                total[c, t] += sold / p - 1.0
    return total.sum(axis=0)
