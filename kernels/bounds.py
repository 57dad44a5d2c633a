"""The exact worst and best outcome of a trade over every path its candles allow (SEMANTICS section 1 B).

A candle says where the price was, not in which order. The walk follows the one state that survives each candle and,
wherever a candle could have ended the trade, records the worst and the best way it could have.
"""

# pyright: reportArgumentType=false

from typing import NamedTuple

import numpy as np

from .exits import levels, net_return, quiet_below, stop_at
from .jit import compiled, compiled_parallel, prange
from .walk import entry_of, first_at, next_event, no_blocks, window_of

NOTE = np.dtype([("bar", "i8"), ("worst", "f8"), ("best", "f8"), ("own", "f8"), ("turn", "f8")])
BOUND = np.dtype([("worst", "f8"), ("best", "f8"), ("n_ambiguous", "i8"), ("first_ambiguous", "i8")])


class Bounds(NamedTuple):
    """The outcomes of one trade; scalars. ``worst`` and ``best`` are fraction-weighted fill prices (gross);
    ``n_ambiguous`` counts the candles that could have gone another way and ``first_ambiguous`` is the first of
    them, -1 where there is none; ``bar`` is the candle in which the last of the paths ends."""

    worst: float
    best: float
    n_ambiguous: int
    first_ambiguous: int
    bar: int


class Position(NamedTuple):
    """What is left of a trade: the next rung, the basis points still held, and fraction-weighted sales so far."""

    rung: int
    left: int
    acc: float


@compiled
def fill_up_to(at, price, policy, reached, at_open):
    """Return the ``Position`` after every rung at or below ``reached`` has filled (at ``reached`` if ``at_open``)."""
    rung, left, acc = at.rung, at.left, at.acc
    while rung < policy.tp.size and price * policy.tp[rung] <= reached:
        acc += policy.frac_bps[rung] * (reached if at_open else price * policy.tp[rung])
        left -= policy.frac_bps[rung]
        rung += 1
    return Position(rung, left, acc)


@compiled
def first_rise_to(low, high, peak, at):
    """Return x*: the smallest new peak in (peak, high] whose stop is no longer below ``low``."""
    best = high
    if peak < at.be_trigger <= high and at.be >= low:
        best = at.be_trigger
    trailed = max(at.activate, low / at.keep)
    return min(best, trailed)


@compiled
def bracket(bars, entry, policy, rules, notes, blocks):
    """Return the ``Bounds`` of one trade, whatever ``rules.intrabar`` says; arguments as for ``exits.simulate``.

    ``notes`` is a NOTE array (may be empty) that takes, while there is room, every candle in which the trade could
    have ended by a stop: the worst and best fill price up to then, the lowest in that candle (``own``), and how high
    the price had to rise in it before (``turn``, 0: not at all).
    """
    at = levels(entry.price, policy)
    due = first_at(bars.ts, entry.ts + policy.time_ms)
    held = Position(0, 10000, 0.0)
    peak = max(entry.price, entry.peak)
    stop = stop_at(peak, at)
    worst, best, n, first, noted = np.inf, -np.inf, 0, -1, 0
    i = entry.start - 1
    while True:
        target = entry.price * policy.tp[held.rung] if held.rung < policy.tp.size else np.inf
        i = next_event(bars, blocks, i + 1, due, stop, quiet_below(peak, target, at))
        if i == due:
            if due < bars.ts.size:
                final = held.acc + held.left * bars.open[due]
            else:
                final = held.acc + held.left * bars.close[due - 1]
            break
        h, l = bars.high[i], bars.low[i]
        top = max(peak, h)
        raised = stop_at(top, at)
        if l > raised and h < target:
            peak, stop = top, raised
            continue
        o, c = bars.open[i], bars.close[i]
        if not rules.legacy and not (i == 0 and entry.fresh):
            if o <= stop:
                final = held.acc + held.left * o
                break
            held = fill_up_to(held, entry.price, policy, o, rules.tp_at_open)  # at the level: each its own
            if held.left == 0:
                final = held.acc
                break
            if o > peak:
                peak, stop = o, stop_at(o, at)
        high_way = fill_up_to(held, entry.price, policy, h, False)
        if l <= raised:
            sold_high, turn = high_way.acc + high_way.left * raised, 0.0
            if l <= stop:
                sold_low = held.acc + held.left * stop
            else:
                turn = first_rise_to(l, h, peak, at)
                low_way = fill_up_to(held, entry.price, policy, turn, False)
                sold_low = low_way.acc + low_way.left * max(stop_at(turn, at), l)
            lo, hi = min(sold_low, sold_high), max(sold_low, sold_high)
            worst, best = min(worst, lo), max(best, hi)
            if noted < notes.size:
                note = notes[noted]
                note["bar"], note["worst"], note["best"] = i, worst / 10000, best / 10000
                note["own"], note["turn"] = sold_low / 10000, turn
                noted += 1
            survives = l > stop and c > raised
            if lo < hi or (survives and high_way.left):
                if n == 0:
                    first = i
                n += 1
            if not survives:
                return Bounds(worst / 10000, best / 10000, n, first, i)
        held, peak, stop = high_way, top, raised
        if held.left == 0:
            final = held.acc
            break
    return Bounds(min(worst, final) / 10000, max(best, final) / 10000, n, first, i)


@compiled_parallel
def bracket_all(candles, windows, step, policy, rules, costs):
    """Return BOUND[A] of one ``Policy`` on every window: worst and best as R after ``costs``; zeros where not OK."""
    n = windows.first.size
    out = np.zeros(n, BOUND)
    for a in prange(n):
        if windows.last[a] > windows.first[a]:
            bars = window_of(candles, windows, a)
            found = bracket(bars, entry_of(windows, a, step), policy, rules, np.empty(0, NOTE), no_blocks())
            out[a]["worst"] = net_return(found.worst, windows.price[a], costs)
            out[a]["best"] = net_return(found.best, windows.price[a], costs)
            out[a]["n_ambiguous"], out[a]["first_ambiguous"] = found.n_ambiguous, found.first_ambiguous
    return out
