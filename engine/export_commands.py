"""The command that writes a run in other layouts."""

from pathlib import Path
from typing import Literal

from .places import Runs, Slices


def runs_export(
    run: str,
    *,
    format: Literal["guide", "parquet", "csv", "duckdb"] = "guide",  # noqa: A002
    output: Path = Path("results"),
    runs: Runs = Path("runs"),
    slices: Slices | None = None,
) -> int | None:
    """Write a run in another layout, for other programs to read.

    guide: baseline_cache_FROM_TO.parquet, per_alert, per_caller and per_trade; of a lab, backtests_analytics.csv.
    parquet and csv: every table, in a directory named RUN_parquet or RUN_csv. duckdb: runs.duckdb, which takes any
    number of runs.

    Args:
        run: Run id, the start or end of one (4 characters or more), or "latest".
        format: The layout.
        output: Directory that takes it.
        runs: Directory of runs.
        slices: Directory of slices, for the candles of each alert (default: .slices beside the runs).
    """
    from ..io.runs import find_run, read_manifest
    from . import exports

    found = find_run(runs, run).path
    if format in ("parquet", "csv"):
        print(exports.tables(found, output, format == "csv"))
        return None
    if format == "guide" and (manifest := read_manifest(found)).artifact("lab_analytics"):
        from .labs.files import write_guide

        print(write_guide(found, manifest, output))
        return None
    targets = exports.guide(found, output) if format == "guide" else {"duckdb": output / "runs.duckdb"}
    exports.check(targets)
    for line in exports.export(found, targets, slices or found.parents[1] / ".slices"):
        print(line)
    return None
