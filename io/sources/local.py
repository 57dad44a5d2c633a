"""Candles of symbols out of local files: which file is whose, and the days asked for."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...kernels.arrays import Ints, column, of_rows
from .. import files
from ..candle_rows import CandleRows, joined, read_rows
from ..candles import CandleOptions, CandleSet, clean
from ..columns import TOKEN, bar_name, find, iso
from ..config import nearest
from ..errors import DataError, HighwaterError, MissingError, UsageError
from ..folders import below
from .series import Files, Span

_SHOWN = 12  # names in a message


@dataclass(frozen=True)
class _Shelf:
    """The files of a source, and which of them hold each name; ``stems`` are those that only a file's name tells."""

    path: Path
    budget: files.Budget
    holders: dict[str, list[Path]]
    stems: frozenset[str]


def read(symbols: Iterable[str], source: Files, span: Span) -> dict[str, CandleSet | HighwaterError]:
    """Return the candles of each symbol within ``span``, or the error that tells why there are none.

    Raises MissingError where the path does not exist, DataError or SchemaError where it holds nothing that can be read.
    """
    shelf, wanted = _shelf(source), list(symbols)
    found: dict[str, CandleSet | HighwaterError] = {}
    rows: dict[Path, tuple[CandleRows, files.SourceFile] | HighwaterError | None] = {}
    names: dict[str, str] = {}
    for symbol in wanted:
        try:
            names[symbol] = _name(symbol, shelf)
        except HighwaterError as error:
            found[symbol] = error
    for path in sorted({path for name in names.values() for path in shelf.holders[name]}):
        held = frozenset(name for name in names.values() if path in shelf.holders[name])
        try:
            rows[path] = read_rows(path, held, shelf.budget, source.options.time_unit, source.options.allow_float32)
        except HighwaterError as error:
            rows[path] = error
    for symbol, name in names.items():
        try:
            found[symbol] = _series(symbol, name, [rows[path] for path in shelf.holders[name]], source, span)
        except HighwaterError as error:
            found[symbol] = error
    return {symbol: found[symbol] for symbol in wanted}


def _shelf(source: Files) -> _Shelf:
    path, budget = source.path, files.Budget(source.options.max_decoded)
    if not path.exists():
        raise MissingError(f"{path} does not exist")
    paths, holders, stems = [path], {}, set()
    if path.is_dir():
        paths = [p for p in below(path) if p.name.lower().endswith(tuple(files.KINDS))]
        paths = [p for p in paths if not any(part.startswith((".", "_")) for part in p.relative_to(path).parts)]
        if not paths:
            raise DataError(f"{path} holds no file of candles ({', '.join(files.KINDS)})")
    for each in paths:
        symbols = find(files.schema(each).names, TOKEN)
        if symbols is None:
            stems.add(files.stem_of(each))
        for name in _in_column(each, symbols, budget) if symbols else [files.stem_of(each)]:
            holders.setdefault(name, []).append(each)
    return _Shelf(path, budget, holders, frozenset(stems))


def _in_column(path: Path, name: str, budget: files.Budget) -> list[str]:
    words = files.read(path, [name], budget, name)[name]
    return [str(word) for word in words.unique().to_pylist() if word is not None]


def _name(symbol: str, shelf: _Shelf) -> str:
    """Return the name a symbol has in the files: its own, in other letters, or before the ``_`` of a file's name."""
    if symbol in shelf.holders:
        return symbol
    same = [name for name in shelf.holders if name.lower() == symbol.lower()]
    same = same or [name for name in shelf.stems if name.lower().partition("_")[0] == symbol.lower()]
    if len(same) == 1:
        return same[0]
    if same:
        raise DataError(f"{shelf.path} has several that could be '{symbol}': {_listed(same)}; name the file itself")
    close = nearest(symbol.upper(), shelf.holders)
    remedy = f"; name the file {symbol} or give it a column symbol" if shelf.stems and not close else close
    raise DataError(f"{shelf.path} has no symbol '{symbol}'; it has {_listed(shelf.holders)}{remedy}")


def _listed(names: Iterable[str]) -> str:
    every = sorted(names)
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + more


def _series(symbol: str, name: str, read_of: list, source: Files, span: Span) -> CandleSet:
    parts, sources = [], []
    for each in read_of:
        if isinstance(each, HighwaterError):
            raise each
        if each is None:
            continue
        rows, file = each
        mine = rows.code == (rows.names.index(name) if name in rows.names else -1)
        if mine.any():
            parts.append(
                CandleRows((symbol,), rows.code[mine] * 0, of_rows(rows.bars, mine), rows.length[mine], rows.guessed)
            )
            sources.append(file)
    if not parts:
        raise DataError(f"{source.path} holds no candles of '{symbol}'")
    options = replace(source.options, resample_ms=None)
    return within(_as_long(joined(parts), options, span, tuple(sources), str(source.path)), span)


def _as_long(
    rows: CandleRows, options: CandleOptions, span: Span, sources: tuple[files.SourceFile, ...], place: str
) -> CandleSet:
    """Return clean candles of the span's interval; shorter ones are made longer, on the grid of UTC."""
    if rows.length.any() and options.interval_ms is None and (rows.length == span.interval_ms).any():
        options = replace(options, interval_ms=span.interval_ms)
    found = clean(rows, options, place, sources)
    if found.reports[0].error:
        raise DataError(f"{place}: {found.reports[0].message}", found.reports[0].error)
    if found.interval_ms == span.interval_ms:
        return found
    if span.interval_ms % found.interval_ms:
        raise UsageError(
            f"{place} has {bar_name(found.interval_ms)} candles of {found.tokens[0]}, of which none of {span.interval} "
            f"can be made; choose {bar_name(found.interval_ms)} or a whole multiple of it"
        )
    return clean(rows, replace(options, resample_ms=span.interval_ms), place, sources)


def within(found: CandleSet, span: Span) -> CandleSet:
    """Return the candles of one series that open within ``span``; raises DataError where there are none."""
    ts: Ints = found.candles.ts
    first, last = (int(row) for row in ts.searchsorted([span.begin_ms, span.end_ms]))
    if first == last:
        held = f"they run from {iso(int(ts[0]))} to {iso(int(ts[-1]))}" if ts.size else "there are none at all"
        raise DataError(f"{found.tokens[0]} has no candles from {span.first} to before {span.end}; {held}")
    bars = of_rows(found.candles, slice(first, last))
    ends = (int(bars.ts[0]), int(bars.ts[-1]))
    report = replace(found.reports[0], rows_out=last - first, first_ts=ends[0], last_ts=ends[1])
    offsets = column(np.array([0, last - first]), np.int64)
    return replace(found, candles=bars, offsets=offsets, reports=(report,))
