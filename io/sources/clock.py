"""Whether candles are told by another clock than UTC: then they miss the sessions, though there are candles."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from ...kernels.arrays import Ints

HOUR_MS, AROUND_MS = 3_600_000, 43_200_000
ZONES = (
    *("America/New_York", "America/Chicago", "America/Los_Angeles", "Europe/London", "Europe/Berlin"),
    *("Europe/Athens", "Asia/Kolkata", "Asia/Shanghai", "Asia/Tokyo", "Australia/Sydney"),
)
_GAIN = 0.1  # of session time: what a clock must add to be believed
_EPOCH = datetime(1970, 1, 1)


def other_clock(symbol: str, ts: Ints, opens: Ints, closes: Ints, interval_ms: int, zone: str) -> str:
    """Return one line that names the clock by which candles fit the sessions, '' where UTC does as well.

    ``ts`` ascend; ``opens`` and ``closes`` are the sessions, ms UTC; ``zone`` is the exchange's, tried first.
    """
    days = np.searchsorted(ts, opens - AROUND_MS) < np.searchsorted(ts, closes + AROUND_MS)
    if not days.any():
        return ""
    opens, closes = opens[days], closes[days]
    now = _covered(ts, opens, closes, interval_ms)
    if now > 1 - _GAIN:
        return ""
    fits = []
    for name in dict.fromkeys((zone, *ZONES)):
        off = _offsets(ts, ZoneInfo(name))
        fits.append((_covered(np.sort(ts - off), opens, closes, interval_ms), name, off))
    best, name, off = max(fits, key=lambda fit: fit[0])
    if best < now + _GAIN or (best < 2 * now and best < 0.5):
        return ""
    inside = f"in {now:.0%} of session time only" if round(now, 2) else "none inside session hours"
    hours = " or ".join(f"{each / HOUR_MS:g} h" for each in sorted({abs(int(each)) for each in np.unique(off)}))
    return (
        f"{symbol} has candles on {opens.size} of {days.size} session days but {inside}; their times look like {name} "
        f"local time (off by {hours}): write them in UTC, or with their offset"
    )


def _covered(ts: Ints, opens: Ints, closes: Ints, interval_ms: int) -> float:
    """Return the share of the sessions' time that has candles."""
    inside = np.searchsorted(ts, closes) - np.searchsorted(ts, opens)
    return float(np.minimum(inside * interval_ms, closes - opens).sum() / (closes - opens).sum())


def _offsets(ts: Ints, zone: ZoneInfo) -> Ints:
    """Return how far ahead of UTC each time is, ms, if it is one on the clocks of a zone."""
    hours, index = np.unique(ts // HOUR_MS, return_inverse=True)
    local = (_EPOCH + timedelta(hours=hour) for hour in hours.tolist())
    found = [each.replace(tzinfo=zone).utcoffset() or timedelta() for each in local]
    return np.array([int(each.total_seconds()) * 1000 for each in found], np.int64)[index]
