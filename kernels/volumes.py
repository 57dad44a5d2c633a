"""What volume says: on balance volume, volume weighted prices, money flows. NaN until warm; arrays are float64[N]."""

# pyright: reportArgumentType=false

import numpy as np

from .averages import sma
from .jit import compiled
from .sliding import sums


@compiled
def obv(c, v):
    """Return the volume of the candles that closed above the one before less that of those below, float64[N].

    Starts with the first volume, as TA-Lib; others start with 0.
    """
    out, total = np.empty(c.size), 0.0
    for i in range(c.size):
        if i == 0 or c[i] > c[i - 1]:
            total += v[i]
        elif c[i] < c[i - 1]:
            total -= v[i]
        out[i] = total
    return out


@compiled
def vwap(p, v, n):
    """Return the mean of the last ``n`` prices weighted by volume, float64[N]; NaN where no volume traded."""
    value, volume = sums(p * v, n), sums(v, n)
    for i in range(v.size):
        value[i] = np.nan if volume[i] == 0.0 else value[i] / volume[i]
    return value


@compiled
def session_vwap(p, v, starts):
    """Return the mean price since the session began, weighted by volume, float64[N]; NaN until volume traded in it.

    ``starts`` bool[N]: a session begins with this candle. One begins with the first.
    """
    out, value, volume = np.empty(p.size), 0.0, 0.0
    for i in range(p.size):
        if starts[i]:
            value = volume = 0.0
        value += p[i] * v[i]
        volume += v[i]
        out[i] = value / volume if volume > 0.0 else np.nan
    return out


@compiled
def volume_ratio(v, n):
    """Return the volume over the mean of the ``n`` candles before, float64[N]; inf where those are 0, and NaN where
    this one is too."""
    usual = sma(v, n)
    for i in range(v.size - 1, 0, -1):  # backwards: each takes the place of a mean that is no longer asked for
        before = usual[i - 1]
        if before == 0.0:
            usual[i] = np.inf if v[i] > 0.0 else np.nan
        else:
            usual[i] = v[i] / before
    usual[:1] = np.nan
    return usual


@compiled
def slot_ratio(v, slots, n):
    """Return the volume over the mean of the ``n`` candles before that have the same of ``slots`` int64[N], from 0 on,
    float64[N], as ``volume_ratio``."""
    out, order = np.full(v.size, np.nan), np.argsort(slots, kind="mergesort")  # stable: those of a slot in their order
    i = 0
    while i < order.size:
        j = i
        while j < order.size and slots[order[j]] == slots[order[i]]:
            j += 1
        rows = order[i:j]
        out[rows] = volume_ratio(v[rows], n)
        i = j
    return out


@compiled
def flows(h, l, c, v):
    """Return the volume times where the close is in its candle, -1 at the low to 1 at the high, float64[N]; 0 where
    those are equal."""
    out = np.empty(c.size)
    for i in range(c.size):
        span = h[i] - l[i]
        out[i] = v[i] * ((c[i] - l[i]) - (h[i] - c[i])) / span if span > 0.0 else 0.0
    return out


@compiled
def accumulation_distribution(h, l, c, v):
    """Return the sum of all flows so far, float64[N]: volume times where the close is in the candle, -1 to 1."""
    return np.cumsum(flows(h, l, c, v))


@compiled
def chaikin_money_flow(h, l, c, v, n):
    """Return the flows of the last ``n`` candles over their volume, -1 to 1, float64[N]; 0 where no volume traded."""
    flow, volume = sums(flows(h, l, c, v), n), sums(v, n)
    for i in range(c.size):
        flow[i] = 0.0 if volume[i] == 0.0 else flow[i] / volume[i]
    return flow
