"""Publishing a run: its files are staged beside their place, and come into view in one step, whole or not at all."""

import contextlib
import hashlib
import json
import os
import resource
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .account import tell
from .digest import ContentHash, config_digest
from .durable import NewFile, disk_errors, make_folder, rename_new, sync_folder
from .errors import AccessError, HighwaterError, StoreError, UsageError
from .folders import entries
from .locks import LOCK, give_back, remove_dead, take
from .manifest import COMPLETED, FAILED, MARKERS, Artifact, Manifest, code, environment, made_at, new_run_id, utc_text
from .schemas import ENCODED, ERRORS, FIXED, PATHS, SCHEMA_VERSION, run_columns, table
from .searches import STAGING, is_kept

ROW_GROUP = 131_072
REMOTE = ".remote"  # in a directory of runs that is a copy of those on an object store


@contextlib.contextmanager
def stage(root: str | Path, run_type: str, run_id: str = "") -> Iterator["Stage"]:
    """Yield the stage of a run below ``root``; what was not published when the block is left is removed.

    The run is a new one unless ``run_id`` names it. Stages that dead processes left behind are swept first. Raises
    AccessError where ``root`` cannot be written, UsageError where ``.staging`` lies on another file system than it.
    """
    root = Path(root).absolute()
    staging = root / STAGING
    doing, remedy = f"writing to {root}", "name a directory for runs that you may write to"
    run_id = run_id or new_run_id()
    with disk_errors(doing, remedy):
        make_folder(staging)
        if staging.stat().st_dev != root.stat().st_dev:
            raise UsageError(f"{staging} must be on the same file system as {root}")
        sweep(staging)
        path, lock = _claim(staging, run_id)
    try:
        with disk_errors(doing, remedy):
            path.mkdir()
        tell(stage=str(path))
        yield Stage(root, path, run_id, run_type)
    finally:  # what cannot be removed is left to the next sweep; the run is published, or has its own error
        shutil.rmtree(path, ignore_errors=True)
        give_back(path, lock)


def sweep(staging: Path) -> None:
    """Remove the stages whose lock nobody holds: their process is dead. The blocks that a search kept stay."""
    for path in {entry.with_suffix("") if entry.suffix == LOCK else entry for entry in entries(staging)}:
        with contextlib.suppress(OSError):
            if not is_kept(path):
                remove_dead(path)


def _claim(staging: Path, run_id: str) -> tuple[Path, int]:
    """Return a free name for a staging directory and the descriptor that holds its lock."""
    while True:
        path = staging / f"{run_id}.{os.getpid()}.{secrets.token_hex(4)}"
        lock = take(path, os.O_CREAT | os.O_EXCL)
        if lock is not None:
            return path, lock


class Stage:
    """A run that is being written. ``path`` is its directory, until ``publish`` or ``fail`` moves it into place."""

    def __init__(self, root: Path, path: Path, run_id: str, run_type: str):
        self.root, self.path, self.run_id = root, path, run_id
        self.run_type, self.created_at = run_type, utc_text(made_at(run_id))
        self._remedy = f"run {run_id} is not saved; put that right and repeat"
        self._artifacts: list[Artifact] = []
        self._broken = ""
        self._refused: HighwaterError | None = None
        self.code, self.environment = code(), environment()

    def write(
        self,
        type: str,  # noqa: A002
        table: pa.Table,
        path: str | None = None,
        facts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Write a whole table as the artifact ``type``; ``path`` only where the type has no fixed place, or several."""
        with self.writer(type, table.schema, path, facts) as writer:
            writer.write(table)

    @contextlib.contextmanager
    def writer(
        self,
        type: str,  # noqa: A002
        schema: pa.Schema,
        path: str | None = None,
        facts: Mapping[str, str] = MappingProxyType({}),
    ) -> Iterator["BlockWriter"]:
        """Yield a writer of the artifact ``type`` that takes blocks of rows; their sizes leave no trace in the file.

        Where the type's schema is fixed, blocks must fit it. ``facts`` stand in the file's metadata beside our own.
        What the disk refuses ``publish`` raises.
        """
        named = {**facts, "artifact": type, "run_id": self.run_id, "schema_version": str(SCHEMA_VERSION)}
        with self._new(path or PATHS[type]) as file:
            schema = FIXED.get(type, schema).with_metadata(named)
            writer = BlockWriter(file, schema, run_columns(type), ENCODED.get(type))
            try:
                yield writer
                writer.close()
            except BaseException:
                file.discard()
                writer.abandon()
                raise
        self._add(type, file, writer.rows, writer.content.hexdigest())

    def write_file(self, path: str, data: bytes, type: str) -> None:  # noqa: A002
        """Write bytes that are no table: a log, a picture, a page."""
        with self._new(path) as file:
            file.write(data)
        self._add(type, file, None, file.sha256)

    def publish(self, **facts: Any) -> Path:
        """Bring the run into view and return its directory. It is durable once this returns.

        ``facts`` are the fields of Manifest that the run tells: config, command, execution, inputs, counts,
        timing_ms, started_at, trials_so_far, holdout_peeks. Raises StoreError where the disk refuses, or did before:
        until then a run goes on, for what it finds can still be told.
        """
        if self._broken:
            raise StoreError(f"{self._broken} was not written to its end; {self._remedy}")
        return self._publish(COMPLETED, facts)

    def fail(self, error: BaseException, phase: str = "run", **facts: Any) -> Path:
        """Publish as a failed run: what was written so far, with ``error`` in the manifest and the errors."""
        kind = error.code if isinstance(error, HighwaterError) else type(error).__name__
        message = str(error) or kind
        if not self._has("errors"):
            row = {"timestamp": _now(), "level": "error", "phase": phase, "call_id": None, "message": message}
            self.write("errors", table(ERRORS, {**row, "details": json.dumps({"code": kind})}, self.run_id))
        return self._publish(FAILED, {**facts, "error": message})

    def _publish(self, status: str, facts: dict[str, Any]) -> Path:
        if not self._has("errors"):
            self.write("errors", ERRORS.empty_table())
        if not self._has("log"):
            self.write_file(PATHS["log"], b"", "log")
        manifest = self._manifest(status, facts).to_json()
        for name, data in (("run.json", manifest), (MARKERS[status], hashlib.sha256(manifest).hexdigest().encode())):
            with self._new(name) as file:
                file.write(data)
        if self._refused is not None:
            raise self._refused
        final = self.root / self.created_at[:7] / f"run_id={self.run_id}"
        with disk_errors(f"saving {final}", self._remedy):
            for folder, _, _ in os.walk(self.path, topdown=False):
                sync_folder(Path(folder))
            make_folder(final.parent)
            rename_new(self.path, final)
        try:
            sync_folder(final.parent)
        except OSError as error:
            text = "is complete but the disk did not confirm it; verify it after a restart"
            raise StoreError(f"run {self.run_id} {text}: {error.strerror}") from error
        if (self.root / REMOTE).exists():
            from .remote import remote_of
            from .run_store import send

            if place := remote_of(self.root):
                send(self.root, final, place)
        return final

    def _manifest(self, status: str, facts: dict[str, Any]) -> Manifest:
        unit = 1 if sys.platform == "darwin" else 1024
        told = {"started_at": self.created_at, "config": {}, **facts}
        return Manifest(
            run_id=self.run_id,
            run_type=self.run_type,
            status=status,
            created_at=self.created_at,
            completed_at=_now(),
            config_digest=config_digest(told["config"]),
            code=self.code,
            environment=self.environment,
            artifacts=tuple(self._artifacts),
            peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
            **told,
        )

    @contextlib.contextmanager
    def _new(self, path: str) -> Iterator[NewFile]:
        """Yield a new file of the stage, synced and closed at the end; removed where the block raises.

        Where the disk refuses it, that is kept for ``publish`` to raise.
        """
        file = NewFile(self.path, path, self._remedy)
        try:
            yield file
        except BaseException:
            self._broken = path
            file.discard()
            raise
        try:
            file.close()
        except (StoreError, AccessError) as error:
            self._refused = self._refused or error

    def _add(self, kind: str, file: NewFile, rows: int | None, content: str) -> None:
        self._artifacts.append(Artifact(kind, file.relative, rows, file.size, file.sha256, content, SCHEMA_VERSION))

    def _has(self, kind: str) -> bool:
        return any(artifact.type == kind for artifact in self._artifacts)


class BlockWriter:
    """One Parquet file that takes tables; ``rows`` so far. Row groups are of one size whatever the blocks are."""

    def __init__(
        self, file: NewFile, schema: pa.Schema, without: tuple[str, ...], encoded: Mapping[str, str] | None = None
    ):
        self.rows, self.content = 0, ContentHash(schema, without)
        self._schema = schema
        self._waiting: list[pa.Table] = []
        options: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True, "write_statistics": True}
        if encoded:  # the other columns get a dictionary, as all do by themselves
            options |= {"column_encoding": encoded, "use_dictionary": [n for n in schema.names if n not in encoded]}
        self._parquet = pq.ParquetWriter(file, schema, **options)

    def write(self, block: pa.Table) -> None:
        """Add the rows of ``block``. Raises ValueError where its columns do not fit the schema."""
        block = block.cast(self._schema)
        self.content.update(block)
        self._waiting.append(block)
        full = self.rows // ROW_GROUP
        self.rows += block.num_rows
        if self.rows // ROW_GROUP > full:
            self._flush(ROW_GROUP)

    def close(self) -> None:
        """Write what waits, and the footer."""
        self._flush(1)
        self._parquet.close()

    def abandon(self) -> None:
        """Let go of the file, which takes no more bytes."""
        with contextlib.suppress(Exception):
            self._parquet.close()

    def _flush(self, least: int) -> None:
        rows = pa.concat_tables(self._waiting) if self._waiting else self._schema.empty_table()
        while rows.num_rows >= least:
            self._parquet.write_table(rows.slice(0, ROW_GROUP).combine_chunks(), ROW_GROUP)
            rows = rows.slice(ROW_GROUP)
        self._waiting = [rows]


def _now() -> str:
    return utc_text(time.time_ns() // 1_000_000)
