"""The command ``highwater regret``, and what it prints."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from .settings import Store, takes
from .values import Range, show_duration

if TYPE_CHECKING:
    from .regret import Moved, Regret


@takes(store=Store)
def regret(
    run: str,
    *,
    tp: Range = Range(1.1, 10.0, 0.1),  # noqa: B008
    sl: Range = Range(0.2, 0.95, 0.05),  # noqa: B008
    store: Store,
) -> int | None:
    """Say what a run's exits left on the table and what its stops saved; of a search, those of its winner.

    Nothing is published. The alerts are those the run kept, the candles the slice with the digest it names.

    Args:
        run: Run id, the start or end of one (4 characters or more), a path, or "latest".
        tp: Targets of the fixed exits tried in hindsight, as for a surface.
        sl: Their stops.
    """
    from ..io.runs import find_run, read_artifact
    from . import show
    from .fixed_exits import fixed_exits, not_covered
    from .policy import describe
    from .regret import regret as regret_of
    from .reopen import numbers, reopened, traded

    path = find_run(store.runs, run).path
    manifest, prepared = reopened(path, store)
    done, paths = traded(path, manifest), read_artifact(path, "paths")
    best, tried, what = None, 0, not_covered(prepared)
    if not what:
        exits = fixed_exits(prepared, numbers(paths, "ath_mult"), tp, sl, store.threads)
        best = exits.best(exits.sums(), exits.there.fits.size)
        tried = exits.work.grid.cells
    found = regret_of(prepared, done, paths, best)
    if store.json:
        form = {"run_id": manifest.run_id, "policy": done.policy.canonical(), **asdict(found)}
        print(json.dumps(show.defined(form), indent=2, allow_nan=False))
        return None
    show.console().print(f"run      {manifest.run_id}\npolicy   {show.plain(describe(done.policy))}\n")
    _print(found, tried, what)
    return None


def _print(found: "Regret", tried: int, what: str) -> None:
    from . import show
    from .regret import QUANTILES

    out, cell = show.console(), found.hindsight
    rows = [["as traded", show.bps(found.avg_return_bps), ""]]
    if cell:
        name = f"best of {tried:,} fixed exits in hindsight: TP {cell.tp:g}x, SL {show.percent(cell.sl - 1)}"
        rows.append([name, *(show.bps(x) for x in (cell.avg_return_bps, cell.avg_return_bps - found.avg_return_bps))])
    rows.append(
        ["each sold at its high", *(show.bps(x) for x in (found.peak_bps, found.peak_bps - found.avg_return_bps))]
    )
    out.print(show.table(f"Mean return of {found.trades:,} trades, after costs", ["exits", "mean", "regret"], rows))
    if what:
        out.print(f"no fixed exits in hindsight: they do not cover {what}")
    shares = [show.percent(each, 0) for each in (*found.capture, found.capture_of_all)]
    names = ["median" if q == 0.5 else f"{q:.0%}" for q in QUANTILES]
    out.print(f"\nOf the gain at the high, {found.peaks:,} trades that had one kept")
    out.print(show.table("", ["quantile", *names, "all gains"], [["share", *shares]]))
    later(found.left, f"Left on the table: how far the price rose after {found.sold:,} sales before the end", "rose")
    later(found.saved, f"Saved by the stop: how far it fell after {found.stopped:,} of them that were stops", "fell")
    if found.stopped:
        kept, right = show.percent(found.kept), show.share(found.right)
        out.print(f"\na stop kept {kept} more than holding to the end; it was right for {right}")
    out.print("of the entry price, before costs; from the candle after the exit to the horizon")


def later(rows: Sequence["Moved"], title: str, verb: str) -> None:
    """Print how far prices went after the exits, a row a time."""
    from . import show

    cells = []
    for row in rows:
        figures = (show.percent(value) for value in (row.mean, row.median, row.p90))
        cells.append([show_duration(row.within_ms), show.share(row.share), *figures])
    show.console().print(f"\n{title}")
    show.console().print(show.table("", ["within", verb, "mean", "median", "90%"], cells))
