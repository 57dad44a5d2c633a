"""A published run done again: its recipe from its manifest, its inputs by digest, and what came out otherwise."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
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
from ..io.slices import Slice, holding
from ..io.slices import verify as verify_slice
from . import recipe
from .baseline import path_table
from .diff import Change, Difference, changes, differences
from .holdout import hold_out, only_held_out
from .judgement import Known
from .places import candle_place
from .policy import parse_policy
from .recipe import FILL_SEMANTICS, Clock, Prepared
from .run import Outcome, run_baseline, run_strategy
from .settings import MEMORY, Guards, Sources, Store, Trading
from .space import space_in
from .surface import plan as plan_surface
from .surface_grid import grid_of, ranges_of
from .surface_run import run_surface
from .sweep import planned
from .sweep_run import run_sweep

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


def rerun(
    run: Path, store: Store, alerts: Path | None = None, candles: Path | None = None, memory: int | None = None
) -> Rerun:
    """Do the run in the directory ``run`` again as a new run, and compare every artifact but the log by content.

    The alerts are those the run kept, the candles the slice with the run's digest; ``alerts`` and ``candles`` name
    files to read instead, with the run's settings. A search has ``memory`` bytes, or as many as the run had. Nothing
    is taken from a cache but slices. Raises IntegrityError where the run is not as published, MissingError where no
    slice has its candles, UsageError where it cannot be repeated here.
    """
    if read_manifest(run).run_type == TRACES:
        return _rerun_traces(run, store, alerts, candles, memory)
    if (kind := read_manifest(run).run_type) in (SESSION, LAB):
        return _rerun_whole(run, kind, store, alerts, candles)
    manifest, prepared = prepared_again(run, store, alerts, candles)
    named = {"--alerts": alerts, "--candles": candles}
    words = [word for flag, path in named.items() if path is not None for word in (flag, str(path))]
    job = _Job(
        manifest.config,
        prepared,
        dataclasses.replace(store, cache=False),
        memory or manifest.execution.get("memory", MEMORY),
        ("runs", "rerun", manifest.run_id, *words),
        Known(manifest.trials_so_far or 0, manifest.holdout_peeks or 0),
    )
    outcome = AGAIN[manifest.run_type](job)
    return _compared(run, manifest, outcome.path)


def _compared(run: Path, manifest: Manifest, path: Path) -> Rerun:
    after = read_manifest(path)
    return Rerun(manifest, after, path, differences(run, manifest, path, after), changes(manifest, after))


def _rerun_traces(run: Path, store: Store, alerts: Path | None, candles: Path | None, memory: int | None) -> Rerun:
    from .traces.again import again

    if alerts is not None:
        raise UsageError("--alerts: a run of traces reads no alerts; leave it out")
    manifest = _sound(run, (TRACES,))
    return _compared(run, manifest, again(run, manifest, store, candles, memory).path)


def _rerun_whole(run: Path, kind: str, store: Store, alerts: Path | None, candles: Path | None) -> Rerun:
    """Repeat a run that keeps all it needs but its candles."""
    for flag, path in {"--alerts": alerts, "--candles": candles}.items():
        if path is not None:
            raise UsageError(f"{flag}: a {kind} run is repeated on its own candles; leave it out")
    manifest = _sound(run, (kind,))
    if kind == LAB:
        from .labs.again import again
    else:
        from .session.again import again
    return _compared(run, manifest, again(run, manifest, store).path)


def prepared_again(
    run: Path, store: Store, alerts: Path | None = None, candles: Path | None = None
) -> tuple[Manifest, Prepared]:
    """Return the manifest of a run and its alerts and candles, or others, ready for its recipe; raises as ``rerun``."""
    manifest = _sound(run, AGAIN)
    sources, trading = settings_of(manifest.config, *places_of(manifest))
    batch = kept_alerts(run, manifest) if alerts is None else recipe.alerts_of(_reading(sources, alerts))
    sources = dataclasses.replace(sources, alerts=alerts or sources.alerts, candles=candles or sources.candles)
    if alerts is None and candles is None:
        piece, reused = _slice_of(run, manifest, (sources, trading, store), batch), True
    else:
        piece, reused = recipe.slice_for(batch, _cutting(sources), trading, store)
    recipe.say_if_compiling(store.quiet)
    return manifest, recipe.prepare_on(batch, piece, reused, sources, trading, Clock())


INPUTS = ("alerts", "candles")
TRACES, SESSION, LAB = "traces", "session", "lab"


def places_of(manifest: Manifest) -> tuple[Path, Any]:
    """Return where a run's alerts and candles lay: paths, a place on a store or a table."""
    alerts, candles = (_input(manifest, kind).source for kind in INPUTS)
    return Path(alerts), candle_place(candles)


def settings_of(config: Config, alerts: Path, candles: Any) -> tuple[Sources, Trading]:
    """Return the settings that a run's config holds; those it does not know keep their defaults."""

    def of(record: type) -> dict[str, Any]:
        names = {field.name: field.name.rstrip("_") for field in dataclasses.fields(record)}
        keys = {field: next((k for k in (name, f"{name}_ms") if k in config), None) for field, name in names.items()}
        return {field: config[key] for field, key in keys.items() if key is not None}

    return Sources(alerts=alerts, candles=candles, **of(Sources)), Trading(**of(Trading))


def _sound(run: Path, types: Collection[str]) -> Manifest:
    """Return the manifest of a run that can be repeated here, of one of these types."""
    manifest = read_manifest(run)
    broken = [finding.problem for finding in verify(run) if finding.level == "error"]
    if broken:
        more = f" (and {len(broken) - 1} more files)" if broken[1:] else ""
        raise IntegrityError(f"run {manifest.run_id} is corrupt: {broken[0]}{more}")
    if manifest.status != COMPLETED:
        raise UsageError(f"run {manifest.run_id} failed ({manifest.error}); it has no result to repeat")
    if manifest.run_type not in types:
        known = ", ".join(types)
        raise UsageError(f"run {manifest.run_id} is of type {manifest.run_type}; those that can be repeated: {known}")
    if (rules := manifest.config.get("fill_semantics")) != FILL_SEMANTICS:
        raise UsageError(
            f"run {manifest.run_id} was filled by {rules}, this version fills by {FILL_SEMANTICS}; "
            f"repeat it with version {manifest.code.version}"
        )
    return manifest


def _input(manifest: Manifest, kind: str) -> Input:
    return next(one for one in manifest.inputs if one.kind == kind)


def kept_alerts(run: Path, manifest: Manifest) -> AlertBatch:
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
    if held := _held(run, manifest, work, batch):
        return held
    one = _input(manifest, "candles")
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


def _held(run: Path, manifest: Manifest, work: Work, batch: AlertBatch) -> Slice | None:
    """Return the slice of a run out of the folder of slices, its content verified; None where it is gone."""
    digest = _input(manifest, "candles").digest
    held = holding(work[2].slice_folder, digest, manifest.config["interval_ms"])
    if len(held) > 1:  # the same candles, cut for other alerts or with other ends of the feed
        told = _told(read_artifact(run, "errors"), read_artifact(run, "paths"))
        held = [each for each in held if _tells(manifest.config, work, batch, each) == told] or held
    if held:
        verify_slice(held[0])
    return held[0] if held else None


def prepared_as_it_was(run: Path, manifest: Manifest, slices: Path) -> Prepared | None:
    """Return the alerts a run saw on its slice in the folder ``slices``; None where that is gone."""
    sources, trading = settings_of(manifest.config, *places_of(manifest))
    batch, store = kept_alerts(run, manifest), Store(slices=slices)
    piece = _held(run, manifest, (sources, trading, store), batch)
    if piece is None:
        return None
    return seen(manifest.config, recipe.prepare_on(batch, piece, True, sources, trading, Clock()))


def _tells(config: Config, work: Work, batch: AlertBatch, piece: Slice) -> tuple[list[Any], list[Any]] | None:
    """Return what a run on this slice would tell of what its candles alone do not decide; None where it would fail."""
    sources, trading, store = work
    try:
        prepared = seen(config, recipe.prepare_on(batch, piece, True, sources, trading, Clock()))
    except DataError:
        return None
    errors = pa.Table.from_pylist(recipe.excluded(prepared))
    return _told(errors, path_table(prepared, (), store.threads))


def seen(config: Config, prepared: Prepared) -> Prepared:
    """Return the alerts without those a run did not see: its holdout, or all but that where it opened it."""
    if "unsealed" in config:
        return only_held_out(prepared, config["holdout"])
    return hold_out(prepared, config.get("guards", {}).get("holdout", 0.0))


def _told(errors: pa.Table, paths: pa.Table) -> tuple[list[Any], list[Any]]:
    """Return which alerts were left out and why, and how much of each alert's time the feed covered."""
    rows = errors.select(["level", "phase", "call_id", "message"]).to_pylist() if errors.num_rows else []
    return rows, paths["coverage"].to_pylist()


@dataclass(frozen=True)
class _Job:
    """What to do again: the config of a run, on what, with how much memory, and the words that asked for it.

    ``known``: what other runs had tried when it was judged.
    """

    config: Config
    prepared: Prepared
    store: Store
    memory: int
    command: tuple[str, ...]
    known: Known

    @property
    def guards(self) -> Guards:
        """What the winner of a search had to pass; a run of an older version was not judged."""
        return Guards(**self.config.get("guards", {"guards": False}))


def _baseline(job: _Job) -> Outcome:
    return run_baseline(job.prepared, job.store, _multiples(job.config), job.command)


def _strategy(job: _Job) -> Outcome:
    policy, prepared = parse_policy(job.config["policy"]), seen(job.config, job.prepared)
    about = {name: job.config[name] for name in ("unsealed", "holdout") if name in job.config}
    return run_strategy(prepared, job.store, policy, _multiples(job.config), job.command, about)


def _sweep(job: _Job) -> Outcome:
    space = space_in(job.config["search"]["space"])

    def sized(prepared: Prepared) -> Any:
        return planned(job.config, prepared, job.memory)

    return run_sweep(job.prepared, job.store, space, sized, job.guards, job.command, job.known)


def _surface(job: _Job) -> Outcome:
    grid = grid_of(ranges_of(job.config["surface"]), 2**62)
    objective, medians, by = (job.config[name] for name in ("objective", "medians", "by"))

    def sized(prepared: Prepared) -> Any:
        return plan_surface(grid, prepared, objective, medians, by, job.memory, 2**62)

    return run_surface(job.prepared, job.store, sized, job.guards, job.command, job.known)


# How a run of each type is done again.
AGAIN: Mapping[str, Callable[[_Job], Outcome]] = {
    "path-only": _baseline,
    "policy": _strategy,
    "search": _sweep,
    "surface": _surface,
}


def _multiples(config: Config) -> tuple[float, ...]:
    return tuple(float(text) for text in config["multiples"])
