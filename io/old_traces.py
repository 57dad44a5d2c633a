"""Traces as older workspaces keep them: ``metadata.json`` beside ``traces/<SYMBOL>_<tf>/signals/<type>/*.parquet``."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from .columns import NO_TIME, Place, bar_ms, bar_name, find, in_ms, is_text, numbers, times, unit_of
from .digest import canonical_json, config_digest, file_sha256
from .errors import DataError, HighwaterError, MissingError
from .folders import below
from .traces import Idx, Val

MOST_BYTES = 64 << 20  # of metadata.json
_SERIES = re.compile("(.+)_([0-9]+[a-z]*)")


class OldRows(NamedTuple):
    """The changes in a file: candle, value, time (ms UTC) and price."""

    idx: Idx
    val: Val
    ts: NDArray[np.int64]
    px: NDArray[np.float64]


@dataclass(frozen=True)
class OldTrace:
    """One file of an older workspace. ``problem`` says why it cannot be read; then ``rows`` are None.

    ``path`` is relative to the workspace. ``component`` is what metadata.json says of it, None where it says nothing;
    ``told`` the metadata of the file itself.
    """

    path: str
    sha256: str
    symbol: str = ""
    timeframe: str = ""
    kind: str = ""
    strategy_id: str = ""
    component: Mapping[str, Any] | None = None
    told: Mapping[str, str] | None = None
    problem: str = ""
    rows: OldRows | None = None


@dataclass(frozen=True)
class Workspace:
    """An older workspace: what its metadata.json says ({} without one), and its files of traces, in order."""

    path: Path
    metadata: Mapping[str, Any]
    metadata_sha256: str
    files: tuple[str, ...]

    def digest(self, traces: Mapping[str, str]) -> str:
        """Return the sha256 of its content, given that of each file of traces by path."""
        return config_digest({"metadata": self.metadata_sha256, "traces": dict(traces)})


def open_workspace(path: Path) -> Workspace:
    """Return the older workspace in a directory. Raises MissingError where it is none, DataError where damaged."""
    if not path.is_dir():
        raise MissingError(f"{path} is not a directory; name an older workspace, with traces/ in it")
    found = (each for each in below(path / "traces") if each.name.endswith(".parquet") and each.is_file())
    files = tuple(str(each.relative_to(path)) for each in found)
    if not files:
        raise MissingError(f"{path} holds no traces/<SYMBOL>_<timeframe>/signals/<type>/*.parquet; it is no workspace")
    return Workspace(path, *_metadata(path / "metadata.json"), files)


def _metadata(path: Path) -> tuple[Mapping[str, Any], str]:
    """Return what a metadata.json says and its sha256; {} and '' without one."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return {}, ""
    if len(data) > MOST_BYTES:
        raise DataError(f"{path} is larger than {MOST_BYTES >> 20} MiB")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path} is not JSON: {error}; mend it, or move it away to bring its traces over without"
        ) from error
    if not isinstance(found, dict):
        raise DataError(f"{path} must hold an object, with components in it")
    return found, hashlib.sha256(data).hexdigest()


def old_traces(workspace: Workspace) -> Iterator[OldTrace]:
    """Yield the files of a workspace, each read and checked."""
    components = workspace.metadata.get("components")
    named = components if isinstance(components, dict) else {}
    by_path = {str(each.get("signal_file_path")): name for name, each in named.items() if isinstance(each, dict)}
    for relative in workspace.files:
        path = workspace.path / relative
        digest = file_sha256(path)
        try:
            yield _read(path, relative, digest, named, by_path)
        except _Unreadable as error:
            yield OldTrace(relative, digest, problem=str(error))


class _Unreadable(ValueError):
    """A file is no trace of signals; the text says why."""


def _read(path: Path, relative: str, digest: str, named: Mapping[str, Any], by_path: Mapping[str, str]) -> OldTrace:
    parts = Path(relative).parts
    if len(parts) < 5 or parts[2] != "signals":
        what = "a classifier's: its values are no signals" if "classifiers" in parts else "not where signals lie"
        raise _Unreadable(f"{what} (traces/<SYMBOL>_<timeframe>/signals/<type>/)")
    series = _SERIES.fullmatch(parts[1])
    step = bar_ms(series[2]) if series else 0
    if series is None or not step:
        raise _Unreadable(f"the directory {parts[1]!r} does not say its series as SYMBOL_timeframe: SPY_5m")
    table = _table(path)
    name = _strategy(table, path.stem)
    key = by_path.get(relative) or next((each for each in (name, path.stem) if each in named), "")
    component = named.get(key)
    if isinstance(component, dict) and "classifier" in (component.get("type"), component.get("component_type")):
        raise _Unreadable("a classifier's: its values are no signals")
    told: Mapping[Any, Any] = table.schema.metadata or {}
    return OldTrace(
        relative,
        digest,
        series[1],
        bar_name(step),
        parts[3],
        name,
        component if isinstance(component, dict) else None,
        {key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in told.items()},
        rows=_rows(table, path),
    )


def _table(path: Path) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise _Unreadable(f"not a readable Parquet file: {' '.join(str(error).split())[:120]}") from error
    lacking = [name for name in ("idx", "ts", "val", "px") if name not in table.column_names]
    if lacking:
        raise _Unreadable(f"it has no column {', '.join(lacking)} (found: {', '.join(table.column_names)})")
    return table


def _strategy(table: pa.Table, stem: str) -> str:
    """Return the id of the strategy in a file: what its rows say, where they agree, else the file's name."""
    column = find(table.column_names, ("strat",))
    said = set(table[column].to_pylist()) if column else set()
    only = said.pop() if len(said) == 1 else None
    return only if isinstance(only, str) and only else stem


def _rows(table: pa.Table, path: Path) -> OldRows:
    """Return the rows of a file as arrays. Raises _Unreadable where they are no changes of a signal."""
    if is_text(table["val"].type):
        raise _Unreadable("a classifier's: its values are text, and no signals")
    place = Place(path.name, range(1, table.num_rows + 1))
    try:
        idx, val, px = (numbers(table[name], name, place) for name in ("idx", "val", "px"))
        found = times(table["ts"], "ts", place)
    except HighwaterError as error:
        raise _Unreadable(str(error)) from error
    ts = found.values
    if found.integer and ts.size:
        if (unit := unit_of(ts)) is None:
            raise _Unreadable(f"ts such as {ts[0]} fall between 1980 and 2100 in no unit")
        ts = in_ms(ts, unit)
    for what, wrong in (
        ("idx must ascend from 0 or more, in whole numbers", ~(idx == np.floor(idx)) | ~(idx < 2**31) | _falls(idx)),
        ("val must be 1, 0 or -1", ~np.isin(val, (1.0, 0.0, -1.0))),
        ("ts is missing, or does not ascend", (ts == NO_TIME) | _falls(ts)),
        ("px must be a price", ~((px > 0) & (px < np.inf))),
    ):
        if wrong.any():
            raise _Unreadable(f"row {int(np.argmax(wrong)) + 1}: {what}")
    return OldRows(idx.astype(np.int32), val.astype(np.int8), ts, px)


def _falls(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where a value is not above the one before, or the first is below 0."""
    return np.diff(values, prepend=values.dtype.type(-1)) <= 0


def as_text(value: Any) -> str:
    """Return a JSON value of an older workspace as one line of JSON, whatever numbers it holds."""
    try:
        return canonical_json(value).decode()
    except ValueError:
        return json.dumps(value, sort_keys=True, separators=(",", ":"))
