"""The command ``labs export``: a kept lab in the layout of the results guide."""

import time
from pathlib import Path


def export(
    lab: str,
    *,
    store: Path = Path("labs"),
    server: str | None = None,
    folder: Path = Path("cache"),
    partial: bool = False,
    by: str = "return_on_balance_pct",
    quiet: bool = False,
) -> int | None:
    """Write a kept lab in the layout of the results guide: JSON as the server sent it, and its figures as CSV.

    Args:
        lab: A lab's id, or the start of one.
        store: Directory that labs were fetched into.
        server: Only labs of this server, host:port.
        folder: Directory that takes lab_backtests_LAB_TIME, a new one each time.
        partial: Write it though something of it is missing, and say so in INCOMPLETE.txt.
        by: The figure that the CSV is sorted by, the best first.
        quiet: Print no progress.
    """
    from ..io.labs import guide
    from ..io.labs.store import find_lab, lab_records
    from .labs.analysis import analyse, analytics_table, check_by
    from .labs.files import write_csv
    from .labs.run import kept_tables
    from .progress import progress

    check_by(by)
    where, name = find_lab(store, lab, server)

    def write_figures(new: Path) -> None:
        write_csv(analytics_table(analyse(kept_tables(store, name, where, quiet), by), ""), new / guide.ANALYTICS)

    target = guide.folder_of(folder, name, time.time_ns() // 1_000_000)
    with progress("backtests", len(lab_records(store, where, name).backtests), quiet) as advance:
        count = guide.export(store, where, name, target, partial, write_figures, advance)
    print(f"{count:,} backtests in {target}")
    return None
