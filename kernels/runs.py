"""Which levels of a grid one candle touches at once, in the order in which a path meets them.

Levels that one candle reaches have one exit but for the price, so a thousand levels are some fifty runs an alert.
"""

# pyright: reportArgumentType=false

from typing import Any, NamedTuple

import numpy as np

from . import packed as p
from .arrays import Floats, Ints, column
from .exits import net_return
from .jit import compiled, share
from .walk import entry_of

RUN = np.dtype([("end", "i8"), ("at", "i8"), ("ret_q", "i8")])


class Levels(NamedTuple):
    """The levels of a surface, and what selling at each returns: ``ret_q`` int64, the same for every entry price.

    ``tp`` float64[K, 1] ascending, ``sl`` float64[M] descending; ``*_unsure`` int64: the levels at which rounding
    might depend on the price all the same; those are looked at alert by alert. ``frac_bps`` int64[1]: all is sold.
    """

    tp: Floats
    tp_q: Ints
    tp_unsure: Ints
    sl: Floats
    sl_q: Ints
    sl_unsure: Ints
    frac_bps: Ints


class Runs(NamedTuple):
    """The levels that one candle touches at once, per alert and in order of touch.

    Runs of alert a are ``tp[tp_at[a] : tp_at[a] + tp_n[a]]`` (RUN), and likewise of ``sl``. ``end``: the first level
    beyond the run; ``at``: 8 times the candle plus what happens there (``packed``); ``ret_q``: of a fill at the open.
    """

    tp_at: Ints
    tp_n: Ints
    tp: Any
    sl_at: Ints
    sl_n: Ints
    sl: Any


def levels_of(sl: Floats, tp: Floats, costs) -> Levels:
    """Return the ``Levels`` of stops (descending) and targets (ascending)."""
    (tp_q, tp_unsure), (sl_q, sl_unsure) = _returns(tp, costs), _returns(sl, costs)
    return Levels(column(tp[:, None]), tp_q, tp_unsure, column(sl), sl_q, sl_unsure, column([10000], np.int64))


def _returns(levels: Floats, costs) -> tuple[Ints, Ints]:
    """Return ``ret_q`` of selling at each level, and which of them lie too near to a half to be sure."""
    micros = net_return(10000 * (1.0 * levels) / 10000, 1.0, costs) * 1e6
    unsure = np.abs(np.abs(micros - np.rint(micros)) - 0.5) <= 1e-12 * (1e6 + np.abs(micros))  # six roundings: 1e-15
    return column(np.rint(micros), np.int64), column(np.flatnonzero(unsure), np.int64)


@compiled
def beyond(levels, k, price, reach):
    """Return the first of ascending ``levels`` from ``k`` on with price * level above ``reach``; O(log levels)."""
    e = levels.size
    while k < e:
        mid = (k + e) // 2
        if price * levels[mid] > reach:
            e = mid
        else:
            k = mid + 1
    return k


@compiled
def beneath(levels, m, price, reach):
    """Return the first of descending ``levels`` from ``m`` on with price * level below ``reach``; O(log levels)."""
    e = levels.size
    while m < e:
        mid = (m + e) // 2
        if price * levels[mid] < reach:
            e = mid
        else:
            m = mid + 1
    return m


@compiled
def add_run(runs, n, end, bar, event, ret_q):
    """Write run ``n`` unless it is empty, and return how many there are."""
    if end > (runs[n - 1]["end"] if n else 0):
        runs[n]["end"], runs[n]["at"], runs[n]["ret_q"] = end, bar << 3 | event, ret_q
        n += 1
    return n


def runs_of(windows, step, index, levels, costs) -> Runs:
    """Return the ``Runs`` of every window; O(records * log levels)."""
    tp_at, sl_at = (column(2 * index.high_at, np.int64), column(2 * index.low_at, np.int64))
    n = windows.first.size
    found = Runs(
        tp_at, np.zeros(n, np.int64), np.empty(tp_at[n], RUN), sl_at, np.zeros(n, np.int64), np.empty(sl_at[n], RUN)
    )
    share(find_runs, n, windows, step, index, levels, costs, *found)
    return Runs(*(column(part, part.dtype) for part in found))


@compiled
def find_runs(windows, step, index, levels, costs, tp_at, tp_n, tp, sl_at, sl_n, sl, first, last):
    """Write the ``Runs`` of windows ``first`` to ``last`` into their columns."""
    targets = levels.tp.reshape(levels.tp.size)
    for a in range(first, last):
        entry = entry_of(windows, a, step)
        some, found = tp[tp_at[a] : tp_at[a + 1]], 0
        for i in range(index.high_at[a], index.high_at[a + 1]):
            record, begin = index.high[i], some[found - 1]["end"] if found else 0
            opened = begin
            if record["open"] >= entry.price:
                opened = beyond(targets, begin, entry.price, record["open"])
                found = add_run(some, found, opened, record["bar"], p.TARGET_OPEN, p.sold(record["open"], entry, costs))
            found = add_run(
                some, found, beyond(targets, opened, entry.price, record["price"]), record["bar"], p.TARGET, 0
            )
        tp_n[a] = found
        some, found = sl[sl_at[a] : sl_at[a + 1]], 0
        for i in range(index.low_at[a], index.low_at[a + 1]):
            record, begin = index.low[i], some[found - 1]["end"] if found else 0
            opened = begin
            if record["open"] <= entry.price:
                opened = beneath(levels.sl, begin, entry.price, record["open"])
                found = add_run(some, found, opened, record["bar"], p.STOP_OPEN, p.sold(record["open"], entry, costs))
            found = add_run(
                some, found, beneath(levels.sl, opened, entry.price, record["price"]), record["bar"], p.STOP_KNOWN, 0
            )
        sl_n[a] = found


@compiled
def ends_from(sl, n_sl, levels, end, entry, costs):
    """Return the first stop that the exit ``end`` comes before; of two stops known at once the higher one sells."""
    m, at = 0, end >> p.KEY
    for j in range(n_sl):
        if sl[j]["at"] > at:
            return m
        if sl[j]["at"] == at:
            while at & 7 == p.STOP_KNOWN and m < sl[j]["end"]:
                if p.sold(entry.price * levels.sl[m], entry, costs) <= p.returned(end):
                    return m
                m += 1
            return m
        m = sl[j]["end"]
    return m


@compiled
def exit_at(runs, n, levels, x, at_open, entry, costs):
    """Return the exit of level number ``x``, given its ``runs``; ``at_open``: gaps fill at the open."""
    for i in range(n):
        if x < runs[i]["end"]:
            at = runs[i]["at"]
            gap = at_open and at & 7 in (p.STOP_OPEN, p.TARGET_OPEN)
            ret_q = runs[i]["ret_q"] if gap else p.sold(entry.price * levels[x], entry, costs)
            return p.packed(at >> 3, at & 7, ret_q)
    return p.NEVER_KEY


@compiled
def within(runs, n, bar, until):
    """Return the first level touched at candle ``bar`` or later, and the first at ``until`` or later."""
    first, last = 0, 0
    for i in range(n):
        if runs[i]["at"] >> 3 < bar:
            first = runs[i]["end"]
        if runs[i]["at"] >> 3 < until:
            last = runs[i]["end"]
    return first, last
