"""The clock on the exchange's wall at each candle: its day, minute and session, and whether the market is open.

A candle is told by its open. Market hours are those of the exchanges in New York, Monday to Friday, holidays and half
days not known; in another zone they are the same hours of that zone's clock.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...io.config import nearest
from ...io.errors import UsageError
from ...kernels.arrays import Ints

NEW_YORK = "America/New_York"
MINUTE, DAY = 60_000, 86_400_000
GAP = 60 * MINUTE  # without candles: a new session begins after it
MARKET_HOURS = ("closed", "pre_market", "regular", "extended")  # by the codes of ``market_hours``
_PRE, _OPEN, _CLOSE, _END = 4 * 60, 9 * 60 + 30, 16 * 60, 20 * 60  # minutes of the day
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Wall(NamedTuple):
    """The times of candles in ms, ``utc`` and ``local`` int64[N], ascending, and ``step``, the interval."""

    utc: Ints
    local: Ints
    step: int


def wall_of(ts: Ints, step: int, zone: str = NEW_YORK) -> Wall:
    """Return the local times of candles that open at ``ts`` (ms UTC), daylight saving observed.

    Raises UsageError where the zone is not in the IANA database.
    """
    return Wall(ts, ts + _offsets(ts, _zone(zone)), step)


@cache
def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo, available_timezones

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        hint = nearest(name, available_timezones()) or ", as America/New_York or UTC"
        raise UsageError(f"the time zone is '{name}'; it must be a name of the IANA database{hint}") from None


def _offsets(ts: Ints, zone: tzinfo) -> Ints:
    """Return by how many ms the clock of ``zone`` is ahead of UTC, int64[N]; looked up once a UTC day.

    A day at whose end the clock stands otherwise holds one change, which is found by halving.
    """
    day = ts // DAY
    first = np.flatnonzero(np.diff(day, prepend=day[:1] - 1))
    out = np.empty(ts.size, np.int64)
    for start, end in pairwise([*first.tolist(), ts.size]):
        begin = int(day[start]) * DAY
        before, after = _offset(begin, zone), _offset(begin + DAY, zone)
        out[start:end] = before
        if before != after:
            out[start:end][ts[start:end] >= _change(begin, zone)] = after
    return out


def _offset(ms: int, zone: tzinfo) -> int:
    moment = (_EPOCH + timedelta(milliseconds=ms)).astimezone(zone)
    return (moment.utcoffset() or timedelta()) // timedelta(milliseconds=1)


def _change(begin: int, zone: tzinfo) -> int:
    """Return the ms of a UTC day from which on the clock does not stand as it did at its begin."""
    low, high, before = begin, begin + DAY, _offset(begin, zone)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(middle, zone) == before else (low, middle)
    return high


def _minute_of_day(wall: Wall) -> NDArray[np.int32]:
    return (wall.local % DAY // MINUTE).astype(np.int32)


def _hhmm(wall: Wall) -> NDArray[np.int32]:
    minute = _minute_of_day(wall)
    return minute // 60 * 100 + minute % 60


def _weekday(wall: Wall) -> NDArray[np.int32]:
    """Return 0 for Monday to 6 for Sunday; the first of January 1970 was a Thursday."""
    return ((wall.local // DAY + 3) % 7).astype(np.int32)


def _day_starts(wall: Wall) -> NDArray[np.bool_]:
    """Return whether a candle is the first of its local day."""
    day = wall.local // DAY
    return np.diff(day, prepend=day[:1] - 1) != 0


def _bar_of_day(wall: Wall) -> NDArray[np.int32]:
    """Return how many candles came before in the same local day."""
    place = np.arange(wall.utc.size, dtype=np.int32)
    return place - np.maximum.accumulate(np.where(_day_starts(wall), place, 0))


def _session_starts(wall: Wall) -> NDArray[np.bool_]:
    """Return whether a session begins: with the first candle of a local day, and after more than GAP without one."""
    return _day_starts(wall) | (np.diff(wall.utc, prepend=wall.utc[:1]) - wall.step > GAP)


def _market_hours(wall: Wall) -> NDArray[np.int32]:
    """Return places in MARKET_HOURS: pre-market from 4:00, regular from 9:30, extended from 16:00 to 20:00."""
    minute = _minute_of_day(wall)
    code = np.searchsorted([_PRE, _OPEN, _CLOSE, _END], minute, "right") % 4
    return np.where(_weekday(wall) < 5, code, 0).astype(np.int32)


def _time_until_close(wall: Wall) -> NDArray[np.int32]:
    """Return the minutes until 16:00 of the local day, negative after it."""
    return _CLOSE - _minute_of_day(wall)


CLOCK: Mapping[str, Callable[[Wall], NDArray[Any]]] = MappingProxyType(
    {
        "minute_of_day": _minute_of_day,
        "hour": lambda wall: _minute_of_day(wall) // 60,
        "minute": lambda wall: _minute_of_day(wall) % 60,
        "hhmm": _hhmm,
        "weekday": _weekday,
        "bar_of_day": _bar_of_day,
        "session_starts": _session_starts,
        "market_hours": _market_hours,
        "time_until_close": _time_until_close,
    }
)
