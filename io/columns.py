"""The names a column may go by, and its cells as text, numbers, times (ms UTC) or bar lengths."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ..kernels.arrays import Floats, Ints
from .errors import DataError, SchemaError

TOKEN = ("token_address", "mint", "symbol", "token", "ticker")
BAR_TIME = ("timestamp", "date", "datetime", "time", "ts", "open_time")
BAR_LENGTH = ("interval_seconds", "interval", "timeframe")

NO_TIME = int(np.iinfo(np.int64).min)
SECONDS_1980, SECONDS_2100 = 315_532_800, 4_102_444_800
PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_EDGES = [year * per for per in PER_SECOND.values() for year in (SECONDS_1980, SECONDS_2100)]

_TIME_WORDS = "an integer, milliseconds since 1970 UTC, or an ISO time"
pc: Any = pyarrow.compute  # it makes most of its functions at run time
_BAR_UNITS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "min": 60_000, "s": 1_000}
_DATE = r"\d{4}-\d{2}-\d{2}"
_TIME = r"[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?"


class Place(NamedTuple):
    """Where cells come from, for messages: the file or table, and the number a reader counts each row by."""

    name: str
    rows: Sequence[int]

    def cell(self, row: int, column: str, value: object) -> str:
        """Return ``alerts.csv:7: price is 'x'``; long values are cut."""
        return f"{self.name}:{self.rows[row]}: {column} is {str(value)[:60]!r}"


class Times(NamedTuple):
    """Times of a column, int64, NO_TIME where null: in ms, or where ``integer`` in a unit not yet told."""

    values: Ints
    integer: bool


def find(names: Iterable[str], aliases: Sequence[str]) -> str | None:
    """Return the column that goes by the first of ``aliases`` there is, in any case, or None."""
    by_name = {name.strip().lower(): name for name in reversed(list(names))}
    return next((by_name[alias] for alias in aliases if alias in by_name), None)


def is_text(kind: Any) -> bool:
    """Return whether an Arrow type is one of the kinds of string, dictionaries of strings included."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def text(column: pa.ChunkedArray, name: str, place: Place) -> pa.ChunkedArray:
    """Return a text or integer column as ``pa.string()``, whatever kind of string it was; nulls stay null."""
    kind = column.type
    if not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise SchemaError(f"{place.name}: column {name!r} is {kind}; it must be text")
    if pa.types.is_dictionary(kind):
        decoded = [chunk.dictionary.cast(pa.string()).take(chunk.indices) for chunk in column.chunks]
        return pa.chunked_array(decoded, pa.string())
    return column.cast(pa.string())


def numbers(column: pa.ChunkedArray, name: str, place: Place) -> Floats:
    """Return a numeric or text column as float64, NaN where null or blank.

    Raises DataError naming the first cell that is no number, SchemaError where the column is of another type.
    """
    kind = column.type
    if is_text(kind):
        words = _words(column, name, place)
        column = _parsed(words, pa.float64(), column, name, place, "a number")
    elif not any(
        test(kind) for test in (pa.types.is_floating, pa.types.is_integer, pa.types.is_decimal, pa.types.is_null)
    ):
        raise SchemaError(f"{place.name}: column {name!r} is {kind}; it must be a number")
    return column.cast(pa.float64(), safe=False).to_numpy()


def times(
    column: pa.ChunkedArray, name: str, place: Place, unit: str | None = None, whole: bool | None = None
) -> Times:
    """Return a column of timestamps, dates, ISO texts or integers as times; naive means UTC.

    Integers come back in ms where ``unit`` says what they count, else as they are. A text column is integers where
    ``whole`` says so; None: where its first cell is. Raises DataError naming the first cell that is no time,
    SchemaError for other types.
    """
    kind = column.type
    if is_text(kind):
        words = _words(column, name, place)
        if not (whole_first(column, name, place) if whole is None else whole):
            return Times(in_ms(_integers(_iso_times(words, name, place)), "us"), False)
        column = _parsed(words, pa.int64(), words, name, place, _TIME_WORDS)
    elif pa.types.is_timestamp(kind):
        return Times(in_ms(_integers(column.cast(pa.int64())), kind.unit), False)
    elif pa.types.is_date(kind):
        return Times(_integers(column.cast(pa.timestamp("ms")).cast(pa.int64())), False)
    elif not any(test(kind) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_null)):
        raise SchemaError(f"{place.name}: column {name!r} is {kind}; it must be timestamps, integers or ISO texts")
    try:
        values = _integers(column.cast(pa.int64()))
    except pa.ArrowInvalid:
        raise SchemaError(f"{place.name}: column {name!r} holds fractions; times must be whole numbers") from None
    return Times(in_ms(values, unit), False) if unit else Times(values, True)


def whole_first(column: pa.ChunkedArray, name: str, place: Place) -> bool | None:
    """Return whether the first text that is not blank is an integer; None where all are."""
    first = next((str(word) for word in _words(column, name, place).drop_null()), None)
    return None if first is None else bool(re.fullmatch(r"-?\d+", first))


def _words(column: pa.ChunkedArray, name: str, place: Place) -> pa.ChunkedArray:
    words = pc.utf8_trim_whitespace(text(column, name, place))
    blank = pc.is_in(pc.utf8_lower(words), value_set=pa.array(["", "null", "none", "na", "n/a"]))
    return pc.if_else(blank, pa.scalar(None, pa.string()), words)


def _iso_times(words: pa.ChunkedArray, name: str, place: Place) -> pa.ChunkedArray:
    zoned = pc.replace_substring_regex(words, rf"^({_DATE})$", r"\1T00:00Z")
    zoned = pc.replace_substring_regex(zoned, r"(\.\d{6})\d{1,3}", r"\1")
    zoned = pc.replace_substring_regex(zoned, rf"^({_DATE}{_TIME})(?: UTC)?$", r"\1Z")
    return _parsed(zoned, pa.timestamp("us", "UTC"), words, name, place, _TIME_WORDS).cast(pa.int64())


def _parsed(
    words: pa.ChunkedArray, kind: pa.DataType, shown: pa.ChunkedArray, name: str, place: Place, must: str
) -> pa.ChunkedArray:
    try:
        return words.cast(kind)
    except pa.ArrowInvalid:
        good, bad = 0, len(words)
        while bad - good > 1:
            middle = (good + bad) // 2
            try:
                words.slice(good, middle - good).cast(kind)
                good = middle
            except pa.ArrowInvalid:
                bad = middle
    raise DataError(f"{place.cell(good, name, shown[good])}; it must be {must}")


def _integers(column: pa.ChunkedArray) -> Ints:
    return (column.fill_null(NO_TIME) if column.null_count else column).to_numpy()


def in_ms(values: Ints, unit: str) -> Ints:
    """Return integers that count ``unit`` since 1970 as ms, rounded down; NO_TIME stays, and so does what overflows."""
    per_second = PER_SECOND[unit]
    if unit == "ms":
        return values
    if per_second > 1000:
        return np.where(values == NO_TIME, NO_TIME, values // (per_second // 1000))
    small = (values > -(2**53)) & (values < 2**53)  # not abs: that of NO_TIME is negative
    return np.where(small, np.where(small, values, 0) * 1000, values)


def unit_of(values: Ints) -> str | None:
    """Return the unit in which the median of ``values`` lies between 1980 and 2100; one can at most, or None."""
    return unit_at(magnitudes(values))


def magnitudes(values: Ints) -> Ints:
    """Return how many of ``values`` lie below, in, between and above what the units make of 1980 to 2100, int64[9]."""
    known = values[values != NO_TIME]
    return np.bincount(np.searchsorted(_EDGES, known, "right"), minlength=len(_EDGES) + 1)


def unit_at(counts: Ints) -> str | None:
    """Return the unit in which the median of values with these ``magnitudes`` lies; None for none, or no values."""
    middle = int(np.searchsorted(np.cumsum(counts), counts.sum() // 2, "right"))
    return tuple(PER_SECOND)[middle // 2] if middle % 2 and counts.any() else None


def iso(ts: int) -> str:
    """Return a time in ms as ``2024-01-01T00:01Z``, with seconds and ms only where they are not zero."""
    unit = "m" if ts % 60_000 == 0 else "s" if ts % 1000 == 0 else "ms"
    return f"{np.datetime64(ts, 'ms').astype(f'datetime64[{unit}]')}Z"


def bar_ms(length: object) -> int:
    """Return a bar length such as ``5m``, ``1h`` or 60 (seconds) in ms, or 0 where it is none."""
    found = re.fullmatch(r"(\d{1,9})\s*([a-z]*)", str(length).strip().lower())
    return int(found[1]) * _BAR_UNITS.get(found[2] or "s", 0) if found else 0


def bar_name(ms: int) -> str:
    """Return a bar length in ms as ``15s``, ``5m``, ``1h`` or ``1d``."""
    unit = next((unit for unit in ("d", "h", "m", "s") if ms and ms % _BAR_UNITS[unit] == 0), None)
    return f"{ms // _BAR_UNITS[unit]}{unit}" if unit else f"{ms}ms"
