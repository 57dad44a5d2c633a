"""Features made of other features, for the functions of expressions: ratios, regimes, and those of coarser candles."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...io.errors import DataError, UsageError
from ...kernels.arrays import Candles, Floats, Ints, column
from ..values import show_duration

if TYPE_CHECKING:
    from .features import Features, Key
    from .terms import Term

Codes = NDArray[np.int8]
_TREND = 25.0  # of the ADX, from which on there is one
_INTRADAY = 9 * 60 + 30, 15 * 60 + 55  # minutes of the day: from, and before
_FRIDAY = 4


def _ratio(features: "Features", above: "Key", below: "Key") -> Floats:
    return _over(features.series(above), features.series(below))


def _distance(features: "Features", of: "Key", to: "Key") -> Floats:
    return _over(features.series(of) - features.series(to), features.series(to))


def _efficiency(features: "Features", of: "Key", n: int) -> Floats:
    from ...kernels.averages import sma

    x = features.series(of)
    steps = np.abs(x - features["shift", of, 1])
    return _over(np.abs(x - features["shift", of, n]), sma(steps, n) * n)


def _volatility_regime(features: "Features") -> Codes:
    """Return 0 low, 1 normal, 2 high, -1 unknown."""
    rank = features["percent_rank", ("atr", 14), 100]
    return np.select([rank < 100 / 3, rank <= 200 / 3, rank > 200 / 3], [0, 1, 2], -1).astype(np.int8)


def _trend_regime(features: "Features") -> Codes:
    """Return 0 down, 1 range, 2 up, -1 unknown."""
    plus, minus, adx = features["directional", 14]
    strong = adx >= _TREND
    sides = [adx < _TREND, strong & (plus > minus), strong & (plus < minus), strong]
    return np.select(sides, [1, 2, 0, 1], -1).astype(np.int8)


def _term(features: "Features", term: "Term") -> Floats:
    from .conditions import numbers

    return column(numbers(term, features))


def grouped(features: "Features", frame: int) -> Candles:
    """Return the candles of ``frame`` ms, on the UTC grid; raises where these are no whole part of them."""
    from ...io.resample import resample

    ts, step = features.bars.ts, features.step
    if frame % step:
        own, other = show_duration(step), show_duration(frame)
        raise UsageError(f"timeframe {other} is no multiple of the candles' own, {own}")
    if (ts % step).any():
        raise DataError(f"candles off the {show_duration(step)} grid make none of {show_duration(frame)}")
    return resample(features.bars, column([0, ts.size], np.int64), frame)[0]


def _complete(features: "Features", frame: int) -> Ints:
    """Return the last candle of ``frame`` ms that is complete by the close of each candle, int64[N]; -1 for none."""
    ts = features.bars.ts
    coarse = features.coarser(frame).bars.ts
    return np.searchsorted(coarse, ts + features.step - frame, "right") - 1


def _framed(features: "Features", frame: int, key: "Key") -> Any:
    """Return the feature of the last complete coarse candle at each candle; NaN, or -1 of a text, before the first."""
    rows, found = features["complete", frame], features.coarser(frame)[key]
    nothing = np.nan if found.dtype == np.float64 else -1
    return np.where(rows < 0, nothing, found[rows]).astype(found.dtype)


def _intraday(features: "Features") -> NDArray[np.bool_]:
    minute = features["minute_of_day"]
    return (minute >= _INTRADAY[0]) & (minute < _INTRADAY[1])


def _is_friday(features: "Features") -> NDArray[np.bool_]:
    return features["weekday"] == _FRIDAY


def _over(above: Floats, below: Floats) -> Floats:
    """Return the quotient, NaN where it divides by zero."""
    with np.errstate(all="ignore"):
        return np.where(below == 0.0, np.nan, above / below)


MEASURES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "ratio": _ratio,
        "distance": _distance,
        "efficiency": _efficiency,
        "volatility_regime": _volatility_regime,
        "trend_regime": _trend_regime,
        "term": _term,
        "complete": _complete,
        "framed": _framed,
        "intraday": _intraday,
        "is_friday": _is_friday,
    }
)
