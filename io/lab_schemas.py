"""The Arrow schemas of a lab run's tables; names are a contract. Times are ms UTC, days ISO dates.

Money is in the row's ``currency``, a name in ``_usdt`` in USDT; ``_pct`` is percent, rates and shares are fractions.
"""

import pyarrow as pa

from .fields import BOOL, FLOAT, INT, TEXT, fields_of

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
    "lab_exits": "results/exits.parquet",
}


# One row a backtest: what the server says of it. ``reported_`` figures are its own sums over all its reports.
BACKTESTS = pa.schema(
    [
        *fields_of(TEXT, "run_id! lab_id! backtest_id!"),
        *fields_of(INT, "status_code generation population"),
        *fields_of(TEXT, "script_id script_name account_id market_tag currency"),
        *fields_of(FLOAT, "leverage"),
        *fields_of(BOOL, "has_runtime!"),
        *fields_of(INT, "reports! reported_orders reported_positions reported_winning_positions"),
        *fields_of(FLOAT, "reported_gross_profit reported_fees reported_realized_profit reported_unrealized_profit"),
        *fields_of(FLOAT, "reported_margin reported_roi_on_margin_pct reported_balance"),
        *fields_of(FLOAT, "starting_balance start_price buy_hold_pct"),
        *fields_of(TEXT, "parameters"),
    ]
)

# One row a position. ``realized_profit`` is net of ``fees``; ``gross_profit`` is what it was before them.
POSITIONS = pa.schema(
    [
        *fields_of(TEXT, "run_id! backtest_id!"),
        *fields_of(INT, "number!"),
        *fields_of(TEXT, "position_id account_id market_tag currency direction"),
        *fields_of(BOOL, "closed!"),
        *fields_of(FLOAT, "leverage"),
        *fields_of(INT, "entry_ts_ms exit_ts_ms"),
        *fields_of(FLOAT, "entry_price exit_price amount margin"),
        *fields_of(FLOAT, "gross_profit fees realized_profit unrealized_profit roi_on_margin_pct"),
        *fields_of(INT, "entry_orders! exit_orders!"),
    ]
)

# One row an order of a position: ``position`` is the number of its position in the backtest.
ORDERS = pa.schema(
    [
        *fields_of(TEXT, "run_id! backtest_id!"),
        *fields_of(INT, "position! number!"),
        *fields_of(TEXT, "order_id side!"),
        *fields_of(INT, "direction_code type_code placed_ts_ms filled_ts_ms"),
        *fields_of(FLOAT, "price executed_price amount filled_amount fees"),
        *fields_of(TEXT, "fee_currency"),
        *fields_of(FLOAT, "margin gross_profit return_on_margin_pct"),
        *fields_of(TEXT, "note"),
    ]
)

# One row a backtest, the best first (engine/labs/METRICS.md says what each figure means).
ANALYTICS = pa.schema(
    [
        *fields_of(TEXT, "run_id!"),
        *fields_of(INT, "rank!"),
        *fields_of(TEXT, "backtest_id! script_name script_id"),
        *fields_of(INT, "generation population"),
        *fields_of(TEXT, "account_id market_tag currency"),
        *fields_of(FLOAT, "leverage"),
        *fields_of(INT, "start_time_ms end_time_ms days"),
        *fields_of(BOOL, "complete!"),
        *fields_of(INT, "orders positions open_positions total_trades winning_trades losing_trades"),
        *fields_of(
            FLOAT, "win_rate starting_balance gross_profit fees fees_usdt realized_profit realized_profits_usdt"
        ),
        *fields_of(FLOAT, "unrealized_profit margin roi_on_margin_pct return_on_balance_pct buy_hold_pct"),
        *fields_of(BOOL, "beats_buy_hold"),
        *fields_of(FLOAT, "max_drawdown_amount max_drawdown_pct sharpe_daily sharpe_annual profit_factor expectancy"),
        *fields_of(FLOAT, "average_winner average_loser largest_winner largest_loser exposure"),
        *fields_of(INT, "average_holding_ms longest_holding_ms"),
        *fields_of(TEXT, "parameters"),
    ]
)

# One row a backtest and UTC day on which a position closed.
DAYS = pa.schema(
    [
        *fields_of(TEXT, "run_id! backtest_id! day!"),
        *fields_of(INT, "trades!"),
        *fields_of(FLOAT, "realized_profit! return_on_balance"),
    ]
)

# One row a backtest and instant at which positions closed: the realised curve, which begins at the starting balance.
EQUITY = pa.schema(
    [
        *fields_of(TEXT, "run_id! backtest_id!"),
        *fields_of(INT, "exit_ts_ms! trades!"),
        *fields_of(FLOAT, "realized_profit! cumulative_profit! drawdown! equity drawdown_pct"),
    ]
)

# What a user's own function found: one row a backtest, function and name.
CUSTOM = pa.schema(
    [*fields_of(TEXT, "run_id! backtest_id! function! metric!"), *fields_of(FLOAT, "number"), *fields_of(TEXT, "text")]
)

# One row a filled order, held against our candles: ``verdict`` possible, ambiguous, impossible or no_candle.
FILLS = pa.schema(
    [
        *fields_of(TEXT, "run_id! backtest_id!"),
        *fields_of(INT, "position! number!"),
        *fields_of(TEXT, "side!"),
        *fields_of(INT, "filled_ts_ms"),
        *fields_of(FLOAT, "executed_price candle_low candle_high outside_bps"),
        *fields_of(TEXT, "verdict! why!"),
    ]
)

# One row a closed position: what the lab says it made, and what it makes by FS-1 on our candles.
REPLAY = pa.schema(
    [
        *fields_of(TEXT, "run_id! backtest_id!"),
        *fields_of(INT, "position!"),
        *fields_of(TEXT, "market_tag direction status!"),
        *fields_of(TEXT, "fills!"),
        *fields_of(FLOAT, "realized_profit"),
        *fields_of(INT, "fs1_entry_ts_ms fs1_exit_ts_ms"),
        *fields_of(FLOAT, "fs1_entry_price fs1_exit_price fs1_profit worst_profit best_profit"),
    ]
)

# One row a closed position and set of exits, ``own`` (its script's) or ``asked``: what FS-1 makes of its entry.
EXITS = pa.schema(
    [
        *fields_of(TEXT, "run_id! backtest_id!"),
        *fields_of(INT, "position!"),
        *fields_of(TEXT, "exits! policy! market_tag currency direction status!"),
        *fields_of(FLOAT, "realized_profit"),
        *fields_of(INT, "entry_ts_ms exit_ts_ms"),
        *fields_of(FLOAT, "entry_price exit_price"),
        *fields_of(TEXT, "exit_reason"),
        *fields_of(FLOAT, "fs1_profit worst_profit best_profit"),
        *fields_of(BOOL, "ambiguous"),
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
    "lab_exits": EXITS,
}
