"""Made-up candles within real sessions, from a seed: other ones for each symbol and day, the same on every machine.

Only raw PCG64 bits and correctly rounded operations (+ - * / sqrt) are used: no exponential, no logarithm, no sum in an
order of the library's choice. A day's random numbers hang on the seed, the symbol and the day alone; its prices also on
the close before.
"""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from ...kernels.arrays import Candles, Floats, Ints, candles
from ..errors import UsageError

LIBRARY = "made-up sessions 1"  # another number wherever other candles come of the same arguments
REGIMES = ("trend_up", "trend_down", "mean_revert", "choppy")
MINUTE_MS, DAY_MS = 60_000, 86_400_000
_CHOPPY = 1.5  # a choppy day's sigma beside any other's
_DRAWS = 37  # uniform numbers a candle: three normals of twelve each, and one


@dataclass(frozen=True)
class Walk:
    """How made-up prices move: ``sigma``, ``drift`` and ``pull`` as returns a minute, ``gap`` overnight.

    ``price`` is about where they begin and ``tick`` their unit; ``volume`` the middle of a candle's, a minute;
    ``u_shape`` how much more of it there is at a session's ends. ``regimes`` alternate by day. Raises UsageError.
    """

    seed: int = 7
    price: float = 100.0
    tick: float = 0.01
    sigma: float = 0.0015
    drift: float = 0.0002
    pull: float = 0.002
    gap: float = 0.004
    volume: float = 10_000.0
    u_shape: float = 0.5
    regimes: tuple[str, ...] = REGIMES

    def __post_init__(self):
        if unknown := [name for name in self.regimes if name not in REGIMES]:
            raise UsageError(f"unknown regime '{unknown[0]}'; {', '.join(REGIMES)} are known")
        if not self.regimes or self.seed < 0:
            raise UsageError(f"walk: seed is {self.seed}, regimes {self.regimes}; seed must be >= 0, one regime named")
        for name in ("price", "tick", "volume"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UsageError(f"walk: {name} is {getattr(self, name)}; it must be positive")
        for name, most in (("sigma", 0.05), ("drift", 0.01), ("pull", 0.1), ("gap", 0.1), ("u_shape", 10)):
            if not 0 <= getattr(self, name) <= most:
                raise UsageError(f"walk: {name} is {getattr(self, name)}; it must be from 0 to {most}")


class _Day(NamedTuple):
    """A day's candles as factors of its open: closes, wicks above and below as shares of the price, and volumes."""

    close: Floats
    above: Floats
    below: Floats
    volume: Floats
    gap: float


def make(symbol: str, opens: Ints, closes: Ints, interval_ms: int, walk: Walk) -> Candles:
    """Return a symbol's candles, none missing, from the open of each session to its close (ms UTC, int64[S]).

    A candle opens where the one before it closed, the first of a day a gap away. Prices are whole ticks.
    """
    counts = -(-(closes - opens) // interval_ms)
    level = walk.price * (0.5 + 2 * _uniform(walk.seed, symbol, "level", 1)[0])
    parts: list[tuple[Floats, ...]] = []
    for start, count in zip(opens.tolist(), counts.tolist(), strict=True):
        day = _day(symbol, start, count, interval_ms, walk)
        first = level * (1.0 + day.gap)
        close = np.maximum(np.rint(first * day.close / walk.tick), 1.0)
        open_ = np.append(max(np.rint(first / walk.tick), 1.0), close[:-1])
        top, bottom = np.maximum(open_, close), np.minimum(open_, close)
        high = top + np.rint(top * day.above)
        low = np.maximum(bottom - np.rint(bottom * day.below), 1.0)
        parts.append((open_, high, low, close, day.volume))
        level = float(close[-1]) * walk.tick
    ts = np.repeat(opens, counts) + interval_ms * (
        np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    )
    open_, high, low, close, volume = (np.concatenate(part) for part in zip(*parts, strict=True))
    open_, high, low, close = (_priced(ticks, walk.tick) for ticks in (open_, high, low, close))
    return candles(ts, open_, high, low, close, volume)


def _priced(ticks: Floats, tick: float) -> Floats:
    """Return prices of whole ticks as the decimal numbers they are: 12345 ticks of 0.01 are 123.45 and no less."""
    exponent = Decimal(repr(tick)).as_tuple().exponent
    scale = float(10 ** max(0, -int(exponent)))
    return np.rint(ticks * np.rint(tick * scale)) / scale


def _day(symbol: str, start: int, count: int, interval_ms: int, walk: Walk) -> _Day:
    number, minutes = start // DAY_MS, interval_ms / MINUTE_MS
    draws = _uniform(walk.seed, symbol, str(number), _DRAWS * count + 12)
    step, wick, noise = (_normal(part) for part in draws[12 + count :].reshape(3, 12, count))
    regime = walk.regimes[number % len(walk.regimes)]
    sigma = walk.sigma * np.sqrt(minutes) * (_CHOPPY if regime == "choppy" else 1.0)
    drift = walk.drift * minutes * {"trend_up": 1, "trend_down": -1}.get(regime, 0)
    move = np.clip(sigma * step + drift, -0.5, 0.5)
    if regime == "mean_revert":
        close = _pulled(move, min(walk.pull * minutes, 1.0))
    else:
        close: Floats = np.multiply.accumulate(1.0 + move)
    spread = 2.0 * np.sqrt(minutes) * np.maximum(0.0005 + 0.000165 * wick, 0.0)
    share = draws[12 : 12 + count]  # how the wicks are parted, above and below
    t = np.arange(count) / max(count - 1, 1)
    shape = 1.0 + walk.u_shape * (t * t + (1.0 - t) * (1.0 - t))
    volume = np.maximum(np.rint(walk.volume * minutes * shape * _growth(0.4 * noise)), 1.0)
    gap = walk.gap * float(_normal(draws[:12].reshape(12, 1))[0])
    return _Day(close, spread * share, spread * (1.0 - share), volume, gap)


def _pulled(move: Floats, pull: float) -> Floats:
    """Return closes that are drawn back to the open: the distance to it loses ``pull`` of itself with every candle."""
    away, out = 0.0, []
    for each in move.tolist():
        away += each - pull * away
        out.append(max(1.0 + away, 0.01))
    return np.array(out, np.float64)


def _uniform(seed: int, symbol: str, what: str, size: int) -> Floats:
    """Return float64 in the open interval (0, 1) of the stream of a seed, a symbol and a day."""
    key = hashlib.sha256(f"{seed}\0{symbol}\0{what}".encode()).digest()
    raw = np.random.PCG64(np.random.SeedSequence(int.from_bytes(key, "big"))).random_raw(size)
    return np.asarray(((raw >> np.uint64(12)) + 0.5) * 2.0**-52, np.float64)


def _normal(draws: Floats) -> Floats:
    """Return numbers as good as normal, each the sum of a column of twelve uniform ones, less six."""
    total = draws[0].copy()
    for row in draws[1:]:
        total += row
    return total - 6.0


def _growth(rate: Floats) -> Floats:
    """Return e to the power of ``rate`` nearly, by ten squarings."""
    grown = 1.0 + rate / 1024
    for _ in range(10):
        grown = grown * grown
    return grown
