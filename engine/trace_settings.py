"""The settings of a run of traces, as frozen records whose fields become flags: what is read, and how it is traded."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..io.errors import UsageError
from .settings import Intrabar, Unit
from .values import Duration, Instant, Interval, Size, show_instant

if TYPE_CHECKING:
    from ..io.candles import CandleOptions
    from .policy import Policy

FEE_BPS, SLIPPAGE_BPS = 0.0, 1.0  # a side: what a liquid share or fund costs


@dataclass(frozen=True, kw_only=True)
class Market:
    """What is read.

    Args:
        candles: Candles: a Parquet, Arrow or CSV file, or a directory of Parquet files.
        symbols: Only these series (default: all); a single file without a column of symbols is named so.
        from_: Only candles from this time on (UTC; a date is its midnight).
        to: Only candles before this time (UTC).
        zone: Time zone of the exchange, for its hours and sessions.
        interval: Length of a candle; checked against the data (default: found there).
        resample: Make coarser candles of this length from the data first.
        ts_label: Whether a candle's time is that of its open or its close.
        time_unit: Unit of integer candle times (default: found by magnitude).
        on_bad_bar: What to do with a candle that cannot be: make it a hole, or stop.
        on_unsorted: What to do with a series whose times go backwards.
        on_dup_conflict: What to do with two different candles of one time.
        allow_float32: Accept prices stored in single precision.
        max_decoded: Refuse candle files that decode to more than this.
    """

    candles: Path
    symbols: list[str] | None = None
    from_: Instant | None = None
    to: Instant | None = None
    zone: str = "America/New_York"
    interval: Interval | None = None
    resample: Interval | None = None
    ts_label: Literal["open", "close"] = "open"
    time_unit: Unit | None = None
    on_bad_bar: Literal["drop", "error"] = "drop"
    on_unsorted: Literal["reject", "sort"] = "reject"
    on_dup_conflict: Literal["reject", "first", "last"] = "reject"
    allow_float32: bool = False
    max_decoded: Size = 8 << 30

    def __post_init__(self) -> None:
        if self.from_ is not None and self.to is not None and self.from_ >= self.to:
            raise UsageError(f"--from {show_instant(self.from_)} is not before --to {show_instant(self.to)}")
        if self.symbols is not None and (twice := {each for each in self.symbols if self.symbols.count(each) > 1}):
            raise UsageError(f"--symbols names {', '.join(sorted(twice))} twice")

    @property
    def candle_options(self) -> "CandleOptions":
        """How the candles are to be read."""
        from ..io.candles import CandleOptions

        return CandleOptions(
            interval_ms=self.interval,
            ts_label=self.ts_label,
            time_unit=self.time_unit,
            on_bad_bar=self.on_bad_bar,
            on_unsorted=self.on_unsorted,
            on_dup_conflict=self.on_dup_conflict,
            allow_float32=self.allow_float32,
            resample_ms=self.resample,
            max_decoded=self.max_decoded,
        )


@dataclass(frozen=True, kw_only=True)
class Dealing:
    """How a signal becomes trades, and what they cost.

    Args:
        fill: Where a signal is filled: at the next candle's open, or at the close of its own.
        fee_bps: Fee of each side, in basis points.
        slippage_bps: Slippage of each side, in basis points.
        tp: Take profit at this multiple of the entry price, mirrored for shorts: 1.02 is +2 %.
        sl: Stop loss at this multiple of the entry price: 0.99 is -1 %.
        trail: Trailing stop this fraction below the high: 0.01 is 1 %.
        trail_activate: Arm the trailing stop at this multiple (default: from the entry on).
        breakeven: Move the stop to the entry price once this multiple is reached.
        breakeven_offset: Move it this fraction above (or below) the entry price instead.
        time_stop: Leave after this time.
        ladder: Take profit in rungs, multiple@percent: 1.01@50%,1.02@50%.
        tp_gap_fill: Fill a target that a candle opens beyond at its level, or at that open.
        memory: After a stop or a target, no new trade until the signal changes.
        intrabar: What comes first inside a candle that touches both a stop and a target.
    """

    fill: Literal["next_open", "signal_close"] = "next_open"
    fee_bps: float = FEE_BPS
    slippage_bps: float = SLIPPAGE_BPS
    tp: float | None = None
    sl: float | None = None
    trail: float | None = None
    trail_activate: float | None = None
    breakeven: float | None = None
    breakeven_offset: float | None = None
    time_stop: Duration | None = None
    ladder: str | None = None
    tp_gap_fill: Literal["level", "open"] = "level"
    memory: bool = True
    intrabar: Intrabar = "pessimistic"

    @property
    def exits(self) -> "Policy | None":
        """The exits that the flags name, None without any."""
        from .policy import policy_from_flags

        flags = (self.tp, self.sl, self.trail, self.trail_activate, self.breakeven, self.breakeven_offset)
        rest = (self.time_stop, self.ladder)
        if all(flag is None for flag in (*flags, *rest)):
            return None
        return policy_from_flags(*flags, *rest, self.tp_gap_fill)
