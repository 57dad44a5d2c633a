"""The ground that every setting of one symbol stands on: its session candles, and what was once made of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar

import numpy as np

from ...io.errors import DataError
from ...kernels.arrays import Candles, Floats, Ints, candles, column
from .calendar import Hours

_LARGEST = 1 << 20  # eight bytes each
KEPT = 128  # arrays of the length of the candles: what a search over settings asks for again
T = TypeVar("T")


@dataclass(frozen=True)
class Ground:
    """The N candles of S sessions, of ``step`` ms, nothing else; read-only.

    ``first``, ``last`` int64[S]: the half-open rows of each session, ``some`` bool[S]: it has any; ``high``, ``low``,
    ``close`` float64[S]: its extremes and its last close, NaN where it has none. The sessions before number ``since``
    are only known, never traded.
    """

    bars: Candles
    step: int
    hours: Hours
    first: Ints
    last: Ints
    high: Floats
    low: Floats
    close: Floats
    since: int = 0
    _made: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    @property
    def some(self) -> np.ndarray:
        """The sessions that have candles, bool[S]."""
        return self.last > self.first

    @property
    def traded(self) -> np.ndarray:
        """The sessions that have candles and may be traded, bool[S]."""
        return self.some & (np.arange(self.first.size) >= self.since)

    @property
    def slots(self) -> Ints:
        """How many whole steps after the open of its session each candle opens, int64[N]."""
        opens = np.repeat(self.hours.open, self.last - self.first)
        return column((self.bars.ts - opens) // self.step, np.int64)

    def once(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        """Return what ``make`` returns, made once for a key; the KEPT last asked for are kept.

        Threads that ask at once may each make it.
        """
        with self._lock:
            found = self._made.pop(key, None)
            if found is not None:
                self._made[key] = found
                return found
        made = make()
        with self._lock:
            self._made[key] = made
            while len(self._made) > KEPT:
                del self._made[next(iter(self._made))]
        return made

    def extremes(self, last: Ints) -> tuple[Floats, Floats]:
        """Return the highest high and lowest low of each session up to its row ``last``; NaN where there is none."""
        return _extremes(self.bars, self.first, last)


def ground_of(every: Candles, step: int, hours: Hours) -> Ground:
    """Return the ``Ground`` of ``every`` candle of a symbol, ``step`` ms each.

    Raises DataError where the candles are not in order of time, each once.
    """
    from ...kernels.confluence import ascending

    if row := ascending(every.ts):
        raise DataError(f"candle {row} is not after the one before it; sort the candles and drop doubles")
    np.empty(_LARGEST)  # once it is freed, glibc keeps pages up to twice that: else a sixth of a pass is page faults
    bars, first, last = session_candles(every, hours)
    close = np.full(first.size, np.nan)
    close[last > first] = bars.close[last[last > first] - 1]
    return Ground(bars, step, hours, first, last, *_extremes(bars, first, last), close)


def session_candles(every: Candles, hours: Hours) -> tuple[Candles, Ints, Ints]:
    """Return the candles that open within a session, and the half-open rows of each session, int64[S]."""
    begin, end = np.searchsorted(every.ts, hours.open), np.searchsorted(every.ts, hours.close)
    last = np.cumsum(end - begin)
    first = last - (end - begin)
    if np.array_equal(begin[1:], end[:-1]):  # nothing in between: no copy
        parts = (part[begin[0] : end[-1]] for part in every)
    else:
        bounds = list(zip(begin.tolist(), end.tolist(), strict=True))
        parts = (np.concatenate([part[i:j] for i, j in bounds]) for part in every)
    return candles(*parts), column(first, np.int64), column(last, np.int64)


def known_before(values: Floats) -> Floats:
    """Return the last value of an earlier session that is not NaN, float64[S]; NaN where there is none."""
    rows = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(values.size)))
    rows = np.concatenate([[-1], rows[:-1]])
    return np.where(rows < 0, np.nan, values[rows])


def _extremes(bars: Candles, first: Ints, last: Ints) -> tuple[Floats, Floats]:
    high, low = np.full(first.size, np.nan), np.full(first.size, np.nan)
    some = last > first
    if some.any():
        edges = np.stack([first[some], last[some]], axis=1).ravel()
        edges = edges[:-1] if edges[-1] == bars.ts.size else edges
        high[some] = np.maximum.reduceat(bars.high, edges)[::2]
        low[some] = np.minimum.reduceat(bars.low, edges)[::2]
    return high, low
