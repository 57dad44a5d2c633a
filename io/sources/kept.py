"""Candles kept for the next time: one Parquet file a symbol and span, named after all that they hang on."""

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...kernels.arrays import Candles, candles
from ..digest import arrays_sha256, canonical_json
from ..durable import open_plain
from ..errors import IntegrityError
from ..exports import put
from .series import Origin

_REMEDY = "free space, name another --cache-dir, or do without --cache"
_PRICES = ("open", "high", "low", "close", "volume")
_COLUMNS = pa.schema(
    {"symbol": pa.string(), "timestamp": pa.timestamp("ms", "UTC"), **dict.fromkeys(_PRICES, pa.float64())}
)
_ORIGIN, _DIGEST, _NOTES = b"highwater_origin", b"highwater_candles", b"highwater_notes"


def path_of(folder: Path, origin: Origin) -> Path:
    """Return where candles of an origin are kept: ``SPY_2024-01-02_2024-06-30_<12 hex>.parquet``."""
    slug = re.sub(r"[^A-Z0-9]+", "-", origin.symbol.upper()).strip("-")[:24].rstrip("-") or "X"
    return folder / f"{slug}_{origin.first}_{origin.end}_{origin.digest[:12]}.parquet"


def find(folder: Path, origin: Origin) -> tuple[Candles, tuple[str, ...]] | None:
    """Return the candles kept of an origin and what was noted of them, or None.

    Raises IntegrityError where the file there is damaged or another's, OSError where it cannot be read.
    """
    path = path_of(folder, origin)
    try:
        with os.fdopen(open_plain(path.parent, path.name), "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return None
    try:
        table = pq.read_table(pa.BufferReader(data))
        facts = {key: json.loads((table.schema.metadata or {})[key]) for key in (_ORIGIN, _DIGEST, _NOTES)}
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise IntegrityError(f"{path} is damaged or was not kept by this version") from error
    if facts[_ORIGIN] != dataclasses.asdict(origin) or not table.schema.equals(_COLUMNS):
        raise IntegrityError(f"{path} holds other candles than it is named after")
    found = candles(*(_values(table[name]) for name in ("timestamp", *_PRICES)))
    if facts[_DIGEST] != arrays_sha256(found):
        raise IntegrityError(f"{path} is damaged: its candles are not those that were kept")
    return found, tuple(facts[_NOTES])


def keep(folder: Path, origin: Origin, found: Candles, notes: tuple[str, ...]) -> Path:
    """Write candles for the next time, durably and in one step, and return where."""
    facts = {_ORIGIN: dataclasses.asdict(origin), _DIGEST: arrays_sha256(found), _NOTES: list(notes)}
    symbols = pa.repeat(pa.scalar(origin.symbol), found.ts.size)
    times = pa.array(found.ts).cast(_COLUMNS.field("timestamp").type)
    table = pa.Table.from_arrays([symbols, times, *map(pa.array, found[1:])], schema=_COLUMNS)
    sink = pa.BufferOutputStream()
    options: dict[str, Any] = {"compression": "zstd"}
    metadata = {key: canonical_json(value) for key, value in facts.items()}
    pq.write_table(table.replace_schema_metadata(metadata), sink, **options)
    path = path_of(folder, origin)
    put(path, memoryview(sink.getvalue()), _REMEDY)
    return path


def _values(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column's values; nulls, of which we write none, as what no digest bears out."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64()).fill_null(-1)
    return column.to_numpy()
