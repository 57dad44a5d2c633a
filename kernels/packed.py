"""An exit as one integer: the earliest of several exits is their minimum, and sums of the integers are sums of returns.

From the top: 1 bit "never", 18 bits candle, 3 bits what happens there, 1 bit "a stop sold", 8 bits empty, 32 bits
``BIAS - ret_q``.
One policy's stop, target and time limit do not know of each other, so each has an exit of its own, and the trade ends
with the smallest. Of two stops touched at once the one that pays more is the higher one, and so is the smaller integer.
The empty bits let 256 of them be added without touching the stop bit, which counts beside them.

What happens in a candle, in the pessimistic order of SEMANTICS section 3: nothing is left of the time, a stop at the
open, a target at the open, a stop known at the open, a target, a stop that this candle's own high has raised. In the
best case a target comes before a known stop: ``latest`` moves that one.
"""

# pyright: reportArgumentType=false

import numpy as np

from .arrays import BE, SL, TRAIL
from .exits import FILL, micro, net_return, simulate
from .jit import compiled
from .staircase import leap
from .walk import greatest, no_blocks

TIME_UP, STOP_OPEN, TARGET_OPEN, STOP_KNOWN, TARGET, STOP_RAISED = 0, 2, 3, 5, 6, 7
KEY, STOP = 41, 40  # where the candle and what happens there begin; the stop bit
RETURN = 2**32 - 1
BIAS = 2**32 - 1 - 2**30  # ret_q may lie between -2**30 and this: -1,073 and +3,221 times the price
MOST_CANDLES = 2**18 - 1
NEVER_KEY = 1 << 62  # no such exit: later than any
TOGETHER = 248  # integers that may be added up; no power of two: rows that far apart share few lines of a cache


@compiled
def packed(bar, event, ret_q):
    """Return the integer of one exit."""
    stopped = event in (STOP_OPEN, STOP_KNOWN, STOP_RAISED)
    return ((np.int64(bar) << 3 | np.int64(event)) << KEY) | (np.int64(stopped) << STOP) | (BIAS - ret_q)


@compiled
def returned(exit_):
    """Return the ``ret_q`` of an exit."""
    return BIAS - (exit_ & RETURN)


@compiled
def stopped(exit_):
    """Return 1 for an exit by a stop, 0 for any other."""
    return (exit_ >> STOP) & 1


@compiled
def latest(stop):
    """Return a stop's integer as the best case orders it: one known at the open comes after the candle's targets."""
    return stop | ((stop & (1 << KEY)) << 1)


@compiled
def sold(price, entry, costs):
    """Return ``ret_q`` of selling all at ``price``, by the very operations of the state machine."""
    return micro(net_return(10000 * price / 10000, entry.price, costs))


@compiled
def fits(bars, entry, costs):
    """Return whether every exit of a window can be written as one integer."""
    highest = max(entry.price, greatest(bars.high.view(np.int64), 0, bars.high.size))
    most, worst = net_return(highest, entry.price, costs), net_return(0.0, entry.price, costs)
    within = np.rint(most * 1e6) < BIAS and np.rint(worst * 1e6) > -(2**30)
    return within and bars.ts.size < MOST_CANDLES


@compiled
def targets(index, a, entry, tp, at_open, costs, out):
    """Write the exit of each take profit at the ascending multiples ``tp`` into ``out``; O(levels + records)."""
    i, e = index.high_at[a], index.high_at[a + 1]
    for k in range(tp.size):
        level = entry.price * tp[k]
        while i < e and index.high[i]["price"] < level:
            i += 1
        out[k] = NEVER_KEY
        if i < e:
            early = index.high[i]["open"] >= level
            price = index.high[i]["open"] if early and at_open else level
            out[k] = packed(index.high[i]["bar"], TARGET_OPEN if early else TARGET, sold(price, entry, costs))


@compiled
def stops(index, a, entry, sl, costs, out):
    """Write the exit of each stop loss at the descending multiples ``sl`` into ``out``; O(levels + records)."""
    i, e = index.low_at[a], index.low_at[a + 1]
    for m in range(sl.size):
        level = entry.price * sl[m]
        while i < e and index.low[i]["price"] > level:
            i += 1
        out[m] = NEVER_KEY
        if i < e:
            early = index.low[i]["open"] <= level
            price = index.low[i]["open"] if early else level
            out[m] = packed(index.low[i]["bar"], STOP_OPEN if early else STOP_KNOWN, sold(price, entry, costs))


@compiled
def times(bars, entry, time_ms, costs, out):
    """Write the exit at each of the ascending time limits into ``out``, an open or the last close; O(candles)."""
    due, last, before = 0, bars.ts.size, -1
    for d in range(time_ms.size):
        when = entry.ts + time_ms[d]
        if bars.ts[last - 1] < when:
            due = last
        while due < last and bars.ts[due] < when:
            due += 1
        if due == before:
            out[d] = out[d - 1]
        else:
            price = bars.open[due] if due < last else bars.close[last - 1]
            out[d], before = packed(due, TIME_UP, sold(price, entry, costs)), due


@compiled
def trails(index, a, entry, pct, costs, out, clean):
    """Write the exit of each trailing width ``pct`` (ascending, armed at once) into ``out``; O(levels + records).

    ``clean`` bool: whether nothing that happened in the exit candle could have gone another way.
    """
    i, e = index.fall_at[a], index.fall_at[a + 1]
    for w in range(pct.size):
        keep = 1.0 - pct[w]
        while i < e and index.fall[i]["price"] > index.fall[i]["peak"] * keep:
            i += 1
        out[w], clean[w] = NEVER_KEY, True
        if i < e:
            record = index.fall[i]
            peak, event, price = record["before"], STOP_OPEN, record["open"]
            if not record["open"] <= peak * keep:
                peak = record["open"] if record["open"] > peak else peak
                event, price = STOP_KNOWN, peak * keep
                clean[w] = record["peak"] * keep == price
                if record["price"] > price:
                    event, price = STOP_RAISED, record["peak"] * keep
            out[w] = packed(record["bar"], event, sold(price, entry, costs))


@compiled
def moving(index, a, bars, entry, policy, rules, costs):
    """Return (exit, clean) of any stop that moves; ``policy``: a trailing stop, a breakeven or both, nothing else."""
    there = leap(index, a, entry, policy, bars.ts)
    done = simulate(bars, there, policy, rules, np.empty(0, FILL), no_blocks())
    if done.reason not in (SL, BE, TRAIL):
        return NEVER_KEY, True
    event = STOP_OPEN if done.gap else STOP_RAISED if done.raised else STOP_KNOWN
    return packed(done.bar, event, sold(done.price, entry, costs)), not done.doubt
