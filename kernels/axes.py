"""The different values of a search's parameters, and which of them each of its policies has.

The parameters of a search lie on grids, so a million trials hold a few thousand different stops, targets, moving stops
and time limits. Whoever has the exit of each of those has that of every trial.
"""

# pyright: reportArgumentType=false

from typing import NamedTuple

import numpy as np

from .arrays import NEVER, Floats, Ints, Policies, column
from .jit import compiled

TILE = 64  # rows of targets and of time limits that stay in the processor's cache together


class Axes(NamedTuple):
    """The different values of a search's parameters, each in the order in which their exits come later and later.

    ``sl`` float64[M] descending, ``tp`` float64[K] ascending, ``trail_pct`` float64[W] ascending (armed at once),
    ``time_ms`` int64[D] ascending.
    """

    sl: Floats
    tp: Floats
    trail_pct: Floats
    time_ms: Ints


def axes_of(policies: Policies) -> tuple[Axes, Policies, np.ndarray]:
    """Return the ``Axes`` of T policies of at most one target, their N stops that move, and each policy's rows.

    The stops that move are policies of nothing but a trailing stop or a breakeven, those of ``Axes`` first. The rows
    are int32[4, T]: of ``sl``, ``tp``, ``moving`` and ``time`` in ``Rows``.
    """
    trials = policies.sl.size
    tp = policies.tp[:, 0] if policies.tp.shape[1] else np.full(trials, np.inf)
    ranks = np.empty((4, trials), np.int32)
    sl, ranks[0] = _distinct(-policies.sl)
    targets, ranks[1] = _distinct(tp)
    limits, ranks[3] = _distinct(policies.time_ms)
    late = (policies.be_trigger < np.inf) | (policies.activate > 1.0)
    parts = (late, policies.trail_pct, policies.activate, policies.be_trigger, policies.be_offset)
    code = np.zeros(trials, np.int64)
    for part in parts:  # one number for each combination, in the order of the parts
        values, rank = _distinct(part.astype(np.float64))
        code = _distinct(code * values.size + rank)[1].astype(np.int64)
    codes, ranks[2] = _distinct(code)
    first = np.empty(codes.size, np.int64)
    first[ranks[2][::-1]] = np.arange(trials)[::-1]
    n, none = first.size, np.empty((first.size, 0))
    kept = (part[first] for part in (policies.be_trigger, policies.be_offset, policies.trail_pct, policies.activate))
    parts = (np.zeros(n), none, none.astype(np.int64), *kept, np.full(n, NEVER))
    moving = Policies(*(column(part, part.dtype) for part in parts))
    plain = int((~late[first]).sum())
    return (Axes(column(-sl), column(targets), moving.trail_pct[:plain], column(limits, np.int64)), moving, ranks)


def _distinct(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ascending different values, and the place of each value among them, int32; O(values)."""
    places, firsts = places_of(np.ascontiguousarray(values + 0).view(np.int64))  # + 0: there is one zero
    different = values[firsts]
    order = np.argsort(different)
    rank = np.empty(order.size, np.int32)
    rank[order] = np.arange(order.size)
    return different[order], rank[places]


@compiled
def places_of(words):
    """Return int64[T], the number of each of ``words`` in order of first appearance, and where those were."""
    size = 1024
    table, firsts = np.full(size, -1), np.empty(size // 2, np.int64)
    places, n = np.empty(words.size, np.int64), 0
    for i in range(words.size):
        if n == size // 2:  # half full: once more, with room for more
            size *= 2
            table, larger = np.full(size, -1), np.empty(size // 2, np.int64)
            larger[:n] = firsts[:n]
            firsts = larger
            for k in range(n):
                table[vacant(table, words, firsts, words[firsts[k]])] = k
        at = vacant(table, words, firsts, words[i])
        if table[at] < 0:
            table[at], firsts[n] = n, i
            n += 1
        places[i] = table[at]
    return places, firsts[:n].copy()


@compiled
def vacant(table, words, firsts, word):
    """Return where ``word`` stands in an open hash table, or where there is room for it."""
    mask = np.uint64(table.size - 1)
    at = ((np.uint64(word) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & mask
    while table[at] >= 0 and words[firsts[table[at]]] != word:
        at = (at + np.uint64(1)) & mask
    return at


def tiled(ranks, axes):
    """Return the order of policies in which rows of targets and of time limits stay in the processor's cache."""
    tiles = ranks[1] // TILE * (axes.time_ms.size // TILE + 1) + ranks[3] // TILE
    return np.argsort(tiles.astype(np.uint16 if tiles.max(initial=0) < 2**16 else np.int64), kind="stable")
