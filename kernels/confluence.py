"""What speaks for a break of the opening range, at the close of each candle (SESSIONS section 3), and the ranges that
sessions are measured by. Candles are of sessions only; ``first``, ``last``, ``start`` int64[S] are rows, half-open.
"""

# pyright: reportArgumentType=false

import numpy as np

from .averages import seed_of
from .jit import compiled

LONG, SHORT = 1, 2  # bits of a flag, uint8[N]
TILE = 512  # candles that stay in the first cache while they are compared with those before


@compiled
def session_atr(bars, first, n):
    """Return Wilder's average of the true range, float64[N]; that of a session's ``first`` candle is high - low."""
    out, value, alpha = np.empty(bars.close.size), np.nan, 1.0 / n
    for s in range(first.size):
        i, end = first[s], first[s + 1] if s + 1 < first.size else out.size
        h, l, reach, c = bars.high[i:end], bars.low[i:end], out[i:end], bars.close[i:end]
        reach[:1] = h[:1] - l[:1]
        h, l, rest = h[1:], l[1:], reach[1:]
        for k in range(rest.size):  # views, as in ``price_action``
            rest[k] = (h[k] if h[k] >= c[k] else c[k]) - (l[k] if l[k] <= c[k] else c[k])
        if i < n <= end:
            value = seed_of(out, 0, n)
            out[n - 1] = value
        rest = out[max(i, n) : end]
        for k in range(rest.size):
            value += alpha * (rest[k] - value)
            rest[k] = value
    out[: n - 1] = np.nan
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
    out, highest, lowest = np.zeros(c.size, np.uint8), np.empty(TILE), np.empty(TILE)
    for at in range(n, c.size if structure else n, TILE):
        high, low, marks = h[at : at + TILE], l[at : at + TILE], out[at : at + TILE]
        highest[:], lowest[:] = -np.inf, np.inf
        for k in range(at - n, at):  # views, since an index that might be negative is not compared four at a time
            high_k, low_k = h[k : k + marks.size], l[k : k + marks.size]
            for i in range(marks.size):
                highest[i] = high_k[i] if high_k[i] > highest[i] else highest[i]
                lowest[i] = low_k[i] if low_k[i] < lowest[i] else lowest[i]
        for i in range(marks.size):
            up, down = (high[i] > highest[i]) & (low[i] > lowest[i]), (low[i] < lowest[i]) & (high[i] < highest[i])
            marks[i] = LONG * up + SHORT * down
    if engulfing:
        o, last, marks = o[1:], c[1:], out[1:]
        for i in range(marks.size):
            up, down = (last[i] > h[i]) & (o[i] <= c[i]), (last[i] < l[i]) & (o[i] >= c[i])
            marks[i] |= LONG * up + SHORT * down
    return out


@compiled
def profile(close, first, start, last, levels, ranges):
    """Return uint8[N] of LONG and SHORT: where a close lies in the range of the session before.

    ``levels``: (VAL, VAH, middle), ``ranges``: (or_high, or_low), float64[S] each, NaN: not known.
    """
    (val, vah, mid), (high, low) = levels, ranges
    out = np.zeros(close.size, np.uint8)
    for s in range(first.size):
        rise, fall, final = np.inf, -np.inf, min(max(start[s], first[s]), last[s])
        for begin, end in ((first[s], final), (final, last[s])):
            c, marks = close[begin:end], out[begin:end]
            for i in range(c.size):
                up, down = (c[i] > vah[s]) | (c[i] > rise), (c[i] < val[s]) | (c[i] < fall)
                marks[i] = LONG * up + SHORT * down
            rise, fall = mid[s] if high[s] > vah[s] else np.inf, mid[s] if low[s] < val[s] else -np.inf  # range final
    return out


@compiled
def session_line(bars, begin, first):
    """Return the volume-weighted mean of (h + l + c) / 3 since the last row of ``begin`` int64[S], float64[N].

    NaN from the ``first`` of a session to where it begins, and until volume traded.
    """
    out, room = np.empty(bars.close.size), np.empty(0)
    for s in range(first.size):
        end = first[s + 1] if s + 1 < first.size else out.size
        i = min(begin[s], end)
        out[first[s] : i] = np.nan
        room = np.empty(end - i) if room.size < end - i else room
        h, l, c, v, line = bars.high[i:end], bars.low[i:end], bars.close[i:end], bars.volume[i:end], out[i:end]
        value = volume = 0.0
        for k in range(line.size):
            value += (h[k] + l[k] + c[k]) / 3 * v[k]
            volume += v[k]
            line[k], room[k] = value, volume
        for k in range(line.size):  # apart from the sums, which wait for each other
            line[k] = line[k] / room[k] if room[k] > 0.0 else np.nan
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
    bit, none = np.uint8(1 << k), np.uint8(0)  # a shift in the loop would be one of eight bytes
    for i in range(flags.size):
        long[i] |= bit if flags[i] & LONG else none
        short[i] |= bit if flags[i] & SHORT else none


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
    before, after, bad = ts[:-1], ts[1:], 0
    for i in range(after.size):  # to the end, eight at a time
        bad += after[i] <= before[i]
    if bad:
        for i in range(after.size):
            if after[i] <= before[i]:
                return i + 1
    return 0
