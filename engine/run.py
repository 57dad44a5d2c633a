"""The commands' work from settings to a published run: baseline, strategy, sweep."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..io import schemas
from ..io.errors import HighwaterError, LimitError
from ..io.manifest import utc_text
from ..io.publish import Stage, stage
from ..kernels.arrays import Policies
from . import heatmap
from .baseline import Measured, path_metrics, values
from .callers import caller_columns
from .frontier import Frontier, Landscape
from .guards import Guards
from .holdout import hold_out
from .judgement import Judgement, Known, Trials, judge
from .luck import SAMPLE
from .policy import Policy
from .progress import progress
from .recipe import FILL_SEMANTICS, Prepared, excluded
from .settings import Store, resolved
from .space import Space, canonical, draw, to_policies
from .strategy import summary_columns, trade_columns, with_tail_capture
from .sweep import Plan, guard_overflow, parameter_columns, search, trial_table
from .tallies import exact, ground


@dataclass(frozen=True)
class Outcome:
    """A published run, and the tables a door shows of it; ``cached``: an earlier run measured its paths."""

    run_id: str
    path: Path
    prepared: Prepared
    config: Mapping[str, Any]
    tables: Mapping[str, pa.Table]
    cached: bool
    landscape: tuple[str, str, np.ndarray] | None = None
    judged: Judgement | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


def run_baseline(prepared: Prepared, store: Store, multiples: tuple[float, ...], command: tuple[str, ...]) -> Outcome:
    """Measure every alert's path, and publish the metrics and the caller table."""
    config = config_of(prepared, {"multiples": [repr(k) for k in sorted({*schemas.MULTIPLES, *multiples})]})
    with recorded("path-only", prepared, store) as s:
        paths = path_metrics(prepared, multiples, store)
        callers = caller_columns(prepared, paths.table, None)
        tables = {"callers": schemas.table(schemas.CALLERS, callers, s.run_id)}
        return publish(s, prepared, paths, store, config, command, tables)


def run_strategy(
    prepared: Prepared, store: Store, policy: Policy, multiples: tuple[float, ...], command: tuple[str, ...]
) -> Outcome:
    """Trade every alert with one policy, and publish its trades, fills and summary."""
    chosen = {"policy": policy.canonical(), "multiples": [repr(k) for k in sorted({*schemas.MULTIPLES, *multiples})]}
    config = config_of(prepared, chosen)
    with recorded("policy", prepared, store) as s:
        paths = path_metrics(prepared, multiples, store)
        tables = trade_tables(s, prepared, store, policy, paths.table)
        return publish(s, prepared, paths, store, config, command, tables)


def trade_tables(
    s: Stage,
    prepared: Prepared,
    store: Store,
    policy: Policy,
    paths: pa.Table,
) -> dict[str, pa.Table]:
    """Return the tables of one policy's trades, given the path metrics: trades, fills, callers and summary."""
    with prepared.clock.phase("exits"):
        trades, fills = trade_columns(prepared, policy, store.threads)
    trades = with_tail_capture(trades, paths)
    return {
        "trades": schemas.table(schemas.TRADES, trades, s.run_id),
        "fills": schemas.table(schemas.FILLS, fills, s.run_id),
        "callers": schemas.table(schemas.CALLERS, caller_columns(prepared, paths, trades), s.run_id),
        "summary": schemas.table(schemas.SUMMARY, summary_columns(prepared, trades), s.run_id),
    }


def run_sweep(
    prepared: Prepared,
    store: Store,
    space: Space,
    sized: Callable[[Prepared], Plan],
    asked: Guards,
    command: tuple[str, ...],
    known: Known | None = None,
) -> Outcome:
    """Try every trial of a search on every alert; publish all trials, the ranked best, and the trades of the first.

    ``sized`` makes the plan. Memory does not grow with the number of trials but for 100 bytes each where the winner is
    judged. ``known`` stands in for what other runs tried, where a run is repeated.
    """
    prepared = hold_out(prepared, asked.holdout)
    work = sized(prepared)
    config = config_of(
        prepared,
        {
            "search": {"space": canonical(space), "trials": work.trials, "seed": str(work.seed)},
            "objective": work.objective,
            "constraints": [f"{c.column}{c.sign}{c.bound!r}" for c in work.constraints],
            "medians": work.medians,
            "trades": work.trades,
            "guards": asdict(asked),
        },
    )
    best, landscape, schema = Frontier(work), Landscape(space), schemas.trials(parameter_columns(space))
    with recorded("search", prepared, store) as s:
        _room_for(work.bytes_on_disk, s.root)
        paths = path_metrics(prepared, (), store)
        guard_overflow(prepared, values(paths.table, "ath_mult"))
        there = ground(prepared, work.engine, work.memory, store.threads)
        with (
            prepared.clock.phase("search"),
            s.writer("trials", schema) as out,
            progress("trades", work.pairs, store.quiet) as advance,
        ):
            for drawn, columns, sums in search(there, work, advance):
                out.write(trial_table(space, columns, s.run_id))
                best.add(columns)
                landscape.add(drawn, sums)
        with prepared.clock.phase("ranking"):
            columns = best.columns(exact(there, to_policies(space, best.drawn())))
        judged = judge(s, there, best, trials_of(work), asked, store, config, known)
        policies = list(dict.fromkeys(best.policies()[: work.trades]))
        tables = trade_tables(s, prepared, store, policies[0], paths.table)
        _write_trades(s, prepared, store, tables, policies[1:], paths.table)
        schema = schemas.frontier(parameter_columns(space), tuple(judged.columns))
        tables["frontier"] = schemas.table(schema, columns | dict(judged.columns), s.run_id)
        lively = landscape.liveliest(work.alerts)
        if lively:
            x, y, means = lively
            picture = heatmap.svg(means, landscape.edges[x], landscape.edges[y], x, y, "Mean return per trade", "bps")
            s.write_file("results/heatmap.svg", picture.encode(), "heatmap")
        done = {"engine": work.engine, "trials": work.trials, "block": work.block, "pairs": work.pairs}
        done |= {"alerts_by_candle": there.bars, "memory": work.memory}
        outcome = publish(s, prepared, paths, store, config, command, tables, ("trades", "fills"), judged, **done)
    notes = {"work": work, "edges": landscape.edges, "by_candle": there.bars}
    return replace(outcome, landscape=lively, judged=judged, notes=notes)


def trials_of(work: Plan) -> Trials:
    """Return the trials of a search; any of them are drawn at random, so the first stand for all."""

    def policies(first: int, count: int) -> Policies:
        return to_policies(work.space, draw(work.space, work.seed, first, count))

    return Trials(work.trials, policies, policies(0, min(work.trials, SAMPLE)))


def _write_trades(
    s: Stage,
    prepared: Prepared,
    store: Store,
    tables: Mapping[str, pa.Table],
    others: Sequence[Policy],
    paths: pa.Table,
) -> None:
    """Write the winner's trades and fills, which are in ``tables``, and behind them those of the ``others``."""
    with (
        prepared.clock.phase("exits"),
        s.writer("trades", schemas.TRADES) as trades,
        s.writer("fills", schemas.FILLS) as fills,
    ):
        trades.write(tables["trades"])
        fills.write(tables["fills"])
        for policy in others:
            traded, filled = trade_columns(prepared, policy, store.threads)
            trades.write(schemas.table(schemas.TRADES, with_tail_capture(traded, paths), s.run_id))
            fills.write(schemas.table(schemas.FILLS, filled, s.run_id))


_TIMES = ("from", "to", "interval", "resample", "coverage_end", "horizon", "latency", "max_entry_delay")


def config_of(prepared: Prepared, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides the results, nothing left to be found out; times in ms.

    Where the data lay is among the inputs, with their digests.
    """
    settings = resolved(prepared.sources, prepared.trading)
    for name in ("alerts", "candles", "max_decoded"):
        del settings[name]
    settings["interval"] = prepared.step
    if settings["max_entry_delay"] is None:
        settings["max_entry_delay"] = 10 * prepared.step
    named = {f"{name}_ms" if name in _TIMES else name: value for name, value in settings.items()}
    return {"fill_semantics": FILL_SEMANTICS, **named, **chosen}


@contextmanager
def recorded(run_type: str, prepared: Prepared, store: Store) -> Iterator[Stage]:
    """Hold a stage; a bug inside is published as a failed run, what the user can mend is not."""
    with stage(store.runs, run_type) as s:
        try:
            yield s
        except (HighwaterError, OSError, MemoryError):
            raise
        except Exception as error:
            s.fail(error, inputs=prepared.inputs)
            raise


def publish(
    s: Stage,
    prepared: Prepared,
    paths: Measured,
    store: Store,
    config: dict[str, Any],
    command: tuple[str, ...],
    tables: Mapping[str, pa.Table],
    written: tuple[str, ...] = (),
    judged: Judgement | None = None,
    **execution: Any,
) -> Outcome:
    """Write the alerts, their path metrics and every table but those ``written`` before, and publish the run."""
    tables = {"paths": schemas.with_run(paths.table, s.run_id), **tables}
    with prepared.clock.phase("write"):
        s.write("alerts", prepared.alerts)
        for kind, table in tables.items():
            if kind not in written:
                s.write(kind, table)
        s.write("errors", _errors(prepared, s.run_id))
        s.write_file("logs/run.log", "\n".join([*prepared.lines(), ""]).encode(), "log")
    path = s.publish(
        config=config,
        command=command,
        **(judged.facts if judged else {}),
        execution={"threads": store.threads or 0, "engine": "bars", "paths_cached": paths.cached, **execution},
        inputs=prepared.inputs,
        counts={**prepared.batch.counts, **prepared.counts},
        timing_ms=dict(prepared.clock.spent),
    )
    return Outcome(s.run_id, path, prepared, config, tables, paths.cached)


def _errors(prepared: Prepared, run_id: str) -> pa.Table:
    rows = excluded(prepared)
    now = utc_text(time.time_ns() // 1_000_000)
    columns = {name: [row[name] for row in rows] for name in ("level", "phase", "call_id", "message")}
    columns |= {"timestamp": [now] * len(rows), "details": [None] * len(rows)}
    return schemas.table(schemas.ERRORS, columns, run_id)


def _room_for(size: int, root: Path) -> None:
    """Raise LimitError unless the disk has 1.2 times ``size`` bytes free."""
    free = shutil.disk_usage(root).free
    if free < 1.2 * size:
        raise LimitError(
            f"needs about {size / 1e9:.1f} GB in {root}, {free / 1e9:.1f} GB free; "
            "free space, choose another --runs, or ask for fewer --trials"
        )
