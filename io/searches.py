"""Searches that are not finished: what each is, and the trials it has found, in blocks that are written once.

A search at work keeps them in ``.staging/<run_id>.search``: first ``about~<sha256>.json``, then one file
``<first>-<last>~<sha256>.arrow`` after another. Each is synced before it gets its name, and the name holds the digest
of its bytes. Whoever holds the lock of the directory is at work on it; it goes once the run is published.
"""

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from .digest import canonical_json
from .durable import NewFile, disk_errors, make_folder, open_plain, sync_folder
from .errors import BusyError, IntegrityError, MissingError, UsageError
from .folders import entries
from .locks import LOCK, give_back, is_held, wait
from .manifest import COMPLETED
from .runs import read_entry, run_folders

STAGING, KEPT = ".staging", ".search"
SESSIONS = "sessions"  # what ``about`` says that a search is ``of``, where it is not of exits after alerts
_ABOUT = re.compile(r"about~([0-9a-f]{64})\.json")
_BLOCK = re.compile(r"([0-9]+)-([0-9]+)~([0-9a-f]{64})\.arrow")
_PART = "part"
_LOOK_S = 0.5  # a sweep, or one who asks whether a lock is held, holds it for a moment

Columns = dict[str, Any]


@dataclass(frozen=True)
class Block:
    """The trials ``first`` to ``last - 1`` in a file whose bytes had the digest ``sha256`` when it was written."""

    path: Path
    first: int
    last: int
    sha256: str

    def is_sound(self) -> bool:
        """Return whether the bytes are those that were written."""
        return _digest(self.path) == self.sha256

    def columns(self) -> Iterator[Columns]:
        """Yield what ``Keeper.add`` was given, name -> array or masked array, some trials after others."""
        reader = pa.ipc.open_file(pa.memory_map(str(self.path)))
        for i in range(reader.num_record_batches):
            batch = reader.get_batch(i)
            yield {name: _values(batch.column(name)) for name in batch.schema.names}


@dataclass(frozen=True)
class Unfinished:
    """A search as it is found. ``held``: a process is at work on it; ``touched``: when it last kept trials, s UTC."""

    run_id: str
    path: Path
    held: bool
    touched: float


class Keeper:
    """The place of one search, whose lock this process holds; nothing is on disk until the first ``add``."""

    def __init__(self, path: Path):
        self.path, self.run_id = path, path.stem
        self._about: bytes | None = None
        self._open: tuple[int, NewFile, Any] | None = None
        self._last = 0

    @property
    def blocks(self) -> list[Block]:
        """The blocks on disk, sound or not, in the order of their trials."""
        return _blocks(self.path)

    def about(self) -> Mapping[str, Any]:
        """Return what the search is. Raises IntegrityError where that is damaged or missing."""
        found = _about(self.path)
        if found is None:
            text = f"what is known of the search {self.run_id} is damaged ({self.path})"
            raise IntegrityError(f"{text}; remove it with: highwater runs gc --drop {self.run_id}")
        return found

    def begin(self, about: Mapping[str, Any]) -> None:
        """Say what the search is, before its first block is kept."""
        self._about = canonical_json(about)

    def add(self, first: int, columns: Columns) -> None:
        """Write the columns (None: left out) of trials from ``first`` on, those behind the ones before, to be kept."""
        given = {name: values for name, values in columns.items() if values is not None}
        batch = pa.RecordBatch.from_arrays([_array(values) for values in given.values()], names=list(given))
        if self._open is None:
            (self.path / _PART).unlink(missing_ok=True)
            file = NewFile(self.path, _PART, "put that right", f"trials from {first:,} on")
            self._open = first, file, pa.ipc.new_file(file, batch.schema)
        self._open[2].write_batch(batch)
        self._last = first + batch.num_rows

    def keep(self) -> None:
        """Make a block of what was added since the last one; it is durable once this returns."""
        if self._open is None:
            return
        if not _named(self.path, _ABOUT) and self._about is not None:
            file = NewFile(self.path, "about", "put that right")
            file.write(self._about)
            self._name(file, f"about~{file.sha256}.json")
            with disk_errors(f"writing to {self.path.parent}", "put that right"):
                sync_folder(self.path.parent)
        first, file, writer = self._open
        writer.close()
        self._name(file, f"{first}-{self._last}~{file.sha256}.arrow")
        self._open = None

    def forget(self) -> None:
        """Let go of what was added since the last block."""
        if self._open is not None:
            self._open[1].discard()
            self._open = None

    def _name(self, file: NewFile, name: str) -> None:
        file.close()
        with disk_errors(f"writing {self.path / name}", "put that right"):
            (self.path / file.relative).rename(self.path / name)
            sync_folder(self.path)


@contextlib.contextmanager
def hold(root: str | Path, run_id: str) -> Iterator[Keeper]:
    """Yield the place of a search, new or interrupted. When it is left, blocks stay unless the run is in view by then.

    Raises BusyError where another process is at work on it.
    """
    root = Path(root).absolute()
    path = root / STAGING / f"{run_id}{KEPT}"
    with disk_errors(f"writing to {root}", "name a directory for runs that you may write to"):
        make_folder(path.parent)
        lock = wait(path, _LOOK_S)
    if lock is None:
        raise BusyError(f"another process is at work on the search {run_id}; stop that one, or wait until it is done")
    keeper = Keeper(path)
    try:
        yield keeper
    finally:
        with contextlib.suppress(OSError):
            keeper.forget()
            if not is_kept(path):
                shutil.rmtree(path, ignore_errors=True)
        give_back(path, lock)


def is_kept(path: Path) -> bool:
    """Return whether ``path`` holds blocks of a search whose run is not in view."""
    in_view = path.parents[1].glob(f"????-??/run_id={path.stem}")
    return path.suffix == KEPT and bool(_blocks(path)) and not any(in_view)


def unfinished(root: str | Path) -> list[Unfinished]:
    """Return the searches that have kept blocks, newest first."""
    found = []
    for path in sorted((Path(root) / STAGING).glob(f"*{KEPT}"), reverse=True):
        with contextlib.suppress(FileNotFoundError):  # finished in between
            if is_kept(path):
                found.append(Unfinished(path.stem, path, is_held(path), path.stat().st_mtime))
    return found


def stopped(path: Path, root: Path) -> str:
    """Return where the search kept in ``path`` stopped, and how it goes on, in words that follow its id."""
    about, where = _about(path), "" if root == Path("runs") else f" --runs {shlex.quote(str(root))}"
    if about is None and not is_kept(path):
        return "came to its end meanwhile"
    if about is None:
        return f"stopped, and cannot go on: what it was is damaged ({path})"
    done = f"stopped at trial {_trials(path):,} of {about['trials']:,}"
    return f"{done}; go on with: highwater sweep --resume {path.stem}{where}"


def find_unfinished(root: str | Path, text: str) -> str:
    """Return the id of the search that ``text`` names: its id, or four or more characters that begin or end it.

    Raises UsageError where it is finished or several fit, MissingError where there is none.
    """
    wanted = text.lower()
    if len(wanted) < 4:
        raise UsageError(f"run {text!r} is too short; give at least 4 characters of its id")
    staging = Path(root) / STAGING
    names = [path.name.removesuffix(LOCK) for path in entries(staging)]
    places = {Path(name).stem: staging / name for name in names if name.endswith(KEPT)}
    done = {path.name.removeprefix("run_id="): path for path in run_folders(Path(root))}
    fits = [run_id for run_id in {**done, **places} if run_id.startswith(wanted) or run_id.endswith(wanted)]
    if len(fits) > 1:
        raise UsageError(f"{text!r} fits {len(fits)} runs: {', '.join(sorted(fits)[:4])}; give more")
    if not fits:
        raise MissingError(
            f"there is no interrupted search {text!r} in {root}; highwater runs list names those there are"
        )
    if fits[0] in done:
        raise UsageError(_finished(fits[0], done[fits[0]]))
    return fits[0]


def _finished(run_id: str, path: Path) -> str:
    entry = read_entry(path)
    if entry is not None and entry.status == COMPLETED:
        return f"run {run_id} is complete; see highwater runs show {run_id}"
    return f"run {run_id} is {entry.status if entry else 'no run'}, so nothing of it can go on; start it anew"


def _named(path: Path, form: re.Pattern[str]) -> list[re.Match[str]]:
    """Return the names of such a form in a directory, which may be missing."""
    return [match for each in entries(path) if (match := form.fullmatch(each.name))]


def _blocks(path: Path) -> list[Block]:
    found = [Block(path / match[0], int(match[1]), int(match[2]), match[3]) for match in _named(path, _BLOCK)]
    return sorted(found, key=lambda block: (block.first, block.last))


def _trials(path: Path) -> int:
    return sum(block.last - block.first for block in _blocks(path))


def _about(path: Path) -> Mapping[str, Any] | None:
    for match in _named(path, _ABOUT):
        with contextlib.suppress(OSError, IntegrityError), _opened(path / match[0]) as file:
            data = file.read()
            if hashlib.sha256(data).hexdigest() == match[1]:
                return json.loads(data)
    return None


def _opened(path: Path) -> BufferedReader:
    """Return a plain file, open to read."""
    return os.fdopen(open_plain(path.parent, path.name), "rb")


def _digest(path: Path) -> str:
    """Return the sha256 of a plain file, '' where it cannot be read."""
    try:
        with _opened(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, IntegrityError):
        return ""


def _array(values: Any) -> pa.Array:
    return pa.array(np.ma.getdata(values), mask=np.ma.getmaskarray(values) if np.ma.isMaskedArray(values) else None)


def _values(array: pa.Array) -> Any:
    if not array.null_count:
        return array.to_numpy(zero_copy_only=False)
    return np.ma.array(
        array.fill_null(0).to_numpy(zero_copy_only=False), mask=array.is_null().to_numpy(zero_copy_only=False)
    )
