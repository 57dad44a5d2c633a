"""Coarser candles out of finer ones, on the UTC epoch grid."""

import numpy as np

from ..kernels.arrays import Candles, Ints, column


def resample(candles: Candles, offsets: Ints, bar_ms: int) -> tuple[Candles, Ints]:
    """Return the candles of each series grouped into bars of ``bar_ms`` and the new offsets, int64[S+1].

    A bar takes the first open, highest high, lowest low, last close and the sum of volumes of the candles that open
    in it, and is labelled by its own open; an empty bar is absent.
    """
    if not candles.ts.size:
        return candles, offsets
    bar = candles.ts // bar_ms
    series = np.repeat(np.arange(offsets.size - 1), np.diff(offsets))
    new = np.concatenate(([True], (np.diff(bar) != 0) | (np.diff(series) != 0)))
    first = np.flatnonzero(new)
    last = np.append(first[1:], bar.size) - 1
    grouped = Candles(
        column(bar[first] * bar_ms, np.int64),
        column(candles.open[first]),
        column(np.maximum.reduceat(candles.high, first)),
        column(np.minimum.reduceat(candles.low, first)),
        column(candles.close[last]),
        column(np.add.reduceat(candles.volume, first)),
    )
    return grouped, column(np.searchsorted(first, offsets), np.int64)
