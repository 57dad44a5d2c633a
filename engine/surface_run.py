"""The work of ``highwater surface`` from settings to a published run."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ..io import schemas
from ..io.publish import Stage
from ..kernels.arrays import Policies
from . import heatmap
from .baseline import path_metrics, values
from .cluster.place import Place, manned, told_by
from .frontier import Frontier, Landscape
from .holdout import hold_out
from .judgement import Known, Tried, judge, sample_rows
from .progress import Advance, progress
from .recipe import Prepared
from .run import Outcome, config_of, publish, recorded, trade_tables
from .settings import Guards, Store
from .sizing import check_room
from .space import to_policies
from .surface import PIECE, Work, groups, stripes
from .surface_grid import canonical
from .sweep import STATISTICS, Plan, guard_overflow, trial_columns
from .tallies import Ground, exact, ground

Columns = dict[str, Any]


def run_surface(
    prepared: Prepared,
    store: Store,
    sized: Callable[[Prepared], Work],
    asked: Guards,
    command: tuple[str, ...],
    known: Known | None = None,
    place: Place | None = None,
) -> Outcome:
    """Try every cell of a grid on every alert; publish all cells, the ranked best, and the trades of the first.

    ``sized`` makes the plan. Memory does not grow with the number of cells but for 100 bytes each where the winner is
    judged. ``known`` and ``place`` as for ``run_sweep``.
    """
    prepared = hold_out(prepared, asked.holdout)
    work = sized(prepared)
    ranked = ranking(work)
    config = config_of(prepared, described(work) | {"guards": asdict(asked)})
    best, landscape = Frontier(ranked), Landscape(work.grid.space)
    with recorded("surface", prepared, store) as s:
        paths = path_metrics(prepared, (), store)
        guard_overflow(prepared, values(paths.read(["ath_mult"]), "ath_mult"))
        there = ground(prepared, "tables", work.memory, store.threads)
        parts = groups(there, work)
        check_room(_bytes_on_disk(work, len(parts)), s.root, "choose another --runs, or take longer steps")
        with manned(place, there, config, work, store.quiet) as there:
            _write_surface(s, there, work, store, best, landscape)
            if work.by:
                _write_groups(s, parts, work, store)
            with prepared.clock.phase("ranking"):
                found = exact(there, to_policies(work.grid.space, best.drawn()))
            judged = judge(s, there, best, tried(work), asked, store, config, known)
            done = told_by(there.crew, store.quiet)
        tables = trade_tables(s, prepared, store, best.policies()[0], paths)
        more = {**judged.columns, "plateau_bps": best.rows["plateau_bps"]}
        schema = schemas.frontier(work.grid.space.named, tuple(more))
        tables["frontier"] = schemas.table(schema, best.columns(found) | more, s.run_id)
        lively = landscape.liveliest(work.alerts)
        if lively:
            s.write_file("results/heatmap.svg", picture(lively, landscape.edges).encode(), "heatmap")
        done |= {"engine": "surface", "trials": work.grid.cells, "block": work.height, "pairs": work.trades}
        done |= {"alerts_by_candle": there.bars, "memory": work.memory}
        outcome = publish(s, prepared, paths, store, config, command, tables, facts=judged.facts, **done)
    notes = {"work": work, "edges": landscape.edges, "by_candle": there.bars, "groups": len(parts)}
    return replace(outcome, landscape=lively, judged=judged, notes=notes)


def described(work: Work) -> dict[str, Any]:
    """Return what a config says of a surface."""
    return {
        "surface": canonical(work.grid.ranges),
        "objective": work.objective,
        "medians": work.medians,
        "by": work.by,
    }


def tried(work: Work) -> Tried:
    """Return the cells as the trials of a search."""
    grid = work.grid

    def policies(first: int, count: int) -> Policies:
        return to_policies(grid.space, grid.drawn(first, count))

    return Tried(grid.cells, policies, to_policies(grid.space, grid.at(sample_rows(grid.cells))))


def ranking(work: Work) -> Plan:
    """Return the plan of a search that has the cells for trials: what ranks them asks for one."""
    grid = work.grid
    return Plan(grid.space, grid.cells, 0, work.objective, (), work.alerts, work.height, work.memory, "tables")


def picture(lively: tuple[str, str, np.ndarray], edges: Mapping[str, np.ndarray]) -> str:
    """Return the heat map of two parameters as SVG."""
    x, y, means = lively
    return heatmap.svg(means, edges[x], edges[y], x, y, "Mean return per trade", "bps")


def _write_surface(s: Stage, there: Ground, work: Work, store: Store, best: Frontier, landscape: Landscape) -> None:
    """Write every cell, and take each into the ranking and the heat map."""
    space = work.grid.space
    schema = schemas.surface(space.named)
    with s.writer("surface", schema) as out, progress("cells", work.grid.cells, store.quiet) as advance:
        for first, tally, around in stripes(there, work, "surface", advance):
            with there.prepared.clock.phase("write"):
                for at, some in _pieces(tally.size):
                    drawn = work.grid.drawn(first + at, some.stop - some.start)
                    columns = trial_columns(space, drawn, tally[some], first + at)
                    columns["plateau_bps"] = around[some] / work.alerts / 100
                    del columns["policy_id"]
                    if not work.medians:
                        columns["median_return_bps"] = None
                    out.write(schemas.table(schema, columns, s.run_id))
                    best.add(columns)
                    landscape.add(drawn, tally["sum_q"][some])


def _write_groups(s: Stage, parts: list[tuple[pa.Scalar, Ground]], work: Work, store: Store) -> None:
    """Write every cell once for each group of alerts."""
    by, named, total = work.by or "caller", work.grid.space.named, len(parts) * work.grid.cells
    schema, work = schemas.surface_by(by, named), replace(work, medians=False)
    with s.writer("surface_by", schema) as out, progress(f"cells by {by}", total, store.quiet) as advance:
        for i, (group, there) in enumerate(parts):
            for first, tally, _ in stripes(there, work, "groups", _after(advance, i * work.grid.cells)):
                for at, some in _pieces(tally.size):
                    count, sums = some.stop - some.start, tally["sum_q"][some]
                    columns = work.grid.drawn(first + at, count) | {
                        schema.names[1]: pa.repeat(group, count),
                        "trial_id": np.arange(first + at, first + at + count),
                        "trades_count": tally["trades"][some],
                        "sum_ret_q": sums,
                        "avg_return_bps": sums / there.fits.size / 100,
                    }
                    if "time_stop_ms" in columns:
                        columns["time_stop_ms"] = columns["time_stop_ms"].astype(np.int64)
                    out.write(schemas.table(schema, columns, s.run_id))


def _after(advance: Advance, before: int) -> Advance:
    return lambda done: advance(before + done)


def _pieces(size: int) -> Iterator[tuple[int, slice]]:
    """Yield the start of some rows after others, and the rows."""
    for at in range(0, size, PIECE):
        yield at, slice(at, min(size, at + PIECE))


def _bytes_on_disk(work: Work, parts: int) -> int:
    """Return a generous guess of what the two tables of cells take."""
    named = len(work.grid.space.named)
    return 8 * work.grid.cells * (named + len(STATISTICS) + 4 + parts * (named + 4))
