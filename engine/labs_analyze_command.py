"""The commands ``labs analyze`` and ``labs report``: what a lab's backtests are worth."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..io.errors import UsageError
from .places import Files, Runs
from .report_command import Page
from .settings import Guards, Store, takes
from .trace_settings import Exits
from .values import Duration

if TYPE_CHECKING:
    from .policy import Policy

CHARTS = Path("server")  # for --candles


@dataclass(frozen=True, kw_only=True)
class Leave(Exits):
    """How the lab's entries are left on --candles, besides by their scripts' own stop and target.

    Args:
        policy: The whole policy as JSON or as a file, instead of --tp, --sl and the like.
        horizon: How long after its entry a position is followed.
    """

    policy: str | None = None
    horizon: Duration = 48 * 3_600_000

    def __post_init__(self) -> None:
        if self.horizon <= 0:
            raise UsageError("--horizon is 0; it must be longer than nothing, such as 48h")

    @property
    def chosen(self) -> "Policy | None":
        """The policy that is asked for, None without any."""
        from .policy import parse_policy

        if self.policy is None:
            return self.exits
        if self.exits is not None or self.tp_gap_fill != "level":
            raise UsageError("--policy holds the whole policy; leave --tp, --sl and the like out, or --policy")
        return parse_policy(self.policy)


@takes(guards=Guards, leave=Leave, records=Store, page=Page)
def analyze(
    lab: str,
    *,
    store: Path = Path("labs"),
    server: str | None = None,
    by: str = "return_on_balance_pct",
    ascending: bool = False,
    capital: float | None = None,
    candles: Files | None = None,
    custom: list[str] | None = None,
    tried: int | None = None,
    csv: Path | None = None,
    top: int = 10,
    guards: Guards,
    leave: Leave,
    records: Store,
    page: Page,
) -> int | None:
    """Analyse the backtests of a lab that was fetched, and say whether the best of them is luck.

    Every figure is defined in engine/labs/METRICS.md. Results are published as a run.

    Args:
        lab: A lab's id, or the start of one.
        store: Directory that labs were fetched into.
        server: Only labs of this server, host:port.
        by: The figure that makes a backtest better: a column of results/analytics.parquet.
        ascending: The lowest first.
        capital: The balance before each run, instead of what the server says.
        candles: Replay the trades on these candles: a Parquet, Arrow or CSV file, a directory of Parquet files, or
            "server": its charts, which labs sync --charts fetched.
        custom: Analytics of your own: file.py:function, or a name that an installed package registered.
        tried: Configurations ever tried on this market (default: those of the lab).
        csv: Write the figures to this file too.
        top: Backtests to print.
    """
    from .labs import show
    from .labs.analysis import check_by
    from .labs.exits import Leaving
    from .labs.files import check_csv, write_csv
    from .labs.ground import ground_of, ground_of_charts
    from .labs.run import Task, kept_tables, run_lab
    from .recipe import Clock

    check_by(by)
    check(guards, capital, tried)
    if csv is not None:
        check_csv(csv)
    leaving = Leaving(leave.chosen, leave.horizon)
    if leaving.policy is not None and candles is None:
        raise UsageError("exits such as --tp and --sl need candles to be tried on; name some with --candles")
    clock = Clock()
    with clock.phase("read"):
        tables = kept_tables(store, lab, server, records.quiet)
        ground = None
        if candles == CHARTS:
            ground = ground_of_charts(store, server, tables, records, leaving.horizon)
        elif candles is not None:
            ground = ground_of(candles, tables, records, leaving.horizon)
    task = Task(by, ascending, capital, tried, tuple(custom or ()), leaving, guards)
    run = run_lab(task, tables, ground, records, tuple(sys.argv[1:]), clock)
    if csv is not None:
        write_csv(run.tables["lab_analytics"], csv)
    view = show.view_of(run)
    (show.as_json if records.json else show.show)(view, top)
    page.write(run.path, records)
    return None


def check(guards: Guards, capital: float | None, tried: int | None) -> None:
    """Raise UsageError for what cannot be asked of a lab."""
    if guards.holdout:
        raise UsageError("--holdout: a lab's backtests have seen all their days; leave it out")
    if capital is not None and not capital > 0:
        raise UsageError(f"--capital is {capital:g}; it must be more than 0")
    if tried is not None and tried < 1:
        raise UsageError(f"--tried is {tried}; it must be at least 1")


def report(
    run: str = "latest",
    *,
    runs: Runs = Path("runs"),
    top: int = 10,
    json: bool = False,
) -> int | None:
    """Print what a published lab run found, in 80 columns.

    Args:
        run: Run id, the start or end of one (4 characters or more), or "latest": the newest run of a lab.
        runs: Directory of runs.
        top: Backtests to print.
        json: Print one JSON document instead of text.
    """
    from .labs import show
    from .labs.files import find_lab_run

    view = show.view_in(find_lab_run(runs, run))
    (show.as_json if json else show.show)(view, top)
    return None
