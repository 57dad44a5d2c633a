"""The work of ``highwater sweep`` from settings to a published run."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ..io import schemas
from ..io.manifest import new_run_id
from ..io.publish import Stage
from ..io.searches import Keeper, hold
from ..kernels.arrays import Floats, Policies
from . import heatmap
from .baseline import path_metrics, values
from .cluster.place import Place, manned, told_by
from .frontier import Frontier, Landscape
from .holdout import hold_out
from .judgement import Judgement, Known, Tried, judge
from .kept import about, all_trials, check_same, sound_blocks, telling
from .luck import SAMPLE, distinct_of
from .neighbours import settle
from .policy import Policy
from .progress import progress
from .recipe import Prepared
from .refine import need_optuna, refined, version
from .run import Outcome, config_of, publish, recorded, trade_tables
from .settings import Guards, Store
from .sizing import check_room
from .space import Space, canonical, draw, to_policies
from .strategy import trade_columns, with_tail_capture
from .sweep import Plan, guard_overflow, parameter_columns, trial_table
from .tallies import Ground, exact, ground


def run_sweep(
    prepared: Prepared,
    store: Store,
    space: Space,
    sized: Callable[[Prepared], Plan],
    asked: Guards,
    command: tuple[str, ...],
    known: Known | None = None,
    resumed: Keeper | None = None,
    place: Place | None = None,
) -> Outcome:
    """Try every trial of a search on every alert; publish all trials, the ranked best, and the trades of the first.

    ``sized`` makes the plan. Memory does not grow with the number of trials but for 100 bytes each where the winner is
    judged. ``known`` stands in for what other runs tried, where a run is repeated. What a long search has found is kept
    on the way, for ``resumed`` to go on with; raises UsageError or IntegrityError where that is another search. The
    workers at ``place``, if any, change no result.
    """
    prepared = hold_out(prepared, asked.holdout)
    work = sized(prepared)
    if work.refine:
        need_optuna()
    config = config_of(
        prepared,
        {
            "search": {"space": canonical(space), "trials": work.trials, "seed": str(work.seed)}
            | ({"refine": work.refine} if work.refine else {}),
            "objective": work.objective,
            "constraints": [f"{c.column}{c.sign}{c.bound!r}" for c in work.constraints],
            "medians": work.medians,
            "trades": work.trades,
            "stake": work.stake,
            "guards": asdict(asked),
        },
    )
    held = nullcontext(resumed) if resumed else hold(store.runs, new_run_id())
    with held as kept, recorded("search", prepared, store, kept.run_id) as s:
        now = about(s, prepared, work, config, command)
        if resumed:
            check_same(resumed.about(), now)
        kept.begin(now)
        with telling(kept, store):
            check_room(work.bytes_on_disk, s.root, "choose another --runs, or ask for fewer --trials")
            there = ground(prepared, work.engine, work.memory, store.threads)
            with manned(place, there, config, work, store.quiet) as there:
                return _searched(s, kept, there, store, work, config, asked, command, known)


def _searched(
    s: Stage,
    kept: Keeper,
    there: Ground,
    store: Store,
    work: Plan,
    config: dict[str, Any],
    asked: Guards,
    command: tuple[str, ...],
    known: Known | None,
) -> Outcome:
    """Do a search, beginning with what it has kept, and publish it."""
    space, prepared = work.space, there.prepared
    best, landscape = Frontier(work), Landscape(space)
    paths = path_metrics(prepared, (), store)
    guard_overflow(prepared, values(paths.read(["ath_mult"]), "ath_mult"))
    before, every = _write_trials(s, kept, there, work, store, best, landscape)
    with prepared.clock.phase("ranking"):
        settle(there, best)
        columns = best.columns(exact(there, to_policies(space, best.drawn())))
    judged = judge(s, there, best, every, asked, store, config, known)
    policies = list(dict.fromkeys(best.policies()[: work.trades]))
    tables = trade_tables(s, prepared, store, policies[0], paths)
    _write_trades(s, prepared, store, tables, policies[1:], paths.read(["ath_mult"]))
    schema = schemas.frontier(parameter_columns(space), tuple(judged.columns))
    tables["frontier"] = schemas.table(schema, columns | dict(judged.columns), s.run_id)
    lively = landscape.liveliest(work.alerts)
    if lively:
        x, y, means = lively
        picture = heatmap.svg(means, landscape.edges[x], landscape.edges[y], x, y, "Mean return per trade", "bps")
        s.write_file("results/heatmap.svg", picture.encode(), "heatmap")
    done = _done(work, judged, every) | {"alerts_by_candle": there.bars} | ({"resumed_at": before} if before else {})
    done |= told_by(there.crew, store.quiet)
    outcome = publish(s, prepared, paths, store, config, command, tables, ("trades", "fills"), judged.facts, **done)
    notes = {"work": work, "edges": landscape.edges, "by_candle": there.bars, "before": before}
    return replace(outcome, landscape=lively, judged=judged, notes=notes)


def _write_trials(
    s: Stage, kept: Keeper, there: Ground, work: Plan, store: Store, best: Frontier, landscape: Landscape
) -> tuple[int, Tried]:
    """Write every trial and rank it; return how many were kept from before, and all of them.

    The heat map is of the trials drawn at random: others would weigh its bins unevenly.
    """
    blocks, more = sound_blocks(kept), []
    before = sum(block.last - block.first for block in blocks)
    with (
        there.prepared.clock.phase("search"),
        s.writer("trials", schemas.trials(parameter_columns(work.space))) as out,
        progress("trades", work.pairs - before * work.alerts, store.quiet) as advance,
    ):
        for drawn, columns, sums in all_trials(there, work, kept, blocks, advance):
            out.write(trial_table(work.space, columns, s.run_id))
            best.add(columns)
            landscape.add(drawn, sums)
        begun = (work.trials - before) * work.alerts
        for drawn, columns, _ in refined(there, work, best, lambda done: advance(begun + done)) if work.refine else ():
            out.write(trial_table(work.space, columns, s.run_id))
            best.add(columns)
            more.append(drawn)
    return before, tried(work, more)


def _done(work: Plan, judged: Judgement, every: Tried) -> dict[str, Any]:
    """Return what the manifest says of how a search was done."""
    done = {"engine": work.engine, "trials": work.count, "block": work.block, "pairs": work.pairs}
    done |= {"memory": work.memory} | ({"refined": work.refine, "optuna": version()} if work.refine else {})
    if judged.luck:
        done["distinct"] = judged.luck.distinct
    elif 16 * work.count <= work.memory:  # else the ledger counts all that were drawn
        done["distinct"] = distinct_of(work.count, every.policies)
    return done


def tried(work: Plan, more: Sequence[Mapping[str, Floats]] = ()) -> Tried:
    """Return the trials of a search: those drawn at random, of which the first stand for all, then ``more``."""
    space, split = work.space, work.trials
    late = {name: np.concatenate([np.empty(0), *(part[name] for part in more)]) for name in space.named}

    def policies(first: int, count: int) -> Policies:
        drawn = draw(space, work.seed, first, min(max(split - first, 0), count))
        rest = slice(max(first - split, 0), max(first + count - split, 0))
        return to_policies(space, {name: np.concatenate([drawn[name], late[name][rest]]) for name in space.named})

    return Tried(work.count, policies, policies(0, min(split, SAMPLE)), split)


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
