"""Two runs beside each other, as text of 80 columns and as JSON: what changed, what differs, which trades moved."""

import json as json_format
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..io.errors import UsageError
from ..io.manifest import Manifest
from ..io.runs import RunEntry, find_run, read_manifest
from . import show
from .diff import Change, Difference, changes
from .diff_trades import Metrics, Trades, metrics, trades
from .report_command import Page
from .rerun import Rerun, rerun
from .settings import Store


def show_rerun(
    run: str, alerts: Path | None, candles: Path | None, mem: int | None, store: Store, page: Page
) -> int | None:
    """Do a run again and print whether its results are the same; exit code 4 where they are not."""
    done = rerun(find_run(store.runs, run).path, store, alerts, candles, mem)
    if store.json:
        found = {
            "run_id": done.before.run_id,
            "rerun_id": done.after.run_id,
            "path": str(done.path),
            "identical": not done.differences,
            "differences": [vars(each) for each in done.differences],
            "changes": [vars(each) for each in done.changes],
        }
        print(json_format.dumps(found, indent=2, allow_nan=False))
    else:
        _print_rerun(done)
    page.write(done.path, store)
    return 4 if done.differences else None


def _print_rerun(done: Rerun) -> None:
    out = show.console()
    out.print(f"run        {done.before.run_id}, {done.before.run_type}, {done.before.created_at}")
    out.print(f"rerun      {done.after.run_id}\n           {done.path}", soft_wrap=True)
    _print_changes(done.changes)
    for each in done.differences:
        out.print(f"differs    {difference_line(each)}", soft_wrap=True)
    if not done.differences:
        tables = [f"{a.rows:,} {a.type}" for a in done.after.artifacts if a.rows]
        out.print(f"identical  {', '.join(tables)}", soft_wrap=True)
    elif done.before.artifact("trades") and done.after.artifact("trades"):
        out.print(f"\ntrade by trade: highwater runs diff {done.before.run_id} {done.after.run_id}", soft_wrap=True)


def difference_line(each: Difference) -> str:
    """Return where an artifact differs, with both values to their last digit."""
    place = each.artifact + (f" {each.column}" if each.column else "")
    place += "" if each.row is None else f", row {each.row}"
    return show.plain(f"{place}{f' ({each.key})' if each.key else ''}: {_turn(each.before, each.after)}")


def _turn(before: Any, after: Any) -> str:
    """Return both values, digests cut to 12 digits."""
    old, new = (_text(value) for value in (before, after))
    if len(old) == len(new) == 64:
        old, new = old[:12], new[:12]
    return f"{old} became {new}"


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        return json_format.dumps(value)
    return "nothing" if value is None else str(value)


def _print_changes(found: Iterable[Change]) -> None:
    for each in found:
        for line in _turns(f"{each.kind} {each.what}", each.before, each.after):
            show.console().print(f"changed    {show.plain(line)}", soft_wrap=True)


def _turns(what: str, before: Any, after: Any) -> Iterator[str]:
    """Yield both values, of mappings only those within them that differ: ``policy.trail.pct: 0.25 became 0.3``."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        yield f"{what}: {_turn(before, after)}"
        return
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            yield from _turns(f"{what}.{name}", before.get(name), after.get(name))


def show_diff(root: Path, first: str, second: str, top: int, json: bool) -> int | None:
    """Print how two runs differ: their trades where both have some, else the metrics of their paths."""
    if top < 0:
        raise UsageError(f"--top is {top}; it must be at least 0")
    entries = [find_run(root, name) for name in (first, second)]
    manifests = [read_manifest(entry.path) for entry in entries]
    if all(manifest.artifact("lab_analytics") for manifest in manifests):
        return _show_labs(entries, manifests, top, json)
    for kind in ("trades", "paths"):
        if all(manifest.artifact(kind) for manifest in manifests):
            break
    else:
        types = " and ".join(f"{manifest.run_id} ({manifest.run_type})" for manifest in manifests)
        raise UsageError(f"runs {types} have neither trades nor paths in common")
    runs, found = (entries[0].path, entries[1].path), changes(*manifests)
    whole = trades(runs, found, top) if kind == "trades" else metrics(runs)
    if json:
        _print_json(entries, manifests, found, whole)
        return None
    _print_head(manifests, found)
    if isinstance(whole, Trades):
        _print_trades(whole)
    else:
        _print_metrics(whole, top)
    return None


def _show_labs(entries: list[RunEntry], manifests: list[Manifest], top: int, json: bool) -> None:
    """Print how two runs of labs differ, backtest by backtest."""
    from .labs.diff import show_pairs

    found = changes(*manifests)
    if not json:
        _print_head(manifests, found)
    show_pairs(entries, found, top, json)


def _print_head(manifests: list[Manifest], found: Iterable[Change]) -> None:
    for label, manifest in zip(("first", "second"), manifests, strict=True):
        show.console().print(f"{label:<10} {manifest.run_id}, {manifest.run_type}, {manifest.created_at}")
    _print_changes(found)
    print()


def _print_trades(found: Trades) -> None:
    out = show.console()
    totals = found.totals.to_pylist()
    whole = {"reason": "all", **{name: sum(row[name] for row in totals) for name in ("trades", *_SUMS)}}
    cells = [
        [row["reason"], f"{row['trades']:,}", *(show.percent(row[name] / 1e6, 2) for name in _SUMS)]
        for row in [*totals, whole]
    ]
    out.print(
        show.table("Trades, and the sums of their returns", ["why", "trades", "first", "second", "change"], cells)
    )
    rows = found.rows.to_pylist()
    if not rows:
        return
    cells = [
        [
            row["reason"],
            f"{row['first_exit_reason'] or '-'} > {row['second_exit_reason'] or '-'}",
            row["call_id"],
            *(show.bps(row[f"{side}_realized_return_bps"]) for side in ("first", "second")),
            show.percent(row["change_q"] / 1e6),
        ]
        for row in rows
    ]
    out.print()
    out.print(show.table("The largest changes", ["why", "exits", "call", "first", "second", "change"], cells, left=3))


_SUMS = ("first_q", "second_q", "change_q")


def _print_metrics(found: Metrics, top: int) -> None:
    out = show.console()
    out.print(
        f"{found.alerts:,} alerts in both; {found.only[0]:,} only in the first, {found.only[1]:,} only in the second"
    )
    if found.columns:
        out.print(f"columns that only one run has: {', '.join(found.columns)}")
    if not found.metrics:
        out.print("their path metrics are the same")
        return
    most = sorted(found.metrics, key=lambda each: -each.alerts)[:top]
    cells = [[m.name, m.call_id, f"{m.alerts:,}", _short(m.before), _short(m.after)] for m in most]
    heads = ["metric", "call where it moved most", "alerts", "first", "second"]
    out.print(show.table(f"{len(found.metrics)} metrics differ", heads, cells, left=2))
    if len(most) < len(found.metrics):
        out.print(f"and {len(found.metrics) - len(most)} more; --top shows them")


def _short(value: Any) -> str:
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _print_json(
    entries: list[RunEntry], manifests: list[Manifest], found: tuple[Change, ...], whole: Trades | Metrics
) -> None:
    sides = [
        {"run_id": manifest.run_id, "run_type": manifest.run_type, "path": str(entry.path)}
        for entry, manifest in zip(entries, manifests, strict=True)
    ]
    said: dict[str, Any] = {"first": sides[0], "second": sides[1], "changes": [vars(each) for each in found]}
    if isinstance(whole, Trades):
        said |= {"totals": _rows(whole.totals), "rows": _rows(whole.rows)}
    else:
        said |= vars(whole) | {"metrics": [vars(each) for each in whole.metrics]}
    print(json_format.dumps(said, indent=2, allow_nan=False))


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return the rows as JSON values; sums in millionths of a stake as basis points."""
    return [
        {
            f"{k.removesuffix('_q')}_bps" if k.endswith("_q") else k: v / 100 if k.endswith("_q") else v
            for k, v in row.items()
        }
        for row in table.to_pylist()
    ]
