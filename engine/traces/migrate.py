"""An older workspace of traces brought over into a run: what each file becomes, and why some cannot."""

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...io import schemas
from ...io.digest import canonical_json
from ...io.errors import DataError, HighwaterError
from ...io.manifest import COMPLETED, Input, utc_text
from ...io.old_traces import OldRows, OldTrace, Workspace, as_text, old_traces
from ...io.publish import Stage, stage
from ...io.runs import read_entry, run_folders
from ...io.trace_schemas import INDEX
from ...io.traces import About, TraceFiles, signals_path, signals_table, trace_files
from ..recipe import FILL_SEMANTICS
from .forms import Strategy
from .grammar import parse_strategy
from .listing import Listed, Named, Of, Where, index_table
from .rule import Value

SEMANTICS = "migrated"  # of a trace that another engine made
_IDLE = {"bollinger_bands": {"exit_threshold"}}  # parameters that the older engines took and no rule of theirs read
_SAID = {"type", "parameters", "name", "strategy_type"}  # keys of a config that say a rule and its parameters only


@dataclass(frozen=True)
class Fate:
    """What becomes of a file: ``strategy`` None and why in ``reason``, else how it is listed; ``rows`` of it.

    A listed one may have a ``reason`` too: why its config cannot be read, so that it has no hash.
    """

    path: str
    sha256: str
    strategy: Named | None
    series: str
    rows: int
    reason: str


@dataclass(frozen=True)
class Brought:
    """What became of a workspace: the fate of each file, the digest of all, and the run that has them, if any."""

    fates: tuple[Fate, ...]
    digest: str
    run_id: str | None = None
    path: Path | None = None


def plan(workspace: Workspace) -> Brought:
    """Return what would become of each file of a workspace; nothing is written."""
    fates = tuple(fate for fate, _ in _fates(workspace))
    return Brought(fates, _digest(workspace, fates))


def holder(runs: Path, digest: str) -> str | None:
    """Return the run that a workspace with this digest was brought into before, None without one."""
    for folder in run_folders(runs):
        entry = read_entry(folder)
        inputs = entry.manifest.inputs if entry and entry.manifest and entry.status == COMPLETED else ()
        if entry and any((one.kind, one.digest) == ("workspace", digest) for one in inputs):
            return entry.run_id
    return None


def migrate(workspace: Workspace, runs: Path, command: tuple[str, ...]) -> Brought:
    """Bring a workspace over into a run of type traces; nothing of the workspace is changed.

    Its traces keep their times and prices, in a file each. Raises DataError where no file can be read.
    """
    fates: list[Fate] = []
    rows: list[Listed] = []
    with stage(runs, "traces") as s:
        with trace_files(s) as files:
            numbers = itertools.count()
            for fate, old in _fates(workspace):
                fates.append(fate)
                if fate.strategy is not None and old.rows is not None:
                    rows.append(_write(s, files, next(numbers), fate.strategy, old, old.rows, workspace))
        if not rows:
            raise DataError(f"{workspace.path}: none of {len(fates):,} files can be brought over: {fates[0].reason}")
        digest = _digest(workspace, fates)
        s.write("strategy_index", index_table(rows, s.run_id))
        s.write("errors", _errors(fates, s.run_id))
        lines = [f"workspace {workspace.path}", f"traces    {len(rows):,} of {len(fates):,} files", ""]
        s.write_file("logs/run.log", "\n".join(lines).encode(), "log")
        path = s.publish(
            config={
                "fill_semantics": FILL_SEMANTICS,
                "trace_semantics": SEMANTICS,
                "workspace": str(workspace.metadata.get("workflow_id", workspace.path.name)),
                "performance": False,
            },
            command=command,
            inputs=(Input("workspace", str(workspace.path), digest, len(fates)),),
            counts={
                "traces": len(rows),
                "left": len(fates) - len(rows),
                "unknown": sum(row.named.strategy_hash is None for row in rows),
                "changes": sum(row.where.changes for row in rows),
            },
        )
    return Brought(tuple(fates), digest, s.run_id, path)


def _digest(workspace: Workspace, fates: Any) -> str:
    return workspace.digest({fate.path: fate.sha256 for fate in fates})


def _fates(workspace: Workspace) -> Iterator[tuple[Fate, OldTrace]]:
    """Yield what becomes of each file, and the file."""
    taken: set[tuple[str, str, str]] = set()
    for old in old_traces(workspace):
        if old.rows is None:
            yield Fate(old.path, old.sha256, None, "", 0, old.problem), old
            continue
        names = (old.strategy_id, Path(old.path).stem, old.path)
        name = next(each for each in names if (old.symbol, old.timeframe, each) not in taken)
        taken.add((old.symbol, old.timeframe, name))
        named, reason = _named(old, name)
        yield Fate(old.path, old.sha256, named, f"{old.symbol} {old.timeframe}", old.rows.idx.size, reason), old


def _named(old: OldTrace, strategy_id: str) -> tuple[Named, str]:
    """Return how a file is listed, and why its config cannot be read, '' where it can."""
    reasons = []
    for read in _READ:
        found = read(old)
        if isinstance(found, Strategy):
            config = canonical_json(found.config).decode()
            named = Named(
                strategy_id, found.strategy_hash, found.strategy_type, config, found.parameters, found.constraints
            )
            return named, ""
        reasons.append(found)
    component = old.component or {}
    config = as_text({"type": old.kind, "file": old.path, "metadata": component})
    kind = component.get("strategy_type")
    kind = kind if isinstance(kind, str) and kind else old.kind
    return Named(strategy_id, None, kind, config, _parameters(component)), reasons[0]


def _from_component(old: OldTrace) -> Strategy | str:
    """Return the strategy that metadata.json describes, or why it does not."""
    if old.component is None:
        return "metadata.json does not name it"
    parameters, full = _parameters(old.component), old.component.get("full_config")
    if not parameters:
        return "metadata.json does not say its parameters"
    more = sorted(set(full) - _SAID) if isinstance(full, dict) else []
    if more:
        return f"its config says {', '.join(more)} too, which has no place here"
    if len(parameters) < len(_given(old.component)):
        return "its parameters are not all numbers"
    kind = str(old.component.get("strategy_type") or old.kind)
    return _parsed({kind: {name: value for name, value in parameters.items() if name not in _IDLE.get(kind, ())}})


def _from_file(old: OldTrace) -> Strategy | str:
    """Return the strategy that the file's own metadata describe, or why they do not."""
    try:
        config = json.loads((old.told or {}).get("strategy_config", ""))
    except (ValueError, RecursionError):
        return "the file does not say its config"
    return _parsed(config)


_READ: tuple[Callable[[OldTrace], Strategy | str], ...] = (_from_component, _from_file)


def _parsed(config: Any) -> Strategy | str:
    try:
        return parse_strategy(config, "its config")
    except HighwaterError as error:
        return str(error)


def _given(component: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a component, those of the engine itself (``_strategy_type``) left out."""
    found = component.get("parameters")
    found = found if isinstance(found, dict) else {}
    return {name: value for name, value in found.items() if not name.startswith("_")}


def _parameters(component: Mapping[str, Any]) -> dict[str, Value]:
    """Return those that can be columns of the index."""
    return {
        name: value
        for name, value in _given(component).items()
        if isinstance(value, int | float) and name.isidentifier() and name.islower() and name not in INDEX
    }


def _write(
    s: Stage, files: TraceFiles, number: int, named: Named, old: OldTrace, rows: OldRows, workspace: Workspace
) -> Listed:
    """Write a trace, and the file that tells all of it; return its row."""
    about = About(
        named.strategy_id,
        named.strategy_hash,
        named.strategy_type,
        named.config,
        None,
        old.symbol,
        old.timeframe,
        None,
        str(workspace.path / old.path),
        SEMANTICS,
        None,
        None,
        None,
    )
    (place,) = files.add(number, [(rows.idx, rows.val)])
    path = signals_path(about)
    s.write("signals", signals_table(about, *rows), path, about.metadata())
    first = int(rows.idx[0]) if rows.idx.size else None
    where = Where(s.run_id, place.path, number, place.first, place.rows, first)
    return Listed(named, Of(old.symbol, old.timeframe, None, None, None, None), where, None, path)


def _errors(fates: list[Fate], run_id: str) -> pa.Table:
    """Return a row for each file that was left, and for each whose config cannot be read."""
    told = [fate for fate in fates if fate.reason]
    rows = [("warning" if fate.strategy is None else "info", f"{fate.path}: {fate.reason}") for fate in told]
    now = utc_text(time.time_ns() // 1_000_000)
    columns = {"level": [row[0] for row in rows], "message": [row[1] for row in rows]}
    columns |= {name: [fixed] * len(rows) for name, fixed in (("timestamp", now), ("phase", "migrate"))}
    columns |= {name: [None] * len(rows) for name in ("call_id", "details")}
    return schemas.table(schemas.ERRORS, columns, run_id)
