"""Powers of one series by another, as the C library raises them: numpy's own differ in the last digit by machine."""

import numpy as np

from .jit import compiled


@compiled
def powers(base, exponent):
    """Return ``base ** exponent`` of each pair, float64[N]; NaN for a fractional power of a negative number, and where
    either is NaN: IEEE 754 says that 1 to the power of NaN is 1."""
    out = np.empty(base.size)
    for i in range(base.size):
        known = (base[i] == base[i]) & (exponent[i] == exponent[i])
        out[i] = base[i] ** exponent[i] if known else np.nan
    return out
