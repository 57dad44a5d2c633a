"""A published run done again: its recipe from its manifest, its inputs by digest, and what came out otherwise."""

import dataclasses
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..io.alert_files import DATABASES
from ..io.alerts import AlertBatch
from ..io.errors import DataError, HighwaterError, IntegrityError, MissingError, UsageError
from ..io.files import SourceFile
from ..io.manifest import COMPLETED, Input, Manifest
from ..io.runs import read_artifact, read_manifest, verify
from ..io.slices import Slice, open_slice
from ..io.slices import verify as verify_slice
from . import recipe, surface_run
from .baseline import path_columns
from .diff import Change, Difference, changes, differences
from .policy import parse_policy
from .run import FILL_SEMANTICS, Outcome, run_baseline, run_strategy, run_sweep
from .settings import Sources, Store, Trading
from .space import space_in
from .sweep import planned

Config = Mapping[str, Any]
Work = tuple[Sources, Trading, Store]


@dataclass(frozen=True)
class Rerun:
    """A run and the run that repeated it: where their artifacts part, and what else is not as it was."""

    before: Manifest
    after: Manifest
    path: Path
    differences: tuple[Difference, ...]
    changes: tuple[Change, ...]


def rerun(run: Path, store: Store, alerts: Path | None = None, candles: Path | None = None) -> Rerun:
    """Do the run in the directory ``run`` again as a new run, and compare every artifact but the log by content.

    The alerts are those the run kept, the candles the slice with the run's digest; ``alerts`` and ``candles`` name
    files to read instead, with the run's settings. Raises IntegrityError where the run is not as published,
    MissingError where no slice has its candles, UsageError where it cannot be repeated here.
    """
    manifest = _sound(run)
    sources, trading = settings_of(manifest.config, *(Path(_input(manifest, kind).source) for kind in INPUTS))
    batch = _kept_alerts(run, manifest) if alerts is None else recipe.alerts_of(_reading(sources, alerts))
    sources = dataclasses.replace(sources, alerts=alerts or sources.alerts, candles=candles or sources.candles)
    work = sources, trading, store
    if alerts is None and candles is None:
        piece, reused = _slice_of(run, manifest, work, batch), True
    else:
        piece, reused = recipe.slice_for(batch, _cutting(sources), trading, store)
    named = {"--alerts": alerts, "--candles": candles}
    words = [word for flag, path in named.items() if path is not None for word in (flag, str(path))]
    with _given(sources, batch, piece, reused):
        outcome = AGAIN[manifest.run_type](manifest.config, work, ("runs", "rerun", manifest.run_id, *words))
    after = read_manifest(outcome.path)
    found = differences(run, manifest, outcome.path, after)
    return Rerun(manifest, after, outcome.path, found, changes(manifest, after))


INPUTS = ("alerts", "candles")


def settings_of(config: Config, alerts: Path, candles: Path) -> tuple[Sources, Trading]:
    """Return the settings that a run's config holds; those it does not know keep their defaults."""

    def of(record: type) -> dict[str, Any]:
        names = {field.name: field.name.rstrip("_") for field in dataclasses.fields(record)}
        keys = {field: next((k for k in (name, f"{name}_ms") if k in config), None) for field, name in names.items()}
        return {field: config[key] for field, key in keys.items() if key is not None}

    return Sources(alerts=alerts, candles=candles, **of(Sources)), Trading(**of(Trading))


def _sound(run: Path) -> Manifest:
    """Return the manifest of a run that can be repeated here."""
    manifest = read_manifest(run)
    broken = [finding.problem for finding in verify(run) if finding.level == "error"]
    if broken:
        more = f" (and {len(broken) - 1} more files)" if broken[1:] else ""
        raise IntegrityError(f"run {manifest.run_id} is corrupt: {broken[0]}{more}")
    if manifest.status != COMPLETED:
        raise UsageError(f"run {manifest.run_id} failed ({manifest.error}); it has no result to repeat")
    if manifest.run_type not in AGAIN:
        known = ", ".join(AGAIN)
        raise UsageError(f"run {manifest.run_id} is of type {manifest.run_type}; those that can be repeated: {known}")
    if (rules := manifest.config.get("fill_semantics")) != FILL_SEMANTICS:
        raise UsageError(
            f"run {manifest.run_id} was filled by {rules}, this version fills by {FILL_SEMANTICS}; "
            f"repeat it with version {manifest.code.version}"
        )
    return manifest


def _input(manifest: Manifest, kind: str) -> Input:
    return next(one for one in manifest.inputs if one.kind == kind)


def _kept_alerts(run: Path, manifest: Manifest) -> AlertBatch:
    """Return the alerts of a run as they were read: those it kept, with what became of the others."""
    one = _input(manifest, "alerts")
    counts = {name: n for name, n in manifest.counts.items() if name.islower()}  # statuses are in capitals
    table = read_artifact(run, "alerts").replace_schema_metadata(None)
    return AlertBatch(table, counts, (SourceFile(one.source, 0, one.digest),), one.source)


def _reading(sources: Sources, alerts: Path) -> Sources:
    """Return the settings that read the alerts of another file."""
    database = alerts.suffix.lower() in DATABASES
    chosen = {} if database else {"alerts_table": None, "alerts_query": None}
    return dataclasses.replace(sources, alerts=alerts, **chosen)


def _cutting(sources: Sources) -> Sources:
    """Return the settings that cut a slice from files: a config's interval is that of the slice, after resampling."""
    return sources if sources.resample is None else dataclasses.replace(sources, interval=None)


def _slice_of(run: Path, manifest: Manifest, work: Work, batch: AlertBatch) -> Slice:
    """Return the slice of a run, by the digest of its candles; cut anew from its source where that is still there."""
    sources, trading, store = work
    one = _input(manifest, "candles")
    held = slices_with(store.slice_folder, one.digest, manifest.config["interval_ms"])
    if len(held) > 1:  # the same candles, cut for other alerts or with other ends of the feed
        told = _told(read_artifact(run, "errors"), read_artifact(run, "paths"))
        held = [each for each in held if _tells(work, batch, each) == told] or held
    if held:
        verify_slice(held[0])
        return held[0]
    named = f"the candles of run {manifest.run_id} (slice with digest {one.digest[:12]})"
    where = f"{named} are not in {store.slice_folder}"
    remedy = "name their folder with --slices, or a file to rerun it on with --candles"
    try:
        piece, _ = recipe.slice_for(batch, _cutting(sources), trading, store)
    except (HighwaterError, OSError) as error:
        raise MissingError(f"{where}; {remedy} ({error})", "E_SLICE_GONE") from error
    if piece.facts.content_sha256 != one.digest:
        raise MissingError(f"{where}, and {sources.candles} holds others now; {remedy}", "E_SLICE_GONE")
    return piece


def slices_with(folder: Path, digest: str, interval: int) -> list[Slice]:
    """Return the slices in ``folder`` of candles with this digest and interval, by name; damaged ones are left out."""
    found = []
    for path in sorted(folder.glob("slice_*.arrow")):
        try:
            one = open_slice(path)
        except HighwaterError:
            continue
        if (one.facts.content_sha256, one.facts.interval_ms) == (digest, interval):
            found.append(one)
    return found


def _tells(work: Work, batch: AlertBatch, piece: Slice) -> tuple[list[Any], list[Any]] | None:
    """Return what a run on this slice would tell of what its candles alone do not decide; None where it would fail."""
    try:
        with _given(work[0], batch, piece, True):
            prepared = recipe.prepare(*work)
    except DataError:
        return None
    paths = path_columns(prepared, (), work[2].threads)
    return _told(pa.Table.from_pylist(recipe.excluded(prepared)), pa.table({"coverage": paths["coverage"].tolist()}))


def _told(errors: pa.Table, paths: pa.Table) -> tuple[list[Any], list[Any]]:
    """Return which alerts were left out and why, and how much of each alert's time the feed covered."""
    rows = errors.select(["level", "phase", "call_id", "message"]).to_pylist() if errors.num_rows else []
    return rows, paths["coverage"].to_pylist()


_ONE = threading.Lock()


@contextmanager
def _given(sources: Sources, batch: AlertBatch, piece: Slice, reused: bool) -> Iterator[None]:
    """Let the recipe take these alerts and this slice for these very ``sources``, where it would read files."""
    with _ONE:
        alerts_of, slice_for = recipe.alerts_of, recipe.slice_for
        recipe.alerts_of = lambda asked: batch if asked is sources else alerts_of(asked)
        recipe.slice_for = lambda b, asked, *how: (piece, reused) if asked is sources else slice_for(b, asked, *how)
        try:
            yield
        finally:
            recipe.alerts_of, recipe.slice_for = alerts_of, slice_for


def _baseline(config: Config, work: Work, command: tuple[str, ...]) -> Outcome:
    return run_baseline(*work, _multiples(config), command)


def _strategy(config: Config, work: Work, command: tuple[str, ...]) -> Outcome:
    return run_strategy(*work, parse_policy(config["policy"]), _multiples(config), command)


def _sweep(config: Config, work: Work, command: tuple[str, ...]) -> Outcome:
    space = space_in(config["search"]["space"])
    return run_sweep(*work, space, lambda prepared: planned(config, prepared, 512 << 20), command)


# How a run of each type is done again.
AGAIN: Mapping[str, Callable[[Config, Work, tuple[str, ...]], Outcome]] = {
    "path-only": _baseline,
    "policy": _strategy,
    "search": _sweep,
    "surface": surface_run.again,
}


def _multiples(config: Config) -> tuple[float, ...]:
    return tuple(float(text) for text in config["multiples"])
