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
LEAST = 0.25  # of a trial's variance is left in a resample: one that misses its only bad day is no certainty


class Standings(NamedTuple):
    """What makes sums of N trials over resampled days statistics; float64 throughout.

    ``scale`` [N] times a sum of days is √T times their mean over the trial's deviation. ``spread`` [N] times a sum of
    squares, less ``pull`` [N] times the squared statistic, is the variance in the resample over that in the sample.
    ``centres`` [3, N] are taken off: the trial's own statistic; Hansen's consistent choice, which does not centre a bad
    trial; and the lower, which centres at 0 at least.
    """

    scale: Floats
    spread: Floats
    pull: Floats
    centres: Floats


@compiled
def raise_highest(sums, squares, trials, joined, highs, first, last):
    """Raise ``highs`` float64[3, B], the highest statistic of any trial in resamples ``first`` to ``last``, squared.

    ``sums`` and ``squares`` float64[N, B] are of the days of N trials, and of their squared distances from the trial's
    mean, on B resamples; ``trials`` are their ``Standings``. Each row of ``highs`` is for one of its centres, the first
    leaves out the trials ``joined`` bool[N]. A statistic squared keeps its sign.
    """
    whole, consistent, lower = highs[0, first:last], highs[1, first:last], highs[2, first:last]
    for k in range(joined.size):
        some, squared = sums[k, first:last], squares[k, first:last]
        scale, spread, pull = trials.scale[k], trials.spread[k], trials.pull[k]
        own, less, least = trials.centres[0, k], trials.centres[1, k], trials.centres[2, k]
        floor = np.inf if joined[k] else 0.0
        for b in range(some.size):
            value = some[b] * scale
            weight = weight_of(spread * squared[b], pull, value - own)
            whole[b] = max(whole[b], signed_square(value - own) * weight - floor)
            consistent[b] = max(consistent[b], signed_square(value - less) * weight)
            lower[b] = max(lower[b], signed_square(value - least) * weight)


@compiled
def fill_statistics(sums, squares, trials, out, first, last):
    """Write the statistics, squared, of trials ``first`` to ``last`` in each resample, float64[N, B]; fully centred."""
    for k in range(first, last):
        scale, spread, pull, own = trials.scale[k], trials.spread[k], trials.pull[k], trials.centres[0, k]
        for b in range(out.shape[1]):
            value = sums[k, b] * scale - own
            out[k, b] = signed_square(value) * weight_of(spread * squares[k, b], pull, value)


@compiled
def weight_of(about, pull, value):
    """Return 1 over the variance in a resample, given that about the sample's mean, and how far its own mean lies."""
    return 1.0 / max(about - pull * (value * value), LEAST)


@compiled
def signed_square(value):
    """Return the square of a number with its sign."""
    return value * abs(value)


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
    rows = centred[length > 0] / length[length > 0, None]
    out = np.zeros((sums.shape[1], sums.shape[1]))
    share(add_products, len(out), rows, out)
    return np.tril(out) + np.tril(out, -1).T


@compiled
def add_products(rows, out, first, last):
    """Add the products of some days of float64[N, T] with all up to them to ``out`` float64[T, T]."""
    for i in range(first, last):
        found = out[i, : i + 1]
        for k in range(rows.shape[0]):
            one, others = rows[k, i], rows[k, : i + 1]
            for j in range(found.size):
                found[j] += one * others[j]
