"""Many policies over all alerts, bar by bar: the exact outcome of every trial on every window, and sums of them.

One alert's candles stay in the processor's cache while every trial of a block runs over them. The extremes of each 16
candles, made once an alert, let a trial leap over what cannot concern it; where anything can happen the state machine
of ``exits`` decides, so results equal it by construction.
"""

import numpy as np

from .arrays import BE, SL, TRAIL
from .bounds import NOTE, bracket
from .exits import FILL, micro, net_return, simulate
from .jit import compiled, compiled_parallel, prange
from .walk import blocks_for, entry_of, policy_of, window_of

TALLY = np.dtype(
    [
        *((name, "i8") for name in ("trades", "wins", "stop_outs", "ambiguous")),
        *((name, "i8") for name in ("sum_q", "gain_q", "loss_q", "worst_q", "best_q")),
        ("median_q", "f8"),
    ]
)
AMBIGUOUS = 8  # added to the reason in an outcome byte
GROUP = 8  # trials tallied together: one cache line of returns


@compiled_parallel
def search_all(candles, windows, step, policies, rules, costs):
    """Return (ret_q, worst_q, best_q int64[A, T], outcome int8[A, T], candles int64[A]) of every trial on every window.

    Returns are in millionths (``exits.micro``). ``outcome`` is the reason, plus AMBIGUOUS where worst and best may
    differ; 0 where the window is not OK. ``candles`` counts, an alert, the candles its trades lived through.
    """
    n, trials = windows.first.size, policies.sl.size
    ret_q = np.zeros((n, trials), np.int64)
    worst_q = np.zeros((n, trials), np.int64)
    best_q = np.zeros((n, trials), np.int64)
    outcome = np.zeros((n, trials), np.int8)
    lived = np.zeros(n, np.int64)
    for a in prange(n):
        if windows.last[a] > windows.first[a]:
            bars, entry = window_of(candles, windows, a), entry_of(windows, a, step)
            blocks, nothing, unnoted = blocks_for(bars), np.empty(0, FILL), np.empty(0, NOTE)
            for t in range(trials):
                policy = policy_of(policies, t)
                done = simulate(bars, entry, policy, rules, nothing, blocks)
                ret_q[a, t] = micro(net_return(done.gross, entry.price, costs))
                worst_q[a, t], best_q[a, t], outcome[a, t] = ret_q[a, t], ret_q[a, t], done.reason
                lived[a] += done.bar + 1
                if done.doubt:
                    found = bracket(bars, entry, policy, rules, unnoted, blocks)
                    worst_q[a, t] = micro(net_return(found.worst, entry.price, costs))
                    best_q[a, t] = micro(net_return(found.best, entry.price, costs))
                    outcome[a, t] += AMBIGUOUS if found.n_ambiguous else 0
    return ret_q, worst_q, best_q, outcome, lived


@compiled
def part(values, k):
    """Reorder int64 ``values`` so that none of the first ``k`` is above ``values[k]`` and none of the rest below.

    Hoare's FIND (CACM 1961); numba takes nine seconds longer to compile ``np.partition``.
    """
    lo, hi = 0, values.size - 1
    while lo < hi:
        pivot, i, j = values[(lo + hi) // 2], lo, hi
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i, j = i + 1, j - 1
        if k <= j:
            hi = j
        elif k >= i:
            lo = i
        else:
            return


@compiled
def median(values):
    """Return the median of int64 ``values``, which are reordered: the mean of the middle two of an even number."""
    if values.size == 0:
        return np.nan
    half = values.size // 2
    part(values, half)
    if values.size % 2:
        return float(values[half])
    below = values[0]
    for i in range(1, half):
        below = max(below, values[i])
    return (float(below) + float(values[half])) / 2


@compiled
def tally(ret_q, worst_q, best_q, outcome, out):
    """Write the sums of one trial, given its returns on every alert, into ``out`` (a TALLY row)."""
    kept, n = np.empty(ret_q.size, np.int64), 0
    for a in range(ret_q.size):
        if outcome[a]:
            kept[n] = ret_q[a]
            n += 1
            reason = outcome[a] & (AMBIGUOUS - 1)
            out["ambiguous"] += outcome[a] >= AMBIGUOUS
            out["stop_outs"] += reason in (SL, BE, TRAIL)
            out["sum_q"] += ret_q[a]
            out["worst_q"] += worst_q[a]
            out["best_q"] += best_q[a]
            if ret_q[a] > 0:
                out["wins"] += 1
                out["gain_q"] += ret_q[a]
            else:
                out["loss_q"] -= ret_q[a]
    out["trades"], out["median_q"] = n, median(kept[:n])


@compiled_parallel
def tally_all(ret_q, worst_q, best_q, outcome):
    """Return TALLY[T] of the matrices that ``search_all`` returns."""
    n, trials = ret_q.shape
    out = np.zeros(trials, TALLY)
    for g in prange((trials + GROUP - 1) // GROUP):
        s, e = g * GROUP, min(trials, g * GROUP + GROUP)
        columns = np.empty((4, e - s, n), np.int64)
        for a in range(n):
            for t in range(s, e):
                columns[0, t - s, a], columns[1, t - s, a] = ret_q[a, t], worst_q[a, t]
                columns[2, t - s, a], columns[3, t - s, a] = best_q[a, t], outcome[a, t]
        for t in range(s, e):
            tally(columns[0, t - s], columns[1, t - s], columns[2, t - s], columns[3, t - s], out[t])
    return out
