"""The equity of an account that takes every position with all it has, marked at each candle's close; and its metrics.

It starts at 1. An open position is marked at what leaving it at the close would return, net of costs. At or below
nothing the account is lost and stays so: only a short can do that (SEMANTICS section 6).
"""

# pyright: reportArgumentType=false

from math import nan, sqrt
from typing import NamedTuple

import numpy as np

from .arrays import Ints
from .jit import compiled, share
from .positions import Exits, Market, Taking, returned, room_for, walk

PER_YEAR = 252  # days of a Sharpe ratio
SAME = 1e-12  # returns whose standard deviation is below this differ by rounding only
METRIC = np.dtype(
    [
        ("num_trades", "i8"),
        *((name, "f8") for name in ("win_rate", "total_return", "total_pnl", "expectancy", "profit_factor")),
        *((name, "f8") for name in ("max_drawdown", "sharpe", "sharpe_trade", "exposure_time", "avg_bars_held")),
    ]
)


class Traces(NamedTuple):
    """Many traces one behind the other: trace t has the rows ``starts[t]`` to ``starts[t + 1]`` of ``idx`` and ``val``.

    int64[T + 1], int32[K], int8[K].
    """

    starts: Ints
    idx: np.ndarray
    val: np.ndarray


class Account(NamedTuple):
    """An account while it is walked: its equity, its high, its deepest drawdown, and the days closed so far."""

    equity: float
    high: float
    drawdown: float
    day: int
    before: float  # the equity at the close of the day before


@compiled
def grown(equity, before):
    """Return the return of a day, NaN where nothing was left the day before."""
    return equity / before - 1.0 if before > 0 else nan


@compiled
def closed(account, until, day_ends, daily):
    """Return the ``Account`` after the ends of all days before candle ``until``, whose returns go into ``daily``."""
    equity, high, drawdown, day, before = account
    while day < day_ends.size and day_ends[day] < until:
        daily[day] = grown(equity, before)
        before = equity
        day += 1
    return Account(equity, high, drawdown, day, before)


@compiled
def carried(account, position, fills, until, market, how, daily):
    """Return the ``Account`` after a position marked at each close before candle ``until``, and left."""
    close, direction = market.bars.close, position["direction"]
    first = position["entry_bar"] + (1 if how.at_close else 0)
    base, left, acc, k = account.equity, 10000, 0.0, 0
    equity, high, drawdown, day, before = account
    for i in range(position["entry_bar"], until):
        while k < position["n_fills"] and first + fills[k]["bar"] <= i:
            acc += fills[k]["frac_bps"] * abs(fills[k]["price"])
            left -= fills[k]["frac_bps"]
            k += 1
        ret = position["ret"]
        if left:
            ret = returned((acc + left * close[i]) / 10000, position["entry_px"], direction, how.costs)
        equity = max(base * (1.0 + ret), 0.0)
        high = max(high, equity)
        drawdown = min(drawdown, equity / high - 1.0)
        if day < market.day_ends.size and i == market.day_ends[day]:
            daily[day] = grown(equity, before)
            before = equity
            day += 1
    return Account(max(base * (1.0 + position["ret"]), 0.0), high, drawdown, day, before)


@compiled
def ratio(returns):
    """Return mean / standard deviation (ddof 1) of float64[N]; NaN where they do not vary or one is NaN."""
    if returns.size < 2:
        return nan
    mean = returns.sum() / returns.size
    squares = 0.0
    for each in returns:
        squares += (each - mean) * (each - mean)
    deviation = sqrt(squares / (returns.size - 1))
    return mean / deviation if deviation >= SAME else nan


@compiled
def points(position, costs):
    """Return what one unit of a position earned, in price: money got less money paid."""
    gross, price = position["gross"], position["entry_px"]
    if position["direction"] > 0:
        return gross * costs.k_out - price * costs.k_in
    return price * costs.k_out - gross * costs.k_in


@compiled
def measure(positions, fills, market, how, daily, out):
    """Write one METRIC row of the positions of one trace; ``daily`` float64[D] takes the return of each day."""
    account, n, n_bars = Account(1.0, 1.0, 0.0, 0, 1.0), positions.size, market.bars.ts.size
    wins, held, total, pnl, gain, loss = 0, 0, 0.0, 0.0, 0.0, 0.0
    for k in range(n):
        this = positions[k]
        until = this["exit_bar"] + 1
        if k + 1 < n and positions[k + 1]["entry_bar"] < until:
            until = this["exit_bar"]  # the next position, entered in the same candle, is what its close marks
        account = closed(account, this["entry_bar"], market.day_ends, daily)
        account = carried(account, this, fills[k], until, market, how, daily)
        ret = this["ret"]
        wins += ret > 0
        total += ret
        gain += max(ret, 0.0)
        loss -= min(ret, 0.0)
        held += this["bars_held"]
        pnl += points(this, how.costs)
    account = closed(account, n_bars, market.day_ends, daily)
    out["num_trades"], out["total_return"], out["total_pnl"] = n, account.equity - 1.0, pnl
    out["max_drawdown"], out["exposure_time"] = account.drawdown, held / max(n_bars, 1)
    out["win_rate"], out["expectancy"], out["avg_bars_held"] = nan, nan, nan
    if n:
        out["win_rate"], out["expectancy"], out["avg_bars_held"] = wins / n, total / n, held / n
    out["profit_factor"] = gain / loss if loss > 0 else nan
    out["sharpe"] = ratio(daily) * sqrt(PER_YEAR)
    out["sharpe_trade"] = ratio(positions["ret"])


@compiled
def measured(traces, market, exits, how, first, last):
    """Return METRIC of the traces ``first`` to ``last - 1``."""
    out, most = np.empty(last - first, METRIC), 0
    for t in range(first, last):
        most = max(most, traces.starts[t + 1] - traces.starts[t])
    room, daily = room_for(most, market, exits, how), np.empty(market.day_ends.size)
    for t in range(first, last):
        s, e = traces.starts[t], traces.starts[t + 1]
        n = walk(traces.idx[s:e], traces.val[s:e], market, exits, how, room)
        measure(room.positions[:n], room.fills, market, how, daily, out[t - first])
    return out


def measure_all(traces: Traces, market: Market, exits: Exits, how: Taking) -> np.ndarray:
    """Return METRIC of every trace, made by ``jit.threads``."""
    parts = share(measured, traces.starts.size - 1, traces, market, exits, how)
    return np.concatenate([np.empty(0, METRIC), *parts])
