from datetime import date

import numpy as np
import pytest
from highwater.engine.recipe import Clock
from highwater.engine.session.config import parse
from highwater.engine.session.given import Feed, Task, asked_as, feed_of, fetch, hours_of, instrument_of
from highwater.engine.settings import Rows, Store
from highwater.io.errors import BusyError, DataError, UsageError
from highwater.io.sources import load as loading

MINUTE = 60_000
ES = {"symbol": "ES=F", "proxy_symbol": "SPY", "calendar": "24/7"}


def task(symbols=("SPY", "QQQ"), **settings):
    return Task(symbols, date(2024, 1, 2), date(2024, 1, 6), MINUTE, parse(settings, "settings"))


def given(folder, what, feed=None):
    return fetch(what, feed or Feed("synthetic"), Store(runs=folder, quiet=True), None, Clock())


def bars(found, symbol):
    i = found.piece.facts.tokens.index(symbol)
    return tuple(part[slice(*found.piece.facts.offsets[i : i + 2])] for part in found.piece.candles)


def test_every_symbol_gets_its_own_hours_and_days(tmp_path):
    """A day of a symbol that is traded at all hours begins at midnight UTC, not at that of the others."""
    found = given(tmp_path, task(("SPY", "BTC"), instruments={"BTC": {"symbol": "BTC", "calendar": "24/7"}}))

    assert [4 * 390, 4 * 1440] == [bars(found, symbol)[0].size for symbol in ("SPY", "BTC")]
    assert [4, 4] == [len(found.hours[symbol].days) for symbol in ("SPY", "BTC")]
    assert found.hours["BTC"].open[0] == bars(found, "BTC")[0][0]


def test_symbols_traded_alike_share_their_hours():
    found = hours_of(task(("SPY", "QQQ", "ES"), instruments={"ES": ES}), False)

    assert found["SPY"] is found["QQQ"] and found["SPY"] is not found["ES"]


def test_a_proxys_candles_stand_in_and_that_is_said(tmp_path):
    settings = {"instruments": {"ES": {**ES, "calendar": "XNYS"}}}
    found, own = given(tmp_path, task(("ES",), **settings)), given(tmp_path, task(("SPY",)))

    assert all(np.array_equal(*pair) for pair in zip(bars(found, "ES"), bars(own, "SPY"), strict=True))
    assert ("ES: candles of SPY",) == found.notes
    assert found.inputs[1].source.startswith("SPY, synthetic")


@pytest.mark.parametrize(
    ("symbol", "asked"), [("ES", "SPY"), ("es", "SPY"), ("es=f", "SPY"), ("NQ", "NQ=F"), ("spy", "spy"), ("QQQ", "QQQ")]
)
def test_what_a_provider_is_asked_for(symbol, asked):
    every = {"es": ES, "nq": {"symbol": "NQ=F"}, "SPY": {"symbol": "SPY"}}

    assert asked == asked_as(symbol, parse({"instruments": every}, "x"))


def test_an_instrument_is_found_by_symbol_and_name():
    config = parse({"instruments": {"spy": {"symbol": "SPX"}, "btc": {"symbol": "BTCUSDT", "calendar": "24/7"}}}, "x")

    assert "SPX" == instrument_of("SPY", config).symbol
    assert "24/7" == instrument_of("btcusdt", config).calendar
    assert ("XNYS", "24/7") == (instrument_of("QQQ", config).calendar, instrument_of("ETHUSDT", config, True).calendar)


def test_another_seed_makes_other_candles(tmp_path):
    one, same, other = (given(tmp_path, task(backtest={"random_seed": seed})) for seed in (1, 1, 2))

    assert one.piece.facts.content_sha256 == same.piece.facts.content_sha256 != other.piece.facts.content_sha256


def instruments(**kinds):
    return {"instruments": {name: {"symbol": name, "data_source": kind} for name, kind in kinds.items()}}


@pytest.mark.parametrize(
    ("settings", "flags", "kind"),
    [
        ({}, {}, "yahoo"),
        ({}, {"--source": "binance"}, "binance"),
        (instruments(SPY="synthetic", QQQ="synthetic"), {}, "synthetic"),
        (instruments(SPY="synthetic", QQQ="binance"), {"--synthetic": "synthetic"}, "synthetic"),
    ],
)
def test_flags_name_the_source_before_the_settings_do(settings, flags, kind):
    assert kind == feed_of(task(**settings), flags, None, Rows()).kind


@pytest.mark.parametrize(
    ("settings", "flags", "says"),
    [
        (instruments(SPY="synthetic", QQQ="binance"), {}, r"different data sources \(SPY synthetic, QQQ binance\)"),
        (
            instruments(SPY="synthetic"),
            {},
            r"different data sources \(SPY synthetic, QQQ none\); name one with --source",
        ),
        ({}, {"--source": "yahoo", "--synthetic": "synthetic"}, "--source and --synthetic name different sources"),
        (
            {"instruments": {"SPY": {"symbol": "SPY", "enabled": False}, "QQQ": {"symbol": "QQQ"}}},
            {},
            "--symbols names SPY, which is not enabled in the settings",
        ),
    ],
)
def test_what_names_no_one_source(settings, flags, says):
    with pytest.raises(UsageError, match=says):
        feed_of(task(**settings), flags, None, Rows())


@pytest.mark.parametrize(
    ("errors", "kind"),
    [((BusyError("wait"), BusyError("wait")), BusyError), ((BusyError("wait"), DataError("none")), DataError)],
)
def test_where_no_symbol_has_candles_the_error_is_of_the_kind_they_share(errors, kind, tmp_path, monkeypatch):
    failures = iter(errors)

    def make(*_):
        raise next(failures)

    monkeypatch.setattr(loading, "_made", make)
    with pytest.raises(kind, match=f"SPY: {errors[0]}; QQQ: {errors[1]}"):
        given(tmp_path, task())
