"""The quantile of a column, compiled, for loops of one's own; ``stats`` has the same for those without a compiler."""

import numpy as np

from .jit import compiled


@compiled
def quantile(values, q):
    """Return the ``q`` quantile of float64 ``values``, linear between neighbours, without NaN; NaN for none.

    That of ``stats.quantile``, which is numpy's, to the last bit but the sign of a zero.
    """
    kept = np.sort(values[~np.isnan(values)])
    if not kept.size:
        return np.nan
    at = (kept.size - 1) * q
    below = int(np.floor(at))
    part = at - below
    low, high = kept[below], kept[min(below + 1, kept.size - 1)]
    return high - (high - low) * (1.0 - part) if part >= 0.5 else low + (high - low) * part
