"""The trades of one symbol's sessions, as columns: what the kernel found, in words, times and prices."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...kernels import arrays
from .config import Config
from .prepare import Ready

# What the last fill of a trade says; targets are named by which of them it was.
_REASONS = {
    arrays.SL: "stop",
    arrays.BE: "breakeven",
    arrays.TIME: "end_of_session",
    arrays.HORIZON: "end_of_session",
    arrays.END_OF_DATA: "end_of_data",
}
DIRECTIONS = {1: "long", -1: "short", 0: "both"}


@dataclass(frozen=True)
class Walked:
    """What became of one symbol: columns (name -> array) of trades, fills and events of governance, oldest first."""

    symbol: str
    ready: Ready
    trades: Mapping[str, Any]
    fills: Mapping[str, Any]
    events: Mapping[str, Any]


def walk(symbol: str, ready: Ready, config: Config, point_value: float = 1.0) -> Walked:
    """Return the trades of one symbol under the settings that ``ready`` was made with; a point is worth that much."""
    trades, fills, events = found_of(ready)
    return Walked(
        symbol,
        ready,
        _trades(symbol, ready, config, trades, point_value),
        _fills(symbol, ready, config, trades, fills),
        _events(symbol, ready, events),
    )


def found_of(ready: Ready) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the kernel's trades, fills and events; it is asked again where the first guess was too small."""
    from ...kernels.exits import FILL
    from ...kernels.session import EVENT, SESSION_TRADE, trade_sessions

    sessions = ready.ranges.start.size
    room = [2 * sessions + 1, 16 * sessions + 1]
    while True:
        targets = ready.plan.target_r.size
        out = np.zeros(room[0], SESSION_TRADE), np.zeros((room[0], targets + 1), FILL), np.zeros(room[1], EVENT)
        n, m = trade_sessions(ready.bars, ready.sessions, ready.known, ready.plan, ready.terms, out)
        if n <= room[0] and m <= room[1]:
            return out[0][:n], out[1][:n], out[2][:m]
        room = [max(n, 1), max(m, 1)]


def targets_of(config: Config) -> tuple[str, ...]:
    """Return the names of the targets in their order."""
    return ("t1", "t2", "runner") if config.trade.partials else ("primary",)


def _trades(symbol: str, ready: Ready, config: Config, found: np.ndarray, point_value: float) -> dict[str, Any]:
    """Return one row a trade; R, prices, ms UTC. The score is that of the candle before the entry."""
    bars, ranges, factors = ready.bars, ready.ranges, ready.factors
    s, side, before = found["session"], found["direction"], found["entry_bar"] - 1
    long = side > 0
    entry_ts = bars.ts[found["entry_bar"]]
    gross, points = found["gross"], side * (found["gross"] - found["entry_px"])
    money = found["r"] * found["risk"] * config.backtest.contracts_per_trade * point_value
    reasons = _reasons(config, found["reason"], found["n_fills"] - 1)
    flags = {
        f"factor_{name}": np.where(long, factors.long[name][before], factors.short[name][before])
        if name in factors.long
        else np.ma.masked_all(found.size, bool)
        for name in ("rel_volume", "price_action", "profile_proxy", "vwap", "adx")
    }
    return {
        "trade_id": _ids(symbol, ready, found),
        "symbol": [symbol] * found.size,
        "day": _days(ready, s),
        "direction": [DIRECTIONS[each] for each in side.tolist()],
        "entry_timestamp": entry_ts,
        "exit_timestamp": found["exit_ts"],
        "entry_price": found["entry_px"],
        "exit_price": found["exit_px"],
        "gross_price": gross,
        "stop_price_initial": found["stop"],
        "initial_risk": found["risk"],
        "realized_r": found["r"],
        "worst_r": found["worst_r"],
        "best_r": found["best_r"],
        "ambiguous": found["best_r"] > found["worst_r"],
        "max_favorable_r": found["mfe_r"],
        "max_adverse_r": found["mae_r"],
        "exit_reason": reasons,
        "points": points,
        "pnl": money,
        "n_fills": found["n_fills"],
        "gap_entry": found["gap_entry"],
        "gap_exit": found["gap_exit"],
        "or_high": ranges.high[s],
        "or_low": ranges.low[s],
        "or_minutes": ranges.minutes[s],
        "confluence_score": np.where(long, factors.score_long[before], factors.score_short[before]),
        "confluence_required": factors.needed[before],
        **flags,
    }


def _fills(symbol: str, ready: Ready, config: Config, found: np.ndarray, fills: np.ndarray) -> dict[str, Any]:
    """Return one row a partial exit, in order."""
    counts = found["n_fills"]
    rows = np.repeat(np.arange(found.size), counts)
    number = np.arange(rows.size) - np.repeat(np.cumsum(counts) - counts, counts)
    fill = fills[rows, number]
    trade = found[rows]
    at_open = fill["gap"] | (fill["reason"] == arrays.TIME)
    ids = _ids(symbol, ready, found)
    return {
        "trade_id": [ids[row] for row in rows.tolist()],
        "symbol": [symbol] * rows.size,
        "fill": number,
        "timestamp": ready.bars.ts[fill["bar"]] + np.where(at_open, 0, ready.step),
        "price": fill["price"],
        "fraction": fill["frac_bps"] / 10_000,
        "reason": _reasons(config, fill["reason"], number),
        "r_multiple": trade["direction"] * (fill["price"] - trade["entry_px"]) / trade["risk"],
        "gap": fill["gap"],
    }


def _events(symbol: str, ready: Ready, found: np.ndarray) -> dict[str, Any]:
    from ...kernels.session import EVENTS

    return {
        "symbol": [symbol] * found.size,
        "day": _days(ready, found["session"]),
        "timestamp": ready.bars.ts[found["bar"]],
        "direction": [DIRECTIONS[each] for each in found["direction"].tolist()],
        "event": [EVENTS[each] for each in found["what"].tolist()],
    }


def _reasons(config: Config, reason: np.ndarray, number: np.ndarray) -> list[str]:
    """Return why each fill was made; ``number`` counts those before it in its trade."""
    names = targets_of(config)
    pairs = zip(reason.tolist(), number.tolist(), strict=True)
    return [names[k] if why == arrays.TP else _REASONS[why] for why, k in pairs]


def _ids(symbol: str, ready: Ready, found: np.ndarray) -> list[str]:
    s = found["session"]
    return [f"{symbol}-{day}-{i}" for day, i in zip(_days(ready, s), _number_in(s), strict=True)]


def _days(ready: Ready, session: np.ndarray) -> list[str]:
    return [ready.hours.days[s].isoformat() for s in session.tolist()]


def _number_in(session: np.ndarray) -> list[int]:
    """Return the number of each trade within its session, from 1."""
    return (np.arange(session.size) - np.searchsorted(session, session) + 1).tolist()
