"""A published session run done again: its settings from its manifest, its candles by digest."""

from datetime import date
from pathlib import Path

from ...io.errors import DataError, MissingError, UsageError
from ...io.manifest import Manifest
from ...io.runs import read_artifact
from ...io.slices import holding
from ...io.slices import verify as verify_slice
from ..recipe import Clock
from ..settings import Guards, Store
from .config import parse
from .given import Given, Task, hours_of
from .run import SEMANTICS, SessionRun, run_sessions
from .search import work_of
from .search_run import SearchRun, run_search


def again(run: Path, manifest: Manifest, store: Store) -> SessionRun | SearchRun:
    """Do the session run in the directory ``run`` again.

    Raises MissingError where no slice has its candles, UsageError where its rules are not those of this version.
    """
    config = manifest.config
    if config.get("session_semantics") != SEMANTICS:
        raise UsageError(
            f"run {manifest.run_id} is of rules {config.get('session_semantics')}; here they are {SEMANTICS}"
        )
    task = Task(
        symbols=tuple(config["symbols"]),
        first=date.fromisoformat(config["start"]),
        end=date.fromisoformat(config["end"]),
        interval_ms=config["interval_ms"],
        config=parse(config["settings"], f"run {manifest.run_id}"),
        validate=config["validate"],
        perturb=config.get("perturb", False),
    )
    given, words = _given(run, manifest, task, store), ("runs", "rerun", manifest.run_id)
    if "search" not in config:
        return run_sessions(task, given, store, words, Clock())
    tried = manifest.trials_so_far
    return run_search(
        task, given, work_of(task.config, config), Guards(**config["guards"]), store, words, Clock(), tried
    )


def _given(run: Path, manifest: Manifest, task: Task, store: Store) -> Given:
    """Return the candles of a run, and what it said of those it had not."""
    one = next(each for each in manifest.inputs if each.kind == "candles")
    held = holding(store.slice_folder, one.digest, manifest.config["interval_ms"])
    if not held:
        raise MissingError(
            f"the candles of run {manifest.run_id} (slice with digest {one.digest[:12]}) are not in "
            f"{store.slice_folder}; name their folder with --slices",
            "E_SLICE_GONE",
        )
    verify_slice(held[0])
    said = read_artifact(run, "errors").to_pylist()
    lost = [row["message"].partition(": ") for row in said if row["level"] == "warning"]
    failed = {symbol: DataError(why) for symbol, _, why in lost}
    own = set(held[0].facts.notes)
    notes = tuple(row["message"] for row in said if row["level"] == "info" and row["message"] not in own)
    source = manifest.config["source"]
    return Given(held[0], source, hours_of(task, source == "binance"), manifest.inputs, failed, notes)
