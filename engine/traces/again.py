"""A published run of traces done again: its strategies from the run, its candles by digest."""

from collections.abc import Mapping
from pathlib import Path

from ...io.config import parse_json
from ...io.digest import config_digest
from ...io.durable import open_plain
from ...io.errors import HighwaterError, MissingError, UsageError
from ...io.manifest import Manifest
from ...io.slices import Slice, holding
from ...io.slices import verify as verify_slice
from ..policy import parse_policy
from ..settings import Store
from .kept import Kept
from .load import folders, index_rows, where_of
from .performance import Fills
from .record import strategies_of
from .run import Given, Task, Traced, run_traces
from .series import Series, market_of, prepared, series_in
from .sweeps import Expansion, parse_strategies


def again(run: Path, manifest: Manifest, store: Store, candles: Path | None, memory: int | None) -> Traced:
    """Do the run of traces in the directory ``run`` again; ``candles`` names a file to read instead.

    Raises MissingError where its candles, or runs that hold some of its traces, are gone; UsageError where this version
    reads its strategies otherwise.
    """
    expansion, document = strategies_again(run, manifest)
    given = next(one for one in manifest.inputs if one.kind == "candles")
    market = market_of(manifest, candles or Path(given.source))
    series, piece, reused = _series(manifest, store) if candles is None else prepared(market, store)
    task = Task(
        document,
        expansion,
        market,
        fills_of(manifest) if manifest.config["performance"] else None,
        memory or manifest.execution["memory"],
        {} if candles else _held(run, manifest),
        manifest.execution.get("name"),
    )
    words = ["--candles", str(candles)] if candles else []
    command = ("runs", "rerun", manifest.run_id, *words)
    return run_traces(task, store, command, Given(series, piece, reused))


def strategies_again(run: Path, manifest: Manifest) -> tuple[Expansion, object]:
    """Return the strategies of a run, and the document that it kept."""
    artifact = manifest.artifact("document")
    if artifact is None:
        raise UsageError(f"run {manifest.run_id} was brought over from an older workspace; there is nothing to repeat")
    with open(open_plain(run, artifact.path), encoding="utf-8") as file:  # noqa: PTH123
        document = parse_json(file.read(), artifact.path)
    expansion = parse_strategies(document, artifact.path)
    if config_digest(strategies_of(expansion)) != manifest.config["strategies"]["sha256"]:
        text = f"this version reads the strategies of run {manifest.run_id} otherwise than {manifest.code.version} did"
        raise UsageError(f"{text}; repeat it with that version")
    return expansion, document


def fills_of(manifest: Manifest) -> Fills:
    """Return how the traces of a run were traded."""
    config = manifest.config
    exits = parse_policy(config["exits"]) if "exits" in config else None
    costs = float(config["fee_bps"]), float(config["slippage_bps"])
    return Fills(config["fill"], *costs, exits, config["memory"], config["intrabar"])


def _series(manifest: Manifest, store: Store) -> tuple[list[Series], Slice, bool]:
    """Return the series of a run, from the slice with its digest; cut anew where their source is still there."""
    one = next(each for each in manifest.inputs if each.kind == "candles")
    symbols = manifest.config["symbols"]
    if held := holding(store.slice_folder, one.digest, manifest.config["interval_ms"]):
        verify_slice(held[0])
        return series_in(held[0], symbols), held[0], True
    named = f"the candles of run {manifest.run_id} (slice with digest {one.digest[:12]})"
    where = f"{named} are not in {store.slice_folder}"
    remedy = "name their folder with --slices, or a file to rerun it on"
    market = market_of(manifest, Path(one.source))
    try:
        series, piece, reused = prepared(market, store)
    except (HighwaterError, OSError) as error:
        raise MissingError(f"{where}; {remedy} with --candles ({error})", "E_SLICE_GONE") from error
    if piece.facts.content_sha256 != one.digest:
        raise MissingError(f"{where}, and {market.candles} holds others now; {remedy} with --candles", "E_SLICE_GONE")
    return series, piece, reused


def _held(run: Path, manifest: Manifest) -> Mapping[str, Kept]:
    """Return the traces that the run took from other runs. Raises MissingError where one of these is gone."""
    rows = [row for row in index_rows(run) if row["trace_run"] != manifest.run_id]
    others = sorted({row["trace_run"] for row in rows})
    paths = folders(run.parents[1], others)
    if gone := [run_id for run_id in others if run_id not in paths]:
        count = sum(row["trace_run"] in gone for row in rows)
        text = (
            f"{count:,} traces of run {manifest.run_id} lie in {', '.join(gone)}, which is gone (removed, or archived)"
        )
        raise MissingError(f"{text}; highwater traces run --force makes them anew", "E_GONE")
    return {row["trace_key"]: Kept(paths[row["trace_run"]], where_of(row)) for row in rows}
