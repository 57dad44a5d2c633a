import logging
from datetime import UTC, date, datetime, timedelta

import market_server
import numpy as np
import pytest
from highwater.io.errors import DataError, StoreError, UsageError
from highwater.io.sources import yahoo
from highwater.io.sources.series import Span, Yahoo

pytestmark = pytest.mark.usefixtures("own_yfinance")
MINUTE, DAY = 60_000, 86_400_000
NEW_YORK = "America/New_York"


def last_week(interval=5 * MINUTE, days=5):
    """Return a span of whole days, Monday first, all of them over."""
    today = datetime.now(UTC).date()
    monday = today - timedelta(days=today.weekday() + 7)
    return Span(monday, monday + timedelta(days=days), interval, NEW_YORK)


def expected_of(span):
    first, end = span.begin_ms // 1000, span.end_ms // 1000
    times = market_server._times(first, end, span.interval_ms // 1000, NEW_YORK)
    return np.array([(ts * 1000, *market_server.candle(ts)) for ts in times]).T


def fetch(server, span=None, symbol="SPY", **options):
    return yahoo.fetch(symbol, span or last_week(), Yahoo(at=server.at, **options))


@pytest.mark.parametrize("interval", [MINUTE, 5 * MINUTE, 15 * MINUTE, 60 * MINUTE, DAY])
def test_what_the_server_has_comes_back(server, interval):
    span = last_week(interval)

    np.testing.assert_allclose(expected_of(span), np.array(fetch(server, span)))


def test_half_hours_are_made_of_quarters_by_yfinance(server):
    found = fetch(server, last_week(30 * MINUTE))

    assert 5 * 13 == found.ts.size
    assert {"15m"} == {query["interval"] for _, query in server.asked}


def test_minutes_are_asked_for_seven_days_at_a_time(server):
    today = datetime.now(UTC).date()
    span = Span(today - timedelta(days=25), today - timedelta(days=3), MINUTE, NEW_YORK)
    found = fetch(server, span)
    asked = [(int(query["period1"]), int(query["period2"])) for _, query in server.asked]

    assert [span.begin_ms // 1000, *(end for _, end in asked[:-1])] == [first for first, _ in asked]
    assert span.end_ms // 1000 == asked[-1][1]
    assert max(end - first for first, end in asked) <= 7 * 86_400
    np.testing.assert_allclose(expected_of(span), np.array(found))


def test_the_future_is_not_asked_for(server):
    today = datetime.now(UTC).date()
    before = datetime.now(UTC).timestamp()
    fetch(server, Span(today - timedelta(days=9), today + timedelta(days=30), 5 * MINUTE, NEW_YORK))

    assert int(server.asked[-1][1]["period2"]) <= before + 60


def test_prices_are_adjusted_for_dividends_only_if_asked(server):
    plain, adjusted = fetch(server, last_week(DAY)), fetch(server, last_week(DAY), adjusted=True)

    np.testing.assert_allclose(plain.close, 2 * adjusted.close)
    assert {"false"} == {query["includePrePost"] for _, query in server.asked}


@pytest.mark.parametrize("fault", [500, 503, (429, 0), "cut", "short", "garbage"])
def test_a_passing_fault_is_asked_past(server, waits, fault):
    server.faults = [fault, fault]
    found = fetch(server)

    np.testing.assert_allclose(expected_of(last_week()), np.array(found))
    assert [1.0, 2.0] == waits
    assert 3 == len(server.asked)


@pytest.mark.parametrize("status", [401, 403])
def test_yfinance_may_try_another_cookie_once(server, waits, status):
    server.faults = [status]
    np.testing.assert_allclose(expected_of(last_week()), np.array(fetch(server)))

    server.faults = [status] * 9
    with pytest.raises(StoreError, match=f"lets nobody in .HTTP {status}, "):
        fetch(server)
    assert [] == waits


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        ("cut", StoreError, "could not be read after 4 tries .*no chart, or a part of one"),
        ("short", StoreError, "could not be read after 4 tries"),
    ],
)
def test_an_answer_that_is_none_is_one_line_in_the_end(server, waits, fault, kind, says):
    server.faults = [fault] * 9
    with pytest.raises(kind, match=says) as caught:
        fetch(server)

    assert "\n" not in str(caught.value) and "--data FILE" in str(caught.value)
    assert 3 == len(waits)


def test_an_unknown_symbol_is_not_asked_for_again(server, waits):
    with pytest.raises(DataError, match="no candles of 'NOPE': No data found, symbol may be delisted"):
        fetch(server, symbol="NOPE")

    assert [] == waits


def test_no_candles_are_an_error(server):
    server.trades = lambda _: False
    span = last_week()

    with pytest.raises(DataError, match=f"Yahoo has no 5m candle of 'SPY' from {span.first} to before {span.end}"):
        fetch(server, span)
    server.faults = ["empty"]
    with pytest.raises(DataError, match="has no 5m candle of 'SPY'"):
        fetch(server, span)


def test_it_leaves_yfinance_as_it_was(server, waits, caplog):
    import yfinance
    from yfinance.data import YfData

    session = YfData()._session
    server.faults = [500] * 9
    with pytest.raises(StoreError):
        fetch(server)

    assert YfData()._session is session
    assert yfinance.config.debug.hide_exceptions is True
    assert logging.NOTSET == logging.getLogger("yfinance").level
    assert [] == [record for record in caplog.records if record.name == "yfinance"]


NOW = datetime(2026, 11, 27, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("interval", "earliest"),
    [(1, date(2026, 10, 29)), (5, date(2026, 9, 29)), (30, date(2026, 9, 29)), (60, date(2024, 11, 28))],
)
def test_how_far_back_yahoo_goes_is_said_before_it_is_asked(interval, earliest):
    end, name = date(2026, 11, 27), f"{interval}m" if interval < 60 else "1h"
    yahoo.check(Span(earliest, end, interval * MINUTE, NEW_YORK), NOW)
    with pytest.raises(UsageError) as caught:
        yahoo.check(Span(earliest - timedelta(days=1), end, interval * MINUTE, NEW_YORK), NOW)

    assert f"Yahoo has {name} candles of the last" in str(caught.value)
    assert f"today from {earliest} on" in str(caught.value) and "--data FILE" in str(caught.value)


def test_the_limit_asks_nothing(server):
    with pytest.raises(UsageError, match="Yahoo has 1m candles of the last 30 days only"):
        fetch(server, Span(date(2024, 1, 2), date(2024, 12, 31), MINUTE, NEW_YORK))

    assert [] == server.asked


def test_days_of_any_year_can_be_had(server):
    assert fetch(server, Span(date(2001, 1, 2), date(2001, 2, 1), DAY, NEW_YORK)).ts.size


@pytest.mark.parametrize(
    ("span", "says"),
    [
        (Span(date(2026, 11, 20), date(2026, 11, 27), 10 * MINUTE), "Yahoo has no 10m candles; it has 1m, 2m, 5m"),
        (Span(date(2026, 11, 28), date(2026, 11, 29), MINUTE), "2026-11-28 has not come yet"),
    ],
)
def test_what_yahoo_never_has(span, says):
    with pytest.raises(UsageError, match=says):
        yahoo.check(span, NOW)
