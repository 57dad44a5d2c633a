"""What several signals come to: the mean of their votes, the side of most or of all. NONE in a signal is no vote."""

# pyright: reportArgumentType=false

import numpy as np

from .jit import compiled
from .signals import NONE

CLOSE_ENOUGH = 1e-9  # of a vote to zero or to what it must reach: 0.1 + 0.2 is not 0.3


@compiled
def mean_vote(signals, weights, warm):
    """Return float64[N] from -1 to 1: of ``signals`` int8[M, N] the sum of weight times value over the sum of weights,
    of those that vote, added up in their order. 0 where none does, NaN where ``warm`` is false."""
    out = np.empty(warm.size)
    for i in range(warm.size):
        total, of = 0.0, 0.0
        for m in range(weights.size):
            if signals[m, i] != NONE:
                total += weights[m] * signals[m, i]
                of += weights[m]
        out[i] = np.nan if not warm[i] else total / of if of > 0.0 else 0.0
    return out


@compiled
def common_vote(signals, all_of_them, warm):
    """Return float64[N]: the side, 1 or -1, of more than half of those that vote, or of ``all_of_them``; 0 where there
    is none, NaN where ``warm`` is false. Who votes 0 is counted."""
    out = np.empty(warm.size)
    for i in range(warm.size):
        there, longs, shorts = 0, 0, 0
        for m in range(signals.shape[0]):
            there += signals[m, i] != NONE
            longs += signals[m, i] == 1
            shorts += signals[m, i] == -1
        need = there if all_of_them else there // 2 + 1
        side = 1.0 if longs >= need and longs else -1.0 if shorts >= need and shorts else 0.0
        out[i] = side if warm[i] else np.nan
    return out


@compiled
def sides(votes):
    """Return int8[N]: 1 or -1, the side of a vote; 0 where it is NaN or only rounding keeps it from zero."""
    out = np.empty(votes.size, np.int8)
    for i in range(votes.size):
        out[i] = 1 if votes[i] > CLOSE_ENOUGH else -1 if votes[i] < -CLOSE_ENOUGH else 0
    return out
