"""What can be known of one series: its columns and every indicator asked for, each computed once."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ...kernels.arrays import Candles, Floats

# A feature by what it is: a column ("close"), or an indicator with its arguments, themselves features or numbers:
# ("sma", "close", 20), ("sma", ("atr", 14), 50), ("bollinger", "close", 20, 2.0).
Key = str | tuple[Any, ...]


class Features:
    """The columns and indicators of one series. ``step``: the candle interval in ms.

    ``features[key]`` is float64[N], or a tuple of them where an indicator has several lines; NaN where it is not yet
    known. Nothing at candle t depends on a candle after t.
    """

    def __init__(self, bars: Candles, step: int):
        self.bars, self.step = bars, step
        self._known: dict[Key, Any] = {name: getattr(bars, name) for name in bars._fields[1:]}

    def __getitem__(self, key: Key) -> Any:
        if key not in self._known:
            name, *arguments = key
            self._known[key] = INDICATORS[name](self, *arguments)
        return self._known[key]


def _sma(features: Features, of: Key, n: int) -> Floats:
    from ...kernels.averages import sma

    return sma(features[of], n)


INDICATORS: Mapping[str, Callable[..., Any]] = MappingProxyType({"sma": _sma})
