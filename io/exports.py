"""Exports on their way to disk: written beside their place, then put there in one step, over nothing but exports."""

import contextlib
import ctypes
import fcntl
import itertools
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from .columns import is_text, pc
from .durable import NewFile, disk_errors, make_folder, open_plain, rename_new, sync_folder
from .errors import IntegrityError, LimitError, UsageError
from .folders import below, entries, status
from .manifest import Artifact
from .names import safe_name
from .publish import BlockWriter

INDEX = "index.parquet"
MOST_FILES = 100_000
NEW, _OLD = "new", "old"
_DRAFT = re.compile(r"\..+\.[0-9a-f]{12}\.draft")
_MARK = b"highwater_export"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def check(path: Path, folder: bool) -> None:
    """Raise UsageError unless ``path`` is free, an empty directory, or holds an earlier export and nothing else."""
    if path.is_dir() and folder:
        strange, seen = None, status(path)
        while seen is not None:
            listed = _listed(path)
            found = (str(each.relative_to(path)) for each in below(path))
            strange = next((name for name in found if name not in listed), None)
            before, seen = seen, status(path)
            if strange is None or seen is None or seen.st_ino == before.st_ino:  # else another took its place meanwhile
                break
        if strange is not None and seen is not None:
            raise UsageError(f"{path} holds {strange!r}, which no export wrote; name another directory")
    elif os.path.lexists(path) and (folder or not path.is_file() or not _is_export(path)):
        raise UsageError(f"{path} exists and is no earlier export; name another place or move it away")


def _listed(folder: Path) -> set[str]:
    """Return the files that the index of an export names, and the index itself; none where it has no index."""
    if not _is_export(folder / INDEX):
        return set()
    return {INDEX, *pq.ParquetFile(folder / INDEX).read(["file"])["file"].to_pylist()}


def _is_export(path: Path) -> bool:
    try:
        return _MARK in (pq.read_schema(path).metadata or {})
    except (OSError, pa.ArrowException):
        return False


@contextlib.contextmanager
def placed(path: Path, remedy: str, beside: Path | None = None) -> Iterator[Path]:
    """Yield a directory beside ``path``; what is ``new`` in it at the end takes the place of ``path``, durably.

    At every moment there is the old thing at ``path`` or the new one, whole. What dead processes left is swept.
    The directory lies in that of ``path``, which is made, or ``beside`` it, where it must be there at the end.
    """
    path = path.resolve()
    with disk_errors(f"writing {path}", remedy):
        parent = beside or path.parent
        make_folder(parent)
        prefix = f".{safe_name(path.name)}."
        sweep(parent, prefix)
        draft, lock = _claim(parent, prefix)
    try:
        yield draft
        with disk_errors(f"writing {path}", remedy):
            for folder, _, _ in os.walk(draft, topdown=False):
                sync_folder(Path(folder))
            _swap(draft / NEW, path)
            sync_folder(path.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        os.close(lock)


def _claim(parent: Path, prefix: str) -> tuple[Path, int]:
    """Return a new directory in ``parent`` and the descriptor that holds its lock."""
    while True:
        draft = parent / f"{prefix}{secrets.token_hex(6)}.draft"
        draft.mkdir()
        try:
            lock = _lock(draft)
        except OSError:
            draft.rmdir()
            raise
        if lock is not None:
            return draft, lock


def drafts(folder: Path) -> list[Path]:
    """Return the drafts that dead processes left in a directory."""
    found = []
    for path in _drafts(folder, "."):
        with contextlib.suppress(OSError):
            lock = _lock(path)
            if lock is not None:
                os.close(lock)
                found.append(path)
    return found


def sweep(folder: Path, prefix: str = ".") -> None:
    """Remove the drafts whose lock nobody holds: their process is dead; with ``prefix`` those of one export."""
    for draft in _drafts(folder, prefix):
        with contextlib.suppress(OSError):
            lock = _lock(draft)
            if lock is not None:
                shutil.rmtree(draft, ignore_errors=True)
                os.close(lock)


def _drafts(folder: Path, prefix: str) -> list[Path]:
    """Return what is named as ``_claim`` names a draft, and holds no more than one does."""
    named = [path for path in entries(folder) if _DRAFT.fullmatch(path.name)]
    return [path for path in named if path.name.startswith(prefix) and _is_draft(path)]


def _is_draft(path: Path) -> bool:
    try:
        return {each.name.partition(".")[0] for each in path.iterdir()} <= {NEW, _OLD}  # DuckDB adds new.wal
    except (FileNotFoundError, NotADirectoryError):  # another process may finish its own at any moment
        return False


def _lock(folder: Path) -> int | None:
    """Return a descriptor that holds a directory, or None where another process has it or removed it."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with contextlib.suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_ino == folder.stat().st_ino:
            return lock
    os.close(lock)
    return None


def _swap(new: Path, path: Path) -> None:
    """Bring ``new`` to ``path``; a directory that was there ends up in the draft."""
    if new.is_file():
        new.replace(path)
        return
    try:
        rename_new(new, path)
    except FileExistsError:
        if not _exchanged(new, path):
            path.rename(new.with_name(_OLD))
            rename_new(new, path)


def _exchanged(one: Path, other: Path) -> bool:
    """Return whether the system could exchange two directories in one step."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    names = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return renameat2 is not None and renameat2(*names) == 0


def put(path: Path, data: Any, remedy: str, beside: Path | None = None) -> None:
    """Write bytes as the file ``path``, durably and in one step, in the place of any file there, as ``placed`` does."""
    with placed(path, remedy, beside) as draft, _new(draft, NEW, remedy, path.name) as file:
        file.write(data)


def put_written(path: Path, write: Callable[[NewFile], object], remedy: str) -> None:
    """Write what ``write`` writes as the file ``path``, as ``put`` does."""
    with placed(path, remedy) as draft, _new(draft, NEW, remedy, path.name) as file:
        write(file)


def write_parquet(path: Path, table: pa.Table, facts: Mapping[str, str], remedy: str) -> None:
    """Write a table as the export ``path``, one Parquet file; ``facts`` stand in its metadata."""
    check(path, folder=False)
    with placed(path, remedy) as draft:
        _parquet(draft, NEW, [table], facts, remedy)


def write_each(
    path: Path, tables: Iterable[tuple[str, pa.Table]], index: pa.Table, facts: Mapping[str, str], remedy: str
) -> int:
    """Write tables as the export ``path``, a directory of Parquet files, and return how many files.

    ``tables`` yields (file, rows); those of one file follow one another. ``index`` has a column ``file`` and goes in
    beside them. Raises LimitError where there would be more than 100,000 files.
    """
    files = pc.count_distinct(index["file"]).as_py()
    if files > MOST_FILES:
        raise LimitError(
            f"{path} would hold {files:,} files; at most {MOST_FILES:,}: export fewer, or --format parquet"
        )
    check(path, folder=True)
    with placed(path, remedy) as draft:
        for name, rows in itertools.groupby(tables, key=lambda each: each[0]):
            _parquet(draft / NEW, name, (table for _, table in rows), facts, remedy)
        write_index(draft / NEW, index, facts, remedy)
    return files


def write_told(
    path: Path,
    tables: Iterable[tuple[str, pa.Table, Mapping[str, str]]],
    index: pa.Table,
    facts: Mapping[str, str],
    remedy: str,
) -> int:
    """Write tables as the export ``path`` as ``write_each`` does, a file each: (file, rows, facts of its own)."""
    if index.num_rows > MOST_FILES:
        raise LimitError(f"{path} would hold {index.num_rows:,} files; at most {MOST_FILES:,}: export fewer")
    check(path, folder=True)
    with placed(path, remedy) as draft:
        for name, table, told in tables:
            _parquet(draft / NEW, name, [table], {**facts, **told}, remedy)
        write_index(draft / NEW, index, facts, remedy)
    return index.num_rows


def write_index(folder: Path, index: pa.Table, facts: Mapping[str, str], remedy: str) -> None:
    """Write the index of an export that is being written: a row a file, named in the column ``file``."""
    _parquet(folder, INDEX, [index], facts, remedy)


def _parquet(folder: Path, name: str, tables: Iterable[pa.Table], facts: Mapping[str, str], remedy: str) -> None:
    """Write tables of one schema as one new file; the first says which."""
    rest = iter(tables)
    first = next(rest)
    with _new(folder, name, remedy) as file:
        writer = BlockWriter(file, first.schema.with_metadata({_MARK.decode(): "1", **facts}), ())
        for table in itertools.chain([first], rest):
            writer.write(table)
        writer.close()


def write_csv(folder: Path, name: str, table: pa.Table, remedy: str) -> None:
    """Write a table as the new file ``name`` of ``folder``, as ``csv_table`` has it."""
    with _new(folder, name, remedy) as file:
        pyarrow.csv.write_csv(csv_table(table), file)


def csv_bytes(table: pa.Table) -> bytes:
    """Return a table as CSV, as ``csv_table`` has it."""
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(csv_table(table), sink)
    return sink.getvalue().to_pybytes()


def csv_table(table: pa.Table) -> pa.Table:
    """Return a table as it goes into CSV.

    A text that a spreadsheet would take for a formula gets a ``'`` in front, a NUL is written as ``\\x00``.
    """
    for i, field in enumerate(table.schema):
        if is_text(field.type):
            plain = pc.replace_substring(table[field.name].cast(pa.string()), "\0", "\\x00")
            plain = pc.replace_substring_regex(plain, r"\A([=+\-@\t\r])", r"'\1")
            table = table.set_column(i, field.name, plain)
    return table


def write_copy(folder: Path, name: str, run: Path, artifact: Artifact, remedy: str) -> None:
    """Write a copy of a run's artifact as the new file ``name``; raises IntegrityError where it is not as published."""
    try:
        source = os.fdopen(open_plain(run, artifact.path), "rb")
    except FileNotFoundError as error:
        raise IntegrityError(f"{run / artifact.path} is missing; the run was saved with it") from error
    with source, _new(folder, name, remedy) as file:
        shutil.copyfileobj(source, file, 1 << 20)
        if file.sha256 != artifact.sha256:
            raise IntegrityError(f"{run / artifact.path} is not what the run was saved with; its sha256 differs")


@contextlib.contextmanager
def _new(folder: Path, name: str, remedy: str, known_as: str = "") -> Iterator[NewFile]:
    """Yield a new file, synced and closed at the end; removed where the block raises."""
    file = NewFile(folder, name, remedy, known_as)
    try:
        yield file
        file.close()
    except BaseException:
        file.discard()
        raise
