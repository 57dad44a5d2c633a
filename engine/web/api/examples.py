"""An example of every answer; the OpenAPI document takes their shape from them, and tests hold the answers to it."""

from typing import Any

ID, OTHER = "01m8fy0mkb9whzpkv3exm0mymn", "01m8fy0jgzwxcysejx6ff709qw"
PAGE: dict[str, Any] = {"total_count": 40, "returned_count": 1, "next_offset": 1}

HOME = {
    "name": "highwater",
    "version": "0.1.0",
    "status": "ok",
    "docs": "/docs",
    "endpoints": {"/api/runs": "Runs, the newest first"},
}
HEALTH = {"status": "ok", "timestamp": "2026-11-28T02:00:00.000Z", "runs_available": 6}
STATUS = {
    "api_version": "0.1.0",
    "status": "ok",
    "timestamp": "2026-11-28T02:00:00.000Z",
    "statistics": {"total_runs": 6, "latest_run": ID, "by_status": {"completed": 6}, "by_type": {"session": 1}},
}
RUNS = {
    "count": 1,
    "total_count": 6,
    "next_cursor": ID,
    "runs": [
        {
            "run_id": ID,
            "created": "2026-11-28T01:59:00.000Z",
            "symbol": "SPY",
            "total_trades": 40,
            "run_type": "session",
            "status": "completed",
            "reason": "",
            "completed": "2026-11-28T01:59:01.000Z",
            "calls": 24,
            "trials": 1,
            "total_ms": 812,
            "version": "0.1.0",
            "command": "backtest --symbols SPY",
            "config_digest": "3f0f1c52ce6d",
            "data_digest": "9c3d7b8a11e0",
        }
    ],
}
CONFIG_HASH = {"run_id": ID, "config_hash": "3f0f1c52ce6d", "timestamp": "2026-11-28T01:59:01.000Z"}
TRADES = {
    "run_id": ID,
    "symbol": "SPY",
    **PAGE,
    "trades": [
        {
            "trade_id": "SPY-2024-01-05-1",
            "symbol": "SPY",
            "direction": "long",
            "entry_timestamp": "2024-01-05T14:57:00.000Z",
            "exit_timestamp": "2024-01-05T15:27:00.000Z",
            "entry_price": 470.5,
            "exit_price": 471.9,
            "realized_r": 1.375,
            "max_favorable_r": 1.5,
            "max_adverse_r": -0.2,
            "exit_reason": "all_targets",
            "or_high": 470.4,
            "or_low": 469.1,
            "confluence_score": 2.0,
            "factors": {"rel_volume": True, "vwap": None},
        }
    ],
}
EQUITY = {
    "run_id": ID,
    "unit": "R",
    **PAGE,
    "equity_curve": [
        {"trade_number": 1, "cumulative_r": 1.375, "drawdown_r": 0.0, "drawdown_pct": 0.0, "symbol": "SPY"}
    ],
    "final_r": 7.23,
    "max_drawdown_r": -4.375,
    "final_bps": None,
    "max_drawdown_bps": None,
}
FACTORS = {
    "run_id": ID,
    "sample_count": 1,
    "snapshots": [
        {
            "timestamp": "2024-01-05T14:57:00.000Z",
            "symbol": "SPY",
            "bar_number": 27,
            "rel_vol": 0.84,
            "rel_vol_spike": False,
            "vwap": 470.2,
            "adx": 21.5,
            "price_action_long": True,
            "price_action_short": False,
            "profile_long": True,
            "profile_short": False,
        }
    ],
}
METRICS = {
    "run_id": ID,
    "symbol": None,
    "metrics": {"total_trades": 40, "win_rate": 0.55, "total_r": 7.23, "profit_factor": None},
    "undefined": {"profit_factor": "no losing trade"},
}
_SIDES = {
    f"{side}_{name}": kind
    for side in ("present", "absent")
    for name, kind in (("count", 26), ("win_rate", 0.58), ("avg_r", 0.3))
}
ATTRIBUTION = {
    "run_id": ID,
    "factor_attribution": [{"factor_name": "rel_volume", **_SIDES, "delta_win_rate": 0.08, "delta_avg_r": 0.34}],
    "score_buckets": [{"bucket": "Very High", "count": 8, "avg_r": -0.47, "win_rate": 0.25}],
}
MANIFEST = {
    "run_id": ID,
    "run_type": "session",
    "status": "completed",
    "created_at": "2026-11-28T01:59:00.000Z",
    "config_digest": "3f0f1c52ce6d",
    "manifest_digest": "38711f33e08a",
    "config": {"symbols": ["SPY"]},
    "inputs": [{"kind": "candles", "source": "synthetic", "digest": "2d147b1f3b24", "rows": 21840}],
    "counts": {"trades": 40},
    "artifacts": [
        {"type": "session_trades", "path": "policy/trades.parquet", "rows": 40, "bytes": 9000, "sha256": "11aa22bb33cc"}
    ],
}
ARTIFACT = {"run_id": ID, "artifact": "session_trades", "sha256": "11aa22bb33cc", **PAGE, "rows": [{"run_id": ID}]}
CALLERS = {
    "run_id": OTHER,
    "multiple": "2x",
    "pool": {"calls": 19, "reached": 8, "rate": 0.42, "low": 0.23, "high": 0.64, "strength": None},
    **PAGE,
    "callers": [{"caller_name": "brisk_falcon", "calls": 6, "hit_2x_rate": 0.5, "hit_2x_shrunk": 0.44}],
}
SURFACE = {
    "run_id": OTHER,
    "x": "tp",
    "y": "sl",
    "value": "avg_return_bps",
    "values": {"tp": [1.2, 1.4], "sl": [0.5, 0.7], "trail": [0.2]},
    "held": {"trail": 0.2},
    **PAGE,
    "cells": [{"trial_id": 1, "tp": 1.2, "sl": 0.5, "avg_return_bps": -759.2, "plateau_bps": -759.2}],
}
STRATEGIES = {
    **PAGE,
    "strategies": [{"run_id": ID, "strategy_id": "strategy_0", "strategy_hash": "a121fd46ef29", "period": 20}],
}
TRACE = {
    "run_id": ID,
    "strategy_id": "strategy_0",
    "strategy_hash": "a121fd46ef29",
    "trace_key": "8bf9619228f4",
    "strategy_type": "sma_crossover",
    "symbol": "SPY",
    "timeframe": "5m",
    "config": {"sma_crossover": {"fast_period": 5}},
    "bars": 468,
    **PAGE,
    "changes": [{"idx": 19, "ts": "2025-01-01T02:10:00.000Z", "val": -1, "px": 470.5}],
}
COMPARE = {
    "first": {"run_id": OTHER, "run_type": "policy"},
    "second": {"run_id": ID, "run_type": "search"},
    "identical": False,
    "changes": [{"kind": "config", "what": "policy", "before": None, "after": None}],
    "differences": [{"artifact": "trades", "column": "exit_px", "row": 3, "key": "call_id x", "before": 1, "after": 2}],
    "totals": [{"reason": "same", "trades": 19, "first_bps": 0.0, "second_bps": 0.0, "change_bps": 0.0}],
    "trades": [{"call_id": "aaf0f02c540f12e6", "reason": "exit reason changed", "change_bps": 12.5}],
    "metrics": [{"name": "ath_mult", "alerts": 3, "call_id": "aaf0f02c540f12e6", "before": 1.5, "after": 1.6}],
}
OHLC = {
    "run_id": ID,
    "symbol": "SPY",
    "interval_ms": 60000,
    **PAGE,
    "candles": [
        {
            "timestamp": "2024-01-05T14:57:00.000Z",
            "open": 470.1,
            "high": 470.6,
            "low": 470.0,
            "close": 470.5,
            "volume": 1e5,
        }
    ],
    "trade": {"trade_id": "SPY-2024-01-05-1"},
}
VERIFY = {
    "run_id": ID,
    "sound": False,
    "findings": [{"level": "error", "path": "policy/trades.parquet", "problem": "sha256 is 00, the run was saved so"}],
}
