from datetime import UTC, date, datetime

import market_server
import numpy as np
import pytest
from highwater.io.errors import DataError, StoreError, UsageError
from highwater.io.sources import binance
from highwater.io.sources.series import Binance, Span

pytest.importorskip("ccxt")
MINUTE = 60_000
SPAN = Span(date(2024, 1, 2), date(2024, 1, 4), MINUTE)


def expected_of(span, trades=lambda ts: True):
    times = range(span.begin_ms // 1000, span.end_ms // 1000, span.interval_ms // 1000)
    return np.array([(ts * 1000, *market_server.candle(ts)) for ts in times if trades(ts)]).T


def fetch(server, span=SPAN, symbol="BTCUSDT"):
    return binance.fetch(symbol, span, Binance(at=server.at))


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC/USDT", "btc-usdt"])
def test_what_the_server_has_comes_back_in_pages_of_a_thousand(server, symbol):
    found = fetch(server, symbol=symbol)
    since = [int(query["startTime"]) for _, query in server.asked]

    np.testing.assert_allclose(expected_of(SPAN), np.array(found))
    assert [SPAN.begin_ms + page * 1000 * MINUTE for page in range(3)] == since
    assert {("BTCUSDT", "1m", "1000")} == {(q["symbol"], q["interval"], q["limit"]) for _, q in server.asked}


def test_a_full_last_page_is_the_last(server):
    span = Span(date(2024, 1, 1), date(2024, 1, 8), 604_800)  # 1000 candles
    with pytest.raises(UsageError):
        fetch(server, span)
    day = Span(date(2024, 1, 1), date(2024, 1, 2), 5 * MINUTE)

    np.testing.assert_allclose(expected_of(day), np.array(fetch(server, day)))
    assert 1 == len(server.asked)


def test_pages_go_on_after_a_hole(server):
    hole = range(SPAN.begin_ms // 1000 + 36_000, SPAN.begin_ms // 1000 + 120_000)
    server.trades = lambda ts: ts not in hole

    np.testing.assert_allclose(expected_of(SPAN, server.trades), np.array(fetch(server)))


def test_candles_end_where_the_listing_does(server):
    last = SPAN.begin_ms // 1000 + 70_000
    server.trades = lambda ts: ts < last

    np.testing.assert_allclose(expected_of(SPAN, server.trades), np.array(fetch(server)))


@pytest.mark.parametrize("fault", [500, 503, (429, 0), (418, 0), "cut", "short", "garbage"])
def test_a_passing_fault_is_asked_past_in_the_middle_of_it(server, waits, fault):
    server.faults = [None, fault, fault]

    np.testing.assert_allclose(expected_of(SPAN), np.array(fetch(server)))
    assert [1.0, 2.0] == waits
    assert 5 == len(server.asked)


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        ("garbage", StoreError, "could not be read after 4 tries .*no list of candles"),
    ],
)
def test_an_answer_that_is_none_is_one_line_in_the_end(server, waits, fault, kind, says):
    server.faults = [fault] * 9
    with pytest.raises(kind, match=says) as caught:
        fetch(server)

    assert "\n" not in str(caught.value) and "--data FILE" in str(caught.value)
    assert 3 == len(waits)


def test_an_unknown_symbol_is_not_asked_for_again(server, waits):
    with pytest.raises(DataError, match="knows no symbol 'SPY'; names are like BTCUSDT or BTC/USDT"):
        fetch(server, symbol="SPY")

    assert [] == waits


def test_no_candles_are_an_error(server):
    server.trades = lambda _: False
    with pytest.raises(DataError, match="Binance has no 1m candle of 'BTCUSDT' from 2024-01-02 to before 2024-01-04"):
        fetch(server)


@pytest.mark.parametrize(
    ("span", "says"),
    [
        (Span(date(2024, 1, 1), date(2024, 1, 2), 2 * MINUTE), "Binance has no 2m candles; it has 1s, 1m, 3m"),
        (Span(date(2027, 1, 1), date(2027, 1, 2), MINUTE), "2027-01-01 has not come yet"),
    ],
)
def test_what_binance_never_has(span, says):
    with pytest.raises(UsageError, match=says):
        binance.check(span, datetime(2026, 11, 27, tzinfo=UTC))
