"""Runs on an object store: a local copy that commands work on, brought up to date first; each new run goes up at once.

A run goes up file by file, each put where there was none, and its ``_SUCCESS`` (or ``_FAILED``) last: until that is
there it is no run. One that could not be sent stays in the copy, and goes up with the next command.
"""

import contextlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .digest import canonical_json
from .durable import disk_errors, make_folder
from .errors import BusyError, HighwaterError
from .exports import put
from .folders import below
from .locks import give_back, wait
from .manifest import MARKERS
from .objects import REMEDY, Found, ObjectPath, download, listed, put_new
from .publish import REMOTE
from .remote import AT_ONCE, copy_of

_INDEX = ".objects.json"
_RUN = re.compile(r"(\d{4}-\d\d/run_id=[0-9a-z]{26})/(.+)")
_PATIENCE = 30.0  # seconds

Files = Mapping[str, list[object]]  # size and ETag of each
Index = dict[str, dict[str, list[object]]]  # of each run


def mirrored(place: ObjectPath) -> Path:
    """Return the local copy of the runs below ``place``, up to date: new runs downloaded, runs gone there removed.

    Runs that an earlier command could not send are sent first. Raises AccessError, MissingError or StoreError where
    the store refuses, BusyError where another process is at it for half a minute.
    """
    root = copy_of(place, "runs")
    with _alone(root):
        index = _index(root)
        for run in _unsent(root, index):
            _send(root, run, place)
        there = _runs(listed(place))
        for run, files in there.items():
            if index.get(run) != files or not (root / run).is_dir():
                _bring(root, run, place, files, index.get(run, {}))
        for run in index.keys() - there.keys():
            shutil.rmtree(root / run, ignore_errors=True)
        if index != there:
            put(root / _INDEX, canonical_json(there), REMEDY)
    return root


def send(root: Path, run: Path, place: ObjectPath) -> None:
    """Send a published run of the copy ``root``; sending again what is there already is no harm.

    Raises StoreError or AccessError that says where the run is meanwhile.
    """
    name = run.relative_to(root).as_posix()
    try:
        _send(root, name, place)
        files = _runs(listed(place / name), f"{name}/")[name]
        with _alone(root):
            put(root / _INDEX, canonical_json(_index(root) | {name: files}), REMEDY)
    except HighwaterError as error:
        kept = f"run {run.name.removeprefix('run_id=')} is whole in {run} but not in {place}"
        raise type(error)(f"{kept}: {error}; the next command with --runs {place} sends it", error.code) from error


def _send(root: Path, run: str, place: ObjectPath) -> None:
    """Put the files of a run where there were none, the manifest last but one, the marker last."""
    every = [path.relative_to(root / run).as_posix() for path in below(root / run) if path.is_file()]
    last = ["run.json", *(name for name in MARKERS.values() if name in every)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda name: put_new(place / run / name, root / run / name), sorted({*every} - {*last})))
    for name in last:
        put_new(place / run / name, root / run / name)


def _bring(
    root: Path, run: str, place: ObjectPath, files: Mapping[str, list[object]], had: Mapping[str, object]
) -> None:
    """Download what a run has and the copy has not, beside its place, and put it there."""
    draft = root / ".pull" / run.rpartition("/")[2]
    shutil.rmtree(draft, ignore_errors=True)
    with disk_errors(f"writing {root / run}", REMEDY):
        make_folder(draft)
        make_folder((root / run).parent)
        for name in files:
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            if had.get(name) == files[name] and (root / run / name).is_file():
                shutil.copy2(root / run / name, draft / name)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        wanted = [name for name in files if not (draft / name).exists()]
        list(pool.map(lambda name: download(place / run / name, draft / name), wanted))
    with disk_errors(f"writing {root / run}", REMEDY):
        if (root / run).exists():
            shutil.rmtree(root / run)
        draft.rename(root / run)


def _runs(found: list[Found], below: str = "") -> Index:
    """Return the files of each run that has a marker, by the names of a listing."""
    runs: Index = {}
    for one in found:
        if named := _RUN.fullmatch(below + one.name):
            runs.setdefault(named[1], {})[named[2]] = [one.size, one.etag]
    return {run: files for run, files in runs.items() if any(name in files for name in MARKERS.values())}


def _index(root: Path) -> Index:
    """Return what was on the store when the copy was last brought up to date."""
    try:
        return json.loads((root / _INDEX).read_bytes())
    except (OSError, ValueError):
        return {}


def _unsent(root: Path, index: Index) -> list[str]:
    """Return the runs of the copy that were never on the store."""
    names = (path.relative_to(root).as_posix() for path in root.glob("????-??/run_id=*"))
    whole = (name for name in names if any((root / name / marker).is_file() for marker in MARKERS.values()))
    return sorted(name for name in whole if name not in index)


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold the lock of the copy; wait a while where another process has it."""
    lock = wait(root / REMOTE, _PATIENCE)
    if lock is None:
        raise BusyError(f"another process brings {root} up to date; try again later")
    try:
        yield
    finally:
        give_back(root / REMOTE, lock)
