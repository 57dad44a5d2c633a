"""Powers of one series by another, as the C library raises them: numpy's own differ in the last digit by machine."""

import numpy as np

from .jit import compiled


@compiled
def powers(base, exponent):
    """Return ``base ** exponent`` of each pair, float64[N]; NaN for a fractional power of a negative number."""
    out = np.empty(base.size)
    for i in range(base.size):
        out[i] = base[i] ** exponent[i]
    return out
