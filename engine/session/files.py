"""A session run in the layout of the run-backtest guide: files a symbol, and of all symbols together."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from ...io.durable import disk_errors
from ...io.exports import csv_table
from ...io.manifest import made_at
from ...io.names import safe_name
from .run import SessionRun, config_of

_TIMES = ("entry_timestamp", "exit_timestamp", "timestamp")


def write_files(run: SessionRun, folder: Path) -> Path:
    """Write the guide's files into a new directory ``backtest_YYYYMMDD_HHMMSS`` below ``folder``, and return it.

    The time is that of the run, UTC; a second run of the same second gets ``_2``. Raises StoreError where the disk
    refuses.
    """
    with disk_errors(f"writing to {folder}", "the run itself is saved; free space and repeat"):
        target = _new_folder(folder, run.run_id)
        trades, equity, symbols = (_plain(run.tables[kind]) for kind in ("session_trades", "equity", "symbols"))
        for each in run.walked:
            stem = safe(each.symbol)
            pq.write_table(_of(trades, "symbol", each.symbol), target / f"{stem}_trades.parquet")
            pq.write_table(_of(equity, "scope", each.symbol).drop_columns("scope"), target / f"{stem}_equity.parquet")
            metrics = {"run_id": run.run_id, **_of(symbols, "symbol", each.symbol).to_pylist()[0]}
            (target / f"{stem}_metrics.json").write_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n")
        pq.write_table(trades, target / "all_trades.parquet")
        pa_csv.write_csv(csv_table(trades), target / "all_trades.csv")
        pq.write_table(_of(equity, "scope", "combined").drop_columns("scope"), target / "combined_equity.parquet")
        config = {"run_id": run.run_id, **config_of(run.task, run.given)}
        (target / "config.json").write_text(json.dumps(config, indent=2, allow_nan=False) + "\n")
    return target


def safe(symbol: str) -> str:
    """Return a symbol as it stands in file names: itself where it is plain letters, digits, dots and dashes."""
    plain = symbol.isascii() and symbol.replace("-", "").replace(".", "").isalnum() and not symbol.startswith(".")
    return symbol if plain and len(symbol) <= 24 else safe_name(symbol)


def _new_folder(folder: Path, run_id: str) -> Path:
    stamp = datetime.fromtimestamp(made_at(run_id) / 1000, UTC).strftime("backtest_%Y%m%d_%H%M%S")
    number = 1
    while True:
        target = folder / (stamp if number == 1 else f"{stamp}_{number}")
        try:
            target.mkdir(parents=True)
        except FileExistsError:
            number += 1
            continue
        return target


def _plain(table: pa.Table) -> pa.Table:
    """Return a table without its run, its times as timestamps in UTC."""
    table = table.drop_columns("run_id") if "run_id" in table.column_names else table
    for name in _TIMES:
        if name in table.column_names:
            i = table.column_names.index(name)
            table = table.set_column(i, name, table[name].cast(pa.timestamp("ms", tz="UTC")))
    return table.replace_schema_metadata(None)


def _of(table: pa.Table, column: str, value: str) -> pa.Table:
    return table.filter(pc.equal(table[column], value))
