"""Directories of very many runs, for what lists them."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
from highwater.io.manifest import Input, new_run_id, utc_text
from highwater.io.publish import stage
from highwater.io.runs import read_manifest
from highwater.io.schemas import ALERTS, SUMMARY, TRADES, paths, table

START, EVERY = 1_714_521_600_000, 600_000


def filled(schema: pa.Schema, run_id: str, rows: int) -> pa.Table:
    """Return rows without missing values; calls differ."""
    numbers = {"int64": np.arange(rows), "double": np.arange(rows) / 7, "bool": np.arange(rows) % 2 == 0}
    columns = {field.name: numbers.get(str(field.type), "text") for field in schema if field.name != "run_id"}
    columns |= {"call_id": [f"call {i}" for i in range(rows)]} if "call_id" in columns else {}
    return table(schema, columns, run_id)


def many_runs(folder: Path, count: int, rows: int) -> Path:
    """Return a directory of runs whose manifests are their own and whose artifacts are links to one run's."""
    with stage(folder / "one", "policy") as staged:
        kinds = (("alerts", ALERTS, rows), ("paths", paths(), rows), ("trades", TRADES, rows), ("summary", SUMMARY, 1))
        for kind, schema, size in kinds:
            staged.write(kind, filled(schema, staged.run_id, size))
        inputs = (Input("alerts", "alerts.parquet", "a" * 64), Input("candles", "candles", "c" * 64))
        config = {"horizon_ms": 172_800_000, "policy": {"kind": "exits", "sl": "0.7"}}
        one = staged.publish(config=config, inputs=inputs, counts={"OK": rows})
    manifest = read_manifest(one)
    for i in range(count):
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
