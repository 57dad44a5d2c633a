"""A made-up market of 16 tokens and two days for tests of the engine, its oracle, and the command line around it.

Beside what the generator makes up (ghost mints, dead tokens, holes) one series contradicts itself, one has candles
that cannot be, one lies off the grid, and one alert comes hours before its token's first candle.
"""

import functools
import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import naive
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from highwater.engine.cli import main
from highwater.engine.recipe import prepare
from highwater.engine.settings import Sources, Store, Trading
from highwater.io.runs import find_run, read_artifact
from highwater.io.sources.synthetic import make_market

STEP = 300_000
HORIZON = 12 * 3_600_000
PAID = {"fee_bps": 30.0, "slippage_bps": 50.0}
REJECTED, DAMAGED, SHIFTED, EARLY = range(4)  # the number of the token that has it


class Market(NamedTuple):
    """Where the files of a market lie."""

    candles: Path
    alerts: Path

    @property
    def flags(self):
        """The words that name them on a command line."""
        return ["--alerts", str(self.alerts), "--candles", str(self.candles)]


class Done(NamedTuple):
    """What a command left: its exit code, stdout and stderr."""

    code: int
    out: str
    err: str


@functools.cache
def tables():
    """Return the candles and the alerts of the market."""
    candles, alerts = make_market(seed=15, tokens=16, callers=4, days=2, interval_ms=STEP)
    series, calls = by_token(candles), alerts.to_pylist()
    mints = list(series)
    rejected, damaged, shifted, early = (series[mints[i]] for i in (REJECTED, DAMAGED, SHIFTED, EARLY))
    rejected.insert(9, rejected[8] | {"high": rejected[8]["high"] * 2})
    damaged[20] |= {"low": 0.0}
    damaged[40] |= {"close": float("nan")}
    damaged.insert(60, damaged[59])
    for row in shifted:
        row["timestamp"] += timedelta(seconds=7)
    before = ms(early[0]["timestamp"]) - 7_200_001
    calls.append(next(call for call in calls if call["mint"] == mints[EARLY]) | {"alert_ts_ms": before})
    rows = [row for mint in mints for row in series[mint]]
    return pa.Table.from_pylist(rows, candles.schema), pa.Table.from_pylist(calls, alerts.schema)


def by_token(candles):
    """Return the rows of each token, as dicts, in file order."""
    series: dict = {}
    for row in candles.to_pylist():
        series.setdefault(row["token_address"], []).append(row)
    return series


def ms(moment):
    return round(moment.timestamp() * 1000)


def write(folder, candles=None, alerts=None):
    """Write the market, or other tables in its place, into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Market(folder / "candles.parquet", folder / "alerts.parquet")
    for path, table, usual in zip(made, (candles, alerts), tables(), strict=True):
        pq.write_table(usual if table is None else table, path)
    return made


def prepared(folder, **trading):
    """Return the market of ``folder`` (written where it is not there) as the engine prepares it."""
    market = Market(folder / "candles.parquet", folder / "alerts.parquet")
    market = market if market.alerts.exists() else write(folder)
    sources = Sources(alerts=market.alerts, candles=market.candles)
    return prepare(sources, Trading(**({"horizon": HORIZON} | trading)), Store(runs=folder / "runs"))


@functools.cache
def clean_series():
    """Return what the oracle makes of each token's rows: ``naive.validate``."""
    names = ("open", "high", "low", "close", "volume")
    return {
        mint: naive.validate([(ms(row["timestamp"]), *(row[name] for name in names)) for row in rows])
        for mint, rows in by_token(tables()[0]).items()
    }


def oracle(ready):
    """Return (bars, entry) of each alert of a ``Prepared``, in its order, from the files' rows alone."""
    how, end = ready.trading, int(tables()[0].schema.metadata[b"coverage_end_ms"])
    rule = {"mode": how.entry, "latency_ms": how.latency, "horizon_ms": how.horizon, "interval_ms": STEP}
    found = []
    for alert in ready.alerts.to_pylist():
        series = clean_series().get(alert["mint"], {"bars": [], "error": None})
        entry = naive.enter(
            series["bars"],
            alert["alert_ts_ms"],
            alert_price=alert["alert_price"],
            max_entry_delay_ms=how.max_entry_delay,
            coverage_end_ms=end,
            **rule,
        )
        found.append((series["bars"], entry | {"status": "SERIES_REJECTED"} if series["error"] else entry))
    return found


def plain(column):
    """Return a column of a table in the making as a list, None where it is masked."""
    return (
        column.to_pylist() if isinstance(column, pa.Array | pa.ChunkedArray) else list(np.ma.asarray(column).tolist())
    )


def close(values, tolerance=1e-12):
    """Return a list of numbers to compare with: equal to the last few bits, None equal to None alone."""
    return [None if value is None else pytest.approx(value, rel=tolerance, abs=tolerance) for value in values]


def run(*words):
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(word) for word in words])
    return Done(code, out.getvalue(), err.getvalue())


def program(words, cwd, environment=None, **options):
    """Start a command in a process of its own; its stdout and stderr are pipes of text."""
    command = [sys.executable, "-m", "highwater", *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.Popen(command, cwd=cwd, env=os.environ | (environment or {}), **pipes)


def table_of(runs, kind, run_id="latest"):
    """Return an artifact of the newest run below ``runs``, or of another."""
    return read_artifact(find_run(runs, run_id).path, kind)


def leftovers(runs):
    """Return what lies below a directory of runs: nothing, if a command that failed left nothing behind.

    Slices and path metrics are kept: they are caches, each whole or absent.
    """
    if not runs.exists():
        return []
    files = (path.relative_to(runs) for path in runs.rglob("*") if path.is_file())
    return sorted(str(path) for path in files if path.parts[0] not in (".slices", ".cache"))
