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
def past(x, low, high, above):
    """Return int8[N]: ``above`` (1 or -1) where ``x`` is above ``high``, its negative below ``low``, 0 between, NONE
    where it is NaN. ``low <= high``."""
    out = np.empty(x.size, np.int8)
    for i in range(x.size):
        a = x[i]
        out[i] = above if a > high else -above if a < low else 0 if a == a else NONE
    return out


@compiled
def beyond(x, one, other):
    """Return int8[N]: 1 where ``x`` is above both lines, -1 below both, 0 between, NONE where one of them is NaN."""
    out = np.empty(x.size, np.int8)
    for i in range(x.size):
        a, b, c = x[i], one[i], other[i]
        known = (a == a) & (b == b) & (c == c)
        side = np.int8((a > b) & (a > c)) - np.int8((a < b) & (a < c))
        out[i] = side if known else NONE
    return out


@compiled
def outside(x, middle, spread, k, above):
    """Return int8[N]: ``above`` (1 or -1) where ``x > middle + k * spread``, its negative where ``x < middle - k *
    spread``, 0 on and between these bands, NONE where they are NaN."""
    out = np.empty(x.size, np.int8)
    for i in range(x.size):
        a, width = x[i], k * spread[i]
        low, high = middle[i] - width, middle[i] + width
        out[i] = above if a > high else -above if a < low else 0 if (a <= high) & (a >= low) else NONE
    return out


@compiled
def reached(x, middle, spread, k):
    """Return int8[N]: 1 where ``x <= middle - k * spread``, -1 where ``x >= middle + k * spread``, 0 between these
    bands and where both are reached at once, NONE where they are NaN."""
    out = np.empty(x.size, np.int8)
    for i in range(x.size):
        a, width = x[i], k * spread[i]
        low, high = middle[i] - width, middle[i] + width
        side = np.int8(a <= low) - np.int8(a >= high)
        out[i] = side if (a == a) & (low == low) else NONE
    return out


@compiled
def near(x, lower, upper, part):
    """Return int8[N]: 1 where ``x <= lower * (1 + part)``, -1 where ``x >= upper * (1 - part)``, 0 between and where
    both hold, NONE where one of them is NaN."""
    out = np.empty(x.size, np.int8)
    for i in range(x.size):
        a, low, high = x[i], lower[i] * (1 + part), upper[i] * (1 - part)
        side = np.int8(a <= low) - np.int8(a >= high)
        out[i] = side if (a == a) & (low == low) & (high == high) else NONE
    return out


@compiled
def kept(signal, x, level):
    """Return int8[N]: each 1 or -1 held on until ``x`` reaches ``level``: from below after a 1, from above after a
    -1. What is NONE stays so and ends nothing."""
    out, now = np.empty(signal.size, np.int8), 0
    for i in range(signal.size):
        if signal[i] == NONE:
            out[i] = NONE
            continue
        ended = (now > 0 and x[i] >= level[i]) or (now < 0 and x[i] <= level[i])
        now = signal[i] if signal[i] != 0 or ended else now
        out[i] = now
    return out


@compiled
def agreed(one, other):
    """Return int8[N]: the value of two signals where they say the same, else 0; NONE where one of them is NONE."""
    out = np.empty(one.size, np.int8)
    for i in range(one.size):
        a, b = one[i], other[i]
        out[i] = NONE if (a == NONE) | (b == NONE) else a if a == b else 0
    return out


@compiled
def gated(signal, x, least):
    """Return int8[N]: the signal where ``x > least``, else 0; NONE where it is NONE or ``x`` is NaN."""
    out = np.empty(signal.size, np.int8)
    for i in range(signal.size):
        a = x[i]
        out[i] = NONE if (signal[i] == NONE) | (a != a) else signal[i] if a > least else 0
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
