"""Candles out of ClickHouse into a slice: first which tokens have what, then batch by batch, each kept when it came.

A batch is a range of tokens whose candles fit into little memory; several are asked for at once. What comes must be as
many candles as were counted, or the table changed meanwhile. The rules of SEMANTICS section 1 D judge each token whole.
"""

import dataclasses
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...kernels.arrays import Candles, Ints, candles
from ..candle_rows import CandleRows
from ..candles import CandleOptions, clean
from ..columns import NO_TIME, bar_name
from ..digest import config_digest
from ..errors import DataError, SchemaError, UsageError
from ..slice_parts import Part, by_token, joined, keep, kept, spacing, unfinished
from ..slices import COUNTED, Cut, Slice, Spans, cut
from .clickhouse import Connection, Table, connect
from .clickhouse_sql import (
    Batch,
    Shape,
    coverage_sql,
    describe_sql,
    export_sql,
    lengths_sql,
    name_of,
    shape_of,
    tables_sql,
)

ROWS = 1 << 18  # candles of a batch, unless one token has more: 60 MB of memory each
CHANGED = "E_CHANGED"
_WORDS = 80_000  # bytes of tokens: a statement stays below the 256 KiB that servers take

Reporting = Callable[[int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class Bulk:
    """How candles are asked for: tokens of a batch at most, and batches at once."""

    tokens: int = 1000
    parallel: int = 4

    def __post_init__(self) -> None:
        for flag, value in (("--ch-batch", self.tokens), ("--ch-parallel", self.parallel)):
            if not 1 <= value <= 100_000:
                raise UsageError(f"{flag} is {value}; it must be from 1 to 100,000")


@dataclass(frozen=True)
class Coverage:
    """Which tokens have what, one entry a token, int64: all candles, sound ones, the last of these (ms UTC).

    ``inside`` are those asked for, of any kind, ``sums`` tell their values; ``extra`` is the first sound one after
    them, NO_TIME where there is none.
    """

    tokens: tuple[str, ...]
    lo: Ints
    hi: Ints
    rows: Ints
    sound: Ints
    last: Ints
    extra: Ints
    inside: Ints
    sums: tuple[tuple[str, ...], ...]

    def digest(self) -> str:
        """Return the digest of it all: while it is the same, so are the candles."""
        arrays = (self.lo, self.hi, self.rows, self.sound, self.last, self.extra, self.inside)
        return config_digest([self.tokens, *(list(map(str, each.tolist())) for each in arrays), self.sums])


@dataclass(frozen=True)
class Source:
    """A table that was looked at: how to ask it, its shape, and how its candles are to be read."""

    table: Table
    connection: Connection
    shape: Shape
    options: CandleOptions
    bulk: Bulk

    @property
    def step(self) -> int:
        """How long the candles of the slice are, ms."""
        return self.options.resample_ms or self.shape.interval_ms

    @property
    def parallel(self) -> int:
        """How many batches are asked for at once."""
        return min(self.bulk.parallel, self.connection.parallel or self.bulk.parallel)


def opened(table: Table, tokens: tuple[str, ...], options: CandleOptions, chain: str | None, bulk: Bulk) -> Source:
    """Return a table, looked at. Raises what ``connect``, ``name_of`` and ``shape_of`` raise."""
    connection = connect(table)
    name = name_of(table, [row[0] for row in connection.ask(tables_sql(table))], options.interval_ms)
    columns = {row[0]: row[1] for row in connection.ask(describe_sql(table, name))}
    ranges = _ranges(tokens, np.zeros(len(tokens), np.int64), bulk.tokens)
    questions = [lengths_sql(table, name, columns, tokens[s:e]) for s, e in ranges]
    lengths = sorted({row[0] for question in questions if question for row in connection.ask(question)})
    if any(questions) and not lengths:
        raise no_candles(table, len(tokens))
    source = Source(table, connection, shape_of(table, name, columns, lengths, options, chain), options, bulk)
    if options.resample_ms and options.resample_ms % source.shape.interval_ms:
        longer, found = bar_name(options.resample_ms), bar_name(source.shape.interval_ms)
        raise UsageError(f"{table}: {longer} is no whole multiple of the interval {found}")
    return source


def no_candles(table: Table, tokens: int) -> DataError:
    """Return the error for a table that has nothing of what was asked."""
    return DataError(f"{table} holds no candles of the {tokens} tokens asked for")


def covered(source: Source, spans: Spans) -> Coverage:
    """Return which tokens have what of the candles that ``spans`` need: one question a batch of tokens."""
    lo, hi = _asked(spans, source.options.resample_ms or 1)
    none = np.full(len(spans.tokens), NO_TIME)
    counts, sums = np.zeros((len(spans.tokens), 6), np.int64), [("0", "0")] * len(spans.tokens)
    ranges = list(_ranges(spans.tokens, np.zeros(len(spans.tokens), np.int64), source.bulk.tokens))

    def ask(bounds: tuple[int, int]) -> list[list[str]]:
        s, e = bounds
        batch = Batch(spans.tokens[s:e], lo[s:e], hi[s:e], none[s:e])
        return source.connection.ask(coverage_sql(source.shape, batch))

    with ThreadPoolExecutor(source.parallel) as pool:
        for (first, _), rows in zip(ranges, pool.map(ask, ranges), strict=True):
            for row in rows:
                at = first + int(row[0]) - 1
                counts[at], sums[at] = [int(cell) for cell in row[1:7]], (row[7], row[8])
    rows, sound, last, later, after, inside = counts.T
    extra = np.where(later > 0, after, NO_TIME)
    return Coverage(spans.tokens, lo, hi, rows, sound, last, extra, inside, tuple(sums))


def export(source: Source, spans: Spans, found: Coverage, mark: str, slices: Path, reporting: Reporting) -> Slice:
    """Return the slice with fingerprint ``mark``: the union of ``spans`` out of the table; parts that came are kept.

    Raises DataError where there is no candle or the table changed meanwhile, SchemaError where its candles are of
    another length than it says, BusyError where another process exports the same.
    """
    if not found.rows.any():
        raise no_candles(source.table, len(found.tokens))
    there = np.flatnonzero(found.rows)
    tokens = tuple(found.tokens[i] for i in there.tolist())
    ranges = [there[s:e] for s, e in _ranges(tokens, found.inside[there], source.bulk.tokens)]
    mine = by_token(spans)
    failed = threading.Event()
    with unfinished(slices, mark) as folder:
        total = int(found.inside.sum())
        with reporting(total) as advance:

            def fetch(rows: Ints) -> Path:
                if failed.is_set():
                    raise CancelledError
                try:
                    return came(_of(found, rows), rows)
                except BaseException:
                    failed.set()
                    raise

            def came(some: Coverage, rows: Ints) -> Path:
                asked = [export_sql(source.shape, _batch(source, some)), some.digest(), _told(source.options)]
                held = kept(folder, asked)
                return held or keep(folder, asked, _part(source, some, mine(some.tokens)))

            paths, done = [], 0
            with ThreadPoolExecutor(source.parallel) as pool:
                futures = [pool.submit(fetch, rows) for rows in ranges]
                try:
                    for rows, future in zip(ranges, futures, strict=True):
                        paths.append(future.result())
                        done += int(found.inside[rows].sum())
                        advance(done)
                except BaseException as error:
                    pool.shutdown(wait=True, cancel_futures=True)
                    if getattr(error, "code", "") == CHANGED:  # what came is of a table that is no more
                        shutil.rmtree(folder, ignore_errors=True)
                    raise
        _check_spacing(source, spacing(paths))
        return joined(folder, paths, source.step, mark)


def _told(options: CandleOptions) -> dict[str, object]:
    return {name: value for name, value in dataclasses.asdict(options).items() if name != "max_decoded"}


def _asked(spans: Spans, width: int) -> tuple[Ints, Ints]:
    """Return after and before when candles of each token are asked for, ms; the end on the grid of longer candles."""
    lo = np.full(len(spans.tokens), np.iinfo(np.int64).max)
    hi = np.full(len(spans.tokens), NO_TIME)
    np.minimum.at(lo, spans.token, spans.lo)
    np.maximum.at(hi, spans.token, spans.hi)
    return lo, -(-hi // width) * width


def _ranges(tokens: tuple[str, ...], rows: Ints, most: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of batches: so many tokens at most, so many candles and so long a statement about."""
    first = size = words = 0
    for i, token in enumerate(tokens):
        length, count = len(token.encode()), int(rows[i])
        if i > first and (i - first >= most or size + count > ROWS or words + length > _WORDS):
            yield first, i
            first = i
            size = words = 0
        size += count
        words += length
    if tokens:
        yield first, len(tokens)


def _of(found: Coverage, rows: Ints) -> Coverage:
    words = tuple(found.tokens[i] for i in rows.tolist())
    names = ("lo", "hi", "rows", "sound", "last", "extra", "inside")
    parts = {name: getattr(found, name)[rows] for name in names}
    return Coverage(tokens=words, sums=tuple(found.sums[i] for i in rows.tolist()), **parts)


def _batch(source: Source, some: Coverage) -> Batch:
    width = source.options.resample_ms or 1
    extra = np.where(some.extra == NO_TIME, NO_TIME, some.extra // width * width)
    return Batch(some.tokens, some.lo, some.hi, extra, width)


def _part(source: Source, some: Coverage, spans: Spans) -> Part:
    """Return the candles of a batch, judged and cut."""
    empty = (some.inside == 0) & (some.extra == NO_TIME)
    columns = None if empty.all() else source.connection.rows(export_sql(source.shape, _batch(source, some)))
    if columns is None or not columns["ts"].size:
        _check_count(source, some, np.zeros(len(some.tokens), np.int64))
        none = candles(np.zeros(0, np.int64), *(np.zeros(0) for _ in range(5)))
        found = Cut(none, (), np.zeros(1, np.int64), (), {}, dict.fromkeys(COUNTED, 0), (), ())
        return Part(_with_all(source, some, found), {})
    code, bars = columns["code"].astype(np.int64), Candles(*(columns[name] for name in Candles._fields))
    within = bars.ts < some.hi[code]
    _check_count(source, some, np.bincount(code[within], minlength=len(some.tokens)))
    rows = CandleRows(some.tokens, code, bars, np.zeros(code.size, np.int64))
    how = dataclasses.replace(source.options, ts_label="open", interval_ms=None)  # times came as those of the opens
    found = cut(clean(rows, how, str(source.table), interval_ms=source.shape.interval_ms), spans)
    if source.shape.chains:
        found = dataclasses.replace(found, rejected={token: _on_chains(why) for token, why in found.rejected.items()})
    return Part(_with_all(source, some, found), _gaps(code, bars.ts, within))


def _on_chains(why: str) -> str:
    return f"{why}, and --chain those of one chain" if why.startswith("E_DUP_CONFLICT") else why


def _check_count(source: Source, some: Coverage, came: Ints) -> None:
    wrong = np.flatnonzero(came != some.inside)
    if wrong.size:
        i = int(wrong[0])
        raise DataError(
            f"{source.table} changed while it was being read: {some.tokens[i]} had {some.inside[i]:,} candles, "
            f"then {came[i]:,}; repeat",
            CHANGED,
        )


def _with_all(source: Source, some: Coverage, found: Cut) -> Cut:
    """Return what was cut with every token of the batch, those too of which nothing lies in the spans."""
    place = {token: i for i, token in enumerate(found.tokens)}
    offsets, ends, fits = [0], [], []
    for i, token in enumerate(some.tokens):
        at = place.get(token)
        size = 0 if at is None else int(found.offsets[at + 1] - found.offsets[at])
        offsets.append(offsets[-1] + size)
        fits.append(True if at is None else found.on_grid[at])
        sound = some.sound[i] > 0 and token not in found.rejected
        end = int(some.last[i]) + source.shape.interval_ms if sound else 0
        ends.append(end if source.options.coverage_end_ms is None else source.options.coverage_end_ms)
    arrays = np.array(offsets, np.int64)
    return dataclasses.replace(found, tokens=some.tokens, offsets=arrays, coverage_end=tuple(ends), on_grid=tuple(fits))


def _gaps(code: Ints, ts: Ints, within: np.ndarray) -> dict[int, int]:
    apart = np.diff(ts)[(np.diff(code) == 0) & within[1:] & within[:-1]]
    values, counts = np.unique(apart[apart > 0], return_counts=True)
    return dict(Counter(dict(zip(values.tolist(), counts.tolist(), strict=True))).most_common(1000))


def _check_spacing(source: Source, found: int) -> None:
    named = source.shape.interval_ms
    if found and found != named:
        apart = bar_name(found)
        text = f"bars are {apart} apart but interval is {bar_name(named)}; set --interval {apart}"
        raise SchemaError(f"{source.table}: {text}", "E_INTERVAL")
