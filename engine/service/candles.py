"""Candles of a run: those of a token or symbol in a span of time, or around one of its trades."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...io.config import nearest
from ...io.errors import MissingError, UsageError
from ...io.folders import status
from ...io.slices import Slice, candle_table, holding, verify
from ...kernels.arrays import of_rows
from .results import is_session, trades
from .runs import Run, check_page

_LOCK = threading.Lock()
_PROVED: dict[tuple[Any, ...], None] = {}  # slices as they were when their candles were hashed
_MOST = 64


@dataclass(frozen=True)
class Span:
    """Candles of ``symbol``, ``interval_ms`` long: a table of timestamp, open, high, low, close, volume.

    ``total`` fit in all; ``trade`` is the row that they lie around, None where a span of time was asked for.
    """

    symbol: str
    interval_ms: int
    table: pa.Table
    total: int
    trade: dict[str, Any] | None = None


def ohlc(
    run: Run,
    symbol: str,
    from_ms: int | None = None,
    to_ms: int | None = None,
    limit: int = 1000,
    slices: Path | None = None,
) -> Span:
    """Return the first ``limit`` candles of a symbol or token that open in [from, to), out of the run's slice.

    ``slices`` is the folder of slices, by default that beside the runs. Raises MissingError where the slice or the
    symbol is not there, IntegrityError where its candles are not those that were cut.
    """
    check_page(limit)
    one = _slice_of(run, slices or run.root / ".slices")
    facts = one.facts
    if symbol not in facts.tokens:
        raise MissingError(f"run {run.run_id} has no candles of '{symbol[:60]}'{nearest(symbol, facts.tokens)}")
    at = facts.tokens.index(symbol)
    first, last = facts.offsets[at], facts.offsets[at + 1]
    ts = one.candles.ts[first:last]
    begin = 0 if from_ms is None else int(np.searchsorted(ts, from_ms))
    end = ts.size if to_ms is None else int(np.searchsorted(ts, to_ms))
    rows = slice(first + begin, first + min(end, begin + limit))
    return Span(symbol, facts.interval_ms, candle_table(of_rows(one.candles, rows)), max(0, end - begin))


def around(
    run: Run, trade: str, before: int = 30, after: int = 30, limit: int = 1000, slices: Path | None = None
) -> Span:
    """Return the candles around a trade (its ``trade_id`` or ``call_id``), ``before`` its entry, ``after`` its exit."""
    for name, number in (("before", before), ("after", after)):
        if not 0 <= number <= 1000:
            raise UsageError(f"{name} is {number}; it must be 0..1000")
    key = "trade_id" if is_session(run) else "call_id"
    found = trades(run, where=[f"{key}='{trade}'"], limit=1).table.to_pylist()
    if not found:
        raise MissingError(f"run {run.run_id} has no trade '{trade[:60]}'")
    row = found[0]
    symbol = row["symbol"] if is_session(run) else row["mint"]
    names = ("entry_timestamp", "exit_timestamp") if is_session(run) else ("entry_ts_ms", "exit_ts_ms")
    entry, left = (row[name] for name in names)
    if entry is None or left is None:
        raise MissingError(f"trade '{trade[:60]}' of run {run.run_id} was never entered ({row['status']})")
    step = run.manifest.config["interval_ms"]
    span = ohlc(run, symbol, entry - before * step, left + (after + 1) * step, limit, slices)
    return Span(symbol, span.interval_ms, span.table, span.total, row)


def _slice_of(run: Run, folder: Path) -> Slice:
    """Return the slice of a run by the digest of its candles; they are hashed once, again if the file changed."""
    digest = next((each.digest for each in run.manifest.inputs if each.kind == "candles"), None)
    interval = run.manifest.config.get("interval_ms")
    held = holding(folder, digest, interval) if digest and isinstance(interval, int) else []
    seen = status(held[0].path) if held else None
    if seen is None:
        raise MissingError(f"the candles of run {run.run_id} are not in {folder}", "E_SLICE_GONE")
    one = held[0]
    mark = str(one.path), digest, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns
    with _LOCK:
        proved = mark in _PROVED
    if not proved:
        verify(one)
        with _LOCK:
            _PROVED[mark] = None
            while len(_PROVED) > _MOST:
                _PROVED.pop(next(iter(_PROVED)))
    return one
