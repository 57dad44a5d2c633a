"""The commands that look for hindsight: in a signal, and in recorded trades."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .settings import Unit, takes
from .values import Interval

if TYPE_CHECKING:
    from ..io.candles import CandleSet


@dataclass(frozen=True, kw_only=True)
class Series:
    """Which candles are read.

    Args:
        candles: Candles: a Parquet, Arrow or CSV file, or a directory of Parquet files.
        token: Only the series of these tokens (default: each).
        interval: Length of a candle; checked against the data (default: found there).
        resample: Make coarser candles of this length from the data first.
        ts_label: Whether a candle's time is that of its open or its close.
        time_unit: Unit of integer times (default: found by magnitude).
        on_unsorted: What to do with a series whose times go backwards.
        on_dup_conflict: What to do with two different candles of one time.
        allow_float32: Accept prices stored in single precision.
    """

    candles: Path
    token: list[str] | None = None
    interval: Interval | None = None
    resample: Interval | None = None
    ts_label: Literal["open", "close"] = "open"
    time_unit: Unit | None = None
    on_unsorted: Literal["reject", "sort"] = "reject"
    on_dup_conflict: Literal["reject", "first", "last"] = "reject"
    allow_float32: bool = False

    def read(self) -> "CandleSet":
        """Return the candles, validated."""
        from ..io.candles import CandleOptions, read_candles

        options = CandleOptions(
            interval_ms=self.interval,
            resample_ms=self.resample,
            ts_label=self.ts_label,
            time_unit=self.time_unit,
            on_unsorted=self.on_unsorted,
            on_dup_conflict=self.on_dup_conflict,
            allow_float32=self.allow_float32,
        )
        return read_candles(self.candles, self.token, options)


@takes(series=Series)
def check_lookahead(
    signal: str,
    *,
    known: Literal["close", "open"] = "close",
    cuts: int = 64,
    futures: list[Literal["shuffled", "nan", "cut", "scaled"]] | None = None,
    warmup: int = 0,
    seed: int = 7,
    json: bool = False,
    series: Series,
) -> int | None:
    """Run a signal of yours on candles with another future; exit code 4 where what it said before changes.

    The signal takes the candles of one series, as arrays .ts .open .high .low .close .volume, and returns an array of
    one value a candle (or a dict or tuple of such), or events: a dict of columns, known_ms among them, the time from
    which on a row is known. Naming it runs its file.

    Args:
        signal: The function, as file.py:function or module:function.
        known: When a value is known, at the close of its candle or at its open, before its high, low and close are.
        cuts: Candles after which the future is changed.
        futures: What the future is turned into (default: all four).
        warmup: No cut before this candle.
        seed: Seed of the random numbers.
        json: Print one JSON document instead of text.
    """
    from functools import partial

    from . import check_show
    from .futures import FUTURES
    from .lookahead import check
    from .user_code import function_named

    tried = futures or tuple(FUTURES)
    ask = partial(check, function_named(signal), known=known, cuts=cuts, futures=tried, warmup=warmup, seed=seed)
    return check_show.show_lookahead(series.read(), ask, json)


@takes(series=Series)
def check_trades(
    trades: Path,
    *,
    entered: Literal["open", "close"] | None = None,
    tolerance_bps: float = 0.0,
    limit: int = 10,
    json: bool = False,
    series: Series,
) -> int | None:
    """Hold recorded trades against candles; exit code 4 where one could only be made in hindsight.

    The file has the columns entry_bar, entry_price, exit_bar and exit_price (a time in the candle of the fill, and
    its price), and token where the candles are of several.

    Args:
        trades: A Parquet, Arrow, CSV or JSON-lines file.
        entered: Where in its candle a trade was entered (default: at the close where the price is that of the close).
        tolerance_bps: How far a price may lie outside its candle, in basis points, such as slippage.
        limit: Impossible trades to print.
        json: Print one JSON document instead of text.
    """
    from ..io.trades import read_trades
    from . import check_show

    recorded = read_trades(trades, series.time_unit)
    return check_show.show_trades(series.read(), recorded, entered, tolerance_bps / 1e4, limit, json)
