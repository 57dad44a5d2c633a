"""The Arrow schema of every table that passes a door, declared once; names are a contract."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from . import lab_schemas, session_schemas
from .fields import BOOL, FLOAT, INT, TEXT, fields_of

SCHEMA_VERSION = 1
MULTIPLES = (2.0, 3.0, 4.0, 5.0, 10.0)

# Where each artifact lies in a run's directory.
PATHS = {
    "alerts": "inputs/alerts.parquet",
    "paths": "truth/paths.parquet",
    "features": "features/features.parquet",
    "trades": "policy/trades.parquet",
    "fills": "policy/fills.parquet",
    "summary": "results/summary.parquet",
    "callers": "results/callers.parquet",
    "trials": "results/trials.parquet",
    "frontier": "results/frontier.parquet",
    "surface": "results/surface.parquet",
    "surface_by": "results/surface_by.parquet",
    "strategy_index": "results/strategy_index.parquet",
    "traces": "traces/part-0000.parquet",
    "sessions": "results/sessions.parquet",
    "errors": "errors/errors.parquet",
    "log": "logs/run.log",
    "report": "report.html",
    **session_schemas.PATHS,
    **lab_schemas.PATHS,
}


# Every exit parameter a search may vary, in the order of its columns.
PARAMETERS = {
    "tp": FLOAT,
    "sl": FLOAT,
    "trail": FLOAT,
    "trail_activate": FLOAT,
    "breakeven": FLOAT,
    "breakeven_offset": FLOAT,
    "time_stop_ms": INT,
    **{f"rung{i}": FLOAT for i in range(1, 7)},
    **{f"rung{i}_frac_bps": INT for i in range(1, 7)},
}


def multiple_name(multiple: float) -> str:
    """Return a multiple as it stands in column names: ``2x``, ``1_2x``. Raises ValueError unless it is above 1."""
    if not 1 < multiple < float("inf"):
        raise ValueError(f"multiple {multiple!r} must be a finite number above 1")
    digits = f"{Decimal(repr(float(multiple))):f}"
    return (digits.rstrip("0").rstrip(".") if "." in digits else digits).replace(".", "_") + "x"


def _judged(k: str) -> list[pa.Field]:
    """Return what a caller's calls prove of one multiple (``engine.rates``).

    Of the calls that were entered some reached it; of the others, some came too late for the data to follow them to
    the horizon, and some are of a token that was not traded any more. The raw rate ``hit_*_rate`` and its Wilson
    interval count all of them; ``km`` is Kaplan and Meier's estimate; ``needs`` counts further calls.
    """
    ends = f"hit_{k}_low hit_{k}_high hit_{k}_km_low hit_{k}_km_high hit_{k}_shrunk hit_{k}_q"
    return [
        *fields_of(INT, f"calls_reached_{k} calls_data_ended_{k} calls_died_{k}"),
        *fields_of(FLOAT, ends),
        *fields_of(INT, f"hit_{k}_needs"),
    ]


ALERTS = pa.schema(
    [
        *fields_of(TEXT, "call_id! mint! caller_name! chain!"),
        *fields_of(INT, "alert_ts_ms!"),
        *fields_of(TEXT, "created_at! alert_id"),
        *fields_of(FLOAT, "alert_price mcap_usd"),
    ]
)

TRADES = pa.schema(
    [
        *fields_of(TEXT, "run_id! policy_id call_id!"),
        *fields_of(INT, "entry_ts_ms"),
        *fields_of(FLOAT, "entry_px"),
        *fields_of(INT, "exit_ts_ms"),
        *fields_of(FLOAT, "exit_px"),
        *fields_of(TEXT, "exit_reason"),
        *fields_of(FLOAT, "realized_return_bps"),
        *fields_of(BOOL, "stop_out"),
        *fields_of(FLOAT, "max_adverse_excursion_bps max_favorable_excursion_bps"),
        *fields_of(INT, "time_exposed_ms"),
        *fields_of(FLOAT, "tail_capture worst_bps best_bps"),
        *fields_of(BOOL, "ambiguous"),
        *fields_of(TEXT, "flags status!"),
        *fields_of(BOOL, "gap censored"),
        *fields_of(INT, "exit_bar n_ambiguous_bars n_fills ret_q"),
        *fields_of(FLOAT, "gross"),
    ]
)

FILLS = pa.schema(
    [
        *fields_of(TEXT, "run_id! policy_id call_id!"),
        *fields_of(INT, "fill! ts_ms!"),
        *fields_of(FLOAT, "price!"),
        *fields_of(INT, "frac_bps!"),
        *fields_of(TEXT, "reason!"),
        *fields_of(BOOL, "gap!"),
    ]
)

SUMMARY = pa.schema(
    [
        *fields_of(TEXT, "run_id!"),
        *fields_of(INT, "calls_processed! calls_excluded! trades_count!"),
        *fields_of(FLOAT, "avg_return_bps median_return_bps p25_return_bps p75_return_bps p90_return_bps"),
        *fields_of(FLOAT, "win_rate profit_factor stop_out_rate avg_max_adverse_excursion_bps avg_time_exposed_ms"),
        *fields_of(FLOAT, "avg_tail_capture median_tail_capture mean_worst_bps mean_best_bps ambiguous_rate"),
        *fields_of(INT, "gain_q loss_q"),
        *fields_of(TEXT, "verdict intrabar"),
    ]
)

CALLERS = pa.schema(
    [
        *fields_of(TEXT, "run_id! caller_name!"),
        *fields_of(INT, "calls! calls_excluded!"),
        *fields_of(FLOAT, "hit_2x_rate hit_3x_rate hit_4x_rate hit_5x_rate hit_10x_rate"),
        *fields_of(FLOAT, "hit_2x_km hit_3x_km hit_4x_km hit_5x_km hit_10x_km"),
        *fields_of(FLOAT, "median_ath_mult p25_ath_mult p75_ath_mult median_t_2x_ms median_dd_overall"),
        *fields_of(FLOAT, "median_dd_pre_2x_or_horizon median_ret_end_bps censored_rate"),
        *fields_of(INT, "trades_count"),
        *fields_of(FLOAT, "avg_return_bps median_return_bps win_rate stop_out_rate mean_worst_bps mean_best_bps"),
        *fields_of(FLOAT, "median_ath_low median_ath_high median_return_low_bps median_return_high_bps caller_score"),
        *(field for k in map(multiple_name, MULTIPLES) for field in _judged(k)),
    ]
)

# One row a symbol and exchange day: its opening range, and how complete its candles are (SESSIONS sections 2 and 7).
SESSIONS = pa.schema(
    [
        *fields_of(TEXT, "run_id! symbol! day!"),
        *fields_of(INT, "open_ms! close_ms! or_minutes! or_end_ms!"),
        *fields_of(FLOAT, "or_high or_low or_width upper lower unit norm_vol"),
        *fields_of(TEXT, "or_verdict!"),
        *fields_of(INT, "expected! present!"),
        *fields_of(FLOAT, "coverage!"),
        *fields_of(INT, "or_expected! or_present! first_missing_ms max_gap_ms! zero_volume!"),
        *fields_of(TEXT, "verdict! reasons!"),
    ]
)

# ``timestamp`` is ISO 8601 in UTC, ``details`` a JSON text.
ERRORS = pa.schema(fields_of(TEXT, "run_id! timestamp! level! phase! call_id message! details"))

# The changes of many strategies, sorted by strategy (its number in the run), then candle.
TRACES = pa.schema(
    [
        pa.field("strategy", pa.int32(), nullable=False),
        pa.field("idx", pa.int32(), nullable=False),
        pa.field("val", pa.int8(), nullable=False),
    ]
)

# 21 million changes: 13.6 MB in 0.43 s so, 50.5 MB in 0.64 s as Parquet's writer has it by itself.
ENCODED = {"traces": {"idx": "DELTA_BINARY_PACKED"}}

FIXED = {
    "alerts": ALERTS,
    "trades": TRADES,
    "fills": FILLS,
    "summary": SUMMARY,
    "callers": CALLERS,
    "errors": ERRORS,
    "traces": TRACES,
    **session_schemas.FIXED,
    **lab_schemas.FIXED,
}


def paths(multiples: tuple[float, ...] = MULTIPLES) -> pa.Schema:
    """Return the schema of the path metrics (SEMANTICS section 2), one row an alert.

    The contract's multiples are always there; others given add columns such as ``hit_1_2x``. Metrics are null
    where they are undefined and where ``status`` is not OK; ``flags`` is text, comma-separated.
    """
    contract = [multiple_name(k) for k in MULTIPLES]
    extra = list(dict.fromkeys(name for name in map(multiple_name, sorted(multiples)) if name not in contract))
    fields = [
        *fields_of(TEXT, "run_id! call_id! caller_name! mint! chain! interval!"),
        *fields_of(INT, "alert_ts_ms!"),
        *fields_of(FLOAT, "p0"),
        *(field for k in contract for field in _hit(k)),
        *fields_of(FLOAT, "dd_bps dd_to_2x_bps"),
        *fields_of(INT, "alert_to_activity_ms"),
        *fields_of(FLOAT, "peak_multiple"),
        *fields_of(INT, "entry_ts_ms alert_to_entry_ms n_bars"),
        *fields_of(FLOAT, "ath_mult"),
        *fields_of(INT, "t_ath_ms"),
        *fields_of(FLOAT, "peak_close_mult"),
    ]
    for k in (*contract, *extra):
        fields += [
            *(_hit(k) if k in extra else ()),
            *fields_of(INT, f"t_{k}_lo_ms"),
            *fields_of(FLOAT, f"dd_pre_{k} dd_pre_{k}_opt dd_pre_{k}_or_horizon dd_after_{k} dd_after_{k}_opt"),
        ]
    fields += [
        *fields_of(FLOAT, "dd_overall"),
        *fields_of(BOOL, "recovered"),
        *fields_of(INT, "t_recovery_ms"),
        *fields_of(FLOAT, "dd_initial dd_initial_opt dd_after_ath dd_after_ath_opt mdd mdd_opt ret_end_bps"),
        *fields_of(INT, "max_gap_ms"),
        *fields_of(BOOL, "stale"),
        *fields_of(TEXT, "flags status!"),
        *fields_of(BOOL, "censored"),
        *fields_of(FLOAT, "coverage"),
    ]
    return pa.schema(fields)


def _hit(k: str) -> list[pa.Field]:
    return [*fields_of(BOOL, f"hit_{k}"), *fields_of(INT, f"t_{k}_ms")]


def trials(parameters: tuple[str, ...]) -> pa.Schema:
    """Return the schema of a search's trials, with one nullable column a varied parameter of ``PARAMETERS``.

    ``policy_id`` is null, ``median_return_bps`` too unless the medians of all were asked for.
    """
    return pa.schema(
        [
            *fields_of(TEXT, "run_id!"),
            *fields_of(INT, "trial_id!"),
            *fields_of(TEXT, "policy_id"),
            *_parameters(parameters),
            *fields_of(INT, "trades_count!"),
            *fields_of(FLOAT, "avg_return_bps median_return_bps win_rate profit_factor stop_out_rate"),
            *fields_of(FLOAT, "mean_worst_bps mean_best_bps ambiguous_rate"),
            *fields_of(INT, "sum_ret_q"),
        ]
    )


def surface(parameters: tuple[str, ...]) -> pa.Schema:
    """Return the schema of a surface, one row a cell, with one column a parameter; ``trial_id`` numbers the cells.

    ``plateau_bps`` is the lowest ``avg_return_bps`` of the cell and all its neighbours, one grid step away in every
    varied direction, diagonals included. ``median_return_bps`` is null unless medians were asked for.
    """
    kept = [field for field in trials(parameters) if field.name != "policy_id"]
    return pa.schema([*kept, *fields_of(FLOAT, "plateau_bps!")])


def surface_by(by: str, parameters: tuple[str, ...]) -> pa.Schema:
    """Return the schema of a surface for each caller (``caller_name``) or each day of entry, UTC (``day``)."""
    group = {"caller": ("caller_name", TEXT), "day": ("day", pa.date32())}[by]
    return pa.schema(
        [
            *fields_of(TEXT, "run_id!"),
            pa.field(*group, nullable=False),
            *fields_of(INT, "trial_id!"),
            *_parameters(parameters),
            *fields_of(INT, "trades_count! sum_ret_q!"),
            *fields_of(FLOAT, "avg_return_bps!"),
        ]
    )


def frontier(parameters: tuple[str, ...], more: tuple[str, ...] = ()) -> pa.Schema:
    """Return the schema of the ranked best trials; ``caller_name`` null means all callers together.

    ``more`` names numbers that stand behind the others, such as ``plateau_bps`` of a surface.
    ``max_drawdown_bps`` is that of the sum of returns in the order of entries, in basis points of one stake, <= 0.
    """
    return pa.schema(
        [
            *fields_of(TEXT, "run_id! caller_name"),
            *fields_of(INT, "trial_id!"),
            *fields_of(TEXT, "policy_params!"),
            *_parameters(parameters),
            *fields_of(BOOL, "meets_constraints!"),
            *fields_of(FLOAT, "objective_score avg_return_bps median_return_bps stop_out_rate"),
            *fields_of(INT, "rank! trades_count"),
            *fields_of(FLOAT, "win_rate profit_factor mean_worst_bps mean_best_bps ambiguous_rate"),
            *fields_of(TEXT, "policy_id!"),
            *fields_of(FLOAT, " ".join(["p25_return_bps p75_return_bps p90_return_bps max_drawdown_bps", *more])),
        ]
    )


def _parameters(names: tuple[str, ...]) -> list[pa.Field]:
    unknown = [name for name in names if name not in PARAMETERS]
    if unknown:
        raise ValueError(f"unknown parameters {unknown}; known are {list(PARAMETERS)}")
    return [pa.field(name, kind) for name, kind in PARAMETERS.items() if name in names]


def run_columns(artifact: str) -> tuple[str, ...]:
    """Return the columns of an artifact that name the run or its clock, and so are no part of its content."""
    return {"errors": ("run_id", "timestamp"), "strategy_index": ("run_id", "trace_run")}.get(artifact, ("run_id",))


def without_run(schema: pa.Schema) -> pa.Schema:
    """Return the schema of what is known before there is a run: all columns but ``run_id``."""
    return pa.schema([field for field in schema if field.name != "run_id"])


def with_run(found: pa.Table, run_id: str) -> pa.Table:
    """Return a table with ``run_id`` for its first column."""
    field = pa.field("run_id", TEXT, nullable=False)
    return found.add_column(0, field, pa.repeat(pa.scalar(run_id), found.num_rows))


def table(schema: pa.Schema, columns: Mapping[str, Any], run_id: str | None = None) -> pa.Table:
    """Return ``columns`` (name -> array, masked array or sequence) as a table in the order of ``schema``.

    A text or None stands for a whole column of it. Masked entries and NaN become null; ``run_id`` is filled in
    where the schema has one. Raises ValueError where columns are missing, unknown, of another length or type,
    or null where they may not be.
    """
    given = dict(columns)
    if "run_id" in schema.names and run_id is not None:
        given["run_id"] = run_id
    missing = [name for name in schema.names if name not in given]
    unknown = [name for name in columns if name not in schema.names or (name == "run_id" and run_id is not None)]
    if missing or unknown:
        raise ValueError(f"columns missing: {missing}; unknown: {unknown}")
    rows = next((len(v) for v in given.values() if v is not None and not isinstance(v, str)), 1)
    arrays = [_array(field, given[field.name], rows) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(field: pa.Field, values: Any, rows: int) -> pa.Array | pa.ChunkedArray:
    """Return ``values`` as one column of ``rows`` entries that fits ``field``."""
    floating = pa.types.is_floating(field.type)
    try:
        if values is None or isinstance(values, str):
            array = pa.repeat(pa.scalar(values, field.type), rows)
        elif isinstance(values, pa.Array | pa.ChunkedArray) and not floating:
            array = values.cast(field.type)
        else:
            if isinstance(values, pa.Array | pa.ChunkedArray):
                values = values.to_numpy(zero_copy_only=False)
            masked = isinstance(values, np.ma.MaskedArray)
            data = np.ma.getdata(values) if masked else values
            mask = np.ma.getmaskarray(values) if masked else None
            if masked and floating:  # given a mask, pyarrow no longer reads NaN as null
                mask = mask | np.isnan(data.astype(float))
            array = pa.array(data, field.type, mask=mask, from_pandas=floating)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"column {field.name}: {error}") from error
    if len(array) != rows:
        raise ValueError(f"column {field.name} has {len(array)} rows; the others have {rows}")
    if array.null_count and not field.nullable:
        raise ValueError(f"column {field.name} has {array.null_count} missing values and may have none")
    return array
