"""The schemas of what a run of traces leaves beside the traces: the index of its strategies, and files of one."""

from collections.abc import Mapping

import pyarrow as pa

from .fields import FLOAT, INT, TEXT, fields_of

# One strategy's changes by themselves: ``px`` is the close of the candle, ``metadata`` a JSON text on the first row.
SIGNALS = pa.schema(
    [
        pa.field("idx", pa.int32(), nullable=False),
        pa.field("ts", pa.timestamp("ms", tz="UTC"), nullable=False),
        *fields_of(TEXT, "sym!"),
        pa.field("val", pa.int8(), nullable=False),
        *fields_of(TEXT, "strat!"),
        *fields_of(FLOAT, "px!"),
        *fields_of(TEXT, "strat_hash metadata"),
    ]
)

_WHO = fields_of(TEXT, "run_id! strategy_id! strategy_hash trace_key strategy_type! symbol! timeframe!")
# Where a trace lies: in the file ``trace_path`` of the run ``trace_run``, ``changes`` rows from ``trace_row`` on, whose
# column ``strategy`` says the same number as this one's.
_WHERE = [
    *fields_of(TEXT, "constraints config! trace_run! trace_path!"),
    *fields_of(INT, "strategy! trace_row! changes!"),
    *fields_of(TEXT, "signals_path data_digest"),
    *fields_of(INT, "bars first_idx first_ts_ms last_ts_ms"),
]
# Under which fills and costs it was traded, and what it earned; null where that was not asked for.
_FILLS = [*fields_of(TEXT, "fill exits"), *fields_of(FLOAT, "fee_bps slippage_bps")]
_EARNED = [
    *fields_of(FLOAT, "sharpe sharpe_ratio total_pnl total_return max_drawdown win_rate"),
    *fields_of(INT, "num_trades"),
    *fields_of(FLOAT, "profit_factor expectancy sharpe_trade exposure_time avg_bars_held"),
]
INDEX = tuple(field.name for field in (*_WHO, *_WHERE, *_FILLS, *_EARNED))


def strategy_index(parameters: Mapping[str, pa.DataType]) -> pa.Schema:
    """Return the schema of the index of a run's strategies, one row a trace, with one nullable column a parameter.

    ``strategy_hash`` and ``trace_key`` are null where what a strategy is, or of which candles, is not known.
    ``bars`` are the candles of the series, ``first_idx`` the first of them with a signal; times are their opens.
    """
    taken = sorted(set(parameters) & set(INDEX))
    if taken:
        raise ValueError(f"parameters {taken} are called as columns that every index has")
    named = [pa.field(name, kind) for name, kind in sorted(parameters.items())]
    return pa.schema([*_WHO, *named, *_WHERE, *_FILLS, *_EARNED])
