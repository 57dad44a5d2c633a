"""Rows of candles as they stand in files of any layout, before anything is judged."""

import copy
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from ..kernels.arrays import Candles, Ints
from . import files
from .columns import (
    BAR_LENGTH,
    BAR_TIME,
    TOKEN,
    Place,
    bar_ms,
    find,
    is_text,
    magnitudes,
    numbers,
    text,
    times,
    unit_at,
    whole_first,
)
from .errors import DataError, SchemaError
from .folders import below, status

PRICES = ("open", "high", "low", "close")
_SLUG = re.compile(r".*~[0-9a-f]{12}")  # of a name too long for a path: the file's own column has it


class CandleRows(NamedTuple):
    """Rows as read, in any order: ``code`` int64 indexes ``names``, ``bars`` may be anything (ts NO_TIME where null).

    ``length`` int64 is the bar length a row claims, in ms, 0 where it claims none. ``guessed``: the unit of the times
    was told by their magnitude, so their spacing must bear it out.
    """

    names: tuple[str, ...]
    code: Ints
    bars: Candles
    length: Ints
    guessed: bool = False


class Columns(NamedTuple):
    """The names a file gives its columns; None for those it may leave out and does."""

    token: str | None
    time: str
    prices: tuple[str, ...]
    volume: str | None
    length: str | None


def candle_files(source: Path) -> Iterator[Path]:
    """Yield ``source``, or the Parquet files under it in path order, hidden and ``_`` names left out."""
    if not source.is_dir():
        yield source
        return
    paths = [p for p in below(source) if p.name.lower().endswith(files.PARQUET)]
    paths = [p for p in paths if not any(part.startswith((".", "_")) for part in p.relative_to(source).parts)]
    if not paths:
        raise DataError(f"{source} holds no Parquet file")
    yield from paths


def size_of(path: Path) -> int:
    """Return the bytes of a file; 0 where there is none, which whoever reads it says."""
    found = status(path)
    return found.st_size if found else 0


def read_rows(
    path: Path, wanted: frozenset[str] | None, budget: files.Budget, time_unit: str | None, allow_float32: bool
) -> tuple[CandleRows, files.SourceFile] | None:
    """Return the rows of one file that belong to ``wanted`` tokens (None: all), or None where its path rules it out."""
    found = row_blocks(path, wanted, budget, time_unit, allow_float32)
    return found and (joined(list(found[0])), found[1])


def row_blocks(
    path: Path,
    wanted: frozenset[str] | None,
    budget: files.Budget,
    time_unit: str | None,
    allow_float32: bool,
    on_share: Callable[[float], None] = lambda share: None,
) -> tuple[Iterator[CandleRows], files.SourceFile] | None:
    """Return the rows of one file as ``read_rows`` does, some after others: no more of them is in memory."""
    folder = _folder_token(path)
    if wanted is not None and folder is not None and folder not in wanted:
        return None
    source = files.describe(path)
    schema, from_text = files.schema(path), files.kind_of(path) == "CSV"
    names = _columns(schema.names, path)
    token = folder or files.stem_of(path)
    if wanted is not None and names.token is None and token not in wanted:
        return None
    if not from_text:
        _check_prices(schema, names.prices, path, allow_float32)

    def tables(columns: tuple[str | None, ...], budget: files.Budget, told: Callable[[float], None]) -> Tables:
        first = 2 if from_text else 1
        for table in files.blocks(path, [name for name in columns if name], budget, names.token, wanted, told):
            yield table, Place(str(path), range(first, first + table.num_rows))
            first += table.num_rows

    def blocks() -> Iterator[CandleRows]:
        every = tables((names.token, names.time, *names.prices, names.volume, names.length), budget, on_share)
        head = list(itertools.islice(every, 2))
        if len(head) == 1:
            clock = _clock(head, names.time, time_unit)
        else:  # of a file too large to be held, times are looked at first
            times = tables((names.token, names.time), copy.copy(budget), lambda share: None)
            clock = _clock(times, names.time, time_unit)
        for table, place in itertools.chain(head, every):
            yield _rows(table, names, place, token, clock)

    return blocks(), source


def joined(parts: list[CandleRows]) -> CandleRows:
    """Return rows one behind the other, with one list of names."""
    if len(parts) == 1:
        return parts[0]
    ids, code = dict.fromkeys(parts[0].names), [part.code for part in parts]
    if any(part.names is not parts[0].names for part in parts):
        ids: dict[str, Any] = {}
        code = [np.array([ids.setdefault(n, len(ids)) for n in part.names], np.int64)[part.code] for part in parts]
    bars = Candles(*(np.concatenate(arrays) for arrays in zip(*(part.bars for part in parts), strict=True)))
    length = np.concatenate([part.length for part in parts])
    return CandleRows(tuple(ids), np.concatenate(code), bars, length, any(part.guessed for part in parts))


def time_unit_error(place: str, reason: str) -> SchemaError:
    """Return the error for times whose unit cannot be told."""
    return SchemaError(f"{place}: {reason}; say what they count with --time-unit s, ms, us or ns", "E_TIME_UNIT")


def _folder_token(path: Path) -> str | None:
    for part in reversed(path.parts[:-1]):
        key, equals, value = part.partition("=")
        if equals and key.lower() in TOKEN and not _SLUG.fullmatch(value):
            return unquote(value)
    return None


def _columns(names: list[str], path: Path) -> Columns:
    found = [find(names, (role,)) for role in PRICES]
    time = find(names, BAR_TIME)
    for column, role in ((time, BAR_TIME[0]), *zip(found, PRICES, strict=True)):
        if column is None:
            also = f" (or {', '.join(BAR_TIME[1:])})" if role == BAR_TIME[0] else ""
            raise SchemaError(f"{path} has no column {role!r}{also} (found: {', '.join(names)})")
    prices = tuple(name for name in found if name)
    return Columns(find(names, TOKEN), time or "", prices, find(names, ("volume",)), find(names, BAR_LENGTH))


def _check_prices(schema: pa.Schema, names: tuple[str, ...], path: Path, allow_float32: bool) -> None:
    for name in names:
        kind = schema.field(schema.names.index(name)).type
        float32 = pa.types.is_float32(kind)
        if not (pa.types.is_float64(kind) or pa.types.is_integer(kind) or (float32 and allow_float32)):
            remedy = "; --allow-float32 takes it as it is, rounded" if float32 else ""
            raise SchemaError(f"{path}: column {name!r} is {kind}; expected float64{remedy}")


class _Clock(NamedTuple):
    """How the times of a file are read: in which unit, whether texts are integers, and whether we found that out."""

    unit: str | None
    whole: bool | None
    guessed: bool


def _clock(tables: "Tables", name: str, time_unit: str | None) -> _Clock:
    """Return how the times of a file are read, from all of them where they are integers of an unknown unit."""
    counts, guessed, whole, first, file = magnitudes(np.zeros(0, np.int64)), False, None, 0, ""
    for table, place in tables:
        texts, file = is_text(table.schema.field(name).type), place.name
        if texts and whole is None:
            whole = whole_first(table[name], name, place)
        if texts and (whole is False or time_unit):
            break
        stamps = times(table[name], name, place, time_unit, whole)
        if not (stamps.integer or texts):
            break
        if stamps.integer and stamps.values.size:
            guessed, first = True, first if guessed else stamps.values[0]
            counts += magnitudes(stamps.values)
    if guessed and unit_at(counts) is None:
        raise time_unit_error(file, f"{name} such as {first} fall between 1980 and 2100 in no unit")
    return _Clock(unit_at(counts) if guessed else time_unit, whole, guessed)


Tables = Iterable[tuple[pa.Table, Place]]  # some rows after others, with the numbers that a reader counts them by


def _rows(table: pa.Table, names: Columns, place: Place, token: str, clock: _Clock) -> CandleRows:
    ts = times(table[names.time], names.time, place, clock.unit, clock.whole).values
    open_, high, low, close = (numbers(table[name], name, place) for name in names.prices)
    volume = numbers(table[names.volume], names.volume, place) if names.volume else np.zeros(ts.size)
    labels, code = (token,), np.zeros(ts.size, np.int64)
    if names.token:
        labels, code = _encoded(table[names.token], names.token, place)
        if np.any(code < 0):
            raise DataError(f"{place.cell(int(np.argmax(code < 0)), names.token, 'null')}; every candle needs a token")
    length = np.zeros(ts.size, np.int64)
    if names.length:
        words, index = _encoded(table[names.length], names.length, place)
        length = np.array([*map(bar_ms, words), 0], np.int64)[index]
    return CandleRows(labels, code, Candles(ts, open_, high, low, close, volume), length, clock.guessed)


def _encoded(column: pa.ChunkedArray, name: str, place: Place) -> tuple[tuple[str, ...], Ints]:
    """Return the distinct texts of a column and the index of each row's, -1 where null."""
    encoded = pa.types.is_dictionary(column.type) and is_text(column.type)
    if not encoded or pa.types.is_string_view(column.type.value_type):
        column = text(column, name, place).dictionary_encode()
    array = column.unify_dictionaries().combine_chunks() if column.num_chunks else None
    if array is None:
        return (), np.zeros(0, np.int64)
    words = array.dictionary.cast(pa.string()).to_pylist()
    return tuple(words), array.indices.fill_null(-1).to_numpy().astype(np.int64)
