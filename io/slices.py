"""Slices: the candles a run needs, sorted by token and time, in one immutable file that is mapped and never copied.

A slice is an Arrow IPC file (one uncompressed record batch, every column 64-byte aligned, no nulls) and beside it a
JSON manifest with the rows of each token. Its name ends in the fingerprint of everything it was cut from; it is reused
where that fingerprint is found again, never because of a date range or because a file happens to be there.
"""

import dataclasses
import datetime
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..kernels.arrays import Candles, Ints, candles, of_rows
from .account import tell
from .candles import CandleSet
from .digest import ContentHash, canonical_json
from .durable import disk_errors, make_folder
from .errors import HighwaterError, IntegrityError, MissingError
from .exports import put, put_written
from .locks import among
from .manifest import parsed
from .patience import check

SLICE_VERSION = 1
COLUMNS = ("timestamp", "open", "high", "low", "close", "volume")
_TIME = pa.timestamp("ms", tz="UTC")
_SCHEMA = pa.schema([(name, _TIME if name == "timestamp" else pa.float64()) for name in COLUMNS])
_ALIGNED = 64  # bytes; eight rows of eight
_BLOCK, _SMALL = 1 << 20, 1 << 26  # rows; bytes
_REMEDY = "free space or choose another --slices folder, then repeat"


@dataclass(frozen=True)
class Spans:
    """The stretch of candles each alert needs: ``token`` int64[A] indexes ``tokens``, [``lo``, ``hi``) in ms UTC.

    A candle belongs to it if it opens after ``lo`` and before ``hi``; so does the first that opens at or after
    ``asked``, however late: it tells "too late" from "no candle".
    """

    tokens: tuple[str, ...]
    token: Ints
    lo: Ints
    asked: Ints
    hi: Ints


@dataclass(frozen=True)
class SliceFacts:
    """The manifest of a slice; one entry a token in the tuples. ``fingerprint`` and ``content_sha256`` are 64 hex."""

    fingerprint: str
    content_sha256: str
    bytes: int
    rows: int
    interval_ms: int
    from_ms: int
    to_ms: int
    tokens: tuple[str, ...]
    offsets: tuple[int, ...]
    coverage_end_ms: tuple[int, ...]
    on_grid: tuple[bool, ...]
    rejected: dict[str, str]
    counts: dict[str, int]
    notes: tuple[str, ...]
    version: int = SLICE_VERSION


@dataclass(frozen=True)
class Slice:
    """An open slice: its file, its manifest and its candles, which are views of the mapped file."""

    path: Path
    facts: SliceFacts
    candles: Candles


def fingerprint(sources: tuple[str, ...], spans: Spans, options: Mapping[str, Any]) -> str:
    """Return the sha256 of what a slice is cut from: the sources' digests, the tokens with their windows, options."""
    digest = hashlib.sha256(canonical_json([SLICE_VERSION, sorted(sources), list(spans.tokens), dict(options)]))
    for part in (spans.token, spans.lo, spans.asked, spans.hi):
        digest.update(np.ascontiguousarray(part, "<i8").tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Cut:
    """Candles cut out for a slice, and what is told of their series: the tuples have one entry a token.

    ``rejected`` and ``notes`` are of tokens that were asked for; ``counts`` are of rows as they were read.
    """

    candles: Candles
    tokens: tuple[str, ...]
    offsets: Ints
    coverage_end: tuple[int, ...]
    rejected: dict[str, str]
    counts: dict[str, int]
    notes: tuple[str, ...]
    on_grid: tuple[bool, ...]


def build(folder: Path, found: CandleSet, spans: Spans, mark: str) -> Slice:
    """Cut the union of ``spans`` out of ``found``, write it as the slice with fingerprint ``mark``, and open it."""
    return write(folder, cut(found, spans), found.interval_ms, mark)


def cut(found: CandleSet, spans: Spans) -> Cut:
    """Return the union of ``spans`` out of ``found``."""
    kept, offsets = _rows_of(found, spans)
    wanted = set(spans.tokens)
    reports = [r for r in found.reports if r.token in wanted]
    bars = of_rows(found.candles, kept)
    return Cut(
        bars,
        found.tokens,
        offsets,
        tuple(found.coverage_end.tolist()),
        {r.token: f"{r.error}: {r.message}" for r in reports if r.error},
        {name: sum(getattr(r, name) for r in reports) for name in COUNTED},
        tuple(f"{r.token}: {r.message}" for r in reports if r.message and not r.error),
        tuple(_on_grid(bars.ts, offsets, found.interval_ms)),
    )


def write(folder: Path, part: Cut, interval_ms: int, mark: str) -> Slice:
    """Write what was cut as the slice with fingerprint ``mark``, and open it.

    Columns are hashed and written one after the other, in blocks: where they are mapped, no more of them is in memory.
    """
    bars, rows = part.candles, int(part.offsets[-1])
    table = candle_table(bars)
    lo, hi = (int(bars.ts[:rows].min()), int(bars.ts[:rows].max()) + interval_ms) if rows else (0, 0)
    stem = f"slice_{_day(lo)}_{_day(hi)}_{mark[:12]}"
    batch = _aligned(table)
    size = pa.MockOutputStream()
    _write_ipc(batch, size)
    facts = SliceFacts(
        fingerprint=mark,
        content_sha256=_digest(table.slice(0, rows)),
        bytes=size.size(),
        rows=rows,
        interval_ms=interval_ms,
        from_ms=lo,
        to_ms=hi,
        tokens=part.tokens,
        offsets=tuple(part.offsets.tolist()),
        coverage_end_ms=part.coverage_end,
        on_grid=part.on_grid,
        rejected=part.rejected,
        counts=part.counts,
        notes=part.notes,
    )
    path = folder / f"{stem}.arrow"
    with disk_errors(f"writing to {folder}", _REMEDY):
        make_folder(folder)
    # Among others, so that nobody removes one file of the two before they are open.
    with disk_errors(f"writing to {folder}", _REMEDY), among(folder):
        put(_facts_of(path), canonical_json(dataclasses.asdict(facts)), _REMEDY)
        # Last: cut short, there is no slice to be listed. A small one goes out in one write.
        put_written(
            path, lambda file: _write_ipc(batch, file) if facts.bytes > _SMALL else file.write(_ipc(batch)), _REMEDY
        )
        return open_slice(path)


def _digest(table: pa.Table) -> str:
    """Return the digest of a table's content, a block of rows at a time."""
    content = ContentHash(table.schema)
    for first in range(0, table.num_rows, _BLOCK):
        check()
        content.update(table.slice(first, _BLOCK))
    return content.hexdigest()


COUNTED = ("rows_in", "rows_out", "bad_bars", "dup_identical", "dup_conflict", "unsorted", "bad_volume", "off_grid")


def find(folder: Path, mark: str) -> Slice | None:
    """Return the slice in ``folder`` with this fingerprint, or None. A damaged one counts as none and is cut anew."""
    for path in sorted(folder.glob(f"slice_*_{mark[:12]}.arrow")):
        try:
            one = open_slice(path)
        except (HighwaterError, OSError):
            continue
        if one.facts.fingerprint == mark:
            return one
    return None


def open_slice(path: str | Path) -> Slice:
    """Return the slice at ``path``, mapped: no column is copied.

    Raises MissingError where there is none, IntegrityError where the file is not the size its manifest says or its
    layout is not a slice's. Content is not hashed here (``verify`` does).
    """
    path = Path(path)
    try:
        facts = _facts(json.loads(_facts_of(path).read_bytes()))
        size = path.stat().st_size
    except FileNotFoundError:
        raise MissingError(f"{path} is no slice: it or its .json manifest is missing") from None
    except (ValueError, TypeError, KeyError) as error:
        raise IntegrityError(f"{_facts_of(path)} is not the manifest of a slice: {error}; delete both files") from error
    if size != facts.bytes:
        raise IntegrityError(f"{path} has {size:,} bytes, its manifest says {facts.bytes:,}; delete both files")
    tell(mapped=(str(path.absolute()), size))
    try:
        arrays = _columns(pa.memory_map(str(path)), facts.rows)
    except FileNotFoundError:
        raise MissingError(f"{path} was removed") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise IntegrityError(f"{path} is not a slice: {error}; delete it and its manifest") from error
    return Slice(path, facts, candles(arrays[0].view(np.int64), *arrays[1:]))


def _columns(mapped: pa.MemoryMappedFile, rows: int) -> list[Any]:
    """Return the first ``rows`` of each column as views. Raises ValueError where they are not those of a slice."""
    batch = pa.ipc.open_file(mapped).get_batch(0)
    batch.validate()
    if not batch.schema.equals(_SCHEMA) or batch.num_rows < rows:
        raise ValueError(f"it must hold {rows:,} rows of {', '.join(COLUMNS)}")
    return [column.slice(0, rows).to_numpy(zero_copy_only=True) for column in batch.columns]


def holding(folder: Path, digest: str, interval: int) -> list[Slice]:
    """Return the slices in ``folder`` of candles with this digest and interval, by name; damaged ones are left out."""
    found = []
    for path in sorted(folder.glob("slice_*.arrow")):
        try:
            one = open_slice(path)
        except HighwaterError:
            continue
        if (one.facts.content_sha256, one.facts.interval_ms) == (digest, interval):
            found.append(one)
    return found


def held_for(folder: Path, digest: str, interval: int, run_id: str) -> Slice:
    """Return a slice in ``folder`` of the candles that a run read, checked as ``verify`` does.

    Raises MissingError where none has them.
    """
    held = holding(folder, digest, interval)
    if not held:
        named = f"the candles of run {run_id} (slice with digest {digest[:12]})"
        raise MissingError(f"{named} are not in {folder}; name their folder with --slices", "E_SLICE_GONE")
    verify(held[0])
    return held[0]


def slices(folder: Path) -> Iterator[Slice]:
    """Yield the slices in ``folder``, by name; the first damaged one raises as ``open_slice`` does."""
    for path in sorted(folder.glob("slice_*.arrow")):
        try:
            one = open_slice(path)
        except MissingError:
            if path.exists():
                raise
            continue  # removed since it was seen
        yield one


def verify(one: Slice) -> None:
    """Raise IntegrityError unless the candles of a slice are those that were written."""
    found = _digest(candle_table(one.candles))
    if found != one.facts.content_sha256:
        raise IntegrityError(
            f"{one.path}: content digest is {found[:12]}, its manifest says {one.facts.content_sha256[:12]}; "
            "delete both files"
        )


def candle_table(bars: Candles) -> pa.Table:
    """Return candles as the table whose content digest is theirs."""
    return pa.table([pa.array(part) for part in bars], names=COLUMNS).cast(_SCHEMA)


def _facts_of(path: Path) -> Path:
    return path.with_suffix(".json")


def _facts(value: dict[str, Any]) -> SliceFacts:
    if value["version"] != SLICE_VERSION:
        raise ValueError(f"version is {value['version']}, this reads {SLICE_VERSION}")
    facts = parsed(SliceFacts, value, "slice")
    n, offsets = len(facts.tokens), facts.offsets
    for name, entries in (("offsets", n + 1), ("coverage_end_ms", n), ("on_grid", n)):
        if (found := len(getattr(facts, name))) != entries:
            raise ValueError(f"slice.{name} has {found} entries; for {n} tokens it must have {entries}")
    if offsets[0] != 0 or offsets[-1] != facts.rows or any(s > e for s, e in itertools.pairwise(offsets)):
        raise ValueError(f"slice.offsets must rise from 0 to rows, {facts.rows}")
    if facts.interval_ms <= 0:
        raise ValueError(f"slice.interval_ms is {facts.interval_ms}; it must be positive")
    return facts


def _day(ms: int) -> str:
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=ms // 86_400_000)).strftime("%Y%m%d")


def _rows_of(found: CandleSet, spans: Spans) -> tuple[Ints, Ints]:
    """Return the rows of ``found`` that any span needs, ascending, and the offsets of its tokens among them."""
    place = {token: i for i, token in enumerate(found.tokens)}
    marks = np.zeros(found.candles.ts.size + 1, np.int64)
    ts = found.candles.ts
    for name, lo, asked, hi in zip(
        (spans.tokens[i] for i in spans.token), spans.lo, spans.asked, spans.hi, strict=True
    ):
        if name in place:
            s, e = found.offsets[place[name]], found.offsets[place[name] + 1]
            mine = ts[s:e]
            first, entry, last = np.searchsorted(mine, (lo + 1, asked, hi))
            marks[s + first] += 1
            marks[s + max(first, last, min(entry + 1, mine.size))] -= 1
    kept = np.flatnonzero(np.cumsum(marks[:-1]))
    return kept, np.searchsorted(kept, found.offsets)


def _on_grid(ts: Ints, offsets: Ints, interval: int) -> list[bool]:
    """Return for each token whether every candle opens a whole number of intervals after the first."""
    first = np.repeat(ts[np.minimum(offsets[:-1], max(ts.size - 1, 0))] if ts.size else offsets[:-1], np.diff(offsets))
    off = (ts - first) % interval != 0
    return [not off[s:e].any() for s, e in itertools.pairwise(offsets)]


def _aligned(table: pa.Table) -> pa.RecordBatch:
    """Return ``table`` as a batch that in an Arrow IPC file has every column on a 64-byte boundary.

    Arrow pads columns to 8 bytes. Rows are filled up to a multiple of eight by repeating the last one, and the
    schema carries as much padding as puts the first column on a boundary.
    """
    short = -table.num_rows % (_ALIGNED // 8)
    if short and table.num_rows:
        table = pa.concat_tables([table, *[table.slice(table.num_rows - 1)] * short]).combine_chunks()
    (batch,) = table.to_batches() or [pa.RecordBatch.from_pylist([], schema=_SCHEMA)]
    for pad in range(0, _ALIGNED, 8):
        padded = batch.replace_schema_metadata({"pad": " " * pad})
        head = _ipc(padded.slice(0, 0))
        if pa.ipc.open_file(head).get_batch(0).column(0).buffers()[1].address % _ALIGNED == head.address % _ALIGNED:
            return padded
    raise AssertionError("no padding of the schema aligns the columns")


def _ipc(batch: pa.RecordBatch) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    _write_ipc(batch, sink)
    return sink.getvalue()


def _write_ipc(batch: pa.RecordBatch, sink: Any) -> None:
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
