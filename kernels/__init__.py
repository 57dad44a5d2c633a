"""Compiled loops over flat arrays: paths, exits, bounds and searches. Needs numpy and numba, nothing of ours.

The names below are loaded when first used, so that importing the package does not import numba.
"""

import importlib
from typing import Any

_ROOMS = {
    "adaptive": "mama",
    "arrays": "Alerts Candles Costs Entry Policies Policy Rules Windows candles column costs policy",
    "averages": "deviation dema ema highest linear_slope lowest percent_rank rma sma tema wma",
    "bounds": "BOUND NOTE Bounds bracket bracket_all",
    "channels": "bollinger donchian ichimoku keltner parabolic_sar supertrend",
    "entries": "EntryRule enter enter_all entry_rule",
    "exits": "FILL TRADE Exit net_return simulate simulate_all",
    "jit": "threads",
    "mirror": "mirrored opposite reflected short_excursions short_policy short_return",
    "oscillators": "aroon cci macd mfi momentum roc rsi stochastic stochastic_rsi williams_r",
    "paths": "PATH TOUCH measure measure_all",
    "philox": "uniform uniforms",
    "quantiles": "quantile",
    "ranges": "atr true_range",
    "search": "TALLY search_all tally_all",
    "staircase": "Index first_event index_all leap",
    "surface": "surface_all",
    "tables": "fits_all returns_tables tally_tables",
    "trends": "directional heikin_ashi vortex",
    "volumes": "accumulation_distribution chaikin_money_flow obv session_vwap volume_ratio vwap",
    "walk": "Blocks blocks_for entry_of no_blocks policy_of starting window_of",
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_ROOM_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_ROOM_OF)
