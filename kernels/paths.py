"""Path metrics: what the price did after an entry, whatever the exits (SEMANTICS section 2).

One pass. Only a new high can set a record, a recovery or a multiple; between two of them the lows are all that matters.
So the pass goes from new high to new high and takes the candles between them as a whole.
"""

import numpy as np

from .jit import compiled, compiled_parallel, prange
from .walk import entry_of, greatest, least, next_above, window_of

_FRACTIONS = """ath_mult peak_close_mult ret_end coverage
dd_overall dd_initial dd_initial_opt dd_after_ath dd_after_ath_opt mdd mdd_opt"""
_INTEGERS = "n_bars t_ath_ms t_recovery_ms max_gap_ms alert_to_activity_ms"
PATH = np.dtype(
    [
        *((name, "f8") for name in _FRACTIONS.split()),
        *((name, "i8") for name in _INTEGERS.split()),
        *((name, "?") for name in ("recovered", "censored", "stale")),
    ]
)
TOUCH = np.dtype(
    [
        *((name, "f8") for name in ("dd_pre", "dd_pre_opt", "dd_after", "dd_after_opt")),
        *((name, "i8") for name in ("bar", "t_ms", "t_lo_ms")),
        ("hit", "?"),
    ]
)
UNDEFINED = -1  # in an integer field; NaN in the others


@compiled
def longest_gap(ts, step):
    """Return the longest stretch without a candle between the first and the last, in ms."""
    gap = 0
    for i in range(1, ts.size):
        gap = max(gap, ts[i] - ts[i - 1] - step)
    return gap


@compiled
def opened(ts, i, entry, even):
    """Return the open time of candle ``i`` in ms after the entry; ``even``: each follows the last without a gap."""
    return (ts[0] + i * entry.step if even else ts[i]) - entry.ts


@compiled
def measure(bars, entry, multiples, path, touches):
    """Write the metrics of one window into ``path`` (a PATH row) and ``touches`` (TOUCH[K], one a multiple).

    ``bars`` holds at least one candle; ``multiples`` float64[K] ascending, all > 1. Fractions are dimensionless,
    drawdowns <= 0, times ms after entry. Fields not reached are NaN or UNDEFINED. ``alert_to_activity_ms`` is not
    written here: it needs candles from before the entry.
    """
    high, low, ts, price, n = bars.high, bars.low, bars.ts, entry.price, bars.ts.size
    lows = low.view(np.int64)
    # On the grid, candles whose span equals their number leave no gap: their times need not be read.
    even = entry.on_grid and ts[n - 1] - ts[0] == (n - 1) * entry.step
    peak, bottom, reached = price, price, 0
    fall, sheer = 1.0, 1.0  # lowest low / peak between new highs; and, were the high first, in candles of a new high
    ath, low_ath = UNDEFINED, price  # the candle of the high, and the lowest low after it
    path["recovered"], path["t_recovery_ms"] = False, UNDEFINED
    i = 0
    while True:
        record = next_above(high, i, peak)
        if record > i:
            run_low = least(lows, i, record)
            bottom, low_ath = min(bottom, run_low), min(low_ath, run_low)
            fall = min(fall, run_low / peak)
            if reached:  # until the end: the lowest low after the candle that reached this multiple
                touches[reached - 1]["dd_after"] = min(touches[reached - 1]["dd_after"], run_low)
        if record == n:
            break
        h, l = high[record], low[record]
        deepest = min(bottom, l)
        if ath == UNDEFINED:  # the first print above the entry
            at_open = bars.open[record] > price
            path["recovered"] = True
            path["t_recovery_ms"] = opened(ts, record, entry, even) + (0 if at_open else entry.step)
            path["dd_initial"] = (bottom if at_open else deepest) / price - 1.0
            path["dd_initial_opt"] = bottom / price - 1.0
        if reached:
            touches[reached - 1]["dd_after"] = min(touches[reached - 1]["dd_after"], l)
        while reached < multiples.size and price * multiples[reached] <= h:
            at_open = bars.open[record] >= price * multiples[reached]
            touch = touches[reached]
            touch["hit"], touch["bar"], touch["t_lo_ms"] = True, record, opened(ts, record, entry, even)
            touch["t_ms"] = touch["t_lo_ms"] + (0 if at_open else entry.step)
            touch["dd_pre"] = (bottom if at_open else deepest) / price - 1.0
            touch["dd_pre_opt"] = bottom / price - 1.0
            touch["dd_after"], touch["dd_after_opt"] = np.inf, l if at_open else bars.close[record]
            reached += 1
        sheer = min(sheer, l / h)
        peak, bottom, ath, low_ath = h, deepest, record, np.inf
        i = record + 1

    path["ath_mult"], path["peak_close_mult"] = peak / price, highest_close(bars, max(ath, 0)) / price
    path["dd_overall"] = bottom / price - 1.0
    if ath == UNDEFINED:
        path["t_ath_ms"] = 0
        path["dd_initial"], path["dd_initial_opt"] = path["dd_overall"], path["dd_overall"]
        path["dd_after_ath"], path["dd_after_ath_opt"] = path["dd_overall"], path["dd_overall"]
    else:
        at_open = bars.open[ath] == peak
        path["t_ath_ms"] = opened(ts, ath, entry, even) + (0 if at_open else entry.step)
        path["dd_after_ath"] = min(low_ath, low[ath]) / peak - 1.0
        path["dd_after_ath_opt"] = min(low_ath, low[ath] if at_open else bars.close[ath]) / peak - 1.0
    path["mdd"], path["mdd_opt"] = min(fall, sheer) - 1.0, fall - 1.0
    if sheer < fall:  # seldom; opens and closes lie in columns of their own, and reading them costs a cache miss each
        path["mdd_opt"] = min(fall, least_fall(bars, price)) - 1.0
    path["ret_end"] = bars.close[n - 1] / price - 1.0
    close_touches(bars, entry, multiples, touches, reached)
    known = min(entry.end, entry.coverage_end)
    possible = -((entry.ts - known) // entry.step)  # candles: the time rounded up to whole intervals
    path["n_bars"], path["coverage"] = n, min(1.0, n / possible) if possible > 0 else np.nan
    path["censored"], path["stale"] = entry.coverage_end < entry.end, known > ts[n - 1] + entry.step
    outer = max(ts[0] - entry.ts, known - ts[n - 1] - entry.step)
    path["max_gap_ms"] = max(0, outer, 0 if even else longest_gap(ts, entry.step))


@compiled
def least_fall(bars, price):
    """Return the lowest print / peak inside the candles that set a new high, their low before their high."""
    fall, peak = 1.0, price
    i = next_above(bars.high, 0, peak)
    while i < bars.high.size:
        fall = min(fall, bars.low[i] / max(peak, bars.open[i]), bars.close[i] / bars.high[i])
        peak = bars.high[i]
        i = next_above(bars.high, i + 1, peak)
    return fall


@compiled
def highest_close(bars, start):
    """Return the highest close of the window; only candles whose high is above the best close so far are read."""
    first, last = max(start - 3, 0), min(start + 4, bars.close.size)  # one cache line, or two
    best = greatest(bars.close.view(np.int64), first, last)
    i = next_above(bars.high, 0, best)
    while i < bars.high.size:
        best = max(best, bars.close[i])
        i = next_above(bars.high, i + 1, best)
    return best


@compiled
def close_touches(bars, entry, multiples, touches, reached):
    """Turn the lows kept between multiples into drawdowns below each level; mark those not reached."""
    later = np.inf
    for k in range(multiples.size - 1, -1, -1):
        touch = touches[k]
        if k >= reached:
            touch["hit"], touch["bar"], touch["t_ms"], touch["t_lo_ms"] = False, UNDEFINED, UNDEFINED, UNDEFINED
            touch["dd_pre"], touch["dd_pre_opt"] = np.nan, np.nan
            touch["dd_after"], touch["dd_after_opt"] = np.nan, np.nan
            continue
        later = min(later, touch["dd_after"])
        level = entry.price * multiples[k]
        touch["dd_after"] = min(min(later, bars.low[touch["bar"]]) / level - 1.0, 0.0)
        touch["dd_after_opt"] = min(min(later, touch["dd_after_opt"]) / level - 1.0, 0.0)


@compiled
def first_activity(candles, first, last, alert_ts, step):
    """Return ms from the alert to the first candle of rows [first, last) that ends after it and traded; -1: none."""
    for i in range(first, last):
        if candles.ts[i] + step > alert_ts and candles.volume[i] > 0:
            return max(0, candles.ts[i] - alert_ts)
    return UNDEFINED


@compiled_parallel
def measure_all(candles, windows, alerts, step, multiples):
    """Return (paths PATH[A], touches TOUCH[A, K]) of every window; rows of windows that are not OK are zero."""
    n = windows.first.size
    paths = np.zeros(n, PATH)
    touches = np.zeros((n, multiples.size), TOUCH)
    for a in prange(n):
        if windows.last[a] > windows.first[a]:
            entry = entry_of(windows, a, step)
            measure(window_of(candles, windows, a), entry, multiples, paths[a], touches[a])
            near = windows.first[a]  # the alert is a few candles away; a search through all misses the cache each time
            while near > alerts.first[a] and candles.ts[near - 1] + step > alerts.ts[a]:
                near -= 1
            paths[a]["alert_to_activity_ms"] = first_activity(candles, near, windows.last[a], alerts.ts[a], step)
    return paths, touches
