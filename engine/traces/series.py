"""The series of a run of traces: whole candles of each symbol, kept in a slice, and found again by their digest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...io import files
from ...io.candle_rows import candle_files
from ...io.candles import CandleSet, read_candles
from ...io.columns import TOKEN, bar_name, find, iso
from ...io.config import nearest
from ...io.digest import content_sha256
from ...io.errors import DataError, HighwaterError, IntegrityError, MissingError
from ...io.files import describe, unchanged
from ...io.manifest import Input, Manifest
from ...io.slices import Slice, Spans, build, candle_table, fingerprint, holding
from ...io.slices import find as find_slice
from ...kernels.arrays import Candles, of_rows
from ..settings import Store
from ..trace_settings import Market

_FOREVER = 2**62  # ms; a time before which and after which there is no candle
_SHOWN = 10  # symbols that a message names


@dataclass(frozen=True)
class Series:
    """All candles of one symbol, ``step`` ms apart; ``digest`` is that of their content (64 hex)."""

    symbol: str
    bars: Candles
    step: int
    digest: str

    @property
    def timeframe(self) -> str:
        """The candle interval in words: 5m."""
        return bar_name(self.step)


def prepared(market: Market, store: Store) -> tuple[list[Series], Slice, bool]:
    """Return the series asked for, in the order they were, the slice that holds them, and whether it was cut before.

    Raises DataError naming every symbol that has no candle, and whatever the readers raise.
    """
    piece, reused = _slice(market, store)
    return series_in(piece, market.symbols), piece, reused


def series_in(piece: Slice, symbols: Sequence[str] | None = None) -> list[Series]:
    """Return the series of a slice, those of ``symbols`` in their order, else all that have candles."""
    place = {token: i for i, token in enumerate(piece.facts.tokens)}
    offsets = piece.facts.offsets
    found = []
    for symbol in symbols or [token for token, i in place.items() if offsets[i] < offsets[i + 1]]:
        first, last = offsets[place[symbol]], offsets[place[symbol] + 1]
        bars = of_rows(piece.candles, slice(first, last))
        found.append(Series(symbol, bars, piece.facts.interval_ms, content_sha256(candle_table(bars))))
    return found


def _slice(market: Market, store: Store) -> tuple[Slice, bool]:
    """Return the slice of the series asked for, and whether it had been cut before."""
    lo, hi = _limits(market)
    options = {**vars(market.candle_options), "lo": str(lo), "hi": str(hi), "symbols": market.symbols, "of": "traces"}
    paths = tuple(candle_files(market.candles))
    none = np.zeros(0, np.int64)
    with unchanged(paths):  # or a slice would be kept under the fingerprint of other candles
        sources = tuple(describe(path).sha256 for path in paths)
        mark = fingerprint(sources, Spans((), none, none, none, none), options)
        if store.cache and (held := find_slice(store.slice_folder, mark)):
            return held, True
        read = _read(market)
    return build(store.slice_folder, read, _whole(read.tokens, lo, hi), mark), False


def _limits(market: Market) -> tuple[int, int]:
    lo = -_FOREVER if market.from_ is None else market.from_
    return lo, _FOREVER if market.to is None else market.to


def _whole(tokens: tuple[str, ...], lo: int, hi: int) -> Spans:
    """Return the spans of all candles of the tokens that open in [lo, hi)."""
    ends = [np.full(len(tokens), end, np.int64) for end in (lo - 1, lo, hi)]
    return Spans(tokens, np.arange(len(tokens)), *ends)


def _read(market: Market) -> CandleSet:
    """Return the candles of the symbols asked for. Raises DataError where one has none."""
    symbols, options = market.symbols, market.candle_options
    if symbols is not None and len(symbols) == 1 and _unnamed(market.candles):
        found = read_candles(market.candles, None, options)
        report = replace(found.reports[0], token=symbols[0])
        found = replace(found, tokens=(symbols[0],), reports=(report,))
    else:
        try:
            found = read_candles(market.candles, symbols, options)
        except DataError:
            if symbols is None:
                raise
            found = read_candles(market.candles, None, options)
    lo, hi = _limits(market)
    lost = [reason for symbol in symbols or found.tokens if (reason := _missing(found, symbol, lo, hi))]
    if symbols and (unknown := [symbol for symbol in symbols if symbol not in found.tokens]):
        held = read_candles(market.candles, None, options).tokens
        raise DataError(f"{market.candles} holds no candles of {', '.join(unknown)}{_instead(unknown[0], held)}")
    if lost and (symbols or len(lost) == len(found.tokens)):
        raise DataError(f"{market.candles}: {'; '.join(lost)}")
    return found


def _unnamed(source: Path) -> bool:
    """Return whether a source is one file without a column of symbols, and no directory names its one."""
    paths = list(candle_files(source))
    named = any(part.partition("=")[1] and part.partition("=")[0].lower() in TOKEN for part in paths[0].parts[:-1])
    return len(paths) == 1 and not source.is_dir() and not named and find(files.schema(source).names, TOKEN) is None


def _missing(found: CandleSet, symbol: str, lo: int, hi: int) -> str:
    """Return why a symbol has no candle in [lo, hi), '' where it has some or is not there at all."""
    if symbol not in found.tokens:
        return ""
    i = found.tokens.index(symbol)
    ts = found.candles.ts[found.offsets[i] : found.offsets[i + 1]]
    if found.reports[i].error:
        return found.reports[i].message
    if not ts.size:
        return f"{symbol} has no usable candle ({found.reports[i].message})"
    first, last = np.searchsorted(ts, (lo, hi))
    return "" if first < last else f"{symbol} has none in that time, but from {iso(int(ts[0]))} to {iso(int(ts[-1]))}"


def _instead(symbol: str, held: Sequence[str]) -> str:
    near = nearest(symbol, held)
    more = ", ..." if len(held) > _SHOWN else ""
    return near or f"; it holds {', '.join(held[:_SHOWN])}{more}"


def inputs(market: Market, piece: Slice) -> tuple[Input, ...]:
    """Return the candles as the manifest names them."""
    facts = piece.facts
    end = max(facts.coverage_end_ms, default=None)
    return (Input("candles", str(market.candles), facts.content_sha256, facts.rows, facts.from_ms, facts.to_ms, end),)


def found_again(manifest: Manifest, slices: Path, symbol: str, digest: str, candles: Path | None = None) -> Series:
    """Return the series of a published run with that digest: from a slice, else from its source, if it is still so.

    ``candles`` names another source. Raises MissingError where neither has these candles any more.
    """
    given = next(one for one in manifest.inputs if one.kind == "candles")
    market = market_of(manifest, candles or Path(given.source))
    if candles is None:
        for piece in holding(slices, given.digest, manifest.config["interval_ms"]):
            for one in series_in(piece, [symbol] if symbol in piece.facts.tokens else ()):
                if (one.symbol, one.digest) == (symbol, digest):
                    return one
    named = f"the candles of {symbol} that run {manifest.run_id} read (digest {digest[:12]})"
    remedy = "name their slices with --slices, or a file that has them with --candles"
    try:
        found = _read(replace(market, symbols=[symbol]))
    except (HighwaterError, OSError) as error:
        raise MissingError(f"{named} are not in {slices}; {remedy} ({error})", "E_SLICE_GONE") from error
    one = _cut(found, market, symbol)
    if one.digest != digest:
        raise MissingError(f"{named} are not in {slices}, and {market.candles} holds others; {remedy}", "E_SLICE_GONE")
    return one


def market_of(manifest: Manifest, source: Path) -> Market:
    """Return the settings that a run of traces read its candles with, from ``source``."""
    config = manifest.config
    try:
        return Market(
            candles=source,
            symbols=config["symbols_asked"],
            from_=config["from_ms"],
            to=config["to_ms"],
            zone=config["zone"],
            interval=None if config["resample_ms"] else config["interval_ms"],
            resample=config["resample_ms"],
            **{name: config[name] for name in _READ},
        )
    except KeyError as error:
        text = f"run {manifest.run_id} does not say {error.args[0]}; another version wrote it"
        raise IntegrityError(text, "E_VERSION") from None


_READ = ("ts_label", "time_unit", "on_bad_bar", "on_unsorted", "on_dup_conflict", "allow_float32")


def read_config(market: Market, step: int) -> dict[str, object]:
    """Return what a run's config says of how its candles were read; ``market_of`` reads it back."""
    return {
        "symbols_asked": market.symbols,
        "from_ms": market.from_,
        "to_ms": market.to,
        "zone": market.zone,
        "interval_ms": step,
        "resample_ms": market.resample,
        **{name: getattr(market, name) for name in _READ},
    }


def _cut(found: CandleSet, market: Market, symbol: str) -> Series:
    i, (lo, hi) = found.tokens.index(symbol), _limits(market)
    first, last = found.offsets[i], found.offsets[i + 1]
    ts = found.candles.ts[first:last]
    start, end = (int(first + k) for k in np.searchsorted(ts, (lo, hi)))
    bars = of_rows(found.candles, slice(start, end))
    return Series(symbol, bars, found.interval_ms, content_sha256(candle_table(bars)))
