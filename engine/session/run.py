"""The work of ``highwater backtest --symbols`` from settings to a published run."""

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from ...io import schemas
from ...io.candle_rows import taken
from ...io.candles import CandleSet
from ...io.errors import AccessError, DataError, HighwaterError, StoreError
from ...io.manifest import Input, utc_text
from ...io.publish import Stage, stage
from ...io.slices import Slice, Spans, build, fingerprint
from ...io.slices import find as find_slice
from ...io.sources.clock import other_clock
from ...io.sources.load import load
from ...io.sources.series import Series, Source, Span
from ...kernels.arrays import candles, column
from ..kept import MENDABLE
from ..progress import progress
from ..recipe import FILL_SEMANTICS, Clock, say_if_compiling
from ..settings import Store
from .axes import names
from .calendar import Hours, hours
from .config import Config, Instrument
from .ground import ground_of
from .perturb import perturbed, table_of
from .prepare import ranges_of, ready_on
from .quality import quality_of, session_rows, skipped
from .tables import tables_of
from .trials import Land
from .walk import Walked, walk

SEMANTICS = "OR-1"
_FOREVER = 2**62


@dataclass(frozen=True)
class Task:
    """What a run is to do. ``end`` is the day after the last; ``validate``: what becomes of a day whose candles are not
    whole, None: it is not asked; ``perturb``: say what each setting is worth too."""

    symbols: tuple[str, ...]
    first: date
    end: date
    interval_ms: int
    config: Config
    validate: Literal["warn", "skip_day"] | None = None
    perturb: bool = False


@dataclass(frozen=True)
class Given:
    """The candles of a run: a slice of all symbols, where they came from, and the symbols that have none.

    ``inputs`` as the manifest names them; ``notes`` are on the candles, ``kept`` says which of them a cache had.
    """

    piece: Slice
    source: str
    inputs: tuple[Input, ...]
    failed: Mapping[str, HighwaterError]
    notes: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True)
class SessionRun:
    """A run of sessions that was published, or could not be, and what a door shows of it.

    ``given`` has the symbols without candles, and why.
    """

    run_id: str
    saved: Path | HighwaterError
    task: Task
    walked: tuple[Walked, ...]
    tables: Mapping[str, pa.Table]
    given: Given
    clock: Clock

    @property
    def path(self) -> Path:
        """Where the run lies. Raises what kept it from being saved: ask last."""
        if isinstance(self.saved, HighwaterError):
            raise self.saved
        return self.saved


def instrument_of(symbol: str, config: Config, around_the_clock: bool = False) -> Instrument:
    """Return how a symbol is traded: as the settings say, else by the calendar of New York, or at all hours."""
    for name, each in config.instruments.items():
        if symbol.upper() in (name.upper(), each.symbol.upper()):
            return each
    return Instrument(symbol=symbol, calendar="24/7" if around_the_clock else "XNYS")


def fetch(task: Task, source: Source, store: Store, cache: Path | None, clock: Clock) -> Given:
    """Return the candles of every symbol, from ``source`` or its ``cache``. Raises DataError where none has any."""
    zone = str(next(iter(hours_of(task, source.kind == "binance").values())).zone)
    span = Span(task.first, task.end, task.interval_ms, zone)
    with clock.phase("candles"), progress("candles", len(task.symbols), store.quiet) as advance:
        loaded = load(task.symbols, source, span, cache, lambda done, _: advance(done))
    open_hours = hours_of(task, source.kind == "binance")
    lost = {each.symbol: why for each in loaded.series.values() if (why := _outside(each, open_hours[each.symbol]))}
    failed = {**loaded.failed, **{symbol: DataError(why) for symbol, why in lost.items()}}
    series = {symbol: each for symbol, each in loaded.series.items() if symbol not in lost}
    if not series:
        raise DataError("; ".join(f"{symbol}: {error}" for symbol, error in failed.items()))
    notes = tuple(f"{symbol}: {note}" for symbol, each in series.items() for note in each.notes)
    kept = tuple(f"{symbol} from {each.kept}" for symbol, each in series.items() if each.kept)
    piece = _slice(series, store)
    return Given(piece, source.kind, _inputs(piece, source.kind, series), failed, notes, kept)


def _outside(one: Series, open_hours: Hours) -> str:
    """Return why a symbol has no candle within sessions, '' where it has some."""
    ts = one.candles.candles.ts
    begin, end = np.searchsorted(ts, open_hours.open), np.searchsorted(ts, open_hours.close)
    if (end > begin).any():
        return ""
    clock = other_clock(one.symbol, ts, open_hours.open, open_hours.close, one.candles.interval_ms, open_hours.zone.key)
    return clock or f"{ts.size:,} candles, and none within its sessions ({open_hours.place})"


def _inputs(piece: Slice, kind: str, series: Mapping[str, Series]) -> tuple[Input, ...]:
    """Return the slice of all candles, and where those of each symbol come from."""
    facts = piece.facts
    end = max(facts.coverage_end_ms, default=None)
    whole = Input("candles", kind, facts.content_sha256, facts.rows, facts.from_ms, facts.to_ms, end)
    parts = [
        Input("series", f"{each.symbol}, {kind}, {each.origin.library}, {each.origin.adjustment}", each.sha256, ts.size)
        for each in series.values()
        for ts in [each.candles.candles.ts]
    ]
    return (whole, *parts)


def _slice(series: Mapping[str, Series], store: Store) -> Slice:
    """Return one slice that holds the candles of all symbols, so that they can be found again by their digest."""
    sets = [series[symbol].candles for symbol in sorted(series)]
    joined = [np.concatenate(parts) for parts in zip(*(each.candles for each in sets), strict=True)]
    sizes = np.array([each.candles.ts.size for each in sets])
    tokens = tuple(sorted(series))
    reports = tuple(replace(each.reports[0], token=token) for token, each in zip(tokens, sets, strict=True))
    whole = CandleSet(
        tokens,
        column(np.concatenate([[0], np.cumsum(sizes)]), np.int64),
        candles(*joined),
        sets[0].interval_ms,
        column(np.concatenate([each.coverage_end for each in sets]), np.int64),
        reports,
        (),
    )
    ends = [np.full(len(tokens), end, np.int64) for end in (-_FOREVER - 1, -_FOREVER, _FOREVER)]
    spans = Spans(tokens, np.arange(len(tokens)), *ends)
    mark = fingerprint(tuple(series[token].sha256 for token in tokens), spans, {"of": "sessions"})
    return find_slice(store.slice_folder, mark) or build(store.slice_folder, whole, spans, mark)


def hours_of(task: Task, around_the_clock: bool) -> dict[str, Hours]:
    """Return the sessions of every symbol."""
    known: dict[Instrument, Hours] = {}
    found = {}
    for symbol in task.symbols:
        instrument = instrument_of(symbol, task.config, around_the_clock)
        key = instrument.model_copy(update={"symbol": "", "proxy_symbol": None})
        if key not in known:
            known[key] = hours(instrument, task.first, task.end)
        found[symbol] = known[key]
    return found


def run_sessions(task: Task, given: Given, store: Store, command: tuple[str, ...], clock: Clock) -> SessionRun:
    """Walk the sessions of every symbol, and publish trades, fills, equity, metrics, factors and governance."""
    say_if_compiling(store.quiet)
    with recorded(task, given, store) as s:
        with clock.phase("sessions"):
            walked, rows = _walk_all(task, given, store)
        with clock.phase("tables"):
            tables = tables_of(walked, task.config, s.run_id) | {"sessions": schemas.with_run(rows, s.run_id)}
        if task.perturb:
            with clock.phase("perturbation"):
                found = perturbed(
                    task.config, lands_of(task, given), list(names()), store.threads or os.cpu_count() or 1
                )
                tables["perturbation"] = table_of(found, s.run_id)
        return _publish(s, task, given, walked, tables, store, command, clock)


def _walk_all(task: Task, given: Given, store: Store) -> tuple[tuple[Walked, ...], pa.Table]:
    """Return what became of each symbol, and one row for each of its sessions, without ``run_id``."""
    facts, open_hours = given.piece.facts, hours_of(task, given.source == "binance")
    symbols = [symbol for symbol in task.symbols if symbol in facts.tokens]

    def one(symbol: str) -> tuple[Walked, pa.Table]:
        i = facts.tokens.index(symbol)
        bars = taken(given.piece.candles, slice(facts.offsets[i], facts.offsets[i + 1]))
        instrument = instrument_of(symbol, task.config, given.source == "binance")
        ground = ground_of(bars, facts.interval_ms, open_hours[symbol])
        found = quality_of(ground, ranges_of(ground, task.config).minutes)
        ready = ready_on(ground, task.config, skipped(found, task.validate or "warn"))
        rows = schemas.table(schemas.without_run(schemas.SESSIONS), session_rows(ready, ground, found, symbol))
        return walk(symbol, ready, task.config, instrument.point_value), rows

    with progress("sessions", len(symbols), store.quiet) as advance, ThreadPoolExecutor(store.threads) as pool:
        found = []
        for each in pool.map(one, symbols):
            found.append(each)
            advance(len(found))
    return tuple(each for each, _ in found), pa.concat_tables([rows for _, rows in found])


def lands_of(task: Task, given: Given) -> list[Land]:
    """Return the symbols that have candles, each on the ground that all settings share.

    Days whose range is not whole by the settings of ``task`` are left out where it says so.
    """
    facts, around = given.piece.facts, given.source == "binance"
    open_hours, found = hours_of(task, around), []
    for symbol in (each for each in task.symbols if each in facts.tokens):
        i = facts.tokens.index(symbol)
        bars = taken(given.piece.candles, slice(facts.offsets[i], facts.offsets[i + 1]))
        ground = ground_of(bars, facts.interval_ms, open_hours[symbol])
        skip = None
        if task.validate is not None:
            skip = skipped(quality_of(ground, ranges_of(ground, task.config).minutes), task.validate)
        found.append(Land(symbol, ground, skip, instrument_of(symbol, task.config, around).point_value))
    return found


@contextmanager
def recorded(task: Task, given: Given, store: Store):
    """Hold a stage; a bug inside is published as a failed run, what the user can mend is not."""
    with stage(store.runs, "session") as s:
        try:
            yield s
        except MENDABLE:
            raise
        except Exception as error:
            s.fail(error, inputs=given.inputs)
            raise


def config_of(task: Task, given: Given) -> dict[str, Any]:
    """Return what decides the results."""
    return {
        "fill_semantics": FILL_SEMANTICS,
        "session_semantics": SEMANTICS,
        "symbols": list(task.symbols),
        "start": task.first.isoformat(),
        "end": task.end.isoformat(),
        "interval_ms": task.interval_ms,
        "source": given.source,
        "validate": task.validate,
        "settings": task.config.model_dump(mode="json"),
        **({"perturb": True} if task.perturb else {}),
    }


def _publish(
    s: Stage,
    task: Task,
    given: Given,
    walked: Sequence[Walked],
    tables: Mapping[str, pa.Table],
    store: Store,
    command: tuple[str, ...],
    clock: Clock,
) -> SessionRun:
    trades = tables["session_trades"].num_rows
    lines = [*lines_of(task, given), f"trades   {trades}"]
    try:
        with clock.phase("write"):
            for kind, table in tables.items():
                s.write(kind, table)
            s.write("errors", errors_of(given, s.run_id))
            s.write_file("logs/run.log", "\n".join([*lines, ""]).encode(), "log")
        saved = s.publish(
            config=config_of(task, given),
            command=command,
            execution={"threads": store.threads or 0},
            inputs=given.inputs,
            counts={"symbols": len(walked), "failed": len(given.failed), "trades": trades},
            timing_ms=dict(clock.spent),
        )
    except (StoreError, AccessError) as error:
        saved = error
    return SessionRun(s.run_id, saved, task, tuple(walked), tables, given, clock)


def lines_of(task: Task, given: Given) -> list[str]:
    """Return what was read and how it is traded, one line each; the same on every machine."""
    costs = task.config.backtest
    facts = given.piece.facts
    return [
        f"symbols  {', '.join(facts.tokens)}",
        f"period   {task.first} to before {task.end}",
        f"candles  {facts.rows:,} of {task.interval_ms // 60_000}m, {given.source}",
        f"rules    {SEMANTICS} on {FILL_SEMANTICS}",
        f"costs    fee {costs.fee_bps:g} bps and slippage {costs.slippage_bps:g} bps a side",
    ]


def errors_of(given: Given, run_id: str) -> pa.Table:
    """Return the artifact ``errors``: symbols without candles, and notes on the others."""
    rows = [("warning", "candles", f"{symbol}: {error}") for symbol, error in given.failed.items()]
    rows += [("info", "candles", note) for note in (*given.notes, *given.piece.facts.notes)]
    now = utc_text(time.time_ns() // 1_000_000)
    columns = {name: [row[i] for row in rows] for i, name in enumerate(("level", "phase", "message"))}
    columns |= {"timestamp": [now] * len(rows), "call_id": [None] * len(rows), "details": [None] * len(rows)}
    return schemas.table(schemas.ERRORS, columns, run_id)
