"""Every combination of stop, target, moving stop and time limit at the price of a pass over the records.

For one alert, ascending targets and deepening stops are touched later and later, so the plane of all their pairs falls
into rectangles of one outcome each: a run of targets that one candle reaches wins against every stop below a cut, a run
of stops against every target above one, and what neither ends is left to the moving stop, the time limit or the end.
An alert adds some hundred rectangles to arrays of differences, whose running sums are the statistics of every cell
(KERNELS section 5). A level sold at returns the same for every alert, so a cell needs the number of those; all else
adds its returns. Sums are of whole millionths and exact.
"""

# pyright: reportArgumentType=false

import numpy as np
from numba import get_num_threads

from . import packed as p
from .arrays import Policy, column
from .axes import Axes
from .bounds import NOTE
from .jit import compiled, share
from .medians import medians_of
from .runs import ends_from, exit_at, levels_of, runs_of, within
from .search import TALLY
from .staircase import index_all
from .tables import CANDLE, outcome, parted, partings_of, rows_of, started
from .walk import entry_of, policy_of, window_of

STRIPE = 8 * 2**20  # bytes of differences that one thread fills at once

# What a cell is summed from: alerts sold at the target and at the stop of the cell; the returns, gains, wins and stops
# of all others; ties of a target with a known stop; and what worst, best and ambiguity differ by beyond those ties.
TARGETS, STOPS, SUM, GAIN, WINS, STOPPED, TIES, WORST, BEST, AMBIGUOUS = range(10)


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
    at, ret_q, stops, targets = (end >> p.KEY, p.returned(end), levels.sl.size, levels.tp.size - k0)
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
            worst, best, unsure = outcome(partings, x, fixed, free, start.price * flat[k])
            if unsure < 0:
                whole = Policy(
                    levels.sl[m], levels.tp[k], levels.frac_bps, policy.be_trigger, policy.be_offset,
                    policy.trail_pct, policy.activate, time_ms,
                )  # fmt: skip
                found = parted(bars, start, whole, rules, costs, nothing)
                worst, best, unsure = found[0], found[1], found[2]
            this = min(fixed, free, moved)
            laid = min(p.latest(fixed), free) if fixed == this != moved else this
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
            cell["trades"], cell["sum_q"], cell["gain_q"], cell["loss_q"] = (trades, all_q, gain_q, gain_q - all_q)
            cell["wins"] = run[WINS] + at_tp * np.int64(tp_q > 0) + at_sl * np.int64(sl_q > 0)
            cell["stop_outs"], cell["ambiguous"] = (run[STOPPED] + at_sl, run[TIES] + run[AMBIGUOUS])
            cell["worst_q"], cell["best_q"] = (all_q + run[WORST], all_q + run[BEST] + run[TIES] * (tp_q - sl_q))
            cell["median_q"] = np.nan


@compiled
def planes(
    candles, windows, step, index, levels, runs, rows, partings, moving, time_ms, rules, costs, height, out, first, last
):
    """Write some stripes of TALLY[N, D, K, M]: every moving stop and time limit; ``height``: targets in a stripe."""
    times, targets, stops = rows.time.shape[0], levels.tp.size, levels.sl.size
    stripes = (targets + height - 1) // height
    for job in range(first, last):
        v, d, k0 = (job // stripes // times, job // stripes % times, job % stripes * height)
        sums = np.zeros((min(height, targets - k0) + 1, stops + 1, 10), np.int64)
        for a in range(windows.first.size):
            end, entry = (min(rows.moving[v, a], rows.time[d, a]), entry_of(windows, a, step))
            lay(sums, k0, levels, runs, a, entry, end, costs, rules)
            if end >> p.KEY & 7 == p.STOP_KNOWN and rows.clean[v, a]:
                tie_end(sums, k0, levels, runs, a, entry, end, costs)
        for x in range(partings.starts[v], partings.starts[v + 1]):
            a = partings.alert[x]
            moved, time = rows.moving[v, a], rows.time[d, a]
            if moved < time:
                bars, start = (window_of(candles, windows, a), started(index, a, entry_of(windows, a, step), moved))
                policy = policy_of(moving, v)
                unsettle(
                    sums, k0, levels, runs, bars, start, a, partings, x, moved, time, policy, time_ms[d], rules, costs
                )
        total(sums, k0, levels, windows.first.size, out[v, d])


def surface_all(candles, windows, step, sl, tp, moving, time_ms, rules, costs, medians=False):
    """Return TALLY[N, D, K, M]: every stop and target with every moving stop and time limit.

    ``windows`` are all OK and all ``tables.fits_all``; ``sl`` float64[M] descending, ``tp`` float64[K] ascending,
    ``moving`` Policies of N rows that hold nothing but a trailing stop or a breakeven, ``time_ms`` int64[D] ascending
    (NEVER: none); ``rules`` are pessimistic, and with ``medians`` targets fill gaps at their level. Without them
    ``median_q`` is NaN. O(records) an alert and plane, and O(cells); medians O(alerts) more for every target.
    """
    plain = (moving.be_trigger == np.inf) & (moving.activate == 1.0) & (np.diff(moving.trail_pct, prepend=0.0) > 0)
    nothing = column(np.empty(0))
    axes = Axes(nothing, nothing, moving.trail_pct if plain.all() else nothing, time_ms)
    index, levels = index_all(candles, windows), levels_of(sl, tp, costs)
    runs = runs_of(windows, step, index, levels, costs)
    rows = rows_of(candles, windows, step, index, axes, moving, rules, costs)
    partings = partings_of(candles, windows, step, index, rows, moving, rules, costs)
    out = np.empty((moving.sl.size, time_ms.size, tp.size, sl.size), TALLY)
    fair = -(-tp.size * moving.sl.size * time_ms.size // (4 * get_num_threads()))
    height = max(1, min(STRIPE // (80 * (sl.size + 1)), fair))
    stripes, market = -(-tp.size // height), (candles, windows, step)
    made = (index, levels, runs, rows, partings, moving, time_ms, rules, costs)
    share(planes, moving.sl.size * time_ms.size * stripes, *market, *made, height, out)
    for v in range(moving.sl.size if medians and windows.first.size else 0):
        ends = np.minimum(rows.moving[v], rows.time)
        order = np.argsort(p.BIAS - (ends & p.RETURN), axis=1)
        places = np.empty((time_ms.size, 2, ends.shape[1]), np.int64)
        np.put_along_axis(places[:, 0], order, np.arange(ends.shape[1])[None], axis=1)
        places[:, 1] = np.take_along_axis(p.BIAS - (ends & p.RETURN), order, axis=1)
        given = (windows, step, levels, runs, ends, places, costs, height, out[v])
        share(medians_of, time_ms.size * stripes, *given)
    return out
