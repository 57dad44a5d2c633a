"""Keeping a directory of runs small: leftovers swept and old runs removed.

Only what is proved to be a run of ours is touched; everything else is named and left.
"""

import fcntl
import os
import re
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .durable import disk_errors, make_folder, sync_folder
from .errors import UsageError
from .exports import drafts
from .exports import sweep as sweep_drafts
from .manifest import FAILED, MARKERS, Manifest
from .publish import STAGING, sweep
from .runs import RunEntry, list_runs

TRASH = ".trash"
_TRASHED = re.compile(r"run_id=[0-9a-z]{26}\.[0-9a-f]{12}")
_REMEDY = "see to the disk, then repeat"


@dataclass(frozen=True)
class Leftover:
    """What ``collect`` would remove: ``what`` is stage, draft, trash or failed run."""

    what: str
    path: Path


def leftovers(root: Path, failed_before: str) -> list[Leftover]:
    """Return what dead processes left, runs whose removal was cut short, and the failed runs made before a time.

    Dead processes leave stages, and drafts of slices and archives. ``failed_before`` is ISO 8601 as in manifests.
    """
    found = [Leftover("stage", path) for path in _entries(root / STAGING) if path.suffix != ".lock" and _dead(path)]
    found += [Leftover("draft", path) for folder in _entries(root) if folder.is_dir() for path in drafts(folder)]
    found += [Leftover("trash", path) for path in _entries(root / TRASH) if _TRASHED.fullmatch(path.name)]
    old = [e for e in _ours(root)[0] if e.status == FAILED and _created(e) < failed_before]
    return found + [Leftover("failed run", entry.path) for entry in old]


def collect(root: Path, found: list[Leftover]) -> None:
    """Remove what ``leftovers`` found; what has an owner again is left."""
    if any(one.what == "stage" for one in found):
        with disk_errors(f"sweeping {root / STAGING}", _REMEDY):
            sweep(root / STAGING)
    for folder in {one.path.parent for one in found if one.what == "draft"}:
        sweep_drafts(folder)
    for one in found:
        if one.what == "trash":
            _unlink(one.path)
        elif one.what == "failed run":
            remove(root, one.path)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _dead(stage_of: Path) -> bool:
    """Return whether nobody holds the lock of a stage."""
    with suppress(OSError):
        lock = os.open(stage_of.with_name(stage_of.name + ".lock"), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(lock)
    return True


def prunable(root: Path, before: str | None, keep: int | None) -> tuple[list[RunEntry], list[str]]:
    """Return the runs made before a time (ISO 8601), or all but the newest ``keep``; and a line on each left alone.

    Damaged, unverified and newer runs, and those that hold files of somebody else, are neither counted nor returned.
    """
    if (before is None) == (keep is None):
        raise UsageError("name either --before or --keep: runs made before a day, or all but the newest N")
    ours, left = _ours(root)
    return [e for e in ours if _created(e) < before] if before is not None else ours[keep:], left


def _ours(root: Path) -> tuple[list[RunEntry], list[str]]:
    """Return the whole runs below ``root``, newest first, and why others are left alone."""
    ours, left = [], []
    for entry in list_runs(root):
        reason = entry.reason
        if entry.manifest is not None:
            known = files_of(entry.manifest)
            strange = sorted(
                str(path.relative_to(entry.path))
                for path in entry.path.rglob("*")
                if path.is_symlink() or (not path.is_dir() and str(path.relative_to(entry.path)) not in known)
            )
            linked = "its month is a link to another place" if entry.path.parent.is_symlink() else ""
            reason = linked or (f"holds {strange[0]!r}, which is no part of it" if strange else "")
        if reason:
            left.append(f"{entry.path}: left alone: {reason}")
        else:
            ours.append(entry)
    return ours, left


def _created(entry: RunEntry) -> str:
    return entry.manifest.created_at if entry.manifest else ""


def files_of(manifest: Manifest) -> list[str]:
    """Return the files of a run, its marker last."""
    return [*(artifact.path for artifact in manifest.artifacts), "run.json", MARKERS[manifest.status]]


def remove(root: Path, run: Path) -> None:
    """Take a run out of view in one step, then unlink it; nothing where it is gone already."""
    gone = root / TRASH / f"{run.name}.{secrets.token_hex(6)}"
    with disk_errors(f"removing {run}", _REMEDY):
        make_folder(gone.parent)
        try:
            run.rename(gone)
        except FileNotFoundError:
            return
        sync_folder(run.parent)
        sync_folder(gone.parent)
    _unlink(gone)


def _unlink(gone: Path) -> None:
    with disk_errors(f"removing {gone}", _REMEDY), suppress(FileNotFoundError):
        shutil.rmtree(gone)
