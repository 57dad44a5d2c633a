"""A session run in the layout of the run-backtest guide: files a symbol, and of all symbols together."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from ...io.durable import disk_errors
from ...io.exports import csv_table
from ...io.manifest import made_at
from ...io.names import safe_name
from ..show import plain
from .run import SessionRun, config_of, lines_of
from .walk import Walked

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_TIMES = ("entry_timestamp", "exit_timestamp", "timestamp")


def write_files(run: SessionRun, folder: Path, verbose: bool = False) -> Path:
    """Write the guide's files into a new directory ``backtest_YYYYMMDD_HHMMSS`` below ``folder``, and return it.

    The time is that of the run, UTC; a second run of the same second gets ``_2``. ``verbose``: all there is to tell
    stands in ``backtest_run.log``, whatever the settings say. Raises StoreError where the disk refuses.
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
        settings = run.task.config
        if settings.log_to_file:
            level = "DEBUG" if verbose else settings.log_level
            (target / "backtest_run.log").write_text("".join(f"{line}\n" for line in log_of(run, level)))
    return target


def log_of(run: SessionRun, level: str) -> list[str]:
    """Return what happened in a run, from ``level`` on, a line each: what was read, what lacks, each trade and refusal.

    Times are local to the exchange.
    """
    found = [("INFO", line) for line in lines_of(run.task, run.given)]
    found += [("DEBUG", f"{name} = {value}") for name, value in leaves(run.task.config.model_dump(mode="json"))]
    found += [("ERROR", f"No data fetched for {symbol}: {error}") for symbol, error in run.given.failed.items()]
    found += [("INFO", note) for note in (*run.given.kept, *run.given.notes)]
    lacking = run.tables["sessions"].filter(pc.equal(run.tables["sessions"]["verdict"], "fail")).to_pylist()
    for row in lacking:
        seen = f"{row['present']} of {row['expected']} candles, range {row['or_present']} of {row['or_expected']}"
        found += [("WARNING", f"{row['symbol']} {row['day']} is not complete: {seen} ({row['reasons']})")]
    for each in run.walked:
        found += [("DEBUG", line) for line in _happened(each)]
        trades = len(each.trades["trade_id"])
        found += [("INFO", f"{each.symbol}: {trades:,} trades, {np.sum(each.trades['realized_r']):+.2f}R")]
    found += [("DEBUG", f"{name} took {ms / 1000:.2f} s") for name, ms in run.clock.spent.items()]
    return [f"{kind:<7}  {plain(text)}" for kind, text in found if LEVELS.index(kind) >= LEVELS.index(level)]


def _happened(one: Walked) -> list[str]:
    """Return the trades and the refusals of a symbol in their order, a line each."""
    zone, trades, events = one.ready.hours.zone, one.trades, one.events

    def at(ms: int) -> str:
        return f"{one.symbol} {datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone):%Y-%m-%d %H:%M}"

    names = ("entry_timestamp", "direction", "entry_price", "stop_price_initial", "exit_price", "exit_reason")
    rows = zip(*(np.asarray(trades[name]).tolist() for name in (*names, "realized_r")), strict=True)
    lines = [
        (ts, f"{at(ts)} {side} at {price:g}, stop {stop:g}, sold at {sold:g} ({why}), {r:+.2f}R")
        for ts, side, price, stop, sold, why, r in rows
    ]
    refused = zip(np.asarray(events["timestamp"]).tolist(), events["direction"], events["event"], strict=True)
    lines += [(ts, f"{at(ts)} {side} refused: {event}") for ts, side, event in refused]
    return [line for _, line in sorted(lines, key=lambda each: each[0])]


def leaves(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every setting by its dotted name."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{before}{name}.")
        else:
            yield before + name, value


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
