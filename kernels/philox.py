"""Counter-based random numbers: trial i is trial i, however the work is cut.

Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
key = seed, counter = (trial low, trial high, dimension, stream).
"""

import numpy as np

from .jit import compiled

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)


@compiled
def philox(c0, c1, c2, c3, k0, k1):
    """Return the four 32-bit words (as uint64) for a counter of four and a key of two 32-bit words (uint64)."""
    for _ in range(10):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (p1 >> _32) ^ c1 ^ k0, p1 & _LOW, (p0 >> _32) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@compiled
def words(value):
    """Return the low and the high 32-bit word (as uint64) of a 64-bit integer, signed or not."""
    return np.uint64(value & 0xFFFFFFFF), np.uint64((value >> 32) & 0xFFFFFFFF)


@compiled
def uniform(seed, trial, dimension, stream):
    """Return the float in [0, 1) of one draw, a multiple of 2**-53.

    ``seed`` and ``trial`` are 64-bit, signed or not (from 2**63 on as ``np.uint64``); the others are 32-bit.
    """
    (s0, s1), (t0, t1) = words(seed), words(trial)
    a, b, _, _ = philox(t0, t1, np.uint64(dimension), np.uint64(stream), s0, s1)
    return np.float64(((a << _32) | b) >> np.uint64(11)) * 2.0**-53


@compiled
def uniforms(seed, first, count, dimension, stream):
    """Return float64[count]: the draws of trials ``first`` to ``first + count - 1`` in one dimension."""
    out = np.empty(count)
    for i in range(count):
        out[i] = uniform(seed, first + i, dimension, stream)
    return out
