"""A search in tables: every trial's additive statistics at a fraction of a nanosecond a trade, exact.

The exit of each different stop, target, moving stop and time limit (``axes``) is found once an alert (``packed``); a
trial then is the smallest of four integers, and its statistics are sums over rows of them (KERNELS section 4). Worst
and best outcome differ from the pessimistic one only where a candle could have gone another way. For stops and targets
fixed at entry that too is one comparison; where a stop moved inside its exit candle, ``bounds.bracket`` decides,
started at that candle.
"""

# pyright: reportArgumentType=false

from typing import NamedTuple

import numpy as np

from . import packed as p
from .arrays import Floats, Ints, column, of_rows
from .axes import axes_of, tiled
from .bounds import NOTE, bracket
from .exits import micro, net_return
from .jit import compiled, share
from .search import TALLY
from .staircase import index_all, peak_before
from .walk import entry_of, no_blocks, policy_of, starting, window_of

CANDLE = p.KEY + 3  # where the candle begins in an exit
NOTES = 16  # candles noted of a stop whose paths part
_SUMS = ("left", "stops", "wins", "left_won", "best_left", "best_stops", "more_worst", "more_best", "more_ambiguous")
SUMS = np.dtype([(name, "i8") for name in _SUMS])


class Rows(NamedTuple):
    """The exits of ``Axes`` on a block of B alerts, as ``packed`` integers: int64[M, B], [K, B], [N, B] and [D, B].

    ``clean`` bool[N, B] as in ``packed.trails``.
    """

    sl: Ints
    tp: Ints
    moving: Ints
    time: Ints
    clean: np.ndarray


class Partings(NamedTuple):
    """Where the paths of a moving stop part: it moved in its exit candle, so some paths end there and others go on.

    Row v of ``Rows.moving`` owns the entries ``starts[v]`` to ``starts[v + 1]``, int64[N + 1]. Of each: ``alert``
    int64[X]; ``alone`` int64[X, 4], what the stop alone can come to: its worst and best ``ret_q``, whether they are
    ambiguous, and the exit that every path is over before; ``noted`` int64[X, NOTES, 4], each candle in which a path
    can end (-1: no more), with the worst and the best ``ret_q`` up to then and the lowest of that candle; ``turn``
    float64[X, NOTES], the price that is reached before that lowest. ``more`` int64[X, 4]: what those three of ``alone``
    differ by from the stop's pessimistic exit, its best exit and a stop that is sure; and where its candle begins.
    """

    starts: Ints
    alert: Ints
    alone: Ints
    noted: Ints
    turn: Floats
    more: Ints


def rows_of(candles, windows, step, index, axes, moving, rules, costs) -> Rows:
    """Return the ``Rows`` of a block of windows, all of them OK."""
    n, stops = windows.first.size, moving.sl.size
    sl, tp, stop, time = (
        np.empty((size, n), np.int64) for size in (axes.sl.size, axes.tp.size, stops, axes.time_ms.size)
    )
    found = Rows(sl, tp, stop, time, np.empty((stops, n), np.bool_))
    share(fill_rows, n, candles, windows, step, index, axes, moving, rules, costs, *found)
    return found


@compiled
def fill_rows(candles, windows, step, index, axes, moving, rules, costs, sl, tp, stop, time, clean, first, last):
    """Write the exits of windows ``first`` to ``last`` into the columns of ``Rows``."""
    for a in range(first, last):
        bars, entry = window_of(candles, windows, a), entry_of(windows, a, step)
        p.stops(index, a, entry, axes.sl, costs, sl[:, a])
        p.targets(index, a, entry, axes.tp, rules.tp_at_open, costs, tp[:, a])
        p.times(bars, entry, axes.time_ms, costs, time[:, a])
        p.trails(index, a, entry, axes.trail_pct, costs, stop[:, a], clean[:, a])
        for v in range(axes.trail_pct.size, moving.sl.size):
            stop[v, a], clean[v, a] = p.moving(index, a, bars, entry, policy_of(moving, v), rules, costs)


def partings_of(candles, windows, step, index, rows, moving, rules, costs) -> Partings:
    """Return the ``Partings`` of a block of windows."""
    row, alert = np.nonzero(~rows.clean)
    alone, noted = np.empty((alert.size, 4), np.int64), np.empty((alert.size, NOTES, 4), np.int64)
    turn, more = np.empty(noted.shape[:2]), np.empty((alert.size, 4), np.int64)
    starts = np.searchsorted(row, np.arange(moving.sl.size + 1))
    found = Partings(starts, alert, alone, noted, turn, more)
    share(part, alert.size, candles, windows, step, index, rows, moving, rules, costs, row, *found[1:])
    return found


@compiled
def part(candles, windows, step, index, rows, moving, rules, costs, row, alert, alone, noted, turn, more, first, last):
    """Write some ``Partings``, of which ``alert`` and ``row`` int64[X], the moving stop of each, are known."""
    for x in range(first, last):
        a, v, notes = alert[x], row[x], np.zeros(NOTES, NOTE)
        for k in range(NOTES):
            notes[k]["bar"] = -1
        bars, entry = window_of(candles, windows, a), entry_of(windows, a, step)
        there = started(index, a, entry, rows.moving[v, a])
        found = parted(bars, there, policy_of(moving, v), rules, costs, notes)
        alone[x, 0], alone[x, 1], alone[x, 2] = found[0], found[1], found[2]
        alone[x, 3] = min(found[3] + 1, bars.ts.size) << CANDLE
        this, other = rows.moving[v, a], p.latest(rows.moving[v, a])
        more[x, 0], more[x, 1] = found[0] - p.returned(this), found[1] - p.returned(other)
        more[x, 2], more[x, 3] = found[2] - p.stopped(this) + p.stopped(other), this >> CANDLE << CANDLE
        for k in range(NOTES):
            noted[x, k, 0], turn[x, k] = notes[k]["bar"], notes[k]["turn"]
            noted[x, k, 1] = net(notes[k]["worst"], entry, costs)
            noted[x, k, 2] = net(notes[k]["best"], entry, costs)
            noted[x, k, 3] = net(notes[k]["own"], entry, costs)


@compiled
def add_up(
    candles, windows, step, index, rows, ranks, partings, policies, order, targets, rules, costs, sums, first, last
):
    """Add a block of at most ``packed.TOGETHER`` alerts to ``sums`` SUMS[T]; ``ranks`` int32[4, T] as in ``axes_of``.

    Row t of both is policy ``order[t]``.
    """
    sl, tp, moving, time = rows.sl, rows.tp, rows.moving, rows.time
    n, low, unnoted = (np.uint64(sl.shape[1]), np.int64((1 << p.KEY) - 1), np.empty(0, NOTE))
    for t in range(first, last):
        i, j, v, d = ranks[0, t], ranks[1, t], ranks[2, t], ranks[3, t]
        total, best, wins, won = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
        for a in range(n):
            stop, free = min(sl[i, a], moving[v, a]), min(tp[j, a], time[d, a])
            this, other = min(stop, free), min(p.latest(stop), free)
            left = this & np.int64(p.RETURN)
            total += this & low
            best += other & low
            wins += np.int64(left < p.BIAS)
            won += left if left < p.BIAS else np.int64(0)
        row = sums[t]
        row["left"] += total & ((1 << p.STOP) - 1)  # stops are counted in the bits from STOP on
        row["stops"] += total >> p.STOP
        row["best_left"] += best & ((1 << p.STOP) - 1)
        row["best_stops"] += best >> p.STOP
        row["wins"] += wins
        row["left_won"] += won
        worst, most, unsure = np.int64(0), np.int64(0), np.int64(0)
        for x in range(partings.starts[v], partings.starts[v + 1]):
            q = partings.alert[x]
            met = min(sl[i, q], tp[j, q], time[d, q])
            alone = np.int64(met >= partings.alone[x, 3])  # no branch: it could not be foreseen
            worst += alone * partings.more[x, 0]
            most += alone * partings.more[x, 1]
            unsure += alone * partings.more[x, 2]
            if partings.more[x, 3] <= met < partings.alone[x, 3]:
                moved, fixed, free = moving[v, q], sl[i, q], min(tp[j, q], time[d, q])
                found = outcome(partings, x, fixed, free, windows.price[q] * targets[j])
                if found[2] < 0:
                    bars, entry = window_of(candles, windows, q), entry_of(windows, q, step)
                    there = started(index, q, entry, moved)
                    found = parted(bars, there, policy_of(policies, order[t]), rules, costs, unnoted)[:3]
                this, other = min(met, moved), min(p.latest(min(fixed, moved)), free)
                worst += found[0] - p.returned(this)
                most += found[1] - p.returned(other)
                unsure += found[2] - p.stopped(this) + p.stopped(other)
        row["more_worst"] += worst
        row["more_best"] += most
        row["more_ambiguous"] += unsure


@compiled
def outcome(partings, x, fixed, free, level):
    """Return (worst, best, whether they are ambiguous) of a trade whose moving stop parts at entry ``x``.

    ``fixed`` is the exit of its stop loss, ``free`` that of its target (at price ``level``) or time limit; neither is
    before the parting. What the stop alone can come to holds for a trade that is over only when its last path is. One
    that ends at an open, or between two of the candles noted, adds its own end; one that is sold at its target in such
    a candle, that or the lowest of the candle. The few others must be walked: ambiguous is -1.
    """
    first = min(fixed, free)
    if first >= partings.alone[x, 3]:
        return partings.alone[x, 0], partings.alone[x, 1], partings.alone[x, 2]
    bar, event, k = first >> CANDLE, first >> p.KEY & 7, 0
    while k < NOTES and 0 <= partings.noted[x, k, 0] < bar:
        k += 1
    if k == NOTES:
        return np.int64(0), np.int64(0), np.int64(-1)
    here = partings.noted[x, k, 0] == bar
    if event in (p.TIME_UP, p.STOP_OPEN, p.TARGET_OPEN) or not (here or bar + 1 == partings.alone[x, 3] >> CANDLE):
        worst, best, unsure = p.returned(first), p.returned(min(p.latest(fixed), free)), np.int64(k > 0)
    elif here and event == p.TARGET and fixed >> CANDLE > bar:
        worst, best, unsure = p.returned(free), p.returned(free), np.int64(k > 0 or level > partings.turn[x, k])
        if level > partings.turn[x, k]:
            worst, best = min(worst, partings.noted[x, k, 3]), max(best, partings.noted[x, k, 3])
    else:
        return np.int64(0), np.int64(0), np.int64(-1)
    if k:
        worst, best = min(worst, partings.noted[x, k - 1, 1]), max(best, partings.noted[x, k - 1, 2])
    return worst, best, unsure


@compiled
def started(index, a, entry, stop):
    """Return ``entry`` (of window ``a``), started at the candle of the exit ``stop``."""
    bar = stop >> CANDLE
    return starting(entry, bar, peak_before(index, a, entry.price, bar))


@compiled
def parted(bars, entry, policy, rules, costs, notes):
    """Return (worst, best, whether they are ambiguous, last candle) of one trade; returns as ``ret_q``."""
    found = bracket(bars, entry, policy, rules, notes, no_blocks())
    worst, best = net(found.worst, entry, costs), net(found.best, entry, costs)
    return worst, best, np.int64(found.n_ambiguous > 0), found.bar


@compiled
def net(gross, entry, costs):
    """Return the ``ret_q`` of a fraction-weighted fill price."""
    return micro(net_return(gross, entry.price, costs))


def tally_tables(candles, windows, step, policies, rules, costs, advance=lambda done: None):
    """Return TALLY[T], without medians, of every policy on all windows.

    ``windows`` are all OK and all ``fits_all``; ``policies`` hold at most one target, which sells all; ``rules`` are
    pessimistic and not legacy. O(levels + records) an alert and one step a trade, measured at 0.2 to 0.3 ns on two
    threads where stops stand still; memory for 256 alerts times the different levels, and 72 bytes a policy.
    ``advance`` is told how many alerts are done.
    """
    axes, moving, ranks = axes_of(policies)
    order = tiled(ranks, axes)
    ranks, order = column(ranks[:, order], np.int32), column(order, np.int64)
    sums = np.zeros(order.size, SUMS)
    for some, index, rows in blocks_of(candles, windows, step, axes, moving, rules, costs, advance):
        partings = partings_of(candles, some, step, index, rows, moving, rules, costs)
        made = (index, rows, ranks, partings, policies, order, axes.tp, rules, costs, sums)
        share(add_up, order.size, candles, some, step, *made)
    out, trades = np.empty(order.size, TALLY), windows.first.size
    total, gain = (trades * p.BIAS - sums["left"], sums["wins"] * p.BIAS - sums["left_won"])
    found = {
        "trades": trades,
        "wins": sums["wins"],
        "stop_outs": sums["stops"],
        "ambiguous": sums["stops"] - sums["best_stops"] + sums["more_ambiguous"],
        "sum_q": total,
        "gain_q": gain,
        "loss_q": gain - total,
        "worst_q": total + sums["more_worst"],
        "best_q": trades * p.BIAS - sums["best_left"] + sums["more_best"],
        "median_q": np.nan,
    }
    for name, values in found.items():
        out[name][order] = values
    return out


def returns_tables(candles, windows, step, policies, rules, costs):
    """Return ``ret_q`` int64[T, A] of every policy on all windows; arguments as for ``tally_tables``."""
    axes, moving, ranks = axes_of(policies)
    out, s = np.empty((ranks.shape[1], windows.first.size), np.int64), 0
    for some, _, rows in blocks_of(candles, windows, step, axes, moving, rules, costs):
        share(unpack, ranks.shape[1], rows, column(ranks, np.int32), out[:, s : s + some.first.size])
        s += some.first.size
    return out


def blocks_of(candles, windows, step, axes, moving, rules, costs, advance=lambda done: None):
    """Yield (windows, index, rows) of each block of alerts."""
    for s in range(0, windows.first.size, p.TOGETHER):
        some = of_rows(windows, slice(s, s + p.TOGETHER))
        index = index_all(candles, some)
        yield (some, index, rows_of(candles, some, step, index, axes, moving, rules, costs))
        advance(s + some.first.size)


@compiled
def unpack(rows, ranks, out, first, last):
    """Write the return of every trade of some trials on a block into ``out`` int64[T, B]."""
    for t in range(first, last):
        i, j, v, d = ranks[0, t], ranks[1, t], ranks[2, t], ranks[3, t]
        for a in range(out.shape[1]):
            stop, free = (min(rows.sl[i, a], rows.moving[v, a]), min(rows.tp[j, a], rows.time[d, a]))
            out[t, a] = p.returned(min(stop, free))


def fits_all(candles, windows, step, costs):
    """Return bool[A]: which windows' exits can be written as integers (``packed``); False where not OK."""
    out = np.zeros(windows.first.size, np.bool_)
    share(ask_fits, out.size, candles, windows, step, costs, out)
    return out


@compiled
def ask_fits(candles, windows, step, costs, out, first, last):
    """Write whether windows ``first`` to ``last`` fit into ``out``."""
    for a in range(first, last):
        if windows.last[a] > windows.first[a]:
            bars, entry = window_of(candles, windows, a), entry_of(windows, a, step)
            out[a] = p.fits(bars, entry, costs)
