"""The catalog's table of strategies: the rows of every completed run's index, their columns united by name."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from .columns import is_text
from .errors import HighwaterError, MissingError
from .manifest import COMPLETED
from .runs import CORRUPT, RunEntry, read_artifact
from .trace_schemas import INDEX, strategy_index

STRATEGIES = pa.schema([field.with_nullable(field.name != "run_id") for field in strategy_index({})])


def index_of(entry: RunEntry) -> tuple[RunEntry, pa.Table | None]:
    """Return a run and its index of strategies, None without one; where that is damaged, the run as corrupt.

    Raises MissingError where the run was removed meanwhile.

    The sha256 of the file is checked. The run's id is that of its manifest, whatever the file says; columns that are
    no text, number or truth are left out.
    """
    manifest = entry.manifest
    if manifest is None or manifest.status != COMPLETED or manifest.artifact("strategy_index") is None:
        return entry, None
    try:
        table = read_artifact(entry.path, "strategy_index")
    except (HighwaterError, OSError) as error:
        if isinstance(error, MissingError) and error.code == "E_GONE":
            raise
        return RunEntry(entry.run_id, entry.path, CORRUPT, str(error)), None
    columns: dict[str, Any] = {"run_id": pa.repeat(pa.scalar(entry.run_id), table.num_rows)}
    for field in table.schema:
        name, kind = field.name.lower(), _kind(field.type)  # two names that differ in case alone are one to DuckDB
        if name not in columns and kind is not None:
            columns[name] = table[field.name].cast(kind)
    return entry, pa.table(columns)


def _kind(kind: pa.DataType) -> pa.DataType | None:
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_floating(kind):
        return pa.float64()
    return pa.string() if is_text(kind) else kind if pa.types.is_boolean(kind) else None


def united(tables: Iterable[pa.Table]) -> pa.Table:
    """Return the rows of all tables, sorted by run; columns that some lack are null there.

    The columns of every index come first, then parameters by name, without those that no row has. Numbers of two
    kinds become float64, all else that differs text.
    """
    found = [STRATEGIES.empty_table(), *tables]
    kinds: dict[str, pa.DataType] = {}
    for table in found:
        for field in table.schema:
            kinds[field.name] = _wider(kinds.get(field.name, field.type), field.type)
    names = [*INDEX, *sorted(set(kinds) - set(INDEX))]
    schema = pa.schema([pa.field(name, kinds[name]) for name in names])
    whole = pa.concat_tables([_as(table, schema) for table in found]).combine_chunks()
    whole = whole.select([n for n in names if n in INDEX or whole[n].null_count < whole.num_rows])
    return whole.sort_by([("run_id", "ascending"), ("strategy", "ascending")])


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other:
        return one
    return pa.float64() if {one, other} == {pa.int64(), pa.float64()} else pa.string()


def _as(table: pa.Table, schema: pa.Schema) -> pa.Table:
    names, rows = set(table.column_names), table.num_rows
    columns = [table[f.name].cast(f.type) if f.name in names else pa.nulls(rows, f.type) for f in schema]
    return pa.Table.from_arrays(columns, schema=schema)
