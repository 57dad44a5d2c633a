"""One trade of a session from its entry to its end (SESSIONS section 5): its stop, targets, fills and bounds.

What happens to an open trade is FS-1 as ``exits`` and ``bounds`` have it. It is walked on a copy of its candles: a
short on negated ones, which mirrors every comparison exactly, and with its levels over a power of two, so that a stop
at a price is that price to the last bit.
"""

# pyright: reportArgumentType=false

import math
from typing import NamedTuple

import numpy as np

from .arrays import HORIZON, NEVER, OHLC_PATH, PESSIMISTIC, Candles, Entry, Floats
from .arrays import Policy as ExitRules
from .bounds import NOTE, bracket
from .exits import simulate
from .jit import compiled
from .walk import Blocks, no_blocks, scanned

OR_OPPOSITE, SWING, ATR_CAPPED = 0, 1, 2
STOPS = {"or_opposite": OR_OPPOSITE, "swing": SWING, "atr_capped": ATR_CAPPED}


class Room(NamedTuple):
    """Where one trade after the other is worked out: its signed candles float64[M], its targets float64[K], and the
    notes and blocks of which it has none."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    targets: Floats
    notes: np.ndarray
    blocks: Blocks


@compiled
def room_for(bars, sessions, plan):
    """Return the ``Room`` in which the longest trade there can be has its place."""
    size = bars.ts.size
    if plan.flatten:
        size = 0
        for s in range(sessions.start.size):
            size = max(size, sessions.last[s] - sessions.start[s])
    prices = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    return Room(*prices, np.empty(plan.target_r.size), np.empty(0, NOTE), no_blocks())


@compiled
def walked(bars, sessions, known, plan_room, terms, out):
    """Complete the trade ``out`` (a SESSION_TRADE and its FILLs) from its session, direction and entry_bar; False where
    its stop or a target is not beyond. Prices are signed: a short is a long on negated ones.
    """
    (plan, room), (rules, costs), (trade, fills) = plan_room, terms, out
    s, i, sign = trade["session"], trade["entry_bar"], trade["direction"]
    level = sessions.upper[s] if sign > 0 else -sessions.lower[s]
    gap = sign * bars.open[i] >= level
    price = sign * bars.open[i] if gap else level
    stop = stop_for(sessions, known, plan, s, i, sign, price)
    risk = price - stop
    if not risk > 0:
        return False
    unit = under(price)
    due = sessions.flatten[s] - bars.ts[i] if plan.flatten else NEVER
    policy = exits_for(plan, price, stop, (level if plan.from_range else price), (unit, due, room.targets))
    if not unit * policy.tp[0] > price:
        return False
    end = sessions.end[s] if plan.flatten else NEVER
    entry = Entry(unit, bars.ts[i], end, end if plan.flatten else 0, plan.step, True, True, 0, price)
    last = over_by(bars, i, sessions.last[s] if plan.flatten else bars.ts.size, sign, (policy, unit))
    window = signed(bars, i, last, sign, room)
    worst, best = framed(window, entry, policy, rules, room)
    if not gap:  # of the first candle the low may lie before the entry
        low, high, open_ = window.low[0], window.high[0], window.open[0]
        early = min(price, window.close[0]) if plan.entry_stops else np.inf
        window.open[0], window.low[0] = price, early
        worst_early, best_early = framed(window, entry, policy, rules, room)
        worst, best = min(worst, worst_early) if plan.entry_stops else worst_early, max(best, best_early)
        if not plan.entry_stops:
            best = best_early
        elif rules.intrabar == PESSIMISTIC or (rules.intrabar == OHLC_PATH and high - open_ < open_ - low):
            window.low[0] = low
    done = simulate(window, entry, policy, rules, fills, room.blocks)
    lowest, highest = done.lowest, done.highest
    window.low[0] = min(window.low[0], window.close[0])  # seen, though it could not stop
    for j in range(done.bar + (done.reason >= HORIZON)):
        lowest, highest = min(lowest, window.low[j]), max(highest, window.high[j])
    trade["entry_px"], trade["stop"], trade["exit_px"] = sign * price, sign * stop, sign * done.price
    trade["gross"], trade["risk"], trade["r"] = sign * done.gross, risk, made_of(done.gross, price, costs) / risk
    trade["worst_r"], trade["best_r"] = made_of(worst, price, costs) / risk, made_of(best, price, costs) / risk
    trade["mae_r"], trade["mfe_r"] = min(lowest - price, 0.0) / risk, max(highest - price, 0.0) / risk
    trade["exit_bar"], trade["exit_ts"], trade["reason"] = i + done.bar, done.ts, done.reason
    trade["n_fills"], trade["gap_entry"], trade["gap_exit"] = done.n_fills, gap, done.gap
    for j in range(min(done.n_fills, fills.size)):
        fills[j]["bar"] += i
        fills[j]["price"] *= sign
    return True


@compiled
def stop_for(sessions, known, plan, s, i, sign, price):
    """Return the signed price of the stop of a trade entered in candle ``i``."""
    far = (sessions.low[s] if sign > 0 else -sessions.high[s]) - plan.extra
    if plan.stop == ATR_CAPPED:
        return max(far, price - plan.atr_cap * sessions.unit[s])
    if plan.stop == SWING:
        swing = (known.swing_low[i - 1] if sign > 0 else -known.swing_high[i - 1]) - plan.extra
        return swing if swing < price else far  # a NaN is not
    return far


@compiled
def under(price):
    """Return the power of two, or the negated one, next below a signed price: levels over it keep every bit."""
    _, exponent = math.frexp(price)
    return math.ldexp(0.5, exponent) if price > 0 else -math.ldexp(1.0, exponent)


@compiled
def exits_for(plan, price, stop, base, unit_due_targets):
    """Return the ``Policy`` of a trade: signed levels over a unit, targets (overwritten) counted from ``base``."""
    unit, due, targets = unit_due_targets
    never = np.inf if unit > 0 else -np.inf  # times the unit: out of reach
    for j in range(targets.size):
        targets[j] = (base + plan.target_r[j] * (base - stop)) / unit
    even = price + plan.be_buffer
    trigger = max(price + plan.be_r * (price - stop), even) / unit if plan.be_r < np.inf else never
    offset = even / unit - 1.0  # exact: the quotient lies between 1/2 and 2
    return ExitRules(stop / unit, targets, plan.frac_bps, trigger, offset, 0.0, never, due)


@compiled
def over_by(bars, i, last, sign, policy_unit):
    """Return the end, half-open and at most ``last``, of the candles that decide about a trade entered in candle ``i``.

    The first later one that touches the first stop or the highest target ends what is left, whatever befell before.
    """
    policy, unit = policy_unit
    stop, top = unit * policy.sl, -np.inf
    for j in range(policy.tp.size):
        top = max(top, unit * policy.tp[j])
    below, above = (stop, top) if sign > 0 else (-top, -stop)
    return min(scanned(bars.high, bars.low, i + 1, last, below, above) + 1, last)


@compiled
def signed(bars, i, j, sign, room):
    """Return a copy of the candles from ``i`` to ``j`` in ``room``, negated where ``sign`` is -1; without volumes."""
    n, by = j - i, float(sign)
    out = Candles(bars.ts[i:j], room.open[:n], room.high[:n], room.low[:n], room.close[:n], room.open[:0])
    first, last = bars.open[i:j], bars.close[i:j]
    high, low = (bars.high[i:j], bars.low[i:j]) if sign > 0 else (bars.low[i:j], bars.high[i:j])
    for k in range(n):
        out.open[k], out.high[k], out.low[k], out.close[k] = by * first[k], by * high[k], by * low[k], by * last[k]
    return out


@compiled
def framed(window, entry, policy, rules, room):
    """Return (worst, best): the signed fill prices between which every path through the candles ends."""
    found = bracket(window, entry, policy, rules, room.notes, room.blocks)
    return found.worst, found.best


@compiled
def made_of(gross, price, costs):
    """Return what a trade made a unit, in price, after costs, of signed prices."""
    if price > 0:
        return gross * costs.k_out - price * costs.k_in - price * costs.fixed
    return gross * costs.k_in - price * costs.k_out + price * costs.fixed
