"""What ClickHouse is asked about a table of candles: its shape, which tokens have what, and their candles.

Every statement runs on 18.16 as on today's versions. Whatever a table's columns are, it answers in ms UTC and float64;
names are quoted (``interval`` is a word of the language), and so are tokens: they are hostile text.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...kernels.arrays import Ints
from ..candle_rows import PRICES
from ..candles import CandleOptions
from ..columns import BAR_LENGTH, BAR_TIME, TOKEN, bar_ms, bar_name, find
from ..config import nearest
from ..errors import MissingError, SchemaError
from .clickhouse import Table, quoted

_WHOLE = re.compile(r"U?Int(8|16|32|64)")
_TEXT = re.compile(r"String|FixedString\(\d+\)|Enum(8|16)\(.*\)")
_TIMES = {"s": "* 1000", "ms": "", "us": "/ 1000", "ns": "/ 1000000"}
_UNITS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "min": 60_000, "s": 1_000, "": 1_000}
_SECONDS = 2**32  # where a DateTime ends


@dataclass(frozen=True)
class Shape:
    """How a table holds candles: the SQL of each thing asked for. ``interval_ms`` is how long its candles are.

    ``chains``: it tells the chain of each, and those of all are asked for.
    """

    source: str
    token: str
    raw_time: str
    is_clock: bool
    time: str
    prices: tuple[str, ...]
    where: str
    interval_ms: int
    chains: bool = False


class Batch(NamedTuple):
    """Tokens, ascending, and what is asked of each, int64 ms: candles after ``lo`` and before ``hi``.

    ``extra`` is when the first sound candle from ``hi`` on opens, NO_TIME where there is none; it spans ``width``.
    """

    tokens: tuple[str, ...]
    lo: Ints
    hi: Ints
    extra: Ints
    width: int = 1


def text(word: str) -> str:
    """Return a text as SQL has it."""
    return "'" + word.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0") + "'"


def tables_sql(table: Table) -> str:
    """Return the question for the names of the tables beside this one."""
    return f"SELECT name FROM system.tables WHERE database = {text(table.database)}"


def describe_sql(table: Table, name: str) -> str:
    """Return the question for the columns of a table and their types."""
    return f"DESCRIBE TABLE {quoted(table.database)}.{quoted(name)}"


def lengths_sql(table: Table, name: str, columns: Mapping[str, str], tokens: Sequence[str]) -> str | None:
    """Return the question for the bar lengths that some tokens have; None: no column tells, or tokens are no text."""
    length, token = find(columns, BAR_LENGTH), find(columns, TOKEN)
    if length is None or token is None or not _is_text(columns[token]):
        return None
    among = ", ".join(map(text, tokens))
    where = f"{quoted(table.database)}.{quoted(name)} WHERE {quoted(token)} IN ({among})"
    return f"SELECT DISTINCT toString({quoted(length)}) FROM {where}"


def name_of(table: Table, names: Sequence[str], interval_ms: int | None) -> str:
    """Return the table itself, or the one with the bar length behind its name (``ohlcv_candles_1m``).

    Raises MissingError where there is neither, SchemaError where there are several.
    """
    if table.table in names:
        return table.table
    by_length = {
        bar_ms(name.rpartition("_")[2]): name
        for name in sorted(names)
        if name.rpartition("_")[0] == table.table and re.fullmatch(r"\d+[a-z]+", name.rpartition("_")[2])
    }
    by_length.pop(0, None)
    if interval_ms in by_length:
        return by_length[interval_ms]
    if len(by_length) == 1 and interval_ms is None:
        return next(iter(by_length.values()))
    if by_length:
        has = ", ".join(by_length[ms] for ms in sorted(by_length))
        raise SchemaError(f"{table}: candles lie in tables by length ({has}); choose one with --interval", "E_INTERVAL")
    near = nearest(table.table, names) or (f"; it has {', '.join(sorted(names)[:12])}" if names else "")
    raise MissingError(f"{table.server}: database {table.database} has no table '{table.table}'{near}")


def shape_of(
    table: Table,
    name: str,
    columns: Mapping[str, str],
    lengths: Sequence[str],
    options: CandleOptions,
    chain: str | None,
) -> Shape:
    """Return the shape of the table ``name``, given its columns with their types and the bar lengths it holds.

    Raises SchemaError where a column is missing, of another type, or does not say what it counts.
    """
    place = str(table) if name == table.table else f"{table} ({name})"
    roles = {"token_address": TOKEN, "timestamp": BAR_TIME, **{price: (price,) for price in PRICES}}
    found = {role: find(columns, aliases) for role, aliases in roles.items()}
    for role, aliases in roles.items():
        if found[role] is None:
            also = f" (or {', '.join(a for a in aliases if a != role)})" if len(aliases) > 1 else ""
            raise SchemaError(f"{place} has no column '{role}'{also}; it has {', '.join(columns)}")
    names = {role: str(column) for role, column in found.items()}
    _refuse(place, names["token_address"], columns, _is_text(columns[names["token_address"]]), "text")
    clock, moment = _time(place, names["timestamp"], columns, options.time_unit)
    for price in PRICES:
        kind = _bare(columns[names[price]])
        if kind == "Float32" and not options.allow_float32:
            rounded = "; --allow-float32 takes it as it is, rounded"
            raise SchemaError(f"{place}: column '{names[price]}' is {columns[names[price]]}; expected Float64{rounded}")
        _refuse(place, names[price], columns, _is_number(kind), "a number, Float64")
    volume = find(columns, ("volume",))
    if volume is not None:
        _refuse(place, volume, columns, _is_number(_bare(columns[volume])), "a number, Float64")
    interval, where = _interval(place, name, columns, lengths, options)
    named = find(columns, ("chain",))
    if chain is not None and named is not None:
        where += f" AND lower(toString({quoted(named)})) = {text(chain.lower())}"
    shift = f" - {interval}" if options.ts_label == "close" else ""
    return Shape(
        f"{quoted(table.database)}.{quoted(name)}",
        quoted(names["token_address"]),
        quoted(names["timestamp"]),
        clock,
        f"ifNull({moment}{shift}, toInt64(0))",
        (*(_number(names[price]) for price in PRICES), _number(volume) if volume else "toFloat64(0)"),
        where,
        interval,
        named is not None and chain is None,
    )


def coverage_sql(shape: Shape, batch: Batch) -> str:
    """Return the question which tokens have what; a row a token that has any candle.

    Its number from 1 on; how many candles at all; of the sound ones how many, the last, how many from ``hi`` on and
    the first of these; how many (of any) are asked for; and two sums of hashes of these.
    """
    asked = f"t > {_array(batch.lo)}[c] AND t < {_array(batch.hi)}[c]"
    from_hi = f"{_SOUND} AND t >= {_array(batch.hi)}[c]"
    values = "t, o, h, l, k, v"
    sums = [f"sumIf(cityHash64({each}), {asked})" for each in (values, "v, k, l, h, o, t")]
    wanted = f"c, count(), countIf({_SOUND}), maxIf(t, {_SOUND}), countIf({from_hi}), minIf(t, {from_hi})"
    return (
        f"SELECT {wanted}, countIf({asked}), {sums[0]}, {sums[1]} "
        f"FROM ({_rows(shape, batch, '')}) GROUP BY c ORDER BY c"
    )


def export_sql(shape: Shape, batch: Batch) -> str:
    """Return the question for the candles of a batch, token by token, by time and then by value: in one order ever."""
    begin = np.maximum(batch.extra, 0)
    end = np.where(begin, begin + batch.width, 0)
    extra = f"t >= {_array(begin)}[c] AND t < {_array(end)}[c]"
    asked = f"(t > {_array(batch.lo)}[c] AND t < {_array(batch.hi)}[c]) OR ({extra})"
    columns = "toUInt32(c - 1) AS code, t AS ts, o AS open, h AS high, l AS low, k AS close, v AS volume"
    rows = _rows(shape, batch, _bounds(shape, batch))
    return f"SELECT {columns} FROM ({rows}) WHERE {asked} ORDER BY c, t, o, h, l, k, v"


_SOUND = "t > 0 AND h >= o AND h >= k AND l <= o AND l <= k AND l > 0 AND h < inf"  # D1, of numbers that may be NaN


def _rows(shape: Shape, batch: Batch, bounds: str) -> str:
    """Return the rows of a batch's tokens: ``c`` their number from 1 on, ``t`` ms UTC, prices and volume."""
    words = ", ".join(map(text, batch.tokens))
    numbers = ", ".join(map(str, range(1, len(batch.tokens) + 1)))
    columns = ", ".join(f"{sql} AS {name}" for name, sql in zip("ohlkv", shape.prices, strict=True))
    token = f"toString({shape.token})"
    code = f"toUInt32(transform({token}, [{words}], [{numbers}], 0)) AS c"
    return (
        f"SELECT {code}, {shape.time} AS t, {columns} FROM {shape.source} "
        f"WHERE {shape.token} IN ({words}){shape.where}{bounds}"
    )


def _bounds(shape: Shape, batch: Batch) -> str:
    """Return when candles of a batch may open, of the column itself: it may be what the table is sorted by."""
    first = int(batch.lo.min()) // 1000
    last = int(max(batch.hi.max(), batch.extra.max() + batch.width)) // 1000 + 1 + shape.interval_ms // 1000
    if not shape.is_clock or first < 0 or last >= _SECONDS:
        return ""
    return f" AND {shape.raw_time} >= toDateTime({first}) AND {shape.raw_time} <= toDateTime({last})"


def _array(values: Ints) -> str:
    return f"[{', '.join(map(str, np.maximum(values, 0).tolist()))}]"


def _bare(kind: str) -> str:
    """Return a type without what wraps it."""
    while wrapped := re.fullmatch(r"(?:Nullable|LowCardinality)\((.*)\)", kind):
        kind = wrapped[1]
    return kind


def _is_text(kind: str) -> bool:
    return bool(_TEXT.fullmatch(_bare(kind)))


def _is_number(kind: str) -> bool:
    return kind in ("Float64", "Float32") or bool(_WHOLE.fullmatch(kind)) or kind.startswith("Decimal")


def _number(column: str) -> str:
    return f"ifNull(toFloat64({quoted(column)}), nan)"


def _refuse(place: str, name: str, columns: Mapping[str, str], good: bool, must: str) -> None:
    if not good:
        raise SchemaError(f"{place}: column '{name}' is {columns[name]}; it must be {must}")


def _time(place: str, name: str, columns: Mapping[str, str], unit: str | None) -> tuple[bool, str]:
    """Return whether a column of times is of the clock, and it in ms UTC: an instant, whatever zone it is shown in."""
    kind, column = _bare(columns[name]), quoted(name)
    if kind.startswith("DateTime64"):
        return True, f"toUnixTimestamp64Milli({column})"
    if kind.startswith("DateTime"):
        return True, f"toInt64(toUnixTimestamp({column})) * 1000"
    if kind in ("Date", "Date32"):
        return False, f"toInt64({column}) * 86400000"
    if _WHOLE.fullmatch(kind) and unit:
        divided = _TIMES[unit].partition("/ ")[2]
        whole = f"toInt64({column})"
        return False, f"intDiv({whole}, {divided})" if divided else f"{whole} {_TIMES[unit]}".strip()
    if _WHOLE.fullmatch(kind):
        counts = "say what it counts with --time-unit s, ms, us or ns"
        raise SchemaError(f"{place}: column '{name}' is {columns[name]}; {counts}", "E_TIME_UNIT")
    raise SchemaError(f"{place}: column '{name}' is {columns[name]}; it must be DateTime, DateTime64 or a whole number")


def _interval(
    place: str, name: str, columns: Mapping[str, str], lengths: Sequence[str], options: CandleOptions
) -> tuple[int, str]:
    """Return how long the candles asked for are, ms, and the SQL that picks them."""
    asked = None if options.interval_ms == options.resample_ms else options.interval_ms
    column, suffix = find(columns, BAR_LENGTH), bar_ms(name.rpartition("_")[2] or "?")
    suffix = suffix if re.search(r"_\d+[a-z]+$", name) else 0
    held = sorted({bar_ms(word) for word in lengths})
    if column is None:
        if asked and suffix and asked != suffix:
            raise SchemaError(f"{place} holds {bar_name(suffix)} bars; set --interval {bar_name(suffix)}", "E_INTERVAL")
        if not (asked or suffix):
            text_ = f"no column says how long its bars are ({', '.join(BAR_LENGTH)}), nor does a name such as {name}_1m"
            raise SchemaError(f"{place}: {text_}; pass --interval", "E_INTERVAL")
        return asked or suffix, ""
    if (asked is None and len(held) != 1) or (asked is not None and held and asked not in held):
        raise SchemaError(f"{place} holds {_held(held)}", "E_INTERVAL")
    if not (asked or held[0]):
        must = "it must be the length of a bar, such as 1m or 60"
        raise SchemaError(f"{place}: column '{column}' is '{lengths[0]}'; {must}", "E_INTERVAL")
    interval = asked or held[0]
    words = [f"{interval // ms}{unit}" for unit, ms in _UNITS.items() if interval % ms == 0]
    among = ", ".join(
        map(text, dict.fromkeys([*words, *(word.lower() for word in lengths if bar_ms(word) == interval)]))
    )
    return interval, f" AND lower(toString({quoted(column)})) IN ({among})"


def _held(lengths: Sequence[int]) -> str:
    found = [bar_name(ms) if ms else "unnamed" for ms in lengths]
    if len(found) == 1:
        return f"{found[0]} bars; set --interval {found[0]}"
    return f"bars of several intervals ({', '.join(found) or 'none of these tokens'}); choose one with --interval"
