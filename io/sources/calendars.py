"""Sessions of an exchange's calendar, as exchange_calendars has them; it and its pandas are loaded only where they are
not kept from before.

For each version of the library and each calendar, the local opens and closes of all days that it knew are kept in the
user's cache directory. Their times in UTC are told anew, so that clocks change as the zone says now.
"""

import contextlib
import hashlib
import json
import re
import warnings
from datetime import date, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import platformdirs

from ...kernels.arrays import Ints
from ..config import nearest
from ..errors import HighwaterError, MissingError, UsageError
from ..exports import put

_MISSING = "exchange calendars are missing: pip install 'highwater[session]', or set session_start and session_end"
_EPOCH = datetime(1970, 1, 1)


class Calendar(NamedTuple):
    """Sessions, oldest first: their ``days`` since 1970, ms UTC of their opens and closes, int64[S]; whose clocks, and
    of which days, ``last`` included, these are all."""

    days: Ints
    opens: Ints
    closes: Ints
    zone: str
    first: date
    last: date

    def between(self, first: date, end: date) -> "Calendar":
        """Return those of the days from ``first`` to before ``end``."""
        rows = slice(*np.searchsorted(self.days, [(day - _EPOCH.date()).days for day in (first, end)]))
        return self._replace(days=self.days[rows], opens=self.opens[rows], closes=self.closes[rows])


def calendar(name: str, first: date, end: date) -> Calendar:
    """Return the sessions of the calendar ``name`` from ``first`` to before ``end``.

    Raises UsageError for an unknown calendar or days that it does not reach, MissingError without the library.
    """
    try:
        path = _path(name, metadata.version("exchange_calendars"))
    except metadata.PackageNotFoundError:
        raise MissingError(_MISSING) from None
    found = _kept(path, name, first, end)
    if found is None:
        whole = _asked(name, first, end)
        _keep(path, name, whole)
        found = whole.between(first, end)
    return found


def _asked(name: str, first: date, end: date) -> Calendar:
    """Return what the library says: of the last twenty years and the next, and of the days that are asked for."""
    try:
        import exchange_calendars
    except ImportError:
        raise MissingError(_MISSING) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of pandas 3.1 at exchange_calendars 4.13
            found: Any = exchange_calendars.get_calendar(name)
            ends = found.first_session.date(), found.last_session.date()
            if first < ends[0] or end > ends[1]:
                ends = min(first, ends[0]), max(end, ends[1])
                found = exchange_calendars.get_calendar(name, start=str(ends[0]), end=str(ends[1]))
    except ValueError as error:
        raise UsageError(f"the calendar {name} does not reach from {first} to {end}: {error}") from None
    except exchange_calendars.errors.InvalidCalendarName:
        names = exchange_calendars.get_calendar_names()
        raise UsageError(
            f"unknown calendar '{name}'{nearest(name, names) or '; XNYS, XCME and 24/7 are some'}"
        ) from None
    schedule = found.schedule
    opens, closes = (schedule[each].dt.tz_convert(None).to_numpy("datetime64[ms]") for each in ("open", "close"))
    days = schedule.index.to_numpy("datetime64[D]").astype(np.int64)
    return Calendar(days, opens.astype(np.int64), closes.astype(np.int64), str(found.tz), *ends)


def _path(name: str, version: str) -> Path:
    slug = re.sub(r"[^A-Za-z0-9]+", "-", name)[:40]
    return Path(platformdirs.user_cache_path("highwater")) / "calendars" / f"{slug}_{version}.json"


def _keep(path: Path, name: str, found: Calendar) -> None:
    """Keep sessions for the next time where there is a place for them, and local clocks tell them to the minute."""
    zone = ZoneInfo(found.zone)
    opens, closes = _local(found.opens, zone), _local(found.closes, zone)
    if not (np.array_equal(_utc(opens, zone), found.opens) and np.array_equal(_utc(closes, zone), found.closes)):
        return
    table = {"name": name, "zone": found.zone, "first": found.first.isoformat(), "last": found.last.isoformat()}
    body = json.dumps(table | {"days": found.days.tolist(), "opens": opens, "closes": closes}).encode()
    with contextlib.suppress(HighwaterError, OSError):
        put(path, hashlib.sha256(body).hexdigest().encode() + b"\n" + body, "the sessions are asked for anew")


def _kept(path: Path, name: str, first: date, end: date) -> Calendar | None:
    """Return the sessions from ``first`` to before ``end`` if they are kept, undamaged."""
    try:
        digest, _, body = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if hashlib.sha256(body).hexdigest().encode() != digest:
        return None
    table = json.loads(body)
    ends = date.fromisoformat(table["first"]), date.fromisoformat(table["last"])
    if table["name"] != name or first < ends[0] or end > ends[1]:
        return None
    zone = ZoneInfo(table["zone"])
    days, opens, closes = (np.array(table[each], np.int64) for each in ("days", "opens", "closes"))
    local = Calendar(days, opens, closes, table["zone"], *ends).between(first, end)
    return local._replace(opens=_utc(local.opens.tolist(), zone), closes=_utc(local.closes.tolist(), zone))


def _local(times: Ints, zone: ZoneInfo) -> list[int]:
    """Return minutes of local clocks since 1970, of times in ms UTC."""
    clocks = (datetime.fromtimestamp(ms / 1000, zone).replace(tzinfo=None) for ms in times.tolist())
    return [(clock - _EPOCH) // timedelta(minutes=1) for clock in clocks]


def _utc(minutes: list[int], zone: ZoneInfo) -> Ints:
    """Return the ms UTC of minutes of local clocks."""
    clocks = (_EPOCH + timedelta(minutes=each) for each in minutes)
    return np.array([int(clock.replace(tzinfo=zone).timestamp()) * 1000 for clock in clocks], np.int64)
