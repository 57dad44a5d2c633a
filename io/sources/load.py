"""The one way to candles for sessions: from files, Yahoo, Binance or made up, kept for the next time if asked."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ...kernels.arrays import Candles, candles, column, of_rows
from ..candle_rows import CandleRows
from ..candles import CandleOptions, CandleSet, SeriesReport, clean
from ..digest import arrays_sha256, config_digest
from ..errors import DataError, HighwaterError, IntegrityError
from . import binance, kept, local, sessions, yahoo
from .series import Binance, Files, Loaded, Origin, Series, Source, Span, Synthetic, Yahoo

SETTLED_MS = 3_600_000  # a span is kept only once its end is this long past: later candles still change


def load(
    symbols: Sequence[str],
    source: Source,
    span: Span,
    cache: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Loaded:
    """Return each symbol's candles of ``span``; one that fails does not stop the others.

    ``cache``: a folder in which what is fetched or made is kept and found again. ``on_progress`` is called with how
    many symbols are done, of how many. Raises what concerns all symbols alike: UsageError for an interval or days the
    source does not have, MissingError where its library is not installed or a file does not exist.
    """
    wanted = tuple(dict.fromkeys(symbols))
    if isinstance(source, Files):
        return _from_files(wanted, source, span, on_progress)
    now = datetime.now(UTC)
    origins = {symbol: _origin(symbol, source, span) for symbol in wanted}
    series, broken = _hits(origins, span, now, cache)
    failed: dict[str, HighwaterError] = {}
    if not series:
        _check(source, span, now)
    for done, (symbol, origin) in enumerate(origins.items(), 1):
        if symbol not in series:
            try:
                series[symbol] = _made(origin, source, span, now, cache, broken.get(symbol))
            except HighwaterError as error:
                failed[symbol] = error
        if on_progress:
            on_progress(done, len(origins))
    return Loaded({symbol: series[symbol] for symbol in wanted if symbol in series}, failed)


def _hits(
    origins: Mapping[str, Origin], span: Span, now: datetime, cache: Path | None
) -> tuple[dict[str, Series], dict[str, str]]:
    """Return what the cache holds, and a line for each symbol whose file there is none of ours."""
    series: dict[str, Series] = {}
    broken: dict[str, str] = {}
    for symbol, origin in origins.items():
        try:
            if cache is not None and (hit := kept.find(cache, origin)) is not None:
                series[symbol] = _found(origin, *hit, span, now, kept.path_of(cache, origin))
        except (IntegrityError, OSError) as error:
            broken[symbol] = f"{str(error).partition('; ')[0]}; it was made anew"
    return series, broken


def _from_files(
    symbols: tuple[str, ...], source: Files, span: Span, on_progress: Callable[[int, int], None] | None
) -> Loaded:
    series, failed = {}, {}
    for symbol, found in local.read(symbols, source, span).items():
        if isinstance(found, HighwaterError):
            failed[symbol] = found
            continue
        digest = config_digest([file.sha256 for file in found.sources])
        origin = dataclasses.replace(_origin(symbol, source, span), settings=digest)
        series[symbol] = Series(symbol, found, origin, arrays_sha256(found.candles), None, _notes(found.reports[0]))
    if on_progress:
        on_progress(len(symbols), len(symbols))
    return Loaded(series, failed)


def _origin(symbol: str, source: Source, span: Span) -> Origin:
    """Return what a symbol's candles hang on; raises MissingError where the source's library is not installed."""
    known = source.kind, symbol, str(span.first), str(span.end), span.zone, span.interval_ms
    match source:
        case Yahoo():
            return Origin(*known, "splits and dividends" if source.adjusted else "splits", yahoo.library(), source.at)
        case Binance():
            return Origin(*known, "none", binance.library(), source.at)
        case Synthetic():
            walk = config_digest(dataclasses.asdict(source.walk))
            settings = config_digest([walk, arrays_sha256((source.open, source.close))])
            return Origin(*known, "none", sessions.LIBRARY, settings=settings)
        case Files():
            return Origin(*known, "as in the files", "")


def _check(source: Source, span: Span, now: datetime) -> None:
    """Raise UsageError where a source does not have such candles of such days."""
    if isinstance(source, Yahoo):
        yahoo.check(span, now)
    elif isinstance(source, Binance):
        binance.check(span, now)


def _made(origin: Origin, source: Source, span: Span, now: datetime, cache: Path | None, broken: str | None) -> Series:
    """Return a symbol's candles fetched or made, and kept where that is asked and they are settled."""
    found = _cleaned(origin.symbol, _raw(origin.symbol, source, span, now), span, now)
    plain = _notes(found.reports[0])
    notes = (broken, *plain) if broken else plain
    series = _found(origin, found.candles, notes, span, now)
    if cache is None:
        return series
    if source.kind != Synthetic.kind and span.end_ms + SETTLED_MS > now.timestamp() * 1000:
        return dataclasses.replace(
            series, notes=(*notes, "not kept: these days are not over, their candles may change")
        )
    try:
        kept.keep(cache, origin, found.candles, plain)
    except HighwaterError as error:
        return dataclasses.replace(series, notes=(*notes, f"not kept: {error}"))
    return series


def _raw(symbol: str, source: Source, span: Span, now: datetime) -> Candles:
    match source:
        case Yahoo():
            return yahoo.fetch(symbol, span, source, now)
        case Binance():
            return binance.fetch(symbol, span, source, now)
        case Synthetic():
            mine = (source.open >= span.begin_ms) & (source.open < span.end_ms)
            if not mine.any():
                raise DataError(f"no session opens from {span.first} to before {span.end}; choose other days")
            return sessions.make(symbol, source.open[mine], source.close[mine], span.interval_ms, source.walk)
        case Files():
            raise AssertionError


def _cleaned(symbol: str, bars: Candles, span: Span, now: datetime) -> CandleSet:
    """Return what a source gave, judged as a file's rows are, without the candle that is still being traded."""
    over = bars.ts + span.interval_ms <= now.timestamp() * 1000
    bars = of_rows(bars, over)
    options = CandleOptions(interval_ms=span.interval_ms, on_unsorted="sort", on_dup_conflict="last")
    zeros = np.zeros(bars.ts.size, np.int64)
    if not bars.ts.size:
        raise DataError(f"{symbol} has no whole candle from {span.first} to before {span.end} yet")
    return local.within(clean(CandleRows((symbol,), zeros, bars, zeros), options, symbol), span)


def _found(
    origin: Origin, bars: Candles, notes: tuple[str, ...], span: Span, now: datetime, path: Path | None = None
) -> Series:
    """Return clean candles as a series, be they fetched now or kept: the same either way but for ``kept``."""
    bars, count = candles(*bars), bars.ts.size
    coverage = min(span.end_ms, int(now.timestamp() * 1000))
    none = dict.fromkeys(("bad_bars", "dup_identical", "dup_conflict", "unsorted", "bad_volume", "off_grid"), 0)
    ends = int(bars.ts[0]), int(bars.ts[-1])
    report = SeriesReport(
        token=origin.symbol,
        rows_in=count,
        rows_out=count,
        bad_kinds={},
        **none,
        error=None,
        where=None,
        message="",
        first_ts=ends[0],
        last_ts=ends[1],
        coverage_end_ms=coverage,
    )
    offsets, covered = column([0, count], np.int64), column([coverage], np.int64)
    found = CandleSet((origin.symbol,), offsets, bars, span.interval_ms, covered, (report,), ())
    return Series(origin.symbol, found, origin, arrays_sha256(bars), path, notes)


def _notes(report: SeriesReport) -> tuple[str, ...]:
    """Return what became of rows that are no candles, a line each."""
    notes = []
    if report.bad_bars:
        notes.append(f"{report.message}; they are holes")
    if report.dup_identical or report.dup_conflict:
        notes.append(f"{report.dup_identical + report.dup_conflict} candles came twice")
    if report.unsorted:
        notes.append(f"{report.unsorted} candles came out of order and were sorted")
    if report.off_grid:
        notes.append(f"{report.off_grid} candles do not open at a whole multiple of their interval")
    return tuple(notes)
