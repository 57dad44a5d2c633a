"""What runs keep for later runs: path metrics, one Parquet file each, found by all that they hang on; and slices.

The name of such a file holds the digest of what it hangs on and the digest of its own bytes. One that is damaged in
any place is told from a whole one, and never used.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .digest import canonical_json, config_digest
from .durable import disk_errors, open_plain
from .errors import HighwaterError, IntegrityError
from .exports import put, sweep
from .folders import entries, status
from .locks import among, remove_dead
from .manifest import parsed
from .slice_parts import EXPORTED
from .slices import SliceFacts, open_slice

CACHE_VERSION = 1
METRICS, SLICE, EXPORT, TABLE = "path metrics", "slice", "unfinished export", "table"
_REMEDY = "free space, name another --runs folder, or do without it: --no-cache"
_FILE = re.compile(r"paths_[0-9a-f]{12}_([0-9a-f]{16})\.parquet")
_SLICE = re.compile(r"(slice_[0-9]{8}_[0-9]{8}_[0-9a-f]{12})\.(arrow|json)")
_TABLE = re.compile(r"[a-z]+_[0-9a-f]{16}\.parquet")
_ORIGIN = b"origin"


@dataclass(frozen=True)
class Origin:
    """All that path metrics hang on: two runs of one origin have the same. Digests are 64 hex.

    ``candles`` is the digest of the slice's content, ``alerts`` that of the alerts' names and times, ``windows`` that
    of the candles, the entry and the end of each, and ``code`` that of the code that measures.
    """

    candles: str
    alerts: str
    windows: str
    calls: int
    interval_ms: int
    horizon_ms: int
    entry: str
    latency_ms: int
    max_entry_delay_ms: int
    multiples: tuple[str, ...]
    fill_semantics: str
    code: str
    version: int = CACHE_VERSION

    @property
    def digest(self) -> str:
        """The sha256 of all of it, 64 hex."""
        return config_digest(dataclasses.asdict(self))


def pack(blocks: Iterable[pa.Table], origin: Origin | None) -> pa.Buffer:
    """Return path metrics, which come in one block or more, as the bytes of one Parquet file; a row group a block."""
    named = {b"artifact": b"paths"} | ({_ORIGIN: canonical_json(dataclasses.asdict(origin))} if origin else {})
    # 10,000 rows are read in 3 ms; with zstd and dictionaries it took 6.
    options: dict[str, Any] = {"compression": "lz4", "use_dictionary": False, "write_statistics": False}
    rest, sink = iter(blocks), pa.BufferOutputStream()
    first = next(rest)
    with pq.ParquetWriter(sink, first.schema.with_metadata(named), **options) as file:
        for block in itertools.chain([first], rest):
            file.write_table(block, max(1, block.num_rows))
    return sink.getvalue()


def find(folder: Path, origin: Origin) -> pq.ParquetFile | None:
    """Return the path metrics in ``folder`` of this origin, as they were packed, or None.

    Raises IntegrityError where there are some and their file is damaged, OSError where it cannot be read.
    """
    broken = None
    for path in sorted(folder.glob(f"paths_{origin.digest[:12]}_*.parquet")):
        try:
            file = _opened(path)
            if _origin_of(file) == origin:
                return file
        except FileNotFoundError:  # removed since it was seen
            continue
        except IntegrityError as error:
            broken = error
    if broken:
        raise broken
    return None


def keep(folder: Path, origin: Origin, packed: pa.Buffer) -> Path:
    """Write path metrics, packed with their origin, into ``folder`` for the runs to come, and return where.

    They take the place of any of this origin.
    """
    data = memoryview(packed)
    stem = f"paths_{origin.digest[:12]}"
    path = folder / f"{stem}_{hashlib.sha256(data).hexdigest()[:16]}.parquet"
    put(path, data, _REMEDY)
    for other in folder.glob(f"{stem}_*.parquet"):
        if other != path:
            other.unlink(missing_ok=True)
    return path


def _opened(path: Path) -> pq.ParquetFile:
    """Return a file of path metrics, every byte of it checked; raises IntegrityError, or OSError as it was met."""
    named = _FILE.fullmatch(path.name)
    with os.fdopen(open_plain(path.parent, path.name), "rb") as file:
        data = file.read()
    if not named or hashlib.sha256(data).hexdigest()[:16] != named[1]:
        raise IntegrityError(f"{path} is damaged: its bytes are not those it is named after")
    return pq.ParquetFile(pa.BufferReader(data))


def _origin_of(file: pq.ParquetFile) -> Origin | None:
    """Return what path metrics hang on, None where another version wrote the file."""
    try:
        return parsed(Origin, json.loads((file.schema_arrow.metadata or {})[_ORIGIN]), "origin")
    except (KeyError, ValueError):
        return None


@dataclass(frozen=True)
class Kept:
    """A slice or path metrics: its files, their bytes, when they were written (ms UTC), and what they say they are.

    ``facts`` is None where they are damaged or another version wrote them, and of a slice whose export has not ended:
    its one file is the folder of its parts.
    """

    kind: str
    files: tuple[Path, ...]
    facts: SliceFacts | Origin | None
    bytes: int
    written_ms: int


def metrics_in(folder: Path) -> Iterator[Kept]:
    """Yield the path metrics in ``folder``, by name."""
    for path in sorted(folder.glob("paths_*.parquet")):
        if _FILE.fullmatch(path.name):
            try:
                facts = _origin_of(_opened(path))
            except (HighwaterError, OSError):
                facts = None
            yield from _kept(METRICS, (path,), facts)


def slices_in(folder: Path) -> Iterator[Kept]:
    """Yield the slices in ``folder``, by name, those too of which a part is missing."""
    names = (_SLICE.fullmatch(path.name) for path in folder.glob("slice_*"))
    for stem in sorted({name[1] for name in names if name}):
        files = _pair(folder / stem)
        try:
            facts = open_slice(files[0]).facts
        except (HighwaterError, OSError):
            facts = None
        yield from _kept(SLICE, files, facts)


def exports_in(folder: Path) -> Iterator[Kept]:
    """Yield the slices in ``folder`` of which only parts have come, by name; their lock tells whether more come now."""
    for path in sorted(folder.glob(f"{EXPORTED}*")):
        if path.is_dir():
            found = [one for each in (path, *entries(path)) if (one := status(each))]
            written = max((each.st_mtime_ns for each in found), default=0) // 1_000_000
            yield Kept(EXPORT, (path,), None, sum(each.st_size for each in found[1:]), written)


def tables_in(folder: Path) -> Iterator[Kept]:
    """Yield the tables in ``folder`` that were handed over in memory, by name."""
    for path in sorted(folder.glob("*.parquet")):
        if _TABLE.fullmatch(path.name):
            yield from _kept(TABLE, (path,), None)


def _pair(path: Path) -> tuple[Path, Path]:
    """Return both files of a slice, given its path with or without a suffix."""
    return path.with_suffix(".arrow"), path.with_suffix(".json")


def _kept(kind: str, files: tuple[Path, ...], facts: SliceFacts | Origin | None) -> Iterator[Kept]:
    found = {}
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            found[file] = file.lstat()
    if found:
        written = max(each.st_mtime_ns for each in found.values()) // 1_000_000
        yield Kept(kind, tuple(found), facts, sum(each.st_size for each in found.values()), written)


def remove(kept: Iterable[Kept]) -> None:
    """Remove what was kept, and beside it what dead processes left unfinished; a file that is gone already is fine.

    An export that a process is at is left.
    """
    folders = set()
    for one in kept:
        path = one.files[0]
        folders.add(path.parent)
        with disk_errors(f"removing {path}", "make its directory one that you may write to"):
            if one.kind == EXPORT:
                remove_dead(path)
                continue
            with among(path.parent, alone=True):
                for file in _pair(path) if one.kind == SLICE else one.files:
                    file.unlink(missing_ok=True)
    for folder in folders:
        sweep(folder)
