"""The work of ``highwater backtest --symbols`` from settings to a published run."""

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...io import schemas
from ...io.errors import AccessError, HighwaterError, StoreError, found_or_raised
from ...io.manifest import utc_text
from ...io.publish import Stage, stage
from ..kept import MENDABLE
from ..progress import progress, say
from ..recipe import FILL_SEMANTICS, Clock, say_if_compiling
from ..settings import Store
from ..values import counted
from .given import Given, Task, instrument_of
from .prepare import ranges_of, ready_on
from .quality import quality_of, session_rows, skipped
from .tables import tables_of
from .trials import Land
from .walk import Walked, walk

SEMANTICS = "OR-1"


@dataclass(frozen=True)
class Opened:
    """The holdout that a run opens: of which ``search``, its ``share`` of the days; ``tried`` configurations and looks
    at it so far, this one included."""

    search: str
    share: float
    tried: int | None
    peeks: int | None

    @property
    def about(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {"unsealed": self.search, "holdout": self.share}


@dataclass(frozen=True)
class SessionRun:
    """A run of sessions that was published, or could not be, and what a door shows of it.

    ``given`` has the symbols without candles, and why.
    """

    run_id: str
    saved: Path | HighwaterError
    task: Task
    walked: tuple[Walked, ...]
    tables: Mapping[str, pa.Table]
    given: Given
    clock: Clock

    @property
    def path(self) -> Path:
        """Where the run lies. Raises what kept it from being saved: ask last."""
        return found_or_raised(self.saved)


def run_sessions(
    task: Task, given: Given, store: Store, command: tuple[str, ...], clock: Clock, opened: Opened | None = None
) -> SessionRun:
    """Walk the sessions of every symbol, and publish trades, fills, equity, metrics, factors and governance."""
    say_if_compiling(store.quiet)
    with recorded(given, store) as s:
        with clock.phase("sessions"):
            walked, rows = _walk_all(task, given, store)
        say(f"Completed {counted(len(walked), 'backtest')}\nAggregating results...", store.quiet)
        with clock.phase("tables"):
            tables = tables_of(walked, task.config, s.run_id) | {"sessions": schemas.with_run(rows, s.run_id)}
        if task.perturb:
            with clock.phase("perturbation"):
                tables["perturbation"] = _perturbation(task, given, store, s.run_id)
        return _publish(s, task, given, walked, tables, store, command, clock, opened)


def _perturbation(task: Task, given: Given, store: Store, run_id: str) -> pa.Table:
    """Return what each setting is worth."""
    from .axes import names
    from .perturb import perturbed, table_of

    threads = store.threads or os.cpu_count() or 1
    return table_of(perturbed(task.config, lands_of(task, given), list(names()), threads), run_id)


def _walk_all(task: Task, given: Given, store: Store) -> tuple[tuple[Walked, ...], pa.Table]:
    """Return what became of each symbol, and one row for each of its sessions, without ``run_id``."""
    symbols = [symbol for symbol in task.symbols if symbol in given.piece.facts.tokens]

    def one(symbol: str) -> tuple[Walked, pa.Table]:
        ground, worth = given.ground(symbol), instrument_of(symbol, task.config).point_value
        found = quality_of(ground, ranges_of(ground, task.config).minutes)
        ready = ready_on(ground, task.config, skipped(found, task.validate or "warn"))
        rows = schemas.table(schemas.without_run(schemas.SESSIONS), session_rows(ready, ground, found, symbol))
        return walk(symbol, ready, task.config, worth), rows

    with progress("Running backtests", len(symbols), store.quiet) as advance, ThreadPoolExecutor(store.threads) as pool:
        found = []
        for each in pool.map(one, symbols):
            found.append(each)
            advance(len(found))
    return tuple(each for each, _ in found), pa.concat_tables([rows for _, rows in found])


def lands_of(task: Task, given: Given) -> list[Land]:
    """Return the symbols that have candles, each on the ground that all settings share.

    Days whose range is not whole by the settings of ``task`` are left out where it says so.
    """
    found = []
    for symbol in (each for each in task.symbols if each in given.piece.facts.tokens):
        ground, skip = given.ground(symbol), None
        if task.validate is not None:
            skip = skipped(quality_of(ground, ranges_of(ground, task.config).minutes), task.validate)
        found.append(Land(symbol, ground, skip, instrument_of(symbol, task.config).point_value))
    return found


@contextmanager
def recorded(given: Given, store: Store, run_id: str = ""):
    """Hold a stage; a bug inside is published as a failed run, what the user can mend is not."""
    with stage(store.runs, "session", run_id) as s:
        try:
            yield s
        except MENDABLE:
            raise
        except Exception as error:
            s.fail(error, inputs=given.inputs)
            raise


def config_of(task: Task, given: Given) -> dict[str, Any]:
    """Return what decides the results."""
    return {
        "fill_semantics": FILL_SEMANTICS,
        "session_semantics": SEMANTICS,
        "symbols": list(task.symbols),
        "start": task.first.isoformat(),
        "end": task.end.isoformat(),
        "interval_ms": task.interval_ms,
        "source": given.source,
        "validate": task.validate,
        "settings": task.config.model_dump(mode="json"),
        **({"perturb": True} if task.perturb else {}),
    }


def _publish(
    s: Stage,
    task: Task,
    given: Given,
    walked: Sequence[Walked],
    tables: Mapping[str, pa.Table],
    store: Store,
    command: tuple[str, ...],
    clock: Clock,
    opened: Opened | None,
) -> SessionRun:
    trades = tables["session_trades"].num_rows
    lines = [*lines_of(task, given), f"trades   {trades}"]
    try:
        with clock.phase("write"):
            for kind, table in tables.items():
                s.write(kind, table)
            s.write("errors", errors_of(given, s.run_id))
            s.write_file("logs/run.log", "\n".join([*lines, ""]).encode(), "log")
        saved = s.publish(
            config=config_of(task, given) | (opened.about if opened else {}),
            command=command,
            execution={"threads": store.threads or 0},
            inputs=given.inputs,
            counts={"symbols": len(walked), "failed": len(given.failed), "trades": trades},
            timing_ms=dict(clock.spent),
            trials_so_far=opened.tried if opened else None,
            holdout_peeks=opened.peeks if opened else None,
        )
    except (StoreError, AccessError) as error:
        saved = error
    return SessionRun(s.run_id, saved, task, tuple(walked), tables, given, clock)


def lines_of(task: Task, given: Given) -> list[str]:
    """Return what was read and how it is traded, one line each; the same on every machine."""
    costs = task.config.backtest
    facts = given.piece.facts
    return [
        f"symbols  {', '.join(facts.tokens)}",
        f"period   {task.first} to before {task.end}",
        f"candles  {facts.rows:,} of {task.interval_ms // 60_000}m, {given.source}",
        f"rules    {SEMANTICS} on {FILL_SEMANTICS}",
        f"costs    fee {costs.fee_bps:g} bps and slippage {costs.slippage_bps:g} bps a side",
    ]


def errors_of(given: Given, run_id: str) -> pa.Table:
    """Return the artifact ``errors``: symbols without candles, and notes on the others."""
    rows = [("warning", "candles", f"{symbol}: {error}") for symbol, error in given.failed.items()]
    rows += [("info", "candles", note) for note in (*given.notes, *given.piece.facts.notes)]
    now = utc_text(time.time_ns() // 1_000_000)
    columns = {name: [row[i] for row in rows] for i, name in enumerate(("level", "phase", "message"))}
    columns |= {"timestamp": [now] * len(rows), "call_id": [None] * len(rows), "details": [None] * len(rows)}
    return schemas.table(schemas.ERRORS, columns, run_id)
