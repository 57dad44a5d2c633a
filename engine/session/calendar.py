"""When a symbol is traded: its sessions by the exchange's calendar, or by fixed local times."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from ...io.errors import UsageError
from ...io.sources.calendars import calendar
from ...kernels.arrays import Ints
from .config import Instrument

EXTENDED = time(4, 0), time(20, 0)  # of US exchanges, New York


@dataclass(frozen=True)
class Hours:
    """Sessions, oldest first: their exchange ``days``, and ms UTC of open and close, int64[S]; ``place`` names them."""

    days: tuple[date, ...]
    open: Ints
    close: Ints
    zone: ZoneInfo
    place: str

    def at(self, local: time) -> Ints:
        """Return a local time of each day, ms UTC, int64[S]."""
        return np.array([_ms(day, local, self.zone) for day in self.days], np.int64)


def hours(instrument: Instrument, first: date, end: date) -> Hours:
    """Return the sessions of the days from ``first`` to before ``end``.

    Raises UsageError for an unknown calendar or where there is no session in between, MissingError where the library of
    calendars is not installed.
    """
    if instrument.session_start is not None and instrument.session_end is not None:
        zone = ZoneInfo(instrument.timezone or "America/New_York")
        found = _every_day(first, end, zone, instrument.session_start, instrument.session_end)
    else:
        found = _by_calendar(instrument, first, end)
    if not found.days:
        raise UsageError(f"{found.place} has no session from {first} to before {end}; choose other dates")
    return found


def _by_calendar(instrument: Instrument, first: date, end: date) -> Hours:
    found = calendar(instrument.calendar, first, end)
    days = tuple(date(1970, 1, 1) + timedelta(days=day) for day in found.days.tolist())
    place = f"the calendar {instrument.calendar}"
    zone = ZoneInfo(instrument.timezone or found.zone)
    if instrument.session_mode != "rth":
        times = EXTENDED if instrument.session_mode == "eth" else (time(0), time(0))
        return _hours(days, zone, *times, place)
    return Hours(days, found.opens, found.closes, zone, place)


def _every_day(first: date, end: date, zone: ZoneInfo, start: time, stop: time) -> Hours:
    days = tuple(first + timedelta(days=i) for i in range((end - first).days))
    return _hours(days, zone, start, stop, f"every day, {start:%H:%M} to {stop:%H:%M} {zone.key},")


def _hours(days: tuple[date, ...], zone: ZoneInfo, start: time, stop: time, place: str) -> Hours:
    """Return the hours of local days; a ``stop`` at midnight is that of the next day."""
    opens = [_ms(day, start, zone) for day in days]
    closes = [_ms(day + timedelta(days=stop == time(0)), stop, zone) for day in days]
    return Hours(days, np.array(opens, np.int64), np.array(closes, np.int64), zone, place)


def _ms(day: date, at: time, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, at, zone).timestamp()) * 1000
