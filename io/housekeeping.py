"""Keeping a directory of runs small: leftovers swept and old runs removed.

Only what is proved to be a run of ours is touched; everything else is named and left.
"""

import re
import secrets
import shutil
from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .durable import disk_errors, make_folder, sync_folder
from .errors import UsageError
from .exports import drafts
from .exports import sweep as sweep_drafts
from .folders import below, entries
from .locks import LOCK, is_held, remove_dead
from .manifest import FAILED, MARKERS, Manifest, utc_text
from .publish import sweep
from .runs import RunEntry, list_runs
from .searches import STAGING, is_kept, unfinished

TRASH = ".trash"
_TRASHED = re.compile(r"run_id=[0-9a-z]{26}\.[0-9a-f]{12}")
_REMEDY = "see to the disk, then repeat"


@dataclass(frozen=True)
class Leftover:
    """What ``collect`` would remove: ``what`` is stage, draft, trash, failed run or interrupted search."""

    what: str
    path: Path


def leftovers(root: Path, before: str, drop: Container[str] = ()) -> list[Leftover]:
    """Return what dead processes left, runs whose removal was cut short, and what failed or stopped before a time.

    Dead processes leave stages, and drafts of slices and archives. ``before`` is ISO 8601 as in manifests. An
    interrupted search counts from when it last kept trials; those whose ids are in ``drop`` count at once.
    """
    stages = [path for path in entries(root / STAGING) if path.suffix != LOCK and not is_kept(path)]
    found = [Leftover("stage", path) for path in stages if not is_held(path)]
    found += [Leftover("draft", path) for folder in entries(root) for path in drafts(folder)]
    found += [Leftover("trash", path) for path in entries(root / TRASH) if _TRASHED.fullmatch(path.name)]
    old = [e for e in _ours(root)[0] if e.status == FAILED and _created(e) < before]
    found += [Leftover("failed run", entry.path) for entry in old]
    stopped = [one for one in unfinished(root) if not one.held]
    gone = [one for one in stopped if one.run_id in drop or utc_text(round(one.touched * 1000)) < before]
    return found + [Leftover("interrupted search", one.path) for one in gone]


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
        elif one.what == "interrupted search":
            with disk_errors(f"removing {one.path}", _REMEDY):
                remove_dead(one.path)


def prunable(root: Path, before: str | None, keep: int | None) -> tuple[list[RunEntry], list[str]]:
    """Return the runs made before a time (ISO 8601), or all but the newest ``keep``; and a line on each left alone.

    Damaged, unverified and newer runs, and those that hold files of somebody else, are neither counted nor returned;
    nor returned is a run that holds traces of one that stays.
    """
    if (before is None) == (keep is None):
        raise UsageError("name either --before or --keep: runs made before a day, or all but the newest N")
    ours, left = _ours(root)
    chosen = [e for e in ours if _created(e) < before] if before is not None else ours[keep:]
    kept = [entry for entry in ours if entry not in chosen]
    needed = {of: entry.run_id for entry in kept for of in _traces_of(entry)}
    left += [f"{e.path}: left alone: run {needed[e.run_id]} has traces of it" for e in chosen if e.run_id in needed]
    return [entry for entry in chosen if entry.run_id not in needed], left


def _traces_of(entry: RunEntry) -> list[str]:
    """Return the runs that hold traces which a run lists."""
    found = entry.manifest.execution.get("traces_of") if entry.manifest else None
    return found if isinstance(found, list) else []


def _ours(root: Path) -> tuple[list[RunEntry], list[str]]:
    """Return the whole runs below ``root``, newest first, and why others are left alone."""
    ours, left = [], []
    for entry in list_runs(root):
        reason = entry.reason
        if entry.manifest is not None:
            known = files_of(entry.manifest)
            lying = {str(path.relative_to(entry.path)): path for path in below(entry.path)}
            strange = [name for name, path in lying.items() if name not in known or path.is_symlink()]
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
    with disk_errors(f"removing {gone}", _REMEDY):
        while gone.is_dir():
            with suppress(FileNotFoundError):  # another process removes it too
                shutil.rmtree(gone)
