"""Features made of other features, for the functions of expressions: ratios, regimes, and those of coarser candles."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...io.errors import DataError, UsageError
from ...kernels.arrays import Floats, Ints, column
from ..values import show_duration

if TYPE_CHECKING:
    from .features import Features, Key
    from .terms import Term

Codes = NDArray[np.int8]
TREND = 25.0  # of the ADX, from which on there is one


def _line(features: "Features", of: "Key", i: int) -> Floats:
    return features[of][i]


def _ratio(features: "Features", above: "Key", below: "Key") -> Floats:
    return _over(features[above], features[below])


def _distance(features: "Features", of: "Key", to: "Key") -> Floats:
    return _over(features[of] - features[to], features[to])


def _efficiency(features: "Features", of: "Key", n: int) -> Floats:
    from ...kernels.averages import sma

    x = features[of]
    step = np.abs(x - features["shift", of, 1])
    return _over(np.abs(x - features["shift", of, n]), sma(step, n) * n)


def _volatility_regime(features: "Features") -> Codes:
    """Return 0 low, 1 normal, 2 high, -1 unknown."""
    rank = features["percent_rank", ("atr", 14), 100]
    return np.select([rank < 100 / 3, rank <= 200 / 3, rank > 200 / 3], [0, 1, 2], -1).astype(np.int8)


def _trend_regime(features: "Features") -> Codes:
    """Return 0 down, 1 range, 2 up, -1 unknown."""
    plus, minus, adx = features["directional", 14]
    return np.select([adx < TREND, plus > minus, plus < minus, adx >= TREND], [1, 2, 0, 1], -1).astype(np.int8)


def _term(features: "Features", term: "Term") -> Floats:
    from .conditions import numbers

    return column(numbers(term, features))


def _coarse(features: "Features", frame: int) -> tuple["Features", Ints]:
    """Return the features of candles of ``frame`` ms, and which of them is the last complete one, int64[N], or -1.

    A coarse candle is complete once a candle closes at its end or opens after it. It lies on the UTC grid.
    """
    from ...io.resample import resample

    ts, step = features.bars.ts, features.step
    if frame % step:
        own = show_duration(step)
        raise UsageError(f"timeframe {show_duration(frame)} is no multiple of the candles' own, {own}")
    if (ts % step).any():
        raise DataError(f"candles off the {show_duration(step)} grid make no candles of {show_duration(frame)}")
    bars, _ = resample(features.bars, column([0, ts.size], np.int64), frame)
    opened = ts // frame
    place = np.cumsum(np.diff(opened, prepend=opened[:1]) > 0)
    return features.on(bars, frame), place - (ts + step < (opened + 1) * frame)


def _framed(features: "Features", frame: int, key: "Key") -> Any:
    """Return the feature of the last complete coarse candle at each candle; NaN, or -1 of a text, before the first."""
    coarse, rows = features["coarse", frame]
    found = coarse[key]
    return np.where(rows < 0, -1 if found.dtype == np.int8 else np.nan, found[rows]).astype(found.dtype)


def _over(above: Floats, below: Floats) -> Floats:
    """Return the quotient, NaN where it divides by zero."""
    with np.errstate(all="ignore"):
        return np.where(below == 0.0, np.nan, above / below)


MEASURES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "line": _line,
        "ratio": _ratio,
        "distance": _distance,
        "efficiency": _efficiency,
        "volatility_regime": _volatility_regime,
        "trend_regime": _trend_regime,
        "term": _term,
        "coarse": _coarse,
        "framed": _framed,
    }
)
