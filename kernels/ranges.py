"""How far candles reach: true range and its average. NaN until warm; ``h``, ``l``, ``c`` are float64[N]."""

# pyright: reportArgumentType=false

import numpy as np

from .averages import rma
from .jit import compiled


@compiled
def true_range(h, l, c):
    """Return how far price went since the close before, float64[N]; NaN at the first candle, which has none before.

    Wilder, "New Concepts in Technical Trading Systems" (1978), as TA-Lib; others take high - low for the first.
    """
    out = np.full(h.size, np.nan)
    for i in range(1, h.size):
        high = h[i] if h[i] >= c[i - 1] else c[i - 1]
        low = l[i] if l[i] <= c[i - 1] else c[i - 1]
        out[i] = high - low
    return out


@compiled
def atr(h, l, c, n):
    """Return Wilder's average of the true range, float64[N]: from candle ``n`` on, seeded with the mean of the first
    ``n`` true ranges."""
    return rma(true_range(h, l, c), n)
