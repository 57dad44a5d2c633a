"""What a strategy wants after each candle, 1, 0 or -1, from indicators; and its changes."""

# pyright: reportArgumentType=false

import numpy as np
from numpy.typing import NDArray

from .jit import compiled

Signal = NDArray[np.int8]

NONE = -128  # of a candle whose indicators are not warm: no signal, which is not the same as wanting to be flat


@compiled
def crossed(fast, slow):
    """Return int8[N]: 1 where ``fast`` is above ``slow``, -1 below, 0 where they are equal, NONE where one is NaN."""
    out = np.empty(fast.size, np.int8)
    for i in range(fast.size):
        a, b = fast[i], slow[i]
        out[i] = 1 if a > b else -1 if a < b else 0 if a == b else NONE
    return out


@compiled
def changes(signal):
    """Return (idx int32[K], val int8[K]): the first candle that is not NONE, and every candle that differs from the
    last. A NONE later on changes nothing."""
    n, last = 0, NONE
    for i in range(signal.size):
        if signal[i] != NONE and signal[i] != last:
            last = signal[i]
            n += 1
    idx, val = np.empty(n, np.int32), np.empty(n, np.int8)
    n, last = 0, NONE
    for i in range(signal.size):
        if signal[i] != NONE and signal[i] != last:
            last = signal[i]
            idx[n], val[n] = i, last
            n += 1
    return idx, val


@compiled
def held(idx, val, bars):
    """Return int8[bars]: each value from its candle on until the next; NONE before the first."""
    out = np.full(bars, NONE, np.int8)
    for k in range(idx.size):
        out[idx[k] : idx[k + 1] if k + 1 < idx.size else bars] = val[k]
    return out
