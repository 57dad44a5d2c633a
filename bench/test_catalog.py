"""How long does a catalog of 10,000 runs take: made, brought up to date, asked?"""

import dataclasses
import hashlib
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from highwater.engine.catalog import query_runs
from highwater.io.catalog import sync
from highwater.io.catalog_sql import ask
from highwater.io.manifest import Input, new_run_id, utc_text
from highwater.io.publish import stage
from highwater.io.runs import read_manifest
from highwater.io.schemas import SUMMARY, TRADES, paths, table

RUNS, START, EVERY = 10_000, 1_714_521_600_000, 600_000
ROWS = 20


def filled(schema: pa.Schema, run_id: str, rows: int) -> pa.Table:
    """Return rows without missing values."""
    numbers = {"int64": np.arange(rows), "double": np.arange(rows) / 7, "bool": np.arange(rows) % 2 == 0}
    columns = {field.name: numbers.get(str(field.type), "text") for field in schema if field.name != "run_id"}
    return table(schema, columns, run_id)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a directory of runs whose manifests are their own and whose artifacts are links to one run's."""
    folder = tmp_path_factory.mktemp("catalog")
    with stage(folder / "one", "policy") as staged:
        for kind, schema, rows in (("paths", paths(), ROWS), ("trades", TRADES, ROWS), ("summary", SUMMARY, 1)):
            staged.write(kind, filled(schema, staged.run_id, rows))
        inputs = (Input("alerts", "alerts.parquet", "a" * 64), Input("candles", "candles", "c" * 64))
        config = {"horizon_ms": 172_800_000, "policy": {"kind": "exits", "sl": "0.7"}}
        one = staged.publish(config=config, inputs=inputs, counts={"OK": ROWS})
    manifest = read_manifest(one)
    for i in range(RUNS):
        at = utc_text(START + i * EVERY)
        told = dataclasses.replace(manifest, run_id=new_run_id(START + i * EVERY), created_at=at)
        run = folder / "runs" / at[:7] / f"run_id={told.run_id}"
        for artifact in told.artifacts:
            (run / artifact.path).parent.mkdir(parents=True, exist_ok=True)
            (run / artifact.path).hardlink_to(one / artifact.path)
        data = told.to_json()
        (run / "run.json").write_bytes(data)
        (run / "_SUCCESS").write_text(hashlib.sha256(data).hexdigest())
    yield folder / "runs"
    shutil.rmtree(folder)


def made_anew(root: Path) -> int:
    shutil.rmtree(root / ".catalog", ignore_errors=True)
    return sync(root).registered


def test_catalog_of_10000_runs(bench, runs):
    assert made_anew(runs) == RUNS
    latest = query_runs(runs, limit=1)[0].run_id
    total = f"SELECT count(*) FROM summary WHERE run_id <= '{latest}'"
    ways = {
        "a second sync that finds nothing new": lambda: sync(runs),
        "the 20 newest of a type and a month": lambda: query_runs(
            runs, run_type="policy", from_date="2024-06-01", to_date="2024-06-30", limit=20
        ),
        "one run's trades by its file": lambda: ask(
            runs,
            f"SELECT avg(realized_return_bps) FROM '{runs}/{query_runs(runs, limit=1)[0].path}/policy/trades.parquet'",
        ),
        "the summaries of all runs": lambda: ask(runs, total),
    }
    for way, took in bench.compare(ways, rounds=3).items():
        bench.say(way, took, f"{RUNS:,} runs")


def test_first_sync_of_10000_runs(bench, runs):
    for way, took in bench.compare({"all runs": lambda: made_anew(runs)}, rounds=1).items():
        bench.say(way, took, f"{RUNS / took.best:,.0f} runs/s")
