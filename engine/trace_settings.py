"""The settings of a run of traces, as frozen records whose fields become flags: what is read, and how it is traded."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..io.errors import UsageError
from .settings import Intrabar, Reading
from .values import Duration, Instant, show_instant

if TYPE_CHECKING:
    from .policy import Policy

FEE_BPS, SLIPPAGE_BPS = 0.0, 1.0  # a side: what a liquid share or fund costs


@dataclass(frozen=True, kw_only=True)
class Market(Reading):
    """What is read.

    Args:
        candles: Candles: a Parquet, Arrow or CSV file, or a directory of Parquet files.
        symbols: Only these series (default: all); a single file without a column of symbols is named so.
        from_: Only candles from this time on (UTC; a date is its midnight).
        to: Only candles before this time (UTC).
        zone: Time zone of the exchange, for its hours and sessions.
    """

    candles: Path
    symbols: list[str] | None = None
    from_: Instant | None = None
    to: Instant | None = None
    zone: str = "America/New_York"

    def __post_init__(self) -> None:
        if self.from_ is not None and self.to is not None and self.from_ >= self.to:
            raise UsageError(f"--from {show_instant(self.from_)} is not before --to {show_instant(self.to)}")
        if self.symbols is not None and (twice := {each for each in self.symbols if self.symbols.count(each) > 1}):
            raise UsageError(f"--symbols names {', '.join(sorted(twice))} twice")


@dataclass(frozen=True, kw_only=True)
class Exits:
    """Exits of FS-1 on either side.

    Args:
        tp: Take profit at this multiple of the entry price, mirrored for shorts: 1.02 is +2 %.
        sl: Stop loss at this multiple of the entry price: 0.99 is -1 %.
        trail: Trailing stop this fraction below the high: 0.01 is 1 %.
        trail_activate: Arm the trailing stop at this multiple (default: from the entry on).
        breakeven: Move the stop to the entry price once this multiple is reached.
        breakeven_offset: Move it this fraction above (or below) the entry price instead.
        time_stop: Leave after this time.
        ladder: Take profit in rungs, multiple@percent: 1.01@50%,1.02@50%.
        tp_gap_fill: Fill a target that a candle opens beyond at its level, or at that open.
    """

    tp: float | None = None
    sl: float | None = None
    trail: float | None = None
    trail_activate: float | None = None
    breakeven: float | None = None
    breakeven_offset: float | None = None
    time_stop: Duration | None = None
    ladder: str | None = None
    tp_gap_fill: Literal["level", "open"] = "level"

    @property
    def exits(self) -> "Policy | None":
        """The exits that the flags name, None without any."""
        from .policy import policy_from_flags

        flags = (self.tp, self.sl, self.trail, self.trail_activate, self.breakeven, self.breakeven_offset)
        rest = (self.time_stop, self.ladder)
        if all(flag is None for flag in (*flags, *rest)):
            return None
        return policy_from_flags(*flags, *rest, self.tp_gap_fill)


@dataclass(frozen=True, kw_only=True)
class Dealing(Exits):
    """How a signal becomes trades, and what they cost.

    Args:
        fill: Where a signal is filled: at the next candle's open, or at the close of its own.
        fee_bps: Fee of each side, in basis points.
        slippage_bps: Slippage of each side, in basis points.
        memory: Trade again after a stop or a target before the signal has changed.
        intrabar: What comes first inside a candle that touches both a stop and a target.
    """

    fill: Literal["next_open", "signal_close"] = "next_open"
    fee_bps: float = FEE_BPS
    slippage_bps: float = SLIPPAGE_BPS
    memory: bool = True
    intrabar: Intrabar = "pessimistic"
