"""Traces of published runs read back: their rows with the times and closes of their candles, rebuilt or as stored."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...io.catalog_store import rows
from ...io.errors import IntegrityError, MissingError, UsageError
from ...io.manifest import Manifest
from ...io.runs import find_run, read_artifact, read_manifest
from ...io.trace_schemas import INDEX
from ...io.traces import About, read_traces, signals_table
from .index import digest, find_by_digest
from .kept import place_of
from .listing import Where
from .series import Series, found_again

_PATHS = "SELECT run_id, path FROM catalog.runs WHERE list_contains($ids, run_id)"
_NEEDED = ("strategy_id", "symbol", "timeframe", "trace_run", "trace_path", "strategy", "trace_row", "changes")


@dataclass(frozen=True)
class Loaded:
    """A trace: its row of the index, and its changes as a file of one strategy has them (``SIGNALS``)."""

    row: Mapping[str, Any]
    about: About
    table: pa.Table


@dataclass(frozen=True)
class Places:
    """Where candles are looked for: a folder of slices (None: beside the runs), and a file in place of the run's."""

    slices: Path | None = None
    candles: Path | None = None


def load_trace(
    runs: str | Path,
    strategy: str,
    run: str | None = None,
    symbol: str | None = None,
    places: Places = Places(),
) -> Loaded:
    """Return a trace by a hash or trace key (four or more digits of it), or by its id in ``run``.

    Raises MissingError where there is none, or its run or its candles are gone; UsageError where several fit;
    IntegrityError where a file is not as published.
    """
    root = Path(runs)
    found = _fitting(root, strategy, run, symbol)
    wanted = {row["trace_key"] or (row["run_id"], row["strategy_id"]) for row in found}
    if len(wanted) > 1:
        named = [f"{row['symbol']} {row['timeframe']} in {row['run_id']}" for row in found]
        raise UsageError(
            f"'{strategy}' fits {len(wanted)} traces: {', '.join(dict.fromkeys(named[:6]))}; say which with --symbol, "
            "--run or more digits"
        )
    return _load(root, found, places)


def load_traces(
    runs: str | Path,
    strategies: Sequence[str],
    symbol: str | None = None,
    places: Places = Places(),
) -> list[Loaded]:
    """Return the traces of several hashes, in their order; raises as ``load_trace`` does."""
    return [load_trace(runs, each, None, symbol, places) for each in strategies]


def series_of(runs: str | Path, one: Loaded, places: Places = Places()) -> Series:
    """Return the candles that a loaded trace is of. Raises MissingError where they, or its run, are gone."""
    run_id, digest_ = one.row["run_id"], one.row["data_digest"]
    paths = folders(Path(runs), [run_id])
    if run_id not in paths or digest_ is None:
        raise MissingError(f"run {run_id} does not say which candles its traces are of, or is gone", "E_GONE")
    folder = places.slices or paths[run_id].parents[1] / ".slices"
    return found_again(read_manifest(paths[run_id]), folder, one.row["symbol"], digest_, places.candles)


def _fitting(root: Path, strategy: str, run: str | None, symbol: str | None) -> list[dict[str, Any]]:
    """Return the rows of strategies that fit, newest run first."""
    is_id = not all(letter in "0123456789abcdef" for letter in strategy.lower())
    if run is None and is_id:
        raise UsageError(f"'{strategy:.60}' is the id of a strategy within a run; name the run with --run")
    if run is None:
        found = find_by_digest(root, strategy).to_pylist()
    else:
        keys = ("strategy_id",) if is_id else ("strategy_hash", "trace_key")
        text = strategy if is_id else digest(strategy)
        rows_of_run = index_rows(find_run(root, run).path)
        found = [row for row in rows_of_run if any(_fits(row[key], text, is_id) for key in keys)]
    chosen = [row for row in found if symbol in (None, row["symbol"])]
    if not chosen:
        of = f" of {symbol}" if symbol else ""
        where = f"run {run}" if run else f"the catalog of {root}; highwater catalog sync finds new runs"
        raise MissingError(f"there is no strategy '{strategy:.70}'{of} in {where}")
    return chosen


def _fits(value: str | None, text: str, whole: bool) -> bool:
    return value is not None and (value == text if whole else value.startswith(text))


def index_rows(run: Path) -> list[dict[str, Any]]:
    """Return the index of a run, columns that another version did not write as None.

    Raises MissingError where the run has none, IntegrityError ``E_VERSION`` where it does not say where traces lie.
    """
    table = read_artifact(run, "strategy_index")
    _check(table.column_names, run.name.removeprefix("run_id="))
    none = dict.fromkeys(INDEX)
    return [{**none, **row} for row in table.to_pylist()]


def _load(root: Path, found: Sequence[Mapping[str, Any]], places: Places) -> Loaded:
    """Return the trace of the first row whose run, and whose trace's run, are still there."""
    for row in found:
        _check([name for name, value in row.items() if value is not None], row["run_id"])
    ids = sorted({row[name] for row in found for name in ("run_id", "trace_run")})
    paths = folders(root, ids)
    for row in found:
        if row["run_id"] in paths and row["trace_run"] in paths:
            (one,) = loaded(paths, [row], places)
            return one
    gone = next(run_id for run_id in (found[0]["run_id"], found[0]["trace_run"]) if run_id not in paths)
    text = f"its trace lies in run {gone}, which is gone (removed, or archived)"
    raise MissingError(f"{text}; highwater traces run --force makes it anew", "E_GONE")


def _check(there: Collection[str], run_id: str) -> None:
    """Raise IntegrityError where an index does not say where traces lie, since only these columns are there."""
    lacking = [name for name in _NEEDED if name not in there]
    if lacking:
        text = f"the index of run {run_id} is of an older version: it has no {', '.join(lacking)}"
        raise IntegrityError(f"{text}; repeat the run, or bring its files over: highwater traces migrate", "E_VERSION")


def folders(root: Path, run_ids: Sequence[str]) -> dict[str, Path]:
    """Return the directories of runs that are there, by id; from the catalog, else by looking for them."""
    try:
        known = {run_id: root / path for run_id, path in rows(root, _PATHS, ids=list(run_ids))}
    except (MissingError, IntegrityError):
        known = {}
    for run_id in run_ids:
        if run_id not in known and (found := next(root.glob(f"????-??/run_id={run_id}"), None)):
            known[run_id] = found
    return {run_id: path for run_id, path in known.items() if path.is_dir()}


def loaded(paths: Mapping[str, Path], found: Sequence[Mapping[str, Any]], places: Places) -> list[Loaded]:
    """Return the traces of rows whose runs lie in ``paths``, in order; each series and each file is read once."""
    manifests = {run_id: read_manifest(paths[run_id]) for run_id in {row["run_id"] for row in found}}
    changes = _changes(paths, found)
    series: dict[tuple[str, str, str], Series] = {}
    made = []
    for row, (idx, val) in zip(found, changes, strict=True):
        manifest = manifests[row["run_id"]]
        about = about_of(row, manifest)
        if row["data_digest"] is None or (row["signals_path"] and places.candles is None):
            table = read_artifact(paths[row["run_id"]], row["signals_path"] or "signals")
        else:
            key = row["run_id"], row["symbol"], row["data_digest"]
            if key not in series:
                folder = places.slices or paths[row["run_id"]].parents[1] / ".slices"
                series[key] = found_again(manifest, folder, row["symbol"], row["data_digest"], places.candles)
            bars = series[key].bars
            table = signals_table(about, idx, val, bars.ts[idx], bars.close[idx])
        made.append(Loaded(row, about, table.replace_schema_metadata(None)))
    return made


def _changes(paths: Mapping[str, Path], found: Sequence[Mapping[str, Any]]) -> list[Any]:
    changes: dict[int, Any] = {}
    for run_id in dict.fromkeys(row["trace_run"] for row in found):
        mine = [i for i, row in enumerate(found) if row["trace_run"] == run_id]
        asked = [(place_of(where_of(found[i])), found[i]["strategy"]) for i in mine]
        changes |= dict(zip(mine, read_traces(paths[run_id], asked), strict=True))
    return [changes[i] for i in range(len(found))]


def about_of(row: Mapping[str, Any], manifest: Manifest) -> About:
    """Return what the file of a strategy says of itself, from its row in the index of a run."""
    source = next((one.source for one in manifest.inputs if one.kind in ("candles", "workspace")), "")
    named = {name: row[name] for name in About.__dataclass_fields__ if name in row}
    return About(**named, data_source=source, semantics=manifest.config.get("trace_semantics", "unknown"))


def where_of(row: Mapping[str, Any]) -> Where:
    """Return where the trace of a row of the index lies."""
    return Where(**{name: row[name] for name in Where.__dataclass_fields__})
