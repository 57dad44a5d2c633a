"""The work of ``highwater sweep --strategy orb`` from settings to a published run."""

import json
import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...io.digest import canonical_json
from ...io.errors import AccessError, HighwaterError, StoreError, found_or_raised
from ...io.manifest import new_run_id
from ...io.publish import Stage
from ...io.searches import SESSIONS, Keeper, hold
from ..judgement import Known
from ..kept import check_same, telling
from ..ledger import ledger_of
from ..progress import progress
from ..recipe import Clock, say_if_compiling
from ..settings import Guards, Store
from ..values import counted
from .given import Given, Task
from .prepare import ready_on
from .proof import Proof, proof
from .run import config_of, errors_of, lands_of, lines_of, recorded
from .sealed import hold_out
from .search import Searched, Work, search, trials_table
from .tables import tables_of
from .walk import walk


@dataclass(frozen=True)
class SearchRun:
    """A search that was published, or could not be; ``proved`` None where no guards were asked for."""

    run_id: str
    saved: Path | HighwaterError
    task: Task
    given: Given
    found: Searched
    tables: Mapping[str, pa.Table]
    proved: Proof | None
    clock: Clock

    @property
    def path(self) -> Path:
        """Where the run lies. Raises what kept it from being saved: ask last."""
        return found_or_raised(self.saved)


def run_search(
    task: Task,
    given: Given,
    work: Work,
    asked: Guards,
    store: Store,
    command: tuple[str, ...],
    clock: Clock,
    known: Known | None = None,
    kept: Keeper | None = None,
) -> SearchRun:
    """Try every configuration, judge the best, and publish both: ``session_trials``, and the tables of the winner.

    The holdout that ``asked`` names is sealed first. ``known``: what was tried on these candles, instead of what the
    runs in the store say. What a long search has found is kept on the way, for another to go on with as ``kept``.
    """
    say_if_compiling(store.quiet)
    given = hold_out(given, asked.holdout)
    config = config_of(task, given) | work.described() | {"guards": asdict(asked)}
    held = nullcontext(kept) if kept else hold(store.runs, new_run_id())
    with held as keeper, recorded(given, store, keeper.run_id) as s:
        now = _about(s, given, work, config, command)
        if kept:
            check_same(kept.about(), now)
        keeper.begin(now)
        with telling(keeper, store):
            return _searched(s, keeper, task, given, work, asked, store, config, command, clock, known)


def _about(s: Stage, given: Given, work: Work, config: Mapping[str, Any], command: tuple[str, ...]) -> dict[str, Any]:
    """Return what a search is, as JSON values: all that decides its configurations, and what it was asked with."""
    return {
        "of": SESSIONS,
        "run_id": s.run_id,
        "trials": work.size,
        "version": s.code.version,
        "kernels_digest": s.code.kernels_digest,
        "libraries": {"numba": s.environment.numba, "numpy": s.environment.numpy},
        "config": dict(config),
        "inputs": [asdict(one) for one in given.inputs],
        "windows": "",
        "columns": [each.name for each in work.axes],
        "failed": {symbol: str(error) for symbol, error in given.failed.items()},
        "notes": list(given.notes),
        "command": list(command),
    }


def _searched(
    s: Stage,
    keeper: Keeper,
    task: Task,
    given: Given,
    work: Work,
    asked: Guards,
    store: Store,
    config: Mapping[str, Any],
    command: tuple[str, ...],
    clock: Clock,
    known: Known | None,
) -> SearchRun:
    """Do a search, beginning with what it has kept, and publish it."""
    threads, lands = store.threads or os.cpu_count() or 1, lands_of(task, given)
    before = sum(each.last - each.first for each in keeper.blocks)
    with clock.phase("search"), progress("configurations", work.size, store.quiet) as advance:
        found = search(work, lands, threads, advance, keeper)
    proved = None
    if asked.guards:
        with clock.phase("guards"):
            digest, count = given.piece.facts.content_sha256, len(found.trials.ids)
            ledger = ledger_of(store.runs, digest, config, count, "candles")
            ledger = replace(ledger, tried=known.tried, peeks=known.peeks) if known else ledger
            proved = proof(found, lands, asked, ledger, threads)
    with clock.phase("tables"):
        best = found.winner()
        walked = [walk(each.symbol, ready_on(each.ground, best, each.skip), best, each.point_value) for each in lands]
        tables = {"session_trials": trials_table(found, s.run_id), **tables_of(walked, best, s.run_id)}
    more = {"resumed_at": before} if before else {}
    saved = _saved(s, task, given, found, tables, proved, config, store, command, clock, more)
    return SearchRun(s.run_id, saved, task, given, found, tables, proved, clock)


def _saved(
    s: Stage,
    task: Task,
    given: Given,
    found: Searched,
    tables: Mapping[str, pa.Table],
    proved: Proof | None,
    config: Mapping[str, Any],
    store: Store,
    command: tuple[str, ...],
    clock: Clock,
    more: Mapping[str, Any],
) -> Path | HighwaterError:
    """Publish, and return where, or what kept it from that."""
    trials = found.trials
    try:
        with clock.phase("write"):
            for kind, table in tables.items():
                s.write(kind, table)
            best = found.winner().model_dump(mode="json")
            s.write_file("results/best.json", json.dumps(best, indent=2).encode() + b"\n", "settings")
            if proved is not None:
                s.write_file("results/guards.json", canonical_json(proved.document()) + b"\n", "guards")
            s.write("errors", errors_of(given, s.run_id))
            lines = [*lines_of(task, given), *searched_lines(found), ""]
            s.write_file("logs/run.log", "\n".join(lines).encode(), "log")
        return s.publish(
            config=dict(config),
            command=command,
            execution={"threads": store.threads or 0, "distinct": len(trials.ids), **more},
            inputs=given.inputs,
            counts={
                "symbols": len(given.piece.facts.tokens),
                "failed": len(given.failed),
                "tried": len(trials.ids),
                "refused": trials.refused,
                "repeated": trials.repeated,
                "trades": tables["session_trades"].num_rows,
            },
            timing_ms=dict(clock.spent),
            trials_so_far=proved.ledger.tried if proved else len(trials.ids),
            holdout_peeks=proved.ledger.peeks if proved else None,
        )
    except (StoreError, AccessError) as error:
        return error


def searched_lines(found: Searched) -> list[str]:
    """Return what was searched, in words."""
    trials, work = found.trials, found.work
    how = "grid" if work.method == "grid" else f"{work.method}, seed {work.seed}"
    said = [f"search   {counted(len(trials.ids), 'configuration')} of {trials.asked:,} ({how}), by {work.objective}"]
    if trials.refused or trials.repeated:
        said.append(f"         {trials.refused:,} refused by the settings, {trials.repeated:,} drawn before")
    for each in work.axes:
        few = [str(value) for value in each.values]
        words = ", ".join(few if len(few) < 8 else [*few[:3], "…", few[-1]])
        said.append(f"         {each.name} {words}")
    return said
