"""Three alerts and what is told of them, for tests of reading alerts."""

import hashlib

import pyarrow as pa
import pyarrow.parquet as pq
import rfc8785

T = 1_700_000_000_123


def rows(**columns):
    cells = {"mint": ["M1", "M2", "M3"], "alert_ts_ms": [T, T + 1, T + 2], "caller_name": ["a", "b", "c"]} | columns
    return {name: cell for name, cell in cells.items() if cell is not None}


def parquet(path, **columns):
    pq.write_table(pa.table(rows(**columns)), path)
    return path


def column(batch, name):
    return batch.table[name].to_pylist()


def call_id(chain, mint, ts, caller):
    return hashlib.sha256(rfc8785.dumps([chain, mint, ts, caller])).hexdigest()[:32]
