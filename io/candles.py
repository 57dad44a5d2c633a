"""Candles of many tokens in one clean set, read from files of any layout (SEMANTICS section 1 D)."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..kernels.arrays import Candles, Ints, candles, column, of_rows
from . import files
from .candle_rows import PRICES, CandleRows, candle_files, joined, row_blocks, size_of, time_unit_error
from .columns import PER_SECOND, bar_name, iso
from .errors import DataError, SchemaError, UsageError
from .resample import resample
from .validate import BAD_KINDS, ERRORS, Verdicts, validate

Gaps = Counter[int]  # how often neighbouring bars lie so many ms apart
SECOND, MONTH = 1_000, 31 * 86_400_000
_OFFERED = {
    "ts_label": ("open", "close"),
    "time_unit": (None, *PER_SECOND),
    "on_bad_bar": ("drop", "error"),
    "on_unsorted": ("reject", "sort"),
    "on_dup_conflict": ("reject", "first", "last"),
}


@dataclass(frozen=True)
class CandleOptions:
    """How candles are read; None means found out from the data. Raises UsageError for a value not offered."""

    interval_ms: int | None = None
    ts_label: str = "open"
    time_unit: str | None = None
    allow_float32: bool = False
    on_bad_bar: str = "drop"
    on_unsorted: str = "reject"
    on_dup_conflict: str = "reject"
    resample_ms: int | None = None
    coverage_end_ms: int | None = None
    max_decoded: int = 8 * files.GIB

    def __post_init__(self):
        for name, words in _OFFERED.items():
            if (value := getattr(self, name)) not in words:
                raise UsageError(f"{name} is {value!r}; it must be one of {', '.join(filter(None, words))}")
        for name in ("interval_ms", "resample_ms", "max_decoded"):
            if (value := getattr(self, name)) is not None and value <= 0:
                raise UsageError(f"{name} is {value}; it must be positive")


@dataclass(frozen=True)
class SeriesReport:
    """What became of one token's rows: counts of rows as read, and ``rows_out`` candles in the set.

    ``error`` is None, E_UNSORTED or E_DUP_CONFLICT; ``where`` the offending row of the series, counted from 0.
    ``bad_kinds`` counts the bad bars by kind; ``first_ts`` and ``last_ts`` are None where nothing is left.
    """

    token: str
    rows_in: int
    rows_out: int
    bad_bars: int
    bad_kinds: Mapping[str, int]
    dup_identical: int
    dup_conflict: int
    unsorted: int
    bad_volume: int
    off_grid: int
    error: str | None
    where: int | None
    message: str
    first_ts: int | None
    last_ts: int | None
    coverage_end_ms: int


@dataclass(frozen=True)
class CandleSet:
    """Clean candles of many tokens, sorted by token, then time.

    Token ``i`` owns the rows ``offsets[i]`` to ``offsets[i + 1]`` of ``candles``; none if it was rejected.
    ``coverage_end`` int64[S] is the ms UTC up to which its feed was complete; ``reports`` has one entry a token.
    """

    tokens: tuple[str, ...]
    offsets: Ints
    candles: Candles
    interval_ms: int
    coverage_end: Ints
    reports: tuple[SeriesReport, ...]
    sources: tuple[files.SourceFile, ...]


_DEFAULTS = CandleOptions()


def read_candles(
    source: str | Path,
    tokens: Collection[str] | None = None,
    options: CandleOptions = _DEFAULTS,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> CandleSet:
    """Return the candles of a Parquet, Arrow or CSV file, or of a directory of Parquet files, clean and sorted.

    ``tokens`` restricts to those series. A file without a token column is one token: the ``token_address=<mint>`` of
    its folder, else its stem. ``on_progress`` is told how many bytes of how many have been read. Raises SchemaError
    for columns, types, units or spacing that are not what they must be, DataError for damaged files or where there is
    no candle, LimitError beyond ``options.max_decoded``.
    """
    wanted = None if tokens is None else frozenset(tokens)
    sources: list[files.SourceFile] = []
    rows = [some for some in row_sets(source, wanted, options, on_progress, sources.append) if some.code.size]
    if not rows:
        raise no_candles(source, wanted)
    return clean(joined(rows), covered(options, sources), str(source), tuple(sources))


def no_candles(source: str | Path, wanted: Collection[str] | None) -> DataError:
    """Return the error for files that have none of what was asked."""
    asked = "" if wanted is None else f" of the {len(wanted)} tokens asked for"
    return DataError(f"{source} holds no candles{asked}")


def row_sets(
    source: str | Path,
    wanted: frozenset[str] | None,
    options: CandleOptions,
    on_progress: Callable[[int, int], None],
    on_file: Callable[[files.SourceFile], None],
) -> Iterator[CandleRows]:
    """Yield the rows of candle files, some after others; ``on_file`` is told of each that may hold wanted ones."""
    paths, budget, before = list(candle_files(Path(source))), files.Budget(options.max_decoded), 0
    total = sum(map(size_of, paths))
    for path in paths:

        def on_share(share: float, size: int = size_of(path), before: int = before) -> None:
            on_progress(before + int(share * size), total)

        found = row_blocks(path, wanted, budget, options.time_unit, options.allow_float32, on_share)
        if found is not None:
            on_file(found[1])
            yield from found[0]
        before += size_of(path)
        on_progress(before, total)


def covered(options: CandleOptions, sources: Sequence[files.SourceFile]) -> CandleOptions:
    """Return the options with the end of coverage that files declare, where none is given and all of them do."""
    given = options.coverage_end_ms
    return options if given is not None else replace(options, coverage_end_ms=_declared_coverage(sources))


def _declared_coverage(sources: Sequence[files.SourceFile]) -> int | None:
    """Return the earliest ``coverage_end_ms`` that the files carry in their schema metadata; None unless all do."""
    found = [(files.schema(Path(one.path)).metadata or {}).get(b"coverage_end_ms", b"") for one in sources]
    return min(map(int, found)) if all(text.isdigit() for text in found) else None


def clean(
    rows: CandleRows,
    options: CandleOptions,
    place: str,
    sources: tuple[files.SourceFile, ...] = (),
    interval_ms: int = 0,
) -> CandleSet:
    """Return ``rows`` as a validated set; ``place`` names them in messages. Raises as ``read_candles`` does.

    ``interval_ms``: how long the bars are, where the rows are part of more: then their spacing is not asked.
    """
    one = judged(of_one_length(rows, lengths_of(rows), options, place), options, place)
    found = interval_ms or interval_of(gaps(one, True) or gaps(one, False), rows.guessed, options, place)
    return settled(one, found, options, sources)


class Judged(NamedTuple):
    """Rows token by token, in the order they were read: ``keep`` are those to be kept, in order; ``series`` int64[N]
    tells whose each row is."""

    tokens: tuple[str, ...]
    bars: Candles
    series: Ints
    keep: Ints
    verdicts: Verdicts
    messages: list[str]


def judged(rows: CandleRows, options: CandleOptions, place: str) -> Judged:
    """Return which rows are clean. Raises DataError for a bad bar where that is an error."""
    tokens, offsets, bars = _grouped(rows)
    keep, verdicts = validate(*bars, options, offsets)
    if options.on_bad_bar == "error":
        _refuse_bad_bars(tokens, verdicts, place)
    messages = _messages(tokens, offsets, bars, verdicts)
    series = np.repeat(np.arange(len(tokens)), np.diff(offsets))
    return Judged(tokens, bars, series, keep, verdicts, messages)


def settled(
    one: Judged, interval: int, options: CandleOptions, sources: tuple[files.SourceFile, ...] = ()
) -> CandleSet:
    """Return rows that were judged as a set, given the interval of their market."""
    tokens, bars, series, keep, verdicts, messages = one
    if keep.size < series.size or verdicts.unsorted.any():
        bars, series = of_rows(bars, keep), series[keep]
    held = np.searchsorted(series, np.arange(len(tokens) + 1))
    ts = bars.ts - interval if options.ts_label == "close" else bars.ts
    off_grid = np.bincount(series[ts % interval != 0], minlength=len(tokens))
    coverage = _coverage(ts, held, interval, options.coverage_end_ms)
    if verdicts.bad_volume.any():
        bars = bars._replace(volume=np.where((bars.volume >= 0) & (bars.volume < np.inf), bars.volume, 0.0))
    bars = candles(ts, *bars[1:])
    if options.resample_ms:
        bars, held = resample(bars, held, options.resample_ms)
    reports = _reports(tokens, held, bars.ts, verdicts, off_grid, coverage, messages)
    final = options.resample_ms or interval
    return CandleSet(tokens, column(held, np.int64), bars, final, column(coverage, np.int64), reports, sources)


def _coverage(ts: Ints, held: Ints, interval: int, given: int | None) -> Ints:
    """Return the end of each series' last bar, 0 where it has none; or what was given."""
    if given is not None:
        return np.full(held.size - 1, given, np.int64)
    coverage, some = np.zeros(held.size - 1, np.int64), held[1:] > held[:-1]
    coverage[some] = ts[held[1:][some] - 1] + interval
    return coverage


def lengths_of(rows: CandleRows) -> Ints:
    """Return the different lengths that rows claim, ascending."""
    length = rows.length
    return np.unique(length if np.any(length[1:] != length[:1]) else length[:1])


def of_one_length(rows: CandleRows, lengths: Ints, options: CandleOptions, place: str) -> CandleRows:
    """Return the rows of the interval asked for where a column says there are several ``lengths`` in all."""
    if lengths.size < 2:
        return rows
    asked = options.interval_ms
    if asked is None or asked not in lengths:
        found = ", ".join(bar_name(ms) if ms else "unnamed" for ms in lengths.tolist())
        raise SchemaError(
            f"{place} holds bars of several intervals ({found}); choose one with --interval", "E_INTERVAL"
        )
    mine = rows.length == asked
    return rows._replace(code=rows.code[mine], bars=of_rows(rows.bars, mine), length=rows.length[mine])


def _grouped(rows: CandleRows) -> tuple[tuple[str, ...], Ints, Candles]:
    """Return the tokens that occur, sorted, their offsets, and the bars token by token in the order they were read."""
    present = np.flatnonzero(np.bincount(rows.code))
    tokens = sorted((rows.names[i], i) for i in present.tolist())
    rank = np.zeros(len(rows.names), np.int64)
    rank[[i for _, i in tokens]] = np.arange(len(tokens))
    code, bars = rank[rows.code], rows.bars
    if np.any(code[1:] < code[:-1]):
        order = np.argsort(code, kind="stable")
        code, bars = code[order], of_rows(bars, order)
    return tuple(name for name, _ in tokens), np.searchsorted(code, np.arange(len(tokens) + 1)), bars


def _refuse_bad_bars(tokens: tuple[str, ...], verdicts: Verdicts, place: str) -> None:
    for token, rows, kinds in zip(tokens, verdicts.rows_in, verdicts.bad_kinds, strict=True):
        if kinds.any():
            raise DataError(f"{place}: {token}: {_bad_words(kinds, rows)}; --on-bad-bar drop makes them holes")


def _bad_words(kinds: Ints, rows: int) -> str:
    named = ", ".join(f"{kind} {n}" for kind, n in zip(BAD_KINDS, kinds.tolist(), strict=True) if n)
    return f"{kinds.sum()} of {rows} bars unusable ({named})"


def interval_of(counts: Gaps, guessed: bool, options: CandleOptions, place: str) -> int:
    """Return the interval of the data: as asked, if they bear it out, or the commonest gap, the shortest of equals.

    Not the median: where most minutes have no trade that is 2 or 10 intervals (hourly pump.fun tokens, gold futures).
    """
    asked, target = options.interval_ms, options.resample_ms
    if asked == target:
        asked = None
    found = min(counts, key=lambda gap: (-counts[gap], gap), default=0)
    if found and guessed and not SECOND <= found <= MONTH:
        raise time_unit_error(place, f"times guessed by their magnitude would be {bar_name(found)} apart")
    interval = asked or found
    if not interval:
        raise SchemaError(f"{place}: no series has two bars to tell the interval by; pass --interval", "E_INTERVAL")
    if found and found != interval:
        apart, named = bar_name(found), bar_name(interval)
        raise SchemaError(
            f"{place}: bars are {apart} apart but interval is {named}; set --interval {apart}", "E_INTERVAL"
        )
    if target and target % interval:
        raise UsageError(f"{place}: {bar_name(target)} is no whole multiple of the interval {bar_name(interval)}")
    return interval


def gaps(one: Judged, clean: bool) -> Gaps:
    """Return how often neighbouring bars of a series lie how far apart, of the clean bars or of all."""
    ts, series = (one.bars.ts[one.keep], one.series[one.keep]) if clean else (one.bars.ts, one.series)
    apart = np.abs(np.diff(ts)[np.diff(series) == 0])
    apart = apart[apart > 0]
    if not apart.size:
        return Counter()
    # Most are alike, and to sort the others is soon done.
    middle = int(np.partition(apart, apart.size // 2)[apart.size // 2])
    values, counts = np.unique(apart[apart != middle], return_counts=True)
    return Counter({**dict(zip(values.tolist(), counts.tolist(), strict=True)), middle: apart.size - int(counts.sum())})


def _messages(tokens: tuple[str, ...], offsets: Ints, bars: Candles, verdicts: Verdicts) -> list[str]:
    messages = [_bad_words(k, n) if k.any() else "" for k, n in zip(verdicts.bad_kinds, verdicts.rows_in, strict=True)]
    for i in np.flatnonzero(verdicts.error).tolist():
        here, there = offsets[i] + verdicts.where[i], offsets[i] + verdicts.other[i]
        time = iso(int(bars.ts[here]))
        if verdicts.error[i] == 1:
            before = iso(int(bars.ts[there]))
            messages[i] = (
                f"{tokens[i]}: row {verdicts.where[i]} at {time} follows {before}; --on-unsorted sort accepts it"
            )
        else:
            name = next(p for p in PRICES if getattr(bars, p)[here] != getattr(bars, p)[there])
            values = f"{name} {getattr(bars, name)[there]:g} vs {getattr(bars, name)[here]:g}"
            messages[i] = f"{tokens[i]}: two different bars at {time} ({values}); --on-dup-conflict first keeps one"
    return messages


def _reports(
    tokens: tuple[str, ...],
    held: Ints,
    ts: Ints,
    verdicts: Verdicts,
    off_grid: Ints,
    coverage: Ints,
    messages: list[str],
) -> tuple[SeriesReport, ...]:
    bad = [{k: n for k, n in zip(BAD_KINDS, kinds, strict=True) if n} for kinds in verdicts.bad_kinds.tolist()]
    reports = []
    for i, (token, first, last) in enumerate(zip(tokens, held[:-1].tolist(), held[1:].tolist(), strict=True)):
        error = ERRORS[verdicts.error[i]]
        reports.append(
            SeriesReport(
                token=token,
                rows_in=int(verdicts.rows_in[i]),
                rows_out=last - first,
                bad_bars=sum(bad[i].values()),
                bad_kinds=bad[i],
                dup_identical=int(verdicts.dup_identical[i]),
                dup_conflict=int(verdicts.dup_conflict[i]),
                unsorted=int(verdicts.unsorted[i]),
                bad_volume=int(verdicts.bad_volume[i]),
                off_grid=int(off_grid[i]),
                error=error,
                where=int(verdicts.where[i]) if error else None,
                message=messages[i],
                first_ts=int(ts[first]) if last > first else None,
                last_ts=int(ts[last - 1]) if last > first else None,
                coverage_end_ms=int(coverage[i]),
            )
        )
    return tuple(reports)
