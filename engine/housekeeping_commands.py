"""The commands that keep a directory of runs small: gc, prune, archive, restore."""

import re
import time
from pathlib import Path
from typing import Annotated

from .values import DAY, Duration, Instant, Kind


def _month(text: str) -> str:
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text):
        raise ValueError("it must be a month such as 2025-03")
    return text


Month = Annotated[str, Kind("MONTH", _month)]
_RUNS = Path("runs")


def runs_gc(
    *, runs: Path = _RUNS, older_than: Duration = 30 * DAY, drop: list[str] | None = None, dry_run: bool = False
) -> int | None:
    """Remove what is left of broken work: drafts of dead processes, half-removed runs, and what failed or stopped.

    Interrupted searches that are not removed are named, with the command that goes on with each.

    Args:
        runs: Directory of runs.
        older_than: Remove failed runs and interrupted searches only where they are older than this.
        drop: Remove these interrupted searches, whatever their age.
        dry_run: Say what would be removed, and remove nothing.
    """
    from ..io.housekeeping import collect, leftovers
    from ..io.manifest import utc_text
    from ..io.searches import find_unfinished, stopped, unfinished

    named = [find_unfinished(runs, text) for text in drop or ()]
    found = leftovers(runs, utc_text(time.time_ns() // 1_000_000 - older_than), named)
    if not dry_run:
        collect(runs, found)
    for one in found:
        print(f"{'would remove' if dry_run else 'removed'} {one.what} {one.path}")
    if not found:
        print(f"nothing to remove in {runs}")
    for one in unfinished(runs):
        if not one.held and one.path not in [each.path for each in found]:
            print(f"search {one.run_id} {stopped(one.path, runs)}; or remove it with --drop {one.run_id}")
    return None


def runs_prune(
    *, before: Instant | None = None, keep: int | None = None, runs: Path = _RUNS, dry_run: bool = False
) -> int | None:
    """Remove old runs: those made before a day, or all but the newest. Damaged runs are left alone.

    Args:
        before: Remove the runs made before this time (UTC; a date is its midnight).
        keep: Remove all runs but this many, the newest.
        runs: Directory of runs.
        dry_run: Say what would be removed, and remove nothing.
    """
    from ..io.errors import UsageError
    from ..io.housekeeping import prunable, remove
    from ..io.manifest import utc_text

    if keep is not None and keep < 0:
        raise UsageError(f"--keep is {keep}; it must be at least 0")
    found, left = prunable(runs, None if before is None else utc_text(before), keep)
    for entry in found:
        if not dry_run:
            remove(runs, entry.path)
        print(f"{'would remove' if dry_run else 'removed'} {entry.path}")
    for line in left:
        print(line)
    print(f"{len(found):,} runs {'would be removed' if dry_run else 'removed'}, {len(left):,} left alone")
    return None


def runs_archive(*, before: Month, runs: Path = _RUNS, to: Path | None = None, dry_run: bool = False) -> int | None:
    """Move whole months of runs into one .tar.zst each, read back and compared before the originals go.

    Args:
        before: Archive the months before this one, such as 2025-03.
        runs: Directory of runs.
        to: Directory that takes the archives (default: archive in the runs directory).
        dry_run: Check the runs and say what would be archived, and move nothing.
    """
    from ..io.archives import archive, months

    found = months(runs, before)
    for month, entries in found.items():
        if dry_run:
            print(f"would archive {month}: {len(entries):,} runs")
        else:
            print(f"{archive(runs, month, entries, to or runs / 'archive')}: {len(entries):,} runs")
    if not found:
        print(f"no runs before {before} in {runs}")
    return None


def runs_restore(file: Path, *, runs: Path = _RUNS) -> int | None:
    """Put the runs of an archive back, checked byte for byte; the archive stays.

    Args:
        file: The .tar.zst file.
        runs: Directory of runs.
    """
    from ..io.archives import restore

    back, there = restore(runs, file)
    for path in back:
        print(f"restored {path}")
    for path in there:
        print(f"{path}: there already")
    return None
