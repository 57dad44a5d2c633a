"""The candles that a lab's trades are replayed on: one slice of all its markets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...io.candle_rows import candle_files
from ...io.candles import CandleOptions, CandleSet, read_candles
from ...io.config import nearest
from ...io.errors import DataError
from ...io.files import describe
from ...io.labs.charts import kept_charts
from ...io.labs.parse import Tables
from ...io.labs.store import find_lab
from ...io.slices import Slice, Spans, build, fingerprint
from ...io.slices import find as find_slice
from ..settings import Store
from .replay import LATE


@dataclass(frozen=True)
class Ground:
    """Candles to replay on: a slice, where they came from, and which token stands for each market."""

    piece: Slice
    source: str
    markets: Mapping[str, str]


def ground_of(candles: Path, tables: Tables, store: Store, horizon: int = 0) -> Ground:
    """Return the candles of a lab's markets, cut into a slice that reaches ``horizon`` ms behind the last entry.

    Raises DataError where a market has none.
    """
    digests = tuple(describe(path).sha256 for path in candle_files(candles))
    return _cut(read_candles(candles, None, CandleOptions()), digests, str(candles), tables, store, horizon)


def ground_of_charts(labs: Path, server: str | None, tables: Tables, store: Store, horizon: int = 0) -> Ground:
    """Return what ``ground_of`` does, on the charts of the server that are kept in ``labs``."""
    found = kept_charts(labs, *find_lab(labs, tables.lab.lab_id, server))
    return _cut(found.candles, found.digests, f"charts of lab {tables.lab.lab_id}", tables, store, horizon)


def _cut(read: CandleSet, digests: tuple[str, ...], source: str, tables: Tables, store: Store, horizon: int) -> Ground:
    closed = tables.positions
    tags = sorted({tag for tag in closed["market_tag"].to_pylist() if tag})
    markets = {tag: token_of(tag, read.tokens, len(tags)) for tag in tags}
    if not markets:
        raise DataError(f"lab {tables.lab.lab_id} has no position to replay")
    tokens, step = tuple(sorted(set(markets.values()))), read.interval_ms
    times = [t for name in ("entry_ts_ms", "exit_ts_ms") for t in closed[name].drop_null().to_pylist()]
    entered = max(closed["entry_ts_ms"].drop_null().to_pylist(), default=0) + horizon
    first, last = min(times, default=0) - 2 * step, max(entered, max(times, default=0)) + (LATE + 2) * step
    ends = [np.full(len(tokens), end, np.int64) for end in (first, first, last)]
    spans = Spans(tokens, np.arange(len(tokens)), *ends)
    mark = fingerprint(digests, spans, {"of": "labs"})
    piece = find_slice(store.slice_folder, mark) or build(store.slice_folder, read, spans, mark)
    return Ground(piece, source, markets)


def token_of(tag: str, tokens: Sequence[str], markets: int) -> str:
    """Return which series is that of a market such as BINANCEFUTURES_UNI_USDT_PERPETUAL: by its tag, or by its pair.

    A single series is that of a single market. Raises DataError where none is.
    """
    _, *pair = tag.split("_")
    base, quote = (*pair, "", "")[:2]
    known = {token.upper(): token for token in tokens}
    for name in (tag, *(f"{base}{mark}{quote}" for mark in ("", "/", "_", "-"))):
        if name.upper() in known:
            return known[name.upper()]
    if len(tokens) == 1 and markets == 1:
        return tokens[0]
    said = nearest(tag, tokens) or f"; they are of {', '.join(tokens[:4])}"
    raise DataError(f"the candles have no series named {tag} or {base}{quote}{said}")
