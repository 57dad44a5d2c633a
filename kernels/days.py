"""What each trial of a search earned on each day of entry, from tables or bar by bar."""

# pyright: reportArgumentType=false

import numpy as np

from . import packed as p
from .arrays import Ints, column, of_rows
from .axes import axes_of, tiled
from .exits import FILL, micro, net_return, simulate
from .jit import compiled, share
from .staircase import index_all, leap
from .tables import blocks_of
from .walk import blocks_for, entry_of, policy_of, window_of

BLOCK = 4096  # alerts whose records are held at once


def by_day_tables(candles, windows, step, days: Ints, count: int, policies, rules, costs) -> Ints:
    """Return int64[T, count]: the sum of ``ret_q`` of every policy on the windows of each day, ``days`` int64[A].

    Windows, policies and rules as for ``tables.tally_tables``. O(levels + records) an alert and one step a trade.
    """
    axes, moving, ranks = axes_of(policies)
    order, inner = tiled(ranks, axes), np.argsort(days, kind="stable")
    ranks, order = column(ranks[:, order], np.int32), column(order, np.int64)
    windows, days = of_rows(windows, inner), days[inner]
    out, s = np.zeros((order.size, count), np.int64), 0
    for some, _, rows in blocks_of(candles, windows, step, axes, moving, rules, costs):
        these = days[s : s + some.first.size]
        starts = np.flatnonzero(np.diff(these, prepend=-1, append=-1))
        share(add_days, order.size, rows, ranks, order, starts, these[starts[:-1]], out)
        s += some.first.size
    return out


@compiled
def add_days(rows, ranks, order, starts, days, out, first, last):
    """Add a block of alerts, those from ``starts[s]`` to ``starts[s + 1]`` on day ``days[s]``, to ``out``.

    Row t of ``ranks`` is policy ``order[t]``.
    """
    sl, tp, moving, time = rows.sl, rows.tp, rows.moving, rows.time
    n, each = np.uint64(sl.shape[1]), np.empty(sl.shape[1], np.int64)
    for t in range(first, last):
        i, j, v, d = ranks[0, t], ranks[1, t], ranks[2, t], ranks[3, t]
        for a in range(n):  # apart from the sums: days are too short for loops over them to be made SIMD
            stop, free = min(sl[i, a], moving[v, a]), min(tp[j, a], time[d, a])
            each[a] = min(stop, free) & np.int64(p.RETURN)
        row = out[order[t]]
        for s in range(days.size):
            left = np.int64(0)
            for a in range(np.uint64(starts[s]), np.uint64(starts[s + 1])):
                left += each[a]
            row[days[s]] += (starts[s + 1] - starts[s]) * p.BIAS - left


def returns_bars(candles, windows, step, policies, rules, costs) -> Ints:
    """Return ``ret_q`` int64[A, T] of every policy on every window, from its first event on; 0 where it is not OK."""
    out = np.zeros((windows.first.size, policies.sl.size), np.int64)
    for s in range(0, windows.first.size, BLOCK):
        some = of_rows(windows, slice(s, s + BLOCK))
        index = index_all(candles, some)
        share(walk_all, some.first.size, candles, some, step, index, policies, rules, costs, out[s : s + BLOCK])
    return out


@compiled
def walk_all(candles, windows, step, index, policies, rules, costs, out, first, last):
    """Write the returns on windows ``first`` to ``last``."""
    for a in range(first, last):
        if windows.last[a] > windows.first[a]:
            bars, entry = window_of(candles, windows, a), entry_of(windows, a, step)
            blocks, nothing = blocks_for(bars), np.empty(0, FILL)
            for t in range(policies.sl.size):
                policy = policy_of(policies, t)
                done = simulate(bars, leap(index, a, entry, policy, bars.ts), policy, rules, nothing, blocks)
                out[a, t] = micro(net_return(done.gross, entry.price, costs))
