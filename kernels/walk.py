"""Walking a window: its candles, and the leap to the next one where something can happen."""

# pyright: reportArgumentType=false

from typing import NamedTuple

import numpy as np

from .arrays import Candles, Entry, Policy
from .jit import compiled

BLOCK = 16  # candles in a block of extremes; 16 beat 8, 32 and 64 on one-minute candles
_WITHIN, _SHIFT, _ONE = np.uint64(BLOCK - 1), np.uint64(4), np.uint64(1)  # BLOCK is 2 to the power of _SHIFT
NEAR = 8  # candles asked one by one after an event, before CHUNK at once
CHUNK = 64  # candles asked at once whether one of them is an event; LLVM unrolls 32 and leaves them scalar
_NEAR, _CHUNK = np.uint64(NEAR), np.uint64(CHUNK)


class Blocks(NamedTuple):
    """Highest high and lowest low of each BLOCK candles of one window; empty: every candle is looked at."""

    high: np.ndarray
    low: np.ndarray


@compiled
def window_of(candles, windows, a):
    """Return the rows of ``windows`` (or of ``Alerts``) number ``a`` as ``Candles`` of their own (views, no copy)."""
    s, e = windows.first[a], windows.last[a]
    return Candles(
        candles.ts[s:e], candles.open[s:e], candles.high[s:e], candles.low[s:e], candles.close[s:e], candles.volume[s:e]
    )


@compiled
def entry_of(windows, a, step):
    """Return the ``Entry`` of alert ``a``; ``step`` is the candle interval in ms."""
    return Entry(
        windows.price[a],
        windows.ts[a],
        windows.end[a],
        windows.coverage_end[a],
        np.int64(step),
        windows.fresh[a],
        windows.on_grid[a],
        np.int64(0),
        windows.price[a],
    )


@compiled
def starting(entry, bar, peak):
    """Return ``entry`` of a trade that nothing befalls before candle ``bar``; ``peak``: the highest price till then."""
    price, ts, end, coverage_end, step, fresh, on_grid, _, _ = entry
    return Entry(price, ts, end, coverage_end, step, fresh, on_grid, np.int64(bar), peak)


@compiled
def policy_of(policies, t):
    """Return row ``t`` of ``policies``."""
    return Policy(
        policies.sl[t],
        policies.tp[t],
        policies.frac_bps[t],
        policies.be_trigger[t],
        policies.be_offset[t],
        policies.trail_pct[t],
        policies.activate[t],
        policies.time_ms[t],
    )


@compiled
def blocks_for(bars):
    """Return the ``Blocks`` of a window."""
    high, low = bars.high, bars.low
    whole = high.size // BLOCK
    blocks = Blocks(np.empty(whole), np.empty(whole))
    for b in range(whole):
        top, bottom = high[b * BLOCK], low[b * BLOCK]
        for i in range(b * BLOCK + 1, b * BLOCK + BLOCK):
            top = max(top, high[i])
            bottom = min(bottom, low[i])
        blocks.high[b], blocks.low[b] = top, bottom
    return blocks


@compiled
def no_blocks():
    """Return the empty ``Blocks``: every candle is looked at."""
    return Blocks(np.empty(0), np.empty(0))


@compiled
def next_event(bars, blocks, i, last, stop, limit):
    """Return the first candle in [i, last) with low <= stop or high >= limit, or ``last``."""
    high, low = bars.high, bars.low
    if blocks.high.size == 0:
        return scanned(high, low, i, last, stop, limit)
    k, end, whole = np.uint64(i), np.uint64(last), np.uint64(blocks.high.size)  # unsigned: no test for k < 0 (3x)
    while k < end:
        if k & _WITHIN == 0:
            b = k >> _SHIFT
            while b < whole and blocks.low[b] > stop and blocks.high[b] < limit:
                b += _ONE
            k = b << _SHIFT
            if k >= end:
                break
        if low[k] <= stop or high[k] >= limit:
            return np.int64(k)
        k += _ONE
    return last


@compiled
def scanned(high, low, i, last, stop, limit):
    """Return what ``next_event`` does, by asking CHUNK candles at once; for few policies that beats making blocks."""
    k, end = np.uint64(i), np.uint64(last)
    near = k + _NEAR
    while k < end:
        near = min(near, end)
        while k < near:
            if low[k] <= stop or high[k] >= limit:
                return np.int64(k)
            k += _ONE
        while k + _CHUNK <= end:
            events = 0
            for j in range(_CHUNK):
                events += (low[k + j] <= stop) | (high[k + j] >= limit)
            if events:
                break
            k += _CHUNK
        near = k + _CHUNK
    return last


@compiled
def next_above(high, i, peak):
    """Return the first candle from ``i`` on whose high is above ``peak``, or ``high.size``."""
    k, end = np.uint64(i), np.uint64(high.size)
    near = k + _NEAR
    while k < end:
        near = min(near, end)
        while k < near:
            if high[k] > peak:
                return np.int64(k)
            k += _ONE
        while k + _CHUNK <= end:
            above = 0
            for j in range(_CHUNK):
                above += high[k + j] > peak
            if above:
                break
            k += _CHUNK
        near = k + _CHUNK
    return high.size


@compiled
def first_at(ts, when):
    """Return the index of the first candle whose open time is at or after ``when`` (``ts.size``: none)."""
    if ts.size == 0 or ts[-1] < when:  # often, and the search below would miss the cache eleven times
        return ts.size
    lo, hi = 0, ts.size - 1
    while lo < hi:
        mid = (lo + hi) // 2
        if ts[mid] < when:
            lo = mid + 1
        else:
            hi = mid
    return lo


@compiled
def greatest(bits, i, j):
    """Return the largest of the positive doubles whose int64 view is ``bits``, in [i, j); 0 if there is none.

    As integers they compare alike, and that vectorises. Indices and not a slice: a slice counts references, and
    threads that share an array wait for each other there.
    """
    top = np.int64(0)
    for k in range(np.uint64(i), np.uint64(j)):
        top = max(top, bits[k])
    return np.int64(top).view(np.float64)


@compiled
def least(bits, i, j):
    """Return the smallest of the positive doubles whose int64 view is ``bits``, in [i, j); NaN if there is none."""
    bottom = np.int64(2**63 - 1)
    for k in range(np.uint64(i), np.uint64(j)):
        bottom = min(bottom, bits[k])
    return np.int64(bottom).view(np.float64)
