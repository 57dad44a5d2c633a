"""The tables of a session run."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ...io import schemas, session_schemas
from .attribution import attribution_table
from .config import Config
from .metrics import concentration, equity_columns, merged, metrics_of
from .prepare import OK
from .walk import Walked


def tables_of(walked: Sequence[Walked], config: Config, run_id: str) -> dict[str, pa.Table]:
    """Return the tables of a run by artifact: trades, fills, events, equity, metrics, the factors of each candle."""
    trades = merged([each.trades for each in walked])
    return {
        "session_trades": schemas.table(session_schemas.TRADES, trades, run_id),
        "session_fills": _stacked(session_schemas.FILLS, [each.fills for each in walked], run_id),
        "governance": _stacked(session_schemas.GOVERNANCE, [each.events for each in walked], run_id),
        "equity": _equity(walked, trades, config, run_id),
        "symbols": _symbols(walked, trades, config, run_id),
        "attribution": attribution_table(walked, run_id),
        "factors": _stacked(session_schemas.FACTOR_TABLE, [factor_columns(each) for each in walked], run_id),
    }


def _stacked(schema: pa.Schema, many: Sequence[Mapping[str, Any]], run_id: str) -> pa.Table:
    return pa.concat_tables([schemas.table(schema, each, run_id) for each in many])


def _equity(walked: Sequence[Walked], trades: Mapping[str, Any], config: Config, run_id: str) -> pa.Table:
    capital = config.backtest.initial_capital
    parts = [(each.symbol, each.trades) for each in walked] + [("combined", trades)]
    columns = [{"scope": scope, **equity_columns(some, capital)} for scope, some in parts]
    return _stacked(session_schemas.EQUITY, columns, run_id)


def _symbols(walked: Sequence[Walked], trades: Mapping[str, Any], config: Config, run_id: str) -> pa.Table:
    capital = config.backtest.initial_capital
    scopes = [(each.symbol, each.trades, sessions_of([each])) for each in walked]
    rows = [
        {"symbol": symbol, **metrics_of(some, days, capital), **concentration(some, days)}
        for symbol, some, days in (*scopes, (None, trades, sessions_of(walked)))
    ]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return schemas.table(session_schemas.SYMBOLS, columns, run_id)


def sessions_of(walked: Sequence[Walked]) -> int:
    """Return on how many different days some symbol had candles and could be traded."""
    days = set()
    for each in walked:
        days |= {day for day, is_so in zip(each.ready.hours.days, each.ready.traded.tolist(), strict=True) if is_so}
    return len(days)


def factor_columns(walked: Walked) -> dict[str, Any]:
    """Return what was known at the close of every session candle of a symbol, and whether it broke the range."""
    ready = walked.ready
    bars, ranges, factors, n = ready.bars, ready.ranges, ready.factors, ready.bars.ts.size
    s = np.repeat(np.arange(ranges.first.size), ranges.last - ranges.first)
    final = np.arange(n) >= ranges.start[s]
    masked = np.ma.masked_all(n, bool)
    flags = {
        f"{name}_{side}": getattr(factors, side).get(name, masked)
        for name in session_schemas.FACTORS
        for side in ("long", "short")
    }
    return {
        "symbol": [walked.symbol] * n,
        "timestamp": bars.ts,
        "or_finalized": final,
        "or_valid": ranges.verdict[s] == OK,
        "or_high": np.where(final, ranges.high[s], np.nan),
        "or_low": np.where(final, ranges.low[s], np.nan),
        **{name: factors.numbers.get(name, np.full(n, np.nan)) for name in ("rel_vol", "vwap", "adx")},
        **flags,
        "score_long": factors.score_long,
        "score_short": factors.score_short,
        "score_required": factors.needed,
        "breakout_long": final & (bars.high >= ready.sessions.upper[s]),
        "breakout_short": final & (bars.low <= ready.sessions.lower[s]),
    }
