"""Bands about a price, as (lower, middle, upper), and lines that follow it. NaN until warm.

``x``, ``h``, ``l``, ``c`` are float64[N]; ``x`` may begin with NaN: the warm-up counts from its first number on.
"""

# pyright: reportArgumentType=false

import numpy as np

from .averages import ema, highest, lowest
from .jit import compiled
from .ranges import atr
from .sliding import moments


@compiled
def bollinger(x, n, k):
    """Return (lower, middle, upper), float64[N] each: the mean of the last ``n`` values, and ``k`` of their population
    standard deviations from it. Equal values give three times that value."""
    mean, spread = moments(x, n)
    return mean - k * spread, mean, mean + k * spread


@compiled
def keltner(h, l, c, n, k):
    """Return (lower, middle, upper), float64[N] each: the EMA of the close, and ``k`` of Wilder's ATR from it, both
    over ``n``."""
    middle, reach = ema(c, n), atr(h, l, c, n)
    return middle - k * reach, middle, middle + k * reach


@compiled
def donchian(h, l, n):
    """Return (lower, middle, upper), float64[N] each: the lowest low and highest high of the last ``n`` candles, this
    one included (no close is ever outside), and halfway between."""
    lower, upper = lowest(l, n), highest(h, n)
    return lower, (lower + upper) / 2.0, upper


@compiled
def shifted(x, n):
    """Return ``x`` as it was ``n`` candles before, float64[N]; NaN for the first ``n``."""
    out = np.full(x.size, np.nan)
    for i in range(n, x.size):
        out[i] = x[i - n]
    return out


@compiled
def ichimoku(h, l, conversion, base, span):
    """Return (conversion, base, span_a, span_b), float64[N] each: the middle of the range of the last ``conversion``
    and ``base`` candles, halfway between those two, and the middle over ``span``.

    The spans are those drawn at a candle: known ``base`` candles before it. Nothing here is of a later candle.
    """
    quick, slow = donchian(h, l, conversion)[1], donchian(h, l, base)[1]
    return quick, slow, shifted((quick + slow) / 2.0, base), shifted(donchian(h, l, span)[1], base)


@compiled
def supertrend(h, l, c, n, k):
    """Return (line, direction), float64[N] each: in an uptrend (1) the line is ``k`` ATR(``n``) below the middle of a
    candle and never falls; in a downtrend (-1) as far above and never rises.

    A close beyond the line turns it; it starts as a downtrend, as TradingView's does. Wilder's ATR.
    """
    reach = atr(h, l, c, n)
    line, direction = np.full(c.size, np.nan), np.full(c.size, np.nan)
    below, above, up = -np.inf, np.inf, False
    for i in range(n, c.size):
        middle = (h[i] + l[i]) / 2.0
        low, high = middle - k * reach[i], middle + k * reach[i]
        below = low if low > below or c[i - 1] < below else below
        above = high if high < above or c[i - 1] > above else above
        up = (c[i] >= below if up else c[i] > above) if i > n else False
        line[i], direction[i] = (below, 1.0) if up else (above, -1.0)
    return line, direction


@compiled
def parabolic_sar(h, l, step, most):
    """Return the stop and reverse, float64[N]; from the second candle on.

    In an uptrend it goes, every candle, a share of the way up to the highest high of the trend: ``step``, and ``step``
    more at every new high, up to ``most``. It stays at or below the lows of this candle and the last; a low at or below
    it turns the trend, and it starts anew from that high. A downtrend mirrors this, by the sign of all prices. The
    first trend is down where the second low fell further than its high rose. Wilder (1978), started as TA-Lib does.
    """
    out = np.full(h.size, np.nan)
    if h.size < 2:
        return out
    up = not (l[0] - l[1] > 0.0 and l[0] - l[1] > h[1] - h[0])
    step = min(step, most)
    stop, best, share = (l[0], h[1], step) if up else (-h[0], -l[1], step)
    for i in range(1, h.size):
        turned = (l[i] if up else -h[i]) <= stop
        if turned:
            up = not up
        near, far = (l[i], h[i]) if up else (-h[i], -l[i])
        last = near if i == 1 else l[i - 1] if up else -h[i - 1]
        if turned:
            stop, best, share = min(-best, near, last), far, step
        out[i] = stop if up else -stop
        if far > best:
            best, share = far, min(share + step, most)
        stop = min(stop + share * (best - stop), near, last)
    return out
