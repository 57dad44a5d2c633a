"""The Arrow schemas of a session run's tables (SESSIONS); names are a contract. Times are ms UTC, days ISO dates."""

from collections.abc import Mapping

import pyarrow as pa

from .fields import BOOL, FLOAT, INT, TEXT, fields_of

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


TRADES = pa.schema(
    [
        *fields_of(TEXT, "run_id! trade_id! symbol! day! direction!"),
        *fields_of(INT, "entry_timestamp! exit_timestamp!"),
        *fields_of(FLOAT, "entry_price! exit_price! gross_price! stop_price_initial! initial_risk!"),
        *fields_of(FLOAT, "realized_r! worst_r! best_r!"),
        *fields_of(BOOL, "ambiguous!"),
        *fields_of(FLOAT, "max_favorable_r! max_adverse_r!"),
        *fields_of(TEXT, "exit_reason!"),
        *fields_of(FLOAT, "points! pnl!"),
        *fields_of(INT, "n_fills!"),
        *fields_of(BOOL, "gap_entry! gap_exit!"),
        *fields_of(FLOAT, "or_high! or_low!"),
        *fields_of(INT, "or_minutes!"),
        *fields_of(FLOAT, "confluence_score! confluence_required!"),
        *fields_of(BOOL, " ".join(f"factor_{name}" for name in FACTORS)),
    ]
)

FILLS = pa.schema(
    [
        *fields_of(TEXT, "run_id! trade_id! symbol!"),
        *fields_of(INT, "fill! timestamp!"),
        *fields_of(FLOAT, "price! fraction!"),
        *fields_of(TEXT, "reason!"),
        *fields_of(FLOAT, "r_multiple!"),
        *fields_of(BOOL, "gap!"),
    ]
)

GOVERNANCE = pa.schema(
    [*fields_of(TEXT, "run_id! symbol! day!"), *fields_of(INT, "timestamp!"), *fields_of(TEXT, "direction! event!")]
)

# One row a trade; ``symbol`` of ``scope`` combined is that of the trade, and the sums are of all symbols.
EQUITY = pa.schema(
    [
        *fields_of(TEXT, "run_id! scope!"),
        *fields_of(INT, "trade_number!"),
        *fields_of(TEXT, "symbol! trade_id!"),
        *fields_of(INT, "entry_timestamp! exit_timestamp!"),
        *fields_of(FLOAT, "realized_r! cumulative_r! running_max! drawdown_r! equity! drawdown_pct!"),
    ]
)

# One row a symbol, and one of all with a null ``symbol``.
SYMBOLS = pa.schema(
    [
        *fields_of(TEXT, "run_id! symbol"),
        *fields_of(INT, "total_trades! winning_trades! losing_trades!"),
        *fields_of(FLOAT, "win_rate total_r! average_r expectancy median_r profit_factor"),
        *fields_of(FLOAT, "sharpe_ratio sharpe_per_trade sortino_ratio max_drawdown_r! max_drawdown_pct!"),
        *fields_of(FLOAT, "average_winner_r average_loser_r largest_winner_r largest_loser_r"),
        *fields_of(INT, "max_consecutive_wins! max_consecutive_losses!"),
        *fields_of(FLOAT, "average_duration_minutes worst_r! best_r! ambiguous_rate net_pnl! return_on_capital!"),
        *fields_of(INT, "sessions!"),
        *fields_of(FLOAT, "best_day_share best_5_days_share best_5_trades_share"),
        *fields_of(FLOAT, "total_r_without_best_day! total_r_without_5_best_trades! median_day_r"),
    ]
)

# Where R comes from: one row a bucket of a kind, of a symbol or with a null ``symbol`` of all. Of a factor the trades
# that had it are counted, ``absent`` are the others.
ATTRIBUTION = pa.schema(
    [
        *fields_of(TEXT, "run_id! symbol kind! bucket!"),
        *fields_of(INT, "count!"),
        *fields_of(FLOAT, "win_rate avg_r total_r"),
        *fields_of(INT, "absent_count"),
        *fields_of(FLOAT, "absent_win_rate absent_avg_r delta_win_rate delta_avg_r"),
    ]
)

# One row a session candle: what was known at its close.
FACTOR_TABLE = pa.schema(
    [
        *fields_of(TEXT, "run_id! symbol!"),
        *fields_of(INT, "timestamp!"),
        *fields_of(BOOL, "or_finalized! or_valid!"),
        *fields_of(FLOAT, "or_high or_low rel_vol vwap adx"),
        *fields_of(BOOL, " ".join(f"{name}_{side}" for name in FACTORS for side in ("long", "short"))),
        *fields_of(FLOAT, "score_long! score_short! score_required!"),
        *fields_of(BOOL, "breakout_long! breakout_short!"),
    ]
)

# What a setting is worth: the change of the expectancy, in R, with the setting that much lower or higher.
PERTURBATION = pa.schema(
    [
        *fields_of(TEXT, "run_id! setting!"),
        *fields_of(FLOAT, "value!"),
        *fields_of(FLOAT, "minus_20_pct minus_10_pct plus_10_pct plus_20_pct mean_abs_change"),
        *fields_of(INT, "rank!"),
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
            *fields_of(TEXT, "run_id!"),
            *fields_of(INT, "trial_id! rank!"),
            *fields_of(BOOL, "enough_trades!"),
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
