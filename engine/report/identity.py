"""What a run is and where it came from: its digests, its inputs, its rules and costs, its warnings, its settings."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ..show import size
from ..values import show_instant
from .parts import Part, Section, Table, cell, facts
from .read import Read, rows

MOST = 500  # rows of what was left out


def identity(run: Read) -> Section:
    """Return the section that says by what a run can be found, proved and done again."""
    manifest = run.manifest
    code, place = manifest.code, manifest.environment
    commit = f", commit {code.git_commit[:12]}{' with changes' if code.dirty else ''}" if code.git_commit else ""
    pairs = [
        ("run", manifest.run_id),
        ("command", f"highwater {' '.join(manifest.command)}"),
        ("made", f"{manifest.created_at}, type {manifest.run_type}"),
        ("settings", f"sha256 {manifest.config_digest}"),
        ("code", f"Highwater {code.version}{commit}; kernels {code.kernels_digest[:12]}"),
        (
            "on",
            f"Python {place.python}, numba {place.numba}, numpy {place.numpy}, pyarrow {place.pyarrow}; {place.cpu}",
        ),
    ]
    inputs = [
        [
            cell(each.kind),
            cell(each.source, None, "digest"),
            cell(f"{each.rows:,}" if each.rows is not None else None, each.rows),
            cell(_period(each)),
            cell(each.digest, None, "digest"),
        ]
        for each in manifest.inputs
    ]
    files = [
        [
            cell(each.type),
            cell(each.path),
            cell(f"{each.rows:,}" if each.rows is not None else None, each.rows),
            cell(size(each.bytes), each.bytes),
            cell(each.sha256, None, "digest"),
        ]
        for each in manifest.artifacts
    ]
    return Section(
        "run",
        "Run",
        [
            facts("Recipe", pairs, wide=True),
            Table("Inputs", ("what", "from", "rows", "period", "sha256"), inputs, left=2, wide=True),
            Table(
                "Files",
                ("type", "file", "rows", "size", "sha256"),
                files,
                left=2,
                fold=f"{len(files)} files, with their digests",
            ),
        ],
        lead="highwater runs verify proves the files of a run; highwater runs rerun makes it again.",
    )


def _lines(run: Read) -> Iterator[tuple[str, str]]:
    """Yield what the run's log says of its data, fills and costs."""
    for line in run.text("log").splitlines():
        name, _, text = line.partition(" ")
        if text.strip():
            yield name, text.strip()


def _period(one: Any) -> str:
    if one.from_ms is None or one.to_ms is None:
        return "–"
    return f"{show_instant(one.from_ms)} to {show_instant(one.to_ms)}"


def left_out(run: Read) -> Section | None:
    """Return what was left out and why, and notes on the data; None where there is neither."""
    found = list(rows(run.table("errors"), ("level", "phase", "call_id", "message"))) if run.has("errors") else []
    if not found:
        return None
    lost = [row for row in found if row["level"] != "info"]
    named = (
        dict(zip(*(run.table("alerts")[name].to_pylist() for name in ("call_id", "caller_name")), strict=True))
        if run.has("alerts")
        else {}
    )
    parts: list[Part] = []
    if lost:
        why = Counter(row["message"] if row["call_id"] else row["phase"] for row in lost)
        ordered = sorted(why.items(), key=lambda each: (-each[1], each[0]))
        counts = [[cell(text, None, "wrap"), cell(f"{n:,}", n)] for text, n in ordered]
        parts.append(Table("Why", ("reason", "count"), counts))
        each = [
            [cell(row["call_id"]), cell(named.get(row["call_id"])), cell(row["message"], None, "wrap")]
            for row in lost[:MOST]
        ]
        heads = ("alert", "caller", "why") if run.has("alerts") else ("", "", "why")
        parts.append(
            Table("Left out", heads, each, left=3, fold=f"each of {len(lost):,}{_first(len(lost))}", find=True)
        )
    notes = [row for row in found if row["level"] == "info"]
    if notes:
        each = [[cell(row["phase"]), cell(row["message"], None, "wrap")] for row in notes[:MOST]]
        parts.append(
            Table("Notes", ("on", "what"), each, left=2, fold=f"{len(notes):,} notes on the data{_first(len(notes))}")
        )
    title = "Excluded alerts" if run.has("alerts") else "Left out"
    return Section(
        "excluded", title, parts, lead="Nothing is left out silently: these made no trade, for these reasons."
    )


def _first(count: int) -> str:
    return f", the first {MOST}" if count > MOST else ""


def told(run: Read) -> list[tuple[str, str]]:
    """Return what a page says first of its run: what was read, the rules, the costs, and its digests."""
    digests = [f"{each.kind} {each.digest[:12]}" for each in run.manifest.inputs if each.kind != "series"]
    return [*_lines(run), ("digests", ", ".join([f"settings {run.manifest.config_digest[:12]}", *digests]))]


def warnings(run: Read) -> list[str]:
    """Return what a reader must know before any number."""
    manifest, found = run.manifest, []
    if manifest.code.dirty:
        found.append("made by code with changes that no commit holds")
    if peeks := manifest.holdout_peeks:
        found.append(f"the holdout of these alerts was looked at {peeks} time{'s' * (peeks != 1)}")
    if run.has("errors"):
        lost = Counter(
            row["phase"] for row in rows(run.table("errors"), ("level", "phase")) if row["level"] == "warning"
        )
        found += [f"{n:,} left out at {phase}: see what is excluded, below" for phase, n in sorted(lost.items())]
    if manifest.config.get("costs") == "legacy":
        found.append("costs are charged as older engines did")
    return [f"{text[0].upper()}{text[1:]}." for text in found]


def config(run: Read) -> Section:
    """Return every setting that decides the results."""
    found = [
        [cell(name), cell(value if isinstance(value, str) else json.dumps(value))]
        for name, value in leaves(run.manifest.config)
    ]
    return Section("config", "Config", [Table("Config", (), found, left=2, fold=f"{len(found)} settings", words=True)])


def leaves(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the settings of nested ones, under dotted names."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{before}{name}.")
        else:
            yield before + name, value
