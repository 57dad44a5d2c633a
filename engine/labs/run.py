"""From a lab that is kept to a published run: its backtests analysed, judged, and replayed where there are candles."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...io import schemas
from ...io.digest import canonical_json, content_sha256
from ...io.errors import AccessError, HighwaterError, StoreError, found_or_raised
from ...io.labs.parse import Tables, lab_of, tables_of
from ...io.labs.store import each, find_lab, lab_records
from ...io.manifest import Input, utc_text
from ...io.publish import Stage, stage
from ..kept import MENDABLE
from ..progress import progress
from ..recipe import FILL_SEMANTICS, Clock, say_if_compiling
from ..settings import Guards, Store
from .analysis import BY, Analysis, analyse, analytics_table, day_table, equity_table
from .custom import functions, measured
from .exits import Leaving, left
from .ground import Ground
from .proof import Proof, proof
from .replay import Replayed, replay

SEMANTICS = "LAB-1"
PARSED, FOUND = "parse", "figures"  # the phase of a note


@dataclass(frozen=True)
class Task:
    """What to find out of a lab's backtests: the best ``by`` a figure; ``capital`` instead of each one's own balance.

    ``tried``: configurations ever tried on its market; ``custom``: names of the user's own analytics; ``leaving``: how
    its entries are left on the candles.
    """

    by: str = BY
    ascending: bool = False
    capital: float | None = None
    tried: int | None = None
    custom: tuple[str, ...] = ()
    leaving: Leaving | None = None
    guards: Guards = Guards()  # noqa: RUF009


@dataclass(frozen=True)
class LabRun:
    """A lab run that was published, or could not be; ``proved`` None where no guards were asked for, or none can be."""

    run_id: str
    saved: Path | HighwaterError
    found: Analysis
    tables: Mapping[str, pa.Table]
    proved: Proof | None
    config: Mapping[str, Any]
    counts: Mapping[str, int]
    clock: Clock

    @property
    def path(self) -> Path:
        """Where the run lies. Raises what kept it from being saved: ask last."""
        return found_or_raised(self.saved)


def kept_tables(store: Path, text: str, server: str | None, quiet: bool) -> Tables:
    """Return the backtests of the kept lab whose id begins with ``text``; what its list lacks is noted.

    Raises MissingError where no lab is kept, IntegrityError where its file is damaged.
    """
    where, lab = find_lab(store, text, server)
    records = lab_records(store, where, lab)
    with progress("backtests", len(records.backtests), quiet) as advance:

        def parts():
            for done, (key, found) in enumerate(each(store, where, lab), 1):
                yield key.backtest, found
                advance(done)

        tables = tables_of(lab_of(lab, records.details), parts())
    if not records.listed:
        note = ("", "the list of its backtests was not read to its end: there are more than these")
        return replace(tables, notes=(note, *tables.notes))
    return tables


def run_lab(
    task: Task, tables: Tables, ground: Ground | None, store: Store, command: tuple[str, ...], clock: Clock
) -> LabRun:
    """Analyse the backtests of a lab, judge the best, replay them on the candles of ``ground``, publish all of it."""
    say_if_compiling(store.quiet)
    own = functions(task.custom)
    with _recorded(tables, ground, store) as s:
        with clock.phase("figures"):
            found = analyse(tables, task.by, task.ascending, task.capital)
        replayed = None
        if ground is not None:
            with clock.phase("replay"):
                replayed = replay(found, ground.piece, dict(ground.markets))
        proved = None
        if task.guards.guards:
            with clock.phase("guards"):
                proved = proof(found, task.guards, task.tried, store.threads or os.cpu_count() or 1, replayed)
        with clock.phase("tables"):
            made = _tables(found, replayed, s.run_id)
            if replayed is not None and ground is not None and task.leaving is not None:
                exits = left(found, replayed, ground, task.leaving, store.threads)
                made["lab_exits"] = schemas.with_run(exits, s.run_id)
            if own:
                custom, failed = measured(found, own)
                made["lab_custom"] = schemas.with_run(custom, s.run_id)
                found = replace(found, notes=(*found.notes, *failed))
        config, counts = config_of(task, tables, ground), _counts(found, replayed)
        saved = _saved(s, found, made, proved, (config, counts, _inputs(tables, ground)), store, command, clock)
    return LabRun(s.run_id, saved, found, made, proved, config, counts, clock)


def _tables(found: Analysis, replayed: Replayed | None, run_id: str) -> dict[str, pa.Table]:
    told = found.tables
    out = {
        "lab_backtests": schemas.with_run(told.backtests, run_id),
        "lab_positions": schemas.with_run(told.positions, run_id),
        "lab_orders": schemas.with_run(told.orders, run_id),
        "lab_analytics": analytics_table(found, run_id),
        "lab_days": day_table(found, run_id),
        "lab_equity": equity_table(found, run_id),
    }
    if replayed is not None:
        out |= {"lab_fills": schemas.with_run(replayed.fills, run_id)}
        out |= {"lab_replay": schemas.with_run(replayed.positions, run_id)}
    return out


def config_of(task: Task, tables: Tables, ground: Ground | None) -> dict[str, Any]:
    """Return what decides the results."""
    return {
        "fill_semantics": FILL_SEMANTICS,
        "lab_semantics": SEMANTICS,
        "lab": asdict(tables.lab),
        "by": task.by,
        "ascending": task.ascending,
        "capital": task.capital,
        "tried": task.tried,
        "custom": list(task.custom),
        "exits": None if ground is None or task.leaving is None else task.leaving.document(),
        "markets": None if ground is None else dict(ground.markets),
        "interval_ms": None if ground is None else ground.piece.facts.interval_ms,
        "guards": asdict(task.guards),
    }


def _inputs(tables: Tables, ground: Ground | None) -> tuple[Input, ...]:
    """Return what was read: the backtests of the lab by content, the candles of the slice."""
    source = f"lab {tables.lab.lab_id}"
    named = {"backtests": tables.backtests, "positions": tables.positions, "orders": tables.orders}
    out = [Input(kind, source, content_sha256(each), each.num_rows) for kind, each in named.items()]
    if ground is not None:
        facts = ground.piece.facts
        end = max(facts.coverage_end_ms, default=None)
        out.append(Input("candles", ground.source, facts.content_sha256, facts.rows, facts.from_ms, facts.to_ms, end))
    return tuple(out)


def _counts(found: Analysis, replayed: Replayed | None) -> dict[str, int]:
    told = found.tables
    counts = {
        "backtests": told.backtests.num_rows,
        "complete": sum(each is not None for each in found.closed),
        "judged": int(found.judged.size),
        "positions": told.positions.num_rows,
        "orders": told.orders.num_rows,
        "notes": len(found.notes),
    }
    if replayed is not None:
        counts |= {f"fills_{name}": count for name, count in replayed.verdicts.items()}
    return counts


@contextmanager
def _recorded(tables: Tables, ground: Ground | None, store: Store):
    """Hold a stage; a bug inside is published as a failed run, what the user can mend is not."""
    with stage(store.runs, "lab") as s:
        try:
            yield s
        except MENDABLE:
            raise
        except Exception as error:
            s.fail(error, inputs=_inputs(tables, ground))
            raise


def _saved(
    s: Stage,
    found: Analysis,
    tables: Mapping[str, pa.Table],
    proved: Proof | None,
    told: tuple[dict[str, Any], dict[str, int], tuple[Input, ...]],
    store: Store,
    command: tuple[str, ...],
    clock: Clock,
) -> Path | HighwaterError:
    """Publish, and return where, or what kept it from that; ``told``: config, counts and inputs."""
    config, counts, inputs = told
    try:
        with clock.phase("write"):
            for kind, table in tables.items():
                s.write(kind, table)
            if proved is not None:
                s.write_file("results/guards.json", canonical_json(proved.document()) + b"\n", "guards")
            s.write("errors", _errors(found.notes, len(found.tables.notes), s.run_id))
            s.write_file("logs/run.log", "\n".join([*lines_of(found), ""]).encode(), "log")
        return s.publish(
            config=config,
            command=command,
            execution={"threads": store.threads or 0, "distinct": _distinct(found, proved)},
            inputs=inputs,
            counts=counts,
            timing_ms=dict(clock.spent),
            trials_so_far=proved.ledger.tried if proved else counts["backtests"],
        )
    except (StoreError, AccessError) as error:
        return error


def _distinct(found: Analysis, proved: Proof | None) -> int:
    known = proved.luck.distinct if proved is not None and proved.luck is not None else 0
    return known or found.tables.backtests.num_rows


def lines_of(found: Analysis) -> list[str]:
    """Return what was read, one line each; the same on every machine."""
    told, days = found.tables, [str(np.datetime64(ms, "ms"))[:10] for ms in (found.span.start, found.span.end)]
    whole = sum(each is not None for each in found.closed)
    return [
        f"lab      {told.lab.name or told.lab.lab_id}",
        f"period   {days[0]} to {days[1]} (UTC), {found.span.days} days",
        f"read     {told.backtests.num_rows:,} backtests, {whole:,} whole, {told.positions.num_rows:,} positions",
        f"rules    {SEMANTICS}, replays {FILL_SEMANTICS}",
    ]


def _errors(notes: Sequence[tuple[str, str]], parsed: int, run_id: str) -> pa.Table:
    """Return the artifact ``errors``: what is amiss with backtests, by ``call_id``; the first were ``parsed``."""
    now = utc_text(time.time_ns() // 1_000_000)
    columns: dict[str, Any] = {"timestamp": [now] * len(notes), "level": ["warning"] * len(notes)}
    columns |= {
        "phase": [PARSED] * parsed + [FOUND] * (len(notes) - parsed),
        "call_id": [name or None for name, _ in notes],
    }
    columns |= {"message": [said for _, said in notes], "details": [None] * len(notes)}
    return schemas.table(schemas.ERRORS, columns, run_id)
