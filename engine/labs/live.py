"""A running lab on the screen: a table that changes on a terminal, a line each time elsewhere."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from ...io.labs.watching import Snapshot
from .. import show
from ..stopping import check

HEADS = ["backtest", "of", "trades", "profit", "fees", "ROI on\nmargin"]


@contextlib.contextmanager
def showing(quiet: bool) -> Iterator[Callable[[Snapshot], None]]:
    """Yield what shows a snapshot on stdout; nothing of it where ``quiet``."""
    if quiet:
        yield lambda snapshot: check()
        return
    out = show.console()
    if not out.is_terminal:

        def line(snapshot: Snapshot) -> None:
            check()
            out.print(head(snapshot) if snapshot.running else table(snapshot))
            sys.stdout.flush()

        yield line
        return
    from rich.live import Live

    with Live(console=out, auto_refresh=False) as live:

        def update(snapshot: Snapshot) -> None:
            check()
            live.update(table(snapshot), refresh=True)

        yield update


def head(snapshot: Snapshot) -> str:
    """Return one line: the lab, how far it is, and how fast."""
    state = "running" if snapshot.running else "ended"
    rate = f", {snapshot.rate:,.1f} a minute" if snapshot.rate is not None and snapshot.running else ""
    name = show.plain(snapshot.name or snapshot.lab)
    return f"{name}: {state}, {snapshot.done:,} of {snapshot.scheduled:,} backtests{rate}, {snapshot.kept:,} kept"


def table(snapshot: Snapshot) -> Any:
    """Return the best backtests, under the line of ``head``."""
    cells = [
        [
            row.backtest,
            "-" if row.generation is None else f"{row.generation}/{row.population}",
            *(_number(row.trades, ",.0f"), _number(row.profit, "+,.2f"), _number(row.fees, ",.2f")),
            _number(row.margin_roi_pct, "+.1f", "%"),
        ]
        for row in snapshot.best
    ]
    return show.table(head(snapshot), HEADS, cells)


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"
