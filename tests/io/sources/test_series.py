import dataclasses
from datetime import date

import pytest
from highwater.io.errors import UsageError
from highwater.io.sources.series import Binance, Origin, Span, Yahoo


def test_days_begin_at_midnight_in_their_zone():
    utc, local = (Span(date(2024, 3, 8), date(2024, 3, 12), 60_000, zone) for zone in ("UTC", "America/New_York"))

    assert (1_709_856_000_000, 4 * 86_400_000) == (utc.begin_ms, utc.end_ms - utc.begin_ms)
    assert (5 * 3_600_000, 4 * 3_600_000) == (local.begin_ms - utc.begin_ms, local.end_ms - utc.end_ms)


@pytest.mark.parametrize(("ms", "name"), [(60_000, "1m"), (3_600_000, "1h"), (86_400_000, "1d"), (90_000, "90s")])
def test_intervals_have_names(ms, name):
    assert name == Span(date(2024, 1, 1), date(2024, 1, 2), ms).interval


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"end": date(2024, 1, 1)}, "from 2024-01-01 to before 2024-01-01 are none; start must be before end"),
        ({"end": date(2023, 1, 1)}, "are none"),
        ({"interval_ms": 0}, "interval_ms is 0"),
        ({"zone": "New York"}, "unknown time zone 'New York'"),
        ({"zone": "../etc"}, "unknown time zone"),
    ],
)
def test_spans_that_are_none_are_refused(wrong, says):
    with pytest.raises(UsageError, match=says):
        Span(**{"first": date(2024, 1, 1), "end": date(2024, 1, 2), "interval_ms": 60_000, **wrong})


def test_the_environment_may_name_other_addresses(monkeypatch):
    assert ("", "") == (Yahoo().at, Binance().at)
    monkeypatch.setenv("HIGHWATER_YAHOO_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("HIGHWATER_BINANCE_URL", "http://127.0.0.1:2")

    assert ("http://127.0.0.1:1", "http://127.0.0.1:2") == (Yahoo().at, Binance().at)


def test_every_field_of_an_origin_is_in_its_digest():
    origin = Origin("a", "b", "c", "d", "e", 1, "f", "g", "h", "i", 2)
    others = [dataclasses.replace(origin, **{f.name: 9 if f.type is int else "z"}) for f in dataclasses.fields(origin)]

    assert len(others) + 1 == len({origin.digest, *(other.digest for other in others)})
