"""The Arrow schemas of a lab run's tables; names are a contract. Times are ms UTC, days ISO dates.

Money is in the row's ``currency``, a name in ``_usdt`` in USDT; ``_pct`` is percent, rates and shares are fractions.
"""

import pyarrow as pa

TEXT, INT, FLOAT, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()

# Where each table lies in a run's directory.
PATHS = {
    "lab_backtests": "inputs/backtests.parquet",
    "lab_positions": "inputs/positions.parquet",
    "lab_orders": "inputs/orders.parquet",
    "lab_analytics": "results/analytics.parquet",
    "lab_days": "results/days.parquet",
    "lab_equity": "results/equity.parquet",
    "lab_custom": "results/custom.parquet",
    "lab_replay": "results/replay.parquet",
    "lab_fills": "results/fills.parquet",
}


def _fields(kind: pa.DataType, names: str) -> list[pa.Field]:
    """Return one field a name; a name ending in ``!`` may not be null."""
    return [pa.field(name.rstrip("!"), kind, nullable=not name.endswith("!")) for name in names.split()]


# One row a backtest: what the server says of it. ``reported_`` figures are its own sums over all its reports.
BACKTESTS = pa.schema(
    [
        *_fields(TEXT, "run_id! lab_id! backtest_id!"),
        *_fields(INT, "status_code generation population"),
        *_fields(TEXT, "script_id script_name account_id market_tag currency"),
        *_fields(FLOAT, "leverage"),
        *_fields(BOOL, "has_runtime!"),
        *_fields(INT, "reports! reported_orders reported_positions reported_winning_positions"),
        *_fields(FLOAT, "reported_gross_profit reported_fees reported_realized_profit reported_unrealized_profit"),
        *_fields(FLOAT, "reported_margin reported_roi_on_margin_pct reported_balance"),
        *_fields(FLOAT, "starting_balance start_price buy_hold_pct"),
        *_fields(TEXT, "parameters"),
    ]
)

# One row a position. ``realized_profit`` is net of ``fees``; ``gross_profit`` is what it was before them.
POSITIONS = pa.schema(
    [
        *_fields(TEXT, "run_id! backtest_id!"),
        *_fields(INT, "number!"),
        *_fields(TEXT, "position_id account_id market_tag currency direction"),
        *_fields(BOOL, "closed!"),
        *_fields(FLOAT, "leverage"),
        *_fields(INT, "entry_ts_ms exit_ts_ms"),
        *_fields(FLOAT, "entry_price exit_price amount margin"),
        *_fields(FLOAT, "gross_profit fees realized_profit unrealized_profit roi_on_margin_pct"),
        *_fields(INT, "entry_orders! exit_orders!"),
    ]
)

# One row an order of a position: ``position`` is the number of its position in the backtest.
ORDERS = pa.schema(
    [
        *_fields(TEXT, "run_id! backtest_id!"),
        *_fields(INT, "position! number!"),
        *_fields(TEXT, "order_id side!"),
        *_fields(INT, "direction_code type_code placed_ts_ms filled_ts_ms"),
        *_fields(FLOAT, "price executed_price amount filled_amount fees"),
        *_fields(TEXT, "fee_currency"),
        *_fields(FLOAT, "margin gross_profit return_on_margin_pct"),
        *_fields(TEXT, "note"),
    ]
)

# One row a backtest, the best first (engine/labs/METRICS.md says what each figure means).
ANALYTICS = pa.schema(
    [
        *_fields(TEXT, "run_id!"),
        *_fields(INT, "rank!"),
        *_fields(TEXT, "backtest_id! script_name script_id"),
        *_fields(INT, "generation population"),
        *_fields(TEXT, "account_id market_tag currency"),
        *_fields(FLOAT, "leverage"),
        *_fields(INT, "start_time_ms end_time_ms days"),
        *_fields(BOOL, "complete!"),
        *_fields(INT, "orders positions open_positions total_trades winning_trades losing_trades"),
        *_fields(FLOAT, "win_rate starting_balance gross_profit fees fees_usdt realized_profit realized_profits_usdt"),
        *_fields(FLOAT, "unrealized_profit margin roi_on_margin_pct return_on_balance_pct buy_hold_pct"),
        *_fields(BOOL, "beats_buy_hold"),
        *_fields(FLOAT, "max_drawdown_amount max_drawdown_pct sharpe_daily sharpe_annual profit_factor expectancy"),
        *_fields(FLOAT, "average_winner average_loser largest_winner largest_loser exposure"),
        *_fields(INT, "average_holding_ms longest_holding_ms"),
        *_fields(TEXT, "parameters"),
    ]
)

# One row a backtest and UTC day on which a position closed.
DAYS = pa.schema(
    [
        *_fields(TEXT, "run_id! backtest_id! day!"),
        *_fields(INT, "trades!"),
        *_fields(FLOAT, "realized_profit! return_on_balance"),
    ]
)

# One row a backtest and instant at which positions closed: the realised curve, which begins at the starting balance.
EQUITY = pa.schema(
    [
        *_fields(TEXT, "run_id! backtest_id!"),
        *_fields(INT, "exit_ts_ms! trades!"),
        *_fields(FLOAT, "realized_profit! cumulative_profit! drawdown! equity drawdown_pct"),
    ]
)

# What a user's own function found: one row a backtest, function and name.
CUSTOM = pa.schema(
    [*_fields(TEXT, "run_id! backtest_id! function! metric!"), *_fields(FLOAT, "number"), *_fields(TEXT, "text")]
)

# One row a filled order, held against our candles: ``verdict`` possible, ambiguous, impossible or no_candle.
FILLS = pa.schema(
    [
        *_fields(TEXT, "run_id! backtest_id!"),
        *_fields(INT, "position! number!"),
        *_fields(TEXT, "side!"),
        *_fields(INT, "filled_ts_ms"),
        *_fields(FLOAT, "executed_price candle_low candle_high outside_bps"),
        *_fields(TEXT, "verdict! why!"),
    ]
)

# One row a closed position: what the lab says it made, and what it makes by FS-1 on our candles.
REPLAY = pa.schema(
    [
        *_fields(TEXT, "run_id! backtest_id!"),
        *_fields(INT, "position!"),
        *_fields(TEXT, "market_tag direction status!"),
        *_fields(TEXT, "fills!"),
        *_fields(FLOAT, "realized_profit"),
        *_fields(INT, "fs1_entry_ts_ms fs1_exit_ts_ms"),
        *_fields(FLOAT, "fs1_entry_price fs1_exit_price fs1_profit worst_profit best_profit"),
    ]
)

FIXED = {
    "lab_backtests": BACKTESTS,
    "lab_positions": POSITIONS,
    "lab_orders": ORDERS,
    "lab_analytics": ANALYTICS,
    "lab_days": DAYS,
    "lab_equity": EQUITY,
    "lab_custom": CUSTOM,
    "lab_replay": REPLAY,
    "lab_fills": FILLS,
}
