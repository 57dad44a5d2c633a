"""The commands' work from settings to a published run: baseline, strategy, sweep."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..io import schemas
from ..io.errors import AccessError, HighwaterError, LimitError, StoreError
from ..io.manifest import utc_text
from ..io.publish import Stage, stage
from . import heatmap
from .baseline import path_columns
from .callers import caller_columns
from .frontier import Frontier, Landscape
from .policy import Policy
from .progress import progress
from .recipe import Prepared, excluded, prepare
from .settings import Sources, Store, Trading, resolved
from .space import Space, canonical, to_policies
from .strategy import summary_columns, trade_columns, with_tail_capture
from .sweep import Plan, guard_overflow, parameter_columns, search, trial_table
from .tallies import exact, ground

FILL_SEMANTICS = "FS-1"


@dataclass(frozen=True)
class Outcome:
    """A run that was published, or could not be, and the tables a door shows of it."""

    run_id: str
    saved: Path | HighwaterError
    prepared: Prepared
    config: Mapping[str, Any]
    tables: Mapping[str, pa.Table]
    landscape: tuple[str, str, np.ndarray] | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Where the run lies. Raises what kept it from being saved: ask last, its numbers are there all the same."""
        if isinstance(self.saved, HighwaterError):
            raise self.saved
        return self.saved


def run_baseline(
    sources: Sources, trading: Trading, store: Store, multiples: tuple[float, ...], command: tuple[str, ...]
) -> Outcome:
    """Measure every alert's path, and publish the metrics and the caller table."""
    prepared = prepare(sources, trading, store)
    config = _config(prepared, sources, {"multiples": [repr(k) for k in sorted({*schemas.MULTIPLES, *multiples})]})
    with _recorded("path-only", prepared, store) as s:
        with prepared.clock.phase("paths"):
            paths = path_columns(prepared, multiples, store.threads)
        tables = {
            "paths": schemas.table(schemas.paths(multiples), paths, s.run_id),
            "callers": schemas.table(schemas.CALLERS, caller_columns(prepared, paths, None), s.run_id),
        }
        return _publish(s, prepared, store, config, command, tables)


def run_strategy(
    sources: Sources,
    trading: Trading,
    store: Store,
    policy: Policy,
    multiples: tuple[float, ...],
    command: tuple[str, ...],
) -> Outcome:
    """Trade every alert with one policy, and publish its trades, fills and summary."""
    prepared = prepare(sources, trading, store)
    chosen = {"policy": policy.canonical(), "multiples": [repr(k) for k in sorted({*schemas.MULTIPLES, *multiples})]}
    config = _config(prepared, sources, chosen)
    with _recorded("policy", prepared, store) as s:
        with prepared.clock.phase("paths"):
            paths = path_columns(prepared, multiples, store.threads)
        tables = _traded(s, prepared, store, policy, multiples, paths)
        return _publish(s, prepared, store, config, command, tables)


def _traded(
    s: Stage,
    prepared: Prepared,
    store: Store,
    policy: Policy,
    multiples: tuple[float, ...],
    paths: Mapping[str, Any],
) -> dict[str, pa.Table]:
    """Return the tables of one policy's trades, given the path columns: paths, trades, fills, callers and summary."""
    with prepared.clock.phase("exits"):
        trades, fills = trade_columns(prepared, policy, store.threads)
    trades = with_tail_capture(trades, paths)
    return {
        "paths": schemas.table(schemas.paths(multiples), paths, s.run_id),
        "trades": schemas.table(schemas.TRADES, trades, s.run_id),
        "fills": schemas.table(schemas.FILLS, fills, s.run_id),
        "callers": schemas.table(schemas.CALLERS, caller_columns(prepared, paths, trades), s.run_id),
        "summary": schemas.table(schemas.SUMMARY, summary_columns(prepared, trades), s.run_id),
    }


def run_sweep(
    sources: Sources,
    trading: Trading,
    store: Store,
    space: Space,
    sized: Callable[[Prepared], Plan],
    command: tuple[str, ...],
) -> Outcome:
    """Try every trial of a search on every alert; publish all trials, the ranked best, and the trades of the first.

    ``sized`` makes the plan once the alerts are known. Memory does not grow with the number of trials.
    """
    prepared = prepare(sources, trading, store)
    work = sized(prepared)
    config = _config(
        prepared,
        sources,
        {
            "search": {"space": canonical(space), "trials": work.trials, "seed": str(work.seed)},
            "objective": work.objective,
            "constraints": [f"{c.column}{c.sign}{c.bound!r}" for c in work.constraints],
            "medians": work.medians,
            "trades": work.trades,
        },
    )
    best, landscape, schema = Frontier(work), Landscape(space), schemas.trials(parameter_columns(space))
    with _recorded("search", prepared, store) as s:
        _room_for(work.bytes_on_disk, s.root)
        with prepared.clock.phase("paths"):
            paths = path_columns(prepared, (), store.threads)
        guard_overflow(prepared, np.ma.filled(paths["ath_mult"], np.nan))
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
        policies = list(dict.fromkeys(best.policies()[: work.trades]))
        tables = _traded(s, prepared, store, policies[0], (), paths)
        _write_trades(s, prepared, store, tables, policies[1:], paths)
        tables["frontier"] = schemas.table(schemas.frontier(parameter_columns(space)), columns, s.run_id)
        lively = landscape.liveliest(work.alerts)
        if lively:
            x, y, means = lively
            picture = heatmap.svg(means, landscape.edges[x], landscape.edges[y], x, y, "Mean return per trade", "bps")
            s.write_file("results/heatmap.svg", picture.encode(), "heatmap")
        done = {"engine": work.engine, "trials": work.trials, "block": work.block, "pairs": work.pairs}
        done["alerts_by_candle"] = there.bars
        outcome = _publish(s, prepared, store, config, command, tables, ("trades", "fills"), **done)
    return replace(outcome, landscape=lively, notes={"work": work, "edges": landscape.edges, "by_candle": there.bars})


def _write_trades(
    s: Stage,
    prepared: Prepared,
    store: Store,
    tables: Mapping[str, pa.Table],
    others: Sequence[Policy],
    paths: Mapping[str, Any],
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


def _config(prepared: Prepared, sources: Sources, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides the results, nothing left to be found out; times in ms.

    Where the data lay is among the inputs, with their digests.
    """
    settings = resolved(sources, prepared.trading)
    for name in ("alerts", "candles", "max_decoded"):
        del settings[name]
    settings["interval"] = prepared.step
    if settings["max_entry_delay"] is None:
        settings["max_entry_delay"] = 10 * prepared.step
    named = {f"{name}_ms" if name in _TIMES else name: value for name, value in settings.items()}
    return {"fill_semantics": FILL_SEMANTICS, **named, **chosen}


@contextmanager
def _recorded(run_type: str, prepared: Prepared, store: Store) -> Iterator[Stage]:
    """Hold a stage; a bug inside is published as a failed run, what the user can mend is not."""
    with stage(store.runs, run_type) as s:
        try:
            yield s
        except (HighwaterError, OSError, MemoryError):
            raise
        except Exception as error:
            s.fail(error, inputs=prepared.inputs)
            raise


def _publish(
    s: Stage,
    prepared: Prepared,
    store: Store,
    config: dict[str, Any],
    command: tuple[str, ...],
    tables: Mapping[str, pa.Table],
    written: tuple[str, ...] = (),
    **execution: Any,
) -> Outcome:
    """Write every table but those ``written`` before, and publish the run, unless the disk refuses it."""
    try:
        with prepared.clock.phase("write"):
            s.write("alerts", prepared.alerts)
            for kind, table in tables.items():
                if kind not in written:
                    s.write(kind, table)
            s.write("errors", _errors(prepared, s.run_id))
            s.write_file("logs/run.log", "\n".join([*prepared.lines(), ""]).encode(), "log")
        saved = s.publish(
            config=config,
            command=command,
            execution={"threads": store.threads or 0, "engine": "bars", **execution},
            inputs=prepared.inputs,
            counts={**prepared.batch.counts, **prepared.counts},
            timing_ms=dict(prepared.clock.spent),
        )
    except (StoreError, AccessError) as error:
        saved = error
    return Outcome(s.run_id, saved, prepared, config, tables)


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
