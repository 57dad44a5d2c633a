"""The positions that a trace of wanted ones comes to (SEMANTICS section 6): each entered, held and left under FS-1.

A position runs from the fill of one change of the signal to the fill of the next, and is a trade of ``exits.simulate``
in between, a short one in the mirror. Filled at opens, leaving by signal is FS-1's time stop, which comes before all
else in its candle; filled at closes, it is the end of the window.
"""

# pyright: reportArgumentType=false

from typing import NamedTuple

import numpy as np

from .arrays import END_OF_DATA, HORIZON, NEVER, SIGNAL, TIME, Candles, Costs, Entry, Ints, Policy, Rules, column
from .bounds import NOTE, bracket
from .exits import FILL, Exit, excursions, micro, net_return, note, simulate
from .jit import compiled
from .mirror import mirrored, short_excursions, short_return
from .walk import no_blocks

DAY = 86_400_000
_WHOLE = "direction entry_bar entry_ts until exit_bar exit_ts reason n_fills ret_q bars_held"
POSITION = np.dtype(
    [*((name, "i8") for name in _WHOLE.split()), *((name, "f8") for name in ("entry_px", "exit_px", "gross", "ret"))]
)
AROUND = np.dtype([*((name, "f8") for name in ("worst", "best", "mae", "mfe")), ("ambiguous", "?")])


class Market(NamedTuple):
    """One series as it is and in the mirror; ``day_ends`` int64[D]: the last candle of each UTC day that has any."""

    bars: Candles
    mirror: Candles
    day_ends: Ints


class Exits(NamedTuple):
    """What may end a position before its signal does; ``short`` in the mirror, as ``mirror.reflected`` makes it."""

    long: Policy
    short: Policy


class Taking(NamedTuple):
    """How wanted positions are taken and left; scalars.

    ``at_close``: filled at the close of the signal's candle, else at the open of the next; ``memory``: after an exit by
    a stop or a target nothing is entered until the signal changes; ``exits``: whether any are set; ``step``: the candle
    interval, ms; ``rules`` and ``costs`` as in FS-1.
    """

    at_close: bool
    memory: bool
    exits: bool
    step: int
    rules: Rules
    costs: Costs


class Room(NamedTuple):
    """Where the positions of one trace are written, POSITION[P], and their fills, FILL[P, R + 1]."""

    positions: np.ndarray
    fills: np.ndarray


def market_of(bars: Candles) -> Market:
    """Return the ``Market`` of one series."""
    bars = Candles(*(column(each, each.dtype) for each in bars))
    days = bars.ts // DAY
    return Market(bars, mirrored(bars), column(np.flatnonzero(np.diff(days, append=days[-1:] + 1)), np.int64))


@compiled
def room_for(changes, market, exits, how):
    """Return room for all that so many changes can come to: one position each, or one a candle if entered again."""
    again = how.exits and (not how.memory or exits.long.time_ms != NEVER)
    most = market.bars.ts.size if again else changes
    return Room(np.empty(most, POSITION), np.zeros((most, exits.long.tp.size + 1), FILL))


@compiled
def entry_of(position, bars, how):
    """Return the ``Entry`` of a position in its own market."""
    e = position["entry_bar"]
    price = bars.close[e] if how.at_close else bars.open[e]
    ts = bars.ts[e] + (how.step if how.at_close else 0)
    end = bars.ts[-1] + how.step
    return Entry(price, ts, np.int64(NEVER), end, np.int64(how.step), not how.at_close, True, np.int64(0), price)


@compiled
def window_of(position, bars, how):
    """Return the candles that may end a position, in its own market."""
    s = position["entry_bar"] + (1 if how.at_close else 0)
    e = min(position["until"] + 1, bars.ts.size)
    return Candles(bars.ts[s:e], bars.open[s:e], bars.high[s:e], bars.low[s:e], bars.close[s:e], bars.volume[s:e])


@compiled
def policy_of(position, ts, policy, how):
    """Return the exits of a position; filled at opens, its signal's end is its time stop."""
    time_ms, x = policy.time_ms, position["until"]
    if not how.at_close and x < ts.size:
        time_ms = min(time_ms, ts[x] - ts[position["entry_bar"]])
    return Policy(
        policy.sl, policy.tp, policy.frac_bps, policy.be_trigger, policy.be_offset, policy.trail_pct,
        policy.activate, time_ms,
    )  # fmt: skip


@compiled
def returned(gross, price, direction, costs):
    """Return R of a position in its own market."""
    return net_return(gross, price, costs) if direction > 0 else short_return(gross, price, costs)


@compiled
def settle(position, done, entry, ts, how):
    """Write how a position was entered and left; ``done`` counts its bars from the first that could end it."""
    exit_bar = position["entry_bar"] + (1 if how.at_close else 0) + done.bar
    position["entry_ts"], position["entry_px"] = entry.ts, abs(entry.price)
    position["exit_ts"], position["exit_px"], position["gross"] = done.ts, abs(done.price), abs(done.gross)
    position["exit_bar"], position["reason"], position["n_fills"] = exit_bar, done.reason, done.n_fills
    position["bars_held"] = done.bar + (1 if done.ts > ts[exit_bar] else 0)
    ret = returned(done.gross, entry.price, position["direction"], how.costs)
    position["ret"], position["ret_q"] = ret, micro(ret)


@compiled
def hold(position, bars, how, fills):
    """Trade a position that nothing but its signal ends: what ``trade`` does without exits, in a tenth of the time."""
    ts, x = bars.ts, position["until"]
    i, at_open = min(x, ts.size - 1), not how.at_close and x < ts.size
    price, when = (bars.open[i], ts[i]) if at_open else (bars.close[i], ts[i] + how.step)
    bar, reason = i - position["entry_bar"] - (1 if how.at_close else 0), SIGNAL if x < ts.size else END_OF_DATA
    note(fills, 0, bar, position["direction"] * price, 10000, reason, False)
    done = Exit(bar, reason, price, when, 10000 * price / 10000, 0, False, 1, price, price, False, False)
    settle(position, done, entry_of(position, bars, how), ts, how)


@compiled
def trade(position, bars, policy, how, fills):
    """Fill in the rest of a position of which ``direction``, ``entry_bar`` and ``until`` are known, in its own market.

    ``until``: the candle at whose fill its signal ends it, the number of candles where it never does.
    """
    entry, x = entry_of(position, bars, how), position["until"]
    own, window = policy_of(position, bars.ts, policy, how), window_of(position, bars, how)
    done = simulate(window, entry, own, how.rules, fills, no_blocks())
    settle(position, done, entry, bars.ts, how)
    if done.reason in (HORIZON, END_OF_DATA):
        position["reason"] = SIGNAL if x < bars.ts.size else END_OF_DATA
    elif done.reason == TIME and not how.at_close and position["exit_bar"] == x:
        position["reason"] = SIGNAL


@compiled
def walk(idx, val, market, exits, how, room):
    """Write the positions of one trace into ``room`` (``room_for``), and return their number.

    Fills are in the market of their position, their bars counted from the first candle that could end it.
    """
    n_bars, n = market.bars.ts.size, 0
    delay, skipped = (0, 1) if how.at_close else (1, 0)
    for k in range(idx.size):
        if val[k] == 0 or (k > 0 and val[k] == val[k - 1]):
            continue
        after = k + 1
        while after < idx.size and val[after] == val[k]:
            after += 1
        e = idx[k] + delay
        x = min(idx[after] + delay, n_bars) if after < idx.size else n_bars
        while e < x and e + skipped < n_bars:
            this = room.positions[n]
            this["direction"], this["entry_bar"], this["until"] = val[k], e, x
            if not how.exits:
                hold(this, market.bars, how, room.fills[n])
            elif val[k] > 0:
                trade(this, market.bars, exits.long, how, room.fills[n])
            else:
                trade(this, market.mirror, exits.short, how, room.fills[n])
            n += 1
            if this["reason"] in (SIGNAL, END_OF_DATA) or (how.memory and this["reason"] != TIME):
                break
            e = this["exit_bar"] + delay
    return n


@compiled
def around(positions, market, exits, how, out):
    """Write AROUND[P]: the exact bounds of each return, and the worst and best price it saw, as fractions of P."""
    for k in range(positions.size):
        position, up = positions[k], positions[k]["direction"] > 0
        bars, policy = (market.bars, exits.long) if up else (market.mirror, exits.short)
        entry, window = entry_of(position, bars, how), window_of(position, bars, how)
        own = policy_of(position, bars.ts, policy, how)
        done = simulate(window, entry, own, how.rules, np.empty(0, FILL), no_blocks())
        found = bracket(window, entry, own, how.rules, np.empty(0, NOTE), no_blocks())
        out[k]["worst"] = returned(found.worst, entry.price, position["direction"], how.costs)
        out[k]["best"] = returned(found.best, entry.price, position["direction"], how.costs)
        out[k]["ambiguous"] = found.n_ambiguous > 0
        out[k]["mae"], out[k]["mfe"] = excursions(window, entry, done) if up else short_excursions(window, entry, done)
