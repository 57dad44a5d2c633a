"""How strong a trend is and which way it goes; Heikin-Ashi candles. NaN until warm; all arrays float64[N]."""

# pyright: reportArgumentType=false

import numpy as np

from .averages import rma, seed_of
from .jit import compiled
from .ranges import true_range
from .sliding import start_of, sums


@compiled
def moves(h, l):
    """Return (plus, minus), float64[N] each: how far a candle reached above the high, or below the low, before it; only
    the larger counts, neither where they are equal. NaN at the first candle."""
    plus, minus = np.full(h.size, np.nan), np.full(h.size, np.nan)
    for i in range(1, h.size):
        up, down = h[i] - h[i - 1], l[i - 1] - l[i]
        plus[i] = up if up > down and up > 0.0 else 0.0
        minus[i] = down if down > up and down > 0.0 else 0.0
    return plus, minus


@compiled
def directional(h, l, c, n):
    """Return (plus_di, minus_di, adx), 0 to 100, float64[N] each: DI from candle ``n`` on, ADX from 2 ``n`` - 1 on.

    Wilder (1978): every average is his and seeded with the mean of its first ``n``. 0 where nothing moved. TA-Lib seeds
    the first ones with ``n`` - 1 moves, and keeps the ADX of before where there is no DX: the difference fades.
    """
    (plus, minus), reach = moves(h, l), true_range(h, l, c)
    index, size, begin = np.full(c.size, np.nan), c.size, start_of(reach)
    up, down, far = seed_of(plus, 1, n), seed_of(minus, 1, n), seed_of(reach, begin, n)
    alpha, warm = 1.0 / n, begin + n - 1
    for i in range(n, size):  # the three averages side by side: each waits for its own last value
        if i > n:
            up += alpha * (plus[i] - up)
            down += alpha * (minus[i] - down)
        if i > warm:
            far += alpha * (reach[i] - far)
        both, some = up + down, i >= warm and far > 0.0
        index[i] = 100.0 * abs(up - down) / both if both > 0.0 else 0.0
        plus[i] = 100.0 * up / far if some else 0.0
        minus[i] = 100.0 * down / far if some else 0.0
    plus[:n] = minus[:n] = np.nan
    return plus, minus, rma(index, n)


@compiled
def adx(h, l, n):
    """Return what ``directional`` returns as its third, to the last bit: in one array instead of five."""
    out, first, alpha = np.full(h.size, np.nan), np.empty(n), 1.0 / n
    if h.size < 2 * n:
        return out
    plus, minus = moves(h[: n + 1], l[: n + 1])
    up, down, value = seed_of(plus, 1, n), seed_of(minus, 1, n), 0.0
    for i in range(n, h.size):
        if i > n:
            rise, fall = h[i] - h[i - 1], l[i - 1] - l[i]
            up += alpha * ((rise if rise > fall and rise > 0.0 else 0.0) - up)
            down += alpha * ((fall if fall > rise and fall > 0.0 else 0.0) - down)
        both = up + down
        index = 100.0 * abs(up - down) / both if both > 0.0 else 0.0
        if i < 2 * n:
            first[i - n] = index
        if i == 2 * n - 1:
            value = seed_of(first, 0, n)
        elif i >= 2 * n:
            value += alpha * (index - value)
        if i >= 2 * n - 1:
            out[i] = value
    return out


@compiled
def vortex(h, l, c, n):
    """Return (plus, minus), float64[N] each: the ways from low to next high, and from high to next low, of the last
    ``n`` candles over their true ranges; 1 where nothing moved. Botes and Siepman (TASC, January 2010)."""
    rising, falling = np.full(h.size, np.nan), np.full(h.size, np.nan)
    for i in range(1, h.size):
        rising[i], falling[i] = abs(h[i] - l[i - 1]), abs(l[i] - h[i - 1])
    plus, minus, reach = sums(rising, n), sums(falling, n), sums(true_range(h, l, c), n)
    for i in range(h.size):
        plus[i] = 1.0 if reach[i] == 0.0 else plus[i] / reach[i]
        minus[i] = 1.0 if reach[i] == 0.0 else minus[i] / reach[i]
    return plus, minus


@compiled
def heikin_ashi(o, h, l, c):
    """Return (open, high, low, close), float64[N] each: the close is the mean of the candle's four prices, the open
    halfway between open and close of the Heikin-Ashi candle before (of the candle itself, for the first)."""
    first, top, bottom, mean = np.empty(c.size), np.empty(c.size), np.empty(c.size), (o + h + l + c) / 4.0
    for i in range(c.size):
        start = (first[i - 1] + mean[i - 1]) / 2.0 if i else (o[0] + c[0]) / 2.0
        first[i], top[i], bottom[i] = start, max(h[i], start, mean[i]), min(l[i], start, mean[i])
    return first, top, bottom, mean
