"""Where two runs part: the first value of each artifact that is not the same, and what else was not as it was."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..io.manifest import Artifact, Manifest
from ..io.runs import opened_table, whole
from ..io.schemas import run_columns

LEFT_OUT = ("log", "report")  # they tell of one run, and are no result
_KEYS = ("call_id", "trial_id", "caller_name", "rank")


@dataclass(frozen=True)
class Difference:
    """The first difference of an artifact.

    ``row`` counts from 0, and ``key`` says whose row it is; they are None and '' where no value can be named: an
    artifact that only one run has, another type of a column, a file that is no table.
    """

    artifact: str
    column: str | None
    row: int | None
    key: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Change:
    """What is not the same around two runs: ``kind`` is data, config, code or environment; None where there is none."""

    kind: str
    what: str
    before: Any
    after: Any


def changes(before: Manifest, after: Manifest) -> tuple[Change, ...]:
    """Return what differs in the inputs' digests, the config, the code and the environment of two runs."""
    inputs = [{one.kind: one.digest for one in manifest.inputs} for manifest in (before, after)]
    found = [("data", *inputs), ("config", before.config, after.config)]
    for kind in ("code", "environment"):
        found.append((kind, *(dataclasses.asdict(getattr(manifest, kind)) for manifest in (before, after))))
    found.append(("environment", *({"optuna": manifest.execution.get("optuna")} for manifest in (before, after))))
    return tuple(change for kind, old, new in found for change in _changed(kind, old, new))


def _changed(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    names = dict.fromkeys([*old, *new])
    return [Change(kind, name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def differences(old: Path, before: Manifest, new: Path, after: Manifest) -> tuple[Difference, ...]:
    """Return the first difference of every artifact whose content is not the same, in the order of the runs."""
    sides = [{a.path: a for a in m.artifacts if a.type not in LEFT_OUT} for m in (before, after)]
    found = []
    for path in dict.fromkeys([*sides[0], *sides[1]]):
        one, other = sides[0].get(path), sides[1].get(path)
        if one is None or other is None:
            kind = (one or other).type  # type: ignore[union-attr]
            found.append(Difference(kind, None, None, "", _size(one), _size(other)))
        elif one.content_sha256 != other.content_sha256:
            found.append(_first(old, one, new, other))
    return tuple(found)


def _size(artifact: Artifact | None) -> str | None:
    if artifact is None:
        return None
    return f"{artifact.bytes} bytes" if artifact.rows is None else f"{artifact.rows} rows"


def _first(old: Path, one: Artifact, new: Path, other: Artifact) -> Difference:
    if one.rows is None or other.rows is None:
        return Difference(one.type, None, None, "", one.content_sha256, other.content_sha256)
    with opened_table(old, one.path) as a, opened_table(new, other.path) as b:
        return _first_value(a, one, b, other)


def _first_value(a: pq.ParquetFile, one: Artifact, b: pq.ParquetFile, other: Artifact) -> Difference:
    """Return the first difference of two tables, of which a column at a time is read."""
    schemas = a.schema_arrow, b.schema_arrow
    for name in dict.fromkeys(name for schema in schemas for name in schema.names):
        kinds = [str(schema.field(name).type) if name in schema.names else None for schema in schemas]
        if kinds[0] != kinds[1]:
            return Difference(one.type, name, None, "", *kinds)
    names, rows = [name for name in schemas[0].names if name not in run_columns(one.type)], {}
    for name in names:
        before, after = (whole(file, [name])[name] for file in (a, b))
        if (row := first_row(before, after)) is not None:
            rows[name] = row, before[row].as_py(), after[row].as_py()
    if not rows:
        return Difference(one.type, None, min(a.metadata.num_rows, b.metadata.num_rows), "", _size(one), _size(other))
    column = min(rows, key=lambda name: rows[name][0])
    row, *values = rows[column]
    key = next((f"{name} {whole(a, [name])[name][row]}" for name in _KEYS if name in schemas[0].names), "")
    return Difference(one.type, column, row, key, *values)


def first_row(a: pa.ChunkedArray, b: pa.ChunkedArray) -> int | None:
    """Return the first row in which two columns are not the same, null being one more value; None where they agree.

    Rows that only the longer one has are not looked at.
    """
    rows = min(len(a), len(b))
    a, b = a.slice(0, rows), b.slice(0, rows)
    unlike = pc.or_(pc.fill_null(pc.not_equal(a, b), False), pc.xor(pc.is_null(a), pc.is_null(b)))
    found = pc.index(unlike, True).as_py()
    return None if found < 0 else found
