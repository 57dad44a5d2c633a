"""What Yahoo and Binance have in common: how a server that is slow, busy or away is asked again."""

import socket
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from highwater.io.errors import BusyError, StoreError
from highwater.io.sources import binance, yahoo
from highwater.io.sources.series import Binance, Span, Yahoo

pytestmark = pytest.mark.usefixtures("own_yfinance")


def last_week():
    today = datetime.now(UTC).date()
    monday = today - timedelta(days=today.weekday() + 7)
    return Span(monday, monday + timedelta(days=5), 300_000, "America/New_York")


WAYS = {
    "yahoo": (yahoo, lambda at: yahoo.fetch("SPY", last_week(), Yahoo(at=at)), "Failed to connect"),
    "binance": (
        binance,
        lambda at: binance.fetch("BTCUSDT", Span(date(2024, 1, 2), date(2024, 1, 4), 300_000), Binance(at=at)),
        "no connection",
    ),
}


@pytest.fixture(params=WAYS)
def way(request):
    if request.param == "binance":
        pytest.importorskip("ccxt")
    return WAYS[request.param]


def test_retry_after_is_waited_for(way, server, waits):
    server.faults = [(429, 9)]
    way[1](server.at)

    assert [9.0] == waits


def test_a_slow_answer_is_given_up_and_asked_for_again(way, server, waits, monkeypatch):
    whole = way[1](server.at)
    monkeypatch.setattr(way[0], "TIMEOUT", 0.4)
    server.faults, server.slow_s = ["slow"], 2.0

    np.testing.assert_array_equal(np.array(whole), np.array(way[1](server.at)))
    assert [1.0] == waits


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        (500, StoreError, r"failed after 4 tries with HTTP 500 \(Internal Server Error\)"),
        ((429, 1), BusyError, "refused after 4 tries: too many requests"),
        ("cut", StoreError, "could not be read after 4 tries"),
    ],
)
def test_a_fault_that_lasts_is_one_line(way, server, waits, fault, kind, says):
    server.faults = [fault] * 9
    with pytest.raises(kind, match=says) as caught:
        way[1](server.at)

    assert "\n" not in str(caught.value) and "--data FILE" in str(caught.value)
    assert 3 == len(waits)


def test_no_network_is_one_line(way, waits):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        at = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(StoreError, match=f"could not be read after 4 tries .*{way[2]}.*look to the network"):
            way[1](at)

    assert [1.0, 2.0, 4.0] == waits
