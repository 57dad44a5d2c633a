"""SQL over all runs for whoever asks: read-only, on the runs' own files and no other, within limits."""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from . import schemas
from .catalog import file_problem
from .catalog_store import connected, timed
from .errors import IntegrityError, LimitError, UsageError, one_line
from .sql import quoted

TABLES = ("runs", "artifacts", "strategies", "trials_ledger")  # of the catalog itself
# A view is called as its artifact; every strategy_index is in the table of strategies.
VIEWS = {name: name for name, path in schemas.PATHS.items() if path.endswith(".parquet") and name != "strategy_index"}
_EMPTY = {
    "alerts": schemas.ALERTS.insert(0, pa.field("run_id", pa.string())),
    "paths": schemas.paths(),
    "trades": schemas.TRADES,
    "summary": schemas.SUMMARY,
    "traces": schemas.TRACES.insert(0, pa.field("run_id", pa.string())),
}
# What a run that failed wrote is no result; why it failed is.
_FILES = """
SELECT a.run_id, r.path || '/' || a.path AS path, a.bytes
FROM catalog.artifacts a JOIN catalog.runs r USING (run_id)
WHERE a.rows IS NOT NULL AND r.manifest_digest IS NOT NULL
  AND (r.status = 'completed' OR a.artifact_type = 'errors')
"""
# The run's id is that of its directory: alerts have none of their own.
_VIEW = """
CREATE VIEW {view} AS
SELECT regexp_extract(filename, '.*/run_id=([^/]+)/', 1) AS run_id, COLUMNS(lambda c: c <> 'run_id')
FROM read_parquet(getvariable('{view}'), union_by_name = true, hive_partitioning = false)
"""
_LEAST_MEMORY = 64 << 20
_NAMED = re.compile(r"[0-9]{4}-[0-9]{2}/run_id=\w+/[\w/.-]+")


@dataclass(frozen=True)
class Answer:
    """The rows of a statement. ``cut``: there are more; ``left_out`` names the files that were not as published."""

    table: pa.Table
    cut: bool
    left_out: tuple[str, ...]


def ask(root: str | Path, sql: str, limit: int = 1000, memory: int = 1 << 30, time_ms: int = 60_000) -> Answer:
    """Return the first ``limit`` rows that one SELECT finds in the catalog and the files of all completed runs.

    Tables are the catalog's own ``TABLES`` and the ``VIEWS`` of artifacts that some run has; paths of runs' files may
    be written out. Nothing else can be read, and nothing written. Raises UsageError where the
    statement is wrong, LimitError where it takes more than ``memory`` bytes or ``time_ms``.
    """
    if limit < 1:
        raise UsageError(f"--limit is {limit}; it must be at least 1")
    if memory < _LEAST_MEMORY:
        raise UsageError(f"--mem is {memory} bytes; it must be at least {_LEAST_MEMORY >> 20}M")
    _one_select(sql)
    root = Path(root).absolute()
    while True:
        files: list[str] = []
        try:
            with (
                connected(root, memory_limit=f"{memory}B", temp_directory="") as database,
                _limits(database, memory, time_ms),
            ):
                left_out = _open(database, root, sql, files)
                table = database.sql(sql).limit(limit + 1).to_arrow_table()
            return Answer(table.slice(0, limit), len(table) > limit, left_out)
        except IntegrityError:
            if all(map(os.path.exists, files)):  # else a run was removed meanwhile: asked again it is left out
                raise


@contextlib.contextmanager
def _limits(database: Any, memory: int, time_ms: int) -> Iterator[None]:
    """Stop what runs longer than ``time_ms``, and say in our words what DuckDB refuses."""
    import duckdb

    try:
        with timed(database, time_ms / 1000):
            yield
    except duckdb.InterruptException as error:
        raise LimitError(f"the statement takes longer than {time_ms / 1000:g} s; raise it with --timeout") from error
    except duckdb.OutOfMemoryException as error:
        raise LimitError(f"the statement needs more than {memory >> 20} MiB; raise it with --mem") from error
    except duckdb.PermissionException as error:
        text = "a statement reads the runs that the catalog knows, and no other file"
        raise UsageError(f"{one_line(error)}; {text}") from error
    except (duckdb.IOException, duckdb.SerializationException) as error:
        raise IntegrityError(f"{one_line(error)}; highwater runs show RUN says what is damaged") from error
    except duckdb.Error as error:
        raise UsageError(f"SQL: {one_line(error)}") from error


def _one_select(sql: str) -> None:
    """Raise UsageError unless ``sql`` is one SELECT (FROM, WITH, VALUES, DESCRIBE, SUMMARIZE, SHOW are also such)."""
    import duckdb

    try:
        kinds = [statement.type for statement in duckdb.extract_statements(sql)]
    except duckdb.Error as error:
        raise UsageError(f"SQL: {one_line(error)}") from error
    if kinds != [duckdb.StatementType.SELECT]:
        found = ", ".join(kind.name for kind in kinds) or "nothing"
        raise UsageError(f"SQL is {found}; it must be one SELECT: the catalog is only read")


def _open(database: Any, root: Path, sql: str, allowed: list[str]) -> tuple[str, ...]:
    """Make the views that ``sql`` may mean, and shut everything but ``allowed``; return the files left out.

    Only what is named is opened: 10,000 files take a second before the first row is read.
    """
    if set("*?[") & set(str(root)):
        raise UsageError(f"{root} holds one of * ? [, which DuckDB reads as a pattern; rename that directory")
    words = {word.lower() for word in re.findall(r"\w+", _NAMED.sub("", sql))}
    left_out: list[str] = []
    # With footers kept, 10,000 files take half the time: a view is bound once as it is made and once as it is read.
    database.execute("SET parquet_metadata_cache = true")
    for name in TABLES:
        database.execute(f"CREATE VIEW {name} AS FROM catalog.{name}")
    for view, kind in VIEWS.items():
        if view in words:
            files, bad = _sound(root, database.execute(_FILES + "AND a.artifact_type = ?", [kind]).fetchall())
            allowed += files
            left_out += bad
            _make_view(database, view, files)
    named = list(set(_NAMED.findall(sql)))
    files, bad = _sound(root, database.execute(_FILES + "AND r.path || '/' || a.path IN ?", [named]).fetchall())
    allowed += files
    database.execute(f"SET allowed_paths = [{', '.join(map(quoted, allowed))}]")
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")
    return tuple(left_out + bad)


def _sound(root: Path, rows: list[tuple[str, str, int]]) -> tuple[list[str], list[str]]:
    """Return the files that are as the catalog says, and what is wrong with the others."""
    files, bad = [], []
    for _, path, size in rows:
        file = os.path.join(root, path)  # noqa: PTH118  (10,000 of them: 9 ms instead of 51)
        problem = file_problem(file, size)
        if problem:
            bad.append(problem)
        else:
            files.append(file)
    return files, bad


def _make_view(database: Any, view: str, files: list[str]) -> None:
    import duckdb

    if files:
        database.execute(f"SET VARIABLE {view} = $files", {"files": files})
        try:
            database.execute(_VIEW.format(view=view))
        except (duckdb.InterruptException, duckdb.OutOfMemoryException):
            raise
        except duckdb.Error as error:
            raise IntegrityError(f"{one_line(error)}; highwater runs show RUN says what is damaged") from error
    elif view in _EMPTY:
        database.register(view, _EMPTY[view].empty_table())
    # Else the name may be a column's, or a word of a text; DuckDB says that there is no such table.
