"""The sealed holdout of a search over settings, opened: what its winner makes of the session days it did not see."""

import json
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...io.errors import IntegrityError, UsageError
from ...io.manifest import Manifest
from ...io.runs import read_artifact, verify
from ..guards import interval_of
from ..ledger import peeks_at
from ..recipe import Clock
from ..settings import Store
from ..values import DAY
from .again import given_of, task_of
from .proof import BPS_AN_R
from .run import Opened, SessionRun, lands_of, run_sessions
from .sealed import only_held_out
from .trials import days_of, made_of


@dataclass(frozen=True)
class Unsealed:
    """What a search's winner made of its holdout, in R a session day, beside what it made where it was found.

    ``low_r`` to ``high_r``: 95 % of resamples of the days, NaN for too few. ``peeks``: how often a holdout of these
    candles has been looked at, this time included.
    """

    run: SessionRun
    search: str
    found_r: float
    mean_r: float
    low_r: float
    high_r: float
    days: int
    peeks: int


def unseal(run: Path, manifest: Manifest, store: Store, command: tuple[str, ...]) -> Unsealed:
    """Trade the holdout of a search with its winner, as a run of its own; every look is counted.

    Raises UsageError where the run is no search or held nothing out, IntegrityError where it is not as published,
    MissingError where no slice has its candles.
    """
    config = manifest.config
    share = config.get("guards", {}).get("holdout", 0.0)
    if "search" not in config or not share:
        raise UsageError(f"run {manifest.run_id} held no days out; sweep --strategy orb does with --holdout 20%")
    if broken := [each.problem for each in verify(run) if each.level == "error"]:
        raise IntegrityError(f"run {manifest.run_id} is corrupt: {broken[0]}")
    best = json.loads((run / "results" / "best.json").read_text())
    task = task_of({**config, "settings": best}, f"the winner of run {manifest.run_id}")
    given = only_held_out(given_of(run, manifest, task, store), share)
    digest = next(each.digest for each in manifest.inputs if each.kind == "candles")
    opened = Opened(manifest.run_id, share, manifest.trials_so_far, peeks_at(store.runs, digest, "candles") + 1)
    done = run_sessions(task, given, store, command, Clock(), opened)
    lands = lands_of(task, given)
    made = made_of(lands, days_of(lands), task.config)
    low, high = interval_of(made.sums, made.sums * 0 + 1, made.held * DAY)
    return Unsealed(
        done,
        manifest.run_id,
        mean_of(read_artifact(run, "symbols")),
        mean_of(done.tables["symbols"]),
        low / BPS_AN_R,
        high / BPS_AN_R,
        made.sums.size,
        opened.peeks or 1,
    )


def mean_of(symbols: pa.Table) -> float:
    """Return R a session day of all symbols together."""
    whole: dict[str, Any] = next(row for row in symbols.to_pylist() if row["symbol"] is None)
    return whole["total_r"] / whole["sessions"] if whole["sessions"] else nan
