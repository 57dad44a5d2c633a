"""The sealed holdout of a search over settings: the last session days, which it must not see."""

from dataclasses import replace
from datetime import date

from ...io.errors import UsageError
from ..values import show_share
from .calendar import Hours
from .given import Given


def hold_out(given: Given, share: float) -> Given:
    """Return the candles without the sessions of the last ``share`` of the days; nothing after them is left either.

    Raises UsageError where no day would be left on one of the sides.
    """
    if not share:
        return given
    first = first_sealed(given, share)
    return replace(given, hours={symbol: before(each, first) for symbol, each in given.hours.items()})


def only_held_out(given: Given, share: float) -> Given:
    """Return the candles with none but the sessions of the holdout to trade; those before are known all the same."""
    return replace(given, since=first_sealed(given, share))


def first_sealed(given: Given, share: float) -> date:
    """Return the first day of the holdout, of all days on which some symbol has a session."""
    days = sorted({day for symbol in given.piece.facts.tokens for day in given.hours[symbol].days})
    count = max(1, round(len(days) * share))
    if count >= len(days):
        raise UsageError(
            f"--holdout {show_share(share)} leaves {len(days) - count} of {len(days)} session days to search; "
            "take a smaller share, or more days"
        )
    return days[-count]


def before(hours: Hours, day: date) -> Hours:
    """Return the sessions before a day."""
    count = sum(each < day for each in hours.days)
    return replace(hours, days=hours.days[:count], open=hours.open[:count], close=hours.close[:count])
