"""The commands that prove runs: verify, rerun, diff."""

from pathlib import Path

from .places import Runs
from .report_command import Page
from .settings import Store, takes
from .values import Size

_RUNS = Path("runs")


def runs_verify(
    run: str | None = None,
    *,
    all: bool = False,  # noqa: A002
    content: bool = False,
    runs: Runs = _RUNS,
    json: bool = False,
) -> int | None:
    """Hash every file of a run and compare it with the manifest; exit code 4 where one is not as published.

    Args:
        run: Run id, the start or end of one (4 characters or more), a path, or "latest".
        all: Every run of the directory instead.
        content: Decode the tables too, and compare their values with the digest of their content.
        runs: Directory of runs.
        json: Print one JSON document instead of text.
    """
    from . import browse

    return browse.check_runs(runs, run, all, content, json)


@takes(store=Store, page=Page)
def runs_rerun(
    run: str,
    *,
    alerts: Path | None = None,
    candles: Path | None = None,
    mem: Size | None = None,
    store: Store,
    page: Page,
) -> int | None:
    """Do a run again as a new run, and say whether its results are the same; exit code 4 where they are not.

    Settings come from the run's manifest, alerts from the run, candles from the slice with the digest it names.
    Differences name the artifact, the column, the first row and both values.

    Args:
        run: Run id, the start or end of one (4 characters or more), a path, or "latest".
        alerts: Read this file of alerts instead, with the run's settings.
        candles: Cut a slice from these candles instead, with the run's settings.
        mem: Memory for the work on a block of trials or cells (default: as much as the run had).
    """
    from . import diff_show

    return diff_show.show_rerun(run, alerts, candles, mem, store, page)


def runs_diff(first: str, second: str, *, runs: Runs = _RUNS, top: int = 10, json: bool = False) -> int | None:
    """Compare two runs trade by trade, with the reason why each differs; runs without trades by their path metrics.

    Args:
        first: Run id, the start or end of one (4 characters or more), a path, or "latest".
        second: The run to compare it with.
        runs: Directory of runs.
        top: Trades (or metrics) to print, those that moved most.
        json: Print one JSON document instead of text.
    """
    from . import diff_show

    return diff_show.show_diff(runs, first, second, top, json)
