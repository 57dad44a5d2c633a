"""Small markets, told in minutes, to cut slices out of."""

import numpy as np
from highwater.io.candles import CandleSet
from highwater.io.slices import Spans, build
from highwater.kernels.arrays import candles

MINUTE = 60_000
START = 1_700_000_040_000
MARK = "ab" * 32


def minutes(*at):
    """Return times in ms, given in minutes after the start."""
    return np.rint(np.array(at, float) * MINUTE).astype(np.int64) + START


def market(series):
    """Return the ``CandleSet`` of token -> minutes at which it has candles; prices tell rows apart."""
    tokens = tuple(sorted(series))
    ts = np.concatenate([minutes(*series[token]) for token in tokens])
    offsets = np.cumsum([0, *(len(series[token]) for token in tokens)])
    price = 1.0 + np.arange(ts.size)
    bars = candles(ts, price, price + 0.5, price - 0.5, price, price * 10)
    return CandleSet(tokens, offsets, bars, MINUTE, np.full(len(tokens), START + 10**9), (), ())


def spans(*rows):
    """Return the ``Spans`` of rows (token, lo, asked, hi), the times in minutes."""
    tokens = tuple(sorted({row[0] for row in rows}))
    at = [tokens.index(row[0]) for row in rows]
    return Spans(tokens, np.array(at, np.int64), *(minutes(*column) for column in list(zip(*rows, strict=True))[1:]))


def same_candles(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def small_slice(folder):
    """Return a slice of two tokens and 21 candles."""
    found = market({"A": range(10), "B": range(11)})
    return build(folder, found, spans(("A", -1, 0, 99), ("B", -1, 0, 99)), MARK)
