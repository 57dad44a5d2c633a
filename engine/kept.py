"""What lets a search go on after it was stopped: what it is, what it keeps on the way, and all its trials in order."""

import dataclasses
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..io import schemas
from ..io.digest import canonical_json
from ..io.errors import HighwaterError, IntegrityError, UsageError
from ..io.publish import Stage
from ..io.searches import Block, Keeper, stopped
from .recipe import Prepared
from .settings import Store, resolved
from .sizing import trials_in
from .sweep import Plan, Trials, parameter_columns, search
from .tallies import Ground

MENDABLE = (HighwaterError, OSError, MemoryError)  # what the user can put right; other exceptions are bugs

# Seconds: of a search's first trials, by the figures of sizing; of those that follow, by its own pace; and between
# one file and the next. Tables of 32,000 alerts take 1 s, found anew for each block of trials.
FIRST_S, BLOCK_S, FILE_S = 5.0, 30.0, 5.0


def about(
    s: Stage, prepared: Prepared, work: Plan, config: Mapping[str, Any], command: Sequence[str]
) -> dict[str, Any]:
    """Return what a search is, as JSON values: all that decides its trials, and what it was asked with."""
    settings = resolved(prepared.sources, prepared.trading)
    files = {name: _lasting(settings.pop(name)) for name in ("alerts", "candles")}
    windows = hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in prepared.windows))
    return {
        "run_id": s.run_id,
        "trials": work.trials,
        "version": s.code.version,
        "kernels_digest": s.code.kernels_digest,
        "libraries": {"numba": s.environment.numba, "numpy": s.environment.numpy},
        "config": dict(config),
        "inputs": [dataclasses.asdict(one) for one in prepared.inputs],
        "windows": windows.hexdigest(),
        "columns": schemas.trials(parameter_columns(work.space)).names,
        "settings": settings,
        **files,
        "memory": work.memory,
        "command": list(command),
    }


def _lasting(place: Any) -> str:
    """Return where something lies as it is found from any directory: a path from the root on, or a table."""
    return str(Path(place).absolute()) if isinstance(place, str) else str(place)


def check_version(before: Mapping[str, Any]) -> None:
    """Raise UsageError unless this is the version that a search began with."""
    _check(before, "version", before["version"], __version__)


def check_same(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise UsageError or IntegrityError, naming what is not the same, unless a search is ``now`` what it was."""
    now = json.loads(canonical_json(now))
    for library, was in before["libraries"].items():
        _check(before, library, was, now["libraries"].get(library))
    _check(before, "kernels", before["kernels_digest"][:12], now["kernels_digest"][:12])
    for was, found in zip(before["inputs"], now["inputs"], strict=True):
        if was | {"source": ""} != found | {"source": ""}:
            raise IntegrityError(
                f"search {before['run_id']}: the {was['kind']} changed since it began, digest {was['digest'][:12]} to "
                f"{found['digest'][:12]}; put back {found['source']} as it was, or start anew"
            )
    for name in sorted({*before["config"], *now["config"]}):
        _check(before, name, before["config"].get(name), now["config"].get(name))
    for name in ("windows", "columns"):
        _check(before, name, before[name], now[name])


def _check(before: Mapping[str, Any], name: str, was: Any, found: Any) -> None:
    if was != found:
        known, seen = (str(value)[:40] for value in (was, found))
        raise UsageError(f"search {before['run_id']} began with {name} {known} and finds {seen} now; start it anew")


@contextmanager
def telling(kept: Keeper, store: Store) -> Iterator[None]:
    """Add to whatever stops a search, a bug excepted, where it stopped and how it goes on."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, MENDABLE) or not isinstance(error, Exception):
            with suppress(OSError):
                if kept.blocks:
                    error.add_note(stopped(kept.path, store.runs))
        raise


def sound_blocks(kept: Keeper) -> list[Block]:
    """Return the blocks a search has kept; damaged ones are named on stderr and removed."""
    sound: list[Block] = []
    for block in kept.blocks:
        if not block.is_sound():
            name = f"trials {block.first:,} to {block.last - 1:,}"
            print(f"{name} are damaged on disk (their digest is another); they are done again", file=sys.stderr)
            block.path.unlink(missing_ok=True)
        elif not sound or sound[-1].last <= block.first:
            sound.append(block)
    return sound


def all_trials(
    there: Ground, work: Plan, kept: Keeper, blocks: Sequence[Block], advance: Callable[[int], None]
) -> Iterator[Trials]:
    """Yield all trials in order, as ``sweep.search`` does: those of ``blocks`` from disk, the others as they are found.

    What is found is kept, unless the whole search fits one block of work. ``advance`` is told the trades done here.
    """
    at = found = 0
    for block in (*blocks, None):
        upto = work.trials if block is None else block.first
        yield from _found(there, work, kept, (at, upto), _after(advance, found * work.alerts))
        found += upto - at
        if block is not None:
            yield from _from_disk(work, block)
            at = block.last


def _from_disk(work: Plan, block: Block) -> Iterator[Trials]:
    names = schemas.trials(parameter_columns(work.space)).names[1:]
    for given in block.columns():
        columns = {name: given.get(name) for name in names}
        yield {name: given[name] for name in work.space.named}, columns, given["sum_ret_q"]


def _found(
    there: Ground, work: Plan, kept: Keeper, span: tuple[int, int], advance: Callable[[int], None]
) -> Iterator[Trials]:
    """Yield the trials of a span, which are found, and keep them in files."""
    if there.crew is not None:
        yield from _found_by_crew(there, work, kept, span, advance)
        return
    at, end = span
    size = _within(work, trials_in(FIRST_S, work.engine, work.alerts, work.medians == "all"))
    keeps, written = size < work.trials, time.monotonic()
    while at < end:
        began, upto = time.monotonic(), min(end, at + size)
        for drawn, columns, sums in search(there, work, _after(advance, (at - span[0]) * work.alerts), at, upto):
            if keeps:
                kept.add(int(columns["trial_id"][0]), columns)
            yield drawn, columns, sums
        now = time.monotonic()
        if now - written >= FILE_S or upto == end < work.trials:
            kept.keep()
            written = now
        at, size = upto, _within(work, int((upto - at) * BLOCK_S / max(now - began, 1e-3)))


def _found_by_crew(
    there: Ground, work: Plan, kept: Keeper, span: tuple[int, int], advance: Callable[[int], None]
) -> Iterator[Trials]:
    """Yield the trials of a span, which the workers of a cluster find, and keep them in files."""
    from .cluster.spread import search as spread

    written = time.monotonic()
    for drawn, columns, sums in spread(there, work, advance, *span):
        kept.add(int(columns["trial_id"][0]), columns)
        yield drawn, columns, sums
        if time.monotonic() - written >= FILE_S:
            kept.keep()
            written = time.monotonic()
    if span[1] < work.trials:
        kept.keep()


def _within(work: Plan, size: int) -> int:
    """Return how many trials are done at a time where ``size`` take the time they should."""
    return max(1, min(work.block, max(work.paying, size)))


def _after(advance: Callable[[int], None], before: int) -> Callable[[int], None]:
    return lambda done: advance(before + done)
