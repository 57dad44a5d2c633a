"""The records of each path: its running highs, running lows and deepest falls from the peak, and what they answer.

The first candle that reaches a level fixed at entry is always a record of its path, so the first touch of any target,
stop or trailing width is found among a few hundred records instead of thousands of candles (KERNELS section 3).
"""

# pyright: reportArgumentType=false

from typing import Any, NamedTuple

import numpy as np

from .arrays import Ints, Windows, column
from .exits import levels
from .jit import compiled, share
from .walk import entry_of, first_at, greatest, least, starting, window_of

SPAN = 32  # candles asked at once whether one of them is a record
SCRATCH = 64 * 2**20  # bytes of records not yet packed
_SLACK = 1 + 2.0**-50  # a fall this near to the deepest one is kept: the comparison that counts is price with level

# One record: the candle of the window it lies in, its price, and that candle's open, NaN where the open is the entry
# itself, which no level is tested against. A fall knows the peak of the path with and without the candle's own high.
RECORD = np.dtype([("bar", "i8"), ("price", "f8"), ("open", "f8")])
FALL = np.dtype([("bar", "i8"), ("price", "f8"), ("open", "f8"), ("peak", "f8"), ("before", "f8")])


class Index(NamedTuple):
    """The records of every window, in the order of ``Windows``; about 6 KB a window of 2,880 one-minute candles.

    ``high`` RECORD: the highs above all before; ``low`` RECORD: the lows below all before; ``fall`` FALL: the lows
    that are deeper below the running peak than all before. Window a owns rows ``*_at[a]`` to ``*_at[a + 1]`` of each,
    int64[A + 1].
    """

    high_at: Ints
    high: Any
    low_at: Ints
    low: Any
    fall_at: Ints
    fall: Any


def index_all(candles, windows) -> Index:
    """Return the ``Index`` of every window: one pass over highs and lows, O(candles); opens only at records.

    Measured at about 1.5 ns a candle on two threads. Windows that are not OK own no records.
    """
    n, longest = windows.first.size, int((windows.last - windows.first).max(initial=1))
    rows = max(1, min(n, SCRATCH // ((2 * RECORD.itemsize + FALL.itemsize) * longest)))
    scratch = [np.empty((rows, longest), kind) for kind in (RECORD, RECORD, FALL)]
    at, kept = (np.zeros((3, n + 1), np.int64), [np.empty(0, part.dtype) for part in scratch])
    for s in range(0, n, rows):
        some = Windows(*(part[s : s + rows] for part in windows))
        e = s + some.first.size
        counts = np.zeros((3, e - s), np.int64)
        share(climb_all, e - s, candles, some, *scratch, counts)
        at[:, s + 1 : e + 1] = at[:, s, None] + np.cumsum(counts, axis=1)
        for i in range(3):
            kept[i] = _with_room(kept[i], at[i, e], n / e)
            share(pack, e - s, scratch[i], at[i, s : e + 1].copy(), kept[i])
    high, low, fall = (column(kept[i][: at[i, n]], kept[i].dtype) for i in range(3))
    return Index(column(at[0], np.int64), high, column(at[1], np.int64), low, column(at[2], np.int64), fall)


def _with_room(array: np.ndarray, size: int, times: float) -> np.ndarray:
    """Return ``array``, in a larger copy where it holds less than ``size``; ``times`` as much is to come."""
    if array.size >= size:
        return array
    larger = np.empty(int(1.1 * times * size) + 16, array.dtype)
    larger[: array.size] = array
    return larger


@compiled
def climb(bars, entry, high, low, fall):
    """Write the records of one window into ``high``, ``low`` and ``fall``, and return how many of each."""
    high_bits, low_bits = bars.high.view(np.int64), bars.low.view(np.int64)
    n_high, n_low, n_fall = 0, 0, 0
    peak, top, bottom = (entry.price, np.nextafter(entry.price, 0.0), np.nextafter(entry.price, np.inf))
    deepest, bound = 1.0, _SLACK
    last_low, last_peak = np.inf, 0.0
    n, span, s = np.uint64(bars.high.size), np.uint64(SPAN), np.uint64(0)
    while s < n:
        e = min(s + span, n)
        lowest = least(low_bits, s, e)
        if lowest >= bottom and lowest > peak * bound and greatest(high_bits, s, e) <= top:
            s = e
            continue
        for k in range(s, e):
            h, l, o, before = bars.high[k], bars.low[k], np.nan, peak
            if (h > top or l < bottom or l <= peak * bound) and (k > 0 or not entry.fresh):
                o = bars.open[k]
            if h > top:
                record = high[n_high]
                record["bar"], record["price"], record["open"] = k, h, o
                n_high += 1
                top, peak = h, max(peak, h)
            if l < bottom:
                record = low[n_low]
                record["bar"], record["price"], record["open"] = k, l, o
                n_low += 1
                bottom = l
            if l <= peak * bound and (l < last_low or peak > last_peak):
                drop = fall[n_fall]
                (drop["bar"], drop["price"], drop["open"], drop["peak"], drop["before"]) = k, l, o, peak, before
                n_fall += 1
                last_low, last_peak = l, peak
                deepest = min(deepest, l / peak)
                bound = deepest * _SLACK
        s = e
    return n_high, n_low, n_fall


@compiled
def climb_all(candles, windows, high, low, fall, counts, first, last):
    """Climb some windows, each into its row of ``high``, ``low`` and ``fall``; ``counts`` int64[3, A]: how many."""
    for a in range(first, last):
        if windows.last[a] > windows.first[a]:
            bars = window_of(candles, windows, a)
            found = climb(bars, entry_of(windows, a, 0), high[a], low[a], fall[a])
            counts[0, a], counts[1, a], counts[2, a] = found


@compiled
def pack(rows, at, out, first, last):
    """Write the first records of some rows into ``out``, those of row a from ``at[a]`` to ``at[a + 1]``."""
    for a in range(first, last):
        for i in range(at[a + 1] - at[a]):
            out[at[a] + i] = rows[a, i]


@compiled
def reached(high, s, e, level):
    """Return the first of the records ``high[s:e]`` at or above ``level``, or ``e``; O(log records)."""
    while s < e:
        mid = (s + e) // 2
        if high[mid]["price"] >= level:
            e = mid
        else:
            s = mid + 1
    return s


@compiled
def sunk(low, s, e, level):
    """Return the first of the records ``low[s:e]`` at or below ``level``, or ``e``; O(log records)."""
    while s < e:
        mid = (s + e) // 2
        if low[mid]["price"] <= level:
            e = mid
        else:
            s = mid + 1
    return s


@compiled
def fallen(fall, s, e, keep):
    """Return the first of the records ``fall[s:e]`` whose low is at or below its peak times ``keep``, or ``e``.

    The comparison is the state machine's. Its rounding can put near ties out of order, by less than the slack: so the
    search by halves goes back over whatever is as near as that.
    """
    lo, hi = s, e
    while lo < hi:
        mid = (lo + hi) // 2
        if fall[mid]["price"] <= fall[mid]["peak"] * keep:
            hi = mid
        else:
            lo = mid + 1
    near = keep * _SLACK * _SLACK
    while lo > s and fall[lo - 1]["price"] <= fall[lo - 1]["peak"] * near:
        lo -= 1
    while lo < e and fall[lo]["price"] > fall[lo]["peak"] * keep:
        lo += 1
    return lo


@compiled
def peak_before(index, a, price, bar):
    """Return the highest price of window ``a`` before candle ``bar``, the entry ``price`` included."""
    s, e = index.high_at[a], index.high_at[a + 1]
    while s < e:
        mid = (s + e) // 2
        if index.high[mid]["bar"] < bar:
            s = mid + 1
        else:
            e = mid
    return max(price, index.high[s - 1]["price"]) if s > index.high_at[a] else price


@compiled
def first_event(index, a, entry, policy, ts):
    """Return the first candle of window ``a`` in which ``policy`` can change anything (``ts.size``: none).

    Every rule is answered from the records, O(log records) each. ``ts`` are the times of the window's candles.
    """
    at = levels(entry.price, policy)
    bar = first_at(ts, entry.ts + policy.time_ms)
    rise = entry.price * policy.tp[0] if policy.tp.size else np.inf
    rise = min(rise, at.be_trigger, at.activate if at.activate > entry.price else np.inf)
    i = reached(index.high, index.high_at[a], index.high_at[a + 1], rise)
    if i < index.high_at[a + 1]:
        bar = min(bar, index.high[i]["bar"])
    i = sunk(index.low, index.low_at[a], index.low_at[a + 1], at.sl)
    if i < index.low_at[a + 1]:
        bar = min(bar, index.low[i]["bar"])
    if at.activate <= entry.price:
        i = fallen(index.fall, index.fall_at[a], index.fall_at[a + 1], at.keep)
        if i < index.fall_at[a + 1]:
            bar = min(bar, index.fall[i]["bar"])
    return bar


@compiled
def leap(index, a, entry, policy, ts):
    """Return ``entry`` (of window ``a``) moved to the first candle in which ``policy`` can change anything.

    ``exits.simulate`` and ``bounds.bracket`` give the same from there as from the first candle, whatever the policy:
    what ends a trade at that candle costs O(log records), and only rungs and stops armed later walk on.
    """
    bar = first_event(index, a, entry, policy, ts)
    return starting(entry, bar, peak_before(index, a, entry.price, bar))
