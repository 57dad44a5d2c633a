"""A published run in other layouts: those of the parquet guide, CSV, plain Parquet, and a DuckDB file."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..io import exports, exports_duckdb, exports_guide
from ..io.errors import IntegrityError, MissingError, UsageError
from ..io.manifest import Manifest
from ..io.runs import read_artifact, read_manifest
from ..io.slices import Slice
from ..kernels.arrays import Windows

_LAYOUTS = ("baseline", "per_caller", "per_trade", "per_alert")  # last what needs more than the run


def check(targets: Mapping[str, Path]) -> None:
    """Raise UsageError where a target is taken by what no export wrote, or two are one; before a run costs time."""
    places = [path.resolve() for path in targets.values()]
    for path in places:
        if places.count(path) > 1:
            raise UsageError(f"{path} is named for two exports; give each its own place")
    for kind, path in targets.items():
        if kind == "duckdb":
            exports_duckdb.check(path)
        else:
            exports.check(path, folder=kind != "baseline")


def export(run: Path, targets: Mapping[str, Path], slices: Path) -> Iterator[str]:
    """Write the exports ``targets`` (kind -> path) of the run in the directory ``run``, and yield a line for each.

    Raises MissingError where the run lacks what an export shows, or no slice in ``slices`` has its candles.
    """
    manifest = read_manifest(run)
    remedy = f"run {manifest.run_id} is saved; repeat with highwater runs export"
    if "duckdb" in targets:
        count = exports_duckdb.store(targets["duckdb"], manifest, _tables(run, manifest), remedy)
        yield f"{targets['duckdb']}: {count} tables of run {manifest.run_id}"
    rest = [kind for kind in _LAYOUTS if kind in targets]
    if not rest:
        return
    paths, alerts = read_artifact(run, "paths"), read_artifact(run, "alerts")
    step, horizon = manifest.config["interval_ms"], manifest.config["horizon_ms"]
    for kind in rest:
        path = targets[kind]
        facts = {"artifact": kind, "run_id": manifest.run_id, "config_digest": manifest.config_digest}
        if kind == "baseline":
            exports.write_parquet(path, exports_guide.baseline(paths, step, horizon), facts, remedy)
            yield f"{path}: {paths.num_rows:,} alerts"
            continue
        if kind == "per_caller":
            each = exports_guide.per_caller(exports_guide.baseline(paths, step, horizon))
        elif kind == "per_trade":
            rows = exports_guide.trades(paths, read_artifact(run, "trades"), step, horizon)
            each = exports_guide.per_trade(alerts, paths, rows)
        else:
            one, windows = windows_of(run, manifest, paths, slices)
            each = exports_guide.per_alert(alerts, paths, one, windows.first, windows.last)
        yield f"{path}: {exports.write_each(path, *each, facts, remedy):,} files"


def say(run: Path, targets: Mapping[str, Path], slices: Path, quiet: bool) -> None:
    """Write the exports of a run, and unless ``quiet`` a line on stderr for each."""
    for line in export(run, targets, slices):
        if not quiet:
            print(f"wrote {line}", file=sys.stderr)


def guide(run: Path, folder: Path) -> dict[str, Path]:
    """Return where the guide's layout of a run lies below ``folder``: kind -> path."""
    manifest = read_manifest(run)
    found = {
        "baseline": folder / f"baseline_cache_{_period(run, manifest)}.parquet",
        "per_alert": folder / "per_alert",
        "per_caller": folder / "per_caller",
    }
    return found | ({"per_trade": folder / "per_trade"} if manifest.artifact("trades") else {})


def _period(run: Path, manifest: Manifest) -> str:
    """Return the days from and to which alerts were asked for, else those of the first and the last alert."""
    ts = read_artifact(run, "alerts")["alert_ts_ms"].to_numpy()
    ends = (manifest.config.get("from_ms"), manifest.config.get("to_ms"))
    days = [found if asked is None else asked for asked, found in zip(ends, (ts.min(), ts.max()), strict=True)]
    return "_".join(str(day).replace("-", "") for day in np.array(days, "datetime64[ms]").astype("datetime64[D]"))


def tables(run: Path, folder: Path, csv: bool) -> str:
    """Write every table of a run below ``folder``, named as in the run, and return a line that says so.

    As CSV, or as the run's own Parquet files, byte for byte; ``index.parquet`` lists them.
    """
    manifest = read_manifest(run)
    remedy = f"run {manifest.run_id} is untouched; repeat when that is put right"
    path = folder / f"{manifest.run_id}_{'csv' if csv else 'parquet'}"
    found = [artifact for artifact in manifest.artifacts if artifact.rows is not None]
    names = [artifact.path.removesuffix(".parquet") + ".csv" if csv else artifact.path for artifact in found]
    exports.check(path, folder=True)
    with exports.placed(path, remedy) as draft:
        for artifact, name in zip(found, names, strict=True):
            if csv:
                exports.write_csv(draft / exports.NEW, name, read_artifact(run, artifact.path), remedy)
            else:
                exports.write_copy(draft / exports.NEW, name, run, artifact, remedy)
        index = {"file": names, "type": [a.type for a in found], "rows": [a.rows for a in found]}
        exports.write_index(draft / exports.NEW, pa.table(index), {"run_id": manifest.run_id}, remedy)
    return f"{path}: {len(names)} files"


def _tables(run: Path, manifest: Manifest) -> Iterator[tuple[str, pa.Table]]:
    for artifact in manifest.artifacts:
        if artifact.rows is not None:
            yield artifact.type, read_artifact(run, artifact.path)


def windows_of(run: Path, manifest: Manifest, paths: pa.Table, slices: Path) -> tuple[Slice, Windows]:
    """Return the slice a run measured, found by its digest, and the window of each alert on it, entered again.

    Raises MissingError where no slice in the folder has that digest, IntegrityError where its candles are damaged or
    give other windows than the run saw.
    """
    from .rerun import prepared_as_it_was

    prepared = prepared_as_it_was(run, manifest, slices)
    if prepared is None:
        digest = next((one.digest for one in manifest.inputs if one.kind == "candles"), "")
        raise MissingError(
            f"the candles of run {manifest.run_id} (slice with digest {digest[:12]}) are not in {slices}; repeat the "
            "run to cut them again, or name their folder with --slices",
            "E_SLICE_GONE",
        )
    if other := _another(prepared.windows, paths):
        raise IntegrityError(
            f"{prepared.slice.path} gives run {manifest.run_id} another {other} than it was saved with"
        )
    return prepared.slice, prepared.windows


def _another(windows: Windows, paths: pa.Table) -> str:
    """Return the first column of a run's path metrics that these windows contradict, or ''."""
    rows = windows.last - windows.first
    for name, found in (("entry_ts_ms", windows.ts), ("p0", windows.price), ("n_bars", rows)):
        again = pa.array(found, mask=rows == 0).cast(paths[name].type)
        if not again.equals(paths[name].combine_chunks()):
            return name
    return ""
