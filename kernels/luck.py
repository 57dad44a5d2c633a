"""How high the best of many trials without skill would stand, and how often the best of one half leads in the other.

Hansen, "A test for superior predictive ability" (JBES 2005), studentised; Romano and Wolf, "Stepwise multiple testing
as formalized data snooping" (Econometrica 2005); Bailey, Borwein, López de Prado and Zhu, "The probability of backtest
overfitting" (J. Computational Finance 2017).
"""

# pyright: reportArgumentType=false

from itertools import combinations
from typing import NamedTuple

import numpy as np

from .arrays import Floats, Ints
from .jit import compiled, share

TILE = 4096  # trials whose block sums stay in the processor's cache


@compiled
def raise_highest(means, scale, centre, least, joined, highs, first, last):
    """Raise ``highs`` float64[B, 3], the highest statistic of any trial in each resample, rows ``first`` to ``last``.

    ``means`` float64[B, N] are of N trials on B resamples, ``scale`` and ``centre`` float64[N] what makes them and the
    trial's own mean √T over its deviation. Column 0 is centred fully and leaves out the trials ``joined`` bool[N]; 1 is
    Hansen's consistent choice, which does not centre a trial below ``least``; 2 the lower, which centres at 0 at most.
    """
    for b in range(first, last):
        whole, consistent, lower = highs[b, 0], highs[b, 1], highs[b, 2]
        for k in range(scale.size):
            value, own = means[b, k] * scale[k], centre[k]
            if not joined[k]:
                whole = max(whole, value - own)
            consistent = max(consistent, value - own if own >= least else value)
            lower = max(lower, value - max(own, 0.0))
        highs[b, 0], highs[b, 1], highs[b, 2] = whole, consistent, lower


def p_value(highs: Floats, statistic: float) -> float:
    """Return how often chance comes up to ``statistic``: (1 + resamples that reach it) / (1 + resamples), never 0."""
    return (1 + int((highs >= statistic).sum())) / (1 + highs.size)


def step_down(statistics: Floats, resampled: Floats, rest: Floats) -> Floats:
    """Return each trial's p-value allowing for all the trials tried (Romano and Wolf), float64[K].

    ``statistics`` float64[K] descend; ``resampled`` float64[K, B] are those trials' in each resample, and ``rest``
    float64[B] the highest of all other trials, none of which has a higher statistic.
    """
    found, high = np.empty(statistics.size), rest.copy()
    for j in range(statistics.size - 1, -1, -1):
        np.maximum(high, resampled[j], out=high)
        found[j] = p_value(high, statistics[j])
    return np.maximum.accumulate(found)


@compiled
def add_groups(sums, group, out, first, last):
    """Add day d of each row of ``sums`` int64[N, T] to ``out[group[d]]`` int64[G, N]; -1: to none."""
    for k in range(first, last):
        for d in range(group.size):
            if group[d] >= 0:
                out[group[d], k] += sums[k, d]


def grouped(sums: Ints, group: Ints, groups: int) -> Ints:
    """Return int64[groups, N], the sums of the days of each group of every trial, given int64[N, T]; -1: none."""
    out = np.zeros((groups, sums.shape[0]), np.int64)
    share(add_groups, sums.shape[0], sums, group, out)
    return out


class Halves(NamedTuple):
    """Of each way to choose half of the blocks: the trial that is best there, and what became of it in the other half.

    ``chosen`` int64[C]; ``inside`` and ``outside`` int64[C], its sums; ``rank`` float64[C] its rank outside, 1 is the
    worst, ties share the average; ``blocks`` bool[C, S] which are inside.
    """

    blocks: np.ndarray
    chosen: Ints
    inside: Ints
    outside: Ints
    rank: Floats


def halves_of(sums: Ints) -> Halves:
    """Return the ``Halves`` of N trials' sums in S blocks, int64[S, N]; O(2^S N). Of equals the first is chosen."""
    blocks = sums.shape[0]
    chosen = np.array(list(combinations(range(blocks), blocks // 2)))
    inside = np.zeros((len(chosen), blocks), np.bool_)
    np.put_along_axis(inside, chosen, True, axis=1)
    best = np.full((len(chosen), 3), np.iinfo(np.int64).min)
    ranks = np.zeros((len(chosen), 2), np.int64)
    share(choose, len(chosen), sums, inside, best)
    share(rank, len(chosen), sums, inside, best, ranks)
    return Halves(inside, best[:, 0], best[:, 1], best[:, 2], ranks[:, 0] + (ranks[:, 1] + 1) / 2)


@compiled
def choose(sums, inside, best, first, last):
    """Write (trial, its sum inside, its sum outside) of the best trial of some halves."""
    here = np.empty(TILE, np.int64)
    for begin in range(0, sums.shape[1], TILE):
        end = min(sums.shape[1], begin + TILE)
        for c in range(first, last):
            add_half(sums, inside[c], True, begin, end, here)
            high = here[0]
            for k in range(end - begin):
                high = max(high, here[k])
            if begin == 0 or high > best[c, 1]:
                k = 0
                while here[k] < high:
                    k += 1
                best[c, 0], best[c, 1], best[c, 2] = begin + k, high, 0
                for s in range(sums.shape[0]):
                    best[c, 2] += np.int64(0) if inside[c, s] else sums[s, begin + k]


@compiled
def rank(sums, inside, best, ranks, first, last):
    """Count the trials below, and those equal to, the best of some halves outside."""
    here = np.empty(TILE, np.int64)
    for begin in range(0, sums.shape[1], TILE):
        end = min(sums.shape[1], begin + TILE)
        for c in range(first, last):
            add_half(sums, inside[c], False, begin, end, here)
            below, equal = 0, 0
            for k in range(end - begin):
                below += here[k] < best[c, 2]
                equal += here[k] == best[c, 2]
            ranks[c, 0] += below
            ranks[c, 1] += equal


@compiled
def add_half(sums, inside, wanted, begin, end, out):
    """Write the sums of trials ``begin`` to ``end`` over the blocks that are inside, or over those that are not."""
    for k in range(end - begin):
        out[k] = 0
    for s in range(sums.shape[0]):
        if inside[s] == wanted:
            for k in range(end - begin):
                out[k] += sums[s, begin + k]


def gram_of(sums: Ints) -> Floats:
    """Return Z'Z float64[T, T] of N trials' days int64[N, T], each row centred and of length 1; O(N T²).

    Rows that do not vary are left out. Added up in one order, whatever the number of threads.
    """
    centred = sums - sums.mean(axis=1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=1))
    rows = np.ascontiguousarray((centred[length > 0] / length[length > 0, None]).T)
    out = np.zeros((sums.shape[1], sums.shape[1]))
    share(add_products, len(out), rows, out)
    return out


@compiled
def add_products(rows, out, first, last):
    """Add the products of some rows of float64[T, N] with all of them to ``out`` float64[T, T]."""
    for i in range(first, last):
        for j in range(rows.shape[0]):
            total = 0.0
            for k in range(rows.shape[1]):
                total += rows[i, k] * rows[j, k]
            out[i, j] = total
