"""Alert tables as they stand: DuckDB databases, Parquet, Arrow, CSV and JSON lines, cells not yet judged."""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from . import files
from .columns import Place
from .errors import BusyError, DataError, MissingError, UsageError, one_line
from .sql import is_in_use, quoted_name

DATABASES, LINES = (".duckdb", ".db"), (".jsonl", ".ndjson", ".json")
TABLES = ("canon.alerts_final", "canon.alerts_std", "caller_links_d", "user_calls_d")
_SAFE: dict[str, Any] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


class AlertTable(NamedTuple):
    """The wanted cells of an alert table, the place and row numbers that messages name, and all its columns."""

    table: pa.Table
    place: Place
    found: tuple[str, ...]


def read_table(source: Path, table: str | None, query: str | None, names: frozenset[str]) -> AlertTable:
    """Return the columns of ``source`` whose lower-case name is one of ``names``.

    Of a database the rows of ``query``, of ``table``, or of the first of TABLES there is. Raises UsageError where
    ``table`` or ``query`` is given for a file, BusyError where another process writes the database.
    """
    suffix = source.suffix.lower()
    if suffix in DATABASES:
        return _from_database(source, table, query, names)
    if table or query:
        raise UsageError(f"{source} is a file; a table or query can be chosen in a DuckDB database only")
    if suffix in LINES:
        return _from_lines(source, names)
    kind = files.kind_of(source, *DATABASES, *LINES)
    found = files.schema(source).names
    wanted = [name for name in found if name.strip().lower() in names]
    cells = files.read(source, wanted, files.Budget()) if wanted else pa.table({})
    return _counted(cells, str(source), 2 if kind == "CSV" else 1, found)


def _counted(cells: pa.Table, place: str, first: int, found: Sequence[str]) -> AlertTable:
    return AlertTable(cells, Place(place, range(first, first + cells.num_rows)), tuple(found))


def _from_database(source: Path, table: str | None, query: str | None, names: frozenset[str]) -> AlertTable:
    import duckdb

    try:
        with closing(duckdb.connect(str(source), read_only=True, config=_SAFE)) as database:
            database.execute("SET TimeZone='UTC'")
            name = "query" if query else _chosen(database, source, table)
            rows = f"({query.strip().rstrip(';')})" if query else ".".join(map(quoted_name, name.split(".", 1)))
            found = database.sql(f"FROM {rows}").columns
            wanted = [quoted_name(name) for name in found if name.lower() in names] or ["NULL"]
            cells = database.sql(f"SELECT {', '.join(wanted)} FROM {rows}").to_arrow_table()
            return _counted(cells, f"{source}:{name}", 1, found)
    except duckdb.Error as error:
        reason = one_line(error)
        if is_in_use(error):
            raise BusyError(f"{source} is in use by another program: {reason}") from error
        if isinstance(error, duckdb.IOException | duckdb.SerializationException):
            raise DataError(f"{source} is not a readable DuckDB database: {reason}") from error
        raise UsageError(f"{source}: {reason}") from error


def _chosen(database: Any, source: Path, table: str | None) -> str:
    rows = database.sql("SELECT table_schema, table_name FROM information_schema.tables ORDER BY ALL").fetchall()
    there = [name if schema == "main" else f"{schema}.{name}" for schema, name in rows]
    by_name = {name.lower(): name for name in there}
    for name in (table.removeprefix("main."),) if table else TABLES:
        if name.lower() in by_name:
            return by_name[name.lower()]
    looked_for = f"table {table!r}" if table else f"table of alerts ({', '.join(TABLES)})"
    raise MissingError(
        f"{source} has no {looked_for}; found: {', '.join(there) or 'none'}; name one with --alerts-table"
    )


def _from_lines(source: Path, names: frozenset[str]) -> AlertTable:
    cells: dict[str, list[object]] = {}
    numbers: list[int] = []
    found: dict[str, None] = {}
    with files.reading(source, "JSON lines"), source.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            for name, value in _object(line, f"{source}:{number}").items():
                found[name] = None
                if name.strip().lower() in names:
                    cells.setdefault(name, [None] * len(numbers)).append(value)
            numbers.append(number)
            for column in cells.values():
                column.extend([None] * (len(numbers) - len(column)))
    table = pa.table({name: _column(values) for name, values in cells.items()})
    return AlertTable(table, Place(str(source), numbers), tuple(found))


def _object(line: bytes, place: str) -> dict[str, object]:
    try:
        value = json.loads(line.decode())
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place} is not JSON: {str(error)[:200]}; it must be one object a line") from None
    if not isinstance(value, dict):
        raise DataError(f"{place} is a JSON {type(value).__name__}; it must be one object a line")
    return value


def _column(values: Sequence[object]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int} and all(abs(value) < 2**63 for value in values if isinstance(value, int)):
        return pa.array(values, pa.int64())
    if float in kinds and kinds <= {int, float}:
        return pa.array([None if value is None else float(str(value)) for value in values], pa.float64())
    return pa.array([v if v is None or isinstance(v, str) else json.dumps(v) for v in values], pa.string())
