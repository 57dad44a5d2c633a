"""Asking the catalog: which runs there are, where an artifact of theirs lies, and the artifact as a table."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow as pa

from ..io import runs as run_files
from ..io.catalog import file_problem
from ..io.catalog_rows import CatalogRun
from ..io.catalog_store import rows
from ..io.errors import IntegrityError, MissingError, UsageError
from ..io.manifest import Manifest
from .values import parse_instant, parse_until

_RUNS = f"""
SELECT {", ".join(field.name for field in fields(CatalogRun))} FROM catalog.runs
WHERE ($run_type IS NULL OR run_type = $run_type)
  AND ($status IS NULL OR status = $status)
  AND ($first IS NULL OR epoch_ms(created_at) >= $first)
  AND ($end IS NULL OR epoch_ms(created_at) < $end)
  AND ($artifact IS NULL OR run_id IN (SELECT run_id FROM catalog.artifacts WHERE artifact_type = $artifact))
  AND ($run IS NULL OR starts_with(run_id, $run) OR ends_with(run_id, $run) OR ($run = 'latest' AND run_id = (
    SELECT run_id FROM catalog.runs WHERE status = 'completed' ORDER BY created_at DESC, run_id DESC LIMIT 1)))
ORDER BY created_at DESC NULLS LAST, path DESC LIMIT $most
"""
_ARTIFACTS = """
SELECT artifact_type, path, rows, bytes FROM catalog.artifacts
WHERE run_id = $run AND ($artifact IS NULL OR artifact_type = $artifact) ORDER BY path
"""
_COUNTS = "SELECT {name}, count(*) FROM catalog.{table} WHERE {name} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"


@dataclass(frozen=True)
class Listed:
    """An artifact as the catalog knows it; ``path`` leads there, ``problem`` says what is wrong with the file."""

    artifact_type: str
    path: Path
    rows: int | None
    bytes: int
    problem: str


@dataclass(frozen=True)
class Statistics:
    """How many runs of each status and type, and artifacts of each type, the catalog holds."""

    by_status: dict[str, int]
    by_type: dict[str, int]
    artifacts: dict[str, int]


def query_runs(
    runs: str | Path = "runs",
    *,
    run_type: str | None = None,
    status: str | None = None,
    from_date: str | int | None = None,
    to_date: str | int | None = None,
    run_id: str | None = None,
    artifact_type: str | None = None,
    limit: int | None = None,
) -> list[CatalogRun]:
    """Return the runs in the catalog that fit every filter, newest first.

    Dates are those of ``created_at``: ``2024-01-31``, ``2024-01-31T05:00`` (UTC) or ms; ``to_date`` as a bare date
    includes that day, else the time is excluded. ``run_id`` is an id, 4 or more characters that begin or end one, or
    ``latest``. Raises MissingError where there is no catalog yet.
    """
    if run_id is not None and len(run_id) < 4:
        raise UsageError(f"run {run_id!r} is too short; give at least 4 characters of its id")
    if limit is not None and limit < 1:
        raise UsageError(f"--limit is {limit}; it must be at least 1")
    found = rows(
        runs,
        _RUNS,
        run_type=run_type,
        status=status,
        first=_ms(from_date, parse_instant),
        end=_ms(to_date, parse_until),
        artifact=artifact_type,
        run=run_id.lower() if run_id else None,
        most=limit,
    )
    return [CatalogRun(*row) for row in found]


def artifacts_of(runs: str | Path, run: CatalogRun, artifact_type: str | None = None) -> list[Listed]:
    """Return the artifacts of a run, of one type or of all."""
    found = rows(runs, _ARTIFACTS, run=run.run_id, artifact=artifact_type) if run.manifest_digest else []
    listed = []
    for kind, relative, count, size in found:
        path = Path(runs) / run.path / relative
        listed.append(Listed(kind, path, count, size, file_problem(str(path), size)))
    return listed


def artifact_path(runs: str | Path, run_id: str, artifact_type: str) -> Path:
    """Return where an artifact of a run lies.

    Raises MissingError where there is none or the run was deleted, IntegrityError where it is not what was saved.
    """
    run = _one(runs, run_id)
    found = artifacts_of(runs, run, artifact_type)
    if not found:
        raise MissingError(f"run {run.run_id} has no artifact {artifact_type!r}")
    if not (Path(runs) / run.path).is_dir():
        raise MissingError(f"run {run.run_id} was deleted; highwater catalog sync takes it out", "E_GONE")
    if found[0].problem:
        raise IntegrityError(f"{found[0].problem}; highwater runs show {run.run_id}")
    return found[0].path


def load_artifact(runs: str | Path, run_id: str, artifact_type: str) -> pa.Table:
    """Return an artifact as a table, after checking its digest. Raises as ``artifact_path`` does."""
    return run_files.read_artifact(Path(runs) / _one(runs, run_id).path, artifact_type)


def load_manifest(runs: str | Path, run_id: str) -> Manifest:
    """Return the manifest of a run, after checking its digest. Raises MissingError, IntegrityError."""
    return run_files.read_manifest(Path(runs) / _one(runs, run_id).path)


def configurations_tried(runs: str | Path, data_digest: str) -> int:
    """Return how many sets of exit rules were ever tried on the data of that digest; those of runs removed are lost."""
    found = rows(runs, "SELECT configurations FROM catalog.trials_ledger WHERE data_digest = $it", it=data_digest)
    return found[0][0] if found else 0


def statistics(runs: str | Path = "runs") -> Statistics:
    """Return what the catalog holds."""
    names = (("status", "runs"), ("run_type", "runs"), ("artifact_type", "artifacts"))
    return Statistics(*(dict(rows(runs, _COUNTS.format(name=name, table=table))) for name, table in names))


def _one(runs: str | Path, run_id: str) -> CatalogRun:
    found = query_runs(runs, run_id=run_id, limit=5)
    if not found:
        raise MissingError(
            f"there is no run {run_id!r} in the catalog of {runs}; highwater catalog sync finds new ones"
        )
    if len(found) > 1:
        raise UsageError(f"{run_id!r} fits several runs: {', '.join(run.run_id for run in found)}; give more")
    return found[0]


def _ms(value: str | int | None, parse: Callable[[str], int]) -> int | None:
    return parse(value) if isinstance(value, str) else value
