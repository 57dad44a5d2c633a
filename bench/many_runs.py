"""10,000 runs whose manifests are their own, and whose artifacts are links to those of one."""

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from highwater.io.manifest import Input, new_run_id, utc_text
from highwater.io.publish import stage
from highwater.io.runs import read_manifest
from highwater.io.schemas import SUMMARY, TRADES, paths, table

RUNS, START, EVERY = 10_000, 1_714_521_600_000, 600_000
ROWS = 20


def filled(schema: pa.Schema, run_id: str, rows: int) -> pa.Table:
    """Return rows without missing values; calls differ."""
    numbers = {"int64": np.arange(rows), "double": np.arange(rows) / 7, "bool": np.arange(rows) % 2 == 0}
    columns = {field.name: numbers.get(str(field.type), "text") for field in schema if field.name != "run_id"}
    columns |= {"call_id": [f"call {i}" for i in range(rows)]} if "call_id" in columns else {}
    return table(schema, columns, run_id)


TABLES = (("paths", paths(), ROWS), ("trades", TRADES, ROWS), ("summary", SUMMARY, 1))


def made(folder: Path, tables: Sequence[tuple[str, pa.Schema, int]] = TABLES, runs: int = RUNS) -> Path:
    """Return a directory of runs below ``folder``, each with these tables of so many rows."""
    with stage(folder / "one", "policy") as staged:
        for kind, schema, rows in tables:
            staged.write(kind, filled(schema, staged.run_id, rows))
        inputs = (Input("alerts", "alerts.parquet", "a" * 64), Input("candles", "candles", "c" * 64))
        config = {"horizon_ms": 172_800_000, "policy": {"kind": "exits", "sl": "0.7"}}
        one = staged.publish(config=config, inputs=inputs, counts={"OK": ROWS})
    manifest = read_manifest(one)
    for i in range(runs):
        at = utc_text(START + i * EVERY)
        told = dataclasses.replace(manifest, run_id=new_run_id(START + i * EVERY), created_at=at)
        run = folder / "runs" / at[:7] / f"run_id={told.run_id}"
        for artifact in told.artifacts:
            (run / artifact.path).parent.mkdir(parents=True, exist_ok=True)
            (run / artifact.path).hardlink_to(one / artifact.path)
        data = told.to_json()
        (run / "run.json").write_bytes(data)
        (run / "_SUCCESS").write_text(hashlib.sha256(data).hexdigest())
    return folder / "runs"
