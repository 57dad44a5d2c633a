"""Moving averages and what else is told of the last values of one series: NaN until warm, each value from that candle
and those before it.

``x`` is float64[N] and may begin with NaN, as the result of another does: the warm-up counts from its first number on.
A NaN after that stays in ``ema``, ``rma`` and what is made of them; in the others it is gone when it leaves the window.
A period longer than the series gives all NaN.
"""

# pyright: reportArgumentType=false

import numpy as np

from .jit import compiled
from .sliding import extremes, lines, means, moments, start_of

TILE = 256  # candles that one value of the window is held against at a time: they stay in the first cache


@compiled
def sma(x, n):
    """Return the mean of the last ``n`` values, float64[N]; that of equal values is exactly that value."""
    return means(x, n)


@compiled
def wma(x, n):
    """Return the mean of the last ``n`` values, weighted 1 for the oldest to ``n`` for the newest, float64[N]."""
    return lines(x, n, False)


@compiled
def linear_slope(x, n):
    """Return the slope of the least squares line through the last ``n`` values, a candle, float64[N]; NaN for one."""
    return lines(x, n, True)


@compiled
def seed_of(x, first, n):
    """Return the mean of ``n`` values from ``first`` on, NaN where there are fewer; of equal values exactly that."""
    if n > x.size - first:
        return np.nan
    total = 0.0
    for i in range(first, first + n):
        total += x[i] - x[first]
    return x[first] if total == 0.0 else (n * x[first] + total) / n


@compiled
def smoothed(x, n, alpha):
    """Return float64[N]: the mean of the first ``n`` values, then ``alpha`` of the way from there to each next one."""
    out, first = np.full(x.size, np.nan), start_of(x)
    if n > x.size - first:
        return out
    value = seed_of(x, first, n)
    out[first + n - 1] = value
    for i in range(first + n, x.size):
        value += alpha * (x[i] - value)
        out[i] = value
    return out


@compiled
def ema(x, n):
    """Return the exponential average, float64[N]: alpha is 2 / (n + 1), the seed is the mean of the first ``n``."""
    return smoothed(x, n, 2.0 / (n + 1))


@compiled
def rma(x, n):
    """Return Wilder's average, float64[N]: alpha is 1 / n, the seed is the mean of the first ``n``."""
    return smoothed(x, n, 1.0 / n)


@compiled
def dema(x, n):
    """Return 2 e - ema(e) where e is ema(x), float64[N]: the double exponential average, warm after 2 n - 1 values.

    Mulloy, "Smoothing data with faster moving averages" (TASC, January 1994).
    """
    one = ema(x, n)
    return one + (one - ema(one, n))


@compiled
def tema(x, n):
    """Return 3 e - 3 ema(e) + ema(ema(e)) where e is ema(x), float64[N]: the triple exponential average, warm after
    3 n - 2 values. Mulloy, as ``dema``."""
    one = ema(x, n)
    two = ema(one, n)
    return 3.0 * (one - two) + ema(two, n)


@compiled
def highest(x, n):
    """Return the highest of the last ``n`` values, float64[N]."""
    return extremes(x, n, 1.0)


@compiled
def lowest(x, n):
    """Return the lowest of the last ``n`` values, float64[N]."""
    return extremes(x, n, -1.0)


@compiled
def deviation(x, n):
    """Return the population standard deviation of the last ``n`` values, float64[N]; of equal values 0."""
    return moments(x, n)[1]


@compiled
def percent_rank(x, n):
    """Return how many of the ``n`` values before are below this one, per cent of ``n``, float64[N].

    As in ConnorsRSI (Connors and Alvarez, 2012); TradingView's ``percentrank`` counts equal ones too. Work grows with
    ``n``, eight values at a time.
    """
    out, first, count = np.full(x.size, np.nan), start_of(x), np.empty(TILE)
    for at in range(first + n, x.size, TILE):
        value = x[at : at + TILE]
        count[:] = 0.0
        for k in range(1, n + 1):
            before = x[at - k : at - k + value.size]
            for i in range(value.size):
                count[i] += 1.0 if before[i] < value[i] else 0.0
        for i in range(value.size):
            out[at + i] = 100.0 * count[i] / n if value[i] == value[i] else np.nan
    return out
