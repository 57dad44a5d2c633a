"""What a run of sessions is given: its task, how each symbol is traded, and the candles of all symbols in a slice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Literal, cast

import numpy as np

from ...io.candles import CandleSet
from ...io.errors import DataError, HighwaterError, UsageError
from ...io.manifest import Input
from ...io.slices import Slice, Spans, build, fingerprint
from ...io.slices import find as find_slice
from ...io.sources.clock import other_clock
from ...io.sources.load import load
from ...io.sources.series import Binance, Files, Series, Source, Span, Synthetic, Yahoo
from ...io.sources.sessions import Walk
from ...kernels.arrays import candles, column, of_rows
from ..progress import progress
from ..recipe import Clock
from ..settings import Rows, Store
from .calendar import Hours, hours
from .config import Config, Instrument
from .ground import Ground, ground_of

Provider = Literal["file", "yahoo", "binance", "synthetic"]
_FOREVER, _AS_FOUND = 2**62, Rows()


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
class Feed:
    """Where candles come from; ``path``: of the files, and how their ``rows`` are read."""

    kind: Provider
    path: Path | None = None
    rows: Rows = _AS_FOUND

    def source(self, open_hours: Hours, config: Config) -> Source:
        """Return the source of the symbols that have such hours."""
        match self.kind:
            case "file":
                if self.path is None:
                    raise UsageError("--source file needs --data, a file or directory of candles")
                return Files(self.path, self.rows.candle_options)
            case "synthetic":
                return Synthetic(open_hours.open, open_hours.close, Walk(seed=config.backtest.random_seed))
            case "yahoo":
                return Yahoo()
            case "binance":
                return Binance()


@dataclass(frozen=True)
class Given:
    """The candles of a run: a slice of all symbols, where they came from, and the symbols that have none.

    ``hours`` are the sessions of every symbol of the task. ``inputs`` as the manifest names them; ``notes`` are on the
    candles, ``kept`` says which of them a cache had. ``since``: the first day that is traded, None: all are.
    """

    piece: Slice
    source: str
    hours: Mapping[str, Hours]
    inputs: tuple[Input, ...]
    failed: Mapping[str, HighwaterError]
    notes: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    since: date | None = None

    def ground(self, symbol: str) -> Ground:
        """Return the session candles of a symbol that has any."""
        facts = self.piece.facts
        i = facts.tokens.index(symbol)
        bars = of_rows(self.piece.candles, slice(facts.offsets[i], facts.offsets[i + 1]))
        found = ground_of(bars, facts.interval_ms, self.hours[symbol])
        since = sum(day < self.since for day in found.hours.days) if self.since else 0
        return replace(found, since=since)


def listed(symbol: str, config: Config) -> Instrument | None:
    """Return the instrument of the settings that a symbol names, by its key or its own symbol."""
    every = config.instruments
    wanted = symbol.upper()
    by_key = next((every[key] for key in every if key.upper() == wanted), None)
    return by_key or next((each for each in every.values() if each.symbol == wanted), None)


def instrument_of(symbol: str, config: Config, around_the_clock: bool = False) -> Instrument:
    """Return how a symbol is traded: as the settings say, else by the calendar of New York, or at all hours."""
    return listed(symbol, config) or Instrument(symbol=symbol, calendar="24/7" if around_the_clock else "XNYS")


def asked_as(symbol: str, config: Config) -> str:
    """Return what a provider is asked for: the symbol, or that of its instrument, or the one whose candles stand in."""
    found = listed(symbol, config)
    if found is None or (found.proxy_symbol is None and found.symbol == symbol.upper()):
        return symbol
    return found.proxy_symbol or found.symbol


def feed_of(task: Task, flags: Mapping[str, Provider | None], path: Path | None, rows: Rows) -> Feed:
    """Return where candles come from: as the one ``flags`` that is given says, else as the instruments do, else Yahoo.

    Raises UsageError where they name two places, or a symbol's instrument is not enabled.
    """
    own = {symbol: found for symbol in task.symbols if (found := listed(symbol, task.config))}
    if off := [symbol for symbol, found in own.items() if not found.enabled]:
        raise UsageError(
            f"--symbols names {off[0]}, which is not enabled in the settings (instruments, enabled: false)"
        )
    named = {flag: kind for flag, kind in flags.items() if kind is not None}
    if len(set(named.values())) > 1:
        raise UsageError(f"{' and '.join(named)} name different sources of candles; give one of them")
    if not named:
        named = {symbol: found.data_source for symbol, found in own.items() if found.data_source is not None}
        if len(set(named.values())) > 1 or (named and len(named) < len(task.symbols)):
            kinds = ", ".join(f"{symbol} {named.get(symbol, 'none')}" for symbol in task.symbols)
            raise UsageError(f"the settings name different data sources ({kinds}); name one with --source")
    return Feed(cast(Provider, next(iter(named.values()), "yahoo")), path, rows)


def hours_of(task: Task, around_the_clock: bool) -> dict[str, Hours]:
    """Return the sessions of every symbol."""
    known: dict[Instrument, Hours] = {}
    found = {}
    for symbol in task.symbols:
        instrument = instrument_of(symbol, task.config, around_the_clock)
        key = instrument.model_copy(update={"symbol": "", "proxy_symbol": None, "data_source": None})
        if key not in known:
            known[key] = hours(instrument, task.first, task.end)
        found[symbol] = known[key]
    return found


def fetch(task: Task, feed: Feed, store: Store, cache: Path | None, clock: Clock) -> Given:
    """Return the candles of every symbol, from ``feed`` or its ``cache``. Raises DataError where none has any."""
    open_hours = hours_of(task, feed.kind == "binance")
    found: dict[str, Series | HighwaterError] = {}
    with clock.phase("candles"), progress("Fetching data", len(task.symbols), store.quiet) as advance:
        for same in {id(each): each for each in open_hours.values()}.values():
            mine = {each: asked_as(each, task.config) for each in task.symbols if open_hours[each] is same}
            span = Span(task.first, task.end, task.interval_ms, str(same.zone))
            before, source = len(found), feed.source(same, task.config)
            loaded = load(list(mine.values()), source, span, cache, lambda n, _, before=before: advance(before + n))
            found |= {each: loaded.series.get(name) or loaded.failed[name] for each, name in mine.items()}
    series: dict[str, Series] = {}
    failed: dict[str, HighwaterError] = {}
    for symbol in task.symbols:
        one = found[symbol]
        if isinstance(one, HighwaterError):
            failed[symbol] = one
        elif why := _outside(symbol, one, open_hours[symbol]):
            failed[symbol] = DataError(why)
        else:
            series[symbol] = one
    if not series:
        raise _all_of(failed)
    notes = [f"{symbol}: candles of {each.symbol}" for symbol, each in series.items() if each.symbol != symbol]
    notes += [f"{symbol}: {note}" for symbol, each in series.items() for note in each.notes]
    kept = tuple(f"{symbol} from {each.kept}" for symbol, each in series.items() if each.kept)
    piece = _slice(series, store)
    return Given(piece, feed.kind, open_hours, _inputs(piece, feed.kind, series), failed, tuple(notes), kept)


def _all_of(failed: Mapping[str, HighwaterError]) -> HighwaterError:
    """Return what kept every symbol from its candles as one error, of the kind they share, else as of the data."""
    words = "; ".join(f"{symbol}: {error}" for symbol, error in failed.items())
    kinds = {type(error) for error in failed.values()}
    return (kinds.pop() if len(kinds) == 1 else DataError)(words)


def _outside(symbol: str, one: Series, open_hours: Hours) -> str:
    """Return why a symbol's candles cannot be traded: of another clock, or none within sessions; '' where they can."""
    ts, opens, closes = one.candles.candles.ts, open_hours.open, open_hours.close
    if clock := other_clock(symbol, ts, opens, closes, one.candles.interval_ms, open_hours.zone.key):
        return clock
    inside = np.searchsorted(ts, closes) > np.searchsorted(ts, opens)
    return "" if inside.any() else f"{ts.size:,} candles, and none within its sessions ({open_hours.place})"


def _inputs(piece: Slice, kind: str, series: Mapping[str, Series]) -> tuple[Input, ...]:
    """Return the slice of all candles, and where those of each symbol come from."""
    facts = piece.facts
    end = max(facts.coverage_end_ms, default=None)
    whole = Input("candles", kind, facts.content_sha256, facts.rows, facts.from_ms, facts.to_ms, end)
    parts = [
        Input("series", ", ".join(filter(None, named)), each.sha256, ts.size)
        for each in series.values()
        for named in [(each.symbol, kind, each.origin.library, each.origin.adjustment)]
        for ts in [each.candles.candles.ts]
    ]
    return (whole, *parts)


def _slice(series: Mapping[str, Series], store: Store) -> Slice:
    """Return one slice that holds the candles of all symbols, so that they can be found again by their digest."""
    tokens: Sequence[str] = tuple(sorted(series))
    sets = [series[symbol].candles for symbol in tokens]
    joined = [np.concatenate(parts) for parts in zip(*(each.candles for each in sets), strict=True)]
    sizes = np.array([each.candles.ts.size for each in sets])
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
