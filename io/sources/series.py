"""Candles for sessions: what is asked for and of whom, and what came of it."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ...kernels.arrays import Ints
from ..candles import CandleOptions, CandleSet
from ..columns import bar_name
from ..digest import config_digest
from ..errors import HighwaterError, UsageError
from .sessions import Walk

CACHE_VERSION = 1
FILE, YAHOO, BINANCE, SYNTHETIC = "file", "yahoo", "binance", "synthetic"
_AS_FOUND, _WALK = CandleOptions(), Walk()


@dataclass(frozen=True)
class Span:
    """The days of a time zone from ``first`` to before ``end``, and the candles' interval. Raises UsageError."""

    first: date
    end: date
    interval_ms: int
    zone: str = "UTC"

    def __post_init__(self):
        if self.first >= self.end:
            raise UsageError(f"the days from {self.first} to before {self.end} are none; start must be before end")
        if self.interval_ms <= 0:
            raise UsageError(f"interval_ms is {self.interval_ms}; it must be positive")
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise UsageError(f"unknown time zone '{self.zone}'; UTC and America/New_York are some") from None

    @property
    def begin_ms(self) -> int:
        """Midnight of the first day, ms UTC."""
        return self.midnight(self.first)

    @property
    def end_ms(self) -> int:
        """Midnight after the last day, ms UTC."""
        return self.midnight(self.end)

    @property
    def interval(self) -> str:
        """The candles' interval as ``1m``, ``1h`` or ``1d``."""
        return bar_name(self.interval_ms)

    def midnight(self, day: date) -> int:
        """Return when a day begins in the zone, ms UTC."""
        return int(datetime.combine(day, time(0), ZoneInfo(self.zone)).timestamp()) * 1000


@dataclass(frozen=True)
class Files:
    """A file with a symbol column or of one symbol, or a directory of such; finer candles are made coarser."""

    path: Path
    options: CandleOptions = _AS_FOUND
    kind = FILE


@dataclass(frozen=True)
class Yahoo:
    """Yahoo through yfinance. ``adjusted``: for dividends too, not for splits alone; ``at``: another address."""

    adjusted: bool = False
    at: str = field(default_factory=lambda: os.environ.get("HIGHWATER_YAHOO_URL", ""))
    kind = YAHOO


@dataclass(frozen=True)
class Binance:
    """Binance's spot market through ccxt; ``at``: another address."""

    at: str = field(default_factory=lambda: os.environ.get("HIGHWATER_BINANCE_URL", ""))
    kind = BINANCE


@dataclass(frozen=True, eq=False)
class Synthetic:
    """Made-up candles within sessions: ms UTC of each open and close, int64[S], oldest first."""

    open: Ints
    close: Ints
    walk: Walk = _WALK
    kind = SYNTHETIC


Source = Files | Yahoo | Binance | Synthetic


@dataclass(frozen=True)
class Origin:
    """All that a symbol's candles hang on: those of one origin are the same, and those of another never stand in.

    ``adjustment`` is ``none``, ``splits`` or ``splits and dividends``; ``library`` names what fetched or made them,
    with its version; ``settings`` is a digest of what else went in, 64 hex, or empty.
    """

    kind: str
    symbol: str
    first: str
    end: str
    zone: str
    interval_ms: int
    adjustment: str
    library: str
    at: str = ""
    settings: str = ""
    version: int = CACHE_VERSION

    @property
    def digest(self) -> str:
        """The sha256 of all of it, 64 hex."""
        return config_digest(dataclasses.asdict(self))


@dataclass(frozen=True)
class Series:
    """One symbol's candles, in a set of that one token, and where they come from.

    ``sha256`` is the digest of the candles, 64 hex; ``kept`` the file of the cache they were read from, None where they
    were fetched, made or read; ``notes`` one line each on what the user should know.
    """

    symbol: str
    candles: CandleSet
    origin: Origin
    sha256: str
    kept: Path | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loaded:
    """What came of the symbols asked for, in their order: each is in ``series`` or, with its error, in ``failed``."""

    series: Mapping[str, Series]
    failed: Mapping[str, HighwaterError]
