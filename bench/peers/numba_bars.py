"""Numba, bar by bar: the strongest plain loop. Alert-major, early exit, alerts shared out among all cores."""

import numba
import numpy as np
from highwater.bench.market import Market

CHUNKS = 64  # of alerts, each with sums of its own


def load(market: Market):
    """Return (prices and windows, times)."""
    bars, windows = market.candles, market.windows
    prices = bars.open, bars.high, bars.low, bars.close
    return (*prices, windows.first, windows.last, windows.price), (bars.ts, windows.ts, market.step)


def paths(data):
    return _paths(*data[0], *data[1])


def policy(data, sl, tp):
    return _policy(*data[0], sl, tp)


def sweep(data, sl, tp):
    return _sweep(*data[0], sl, tp) / data[0][4].size


def search(data, policies):
    """Return the mean return of each policy: a stop, a target, a trailing stop and a time limit."""
    limits = -(-policies.time_ms // data[1][-1])  # in candles, where none is missing
    given = policies.sl, policies.tp[:, 0], 1.0 - policies.trail_pct, policies.time_ms, limits
    return _search(*data[0], *data[1], *given) / data[0][4].size


@numba.njit(parallel=True, nogil=True, error_model="numpy", cache=True)
def _paths(opens, highs, lows, closes, first, last, prices, times, entered, step):
    ath, mdd, to_2x = np.empty(first.size), np.empty(first.size), np.empty(first.size, np.int64)
    for a in numba.prange(first.size):
        open_, high, low = opens[first[a] : last[a]], highs[first[a] : last[a]], lows[first[a] : last[a]]
        peak, worst, level, touch = prices[a], 1.0, 2.0 * prices[a], -1
        for i in range(high.size):
            if high[i] > peak:
                peak = high[i]
                if touch < 0 and peak >= level:
                    touch = times[first[a] + i] - entered[a] + (0 if open_[i] >= level else step)
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
def _search(opens, highs, lows, closes, first, last, prices, times, entered, step, sl, tp, keep, time_ms, limits):
    total = np.zeros((CHUNKS, sl.size))
    for c in numba.prange(CHUNKS):
        for a in range(c * first.size // CHUNKS, (c + 1) * first.size // CHUNKS):
            s, e, p = first[a], last[a], prices[a]
            open_, high, low, close, ts = opens[s:e], highs[s:e], lows[s:e], closes[s:e], times[s:e]
            even = ts[-1] - entered[a] == (e - s - 1) * step
            for t in range(sl.size):
                limit = limits[t] if even else np.searchsorted(ts, entered[a] + time_ms[t])
                sold = leave_trailing(open_, high, low, close, p, p * sl[t], p * tp[t], keep[t], limit)
                total[c, t] += sold / p - 1.0
    return total.sum(axis=0)
