"""A published lab run done again: its backtests from the tables it kept, its candles by digest."""

from pathlib import Path

from ...io.errors import UsageError
from ...io.labs.parse import Lab, Tables
from ...io.manifest import Manifest
from ...io.runs import read_artifact
from ...io.slices import held_for
from ..recipe import Clock
from ..settings import Guards, Store
from .exits import leaving_of
from .ground import Ground
from .run import PARSED, SEMANTICS, LabRun, Task, run_lab


def again(run: Path, manifest: Manifest, store: Store) -> LabRun:
    """Do the lab run in the directory ``run`` again.

    Raises MissingError where no slice has its candles, UsageError where its rules are not those of this version.
    """
    config = manifest.config
    if config.get("lab_semantics") != SEMANTICS:
        raise UsageError(f"run {manifest.run_id} is of rules {config.get('lab_semantics')}; here they are {SEMANTICS}")
    task = Task(
        by=config["by"],
        ascending=config["ascending"],
        capital=config["capital"],
        tried=config["tried"],
        custom=tuple(config["custom"]),
        leaving=leaving_of(config.get("exits")),
        guards=Guards(**config["guards"]),
    )
    words = ("runs", "rerun", manifest.run_id)
    return run_lab(task, tables_in(run, manifest), _ground(manifest, store), store, words, Clock())


def tables_in(run: Path, manifest: Manifest) -> Tables:
    """Return the backtests of a run as they were read, with what was amiss with them then."""
    kinds = ("lab_backtests", "lab_positions", "lab_orders")
    backtests, positions, orders = (
        read_artifact(run, kind).drop_columns("run_id").replace_schema_metadata(None).combine_chunks() for kind in kinds
    )
    rows = [each for each in read_artifact(run, "errors").to_pylist() if each["phase"] == PARSED]
    notes = tuple((each["call_id"] or "", each["message"]) for each in rows)
    return Tables(Lab(**manifest.config["lab"]), backtests, positions, orders, notes)


def _ground(manifest: Manifest, store: Store) -> Ground | None:
    one = next((each for each in manifest.inputs if each.kind == "candles"), None)
    if one is None:
        return None
    held = held_for(store.slice_folder, one.digest, manifest.config["interval_ms"], manifest.run_id)
    return Ground(held, one.source, manifest.config["markets"])
