"""Pages of a run's artifacts: filters, order and cut are DuckDB's, and only columns that are asked for are decoded."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...io.columns import pc
from ...io.config import nearest
from ...io.errors import LimitError, MissingError, UsageError
from ...io.manifest import Artifact
from ...io.patience import check
from ...io.runs import opened_table, read_file, whole
from ...io.sql import quoted_name
from .limits import tables
from .runs import Run, check_page, plain

_ROW = "_row"  # keeps the order of the file where nothing else decides
_BATCH = 1 << 16
MOST_CELLS = 1 << 25  # of an artifact that is read as a whole: a quarter of a GiB of numbers


@dataclass(frozen=True)
class Page:
    """Rows of a table, and how many fit in all."""

    table: pa.Table
    total: int


def artifact_of(run: Run, kind: str) -> Artifact:
    """Return an artifact of a run by its type, never by a path. Raises MissingError naming those it has."""
    found = next((each for each in run.manifest.artifacts if each.type == kind), None)
    if found is None:
        kinds = sorted({each.type for each in run.manifest.artifacts})
        near = nearest(kind, kinds) or f"; it has {', '.join(kinds)}"
        raise MissingError(f"run {run.run_id} has no artifact '{plain(kind)}'{near}")
    return found


def file_of(run: Run, kind: str) -> bytes:
    """Return the bytes of an artifact, after checking their digest."""
    return read_file(run.path, artifact_of(run, kind).path)


def opened(run: Run, kind: str) -> AbstractContextManager[pq.ParquetFile]:
    """Return an artifact of a run, its digest checked, open to be decoded."""
    return opened_table(run.path, artifact_of(run, kind).path, manifest=run.manifest)


def whole_of(run: Run, kind: str, columns: Sequence[str] = ()) -> pa.Table:
    """Return all rows of some columns of an artifact, or of all; raises LimitError beyond MOST_CELLS."""
    with opened(run, kind) as file:
        names = list(columns) or file.schema_arrow.names
        small_enough(kind, file.metadata.num_rows, len(names))
        return whole(file, names)


def small_enough(kind: str, rows: int, columns: int) -> None:
    """Raise LimitError where an artifact is too large to be read as a whole."""
    if rows * columns > MOST_CELLS:
        text = f"{kind} has {rows:,} rows, and this answer needs {columns} columns of them all; that is too much"
        raise LimitError(f"{text} at once: read its artifact page by page, or ask the command line")


def ask(file: pq.ParquetFile, columns: Iterable[str], sql: str, **given: Any) -> pa.Table:
    """Return what a statement on ``rows_`` comes to: columns of an artifact and ``_row``, decoded batch by batch."""
    with _rows(file, file.schema_arrow, set(columns), None, []) as (database, _):
        return database.sql(sql, params=given).to_arrow_table()


def page(
    run: Run,
    kind: str,
    where: Sequence[str] = (),
    sort: str | None = None,
    ascending: bool = True,
    columns: Sequence[str] = (),
    limit: int = 100,
    offset: int = 0,
    joined: pa.Table | None = None,
) -> Page:
    """Return rows of an artifact that fit every condition (``call_id=..``, ``realized_return_bps>100``), in order.

    ``sort`` is a column, nulls last, else the order of the file; ``columns`` those to return, else all. ``joined``
    adds its columns by ``call_id``. The file's digest is checked. Raises UsageError for a column that there is not.
    """
    from ..traces.where import clause, sql_of

    check_page(limit, offset)
    with opened(run, kind) as file:
        schema = file.schema_arrow
        added = [f for f in joined.schema if f.name not in schema.names] if joined is not None else []
        kinds = {f.name: _kind(f.type) for f in [*schema, *added]}
        clauses = [clause(text, kinds, "where", "row") for text in where]
        shown = _known(columns, kinds, "columns") or list(kinds)
        order = _known([sort], kinds, "sort") if sort else []
        if not clauses and not order:
            return Page(_cut(file, shown, limit, offset, joined), file.metadata.num_rows)
        condition, given = sql_of(clauses)
        needs = {each.column for each in clauses}
        total = file.metadata.num_rows
        if needs:
            with _rows(file, schema, needs, joined, added) as (database, source):
                ((total,),) = database.execute(f"SELECT count(*) FROM {source} WHERE {condition}", given).fetchall()
        by = "".join(f"{quoted_name(name)} {'ASC' if ascending else 'DESC'} NULLS LAST, " for name in order)
        names = ", ".join(map(quoted_name, shown))
        with _rows(file, schema, {*shown, *order, *needs}, joined, added) as (database, source):
            sql = f"SELECT {names} FROM {source} WHERE {condition} ORDER BY {by}{_ROW} LIMIT {limit} OFFSET {offset}"
            return Page(database.sql(sql, params=given).to_arrow_table(), total)


def _cut(file: pq.ParquetFile, shown: Sequence[str], limit: int, offset: int, joined: pa.Table | None) -> pa.Table:
    """Return the rows from ``offset`` on as they stand in a file; what comes after them is not decoded."""
    names = [name for name in file.schema_arrow.names if name in shown or (joined is not None and name == "call_id")]
    kept, first = [file.schema_arrow.empty_table().select(names)], 0
    for batch in file.iter_batches(min(_BATCH, offset + limit), columns=names):
        check()
        skip = max(0, offset - first)
        kept.append(pa.Table.from_batches([batch.slice(skip, max(0, offset + limit - first - skip))]))
        first += batch.num_rows
        if first >= offset + limit:
            break
    table = pa.concat_tables(kept).replace_schema_metadata(None)
    if joined is not None and (added := [name for name in shown if name not in names]):
        at = pc.index_in(table["call_id"], joined["call_id"].combine_chunks())
        for name in added:
            table = table.append_column(name, joined[name].take(at))
    return table.select(list(shown))


def _known(names: Sequence[str], kinds: Mapping[str, str], place: str) -> list[str]:
    for name in names:
        if name not in kinds:
            near = nearest(name, kinds) or f"; there are {', '.join(list(kinds)[:20])}"
            raise UsageError(f"{place} is '{name[:40]}'{near}")
    return list(dict.fromkeys(names))


def _kind(kind: pa.DataType) -> str:
    """Return the DuckDB type that values of a column are compared as."""
    if pa.types.is_integer(kind):
        return "BIGINT"
    if pa.types.is_floating(kind):
        return "DOUBLE"
    return "BOOLEAN" if pa.types.is_boolean(kind) else "VARCHAR"


@contextmanager
def _rows(
    file: pq.ParquetFile, schema: pa.Schema, needs: set[str], joined: pa.Table | None, added: list[pa.Field]
) -> Iterator[tuple[Any, str]]:
    """Yield a cursor and what stands after FROM: the columns needed, decoded batch by batch, with ``_row``."""
    key = {"call_id"} if added else set()
    names = [name for name in schema.names if name in needs | key]
    kept = pa.schema([*(schema.field(name) for name in names), pa.field(_ROW, pa.int64())]).remove_metadata()

    def batches() -> Iterator[pa.RecordBatch]:
        first = 0
        for batch in file.iter_batches(_BATCH, columns=names):
            check()
            row = pa.array(np.arange(first, first + batch.num_rows))
            first += batch.num_rows
            yield pa.RecordBatch.from_arrays([*(batch[name] for name in names), row], schema=kept)

    given: dict[str, Any] = {"rows_": pa.RecordBatchReader.from_batches(kept, batches())}
    source = "rows_"
    if joined is not None and added:
        given["joined_"] = joined.select(["call_id", *(field.name for field in added)])
        source = "(SELECT * FROM rows_ LEFT JOIN (SELECT DISTINCT ON (call_id) * FROM joined_) USING (call_id))"
    with tables(**given) as database:
        yield database, source
