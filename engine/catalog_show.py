"""What the commands of the catalog print."""

import json as json_format
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console

from ..io.catalog import SyncReport
from ..io.catalog import sync as sync_catalog
from ..io.catalog_rows import CatalogRun
from ..io.catalog_sql import ask
from ..io.remote import origin_of
from . import catalog, show


def sync(folder: Path, stats: bool, json: bool) -> int | None:
    """Bring the catalog up to date and print what changed, every run that is not served with the reason."""
    report = sync_catalog(folder)
    held = catalog.statistics(folder) if stats else None
    if json:
        whole = asdict(report) | {"corrupt": [_bad(report, i) for i in range(len(report.corrupt))]}
        print(json_format.dumps(whole | ({"statistics": asdict(held)} if held else {}), indent=2))
        return None
    out = show.console()
    found = report.registered + report.updated + report.unchanged
    if report.damage:
        out.print(f"✓ The catalog was damaged and has been rebuilt from {_runs(found)}: {show.plain(report.damage)}")
    elif report.fresh:
        out.print("✓ Initialized catalog tables")
    out.print(f"✓ Registered {_runs(report.registered)}")
    out.print(f"✓ Updated {report.updated:,}, unchanged {report.unchanged:,}, removed {report.removed:,}")
    if report.failed:
        out.print(f"✓ {_runs(report.failed)} among them failed")
    out.print(f"{'✗' if report.corrupt else '✓'} Skipped {_runs(len(report.corrupt))}")
    for entry in report.corrupt:
        out.print(f"  {entry.status} {show.plain(entry.reason)}", soft_wrap=True)
    if held:
        _statistics(held)
    return None


def _runs(number: int) -> str:
    return f"{number:,} run{'' if number == 1 else 's'}"


def _bad(report: SyncReport, i: int) -> dict[str, str]:
    entry = report.corrupt[i]
    return {"run_id": entry.run_id, "path": str(entry.path), "status": entry.status, "reason": entry.reason}


def _statistics(held: catalog.Statistics) -> None:
    out, by = show.console(), held.by_status
    out.print("\nCatalog Statistics:")
    out.print(f"  Total runs: {sum(by.values()):,}")
    for status in ("completed", "failed", *(name for name in by if name not in ("completed", "failed"))):
        out.print(f"  {status.capitalize()}: {by.get(status, 0):,}")
    out.print(f"  By type: {_counts(held.by_type)}", soft_wrap=True)
    out.print(f"  Total artifacts: {sum(held.artifacts.values()):,}")
    out.print(f"  By type: {_counts(held.artifacts)}", soft_wrap=True)


def _counts(counts: dict[str, int]) -> str:
    return f"{{ {', '.join(f'{json_format.dumps(name)}: {n}' for name, n in counts.items())} }}"


def runs(folder: Path, found: Sequence[CatalogRun], one: bool, json: bool) -> int | None:
    """Print runs, and where one was asked for and found, its artifacts."""
    listed = catalog.artifacts_of(folder, found[0]) if one and len(found) == 1 else []
    if json:
        whole = [asdict(run) | {"path": str(folder / run.path)} for run in found]
        if listed:
            whole[0]["artifacts"] = [asdict(each) for each in listed]
        print(_document(whole))
        return None
    out = show.console()
    if not found:
        out.print(
            f"no such run in the catalog of {origin_of(folder)}; highwater catalog sync finds new ones", soft_wrap=True
        )
        return None
    cells = [
        [
            r.run_id,
            r.run_type or "-",
            r.status,
            str(r.created_at or "-")[:19],
            "-" if r.calls is None else f"{r.calls:,}",
        ]
        for r in found
    ]
    out.print(
        show.table(f"Runs in {origin_of(folder)}", ["run", "type", "status", "created (UTC)", "calls"], cells, left=4)
    )
    for run in found:
        if run.reason:
            out.print(f"{run.run_id}: {show.plain(run.reason)}", soft_wrap=True)
    if listed:
        place = folder / found[0].path
        cells = [
            [each.artifact_type, each.path.relative_to(place).as_posix(), f"{each.rows or 0:,}", show.size(each.bytes)]
            for each in listed
        ]
        out.print(f"\n{place}", soft_wrap=True)
        out.print(show.table("Artifacts", ["type", "file", "rows", "size"], cells, left=2))
    return None


def paths(folder: Path, found: Sequence[CatalogRun], kind: str, json: bool) -> int | None:
    """Print where an artifact of each run lies; exit code 4 where a file is not what was saved, 2 without any.

    A run that was removed since the catalog was synced is told of, and is no damage.
    """
    pairs = [(folder / run.path, each) for run in found for each in catalog.artifacts_of(folder, run, kind)]
    listed = [each for _, each in pairs]
    if json:
        print(_document([asdict(each) for each in listed]))
    for each in listed:
        if each.problem:
            print(f"highwater: {show.plain(each.problem)}; highwater catalog sync", file=sys.stderr)
        elif not json:
            print(each.path)
    if not listed:
        print(f"highwater: no such run has an artifact {show.plain(kind)!r}", file=sys.stderr)
        return 2
    return 4 if any(each.problem and run.is_dir() for run, each in pairs) else None


def answer(folder: Path, statement: str, limit: int, mem: int, timeout: int, json: bool) -> int | None:
    """Print what a statement finds: a table where it fits the terminal, else one line a value."""
    found = ask(folder, statement, limit, mem, timeout)
    for problem in found.left_out:
        print(f"highwater: left out: {show.plain(problem)}; highwater catalog sync", file=sys.stderr)
    if json:
        print(_document(found.table.to_pylist()))
    else:
        _print_rows(found.table)
    if found.cut:
        print(f"highwater: there are more than {limit:,} rows; --limit raises that", file=sys.stderr)
    return None


def _print_rows(table: pa.Table) -> None:
    out = show.console()
    cells = [[_text(value) for value in row.values()] for row in table.to_pylist()]
    numeric = [pa.types.is_integer(f.type) or pa.types.is_floating(f.type) for f in table.schema]
    left = numeric.index(True) if True in numeric else len(numeric)
    made = show.table("", table.column_names, cells, left=max(left, 1))
    made.title = None
    if Console(width=10_000).measure(made).maximum <= out.width:
        out.print(made)
        return
    width = max(map(len, table.column_names))
    for row in cells:
        for name, value in zip(table.column_names, row, strict=True):
            out.print(f"{name:<{width}}  {show.plain(value)}", soft_wrap=True)
        out.print()


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "-" if value is None else str(value)


def _document(rows: Any) -> str:
    return json_format.dumps(_plain(rows), indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: times in ISO 8601 and UTC, null for what is no number."""
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds") + ("Z" if value.tzinfo is None else "")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
