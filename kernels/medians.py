"""The exact median of every cell of a surface.

Inside a cell returns stand in order: alerts stopped at a gap, alerts stopped at the cell's stop, alerts that neither
level ends, alerts sold at the cell's target. Two of these groups are one number each, so a median is that number or one
of the open ends. Along a row of stops alerts only ever leave the stopped, and the open ends stand in a set of bits, in
order of return, that grows from left to right (KERNELS section 5).
"""

# pyright: reportArgumentType=false

import numpy as np

from . import packed as p
from .jit import compiled
from .runs import ends_from, exit_at
from .search import median
from .walk import entry_of

WORD, GROUP = 64, 16  # bits in a word; words in a group


@compiled
def insert(bits, counts, groups, place):
    """Put ``place`` into an ordered set: ``bits`` uint64[W], and how many there are in each word and each group."""
    word = place // WORD
    bits[word] |= np.uint64(1) << np.uint64(place % WORD)
    counts[word] += 1
    groups[word // GROUP] += 1


@compiled
def select(bits, counts, groups, r):
    """Return the member number ``r`` of an ordered set, from 0 on."""
    group, word = 0, 0
    while r >= groups[group]:
        r -= groups[group]
        group += 1
    word = group * GROUP
    while r >= counts[word]:
        r -= counts[word]
        word += 1
    left, place = bits[word], word * WORD
    for _ in range(r):
        left &= left - np.uint64(1)
    while left & np.uint64(1) == 0:
        left >>= np.uint64(1)
        place += 1
    return place


@compiled
def rank(bits, counts, groups, place):
    """Return how many members of an ordered set lie below ``place``."""
    word, below = place // WORD, 0
    for group in range(word // GROUP):
        below += groups[group]
    for w in range(word // GROUP * GROUP, word):
        below += counts[w]
    left = bits[word] & ((np.uint64(1) << np.uint64(place % WORD)) - np.uint64(1)) if word < bits.size else np.uint64(0)
    while left:
        left &= left - np.uint64(1)
        below += 1
    return below


@compiled
def advance(a, k, step, state, gaps, windows, levels, runs, end, costs):
    """Move alert ``a`` on to target ``k``; ``gaps`` int64[M] counts the alerts that each stop sells at a gap.

    ``state`` int64[5]: how many stops sell it before anything else, whether neither level ends it, the target at which
    that changes, and the runs of targets and of stops passed.
    """
    tp, n_tp = runs.tp[runs.tp_at[a] : runs.tp_at[a + 1]], runs.tp_n[a]
    sl, n_sl = runs.sl[runs.sl_at[a] : runs.sl_at[a + 1]], runs.sl_n[a]
    while state[3] < n_tp and tp[state[3]]["end"] <= k:
        state[3] += 1
    sold = state[3] < n_tp and tp[state[3]]["at"] < end >> p.KEY
    state[1], state[2] = not sold, tp[state[3]]["end"] if sold else levels.tp.size
    before = tp[state[3]]["at"] if sold else 1 << 62
    upto = levels.sl.size if sold else ends_from(sl, n_sl, levels, end, entry_of(windows, a, step), costs)
    while state[4] < n_sl and sl[state[4]]["at"] < before and state[0] < upto:
        beyond = min(sl[state[4]]["end"], upto)
        if sl[state[4]]["at"] & 7 == p.STOP_OPEN:
            for m in range(state[0], beyond):
                gaps[m] += 1
        state[0] = beyond
        state[4] += 1


@compiled
def gathered(k, m, step, windows, levels, runs, ends, costs):
    """Return the median of a cell the plain way: from all its returns."""
    values, flat = np.empty(ends.size, np.int64), levels.tp.reshape(levels.tp.size)
    for a in range(ends.size):
        entry = entry_of(windows, a, step)
        target = exit_at(runs.tp[runs.tp_at[a] : runs.tp_at[a + 1]], runs.tp_n[a], flat, k, False, entry, costs)
        stop = exit_at(runs.sl[runs.sl_at[a] : runs.sl_at[a + 1]], runs.sl_n[a], levels.sl, m, True, entry, costs)
        values[a] = p.returned(min(target, stop, ends[a]))
    return median(values)


@compiled
def first_of(values, value):
    """Return the first of the ascending ``values`` at or above ``value``."""
    s, e = 0, values.size
    while s < e:
        mid = (s + e) // 2
        if values[mid] >= value:
            e = mid
        else:
            s = mid + 1
    return s


@compiled
def holds(levels, level):
    """Return whether ``level`` is among a few ``levels``."""
    return (levels == level).any()


@compiled
def row(k, step, state, gaps, begin, order, windows, levels, runs, ends, places, costs, out):
    """Write the medians of the cells of target ``k``; alerts lie in ``order`` by the stops that sell them."""
    n, words, values = ends.size, (ends.size + WORD - 1) // WORD, places[1]
    bits, counts, groups = (
        np.zeros(words, np.uint64),
        np.zeros(words, np.int64),
        np.zeros(words // GROUP + 1, np.int64),
    )
    stopped, sold, opened, lowest, highest, x = n, 0, 0, n, -1, 0
    odd, tp_q, unsure = n % 2, levels.tp_q[k], holds(levels.tp_unsure, k)
    for m in range(levels.sl.size):
        while x < begin[m]:
            a = order[x]
            if state[a, 1]:
                insert(bits, counts, groups, places[0, a])
                opened += 1
                lowest, highest = min(lowest, places[0, a]), max(highest, places[0, a])
            else:
                sold += 1
            x += 1
        stopped = n - x
        sl_q, gap = levels.sl_q[m], gaps[m]
        under, upto = (
            0,
            opened,
        )  # open ends below the stop's return and up to the target's: a time limit can sell there
        if opened and values[lowest] < sl_q:
            under = rank(bits, counts, groups, first_of(values, sl_q))
        if opened and values[highest] > tp_q:
            upto = rank(bits, counts, groups, first_of(values, tp_q + 1))
        middle = np.zeros(2, np.int64)
        plain = not unsure and not holds(levels.sl_unsure, m)
        for half in range(2):
            r = (n - 1 + half) // 2
            if gap and r < gap + under:
                plain = False
            elif r < under:
                middle[half] = values[select(bits, counts, groups, r)]
            elif r < under + stopped:
                middle[half] = sl_q
            elif r < upto + stopped:
                middle[half] = values[select(bits, counts, groups, r - stopped)]
            elif r < upto + stopped + sold:
                middle[half] = tp_q
            else:
                middle[half] = values[select(bits, counts, groups, r - stopped - sold)]
        if not plain:
            out[m]["median_q"] = gathered(k, m, step, windows, levels, runs, ends, costs)
        else:
            out[m]["median_q"] = float(middle[0]) if odd else (float(middle[0]) + float(middle[1])) / 2


@compiled
def stripe(k0, k1, step, windows, levels, runs, ends, places, costs, out):
    """Write the medians of the cells of targets ``k0`` to ``k1``."""
    n, stops = ends.size, levels.sl.size
    state, gaps, order = (np.zeros((n, 5), np.int64), np.zeros(stops, np.int64), np.empty(n, np.int64))
    for k in range(k0, k1):
        begin = np.zeros(stops + 2, np.int64)
        for a in range(n):
            if state[a, 2] <= k:
                advance(a, k, step, state[a], gaps, windows, levels, runs, ends[a], costs)
            begin[state[a, 0] + 1] += 1
        for m in range(stops + 1):
            begin[m + 1] += begin[m]
        for a in range(n):
            order[begin[state[a, 0]]] = a
            begin[state[a, 0]] += 1
        row(k, step, state, gaps, begin, order, windows, levels, runs, ends, places, costs, out[k])


@compiled
def medians_of(windows, step, levels, runs, ends, places, costs, height, out, first, last):
    """Write the medians of some stripes of planes into ``out`` TALLY[D, K, M].

    ``ends`` int64[D, A]: each alert's exit where no level is reached before; ``places`` int64[D, 2, A]: the place of
    each alert in the order of those returns, and the returns in that order; ``height``: targets in a stripe. Targets
    fill gaps at their level. O(alerts + stops) a target, and O(alerts) in a cell of which more than half the alerts
    were stopped at gaps.
    """
    targets = levels.tp.size
    stripes = (targets + height - 1) // height
    for job in range(first, last):
        d, k0 = job // stripes, job % stripes * height
        k1 = min(targets, k0 + height)
        stripe(k0, k1, step, windows, levels, runs, ends[d], places[d], costs, out[d])
