"""The records of each path: its running highs, running lows and deepest falls from the peak, and what they answer.

The first candle that reaches a level fixed at entry is always a record of its path, so the first touch of any target,
stop or trailing width is found among a few hundred records instead of thousands of candles (KERNELS section 3).
"""

# pyright: reportArgumentType=false

from typing import Any, NamedTuple

import numpy as np

from .arrays import Ints, column
from .exits import levels
from .jit import compiled, share
from .walk import entry_of, first_at, greatest, least, starting, window_of

SPAN = 32  # candles asked at once whether one of them is a record
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

    Measured at 1 to 2 ns a candle on two threads. Windows that are not OK own no records.
    """
    n = windows.first.size
    parts = share(climb_all, n, candles, windows) or [climb_all(candles, windows, 0, 0)]
    at = np.zeros((3, n + 1), np.int64)
    np.cumsum(np.concatenate([part[0] for part in parts], axis=1), axis=1, out=at[:, 1:])
    high, low, fall = (
        parts[0][i] if len(parts) == 1 else np.concatenate([part[i] for part in parts]) for i in (1, 2, 3)
    )
    starts = [column(row, np.int64) for row in at]
    return Index(starts[0], column(high, RECORD), starts[1], column(low, RECORD), starts[2], column(fall, FALL))


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
def climb_all(candles, windows, first, last):
    """Return (int64[3, last - first], RECORD, RECORD, FALL): how many records each window has, and the records."""
    longest, counts, n = 0, np.zeros((3, last - first), np.int64), np.zeros(3, np.int64)
    for a in range(first, last):
        longest = max(longest, windows.last[a] - windows.first[a])
    high, low, fall = np.empty(longest, RECORD), np.empty(longest, RECORD), np.empty(longest, FALL)
    highs, lows, falls = np.empty(longest, RECORD), np.empty(longest, RECORD), np.empty(longest, FALL)
    for a in range(first, last):
        if windows.last[a] > windows.first[a]:
            found = climb(window_of(candles, windows, a), entry_of(windows, a, 0), high, low, fall)
            highs, lows = added(highs, n[0], high, found[0]), added(lows, n[1], low, found[1])
            falls = added(falls, n[2], fall, found[2])
            for i in range(3):
                counts[i, a - first] = found[i]
                n[i] += found[i]
    return counts, highs[: n[0]], lows[: n[1]], falls[: n[2]]


@compiled
def added(kept, n, more, count):
    """Return ``kept``, of which ``n`` are used, with ``count`` of ``more`` behind them; in a larger copy if full."""
    if n + count > kept.size:
        larger = np.empty(2 * (n + count), kept.dtype)
        for i in range(n):
            larger[i] = kept[i]
        kept = larger
    for i in range(count):
        kept[n + i] = more[i]
    return kept


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
