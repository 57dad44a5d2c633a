import builtins
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from highwater.engine.session.calendar import hours
from highwater.engine.session.config import Instrument
from highwater.io.errors import MissingError, UsageError

NEW_YORK = ZoneInfo("America/New_York")


def local(found, zone=NEW_YORK):
    """Return {day: (open, close)} as local clock times."""

    def clock(ms):
        return f"{datetime.fromtimestamp(ms / 1000, zone):%H:%M}"

    return {
        str(day): (clock(a), clock(b))
        for day, a, b in zip(found.days, found.open.tolist(), found.close.tolist(), strict=True)
    }


def of(first, end, **how):
    return hours(Instrument(symbol="SPY", **how), date.fromisoformat(first), date.fromisoformat(end))


def test_holidays_and_weekends_are_none():
    found = of("2024-07-01", "2024-07-09")

    assert {
        "2024-07-01": ("09:30", "16:00"),
        "2024-07-02": ("09:30", "16:00"),
        "2024-07-03": ("09:30", "13:00"),  # a half day; the 4th is a holiday
        "2024-07-05": ("09:30", "16:00"),
        "2024-07-08": ("09:30", "16:00"),
    } == local(found)


def test_the_end_is_not_included():
    assert ["2024-07-01"] == [str(day) for day in of("2024-07-01", "2024-07-02").days]


def test_a_year_has_252_sessions_of_which_three_are_short():
    found = of("2024-01-01", "2025-01-01")

    assert 252 == len(found.days)
    assert {date(2024, 7, 3), date(2024, 11, 29), date(2024, 12, 24)} == {
        day
        for day, length in zip(found.days, (found.close - found.open).tolist(), strict=True)
        if length < 390 * 60_000
    }


def test_clocks_change_with_the_zone():
    found = of("2024-03-08", "2024-03-12")

    assert {("09:30", "16:00")} == set(local(found).values())
    assert [14, 13] == [datetime.fromtimestamp(ms / 1000, ZoneInfo("UTC")).hour for ms in found.open.tolist()]


@pytest.mark.parametrize("first", ["2024-03-09", "2024-11-02"])
def test_fixed_times_are_of_every_day_and_change_with_the_zone(first):
    end = str(date.fromisoformat(first).replace(day=date.fromisoformat(first).day + 3))
    found = of(first, end, session_start="09:30", session_end="16:00", timezone="America/New_York")

    assert 3 == len(found.days)
    assert {("09:30", "16:00")} == set(local(found).values())
    assert {390 * 60_000} == set((found.close - found.open).tolist())


def test_around_the_clock():
    found = of("2024-03-09", "2024-03-12", calendar="24/7")

    assert (np.diff(found.open) == 86_400_000).all()
    assert found.open[1:].tolist() == found.close[:-1].tolist()
    assert {"2024-03-09", "2024-03-10", "2024-03-11"} == set(local(found))


def test_before_and_after_the_session_of_the_exchange():
    assert {"2024-07-03": ("04:00", "20:00"), "2024-07-05": ("04:00", "20:00")} == local(
        of("2024-07-03", "2024-07-06", session_mode="eth")
    )


def test_a_full_day_is_from_midnight_to_midnight_also_where_clocks_change():
    found = of("2024-03-08", "2024-03-12", session_mode="full")

    assert {("00:00", "00:00")} == set(local(found).values())
    assert [24, 24] == ((found.close - found.open) // 3_600_000).tolist()
    clocked = {"calendar": "24/7", "timezone": "America/New_York", "session_mode": "full"}
    short = of("2024-03-10", "2024-03-11", **clocked)

    assert [23] == ((short.close - short.open) // 3_600_000).tolist()


def test_a_local_time_of_each_day():
    found = of("2024-03-08", "2024-03-12")
    cutoffs = found.at(time(13, 30))

    assert [13, 13] == [datetime.fromtimestamp(ms / 1000, NEW_YORK).hour for ms in cutoffs.tolist()]
    assert [4 * 60, 4 * 60] == ((cutoffs - found.open) // 60_000).tolist()


def test_an_unknown_calendar_is_refused_with_a_suggestion():
    with pytest.raises(UsageError, match=r"^unknown calendar 'XNYSE'.*XNYS"):
        of("2024-07-01", "2024-07-09", calendar="XNYSE")
    with pytest.raises(UsageError, match=r"^unknown calendar 'qqqqqq'; XNYS, XCME and 24/7 are some$"):
        of("2024-07-01", "2024-07-09", calendar="qqqqqq")


@pytest.mark.parametrize(
    ("first", "end"), [("2024-07-04", "2024-07-05"), ("2024-07-06", "2024-07-08"), ("2024-07-05", "2024-07-05")]
)
def test_dates_without_a_session_are_refused(first, end):
    with pytest.raises(
        UsageError, match=f"^the calendar XNYS has no session from {first} to before {end}; choose other dates"
    ):
        of(first, end)


def test_reversed_dates_are_refused():
    with pytest.raises(UsageError, match="has no session from 2024-07-09 to before 2024-07-01"):
        of("2024-07-09", "2024-07-01")
    with pytest.raises(UsageError, match="has no session"):
        of("2024-07-09", "2024-07-01", session_start="09:30", session_end="16:00")


def test_without_the_library_fixed_times_still_work(monkeypatch, tmp_path):
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_: tmp_path)  # nothing is kept from before
    imported = builtins.__import__

    def without(name, *args):
        if name == "exchange_calendars":
            raise ImportError(name)
        return imported(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(MissingError, match=r"^exchange calendars are missing: pip install 'highwater\[session\]'"):
        of("2024-07-01", "2024-07-09")
    assert 8 == len(of("2024-07-01", "2024-07-09", session_start="09:30", session_end="16:00").days)


def test_years_that_the_library_does_not_know_by_itself():
    assert 252 == len(of("1999-01-01", "2000-01-01").days)
    assert [date(1999, 1, 4)] == list(of("1999-01-01", "1999-01-05").days)


def test_days_that_a_calendar_does_not_reach_are_refused():
    with pytest.raises(UsageError, match=r"^the calendar XKRX does not reach from 1950-01-01 to 1950-02-01"):
        of("1950-01-01", "1950-02-01", calendar="XKRX")
