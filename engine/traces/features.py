"""What can be known of one series: its columns, its clock and every indicator asked for, each computed once."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from numbers import Real
from types import MappingProxyType
from typing import Any

import numpy as np

from ...io.config import nearest
from ...io.errors import UsageError
from ...kernels.arrays import Candles, Floats, column
from .clock import CLOCK, NEW_YORK, Wall, wall_of
from .indicators import INDICATORS
from .measures import MEASURES, grouped

# A feature by what it is: a column ("close"), or an indicator with its arguments, themselves features or numbers:
# ("sma", "close", 20), ("sma", ("atr", 14), 50), ("bollinger", "close", 20, 2.0). Of an indicator with several lines
# one is had by its name: ("bollinger.upper", "close", 20, 2.0).
Key = str | tuple[Any, ...]

MOST = 1_000_000  # candles that an indicator may look back

_OWN = MappingProxyType({name: name for name in ("open", "high", "low", "close", "volume")} | {"price": "close"})
_MADE_OF_PRICES: Mapping[str, Callable[[Candles], Floats]] = MappingProxyType(
    {
        "hl2": lambda bars: (bars.high + bars.low) / 2.0,
        "typical": lambda bars: (bars.high + bars.low + bars.close) / 3.0,
        "hlc3": lambda bars: (bars.high + bars.low + bars.close) / 3.0,
    }
)
COLUMNS = (*_OWN, *_MADE_OF_PRICES, *CLOCK)


class Features:
    """The columns, clock and indicators of one series. ``step``: the candle interval in ms; ``zone``: of the exchange.

    ``features[key]`` is float64[N], or a tuple of them where an indicator has several lines; NaN where it is not yet
    known. What the clock says (``clock.CLOCK``) is int32[N] or bool[N]. All are read-only. Nothing at candle t depends
    on a candle after t. What was used longest ago is forgotten where all would take more than ``memory`` bytes beside
    the candles. May be asked by several threads. Raises UsageError for what is no feature.
    """

    def __init__(self, bars: Candles, step: int, zone: str = NEW_YORK, memory: int = 1 << 30):
        self.bars, self.step, self.zone, self.memory = bars, step, zone, memory
        self.size = 0  # bytes that are kept
        self._known: OrderedDict[Key, Any] = OrderedDict()
        self._lock = threading.Lock()
        self._coarser: dict[int, Features] = {}

    def __getitem__(self, key: Key) -> Any:
        if isinstance(key, str) and key in _OWN:
            return column(getattr(self.bars, _OWN[key]))
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        made = self._column(key) if isinstance(key, str) else self._indicator(key)
        frozen = tuple(map(_frozen, made)) if isinstance(made, tuple) else _frozen(made)
        self._keep(key, frozen)
        return frozen

    @cached_property
    def wall(self) -> Wall:
        """The local times of the candles."""
        return wall_of(self.bars.ts, self.step, self.zone)

    def coarser(self, frame: int) -> "Features":
        """Return the features of candles of ``frame`` ms on the UTC grid; raises where they cannot be made of these."""
        if frame not in self._coarser:
            self._coarser[frame] = Features(grouped(self, frame), frame, self.zone, self.memory)
        return self._coarser[frame]

    def _column(self, name: str) -> Any:
        if name not in COLUMNS:
            raise UsageError(f"unknown column '{name}'{nearest(name, COLUMNS)}")
        return CLOCK[name](self.wall) if name in CLOCK else _MADE_OF_PRICES[name](self.bars)

    def _indicator(self, key: tuple[Any, ...]) -> Any:
        if key[0] in MEASURES:
            return MEASURES[key[0]](self, *key[1:])
        name, _, line = str(key[0]).partition(".")
        found = INDICATORS.get(name)
        if found is None or (line and line not in found.lines):
            raise UsageError(f"unknown indicator '{key[0]}'{nearest(str(key[0]), names())}")
        if line:
            return self[(name, *key[1:])][found.lines.index(line)]
        given, numbers = key[1 : 1 + found.of_series], key[1 + found.of_series :]
        takes = found.of_series + len(found.numbers)
        if len(key) - 1 != takes:
            raise UsageError(f"{name} was given {len(key) - 1} arguments; it takes {takes}")
        numbers = [_number(name, kind, value) for kind, value in zip(found.numbers, numbers, strict=True)]
        if name in _MADE:
            return _MADE[name](self, *given, *numbers)
        series = [self.series(each) for each in given] or [self[each] for each in found.reads]
        return found.kernel(name)(*series, *numbers)

    def series(self, key: Key) -> Floats:
        """Return a feature as one float64[N]; raises UsageError where it has several lines and none is named."""
        made = self[key]
        if isinstance(made, tuple):
            lines = " or ".join(f"{key[0]}.{line}" for line in INDICATORS[str(key[0])].lines)
            raise UsageError(f"{key[0]} has several lines; name one: {lines}")
        return column(made)

    def _keep(self, key: Key, made: Any) -> None:
        with self._lock:
            self.size += _bytes(made) - _bytes(self._known.pop(key, ()))
            self._known[key] = made
            while self.size > self.memory and len(self._known) > 1:
                self.size -= _bytes(self._known.popitem(last=False)[1])


def names() -> Iterator[str]:
    """Yield every name that an indicator's key may begin with: its own, and that of each of its lines."""
    for name, each in INDICATORS.items():
        yield name
        yield from (f"{name}.{line}" for line in each.lines)


def _frozen(values: Any) -> Any:
    return column(values, values.dtype)


def _bytes(made: Any) -> int:
    return sum(each.nbytes for each in made) if isinstance(made, tuple) else made.nbytes


def _number(name: str, kind: str, value: Any) -> int | float:
    """Return a count of candles as an int, any other number as a float."""
    most, least = (MOST, 1) if kind == "n" else (1e9, 1e-9)
    real = isinstance(value, Real) and not isinstance(value, bool)
    number: Any = value
    if not real or not least <= number <= most or (kind == "n" and int(number) != number):
        must = f"a whole number of candles, from 1 to {MOST:,}" if kind == "n" else "a number above 0"
        raise UsageError(f"{name} was given {str(value)[:40]}; it must be {must}")
    return int(number) if kind == "n" else float(number)


def _shift(features: Features, of: Key, n: int) -> Floats:
    """Return a feature as it was ``n`` candles before."""
    x = features.series(of)
    return np.concatenate([np.full(min(n, x.size), np.nan), x[: max(x.size - n, 0)]])


def _atr(features: Features, n: int) -> Floats:
    return features["rma", ("true_range",), n]


def _bands(middle: Floats, spread: Floats, k: float) -> tuple[Floats, ...]:
    """Return (lower, middle, upper), as the kernels of bands that are made at once have them."""
    return middle - k * spread, middle, middle + k * spread


def _bollinger(features: Features, of: Key, n: int, k: float) -> tuple[Floats, ...]:
    return _bands(features["sma", of, n], features["deviation", of, n], k)


def _keltner(features: Features, n: int, k: float) -> tuple[Floats, ...]:
    return _bands(features["ema", "close", n], features["atr", n], k)


def _donchian(features: Features, n: int) -> tuple[Floats, ...]:
    lower, upper = features["lowest", "low", n], features["highest", "high", n]
    return lower, (lower + upper) / 2.0, upper


# Of parts that others have use for too. The same bits as those of the kernel of the name, where there is one.
_MADE: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"shift": _shift, "atr": _atr, "bollinger": _bollinger, "keltner": _keltner, "donchian": _donchian}
)
