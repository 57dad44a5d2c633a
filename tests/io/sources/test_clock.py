from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from highwater.io.candles import read_candles
from highwater.io.sources.clock import other_clock
from shared_market import DATA

MINUTE = 60_000
NEW_YORK = "America/New_York"


def stamps(zone, start, end, days, interval=MINUTE):
    """Return ms UTC of the candles from a local time to another, on weekdays from March 2024 on; DST begins then."""
    found = []
    for day in (datetime(2024, 3, 1) + timedelta(days=i) for i in range(days)):
        if day.weekday() < 5:
            first, last = (datetime.combine(day, at, ZoneInfo(zone)).timestamp() * 1000 for at in (start, end))
            found += range(int(first), int(last), interval)
    return np.array(found, np.int64)


OPENS = stamps(NEW_YORK, time(9, 30), time(9, 31), 28)
CLOSES = OPENS + 390 * MINUTE
REGULAR = stamps(NEW_YORK, time(9, 30), time(16), 28)


def as_local(ts, zone):
    """Return times as a program writes them that leaves the zone out, read as UTC."""
    local = (datetime.fromtimestamp(each / 1000, ZoneInfo(zone)) for each in ts.tolist())
    return np.array([int(each.replace(tzinfo=ZoneInfo("UTC")).timestamp() * 1000) for each in local], np.int64)


def told(ts, opens=OPENS, closes=CLOSES, interval=MINUTE):
    return other_clock("SPY", ts, opens, closes, interval, NEW_YORK)


def test_local_times_are_told():
    expected = (
        "SPY has candles on 20 of 20 session days but in 34% of session time only; their times look like "
        "America/New_York local time (off by 4 h or 5 h): write them in UTC, or with their offset"
    )

    assert expected == told(as_local(REGULAR, NEW_YORK))


def test_times_far_off_miss_every_session():
    found = told(as_local(REGULAR, "Asia/Tokyo"))

    assert found.startswith("SPY has candles on 20 of 20 session days but none inside session hours; their times look")
    assert "Asia/Tokyo local time (off by 9 h)" in found


@pytest.mark.parametrize("zone", ["America/Chicago", "Europe/Berlin", "Asia/Kolkata"])
def test_other_clocks_are_told(zone):
    assert f"look like {zone} local time" in told(as_local(REGULAR, zone))


@pytest.mark.parametrize(
    ("name", "ts"),
    [
        ("regular hours", REGULAR),
        ("extended hours", stamps(NEW_YORK, time(4), time(20), 28)),
        ("round the clock", np.arange(REGULAR[0], REGULAR[-1], MINUTE)),
        ("seldom traded", REGULAR[::9]),
        ("mornings only", stamps(NEW_YORK, time(9, 30), time(12), 28)),
        ("no candles", REGULAR[:0]),
        ("other days", REGULAR - 90 * 86_400_000),
    ],
)
def test_candles_in_utc_are_let_be(name, ts):
    assert "" == told(ts), name


def test_days_without_candles_are_not_counted():
    assert "on 15 of 20 session days" in told(as_local(REGULAR[: 15 * 390], NEW_YORK))


@pytest.mark.shared_data
@pytest.mark.skipif(not DATA.is_dir(), reason="the market data are not beside this checkout")
def test_a_year_of_spy():
    ts = read_candles(DATA / "candles/spy_1m_2024.parquet").candles.ts
    opens = ts[np.flatnonzero(np.diff(ts, prepend=0) > 12 * 3_600_000)]
    closes = np.append(ts[np.flatnonzero(np.diff(ts) > 12 * 3_600_000)], ts[-1]) + MINUTE

    assert "" == told(ts, opens, closes)
    assert "America/New_York local time (off by 4 h or 5 h)" in told(as_local(ts, NEW_YORK), opens, closes)
