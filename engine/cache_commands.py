"""The commands on what runs keep for later runs: cache list, cache clear."""

import json as json_format
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .settings import Store

if TYPE_CHECKING:
    from ..io.cache import Kept

_RUNS = Path("runs")


def cache_list(*, runs: Path = _RUNS, slices: Path | None = None, json: bool = False) -> int | None:
    """List what earlier runs kept for later ones: slices of candles, path metrics, tables; their size and age.

    An export that was interrupted is among them: the command that began it goes on with it. Tables are those that were
    handed over from Python.

    Args:
        runs: Directory of runs.
        slices: Directory of slices (default: .slices in the runs directory).
        json: Print one JSON document instead of text.
    """
    from ..io.cache import exports_in, metrics_in, slices_in, tables_in
    from ..io.tables import FOLDER
    from . import show

    store = Store(runs=runs, slices=slices)
    found = [*slices_in(store.slice_folder), *exports_in(store.slice_folder), *metrics_in(store.cache_folder)]
    found += tables_in(runs / FOLDER)
    if json:
        print(json_format.dumps([_row(one) for one in found], indent=2))
        return None
    now = time.time_ns() // 1_000_000
    cells = [[one.kind, _text(one), show.size(one.bytes), show.span(max(0, now - one.written_ms))] for one in found]
    if not cells:
        print(f"nothing is kept in {store.slice_folder} and {store.cache_folder}")
        return None
    out = show.console()
    out.print(
        show.table(
            f"Kept in {runs if slices is None else f'{runs} and {slices}'}",
            ["kind", "of", "size", "age"],
            cells,
            left=2,
        )
    )
    out.print(_sum(found))
    return None


def cache_clear(
    *,
    with_slices: bool = False,
    runs: Path = _RUNS,
    slices: Path | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> int | None:
    """Remove the path metrics that runs kept; later runs measure again. Runs and their results stay.

    Args:
        with_slices: Remove the slices too, tables handed over from Python, and exports that no process is at: later
            runs read their candles anew, and rerun needs the source's files.
        runs: Directory of runs.
        slices: Directory of slices (default: .slices in the runs directory).
        dry_run: Say what would be removed, and remove nothing.
        json: Print one JSON document instead of text.
    """
    from ..io.cache import exports_in, metrics_in, remove, slices_in, tables_in
    from ..io.locks import is_held
    from ..io.tables import FOLDER

    store = Store(runs=runs, slices=slices)
    found = list(metrics_in(store.cache_folder))
    if with_slices:
        dead = [one for one in exports_in(store.slice_folder) if not is_held(one.files[0])]
        found += [*slices_in(store.slice_folder), *dead, *tables_in(runs / FOLDER)]
    word = "would remove" if dry_run else "removed"
    if not dry_run:
        remove(found)
    if json:
        print(json_format.dumps({word.replace(" ", "_"): [_row(one) for one in found]}, indent=2))
        return None
    for file in (file for one in found for file in one.files):
        print(f"{word} {file}")
    print(f"{word} {_sum(found)}")
    return None


def _sum(found: "list[Kept]") -> str:
    """Return how many files there are of each kind, and their bytes."""
    from ..io.cache import EXPORT, METRICS, SLICE, TABLE
    from . import show

    parts = []
    for kind, name in ((METRICS, METRICS), (SLICE, "slices"), (EXPORT, "unfinished exports"), (TABLE, "tables")):
        some = [one for one in found if one.kind == kind]
        files = sum(len(one.files) for one in some)
        if some or kind == METRICS:
            parts.append(f"{files:,} file{'s' * (files != 1)} of {name}, {show.size(sum(one.bytes for one in some))}")
    return "; ".join(parts)


def _text(one: "Kept") -> str:
    """Return what a slice or path metrics are of, in words."""
    from ..io.cache import EXPORT, TABLE, Origin
    from ..io.columns import bar_name
    from ..io.locks import is_held
    from .values import counted, show_duration

    facts = one.facts
    if one.kind == EXPORT:
        parts = counted(len(list(one.files[0].glob("part_*.arrow"))), "part")
        return f"{parts}; {'more are coming now' if is_held(one.files[0]) else 'the same command goes on from there'}"
    if one.kind == TABLE:
        return one.files[0].name
    if facts is None:
        return f"damaged or of another version: {one.files[0].name}"
    bars = bar_name(facts.interval_ms)
    if isinstance(facts, Origin):
        how = f"{facts.entry}, {show_duration(facts.horizon_ms)}, {len(facts.multiples)} multiples"
        return f"{facts.calls:,} alerts, {bars}, {how}"
    return f"{len(facts.tokens):,} tokens, {bars}, {facts.rows:,} candles"


def _row(one: "Kept") -> dict[str, object]:
    from ..io.cache import TABLE, Origin
    from ..io.manifest import utc_text

    facts = one.facts
    candles = facts.candles if isinstance(facts, Origin) else facts and facts.content_sha256
    return {
        "kind": one.kind,
        "files": [str(file) for file in one.files],
        "of": _text(one),
        "candles": candles,
        "bytes": one.bytes,
        "written": utc_text(one.written_ms),
        "usable": facts is not None or one.kind == TABLE,
    }
