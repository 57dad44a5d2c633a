"""The command ``highwater surface``, and what it prints."""

import sys
from pathlib import Path
from typing import Any, Literal

from ..io.errors import UsageError
from .report_command import Page, say
from .settings import MEMORY, Guards, Machines, Sources, Store, Trading, takes
from .values import DurationRange, Range, Size


@takes(guards=Guards, sources=Sources, trading=Trading, store=Store, machines=Machines, page=Page)
def surface(
    *,
    tp: Range = Range(1.1, 10.0, 0.01),  # noqa: B008
    sl: Range = Range(0.2, 0.98, 0.005),  # noqa: B008
    trail: Range | None = None,
    trail_activate: Range | None = None,
    breakeven: Range | None = None,
    breakeven_offset: Range | None = None,
    time_stop: list[DurationRange] | None = None,
    objective: str = "avg_return_bps",
    medians: bool = False,
    by: Literal["caller", "day"] | None = None,
    engine: Literal["surface", "dask"] = "surface",
    top: int = 10,
    html: Path | None = None,
    mem: Size = MEMORY,
    max_cells: int = 50_000_000,
    guards: Guards,
    sources: Sources,
    trading: Trading,
    store: Store,
    machines: Machines,
    page: Page,
) -> int | None:
    """Try every combination of targets, stops, moving stops and time limits on every alert.

    A range is low:high:step or one value; without a step, levels are 0.01 (stops and fractions 0.005, times 1m) apart.

    Args:
        tp: Take profits, multiples of the entry price.
        sl: Stop losses, multiples of the entry price.
        trail: Trailing stops, fractions below the high.
        trail_activate: The multiple that arms the trailing stop.
        breakeven: The multiple that moves the stop to the entry price.
        breakeven_offset: Where it moves, a fraction above the entry price.
        time_stop: Times after which what is left is sold: 30m:24h:30m, or several.
        objective: What makes a cell better: a column of surface.parquet such as plateau_bps, the worst mean among it
            and its neighbours, expectancy_r, or an expression over columns.
        medians: Find the median return of every cell too.
        by: The same surface for each caller, or for each UTC day of entry, besides.
        engine: Here, or with dask on workers (changes no result).
        top: Cells to print.
        html: Write the run's page (see --report) into this new file.
        mem: Memory for the work on a stripe of cells.
        max_cells: Refuse more cells than this.
    """
    from . import show
    from .cluster.place import called, place_of
    from .objective import PLATEAU, check_objective
    from .recipe import prepare
    from .sizing import uncovered
    from .surface import plan
    from .surface_grid import grid_of
    from .surface_run import run_surface
    from .sweep import STATISTICS

    single = {
        **{"tp": tp, "sl": sl, "trail": trail, "trail_activate": trail_activate},
        **{"breakeven": breakeven, "breakeven_offset": breakeven_offset},
    }
    ranges = {name: (each,) for name, each in single.items() if each is not None}
    grid = grid_of(ranges | ({"time_stop_ms": tuple(time_stop)} if time_stop else {}), max_cells)
    if what := uncovered(grid.space, trading):
        raise UsageError(f"a surface does not cover {what}: it is pessimistic, its exact worst and best beside it")
    check_objective(objective, (*STATISTICS, *grid.space.named, PLATEAU))
    check_page(html)
    with called(place_of(engine == "dask", machines.workers, machines.scheduler)) as place:
        outcome = run_surface(
            prepare(sources, trading, store),
            store,
            lambda prepared: plan(grid, prepared, objective, medians, by, mem, max_cells),
            guards,
            tuple(sys.argv[1:]),
            place=place,
        )
    if store.json:
        show.as_json(outcome, ["frontier", "summary"])
    else:
        show.head(outcome)
        best(outcome, top)
        show.summary(outcome)
        show.judgement(outcome)
        show.map_of(outcome)
        show.foot(outcome)
    page.write(outcome.path, store)
    if html is not None:
        say(outcome.path, store.slice_folder, html, aside=True)
    return None


def done(outcome: Any) -> list[str]:
    """Return what was done, in words: ``1,000 x 1,000 cells x 9,812 alerts = 9.81e9 trades in 0.41 s``."""
    work, spent = outcome.notes["work"], outcome.prepared.clock.spent
    shape = " x ".join(f"{n:,}" for n in work.grid.shape if n > 1) or "1"
    count = f"{work.trades:,}" if work.trades < 10**7 else f"{work.trades:.3g}".replace("e+0", "e").replace("e+", "e")
    lines = [f"{shape} cells x {work.alerts:,} alerts = {count} trades in {spent['surface'] / 1000:,.2f} s"]
    if alone := outcome.notes["by_candle"]:
        lines.append(f"{alone:,} alert{'s' * (alone > 1)} candle by candle")
    if groups := outcome.notes["groups"]:
        lines.append(f"again for each of {groups:,} {work.by}s in {spent['groups'] / 1000:,.2f} s")
    return lines


def best(outcome: Any, most: int) -> None:
    """Print what was done and the best cells; a policy that does not fit beside its numbers stands below."""
    from rich.console import Console

    from . import show
    from .policy import describe, parse_policy
    from .space import describe as describe_space

    rows, work, out = outcome.tables["frontier"].to_pylist(), outcome.notes["work"], show.console()
    out.print("\n         ".join([f"surface  {describe_space(work.grid.space)}", *done(outcome)]) + "\n")
    title = f"Best of {work.grid.cells:,} cells, by {work.objective}"
    ranking = show.table(title, *cells(rows[:most], work.grid.space.varied))
    if Console(width=999).measure(ranking).maximum <= out.width:
        out.print(ranking)
    else:
        out.print(show.table(title, *cells(rows[:most], ())))
        for row in rows[:most]:
            out.print(f"{row['rank']:<3} {describe(parse_policy(row['policy_params']))}")
    out.print("plateau: the lowest mean of the cell and all its neighbours on the grid")
    out.print(f"\nwinner           {rows[0]['policy_params']}", soft_wrap=True)


def cells(rows: list[dict[str, Any]], names: tuple[str, ...]) -> tuple[list[str], list[list[str]]]:
    """Return the heads and cells of a ranking, with a column for each parameter in ``names``."""
    from .show import bps, share, span

    found = []
    for row in rows:
        values = [span(row[name]) if name == "time_stop_ms" else f"{row[name]:g}" for name in names]
        means = ("avg_return", "mean_worst", "mean_best", "plateau", "median_return")
        rates = [share(row["win_rate"]), share(row["stop_out_rate"])]
        found.append([str(row["rank"]), *values, *(bps(row[f"{name}_bps"]) for name in means), *rates])
    heads = ["#", *(name.removesuffix("_ms").replace("_", "\n") for name in names)]
    return [*heads, "mean", "worst", "best", "plateau", "median", "wins", "stopped"], found


def check_page(path: Path | None) -> None:
    """Raise UsageError where ``path`` is taken or its directory is not there, before a surface costs time."""
    if path is not None and path.exists():
        raise UsageError(f"--html {path} is there already; name a new file")
    if path is not None and not path.parent.is_dir():
        raise UsageError(f"--html {path}: there is no directory {path.parent}")
