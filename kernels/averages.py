"""Moving averages and what else slides over a series: NaN until warm, each value from that candle and before."""

# pyright: reportArgumentType=false

import numpy as np

from .jit import compiled


@compiled
def sma(x, n):
    """Return the mean of the last ``n`` values, float64[N]; NaN until there are ``n``."""
    out = np.full(x.size, np.nan)
    for i in range(n - 1, x.size):
        out[i] = x[i - n + 1 : i + 1].mean()
    return out
