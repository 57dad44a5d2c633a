"""Indicators that swing about a middle: RSI, stochastics, CCI, money flow, MACD and others. NaN until warm.

``x``, ``h``, ``l``, ``c``, ``v`` are float64[N]. ``x`` may begin with NaN: the warm-up counts from its first number on.
Where nothing moved the answer is the middle of the scale, so that a dead market asks for nothing; TA-Lib says 0 there,
which is oversold for RSI, stochastic and money flow, and overbought for Williams' %R.
"""

# pyright: reportArgumentType=false

import numpy as np

from .averages import ema, highest, lowest, sma
from .jit import compiled
from .sliding import ages, start_of, sums

TILE = 256  # candles that one value of the window is taken from at a time: they stay in the first cache


@compiled
def rsi(x, n):
    """Return Wilder's relative strength index, 0 to 100, float64[N]: from ``n`` changes on; 100 where the average loss
    is 0, and 50 where the average gain is too (TA-Lib: 0)."""
    out, first = np.full(x.size, np.nan), start_of(x)
    gain, loss, alpha = 0.0, 0.0, 1.0 / n
    for i in range(first + 1, x.size):
        change = x[i] - x[i - 1]
        up, down = (change if change > 0.0 else 0.0), (-change if change < 0.0 else 0.0)
        kept = 0.0 if i <= first + n else alpha  # the first n are summed
        gain, loss = gain + (alpha * up - kept * gain), loss + (alpha * down - kept * loss)
        if i > first + n and change == 0.0:
            out[i] = out[i - 1]  # both averages shrank alike: not to be found out again, with rounding
        elif i >= first + n:
            out[i] = 100.0 * (gain / (gain + loss)) if gain + loss > 0.0 else 50.0
    return out


@compiled
def within(x, low, high):
    """Return where ``x`` is between ``low``, 0, and ``high``, 100, float64[N]; 50 where those are equal."""
    out = np.empty(x.size)
    for i in range(x.size):
        span = high[i] - low[i]
        out[i] = 50.0 if span == 0.0 else 100.0 * (x[i] - low[i]) / span
    return out


@compiled
def stochastic(h, l, c, n, smooth, d):
    """Return (k, d), float64[N] each: where the close is within the range of the last ``n`` candles, 0 to 100, averaged
    over ``smooth``, and that averaged over ``d``; 50 in a range of nothing (TA-Lib: 0)."""
    k = sma(within(c, lowest(l, n), highest(h, n)), smooth)
    return k, sma(k, d)


@compiled
def stochastic_rsi(x, n, window, k, d):
    """Return (k, d), float64[N] each: where RSI(``n``) is within its own range of the last ``window``, averaged over
    ``k``, and that averaged over ``d``; 50 in a range of nothing.

    Chande and Kroll, "The New Technical Trader" (1994), on 0 to 100 and smoothed, as charts draw it (14, 14, 3, 3).
    """
    strength = rsi(x, n)
    line = sma(within(strength, lowest(strength, window), highest(strength, window)), k)
    return line, sma(line, d)


@compiled
def typical(h, l, c):
    """Return the typical price, (h + l + c) / 3, float64[N]."""
    return (h + l + c) / 3.0


@compiled
def cci(h, l, c, n):
    """Return the commodity channel index, float64[N]: how far the typical price is from its mean of ``n``, in 0.015
    mean absolute deviations; 0 where there is none.

    Lambert, "Commodity Channel Index" (Commodities, October 1980). Work grows with ``n``, eight candles at a time.
    """
    x, above, spread = typical(h, l, c), np.empty(TILE), np.empty(TILE)
    out = np.full(x.size, np.nan)
    for at in range(start_of(x) + n - 1, x.size, TILE):
        value = x[at : at + TILE]
        above[:] = spread[:] = 0.0
        for k in range(1, n):
            before = x[at - k : at - k + value.size]
            for i in range(value.size):
                above[i] += value[i] - before[i]
        above /= n
        for k in range(n):
            before = x[at - k : at - k + value.size]
            for i in range(value.size):
                spread[i] += abs(above[i] - (value[i] - before[i]))
        for i in range(value.size):
            out[at + i] = 0.0 if spread[i] == 0.0 else above[i] / (0.015 * (spread[i] / n))
    return out


@compiled
def williams_r(h, l, c, n):
    """Return Williams' %R, -100 to 0, float64[N]: where the close is below the high of the last ``n`` candles; -50 in a
    range of nothing (TA-Lib: 0)."""
    return within(c, lowest(l, n), highest(h, n)) - 100.0


@compiled
def mfi(h, l, c, v, n):
    """Return the money flow index, 0 to 100, float64[N]: what share of the last ``n`` flows (typical price times
    volume) came as the typical price rose; 50 where nothing flowed.

    Typical prices that are equal to 14 digits are equal: their sums round, and the whole flow would take a side.
    """
    x = typical(h, l, c)
    rising, falling = np.full(x.size, np.nan), np.full(x.size, np.nan)
    for i in range(1, x.size):
        change, flow = x[i] - x[i - 1], x[i] * v[i]
        least = 1e-14 * x[i]
        rising[i], falling[i] = (flow if change > least else 0.0), (flow if -change > least else 0.0)
    up, down = sums(rising, n), sums(falling, n)
    for i in range(x.size):
        flow = up[i] + down[i]
        up[i] = 50.0 if flow == 0.0 else 100.0 * up[i] / flow
    return up


@compiled
def momentum(x, n):
    """Return what ``x`` gained over ``n`` candles, float64[N]."""
    out = np.full(x.size, np.nan)
    for i in range(n, x.size):
        out[i] = x[i] - x[i - n]
    return out


@compiled
def roc(x, n):
    """Return what ``x`` gained over ``n`` candles in per cent of what it was, float64[N]."""
    out = np.full(x.size, np.nan)
    for i in range(n, x.size):
        out[i] = 100.0 * (x[i] - x[i - n]) / x[i - n]
    return out


@compiled
def macd(x, fast, slow, signal):
    """Return (line, signal, histogram), float64[N] each: EMA(``fast``) - EMA(``slow``), the EMA of that, and what the
    line is above it.

    Each average is seeded with its own first values. TA-Lib seeds the fast one where the slow one is warm, and shows
    no line before the signal: the difference fades with the seed.
    """
    line = ema(x, fast) - ema(x, slow)
    average = ema(line, signal)
    return line, average, line - average


@compiled
def aroon(h, l, n):
    """Return (up, down), 0 to 100, float64[N] each: 100 where the candle has the high (low) of the last ``n`` + 1, 0
    where the one ``n`` before has it; the latest of equal ones. Chande, "A time price oscillator" (TASC, 1995)."""
    return 100.0 * (n - ages(h, n + 1, 1.0)) / n, 100.0 * (n - ages(l, n + 1, -1.0)) / n
