"""The commands of the catalog."""

from pathlib import Path
from typing import Literal

from .places import Runs
from .values import Duration, Instant, Size, Until

RunType = Literal["path-only", "policy", "search", "surface", "traces", "session", "lab", "rerun"]
Status = Literal["completed", "failed", "corrupt", "unverified", "newer"]


def sync(*, runs: Runs = Path("runs"), stats: bool = False, json: bool = False) -> int | None:
    """Bring the catalog up to date with the runs; run it as often as you like.

    Args:
        runs: Directory of runs.
        stats: Print what the catalog holds, too.
        json: Print one JSON document instead of text.
    """
    from . import catalog_show

    return catalog_show.sync(runs, stats, json)


def query(
    *,
    runs: Runs = Path("runs"),
    run_type: RunType | None = None,
    status: Status | None = None,
    from_date: Instant | None = None,
    to_date: Until | None = None,
    run_id: str | None = None,
    artifact_type: str | None = None,
    limit: int = 20,
    json: bool = False,
) -> int | None:
    """List the runs in the catalog, newest first; with --artifact-type, the paths of that artifact instead.

    Args:
        runs: Directory of runs.
        run_type: Only runs of this type.
        status: Only runs of this status.
        from_date: Only runs made from this time on (UTC; a date is its midnight).
        to_date: Only runs made before this time (UTC; a date includes that day).
        run_id: Only this run: its id, the start or end of it (4 characters or more), or "latest".
        artifact_type: Only runs that have this artifact; print where it lies.
        limit: Runs to print.
        json: Print one JSON document instead of text.
    """
    from . import catalog, catalog_show

    found = catalog.query_runs(
        runs,
        run_type=run_type,
        status=status,
        from_date=from_date,
        to_date=to_date,
        run_id=run_id,
        artifact_type=artifact_type,
        limit=limit,
    )
    if artifact_type:
        return catalog_show.paths(runs, found, artifact_type, json)
    return catalog_show.runs(runs, found, run_id is not None, json)


def sql(
    statement: str,
    *,
    runs: Runs = Path("runs"),
    limit: int = 100,
    mem: Size = 1 << 30,
    timeout: Duration = 60_000,
    json: bool = False,
) -> int | None:
    """Answer one SELECT over all completed runs.

    Tables: runs, artifacts, strategies, trials_ledger, and each artifact by its name (alerts, paths, trades, fills,
    summary, callers, trials, frontier, surface, traces, errors, ...), each with the run_id of its rows.
    A file of a run may be named: read_parquet('runs/2024-01/run_id=.../truth/paths.parquet').

    Args:
        statement: The SELECT, as DuckDB understands it.
        runs: Directory of runs.
        limit: Rows to print.
        mem: Memory for the statement.
        timeout: Time for the statement.
        json: Print one JSON document instead of text.
    """
    from . import catalog_show

    return catalog_show.answer(runs, statement, limit, mem, timeout, json)


def path(*, runs: Runs = Path("runs")) -> int | None:
    """Print the path of the catalog, a DuckDB file with the tables runs, artifacts, strategies and trials_ledger.

    Args:
        runs: Directory of runs.
    """
    from ..io.catalog_store import current

    print(current(runs))
    return None
