"""What speaks for a break of the opening range, at the close of each candle (SESSIONS section 3), and the ranges that
sessions are measured by. Candles are of sessions only; ``first``, ``last``, ``start`` int64[S] are rows, half-open.
"""

# pyright: reportArgumentType=false

import numpy as np

from .averages import seed_of
from .jit import compiled

LONG, SHORT = 1, 2  # bits of a flag, uint8[N]


@compiled
def session_atr(bars, first, n):
    """Return Wilder's average of the true range, float64[N]; that of a session's ``first`` candle is high - low."""
    out = bars.high - bars.low
    h, l, c, rest = bars.high[1:], bars.low[1:], bars.close, out[1:]
    for i in range(rest.size):  # views, as in ``price_action``
        rest[i] = (h[i] if h[i] >= c[i] else c[i]) - (l[i] if l[i] <= c[i] else c[i])
    for s in range(first.size):
        if first[s] < out.size:
            out[first[s]] = bars.high[first[s]] - bars.low[first[s]]
    value = seed_of(out, 0, n)
    for i in range(out.size):  # in place: ``rma`` would take another array
        if i >= n:
            value += (1.0 / n) * (out[i] - value)
        out[i] = value if i >= n - 1 else np.nan
    return out


@compiled
def coarse_atr(bars, first, last, opens, length_n):
    """Return Wilder's average of the true range of candles of ``length`` ms at the end of each session, float64[S].

    ``opens`` int64[S]: ms UTC, from which lengths count; ``length_n``: (length, period). NaN for a session without
    candles, and until warm.
    """
    length, n = length_n
    out, value, total, count = np.full(first.size, np.nan), np.nan, 0.0, 0
    for s in range(first.size):
        i, before = first[s], np.nan
        while i < last[s]:
            bound = opens[s] + ((bars.ts[i] - opens[s]) // length + 1) * length
            high, low = bars.high[i], bars.low[i]
            if before == before:
                high, low = max(high, before), min(low, before)
            while i < last[s] and bars.ts[i] < bound:
                high, low = max(high, bars.high[i]), min(low, bars.low[i])
                i += 1
            before = bars.close[i - 1]
            count += 1
            if count <= n:
                total += high - low
                value = total / n if count == n else np.nan
            else:
                value += (high - low - value) / n
        if last[s] > first[s]:
            out[s] = value
    return out


@compiled
def price_action(bars, n, engulfing, structure):
    """Return uint8[N] of LONG and SHORT: an engulfing candle, or one whose high is above all ``n`` before and whose low
    is above the lowest of theirs (SHORT: the mirror)."""
    o, h, l, c = bars.open, bars.high, bars.low, bars.close
    out = np.zeros(c.size, np.uint8)
    if structure and n < c.size:
        high, low, every = h[n:], l[n:], out[n:]
        every[:] = LONG | SHORT
        some = np.zeros(every.size, np.uint8)
        for k in range(n):  # views, since an index that might be negative is not compared four at a time
            high_k, low_k = h[k : k + high.size], l[k : k + high.size]
            for i in range(every.size):
                every[i] &= LONG * (high[i] > high_k[i]) + SHORT * (low[i] < low_k[i])
                some[i] |= LONG * (low[i] > low_k[i]) + SHORT * (high[i] < high_k[i])
        for i in range(every.size):
            every[i] &= some[i]
    if engulfing:
        for i in range(1, c.size):
            up, down = (c[i] > h[i - 1]) & (o[i] <= c[i - 1]), (c[i] < l[i - 1]) & (o[i] >= c[i - 1])
            out[i] |= LONG * up + SHORT * down
    return out


@compiled
def profile(close, first, start, last, levels, ranges):
    """Return uint8[N] of LONG and SHORT: where a close lies in the range of the session before.

    ``levels``: (VAL, VAH, middle), ``ranges``: (or_high, or_low), float64[S] each, NaN: not known.
    """
    (val, vah, mid), (high, low) = levels, ranges
    out = np.zeros(close.size, np.uint8)
    for s in range(first.size):
        broad, deep = high[s] > vah[s], low[s] < val[s]
        for i in range(first[s], last[s]):
            known = i >= start[s]  # the range itself is final
            up = close[i] > vah[s] or (known and broad and close[i] > mid[s])
            down = close[i] < val[s] or (known and deep and close[i] < mid[s])
            out[i] = LONG * up + SHORT * down
    return out


@compiled
def session_line(bars, begin, first):
    """Return the volume-weighted mean of (h + l + c) / 3 since the last row of ``begin`` int64[S], float64[N].

    NaN from the ``first`` of a session to where it begins, and until volume traded.
    """
    out, value, volume, s, t = np.empty(bars.close.size), 0.0, 0.0, 0, 0
    for i in range(out.size):
        while t < first.size and first[t] <= i:
            t += 1
        while s < begin.size and begin[s] <= i:
            s, value, volume = s + 1, 0.0, 0.0
        value += (bars.high[i] + bars.low[i] + bars.close[i]) / 3 * bars.volume[i]
        volume += bars.volume[i]
        out[i] = value / volume if s == t and volume > 0.0 else np.nan
    return out


@compiled
def sides_of(x, line):
    """Return uint8[N]: LONG where ``x`` is above ``line``, SHORT where it is below."""
    out = np.empty(x.size, np.uint8)
    for i in range(x.size):
        out[i] = LONG * (x[i] > line[i]) + SHORT * (x[i] < line[i])
    return out


@compiled
def swings(high, low, n):
    """Return (swing low, swing high), float64[N]: the last known at the close of each candle; NaN before the first.

    A swing low is lower than the ``n`` lows on both of its sides, so it is known ``n`` candles later.
    """
    size = low.size
    found = np.full(max(size - 2 * n, 0), LONG | SHORT, np.uint8)  # of the candles with ``n`` on both sides
    high_n, low_n = high[n:], low[n:]
    for k in range(2 * n + 1):
        if k != n:
            high_k, low_k = high[k:], low[k:]
            for j in range(found.size):
                found[j] &= LONG * (low_n[j] < low_k[j]) + SHORT * (high_n[j] > high_k[j])
    bottoms, tops, bottom, top = np.full(size, np.nan), np.full(size, np.nan), np.nan, np.nan
    for j in range(found.size):
        bottom = low_n[j] if found[j] & LONG else bottom
        top = high_n[j] if found[j] & SHORT else top
        bottoms[j + 2 * n], tops[j + 2 * n] = bottom, top
    return bottoms, tops


@compiled
def gather(flags, k, long, short):
    """Set bit ``k`` of ``long`` and of ``short``, uint8[N] each, where ``flags`` say so."""
    for i in range(flags.size):
        long[i] |= (flags[i] & LONG) << k
        short[i] |= (flags[i] >> 1) << k


@compiled
def looked_up(table, marks):
    """Return ``table[marks]``, bool[N]; numpy would first make the marks indices of eight bytes."""
    out = np.empty(marks.size, np.bool_)
    for i in range(marks.size):
        out[i] = table[marks[i]]
    return out


@compiled
def ascending(ts):
    """Return the first row whose time is not after that of the row before, or 0."""
    for i in range(1, ts.size):
        if ts[i] <= ts[i - 1]:
            return i
    return 0
