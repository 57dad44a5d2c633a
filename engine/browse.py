"""Published runs, slices and candle files as a reader meets them: listed, shown, checked."""

import json as json_format
import textwrap
from collections import Counter
from pathlib import Path

from ..io import files
from ..io.alerts import read_alerts
from ..io.candle_rows import candle_files, size_of
from ..io.candles import CandleOptions, read_candles
from ..io.columns import bar_name
from ..io.errors import MissingError, UsageError
from ..io.manifest import Manifest, made_at, utc_text
from ..io.remote import origin_of
from ..io.runs import NEWER, UNVERIFIED, Finding, RunEntry, find_run, list_runs, read_artifact, read_manifest, verify
from ..io.searches import stopped, unfinished
from ..io.slice_export import export
from ..io.slices import Slice, open_slice, slices
from ..io.slices import verify as verify_slice
from . import glance, show
from .progress import progress
from .values import show_instant


def show_runs(root: Path, limit: int, json: bool) -> int | None:
    """Print the runs below ``root``, newest first, damaged ones with the reason; before them unfinished searches."""
    entries = list_runs(root)
    searches = [
        {
            "run_id": one.run_id,
            "status": "running" if one.held else "interrupted",
            "reason": "" if one.held else stopped(one.path, root),
            "run_type": "search",
            "created_at": utc_text(made_at(one.run_id)),
            "alerts": None,
            "trades": None,
            "path": str(one.path),
        }
        for one in unfinished(root)
    ]
    rows = [
        {
            "run_id": e.run_id,
            "status": e.status,
            "reason": e.reason,
            "run_type": e.manifest.run_type if e.manifest else None,
            "created_at": e.manifest.created_at if e.manifest else None,
            "alerts": e.manifest.counts.get("OK") if e.manifest else None,
            "trades": e.manifest.counts.get("trades", e.manifest.counts.get("OK")) if e.manifest else None,
            "path": str(e.path),
        }
        for e in entries
    ]
    rows = [*searches, *rows][:limit]
    if json:
        print(json_format.dumps(rows, indent=2))
        return None
    if not rows:
        print(f"no run in {origin_of(root)}; highwater demo makes some")
        return None
    cells = [
        [r["run_id"], r["run_type"] or "-", r["status"], (r["created_at"] or "-")[:19], f"{r['trades'] or 0:,}"]
        for r in rows
    ]
    out = show.console()
    out.print(
        show.table(f"Runs in {origin_of(root)}", ["run", "type", "status", "created (UTC)", "trades"], cells, left=4)
    )
    for r in rows:
        if r["reason"]:
            out.print(f"{r['run_id']}: {show.plain(r['reason'])}", soft_wrap=True)
    return None


def show_run(root: Path, name: str, artifact: str | None, json: bool) -> int | None:
    """Print one run, after checking that its files are what was published; exit code 4 if they are not."""
    entry = find_run(root, name)
    manifest = read_manifest(entry.path)
    broken = [finding for finding in verify(entry.path) if finding.level == "error"]
    if json:
        found = json_format.loads(manifest.to_json())
        if artifact:
            found = show.rows_of(read_artifact(entry.path, artifact))
        print(json_format.dumps(found, indent=2, allow_nan=False))
    elif artifact:
        table = read_artifact(entry.path, artifact)
        show.console().print(show.table(artifact, ["column", "type", "first rows"], _columns(table), left=3))
    else:
        _print_manifest(manifest, entry.path)
        if not broken:
            _print_glance(manifest, entry.path)
    for finding in broken:
        show.console().print(f"corrupt: {finding.path}: {finding.problem}", soft_wrap=True)
    return 4 if broken else None


def check_runs(root: Path, name: str | None, every: bool, content: bool, json: bool) -> int | None:
    """Verify one run, or all below ``root``, and print what is wrong; exit code 4 where anything is."""
    if every == (name is not None):
        raise UsageError("name one run (its id, or latest), or give --all")
    checked = []
    for entry in list_runs(root) if name is None else [find_run(root, name)]:
        try:
            findings = verify(entry.path, content)
        except MissingError:
            if every:  # removed since it was listed
                continue
            raise
        checked.append({"run_id": entry.run_id, "path": str(entry.path), "findings": [vars(each) for each in findings]})
        if not json:
            _print_check(entry, findings)
    broken = sum(any(each["level"] == "error" for each in one["findings"]) for one in checked)
    if json:
        print(json_format.dumps(checked, indent=2))
    elif every:
        print(f"{len(checked):,} runs, {broken:,} of them not as published")
    return 4 if broken else None


def _print_check(entry: RunEntry, findings: list[Finding]) -> None:
    out = show.console()
    if not any(finding.level == "error" for finding in findings) and entry.manifest:
        files = entry.manifest.artifacts
        size = show.size(sum(artifact.bytes for artifact in files))
        out.print(f"{entry.run_id}  {entry.status}, {len(files)} files of {size} are as published")
    for finding in findings:
        found = entry.status if entry.status in (UNVERIFIED, NEWER) else "corrupt"
        word = found if finding.level == "error" else finding.level
        out.print(f"{entry.run_id}  {word}: {finding.path}: {show.plain(finding.problem)}", soft_wrap=True)


def _columns(table) -> list[list[str]]:
    shown = table.slice(0, 3)
    return [
        [field.name, str(field.type), ", ".join("-" if v is None else str(v) for v in shown[field.name].to_pylist())]
        for field in table.schema
    ]


def _print_manifest(manifest: Manifest, path: Path) -> None:
    out = show.console()
    out.print(f"run      {manifest.run_id}\n         {path}", soft_wrap=True)
    out.print(f"type     {manifest.run_type}, {manifest.status}, {manifest.created_at}")
    out.print(f"command  highwater {' '.join(show.plain(word) for word in manifest.command)}", soft_wrap=True)
    out.print(
        f"config   {manifest.config_digest[:12]}; code {manifest.code.version} {(manifest.code.git_commit or '')[:12]}"
    )
    for one in manifest.inputs:
        rows = f"{one.rows:,} rows" if one.rows is not None else ""
        out.print(f"input    {one.kind} {show.plain(one.source)}, {rows}, digest {one.digest[:12]}", soft_wrap=True)
    counts = ", ".join(f"{name}\xa0{n:,}" for name, n in manifest.counts.items() if n)
    out.print(textwrap.fill(f"counts   {counts}", 80, subsequent_indent=" " * 9).replace("\xa0", " "))
    for name, value in manifest.config.items():
        if value is not None:
            out.print(f"         {name} = {json_format.dumps(value)}")
    cells = [[a.type, a.path, "-" if a.rows is None else f"{a.rows:,}", show.size(a.bytes)] for a in manifest.artifacts]
    out.print()
    out.print(show.table("Artifacts", ["type", "file", "rows", "size"], cells, left=2))


def _print_glance(manifest: Manifest, path: Path) -> None:
    out = show.console()
    out.print()
    for line in glance.lines(path, manifest):
        out.print(line, soft_wrap=True)


def check_candles(source: Path, options: CandleOptions, json: bool, limit: int) -> int | None:
    """Print what is in a candle file and what is wrong with it; exit code 3 where no series can be used."""
    with progress("reading candles, bytes", sum(map(size_of, candle_files(source)))) as advance:
        found = read_candles(source, None, options, lambda done, _: advance(done // 2))  # the rest is judging them
    bad = Counter()
    for report in found.reports:
        bad.update(report.bad_kinds)
        for name in ("dup_identical", "dup_conflict", "unsorted", "bad_volume", "off_grid"):
            bad[name] += getattr(report, name)
    usable = [r for r in found.reports if r.rows_out]
    whole = {
        "source": str(source),
        "interval_ms": found.interval_ms,
        "series": len(found.reports),
        "usable": len(usable),
        "rows_in": sum(r.rows_in for r in found.reports),
        "rows_out": sum(r.rows_out for r in found.reports),
        "first": min((r.first_ts for r in usable if r.first_ts is not None), default=None),
        "last": max((r.last_ts for r in usable if r.last_ts is not None), default=None),
        "problems": {name: n for name, n in sorted(bad.items()) if n},
    }
    notes = [r for r in found.reports if r.message]
    if json:
        whole["series_notes"] = [{"token": r.token, "error": r.error, "message": r.message} for r in notes[:limit]]
        print(json_format.dumps(whole, indent=2))
        return None if usable else 3
    out = show.console()
    out.print(f"file     {source}", soft_wrap=True)
    out.print(f"series   {whole['series']:,}, {whole['usable']:,} usable; candles of {bar_name(found.interval_ms)}")
    out.print(f"rows     {whole['rows_in']:,} read, {whole['rows_out']:,} usable")
    if usable:
        out.print(f"period   {show_instant(whole['first'])} to {show_instant(whole['last'])} (UTC, by the open)")
    problems = ", ".join(f"{n:,}\xa0{name}" for name, n in whole["problems"].items()) or "none"
    out.print(textwrap.fill(f"problems {problems}", 80, subsequent_indent=" " * 9).replace("\xa0", " "))
    for r in notes[:limit]:
        out.print(f"  {show.plain(r.message if r.error else f'{r.token}: {r.message}')}", soft_wrap=True)
    if len(notes) > limit:
        out.print(f"  and {len(notes) - limit:,} more series with notes")
    return None if usable else 3


def check_alerts(source: Path, unit: str | None, json: bool) -> int | None:
    """Print what is in a file of alerts; exit code 3 where none of its rows is one."""
    found = read_alerts(source, time_unit=unit, chain="unknown")
    ts = found.table["alert_ts_ms"].to_pylist()
    whole = {
        "source": found.place,
        "alerts": len(ts),
        "callers": len(set(found.table["caller_name"].to_pylist())),
        "tokens": len(set(found.table["mint"].to_pylist())),
        "first": min(ts, default=None),
        "last": max(ts, default=None),
        "rows": {name: n for name, n in found.counts.items() if n},
    }
    if json:
        print(json_format.dumps(whole, indent=2))
    else:
        out = show.console()
        out.print(f"file     {whole['source']}", soft_wrap=True)
        out.print(f"alerts   {len(ts):,} of {whole['callers']:,} callers on {whole['tokens']:,} tokens")
        if ts:
            out.print(f"period   {show_instant(min(ts))} to {show_instant(max(ts))} (UTC)")
        out.print("rows     " + ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in whole["rows"].items()))
    return None if ts else 3


def holds_candles(source: Path) -> bool:
    """Return whether a file is to be read as candles: a directory, or a table with a column of opens or closes."""
    if source.is_dir():
        return True
    if not source.name.lower().endswith(tuple(files.KINDS)):
        return False
    names = {name.lower() for name in files.schema(source).names}
    return bool(names & {"open", "high", "low", "close"})


def show_slices(folder: Path, json: bool) -> int | None:
    """Print the slices in ``folder``."""
    found = list(slices(folder))
    if json:
        print(json_format.dumps([_slice_row(one) for one in found], indent=2))
        return None
    cells = [
        [one.path.name, bar_name(f.interval_ms), f"{len(f.tokens):,}", f"{f.rows:,}", show.size(f.bytes)]
        for one in found
        for f in [one.facts]
    ]
    if not cells:
        print(f"no slice in {origin_of(folder)}")
        return None
    show.console().print(
        show.table(f"Slices in {origin_of(folder)}", ["slice", "candles", "tokens", "rows", "size"], cells)
    )
    return None


def _slice_row(one: Slice) -> dict[str, object]:
    facts = one.facts
    return {
        "path": str(one.path),
        "fingerprint": facts.fingerprint,
        "content_sha256": facts.content_sha256,
        "interval_ms": facts.interval_ms,
        "tokens": len(facts.tokens),
        "rows": facts.rows,
        "bytes": facts.bytes,
        "from_ms": facts.from_ms,
        "to_ms": facts.to_ms,
    }


def check_slices(folder: Path) -> int | None:
    """Hash the candles of every slice in ``folder``; raises IntegrityError at the first that is not what was cut."""
    count = 0
    for one in slices(folder):
        verify_slice(one)
        count += 1
    print(f"{count} slice{'s' * (count != 1)} as cut")
    return None


def export_slice(path: Path, folder: Path, partitioned: bool) -> int | None:
    """Write a slice as Parquet and print where."""
    print(export(open_slice(path), folder, partitioned))
    return None
