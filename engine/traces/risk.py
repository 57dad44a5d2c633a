"""The exits of a strategy's positions as its config writes them, apart from what it wants."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ...io.config import check_keys
from ...io.errors import UsageError
from ..policy import Policy, Rung
from ..values import parse_duration, show_number

_KEYS = ("stop_loss", "take_profit", "trailing_stop", "max_holding_period")
_TRAIL = ("distance", "activate")
_REFUSED = {
    "position_size": "a trace holds one unit",
    "max_positions": "a trace holds one position at a time",
    "min_bars_between_trades": "a trace enters where its signal says so",
}


@dataclass(frozen=True)
class Risk:
    """Exits: fractions of the entry price; of the trailing stop, of the best price since. None where unset.

    ``activate`` is the gain from which on the trailing stop works. The position is held no longer than ``candles``
    intervals, of the clock, or ``time_ms``.
    """

    stop_loss: float | None = None
    take_profit: float | None = None
    trailing_stop: float | None = None
    activate: float | None = None
    candles: int | None = None
    time_ms: int | None = None

    def policy(self, step: int) -> Policy:
        """Return them as the exits of a long position, on candles of ``step`` ms."""
        return Policy(
            sl=_multiple(self.stop_loss, -1),
            tp=() if self.take_profit is None else (Rung(float(_multiple(self.take_profit, 1) or 0)),),
            trail_pct=self.trailing_stop,
            trail_activate=_multiple(self.activate, 1),
            time_ms=self.candles * step if self.candles else self.time_ms,
        )

    def canonical(self) -> dict[str, Any]:
        """Return what is set, as ``parse_risk`` reads it."""
        trail: Any = self.trailing_stop
        if self.activate is not None:
            trail = {"distance": trail, "activate": self.activate}
        hold = self.candles if self.time_ms is None else f"{self.time_ms}ms"
        form = dict(zip(_KEYS, (self.stop_loss, self.take_profit, trail, hold), strict=True))
        return {name: value for name, value in form.items() if value is not None}


def parse_risk(value: Any, place: str) -> Risk:
    """Return the exits of a mapping of stop_loss, take_profit, trailing_stop and max_holding_period.

    The first two and a trailing stop are fractions, 0.02 for 2 %; a trailing stop may be {distance, activate}; a
    holding period is a number of candles or a duration such as '2h'. Raises UsageError for what exits cannot say.
    """
    if not isinstance(value, Mapping):
        raise UsageError(f"{place} is {value!r:.60}; it must be a mapping such as {{stop_loss: 0.02}}")
    for name, reason in _REFUSED.items():
        if name in value:
            raise UsageError(f"{place}: {name} is not supported; {reason}")
    check_keys(value, _KEYS, place)
    given = {name: each for name, each in value.items() if each is not None}
    trail = given.get("trailing_stop")
    trail = {"distance": trail} if not isinstance(trail, Mapping) else trail
    check_keys(trail, _TRAIL, f"{place}: trailing_stop")
    if trail.get("distance") is None and "activate" in trail:
        raise UsageError(f"{place}: trailing_stop has no distance")
    candles, time_ms = _holding(given.get("max_holding_period"), f"{place}: max_holding_period")
    return Risk(
        _fraction(given.get("stop_loss"), f"{place}: stop_loss", 1),
        _fraction(given.get("take_profit"), f"{place}: take_profit", 10),
        _fraction(trail.get("distance"), f"{place}: trailing_stop", 1),
        _fraction(trail.get("activate"), f"{place}: trailing_stop: activate", 10),
        candles,
        time_ms,
    )


def _fraction(value: Any, place: str, below: float) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        reason = "; exits that move with an indicator are not supported" if isinstance(value, str) else ""
        raise UsageError(f"{place} is {value!r:.60}; it must be a fraction such as 0.02 for 2 %{reason}")
    if not 0 < value < below:
        hint = f"; did you mean {show_number(value / 100)}?" if 0 < value / 100 < below else ""
        raise UsageError(f"{place} is {value}; it must be a fraction above 0 and below {below}{hint}")
    return float(value)


def _holding(value: Any, place: str) -> tuple[int | None, int | None]:
    """Return (candles, ms), one of them None, or both where there is no limit."""
    if value is None:
        return None, None
    if isinstance(value, str):
        try:
            if (ms := parse_duration(value)) == 0:
                raise ValueError("it must be longer than nothing")
            return None, ms
        except ValueError as error:
            raise UsageError(f"{place} is '{value:.60}'; {error}") from None
    number = not isinstance(value, bool) and isinstance(value, int | float)
    if not (number and 1 <= value <= 10**7 and value == int(value)):
        raise UsageError(
            f"{place} is {value!r:.60}; it must be a number of candles from 1 on, or a duration such as '2h'"
        )
    return int(value), None


def _multiple(fraction: float | None, sign: int) -> float | None:
    """Return 1 plus or minus a fraction; computed in decimal, so that 5 % below is 0.95."""
    return None if fraction is None else float(1 + sign * Decimal(repr(fraction)))
