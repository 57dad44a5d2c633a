import builtins
import json
import subprocess
import sys
from datetime import date
from zoneinfo import ZoneInfo

import exchange_calendars
import numpy as np
import pytest
from highwater.io.sources import calendars
from highwater.io.sources.calendars import calendar

YEAR = date(2024, 1, 1), date(2025, 1, 1)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The user's cache directory, empty."""
    monkeypatch.setattr(calendars.platformdirs, "user_cache_path", lambda name: tmp_path / name)
    return tmp_path / "highwater" / "calendars"


@pytest.fixture
def unloadable(monkeypatch):
    """A world in which the library cannot be imported any more, once it is called."""
    imported = builtins.__import__

    def without(name, *args):
        if name == "exchange_calendars":
            raise AssertionError(name)
        return imported(name, *args)

    return lambda: monkeypatch.setattr(builtins, "__import__", without)


def assert_same(found, other):
    for one, two in zip(found, other, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("name", ["XNYS", "24/7", "CMES", "XASX"])
def test_what_is_kept_is_what_the_library_says_of_every_day(name, cache, unloadable):
    first, end = date(2008, 1, 1), date(2026, 1, 1)
    fresh = calendar(name, first, end)
    schedule = exchange_calendars.get_calendar(name).schedule.loc[str(first) : "2025-12-31"]
    unloadable()
    kept = calendar(name, first, end)

    assert_same(fresh, kept)
    for column, times in (("open", kept.opens), ("close", kept.closes)):
        wanted = schedule[column].dt.tz_convert(None).to_numpy("datetime64[ms]").astype(np.int64)
        np.testing.assert_array_equal(wanted, times)
    assert 1 == len(list(cache.iterdir()))


def test_days_beyond_what_is_kept_are_asked_for(cache):
    calendar("XNYS", *YEAR)
    old = calendar("XNYS", date(1999, 1, 1), date(2000, 1, 1))

    assert 252 == old.days.size
    assert_same(old, calendar("XNYS", date(1999, 1, 1), date(2000, 1, 1)))
    assert [date(1999, 1, 1).isoformat()] == [table(path)["first"] for path in cache.iterdir()]


def table(path):
    return json.loads(path.read_bytes().partition(b"\n")[2])


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data.replace(b"29", b"28", 1), lambda _: b""])
def test_a_damaged_table_is_made_anew(damage, cache):
    fresh = calendar("XNYS", *YEAR)
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))

    assert_same(fresh, calendar("XNYS", *YEAR))
    assert whole == path.read_bytes()


def test_another_version_of_the_library_is_asked_itself(cache, monkeypatch):
    calendar("XNYS", *YEAR)
    monkeypatch.setattr(calendars.metadata, "version", lambda _: "99.0")
    calendar("XNYS", *YEAR)

    assert 2 == len(list(cache.iterdir()))


def test_clocks_change_as_the_zone_says_now(cache, monkeypatch):
    """The laws of a zone may change after a table was made: its local times stay."""
    summer = calendar("XNYS", date(2024, 7, 1), date(2024, 7, 2))
    monkeypatch.setattr(calendars, "ZoneInfo", lambda _: ZoneInfo("America/Panama"))  # New York without summer time
    kept = calendar("XNYS", date(2024, 7, 1), date(2024, 7, 2))

    assert [3_600_000] == (kept.opens - summer.opens).tolist()


def test_where_nothing_can_be_kept_the_library_is_asked_each_time(cache):
    cache.parent.mkdir()
    cache.write_text("no folder")

    assert 252 == calendar("XNYS", *YEAR).days.size
    assert "no folder" == cache.read_text()


def test_a_calendar_whose_name_could_be_anothers_file(cache):
    calendar("XNYS", *YEAR)
    (path,) = cache.iterdir()
    body = json.dumps(table(path) | {"name": "XNYS/"}).encode()
    path.write_bytes(calendars.hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    calendar("XNYS", *YEAR)

    assert "XNYS" == table(path)["name"]


def test_what_is_kept_needs_no_pandas(cache):
    calendar("XNYS", *YEAR)
    code = (
        "import sys, platformdirs, pathlib, datetime\n"
        f"platformdirs.user_cache_path = lambda name: pathlib.Path({str(cache.parent.parent)!r}) / name\n"
        "from highwater.io.sources.calendars import calendar\n"
        "found = calendar('XNYS', datetime.date(2024, 1, 1), datetime.date(2025, 1, 1))\n"
        "print(len(found.days), sorted({'pandas', 'exchange_calendars'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "252 []" == done.stdout.strip()
