"""The file of the catalog: generations that are never changed, the pointer to the current one, and the lock.

A generation is ``.catalog/catalog-<n>.duckdb``. The next is written beside it and the pointer ``.catalog/current``
swapped, so readers and a writer never wait for one another (one DuckDB writer blocks even readers).
"""

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from .catalog_rows import ARTIFACTS, RUNS
from .digest import canonical_json, file_sha256
from .durable import NewFile, sync_file, sync_folder
from .errors import BusyError, IntegrityError, MissingError, StoreError, one_line
from .sql import quoted

FOLDER, POINTER, LOCK, DAMAGED = ".catalog", "current", "lock", ".damaged"
WAIT_S = 10.0
_VERSION = 2
_SAFE: dict[str, Any] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
}
# A configuration counts once, however often it was run.
_LEDGER = """
CREATE VIEW trials_ledger AS
SELECT data_digest, sum(trials)::BIGINT AS configurations, sum(runs)::BIGINT AS runs
FROM (SELECT data_digest, config_digest, max(trials) AS trials, count(*) AS runs
      FROM runs WHERE trials > 0 GROUP BY ALL)
GROUP BY data_digest
"""


class Generation(NamedTuple):
    """The tables of a catalog, but for its strategies."""

    runs: pa.Table
    artifacts: pa.Table


def current(root: str | Path) -> Path:
    """Return the path of the generation to read. Raises MissingError without a catalog, IntegrityError if damaged."""
    folder = Path(root) / FOLDER
    before = None
    while True:
        path, digest = _pointed(folder)
        with contextlib.suppress(FileNotFoundError):  # a sync has put the next one in its place
            if file_sha256(path) == digest:
                return path
            break
        if path == before:
            break
        before = path
    raise IntegrityError(f"the catalog in {folder} is damaged; highwater catalog sync rebuilds it")


def connect(root: str | Path, **config: Any) -> Any:
    """Return a DuckDB connection with the catalog attached read-only as ``catalog``; ``config`` are its settings."""
    import duckdb

    database = duckdb.connect(":memory:", config={**_SAFE, **config})
    while True:
        path = current(root)
        try:
            database.execute(f"ATTACH {quoted(path)} AS catalog (READ_ONLY)")
            return database
        except duckdb.Error as error:
            if path.exists():
                text = f"{path} cannot be read: {one_line(error)}"
                raise IntegrityError(f"{text}; highwater catalog sync rebuilds it") from error


def connected(root: str | Path, **config: Any) -> contextlib.AbstractContextManager[Any]:
    """Return ``connect``'s connection, which is closed at the end of the block."""
    return contextlib.closing(connect(root, **config))


def rows(root: str | Path, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a statement of ours on ``catalog.runs`` and the other tables; ``$name`` are parameters."""
    with connected(root) as database:
        return database.execute(sql, parameters).fetchall()


def columns(database: Any, name: str) -> dict[str, str]:
    """Return the columns of a table of the catalog: name -> DuckDB type."""
    return {column: kind for column, kind, *_ in database.execute(f"DESCRIBE catalog.{name}").fetchall()}


@contextlib.contextmanager
def timed(database: Any, seconds: float) -> Iterator[None]:
    """Interrupt whatever a DuckDB connection is asked inside, once so long has passed; again and again.

    An interrupt that comes between two statements is lost on the second.
    """
    over = threading.Event()

    def watch() -> None:
        wait = seconds
        while not over.wait(wait):
            database.interrupt()
            wait = 0.02

    clock = threading.Thread(target=watch, daemon=True)
    clock.start()
    try:
        yield
    finally:
        over.set()
        clock.join()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of the catalog in ``folder``. Raises BusyError where it is not free in 10 s."""
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + WAIT_S
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    text = f"{folder} was locked by another sync for {WAIT_S:g} s"
                    raise BusyError(f"{text}; the runs are saved, sync again later") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(lock)


def _pointed(folder: Path) -> tuple[Path, str]:
    """Return the generation that the pointer names, and its sha256; neither is checked."""
    try:
        found = json.loads((folder / POINTER).read_bytes())
        number, digest, version = found["generation"], found["sha256"], found["version"]
        path = folder / f"catalog-{number:d}.duckdb"
    except FileNotFoundError:
        raise MissingError(f"there is no catalog in {folder.parent}; highwater catalog sync makes it") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise IntegrityError(f"{folder / POINTER} is damaged; highwater catalog sync rebuilds the catalog") from error
    if version != _VERSION:
        raise MissingError(f"the catalog in {folder} has another layout; highwater catalog sync makes it anew")
    return path, digest


def last(folder: Path) -> tuple[Generation | None, str]:
    """Return the generation before this one, or None, with what was wrong with it; then it is renamed aside.

    Its strategies are left out: ``last_strategies`` reads them where they are needed.
    """
    import duckdb

    try:
        path = current(folder.parent)
        with connected(folder.parent) as database:
            tables = [database.sql(f"FROM catalog.{name}").to_arrow_table() for name in ("runs", "artifacts")]
        found = [
            table.select(schema.names).cast(schema) for table, schema in zip(tables, (RUNS, ARTIFACTS), strict=True)
        ]
        return Generation(*found), ""
    except MissingError:
        return None, ""
    except (IntegrityError, duckdb.Error, KeyError, pa.ArrowException) as error:
        damage = one_line(error)
    for path in (*_generations(folder), folder / POINTER):
        with contextlib.suppress(FileNotFoundError):
            path.replace(path.with_name(path.name + DAMAGED))
    return None, damage


def last_strategies(folder: Path) -> pa.Table:
    """Return the strategies of the generation before this one, which ``last`` has found to be sound."""
    with connected(folder.parent) as database:
        return database.sql("FROM catalog.strategies").to_arrow_table()


def publish(folder: Path, tables: Generation, strategies: pa.Table) -> None:
    """Write the next generation, make it durable, and swap the pointer."""
    import duckdb

    number = 1 + max((_number(path) for path in folder.glob("catalog-*")), default=0)
    path, remedy = folder / f"catalog-{number}.duckdb", "the runs are safe; sync again"
    try:
        with contextlib.closing(duckdb.connect(":memory:", config=_SAFE)) as database:
            database.execute(f"ATTACH {quoted(path)} AS catalog (STORAGE_VERSION 'v1.2.0')")
            for name, table in (tables._asdict() | {"strategies": strategies}).items():
                database.register("given", table)
                database.execute(f"CREATE TABLE catalog.{name} AS FROM given")
            database.execute("USE catalog")  # so that the view names no database: who opens the file calls it otherwise
            database.execute(_LEDGER)
            database.execute("USE memory")
            database.execute("DETACH catalog")
    except duckdb.Error as error:
        raise StoreError(f"{path} was not written: {one_line(error)}; {remedy}") from error
    sync_file(path)
    (folder / f"{POINTER}.new").unlink(missing_ok=True)
    pointer = NewFile(folder, f"{POINTER}.new", remedy)
    pointer.write(canonical_json({"generation": number, "sha256": file_sha256(path), "version": _VERSION}))
    pointer.close()
    sync_folder(folder)
    (folder / f"{POINTER}.new").replace(folder / POINTER)
    sync_folder(folder)


def _generations(folder: Path) -> list[Path]:
    return [path for path in folder.glob("catalog-*") if not path.name.endswith(DAMAGED)]


def _number(path: Path) -> int:
    digits = path.name.removeprefix("catalog-").partition(".")[0]
    return int(digits) if digits.isdecimal() else 0


def tidy(folder: Path) -> None:
    """Remove all generations but the current one; who reads one holds it open and reads on."""
    keep = _pointed(folder)[0]
    for path in _generations(folder):
        if path != keep:
            path.unlink(missing_ok=True)
