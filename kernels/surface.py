"""Every combination of stop, target, moving stop and time limit at the price of a pass over the records.

For one alert, ascending targets and deepening stops are touched later and later, so the plane of all their pairs falls
into rectangles of one outcome each: a run of targets that one candle reaches wins against every stop below a cut, a run
of stops against every target above one, and what neither ends is left to the moving stop, the time limit or the end.
An alert adds some hundred rectangles to arrays of differences, whose running sums are the statistics of every cell
(KERNELS section 5). A level sold at returns the same for every alert, so a cell needs the number of those; all else
adds its returns. Sums are of whole millionths and exact.
"""

# pyright: reportArgumentType=false

from typing import Any, NamedTuple

import numpy as np
from numba import get_num_threads

from . import packed as p
from .arrays import Floats, Ints, Policy, column
from .bounds import NOTE
from .exits import net_return
from .jit import compiled, compiled_parallel, prange
from .search import TALLY
from .staircase import index_all
from .tables import CANDLE, Axes, fill_rows, outcome, part, parted, started
from .walk import entry_of, policy_of, window_of

RUN = np.dtype([("end", "i8"), ("at", "i8"), ("ret_q", "i8")])
STRIPE = 8 * 2**20  # bytes of differences that one thread fills at once

# What a cell is summed from: alerts sold at the target and at the stop of the cell; the returns, gains, wins and stops
# of all others; ties of a target with a known stop; and what worst, best and ambiguity differ by beyond those ties.
TARGETS, STOPS, SUM, GAIN, WINS, STOPPED, TIES, WORST, BEST, AMBIGUOUS = range(10)


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
    parts = []
    for each in (tp, sl):
        micros = net_return(10000 * (1.0 * each) / 10000, 1.0, costs) * 1e6
        nearest = np.rint(micros)
        unsure = np.abs(np.abs(micros - nearest) - 0.5) <= 1e-12 * (1e6 + np.abs(micros))  # six roundings: 1e-15
        parts += [column(nearest, np.int64), column(np.flatnonzero(unsure), np.int64)]
    return Levels(column(tp[:, None]), *parts[:2], column(sl), *parts[2:], column([10000], np.int64))


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


@compiled_parallel
def runs_of(windows, step, index, levels, costs):
    """Return the ``Runs`` of every window; O(records * log levels)."""
    n = windows.first.size
    tp_at, sl_at = 2 * index.high_at, 2 * index.low_at
    tp, sl = np.empty(tp_at[n], RUN), np.empty(sl_at[n], RUN)
    tp_n, sl_n = np.zeros(n, np.int64), np.zeros(n, np.int64)
    targets = levels.tp.reshape(levels.tp.size)
    for a in prange(n):
        entry = entry_of(windows, a, step)
        some, found = tp[tp_at[a] : tp_at[a + 1]], 0
        for i in range(index.high_at[a], index.high_at[a + 1]):
            record, begin = index.high[i], some[found - 1]["end"] if found else 0
            opened = begin
            if record.open >= entry.price:
                opened = beyond(targets, begin, entry.price, record.open)
                found = add_run(some, found, opened, record.bar, p.TARGET_OPEN, p.sold(record.open, entry, costs))
            found = add_run(some, found, beyond(targets, opened, entry.price, record.price), record.bar, p.TARGET, 0)
        tp_n[a] = found
        some, found = sl[sl_at[a] : sl_at[a + 1]], 0
        for i in range(index.low_at[a], index.low_at[a + 1]):
            record, begin = index.low[i], some[found - 1]["end"] if found else 0
            opened = begin
            if record.open <= entry.price:
                opened = beneath(levels.sl, begin, entry.price, record.open)
                found = add_run(some, found, opened, record.bar, p.STOP_OPEN, p.sold(record.open, entry, costs))
            found = add_run(
                some, found, beneath(levels.sl, opened, entry.price, record.price), record.bar, p.STOP_KNOWN, 0
            )
        sl_n[a] = found
    return Runs(tp_at, tp_n, tp, sl_at, sl_n, sl)


@compiled
def rectangle(sums, k0, k1, m0, m1, what, value):
    """Add ``value`` to ``what`` of the cells [k0, k1) x [m0, m1), which may reach over the edges of ``sums``."""
    k0, k1 = max(k0, 0), min(k1, sums.shape[0] - 1)
    if k0 < k1 and m0 < m1:
        sums[k0, m0, what] += value
        sums[k0, m1, what] -= value
        sums[k1, m0, what] -= value
        sums[k1, m1, what] += value


@compiled
def sell(sums, k0, k1, m0, m1, ret_q, stopped):
    """Add a trade that returned ``ret_q`` to the cells [k0, k1) x [m0, m1)."""
    rectangle(sums, k0, k1, m0, m1, SUM, ret_q)
    if ret_q > 0:
        rectangle(sums, k0, k1, m0, m1, GAIN, ret_q)
        rectangle(sums, k0, k1, m0, m1, WINS, 1)
    if stopped:
        rectangle(sums, k0, k1, m0, m1, STOPPED, 1)


@compiled
def lay(sums, k0, levels, runs, a, entry, end, costs, rules):
    """Add alert ``a`` to a stripe that begins at target ``k0``; ``end``: its exit where no level is reached before."""
    at, ret_q, stops, targets = end >> p.KEY, p.returned(end), levels.sl.size, levels.tp.size - k0
    tp, n_tp = runs.tp[runs.tp_at[a] : runs.tp_at[a + 1]], runs.tp_n[a]
    sl, n_sl = runs.sl[runs.sl_at[a] : runs.sl_at[a + 1]], runs.sl_n[a]
    m_end, k_end, i, j, cut = ends_from(sl, n_sl, levels, end, entry, costs), 0, 0, 0, 0
    while i < n_tp and tp[i]["at"] < at:  # targets, each against the stops touched later
        while j < n_sl and sl[j]["at"] < tp[i]["at"]:
            cut = sl[j]["end"]
            j += 1
        k, k_end = k_end, tp[i]["end"]
        if tp[i]["at"] & 7 == p.TARGET_OPEN and rules.tp_at_open:
            sell(sums, k - k0, k_end - k0, cut, stops, tp[i]["ret_q"], False)
        else:
            rectangle(sums, k - k0, k_end - k0, cut, stops, TARGETS, 1)
            for u in levels.tp_unsure:
                if k <= u < k_end:
                    this = p.sold(entry.price * levels.tp[u, 0], entry, costs)
                    resell(sums, u - k0, u + 1 - k0, cut, stops, levels.tp_q[u], this)
        i += 1
    sell(sums, k_end - k0, targets, m_end, stops, ret_q, p.stopped(end))
    i, k, m = 0, 0, 0
    for j in range(n_sl):  # stops, each against the targets touched later
        if m >= m_end:
            break
        while i < n_tp and tp[i]["at"] < sl[j]["at"]:
            k = tp[i]["end"]
            i += 1
        m_to = min(sl[j]["end"], m_end)
        if sl[j]["at"] & 7 == p.STOP_OPEN:
            sell(sums, k - k0, targets, m, m_to, sl[j]["ret_q"], True)
        else:
            rectangle(sums, k - k0, targets, m, m_to, STOPS, 1)
            for u in levels.sl_unsure:
                if m <= u < m_to:
                    this = p.sold(entry.price * levels.sl[u], entry, costs)
                    resell(sums, k - k0, targets, u, u + 1, levels.sl_q[u], this)
            if i < n_tp and tp[i]["at"] == sl[j]["at"] + 1:  # a target in the same candle
                tie(sums, k0, k, tp[i]["end"], m, m_to, levels, entry, costs)
        m = m_to


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
def resell(sums, k0, k1, m0, m1, ret_q, this):
    """Put a return ``this`` in the place of ``ret_q`` in the cells [k0, k1) x [m0, m1)."""
    if this != ret_q:
        rectangle(sums, k0, k1, m0, m1, SUM, this - ret_q)
        rectangle(sums, k0, k1, m0, m1, GAIN, max(this, 0) - max(ret_q, 0))
        rectangle(sums, k0, k1, m0, m1, WINS, np.int64(this > 0) - np.int64(ret_q > 0))


@compiled
def tie(sums, k0, k, k_to, m, m_to, levels, entry, costs):
    """Add a candle that touches the targets [k, k_to) and the stops [m, m_to): at best it is the target."""
    rectangle(sums, k - k0, k_to - k0, m, m_to, TIES, 1)
    for u in levels.tp_unsure:
        if k <= u < k_to:
            more = p.sold(entry.price * levels.tp[u, 0], entry, costs) - levels.tp_q[u]
            rectangle(sums, u - k0, u + 1 - k0, m, m_to, BEST, more)
    for u in levels.sl_unsure:
        if m <= u < m_to:
            more = p.sold(entry.price * levels.sl[u], entry, costs) - levels.sl_q[u]
            rectangle(sums, k - k0, k_to - k0, u, u + 1, BEST, -more)


@compiled
def tie_end(sums, k0, levels, runs, a, entry, end, costs):
    """Add what ``lay`` leaves out: a target in the candle in which ``end``, a moving stop known at its open, sells."""
    tp, n_tp, k = runs.tp[runs.tp_at[a] : runs.tp_at[a + 1]], runs.tp_n[a], 0
    m = ends_from(runs.sl[runs.sl_at[a] : runs.sl_at[a + 1]], runs.sl_n[a], levels, end, entry, costs)
    for i in range(n_tp):
        if tp[i]["at"] == (end >> p.KEY) + 1:
            for u in range(max(k, k0), min(tp[i]["end"], k0 + sums.shape[0] - 1)):
                more = p.sold(entry.price * levels.tp[u, 0], entry, costs) - p.returned(end)
                rectangle(sums, u - k0, u + 1 - k0, m, levels.sl.size, BEST, more)
                rectangle(sums, u - k0, u + 1 - k0, m, levels.sl.size, AMBIGUOUS, 1)
        k = tp[i]["end"]


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


@compiled
def unsettle(sums, k0, levels, runs, bars, start, a, partings, x, moved, time, policy, time_ms, rules, costs):
    """Add what worst, best and ambiguity of alert ``a`` differ by where its moving stop parts (entry ``x``).

    Levels touched before its last path ends are taken one by one, the later ones all at once. ``start``: the entry at
    the candle of the exit ``moved``; ``policy``: the moving stop; ``time``: the exit at ``time_ms``.
    """
    tp, n_tp = runs.tp[runs.tp_at[a] : runs.tp_at[a + 1]], runs.tp_n[a]
    sl, n_sl = runs.sl[runs.sl_at[a] : runs.sl_at[a + 1]], runs.sl_n[a]
    stops, targets, nothing = levels.sl.size, levels.tp.size, np.empty(0, NOTE)
    k, k_each = within(tp, n_tp, moved >> CANDLE, partings.alone[x, 3] >> CANDLE)
    m_from, m_each = within(sl, n_sl, moved >> CANDLE, partings.alone[x, 3] >> CANDLE)
    flat = levels.tp.reshape(targets)
    k = max(k, min(k0, k_each))
    while k < min(targets, k0 + sums.shape[0] - 1):
        k_to, m = k + 1 if k < k_each else targets, m_from
        free = min(exit_at(tp, n_tp, flat, k, rules.tp_at_open, start, costs), time)
        while m < stops:
            m_to = m + 1 if m < m_each else stops
            fixed = exit_at(sl, n_sl, levels.sl, m, True, start, costs)
            worst, best, unsure = outcome(partings, x, fixed, free)
            if unsure < 0:
                whole = Policy(
                    levels.sl[m], levels.tp[k], levels.frac_bps, policy.be_trigger, policy.be_offset,
                    policy.trail_pct, policy.activate, time_ms,
                )  # fmt: skip
                found = parted(bars, start, whole, rules, costs, nothing)
                worst, best, unsure = found[0], found[1], found[2]
            this = min(fixed, free, moved)
            laid = min(p.latest(fixed), free) if this == fixed else this
            rectangle(sums, k - k0, k_to - k0, m, m_to, WORST, worst - p.returned(this))
            rectangle(sums, k - k0, k_to - k0, m, m_to, BEST, best - p.returned(laid))
            rectangle(sums, k - k0, k_to - k0, m, m_to, AMBIGUOUS, unsure - p.stopped(this) + p.stopped(laid))
            m = m_to
        k = k_to


@compiled
def total(sums, k0, levels, trades, out):
    """Run the differences of a stripe up, and write the statistics of its cells into ``out`` TALLY[K, M]."""
    rows, stops = sums.shape[0] - 1, sums.shape[1] - 1
    for k in range(rows):
        tp_q = levels.tp_q[k0 + k]
        run = np.zeros(10, np.int64)
        for m in range(stops):
            for what in range(10):
                if k:
                    sums[k, m, what] += sums[k - 1, m, what]
                run[what] += sums[k, m, what]
            sl_q, cell = levels.sl_q[m], out[k0 + k, m]
            at_tp, at_sl = run[TARGETS], run[STOPS]
            all_q = run[SUM] + at_tp * tp_q + at_sl * sl_q
            gain_q = run[GAIN] + at_tp * max(tp_q, 0) + at_sl * max(sl_q, 0)
            cell["trades"], cell["sum_q"], cell["gain_q"], cell["loss_q"] = trades, all_q, gain_q, gain_q - all_q
            cell["wins"] = run[WINS] + at_tp * np.int64(tp_q > 0) + at_sl * np.int64(sl_q > 0)
            cell["stop_outs"], cell["ambiguous"] = run[STOPPED] + at_sl, run[TIES] + run[AMBIGUOUS]
            cell["worst_q"], cell["best_q"] = all_q + run[WORST], all_q + run[BEST] + run[TIES] * (tp_q - sl_q)
            cell["median_q"] = np.nan


@compiled_parallel
def planes(candles, windows, step, index, levels, runs, rows, partings, moving, time_ms, rules, costs, height, out):
    """Write TALLY[N, D, K, M]: all cells, for every moving stop and time limit; ``height``: targets in a stripe."""
    times, targets, stops = rows.time.shape[0], levels.tp.size, levels.sl.size
    stripes = (targets + height - 1) // height
    for job in prange(rows.moving.shape[0] * times * stripes):
        v, d, k0 = job // stripes // times, job // stripes % times, job % stripes * height
        sums = np.zeros((min(height, targets - k0) + 1, stops + 1, 10), np.int64)
        for a in range(windows.first.size):
            end, entry = min(rows.moving[v, a], rows.time[d, a]), entry_of(windows, a, step)
            lay(sums, k0, levels, runs, a, entry, end, costs, rules)
            if end >> p.KEY & 7 == p.STOP_KNOWN and rows.clean[v, a]:
                tie_end(sums, k0, levels, runs, a, entry, end, costs)
        for x in range(partings.starts[v], partings.starts[v + 1]):
            a = partings.alert[x]
            moved, time = rows.moving[v, a], rows.time[d, a]
            if moved < time:
                bars, start = window_of(candles, windows, a), started(index, a, entry_of(windows, a, step), moved)
                policy = policy_of(moving, v)
                unsettle(
                    sums, k0, levels, runs, bars, start, a, partings, x, moved, time, policy, time_ms[d], rules, costs
                )
        total(sums, k0, levels, windows.first.size, out[v, d])


def surface_all(candles, windows, step, sl, tp, moving, time_ms, rules, costs, medians=False):
    """Return TALLY[N, D, K, M] without medians: every stop and target with every moving stop and time limit.

    ``windows`` are all OK and all ``tables.fits_all``; ``sl`` float64[M] descending, ``tp`` float64[K] ascending,
    ``moving`` Policies of N rows that hold nothing but a trailing stop or a breakeven, ``time_ms`` int64[D] ascending
    (NEVER: none); ``rules`` are pessimistic. O(records) an alert and plane, and O(cells).
    """
    plain = (moving.be_trigger == np.inf) & (moving.activate == 1.0) & (np.diff(moving.trail_pct, prepend=0.0) > 0)
    nothing = column(np.empty(0))
    axes = Axes(nothing, nothing, moving.trail_pct if plain.all() else nothing, time_ms)
    index, levels = index_all(candles, windows), levels_of(sl, tp, costs)
    runs = runs_of(windows, step, index, levels, costs)
    rows = fill_rows(candles, windows, step, index, axes, moving, rules, costs)
    partings = part(candles, windows, step, index, rows, moving, rules, costs)
    out = np.empty((moving.sl.size, time_ms.size, tp.size, sl.size), TALLY)
    height = max(
        1, min(STRIPE // (80 * (sl.size + 1)), -(-tp.size * out.shape[0] * out.shape[1] // (4 * get_num_threads())))
    )
    planes(candles, windows, step, index, levels, runs, rows, partings, moving, time_ms, rules, costs, height, out)
    return out
