"""Alerts, read from any of their sources, filtered, told apart and sorted: one table of ``schemas.ALERTS``."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..kernels.arrays import Ints
from . import files, schemas
from .alert_files import AlertTable, read_table
from .columns import NO_TIME, PER_SECOND, SECONDS_2100, find, iso, numbers, pc, text, times, unit_of
from .errors import SchemaError, UsageError

ALIASES = {
    "mint": ("mint", "token_address", "symbol", "token", "ticker"),
    "time": (
        *("alert_ts_ms", "trigger_ts_ms", "call_ts_ms", "ts", "timestamp"),
        *("time", "alert_ts", "datetime", "date"),
    ),
    "caller": ("caller_name", "caller", "trigger_from_name", "caller_name_norm", "caller_raw_name"),
    "chain": ("chain",),
    "price": ("alert_price", "price", "entry_price"),
    "mcap": ("mcap_usd", "mcap", "market_cap"),
    "call_id": ("call_id",),
    "alert_id": ("alert_id", "id"),
}
YEAR_1971, YEAR_9999 = 31_536_000_000, 253_402_300_800_000
_NAMES = frozenset(alias for aliases in ALIASES.values() for alias in aliases)
_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


@dataclass(frozen=True)
class AlertFilter:
    """Which alerts to keep; None and () keep all. ``to_ms`` is exclusive, ``chain`` is compared in any case.

    An alert without a market cap is dropped where a bound is set.
    """

    from_ms: int | None = None
    to_ms: int | None = None
    callers: tuple[str, ...] = ()
    chain: str | None = None
    mcap_min: float | None = None
    mcap_max: float | None = None


@dataclass(frozen=True)
class AlertBatch:
    """Alerts sorted by time, mint, caller and id, as ``schemas.ALERTS``, and what became of every row that was read.

    ``counts``: read = bad_time + no_mint + outside_period + other_caller + other_chain + mcap + duplicates + kept.
    ``place`` is the file, or the database and its table, such as ``alerts.duckdb:caller_links_d``.
    """

    table: pa.Table
    counts: Mapping[str, int]
    sources: tuple[files.SourceFile, ...]
    place: str


_ALL = AlertFilter()


def read_alerts(
    source: str | Path,
    *,
    table: str | None = None,
    query: str | None = None,
    filter: AlertFilter = _ALL,  # noqa: A002
    time_unit: str | None = None,
    chain: str = "solana",
) -> AlertBatch:
    """Return the alerts of a DuckDB database, Parquet, Arrow, CSV or JSON-lines file; none left is an empty batch.

    ``chain`` stands where a row names none. Integer times are ms unless ``time_unit`` says otherwise. Raises
    SchemaError for missing columns, times in another unit or an id that occurs twice, DataError for a cell that
    cannot be read, BusyError where another process writes the database.
    """
    if time_unit not in (None, *PER_SECOND):
        raise UsageError(f"alert unit is {time_unit!r}; it must be one of {', '.join(PER_SECOND)}")
    path = Path(source)
    with files.unchanged([path]):
        file = files.describe(path)
        raw = read_table(path, table, query, _NAMES)
    rows, usable = _rows(raw, time_unit, chain)
    kept, counts = _kept(rows, usable, filter)
    alerts = _told_apart(kept)
    counts |= {"duplicates": kept.num_rows - alerts.num_rows, "kept": alerts.num_rows}
    return AlertBatch(alerts, counts, (file,), raw.place.name)


def _rows(raw: AlertTable, time_unit: str | None, chain: str) -> tuple[pa.Table, NDArray[np.bool_]]:
    """Return all rows as ``schemas.ALERTS`` but ``created_at``, ``call_id`` null where not given; whose time is one."""
    cells, place, found = raw
    names = {role: find(cells.column_names, aliases) for role, aliases in ALIASES.items()}
    for role, wanted in (("mint", "mint"), ("time", "alert_ts_ms")):
        if names[role] is None:
            also = ", ".join(a for a in ALIASES[role] if a != wanted)
            raise SchemaError(f"{place.name} has no column {wanted!r} (or {also}); found: {', '.join(found)}")

    nothing = pa.chunked_array([pa.nulls(cells.num_rows)])

    def words(role: str) -> pa.ChunkedArray:
        name = names[role]
        return text(nothing if name is None else cells[name], str(name), place)

    def amounts(role: str) -> pa.Array:
        name = names[role]
        return pa.array(numbers(nothing if name is None else cells[name], str(name), place), from_pandas=True)

    name = str(names["time"])
    stamps = times(cells[name], name, place, time_unit)
    if stamps.integer:
        _refuse_unit(stamps.values, name, place.name)
    alert_id, chains = words("alert_id"), words("chain")
    ids = _identity(words("call_id"), "call_id", raw) or _identity(alert_id, str(names["alert_id"]), raw)
    rows = {
        "call_id": ids or text(nothing, "call_id", place),
        "mint": words("mint"),
        "caller_name": pc.fill_null(words("caller"), ""),
        "chain": pc.if_else(_filled(chains), chains, chain),
        "alert_ts_ms": stamps.values,
        "alert_id": alert_id,
        "alert_price": amounts("price"),
        "mcap_usd": amounts("mcap"),
    }
    return pa.table(rows), _usable(stamps.values, YEAR_1971 if stamps.integer else 0)


def _filled(words: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.not_equal(pc.fill_null(words, ""), "")


def _refuse_unit(values: Ints, name: str, place: str) -> None:
    known = values[values != NO_TIME]
    odd = known[~_usable(known, YEAR_1971)]
    if 2 * odd.size <= known.size:
        return
    unit, date = unit_of(odd), f" = {iso(int(odd[0]))[:10]}" if abs(odd[0]) < YEAR_9999 else ""
    looks = f"looks like {_UNITS[unit]}" if unit else "is not milliseconds since 1970"
    remedy = f"Pass --alert-unit {unit}." if unit else "Pass --alert-unit s, us or ns."
    raise SchemaError(f"{place}: {name} {looks} ({odd[0]}{date}). {remedy}", "E_TIME_UNIT")


def _usable(ts: Ints, first: int) -> NDArray[np.bool_]:
    return (ts >= first) & (ts < SECONDS_2100 * 1000)


def _identity(ids: pa.ChunkedArray, name: str, raw: AlertTable) -> pa.ChunkedArray | None:
    """Return ``ids`` if every row has one; refuse one that occurs twice."""
    if not len(ids) or not pc.all(_filled(ids)).as_py():
        return None
    if pc.count_distinct(ids).as_py() < len(ids):
        first: dict[str, int] = {}
        row, word = next((row, word) for row, word in enumerate(ids.to_pylist()) if first.setdefault(word, row) != row)
        rows = f"rows {raw.place.rows[first[word]]} and {raw.place.rows[row]}"
        raise SchemaError(f"{raw.place.name}: {name} {word[:60]} occurs twice ({rows})", "E_DUP_ALERT")
    return ids


def _kept(rows: pa.Table, usable: NDArray[np.bool_], keep: AlertFilter) -> tuple[pa.Table, dict[str, int]]:
    """Return the rows that pass, and how many were read and failed each test first."""
    ts, mcap = rows["alert_ts_ms"].to_numpy(), rows["mcap_usd"].to_numpy()
    low, high, chain = keep.mcap_min, keep.mcap_max, (keep.chain or "").lower()
    chains = [name for name in rows["chain"].unique().to_pylist() if chain in ("", name.lower())]
    tests = {
        "bad_time": usable,
        "no_mint": _filled(rows["mint"]),
        "outside_period": (ts >= (NO_TIME if keep.from_ms is None else keep.from_ms))
        & (ts < (2**62 if keep.to_ms is None else keep.to_ms)),
        "other_caller": pc.is_in(rows["caller_name"], pa.array(keep.callers, pa.string())) if keep.callers else True,
        "other_chain": pc.is_in(rows["chain"], pa.array(chains, pa.string())),
        "mcap": ((low is None) | (mcap >= (low or 0))) & ((high is None) | (mcap <= (high or 0))),
    }
    counts, left = {"read": rows.num_rows}, np.ones(rows.num_rows, bool)
    for reason, passed in tests.items():
        passing = np.asarray(passed)
        counts[reason] = int(np.count_nonzero(left & ~passing))
        left &= passing
    return rows.filter(left), counts


def _told_apart(rows: pa.Table) -> pa.Table:
    """Return rows as ``schemas.ALERTS``, sorted, each with an id; of those with the same id the first."""
    ids = rows["call_id"] if rows["call_id"].null_count == 0 else _call_ids(rows)
    instant = rows["alert_ts_ms"].cast(pa.timestamp("ms")).cast(pa.string())
    created = pc.binary_join_element_wise(pc.replace_substring(instant, " ", "T"), "Z", "")
    rows = rows.set_column(0, "call_id", ids).append_column("created_at", created).select(schemas.ALERTS.names)
    order = pc.sort_indices(rows, [(name, "ascending") for name in ("alert_ts_ms", "mint", "caller_name", "call_id")])
    ids, first = ids.take(order), np.ones(rows.num_rows, bool)
    first[1:] = pc.not_equal(ids[1:], ids[:-1])
    return rows.take(order.filter(pa.array(first))).cast(schemas.ALERTS)  # the order is stable


def _call_ids(rows: pa.Table) -> pa.Array:
    """Return 128 bits of SHA-256 over ``[chain, mint, ts, caller]`` of each row, the chain in lower case.

    Of texts and integers that is canonical JSON (RFC 8785).
    """

    def quoted(word: str) -> str:
        return json.dumps(word, ensure_ascii=False)

    parts = (
        _each(rows["chain"], lambda word: f"[{quoted(word.lower())}"),
        _each(rows["mint"], quoted),
        rows["alert_ts_ms"].cast(pa.string()),
        _each(rows["caller_name"], lambda word: f"{quoted(word)}]"),
    )
    keys = pc.binary_join_element_wise(*parts, ",").cast(pa.binary())
    digests = (hashlib.sha256(key.as_buffer()).hexdigest()[:32] for key in keys)
    return pa.array(digests, pa.string())


def _each(words: pa.ChunkedArray, change: Callable[[str], str]) -> pa.Array:
    """Return texts changed, each different one once."""
    told = words.combine_chunks().dictionary_encode()
    return pa.array(map(change, told.dictionary.to_pylist()), pa.string()).take(told.indices)
