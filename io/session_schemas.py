"""The Arrow schemas of a session run's tables (SESSIONS); names are a contract. Times are ms UTC, days ISO dates."""

from collections.abc import Mapping

import pyarrow as pa

TEXT, INT, FLOAT, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
FACTORS = ("rel_volume", "price_action", "profile_proxy", "vwap", "adx")

# Where each table lies in a run's directory.
PATHS = {
    "session_trades": "policy/trades.parquet",
    "session_fills": "policy/fills.parquet",
    "factors": "features/factors.parquet",
    "symbols": "results/symbols.parquet",
    "equity": "results/equity.parquet",
    "governance": "results/governance.parquet",
    "session_trials": "results/trials.parquet",
    "attribution": "results/attribution.parquet",
    "perturbation": "results/perturbation.parquet",
}


def _fields(kind: pa.DataType, names: str) -> list[pa.Field]:
    """Return one field a name; a name ending in ``!`` may not be null."""
    return [pa.field(name.rstrip("!"), kind, nullable=not name.endswith("!")) for name in names.split()]


TRADES = pa.schema(
    [
        *_fields(TEXT, "run_id! trade_id! symbol! day! direction!"),
        *_fields(INT, "entry_timestamp! exit_timestamp!"),
        *_fields(FLOAT, "entry_price! exit_price! gross_price! stop_price_initial! initial_risk!"),
        *_fields(FLOAT, "realized_r! worst_r! best_r!"),
        *_fields(BOOL, "ambiguous!"),
        *_fields(FLOAT, "max_favorable_r! max_adverse_r!"),
        *_fields(TEXT, "exit_reason!"),
        *_fields(FLOAT, "points! pnl!"),
        *_fields(INT, "n_fills!"),
        *_fields(BOOL, "gap_entry! gap_exit!"),
        *_fields(FLOAT, "or_high! or_low!"),
        *_fields(INT, "or_minutes!"),
        *_fields(FLOAT, "confluence_score! confluence_required!"),
        *_fields(BOOL, " ".join(f"factor_{name}" for name in FACTORS)),
    ]
)

FILLS = pa.schema(
    [
        *_fields(TEXT, "run_id! trade_id! symbol!"),
        *_fields(INT, "fill! timestamp!"),
        *_fields(FLOAT, "price! fraction!"),
        *_fields(TEXT, "reason!"),
        *_fields(FLOAT, "r_multiple!"),
        *_fields(BOOL, "gap!"),
    ]
)

GOVERNANCE = pa.schema(
    [*_fields(TEXT, "run_id! symbol! day!"), *_fields(INT, "timestamp!"), *_fields(TEXT, "direction! event!")]
)

# One row a trade; ``symbol`` of ``scope`` combined is that of the trade, and the sums are of all symbols.
EQUITY = pa.schema(
    [
        *_fields(TEXT, "run_id! scope!"),
        *_fields(INT, "trade_number!"),
        *_fields(TEXT, "symbol! trade_id!"),
        *_fields(INT, "entry_timestamp! exit_timestamp!"),
        *_fields(FLOAT, "realized_r! cumulative_r! running_max! drawdown_r! equity! drawdown_pct!"),
    ]
)

# One row a symbol, and one of all with a null ``symbol``.
SYMBOLS = pa.schema(
    [
        *_fields(TEXT, "run_id! symbol"),
        *_fields(INT, "total_trades! winning_trades! losing_trades!"),
        *_fields(FLOAT, "win_rate total_r! average_r expectancy median_r profit_factor"),
        *_fields(FLOAT, "sharpe_ratio sharpe_per_trade sortino_ratio max_drawdown_r! max_drawdown_pct!"),
        *_fields(FLOAT, "average_winner_r average_loser_r largest_winner_r largest_loser_r"),
        *_fields(INT, "max_consecutive_wins! max_consecutive_losses!"),
        *_fields(FLOAT, "average_duration_minutes worst_r! best_r! ambiguous_rate net_pnl! return_on_capital!"),
        *_fields(INT, "sessions!"),
        *_fields(FLOAT, "best_day_share best_5_days_share best_5_trades_share"),
        *_fields(FLOAT, "total_r_without_best_day! total_r_without_5_best_trades! median_day_r"),
    ]
)

# Where R comes from: one row a bucket of a kind, of a symbol or with a null ``symbol`` of all. Of a factor the trades
# that had it are counted, ``absent`` are the others.
ATTRIBUTION = pa.schema(
    [
        *_fields(TEXT, "run_id! symbol kind! bucket!"),
        *_fields(INT, "count!"),
        *_fields(FLOAT, "win_rate avg_r total_r"),
        *_fields(INT, "absent_count"),
        *_fields(FLOAT, "absent_win_rate absent_avg_r delta_win_rate delta_avg_r"),
    ]
)

# One row a session candle: what was known at its close.
FACTOR_TABLE = pa.schema(
    [
        *_fields(TEXT, "run_id! symbol!"),
        *_fields(INT, "timestamp!"),
        *_fields(BOOL, "or_finalized! or_valid!"),
        *_fields(FLOAT, "or_high or_low rel_vol vwap adx"),
        *_fields(BOOL, " ".join(f"{name}_{side}" for name in FACTORS for side in ("long", "short"))),
        *_fields(FLOAT, "score_long! score_short! score_required!"),
        *_fields(BOOL, "breakout_long! breakout_short!"),
    ]
)

# What a setting is worth: the change of the expectancy, in R, with the setting that much lower or higher.
PERTURBATION = pa.schema(
    [
        *_fields(TEXT, "run_id! setting!"),
        *_fields(FLOAT, "value!"),
        *_fields(FLOAT, "minus_20_pct minus_10_pct plus_10_pct plus_20_pct mean_abs_change"),
        *_fields(INT, "rank!"),
    ]
)

TRIAL_METRICS = (
    *("total_trades", "win_rate", "total_r", "expectancy", "median_r", "profit_factor", "sharpe_ratio"),
    *("sortino_ratio", "max_drawdown_r", "max_drawdown_pct", "worst_r", "best_r", "ambiguous_rate", "net_pnl"),
)


def trials(settings: Mapping[str, pa.DataType]) -> pa.Schema:
    """Return the schema of a search's configurations, one row each, the best first; ``settings`` by dotted name."""
    by_name = {field.name: field for field in SYMBOLS}
    return pa.schema(
        [
            *_fields(TEXT, "run_id!"),
            *_fields(INT, "trial_id! rank!"),
            *_fields(BOOL, "enough_trades!"),
            *(pa.field(name, kind) for name, kind in settings.items()),
            *(by_name[name] for name in TRIAL_METRICS),
        ]
    )


FIXED = {
    "session_trades": TRADES,
    "session_fills": FILLS,
    "factors": FACTOR_TABLE,
    "symbols": SYMBOLS,
    "equity": EQUITY,
    "governance": GOVERNANCE,
    "attribution": ATTRIBUTION,
    "perturbation": PERTURBATION,
}
