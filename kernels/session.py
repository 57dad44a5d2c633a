"""OR-1, the opening-range pass over the sessions of one symbol (SESSIONS): breakouts, trades, governance.
What becomes of one trade is in ``session_trade``.
"""

# pyright: reportArgumentType=false

from typing import NamedTuple

import numpy as np

from .arrays import SL, Floats, Ints
from .jit import compiled
from .session_trade import room_for, walked
from .walk import scanned

_CHUNK, _ONE = np.uint64(16), np.uint64(1)  # candles asked at once, unsigned, as in ``walk.scanned``

# Why a break was not traded, and what governance did.
TRADED, BOTH_SIDES, CUTOFF, MAX_SIGNALS, LOCKED, NO_CONFLUENCE, SECOND_CHANCE_OVER, NO_RISK, LOCKOUT, LOSS_HALT = range(
    10
)
EVENTS = (
    *("traded", "both_sides", "time_cutoff", "max_signals", "locked", "no_confluence", "second_chance_over"),
    *("no_risk", "lockout", "daily_loss_halt"),
)

SESSION_TRADE = np.dtype(
    [
        *((name, "f8") for name in ("entry_px", "stop", "exit_px", "gross", "risk", "r", "worst_r", "best_r")),
        *((name, "f8") for name in ("mae_r", "mfe_r", "day_r")),
        *((name, "i8") for name in ("session", "direction", "entry_bar", "exit_bar", "exit_ts", "reason", "n_fills")),
        *((name, "?") for name in ("gap_entry", "gap_exit")),
    ]
)
EVENT = np.dtype([(name, "i8") for name in ("session", "bar", "direction", "what")])


class Sessions(NamedTuple):
    """One row a session, S of them, oldest first. Rows are of ``Candles`` that hold nothing but session candles.

    ``start``/``last`` int64[S]: the candles after the opening range, half-open; ``high``, ``low`` float64[S]: the
    opening range; ``upper``, ``lower``: the prices that break it; ``unit``: the average true range at its own scale;
    ``open`` bool[S]: may be traded; ``end``, ``cutoff``, ``flatten``, ``second`` int64[S]: ms UTC of the close, of the
    first moment without entries, of the sale of what is left (not before that), and of the first without second chances
    (NEVER: none).
    """

    start: Ints
    last: Ints
    high: Floats
    low: Floats
    upper: Floats
    lower: Floats
    unit: Floats
    open: np.ndarray
    end: Ints
    cutoff: Ints
    flatten: Ints
    second: Ints


class Known(NamedTuple):
    """What is known at the close of each candle, N rows: whether a break up or down has the score it needs (bool[N]),
    and the last swing low and high that later candles had confirmed by then (float64[N], NaN: none; empty where no stop
    is a swing)."""

    long: np.ndarray
    short: np.ndarray
    swing_low: Floats
    swing_high: Floats


class Plan(NamedTuple):
    """How breaks are traded, the same for all sessions. Times in ms, ``extra`` and ``be_buffer`` in price.

    ``sides``: 1 long only, -1 short only, 0 both; ``both_long``: a candle that breaks both sides is taken as long
    instead of skipped; ``stop`` of ``session_trade.STOPS``; ``target_r`` float64[K] and ``frac_bps`` int64[K]: targets
    in R and what is sold there, 10,000 in all; ``from_range``: R of the targets is counted from the broken price, not
    from the fill; ``be_r`` (inf: never); ``entry_stops``: the candle of an entry at the broken price can stop it out;
    ``flatten``: nothing is held over the close; ``carry``: losses in a row are counted over it.
    """

    step: int
    sides: int
    both_long: bool
    max_signals: int
    lockout: int
    max_loss_r: float
    carry: bool
    stop: int
    extra: float
    atr_cap: float
    target_r: Floats
    frac_bps: Ints
    from_range: bool
    be_r: float
    be_buffer: float
    entry_stops: bool
    flatten: bool


class Day(NamedTuple):
    """The state of governance within a session: entries so far, losses in a row, R made, locked or not."""

    signals: int
    losses: int
    made: float
    locked: bool


@compiled
def trade_sessions(bars, sessions, known, plan, terms, out):
    """Return (trades, events): how many there were, the first of which are written to ``out``.

    ``terms`` is (Rules, Costs), ``out`` (SESSION_TRADE[M], FILL[M, K + 1], EVENT[E]), M and E at least 1; what does not
    fit is only counted.
    """
    trades, fills, events = out
    n, m, free, losses = 0, 0, 0, 0
    room = room_for(bars, sessions, plan)
    for s in range(sessions.start.size):
        day = Day(0, losses if plan.carry else 0, 0.0, False)
        up, down = plan.sides >= 0, plan.sides <= 0  # armed: the next touch of that side is a break
        again_up, again_down = False, False  # not the first of the session
        i = max(sessions.start[s], free) if sessions.open[s] else sessions.last[s]
        while i < sessions.last[s]:
            i = stirred(bars, i, sessions.last[s], (sessions.lower[s], sessions.upper[s]), (down, up), plan.sides)
            if i == sessions.last[s]:
                break
            side, both = broken(bars, sessions, s, i, up, down)
            done = i
            if side != 0:
                again = (again_up if side > 0 else again_down) and bars.ts[i] >= sessions.second[s]
                what = BOTH_SIDES if both and not plan.both_long else TRADED
                if what == TRADED:
                    what = refusal(bars.ts[i] >= sessions.cutoff[s], again, day, plan)
                if what == TRADED and not (known.long[i - 1] if side > 0 else known.short[i - 1]):
                    what = NO_CONFLUENCE
                if what == TRADED:
                    k = min(n, trades.size - 1)
                    trade = trades[k]
                    trade["session"], trade["direction"], trade["entry_bar"] = s, side, i
                    if walked(bars, sessions, known, (plan, room), terms, (trade, fills[k])):
                        n, done = n + 1, trade["exit_bar"]
                        day = after(day, trade, plan)
                        trade["day_r"] = day.made
                        if day.locked:
                            halted = day.made <= -plan.max_loss_r
                            m = told(events, m, s, done, side, LOSS_HALT if halted else LOCKOUT)
                    else:
                        what = NO_RISK
                if what != TRADED:
                    m = told(events, m, s, i, 0 if what == BOTH_SIDES else side, what)
                again_up, again_down = again_up or side > 0 or both, again_down or side < 0 or both
            up = plan.sides >= 0 and ((up and not (side > 0 or both)) or bars.close[done] < sessions.upper[s])
            down = plan.sides <= 0 and ((down and not (side < 0 or both)) or bars.close[done] > sessions.lower[s])
            i = done + 1
            free = i
        losses = day.losses
    return n, m


@compiled
def stirred(bars, i, last, levels, armed, sides):
    """Return the first candle in [i, last) that breaks an armed side or closes inside one that is not, or ``last``."""
    (lower, upper), (down, up) = levels, armed
    if sides == 0 and not (down or up):
        return i  # any close is inside one of them
    if sides >= 0 and not up:
        return returned(bars.low, bars.close, (i, last), (lower if down else -np.inf, upper), 1.0)
    if sides <= 0 and not down:
        return returned(bars.high, bars.close, (i, last), (upper if up else np.inf, lower), -1.0)
    return scanned(bars.high, bars.low, i, last, lower if down else -np.inf, upper if up else np.inf)


@compiled
def returned(reach, close, rows, levels, sign):
    """Return the first of ``rows``, half-open, whose ``reach`` is at or below the first of two levels or whose close is
    below the second (``sign`` -1.0: above them), or the end of ``rows``."""
    k, end = np.uint64(rows[0]), np.uint64(rows[1])
    far, near = sign * levels[0], sign * levels[1]
    while k + _CHUNK <= end:
        hits = 0
        for j in range(_CHUNK):
            hits += (sign * reach[k + j] <= far) | (sign * close[k + j] < near)
        if hits:
            break
        k += _CHUNK
    while k < end and not (sign * reach[k] <= far or sign * close[k] < near):
        k += _ONE
    return np.int64(k)


@compiled
def broken(bars, sessions, s, i, up, down):
    """Return (side, both): which armed side of the range candle ``i`` breaks, 1, -1 or 0, and whether both are.

    The side that it opens beyond was first, and alone; of two inside it, which was first is not known: 1.
    """
    up, down = up and bars.high[i] >= sessions.upper[s], down and bars.low[i] <= sessions.lower[s]
    if up and down:
        if bars.open[i] >= sessions.upper[s]:
            return 1, False
        if bars.open[i] <= sessions.lower[s]:
            return -1, False
        return 1, True
    return (1 if up else -1 if down else 0), False


@compiled
def refusal(late, again, day, plan):
    """Return why governance refuses a break, TRADED where it does not; ``again``: one too late for a second chance."""
    if day.locked:
        return LOCKED
    if day.signals >= plan.max_signals:
        return MAX_SIGNALS
    if late:
        return CUTOFF
    return SECOND_CHANCE_OVER if again else TRADED


@compiled
def after(day, trade, plan):
    """Return the ``Day`` after a trade. A loss by the stop with nothing sold before counts; a win forgets them."""
    losses, made = day.losses, day.made + trade["r"]
    if trade["r"] > 0:
        losses = 0
    elif trade["reason"] == SL and trade["n_fills"] == 1:
        losses += 1
    return Day(day.signals + 1, losses, made, losses >= plan.lockout or made <= -plan.max_loss_r)


@compiled
def told(events, m, s, bar, side, what):
    """Write event ``m`` where there is room, and return how many there are."""
    if m < events.size:
        events[m]["session"], events[m]["bar"], events[m]["direction"], events[m]["what"] = s, bar, side, what
    return m + 1
