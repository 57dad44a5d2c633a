"""The rows of the catalog: what it keeps of a run and its artifacts, out of the manifest."""

import dataclasses
import hashlib
import json
import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, get_type_hints

import pyarrow as pa

from .digest import canonical_json
from .manifest import COMPLETED, MARKERS, Artifact, Input, Manifest
from .runs import RunEntry

_INT64 = 2**63


@dataclasses.dataclass(frozen=True)
class CatalogRun:
    """A run as the catalog knows it; of a run that is not served only the first four fields and ``reason``.

    ``path`` is relative to the directory of runs. ``status`` is completed, failed, corrupt, unverified or newer.
    ``calls`` are the alerts processed, ``trials`` the configurations tried. ``config`` and ``counts`` are JSON.
    """

    path: str
    run_id: str
    run_type: str | None
    status: str
    reason: str
    created_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    calls: int | None
    trials: int | None
    interval_ms: int | None
    from_ms: int | None
    to_ms: int | None
    manifest_digest: str | None
    config_digest: str | None
    data_digest: str | None
    alerts_digest: str | None
    candles_digest: str | None
    version: str | None
    git_commit: str | None
    git_dirty: bool | None
    kernels_digest: str | None
    total_ms: int | None
    peak_memory_bytes: int | None
    command: str | None
    config: str | None
    counts: str | None
    schema_version: int | None


_KINDS = {str: pa.string(), int: pa.int64(), bool: pa.bool_(), datetime: pa.timestamp("us")}


def _schema(hints: dict[str, Any]) -> pa.Schema:
    """Return the schema of a record: ``X | None`` may be null."""
    fields = []
    for name, hint in hints.items():
        (kind, *null) = getattr(hint, "__args__", (hint,))
        fields.append(pa.field(name, _KINDS[kind], nullable=bool(null)))
    return pa.schema(fields)


RUNS = _schema(get_type_hints(CatalogRun))
ARTIFACTS = _schema(
    {"run_id": str, "artifact_type": str}
    | {name: hint for name, hint in get_type_hints(Artifact).items() if name != "type"}
)


def data_digest(inputs: Sequence[Input]) -> str:
    """Return the digest of all that a run read: its inputs' kinds and digests, in whatever order they stand."""
    return hashlib.sha256(canonical_json(sorted([each.kind, each.digest] for each in inputs))).hexdigest()


def configurations(manifest: Manifest) -> int:
    """Return how many sets of exit rules a run tried: its different trials or cells, else 1 where it traded."""
    if type(distinct := manifest.execution.get("distinct")) is int:
        return distinct
    tried = [artifact.rows or 0 for artifact in manifest.artifacts if artifact.type in ("trials", "surface")]
    kinds = ("trades", "session_trades")
    traded = manifest.status == COMPLETED and any(manifest.artifact(kind) is not None for kind in kinds)
    return sum(tried) or int(traded)


def run_row(entry: RunEntry, path: str) -> dict[str, Any] | None:
    """Return the row of a run at ``path``, relative to the directory of runs; None if it was deleted meanwhile."""
    row: dict[str, Any] = dict.fromkeys(RUNS.names)
    row |= {"path": path, "run_id": entry.run_id, "status": entry.status, "reason": entry.reason}
    m = entry.manifest
    if m is not None:
        try:
            digest = (entry.path / MARKERS[m.status]).read_text("ascii").strip()
        except FileNotFoundError:
            return None
        inputs = {each.kind: each for each in m.inputs}
        alerts, candles = inputs.get("alerts"), inputs.get("candles")
        interval = m.config.get("interval_ms")
        row |= {name: _moment(getattr(m, name)) for name in ("created_at", "started_at", "completed_at")}
        row |= {
            "run_type": m.run_type,
            "calls": m.counts.get("OK"),
            "trials": configurations(m),
            "interval_ms": interval if type(interval) is int else None,
            "from_ms": alerts and alerts.from_ms,
            "to_ms": alerts and alerts.to_ms,
            "manifest_digest": digest,
            "config_digest": m.config_digest,
            "data_digest": data_digest(m.inputs) if m.inputs else None,
            "alerts_digest": alerts and alerts.digest,
            "candles_digest": candles and candles.digest,
            "version": m.code.version,
            "git_commit": m.code.git_commit,
            "git_dirty": m.code.dirty,
            "kernels_digest": m.code.kernels_digest,
            "total_ms": sum(m.timing_ms.values()),
            "peak_memory_bytes": m.peak_memory_bytes,
            "command": shlex.join(m.command),
            "config": _json(m.config),
            "counts": _json(m.counts),
            "schema_version": m.schema_version,
        }
    return {name: _cell(value) for name, value in row.items()}


def artifact_rows(entry: RunEntry) -> Iterator[dict[str, Any]]:
    """Yield the rows of a run's artifacts; of a run that is not served none."""
    for artifact in entry.manifest.artifacts if entry.manifest else ():
        row = {**vars(artifact), "run_id": entry.run_id, "artifact_type": artifact.type}
        yield {name: _cell(row[name]) for name in ARTIFACTS.names}


def _json(value: Any) -> str:
    # The canonical writer takes 8 times as long, and nothing is hashed here.
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _cell(value: Any) -> Any:
    """Return a value as a column takes it: JSON may hold larger numbers, and text that is no Unicode."""
    if type(value) is int and not -_INT64 <= value < _INT64:
        return None
    return value.encode("utf-8", "replace").decode() if type(value) is str else value


def _moment(text: str) -> datetime | None:
    """Return a time in UTC without a zone, or None where the text is none."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return None
