"""FS-1, the exit state machine (SEMANTICS section 1): one trade, and all trades.

This is the reference. Every faster way to the same answer is held against it, trade by trade.

Most candles change nothing. A candle is *quiet* when its low stays above the stop and its high below every price at
which something would happen; ``next_event`` leaps over those, and what remains below is FS-1 as it is written.
"""

# pyright: reportArgumentType=false

from typing import NamedTuple

import numpy as np

from .arrays import (
    BE,
    END_OF_DATA,
    HORIZON,
    OHLC_PATH,
    OPTIMISTIC,
    PESSIMISTIC,
    SL,
    STALE_EXIT,
    TIME,
    TIME_LATE,
    TP,
    TRAIL,
)
from .jit import compiled, compiled_parallel, prange
from .walk import entry_of, first_at, greatest, least, next_event, no_blocks, window_of

FILL = np.dtype([("bar", "i8"), ("price", "f8"), ("frac_bps", "i8"), ("reason", "i8"), ("gap", "?")])
TRADE = np.dtype(
    [
        *((name, "f8") for name in ("price", "gross", "ret", "mae", "mfe")),
        *((name, "i8") for name in ("bar", "reason", "ts", "flags", "ret_q", "n_fills")),
        ("gap", "?"),
    ]
)


class Levels(NamedTuple):
    """The prices of one policy on one trade, each one IEEE multiplication; 0 stands for no stop, inf for never."""

    sl: float
    be_trigger: float
    be: float
    activate: float
    keep: float


class Exit(NamedTuple):
    """How one trade ended; scalars.

    ``bar`` counts from the first candle of the window; ``gross`` is the fraction-weighted fill price; ``lowest`` and
    ``highest`` are the extremes visited inside the exit candle; ``doubt`` says that a candle was met which could
    have gone another way, so worst and best may differ from this exit; ``raised`` that the exit candle's own high set
    the stop that sold.
    """

    bar: int
    reason: int
    price: float
    ts: int
    gross: float
    flags: int
    gap: bool
    n_fills: int
    lowest: float
    highest: float
    doubt: bool
    raised: bool


@compiled
def levels(price, policy):
    """Return the ``Levels`` of ``policy`` for a trade entered at ``price``."""
    return Levels(
        price * policy.sl,
        price * policy.be_trigger,
        price * (1.0 + policy.be_offset),
        price * policy.activate,
        1.0 - policy.trail_pct,
    )


@compiled
def stop_at(peak, at):
    """Return S(x): the highest stop in force once the price has seen ``peak``; 0 where there is none."""
    stop = at.sl
    if peak >= at.be_trigger and at.be > stop:
        stop = at.be
    if peak >= at.activate and peak * at.keep > stop:
        stop = peak * at.keep
    return stop


@compiled
def stop_reason(peak, stop, at):
    """Return which rule set ``stop``: the first of SL, BE, TRAIL that attains it."""
    if stop == at.sl:
        return SL
    if peak >= at.be_trigger and stop == at.be:
        return BE
    return TRAIL


@compiled
def quiet_below(peak, target, at):
    """Return the price that a candle's high must reach before a target fills or the stop can rise."""
    limit = target
    if peak < at.be_trigger < limit:
        limit = at.be_trigger
    if peak < at.activate:
        return min(limit, at.activate)
    return min(limit, peak)


@compiled
def note(fills, n, bar, price, frac_bps, reason, gap):
    """Write fill ``n`` where ``fills`` has room for it, and return the number of fills so far."""
    if n < fills.size:
        fills[n]["bar"], fills[n]["price"], fills[n]["frac_bps"] = bar, price, frac_bps
        fills[n]["reason"], fills[n]["gap"] = reason, gap
    return n + 1


@compiled
def simulate(bars, entry, policy, rules, fills, blocks):
    """Return the ``Exit`` of one trade.

    ``bars`` is the trade's window (at least one candle), ``fills`` a FILL array that takes the partial exits in order
    (may be empty), ``blocks`` what ``blocks_for`` or ``no_blocks`` returns for the window.
    """
    at = levels(entry.price, policy)
    n_rungs = policy.tp.size
    due = first_at(bars.ts, entry.ts + policy.time_ms)  # X1: the first candle at or after the deadline
    peak, rung, left, acc, n = max(entry.price, entry.peak), 0, 10000, 0.0, 0
    price, doubt = 0.0, False
    stop = stop_at(peak, at)
    i = entry.start - 1
    while True:
        target = entry.price * policy.tp[rung] if rung < n_rungs else np.inf
        i = next_event(bars, blocks, i + 1, due, stop, quiet_below(peak, target, at))
        if i == due:
            break
        h, l = bars.high[i], bars.low[i]
        top = max(peak, h)
        raised = stop_at(top, at)
        if l > raised and h < target:  # a new high that touches nothing, whatever the order
            peak, stop = top, raised
            continue
        o, c = bars.open[i], bars.close[i]

        # X2: the open. A stop already passed sells there; targets already passed fill.
        if not rules.legacy and not (i == 0 and entry.fresh):
            if o <= stop:
                acc += left * o
                n = note(fills, n, i, o, left, stop_reason(peak, stop, at), True)
                return Exit(i, stop_reason(peak, stop, at), o, bars.ts[i], acc / 10000, 0, True, n, o, o, doubt, False)
            while rung < n_rungs and entry.price * policy.tp[rung] <= o:
                price = o if rules.tp_at_open else entry.price * policy.tp[rung]
                acc += policy.frac_bps[rung] * price
                left -= policy.frac_bps[rung]
                n = note(fills, n, i, price, policy.frac_bps[rung], TP, True)
                rung += 1
                if left == 0:
                    return Exit(i, TP, price, bars.ts[i], acc / 10000, 0, True, n, o, o, doubt, False)
            if o > peak:
                peak = o
                stop = stop_at(peak, at)

        # X3: the range. "Known": the stop of the open is touched. "Raised": only the stop the high would set is.
        known = l <= stop
        up_first = h - o < o - l
        ts = bars.ts[i] + entry.step
        if known:
            doubt |= raised > stop or (rung < n_rungs and entry.price * policy.tp[rung] <= h)
            if not (rules.intrabar == OPTIMISTIC or (rules.intrabar == OHLC_PATH and up_first)):
                acc += left * stop
                reason = stop_reason(peak, stop, at)
                n = note(fills, n, i, stop, left, reason, False)
                return Exit(i, reason, stop, ts, acc / 10000, 0, False, n, min(o, stop), o, doubt, False)
        stopped = known
        if not known and l <= raised:
            doubt = True
            gives_back = rules.intrabar == PESSIMISTIC or (rules.intrabar == OHLC_PATH and up_first)
            stopped = c <= raised or gives_back
        while rung < n_rungs and entry.price * policy.tp[rung] <= h:
            price = entry.price * policy.tp[rung]
            acc += policy.frac_bps[rung] * price
            left -= policy.frac_bps[rung]
            n = note(fills, n, i, price, policy.frac_bps[rung], TP, False)
            rung += 1
            if left == 0:
                low_first = rules.intrabar == PESSIMISTIC or (rules.intrabar == OHLC_PATH and not up_first)
                lowest = l if low_first else o
                return Exit(i, TP, price, ts, acc / 10000, 0, False, n, lowest, max(o, price), doubt, False)
        if stopped:
            acc += left * raised
            reason = stop_reason(top, raised, at)
            n = note(fills, n, i, raised, left, reason, False)
            lowest = min(o, raised)
            return Exit(i, reason, raised, ts, acc / 10000, 0, False, n, lowest, h, doubt, not known)
        peak, stop = top, raised

    if due < bars.ts.size:  # X1
        o = bars.open[due]
        acc += left * o
        flags = TIME_LATE if bars.ts[due] > entry.ts + policy.time_ms else 0
        n = note(fills, n, due, o, left, TIME, False)
        return Exit(due, TIME, o, bars.ts[due], acc / 10000, flags, False, n, o, o, doubt, False)
    i = bars.ts.size - 1  # X4
    c = bars.close[i]
    acc += left * c
    ts = bars.ts[i] + entry.step
    reason = HORIZON if entry.coverage_end >= entry.end else END_OF_DATA
    flags = STALE_EXIT if min(entry.end, entry.coverage_end) > ts else 0
    n = note(fills, n, i, c, left, reason, False)
    return Exit(i, reason, c, ts, acc / 10000, flags, False, n, bars.low[i], bars.high[i], doubt, False)


@compiled
def net_return(gross, price, costs):
    """Return R: the return of selling at ``gross`` what was bought at ``price``, after ``costs``."""
    return (gross * costs.k_out) / (price * costs.k_in) - 1.0 - costs.fixed


@compiled
def micro(ret):
    """Return ``ret`` in whole millionths: the integer that searches add up."""
    return np.int64(np.rint(ret * 1e6))


@compiled
def excursions(bars, entry, done):
    """Return (mae, mfe): the worst and best price the trade saw up to its last fill, as fractions of P."""
    lowest, highest = done.lowest, done.highest
    if done.bar:
        lowest = min(lowest, least(bars.low.view(np.int64), 0, done.bar))
        highest = max(highest, greatest(bars.high.view(np.int64), 0, done.bar))
    return min(lowest / entry.price - 1.0, 0.0), max(highest / entry.price - 1.0, 0.0)


@compiled_parallel
def simulate_all(candles, windows, step, policy, rules, costs):
    """Return (trades TRADE[A], fills FILL[A, R + 1]) of one ``Policy`` on every window.

    Rows of windows that are not OK stay zero; fills beyond ``n_fills`` are zero. ``step`` is the interval in ms.
    """
    n = windows.first.size
    trades = np.zeros(n, TRADE)
    fills = np.zeros((n, policy.tp.size + 1), FILL)
    for a in prange(n):
        if windows.last[a] > windows.first[a]:
            bars = window_of(candles, windows, a)
            entry = entry_of(windows, a, step)
            done = simulate(bars, entry, policy, rules, fills[a], no_blocks())
            mae, mfe = excursions(bars, entry, done)
            ret = net_return(done.gross, entry.price, costs)
            trade = trades[a]
            trade["bar"], trade["reason"], trade["price"], trade["ts"] = done.bar, done.reason, done.price, done.ts
            trade["gross"], trade["ret"], trade["ret_q"] = done.gross, ret, micro(ret)
            trade["flags"], trade["gap"], trade["n_fills"] = done.flags | windows.flags[a], done.gap, done.n_fills
            trade["mae"], trade["mfe"] = mae, mfe
    return trades, fills
