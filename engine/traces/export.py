"""The traces of a run as files of one strategy each, for other programs, or to be found alone."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...io.errors import MissingError
from ...io.exports import write_told
from ...io.runs import read_artifact, read_manifest
from ...io.traces import signals_path
from .load import Places, about_of, folders, index_rows, loaded

_BLOCK = 256  # traces that are held at once


def export_traces(run: Path, folder: Path, places: Places) -> int:
    """Write every trace of the run in the directory ``run`` as a file of its own below ``folder``; return how many.

    ``index.parquet`` lists them, with all that the run's index says. Raises MissingError where candles, or a run that
    holds traces of this one, are gone.
    """
    manifest, rows = read_manifest(run), index_rows(run)
    others = sorted({row["trace_run"] for row in rows} - {manifest.run_id})
    paths = {manifest.run_id: run, **folders(run.parents[1], others)}
    if gone := [run_id for run_id in others if run_id not in paths]:
        raise MissingError(
            f"traces of run {manifest.run_id} lie in {', '.join(gone)}, which is gone (removed, or archived)", "E_GONE"
        )
    names = [_file(signals_path(about_of(row, manifest))) for row in rows]
    index = read_artifact(run, "strategy_index").replace_schema_metadata(None)
    remedy = f"run {manifest.run_id} is untouched; repeat when that is put right"
    return write_told(
        folder,
        _files(paths, rows, names, places),
        index.add_column(0, "file", pa.array(names, pa.string())),
        {"artifact": "signals", "run_id": manifest.run_id},
        remedy,
    )


def _file(path: str) -> str:
    return path.partition("/")[2]


def _files(
    paths: Mapping[str, Path], rows: list[dict[str, Any]], names: list[str], places: Places
) -> Iterator[tuple[str, pa.Table, Mapping[str, str]]]:
    for first in range(0, len(rows), _BLOCK):
        some = rows[first : first + _BLOCK]
        for name, one in zip(names[first:], loaded(paths, some, places), strict=False):
            yield name, one.table, one.about.metadata()
