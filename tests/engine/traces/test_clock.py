from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from highwater.engine.traces.clock import CLOCK, MARKET_HOURS, wall_of
from highwater.io.errors import UsageError
from hypothesis import given, settings
from hypothesis import strategies as st

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
HOURS = {(4, 0): "pre_market", (9, 30): "regular", (16, 0): "extended", (20, 0): "closed"}

# Changes of the clock: spring and autumn in New York, half an hour, at midnight, a whole day left out, both in one
# month, none at all.
CHANGES = [
    ("America/New_York", "2024-03-10"),
    ("America/New_York", "2024-11-03"),
    ("Australia/Lord_Howe", "2024-04-06"),
    ("America/Havana", "2024-03-10"),
    ("America/Asuncion", "2024-03-24"),
    ("Pacific/Apia", "2011-12-30"),
    ("Africa/Casablanca", "2024-03-10"),
    ("Europe/Dublin", "2024-10-27"),
    ("Asia/Kolkata", "2024-03-10"),
    ("UTC", "2024-03-10"),
]


def ms(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


def told(ts, step, zone="America/New_York"):
    """Return all the clock says, as lists by name."""
    wall = wall_of(np.array(ts, np.int64), step, zone)
    return {name: made(wall).tolist() for name, made in CLOCK.items()}


def plain(ts, step, zone):
    """Return the same from one ``datetime`` a candle."""
    found = {name: [] for name in CLOCK}
    before, first = None, 0
    for i, each in enumerate(ts):
        at = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=each)).astimezone(ZoneInfo(zone))
        new = before is None or before.date() != at.date()
        first = i if new else first
        kept = [name for hour, name in HOURS.items() if (at.hour, at.minute) >= hour]
        hours = kept[-1] if kept and at.weekday() < 5 else "closed"
        rows = {
            "minute_of_day": 60 * at.hour + at.minute,
            "hour": at.hour,
            "minute": at.minute,
            "hhmm": int(f"{at:%H%M}"),
            "weekday": at.weekday(),
            "bar_of_day": i - first,
            "session_starts": new or each - ts[i - 1] - step > HOUR,
            "market_hours": MARKET_HOURS.index(hours),
            "time_until_close": 16 * 60 - 60 * at.hour - at.minute,
        }
        for name, value in rows.items():
            found[name].append(value)
        before = at
    return found


@pytest.mark.parametrize("zone,day", CHANGES)
def test_days_about_a_change_of_the_clock(zone, day):
    ts = list(range(ms(day) - 2 * DAY, ms(day) + 3 * DAY, 15 * MINUTE))

    assert plain(ts, 15 * MINUTE, zone) == told(ts, 15 * MINUTE, zone)


@settings(deadline=None)
@given(
    st.sampled_from(CHANGES),
    st.sampled_from([1000, MINUTE, HOUR, DAY]),
    st.lists(st.integers(0, 200), min_size=1, max_size=60),
    st.integers(-3 * DAY, DAY),
)
def test_series_with_gaps(change, step, gaps, shift):
    zone, day = change
    ts = (ms(day) + shift + step * np.cumsum(np.array(gaps) % 97 + 1)).tolist()

    assert plain(ts, step, zone) == told(ts, step, zone)


def test_an_hour_without_candles_is_no_new_session_and_more_is():
    ts = ms("2024-06-03T14:00") + MINUTE * np.array([0, 1, 62, 124])

    assert [True, False, False, True] == told(ts, MINUTE)["session_starts"]


def test_a_regular_day_in_new_york():
    at = ["2024-06-03T07:59", "2024-06-03T08:00", "2024-06-03T13:29", "2024-06-03T13:30", "2024-06-03T19:59"]
    at += ["2024-06-03T20:00", "2024-06-04T00:00", "2024-06-08T15:00"]
    found = told([ms(each) for each in at], MINUTE)

    expected = ["closed", "pre_market", "pre_market", "regular", "regular", "extended", "closed", "closed"]
    assert expected == [MARKET_HOURS[code] for code in found["market_hours"]]
    assert [721, 720, 391, 390, 1, 0, -240, 300] == found["time_until_close"]
    assert [0, 1, 2, 3, 4, 5, 6, 0] == found["bar_of_day"]


def test_no_candles():
    assert {name: [] for name in CLOCK} == told([], MINUTE)


@pytest.mark.parametrize(
    "zone,hint", [("America/New_Yorc", "; did you mean 'America/New_York'?"), ("../x", ""), ("", ""), ("a" * 300, "")]
)
def test_an_unknown_zone_is_named(zone, hint):
    with pytest.raises(
        UsageError, match=f"^the time zone is '{zone}'; it must be a name of the IANA database"
    ) as error:
        wall_of(np.array([0]), MINUTE, zone)

    assert str(error.value).endswith(hint)
