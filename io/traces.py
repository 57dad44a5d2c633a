"""The traces of a run on disk: the changes of many strategies in a few files, and one file that tells of one alone."""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from .errors import DataError, IntegrityError, MissingError, SchemaError, one_line
from .names import safe_name
from .publish import BlockWriter, Stage
from .runs import read_rows
from .schemas import PATHS, TRACES
from .trace_schemas import SIGNALS

SHARD = 1 << 22  # rows after which the next strategy begins a new file
_PLAIN = {"symbol": re.compile("[A-Z0-9]{1,12}"), "word": re.compile("[a-z0-9][a-z0-9_]{0,39}")}

Idx, Val = NDArray[np.int32], NDArray[np.int8]


@dataclass(frozen=True)
class Place:
    """Where a trace lies in its run: ``rows`` rows of the file ``path`` from ``first`` on."""

    path: str
    first: int
    rows: int


class TraceFiles:
    """The files of traces of a run that is being written; one strategy's changes never lie in two of them.

    Where the blocks that are added were cut leaves no trace in the files.
    """

    def __init__(self, staged: Stage, opened: contextlib.ExitStack, shard: int = SHARD):
        self._staged, self._opened, self._shard = staged, opened, shard
        self._files = 0
        self._writer = self._next()

    def add(self, first: int, traces: Sequence[tuple[Idx, Val]]) -> list[Place]:
        """Write the changes (idx, val) of strategies ``first``, ``first + 1``, ..., and return where each lies."""
        places: list[Place] = []
        waiting: list[tuple[int, Idx, Val]] = []
        rows = self._writer.rows
        for strategy, (idx, val) in enumerate(traces, first):
            if rows >= self._shard:
                self._write(waiting)
                waiting, rows = [], 0
                self._opened.close()
                self._writer = self._next()
            places.append(Place(self._path, rows, idx.size))
            waiting.append((strategy, idx, val))
            rows += idx.size
        self._write(waiting)
        return places

    def _next(self) -> BlockWriter:
        self._path = PATHS["traces"].replace("0000", f"{self._files:04d}")
        self._files += 1
        return self._opened.enter_context(self._staged.writer("traces", TRACES, self._path))

    def _write(self, traces: Sequence[tuple[int, Idx, Val]]) -> None:
        if traces:
            numbers, idx, val = zip(*traces, strict=True)
            strategy = np.repeat(np.array(numbers, np.int32), [each.size for each in idx])
            self._writer.write(pa.table([strategy, np.concatenate(idx), np.concatenate(val)], schema=TRACES))


@contextlib.contextmanager
def trace_files(staged: Stage, shard: int = SHARD) -> Iterator[TraceFiles]:
    """Yield the files of traces of a run; they are finished where the block ends, and removed where it raises."""
    with contextlib.ExitStack() as opened:
        yield TraceFiles(staged, opened, shard)


def read_traces(run: Path, asked: Iterable[tuple[Place, int]]) -> list[tuple[Idx, Val]]:
    """Return the changes (idx, val) at each place of a run, in order, after checking the sha256 of their files.

    The number beside a place is that of the strategy it belongs to. Raises IntegrityError where a file is not as
    published, or holds another strategy there.
    """
    asked = list(asked)
    found: dict[int, tuple[Idx, Val]] = {}
    for path in dict.fromkeys(place.path for place, _ in asked):
        mine = [i for i, (place, _) in enumerate(asked) if place.path == path]
        tables = read_rows(run, path, [(asked[i][0].first, asked[i][0].rows) for i in mine])
        for i, table in zip(mine, tables, strict=True):
            found[i] = _changes(table, asked[i][1], run / path)
    return [found[i] for i in range(len(asked))]


def _changes(table: pa.Table, strategy: int, place: Path) -> tuple[Idx, Val]:
    numbers, idx, val = (table[name].to_numpy() for name in TRACES.names)
    if np.any(numbers != strategy):
        raise IntegrityError(f"{place} holds other strategies where its index says {strategy}; repeat the run")
    return idx, val


@dataclass(frozen=True)
class About:
    """What a file of one strategy says of itself: which strategy, on which candles, in which run.

    ``config`` is JSON as the strategy is written. ``bars`` counts the candles of the series, of which the last opened
    at ``last_ts_ms``; these, ``data_digest``, ``trace_key`` and ``strategy_hash`` are None where they are not known.
    """

    strategy_id: str
    strategy_hash: str | None
    strategy_type: str
    config: str
    trace_key: str | None
    symbol: str
    timeframe: str
    data_digest: str | None
    data_source: str
    semantics: str
    bars: int | None
    first_ts_ms: int | None
    last_ts_ms: int | None

    def metadata(self) -> dict[str, str]:
        """Return it as texts for the metadata of a file; what is not known is left out."""
        named = {"config": "strategy_config", "semantics": "engine_semantics"}
        return {named.get(name, name): str(value) for name, value in vars(self).items() if value is not None}


def signals_path(about: About) -> str:
    """Return where the file of one strategy lies in its run; what is no plain name is a slug with its digest."""
    symbol, kind, name = (
        text if _PLAIN[form].fullmatch(text) else safe_name(text)
        for form, text in (("symbol", about.symbol), ("word", about.strategy_type), ("word", about.strategy_id))
    )
    series = f"{symbol}_{about.timeframe}"
    return f"traces/{series}/signals/{kind}/{series}_{name}.parquet"


def signals_table(about: About, idx: Idx, val: Val, ts: NDArray[np.int64], px: NDArray[np.float64]) -> pa.Table:
    """Return the eight columns of one strategy's file: its changes with the times and closes of their candles."""
    described = json.dumps({"type": about.strategy_type, "config": json.loads(about.config)}, sort_keys=True)
    columns = {
        "idx": pa.array(idx),
        "ts": pa.array(ts).cast(SIGNALS.field("ts").type),
        "sym": pa.repeat(pa.scalar(about.symbol), idx.size),
        "val": pa.array(val),
        "strat": pa.repeat(pa.scalar(about.strategy_id), idx.size),
        "px": pa.array(px),
        "strat_hash": pa.repeat(pa.scalar(about.strategy_hash, pa.string()), idx.size),
        "metadata": pa.array([described, *[None] * (idx.size - 1)][: idx.size], pa.string()),
    }
    return pa.table(columns, schema=SIGNALS)


def read_signals(path: Path) -> tuple[Mapping[str, str], pa.Table]:
    """Return what a file of one strategy says of itself, and its rows. ``path`` may be of any run or none.

    Raises MissingError where there is no such file, DataError where it is no Parquet file, SchemaError where it is
    one of something else.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as parquet:
            table = parquet.read()
    except FileNotFoundError:
        raise MissingError(f"{path}: there is no such file") from None
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {one_line(error)}") from error
    told: dict[Any, Any] = table.schema.metadata or {}
    if b"strategy_id" not in told or not {"idx", "ts", "val", "px"} <= set(table.column_names):
        raise SchemaError(f"{path} is no trace of one strategy: its metadata name none (columns: {table.column_names})")
    return {key.decode(): value.decode("utf-8", "replace") for key, value in told.items()}, table
