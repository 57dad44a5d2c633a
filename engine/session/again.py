"""A published session run done again: its settings from its manifest, its candles by digest."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ...io.errors import DataError, UsageError
from ...io.manifest import Input, Manifest
from ...io.runs import read_artifact
from ...io.slices import held_for
from ..judgement import Known
from ..recipe import Clock
from ..settings import Guards, Store
from .config import parse
from .given import Given, Task, hours_of
from .run import SEMANTICS, Opened, SessionRun, run_sessions
from .sealed import only_held_out
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
    task = task_of(config, f"run {manifest.run_id}")
    given, words = given_of(run, manifest, task, store), ("runs", "rerun", manifest.run_id)
    tried, peeks = manifest.trials_so_far, manifest.holdout_peeks
    if "search" in config:
        known = Known(tried or 0, peeks or 0)
        asked = Guards(**config["guards"])
        return run_search(task, given, work_of(task.config, config), asked, store, words, Clock(), known)
    opened = None
    if "unsealed" in config:
        opened = Opened(config["unsealed"], config["holdout"], tried, peeks)
        given = only_held_out(given, opened.share)
    return run_sessions(task, given, store, words, Clock(), opened)


def task_of(config: Mapping[str, Any], place: str) -> Task:
    """Return the task that a manifest tells of."""
    return Task(
        symbols=tuple(config["symbols"]),
        first=date.fromisoformat(config["start"]),
        end=date.fromisoformat(config["end"]),
        interval_ms=config["interval_ms"],
        config=parse(config["settings"], place),
        validate=config["validate"],
        perturb=config.get("perturb", False),
    )


def given_of(run: Path, manifest: Manifest, task: Task, store: Store) -> Given:
    """Return the candles of a run, and what it said of those it had not."""
    said = read_artifact(run, "errors").to_pylist()
    lost = [row["message"].partition(": ") for row in said if row["level"] == "warning"]
    failed = {symbol: why for symbol, _, why in lost}
    notes = [row["message"] for row in said if row["level"] == "info"]
    return found_again(manifest.run_id, manifest.inputs, task, manifest.config["source"], store, failed, notes)


def found_again(
    run_id: str,
    inputs: Sequence[Input],
    task: Task,
    source: str,
    store: Store,
    failed: Mapping[str, str],
    notes: Sequence[str],
) -> Given:
    """Return the candles with the digest of a run's. Raises MissingError where no slice has them."""
    one = next(each for each in inputs if each.kind == "candles")
    held = held_for(store.slice_folder, one.digest, task.interval_ms, run_id)
    own = set(held.facts.notes)
    kept = tuple(note for note in notes if note not in own)
    lost = {symbol: DataError(why) for symbol, why in failed.items()}
    return Given(held, source, hours_of(task, source == "binance"), tuple(inputs), lost, kept)
