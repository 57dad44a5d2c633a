"""The candles that a lab's trades are replayed on: one slice of all its markets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...io.candle_rows import candle_files
from ...io.candles import CandleOptions, read_candles
from ...io.config import nearest
from ...io.errors import DataError
from ...io.files import describe
from ...io.labs.parse import Tables
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


def ground_of(candles: Path, tables: Tables, store: Store) -> Ground:
    """Return the candles of a lab's markets, cut into a slice. Raises DataError where a market has none."""
    closed = tables.positions
    tags = sorted({tag for tag in closed["market_tag"].to_pylist() if tag})
    files = tuple(candle_files(candles))
    read = read_candles(candles, None, CandleOptions())
    markets = {tag: token_of(tag, read.tokens, len(tags)) for tag in tags}
    if not markets:
        raise DataError(f"lab {tables.lab.lab_id} has no position to replay")
    tokens, step = tuple(sorted(set(markets.values()))), read.interval_ms
    times = [t for name in ("entry_ts_ms", "exit_ts_ms") for t in closed[name].drop_null().to_pylist()]
    first, last = min(times, default=0) - 2 * step, max(times, default=0) + (LATE + 2) * step
    ends = [np.full(len(tokens), end, np.int64) for end in (first, first, last)]
    spans = Spans(tokens, np.arange(len(tokens)), *ends)
    mark = fingerprint(tuple(describe(path).sha256 for path in files), spans, {"of": "labs"})
    piece = find_slice(store.slice_folder, mark) or build(store.slice_folder, read, spans, mark)
    return Ground(piece, str(candles), markets)


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
