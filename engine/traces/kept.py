"""Traces that completed runs hold already, by what they are known by: the key of strategy, candles and rules."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...io.catalog_store import rows
from ...io.catalog_strategies import STRATEGIES, index_of, united
from ...io.errors import IntegrityError, MissingError
from ...io.manifest import COMPLETED
from ...io.runs import read_entry, run_folders
from ...io.traces import Idx, Place, Val, read_traces
from .listing import Where

_WHERE = ("trace_key", "trace_run", "trace_path", "strategy", "trace_row", "changes", "first_idx")
_HELD = f"""
SELECT r.path, {", ".join(f"s.{name}" for name in _WHERE)} FROM catalog.strategies s JOIN catalog.runs r USING (run_id)
WHERE s.trace_run = s.run_id AND list_contains($digests, s.data_digest) AND s.trace_key IS NOT NULL
"""
_KNOWN = "SELECT run_id FROM catalog.runs WHERE manifest_digest IS NOT NULL"


@dataclass(frozen=True)
class Kept:
    """A trace that the run in the directory ``run`` holds."""

    run: Path
    where: Where


def kept_traces(runs: Path, digests: Collection[str]) -> dict[str, Kept]:
    """Return the traces of candles with one of these digests that completed runs hold, by trace key.

    Runs come from the catalog, and where it has not been synced since, from their manifests; of several that hold a
    trace it is the newest. A run that is damaged, or gone, holds none.
    """
    found: dict[str, Kept] = {}
    sound: dict[Path, bool] = {}
    for path, key, *where in sorted(_held(runs, digests)):
        run = runs / path
        if run not in sound:
            entry = read_entry(run)
            sound[run] = entry is not None and entry.status == COMPLETED
        if sound[run]:
            found[key] = Kept(run, Where(*where))
    return found


def _held(runs: Path, digests: Collection[str]) -> Iterator[tuple[Any, ...]]:
    """Yield (path of the run, key, where it lies) of each trace of those candles."""
    try:
        known = {run_id for (run_id,) in rows(runs, _KNOWN)}
        yield from rows(runs, _HELD, digests=sorted(digests))
    except (MissingError, IntegrityError):
        known = set()
    for folder in run_folders(runs):
        entry = None if folder.name.partition("=")[2] in known else read_entry(folder)
        if entry is None or entry.manifest is None or entry.manifest.run_type != "traces":
            continue
        _, index = index_of(entry)
        for row in [] if index is None else _own(index, digests):
            yield (f"{folder.parent.name}/{folder.name}", *row)


def _own(index: pa.Table, digests: Collection[str]) -> Iterator[tuple[Any, ...]]:
    """Yield (key, where it lies) of the traces of those candles that lie in the run of an index."""
    for row in united([index]).select(STRATEGIES.names).to_pylist():
        if row["trace_run"] == row["run_id"] and row["trace_key"] and row["data_digest"] in digests:
            yield tuple(row[name] for name in _WHERE)


def read_kept(held: Collection[Kept]) -> list[tuple[Idx, Val]]:
    """Return the changes (idx, val) of kept traces, in order; raises IntegrityError where a file is damaged."""
    held = list(held)
    found: dict[int, tuple[Idx, Val]] = {}
    for run in dict.fromkeys(each.run for each in held):
        mine = [i for i, each in enumerate(held) if each.run == run]
        asked = [(place_of(held[i].where), held[i].where.strategy) for i in mine]
        found |= dict(zip(mine, read_traces(run, asked), strict=True))
    return [found[i] for i in range(len(held))]


def place_of(where: Where) -> Place:
    """Return where a trace lies, as the store reads it."""
    return Place(where.trace_path, where.trace_row, where.changes)
