"""Runs in a DuckDB file: one table a kind of artifact in the schema ``highwater``, rows told apart by ``run_id``."""

import itertools
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from .durable import disk_errors, make_folder, sync_file
from .errors import BusyError, StoreError, UsageError, one_line
from .exports import NEW, placed
from .fields import TEXT
from .locks import among
from .manifest import Manifest
from .sql import is_in_use, quoted_name

SCHEMA = "highwater"
_RUNS = ("run_id", "run_type", "status", "created_at", "command", "config_digest", "config", "version")


def check(path: Path) -> None:
    """Raise UsageError where something stands at ``path`` that is no DuckDB file, or its name is the schema's.

    DuckDB names a database by its file, and in highwater.duckdb ``highwater.paths`` would be ambiguous.
    """
    if path.name.lower().partition(".")[0] == SCHEMA:
        raise UsageError(f"{path} would be called as the schema in it is; name another file, such as runs.duckdb")
    if os.path.lexists(path):
        head = b""
        if path.is_file():
            with disk_errors(f"reading {path}", "name another file"), path.open("rb") as file:
                head = file.read(12)
        if head[8:] != b"DUCK":
            raise UsageError(f"{path} exists and is no DuckDB database; name another file")


def store(path: Path, manifest: Manifest, tables: Iterator[tuple[str, pa.Table]], remedy: str) -> int:
    """Add the tables of a run, (type, rows), to the DuckDB file ``path``, all or none, and return how many.

    Rows that a run of that id has there already are replaced; other schemas are left alone. A new file comes into
    its place whole. Raises BusyError where another process has the file open, UsageError where it is no database.
    """
    with disk_errors(f"writing {path}", remedy):
        make_folder(path.parent)
        with among(path.parent, alone=True):  # or two who find no file would each bring one, and the first be lost
            if path.exists():
                return _fill(path, path, manifest, tables, remedy)
            with placed(path, remedy) as draft:
                count = _fill(draft / NEW, path, manifest, tables, remedy)
                sync_file(draft / NEW)
    return count


def _fill(file: Path, path: Path, manifest: Manifest, tables: Iterator[tuple[str, pa.Table]], remedy: str) -> int:
    import duckdb

    try:
        with duckdb.connect(str(file)) as database:
            database.execute("BEGIN")
            database.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            fresh: set[str] = set()
            for kind, rows in itertools.chain([("runs", _row(manifest))], tables):
                _insert(database, kind, rows, manifest.run_id, kind not in fresh)
                fresh.add(kind)
            database.execute("COMMIT")
            return len(fresh)
    except duckdb.Error as error:
        reason = one_line(error)
        if is_in_use(error):
            raise BusyError(f"{path} is in use by another program: {reason}; {remedy}") from error
        if isinstance(error, duckdb.OutOfMemoryException) or "No space left" in reason:
            raise StoreError(f"disk full while writing {path}; {remedy}") from error
        raise UsageError(f"{path} cannot take the run: {reason}; {remedy}") from error


def _insert(database: Any, kind: str, rows: pa.Table, run_id: str, replace: bool) -> None:
    """Add rows to a table, which is made or gets the columns it lacks; with ``replace`` in place of this run's."""
    if "run_id" not in rows.column_names:
        rows = rows.add_column(0, "run_id", pa.repeat(pa.scalar(run_id, TEXT), rows.num_rows))
    name = f"{SCHEMA}.{quoted_name(kind)}"
    database.register("incoming", rows)
    database.execute(f"CREATE TABLE IF NOT EXISTS {name} AS SELECT * FROM incoming LIMIT 0")
    there = set(database.sql(f"FROM {name}").columns)
    for column, kind_of in _columns(database).items():
        if column not in there:
            database.execute(f"ALTER TABLE {name} ADD COLUMN {quoted_name(column)} {kind_of}")
    if replace:
        database.execute(f"DELETE FROM {name} WHERE run_id = ?", [run_id])
    database.execute(f"INSERT INTO {name} BY NAME SELECT * FROM incoming")
    database.unregister("incoming")


def _columns(database: Any) -> Mapping[str, Any]:
    found = database.sql("FROM incoming")
    return dict(zip(found.columns, found.types, strict=True))


def _row(manifest: Manifest) -> pa.Table:
    values = {name: getattr(manifest, name, None) for name in _RUNS}
    values |= {
        "command": " ".join(manifest.command),
        "config": json.dumps(manifest.config, sort_keys=True),
        "version": manifest.code.version,
    }
    return pa.table({name: pa.array([value], TEXT) for name, value in values.items()})
