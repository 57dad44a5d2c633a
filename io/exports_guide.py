"""The layouts of the parquet guide, made of a run's tables: the baseline's 28 columns, per alert, caller and trade."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from ..kernels.arrays import Ints
from .columns import pc
from .errors import IntegrityError
from .fields import FLOAT, INT, TEXT
from .names import safe_name
from .schemas import table
from .slices import COLUMNS, Slice

Each = tuple[Iterator[tuple[str, pa.Table]], pa.Table]  # (file, rows) of each item, and the index of all

PART = 65_536  # alerts above which one file holds as many of them
_REACHED = ("2x", "3x", "4x", "5x", "10x")
_FIRST = {
    "alert_id": INT,
    **dict.fromkeys(("mint", "caller", "alert_ts_utc", "entry_ts_utc"), TEXT),
    **dict.fromkeys(("interval_seconds", "horizon_hours"), pa.int32()),
    "status": TEXT,
    "candles": INT,
    **dict.fromkeys(("entry_price", "ath_mult"), FLOAT),
    **dict.fromkeys(("time_to_ath_s", *(f"time_to_{k}_s" for k in _REACHED)), INT),
    **dict.fromkeys(("dd_initial", "dd_overall", "dd_pre2x", *(f"dd_after_{k}" for k in _REACHED)), FLOAT),
    **dict.fromkeys(("dd_after_ath", "peak_pnl_pct"), FLOAT),
}
_LAST = {
    **dict.fromkeys(("ret_end", "exit_price"), FLOAT),
    "exit_ts_utc": TEXT,
    "hold_time_s": INT,
    "tp_sl_exit_reason": TEXT,
    "tp_sl_ret": FLOAT,
}
BASELINE = pa.schema({**_FIRST, "ret_end_pct": FLOAT})
TRADE = pa.schema({**_FIRST, **_LAST})
INDEX = pa.schema(
    {"file": TEXT, "alert_id": INT, **dict.fromkeys(("call_id", "mint", "caller", "status"), TEXT), "rows": INT}
)
CALLER_INDEX = pa.schema({"file": TEXT, "caller": TEXT, "rows": INT})


def baseline(paths: pa.Table, interval_ms: int, horizon_ms: int) -> pa.Table:
    """Return a run's path metrics in the guide's 28 columns, one row an alert.

    ``alert_id`` counts from 1 in the order of the run; ``status`` is ok, bad_entry or missing; seconds are rounded up;
    an interval or horizon that is no whole number of seconds or hours is null.
    """
    return table(
        BASELINE, {**_shared(paths, interval_ms, horizon_ms), "ret_end_pct": _times(paths["ret_end_bps"], 1e-2)}
    )


def trades(paths: pa.Table, made: pa.Table, interval_ms: int, horizon_ms: int) -> pa.Table:
    """Return a run's trades in the guide's columns, one row an alert; null in the last six where it has no trade."""
    place = pc.index_in(paths["call_id"], value_set=made["call_id"].combine_chunks())
    if place.null_count:
        raise IntegrityError(f"the run has {place.null_count} alerts without a row among its trades")
    made = made.take(place)
    found = {
        "ret_end": _times(paths["ret_end_bps"], 1e-4),
        "exit_price": made["exit_px"],
        "exit_ts_utc": _utc(made["exit_ts_ms"]),
        "hold_time_s": _seconds(made["time_exposed_ms"]),
        "tp_sl_exit_reason": pc.utf8_lower(made["exit_reason"]),
        "tp_sl_ret": _times(made["realized_return_bps"], 1e-4),
    }
    return table(TRADE, {**_shared(paths, interval_ms, horizon_ms), **found})


def _shared(paths: pa.Table, interval_ms: int, horizon_ms: int) -> dict[str, Any]:
    status, rows = paths["status"], paths.num_rows
    return {
        "alert_id": np.arange(1, rows + 1),
        "mint": paths["mint"],
        "caller": paths["caller_name"],
        "alert_ts_utc": _utc(paths["alert_ts_ms"]),
        "entry_ts_utc": _utc(paths["entry_ts_ms"]),
        "interval_seconds": _whole(interval_ms, 1000, rows),
        "horizon_hours": _whole(horizon_ms, 3_600_000, rows),
        "status": pc.if_else(
            pc.equal(status, "OK"), "ok", pc.if_else(pc.equal(status, "BAD_ENTRY_PRICE"), "bad_entry", "missing")
        ),
        "candles": pc.fill_null(paths["n_bars"], 0),
        "entry_price": paths["p0"],
        "time_to_ath_s": _seconds(paths["t_ath_ms"]),
        **{f"time_to_{k}_s": _seconds(paths[f"t_{k}_ms"]) for k in _REACHED},
        "dd_pre2x": paths["dd_pre_2x"],
        **{f"dd_after_{k}": paths[f"dd_after_{k}"] for k in _REACHED},
        **{name: paths[name] for name in ("ath_mult", "dd_initial", "dd_overall", "dd_after_ath")},
        "peak_pnl_pct": _times(pc.subtract(paths["ath_mult"], 1.0), 100.0),
    }


def _utc(ms: Any) -> Any:
    second = pc.floor_temporal(ms.cast(pa.timestamp("ms")), unit="second").cast(pa.timestamp("s"))
    return pc.strftime(second, "%Y-%m-%d %H:%M:%S")


def _seconds(ms: Any) -> Any:
    return pc.divide(pc.add(ms, 999), 1000)


def _times(values: Any, factor: float) -> Any:
    return pc.multiply(values, factor)


def _whole(ms: int, unit: int, rows: int) -> Any:
    return pa.repeat(pa.scalar(None if ms % unit else ms // unit, pa.int32()), rows)


def per_alert(alerts: pa.Table, paths: pa.Table, one: Slice, first: Ints, last: Ints) -> Each:
    """Return the candles of each alert's window, rows [``first``, ``last``) of the slice, and their index.

    A file holds one alert's candles; above 65,536 alerts, those of as many alerts, with their ``alert_id``.
    """
    index = _index("alert", alerts, paths, last - first)

    def tables() -> Iterator[tuple[str, pa.Table]]:
        for a, name in enumerate(index["file"].to_pylist()):
            if name is not None:
                window = [pa.array(part[first[a] : last[a]]) for part in one.candles]
                rows = pa.table(window, names=COLUMNS).set_column(
                    0, COLUMNS[0], window[0].cast(pa.timestamp("ms", "UTC"))
                )
                whole = pa.repeat(pa.scalar(a + 1, INT), rows.num_rows)
                yield name, rows if len(alerts) <= PART else rows.add_column(0, "alert_id", whole)

    return tables(), index


def per_trade(alerts: pa.Table, paths: pa.Table, rows: pa.Table) -> Each:
    """Return the row of each trade, as ``trades`` made it, and their index; above 65,536 alerts, as many a file."""
    index = _index("trade", alerts, paths, np.ones(len(alerts), np.int64))
    names = index["file"].to_pylist()
    return ((name, rows.slice(a, 1)) for a, name in enumerate(names) if name is not None), index


def per_caller(rows: pa.Table) -> Each:
    """Return the rows of each caller, as ``baseline`` made them, and the index of callers."""
    mine: dict[str, list[int]] = {}
    for row, caller in enumerate(rows["caller"].to_pylist()):
        mine.setdefault(caller, []).append(row)
    names = {caller: f"caller_{safe_name(caller)}.parquet" for caller in sorted(mine)}
    cells = {"file": list(names.values()), "caller": list(names), "rows": [len(mine[caller]) for caller in names]}
    return ((name, rows.take(mine[caller])) for caller, name in names.items()), pa.table(cells, CALLER_INDEX)


def _index(kind: str, alerts: pa.Table, paths: pa.Table, rows: Ints) -> pa.Table:
    """Return which file holds each alert; none where it has no window."""
    ok, mints = [status == "OK" for status in paths["status"].to_pylist()], alerts["mint"].to_pylist()
    if len(alerts) <= PART:
        names = [f"{kind}_{a}_{_short(mint)}.parquet" for a, mint in enumerate(mints, 1)]
    else:
        parts = np.arange(len(alerts)) // PART * PART
        names = [f"{kind}s_{part + 1}_{min(part + PART, len(alerts))}.parquet" for part in parts.tolist()]
    cells = {
        "file": [name if has else None for name, has in zip(names, ok, strict=True)],
        "alert_id": np.arange(1, len(alerts) + 1),
        **{name: alerts[name] for name in ("call_id", "mint")},
        "caller": alerts["caller_name"],
        "status": paths["status"],
        "rows": np.where(ok, rows, 0),
    }
    return table(INDEX, cells)


def _short(mint: str) -> str:
    """Return the first 8 characters of a mint, as the guide names files, where they are plain; else a safe name."""
    return mint[:8] if mint[:8].isascii() and mint[:8].isalnum() else safe_name(mint)
