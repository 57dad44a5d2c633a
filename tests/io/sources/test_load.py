import dataclasses
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from highwater.io.digest import arrays_sha256
from highwater.io.errors import DataError, MissingError, StoreError, UsageError
from highwater.io.sources import binance, kept, yahoo
from highwater.io.sources.load import load
from highwater.io.sources.series import Binance, Files, Span, Synthetic, Yahoo
from highwater.io.sources.sessions import Walk, make

MINUTE, DAY = 60_000, 86_400_000
OPENS = 1_704_205_800_000 + DAY * np.arange(3)
MADE = Synthetic(OPENS, OPENS + 390 * MINUTE)
SPAN = Span(date(2024, 1, 2), date(2024, 1, 5), MINUTE, "America/New_York")
CRYPTO = Span(date(2024, 1, 2), date(2024, 1, 4), 5 * MINUTE)


def last_week():
    today = datetime.now(UTC).date()
    monday = today - timedelta(days=today.weekday() + 7)
    return Span(monday, monday + timedelta(days=5), 5 * MINUTE, "America/New_York")


def test_made_up_candles(tmp_path):
    done = []
    found = load(["SPY", "QQQ", "SPY"], MADE, SPAN, None, lambda *each: done.append(each))

    assert ["SPY", "QQQ"] == list(found.series) and {} == found.failed
    assert [(1, 2), (2, 2)] == done
    for symbol, series in found.series.items():
        expected = make(symbol, OPENS, OPENS + 390 * MINUTE, MINUTE, Walk())
        assert all(np.array_equal(*pair) for pair in zip(expected, series.candles.candles, strict=True))
        assert ("synthetic", symbol, None) == (series.origin.kind, series.symbol, series.kept)
        assert arrays_sha256(expected) == series.sha256
        assert (symbol,) == series.candles.tokens and [0, 1170] == series.candles.offsets.tolist()


def test_only_sessions_of_the_days_asked_for_are_made():
    span = Span(date(2024, 1, 3), date(2024, 1, 4), MINUTE, "America/New_York")

    assert 390 == load(["SPY"], MADE, span).series["SPY"].candles.candles.ts.size
    none = load(["SPY"], MADE, Span(date(2023, 1, 3), date(2023, 1, 4), MINUTE))
    assert "no session opens from 2023-01-03 to before 2023-01-04" in str(none.failed["SPY"])


def test_what_is_made_is_found_again(tmp_path):
    first, second = (load(["SPY", "QQQ"], MADE, SPAN, tmp_path) for _ in range(2))

    assert [None, None] == [series.kept for series in first.series.values()]
    assert [kept.path_of(tmp_path, s.origin) for s in first.series.values()] == [
        series.kept for series in second.series.values()
    ]
    for one, other in zip(first.series.values(), second.series.values(), strict=True):
        assert one.sha256 == other.sha256 and one.origin == other.origin
        assert one.candles.reports == other.candles.reports


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(MADE, walk=Walk(seed=8)),
        dataclasses.replace(MADE, close=OPENS + 210 * MINUTE),
        dataclasses.replace(MADE, open=OPENS + MINUTE),
    ],
)
def test_other_settings_are_other_candles(tmp_path, other):
    load(["SPY"], MADE, SPAN, tmp_path)

    assert load(["SPY"], other, SPAN, tmp_path).series["SPY"].kept is None


def test_a_damaged_file_is_made_anew_with_a_note(tmp_path):
    first = load(["SPY", "QQQ"], MADE, SPAN, tmp_path)
    path = kept.path_of(tmp_path, first.series["SPY"].origin)
    path.unlink()
    path.write_bytes(b"PAR1 and no more")
    second, third = (load(["SPY", "QQQ"], MADE, SPAN, tmp_path) for _ in range(2))

    assert (f"{path} is damaged or was not kept by this version; it was made anew",) == second.series["SPY"].notes
    assert first.series["SPY"].sha256 == second.series["SPY"].sha256
    assert path == third.series["SPY"].kept and () == third.series["SPY"].notes
    assert () == second.series["QQQ"].notes


def test_a_folder_that_cannot_be_written_costs_a_note(tmp_path):
    (tmp_path / "file").write_text("x")
    found = load(["SPY"], MADE, SPAN, tmp_path / "file").series["SPY"]

    assert 1170 == found.candles.candles.ts.size
    assert any(note.startswith("not kept: ") for note in found.notes)


def test_binance_once_then_from_the_cache(server, tmp_path):
    pytest.importorskip("ccxt")
    first = load(["BTCUSDT", "SPY"], Binance(at=server.at), CRYPTO, tmp_path)
    asked = len(server.asked)
    second = load(["BTCUSDT"], Binance(at=server.at), CRYPTO, tmp_path)

    assert 576 == first.series["BTCUSDT"].candles.candles.ts.size
    assert "knows no symbol 'SPY'" in str(first.failed["SPY"])
    assert asked == len(server.asked) and second.series["BTCUSDT"].kept is not None
    assert first.series["BTCUSDT"].sha256 == second.series["BTCUSDT"].sha256
    origin = second.series["BTCUSDT"].origin
    assert ("binance", "none", server.at, 300_000) == (origin.kind, origin.adjustment, origin.at, origin.interval_ms)


@pytest.mark.usefixtures("own_yfinance")
def test_yahoo_once_then_from_the_cache(server, tmp_path):
    span = last_week()
    first, second = (load(["SPY"], Yahoo(at=server.at), span, tmp_path).series["SPY"] for _ in range(2))

    assert 5 * 78 == first.candles.candles.ts.size
    assert 1 == len(server.asked)
    assert (None, first.sha256) == (first.kept, second.sha256) and second.kept is not None
    assert first.origin.library.startswith("yfinance ")


@pytest.mark.usefixtures("own_yfinance")
def test_adjusted_and_plain_candles_are_kept_apart(server, tmp_path):
    span = last_week()
    for adjusted in (False, True):
        assert load(["SPY"], Yahoo(adjusted, server.at), span, tmp_path).series["SPY"].kept is None


@pytest.mark.usefixtures("own_yfinance")
def test_made_up_candles_never_stand_in_for_real_ones(server, tmp_path):
    """Same symbol, days, zone and interval; and no more where the file is renamed to what Yahoo's would be called."""
    span = last_week()
    opens = np.array([span.begin_ms + 34_200_000])
    source = Yahoo(at=server.at)
    made = load(["SPY"], Synthetic(opens, opens + 390 * MINUTE), span, tmp_path).series["SPY"]
    real = load(["SPY"], source, span, tmp_path).series["SPY"]
    assert real.kept is None and real.sha256 != made.sha256

    kept.path_of(tmp_path, made.origin).replace(kept.path_of(tmp_path, real.origin))
    again = load(["SPY"], source, span, tmp_path).series["SPY"]
    assert (None, real.sha256) == (again.kept, again.sha256)
    assert "holds other candles than it is named after; it was made anew" in again.notes[0]


@pytest.mark.usefixtures("own_yfinance")
def test_days_that_are_not_over_are_not_kept(server, tmp_path):
    today = datetime.now(UTC).date()
    span = Span(today - timedelta(days=9), today + timedelta(days=1), 5 * MINUTE, "America/New_York")
    found = load(["SPY"], Yahoo(at=server.at), span, tmp_path).series["SPY"]

    assert ("not kept: these days are not over, their candles may change",) == found.notes
    assert [] == list(tmp_path.iterdir())


@pytest.mark.usefixtures("own_yfinance")
def test_the_candle_that_is_being_traded_is_left_out(server, monkeypatch):
    now = datetime.now(UTC)
    middle = now.replace(minute=now.minute // 5 * 5, second=30, microsecond=0)
    monkeypatch.setattr("highwater.io.sources.load.datetime", type("Now", (), {"now": staticmethod(lambda _: middle)}))
    today = now.date()
    span = Span(today - timedelta(days=2), today + timedelta(days=1), 5 * MINUTE)
    ts = load(["BTC-USD"], Yahoo(at=server.at), span).series["BTC-USD"].candles.candles.ts

    assert int(middle.timestamp() - 30) * 1000 - 5 * MINUTE == ts[-1]


@pytest.mark.usefixtures("own_yfinance")
def test_one_symbol_that_fails_stops_no_other(server, waits):
    server.faults = [500] * 4
    found = load(["SPY", "NOPE", "QQQ"], Yahoo(at=server.at), last_week())

    assert ["QQQ"] == list(found.series)
    assert [("SPY", StoreError), ("NOPE", DataError)] == [(s, type(error)) for s, error in found.failed.items()]


@pytest.mark.usefixtures("own_yfinance")
def test_what_no_symbol_can_have_is_raised(server):
    with pytest.raises(UsageError, match="Yahoo has 1m candles of the last 30 days only"):
        load(["SPY"], Yahoo(at=server.at), SPAN)


@pytest.mark.usefixtures("own_yfinance")
def test_what_was_kept_in_time_is_still_found_when_yahoo_has_it_no_more(server, tmp_path):
    series = load(["SPY"], MADE, SPAN).series["SPY"]
    library = yahoo.library()
    origin = dataclasses.replace(
        series.origin, kind="yahoo", adjustment="splits", library=library, at=server.at, settings=""
    )
    kept.keep(tmp_path, origin, series.candles.candles, ())
    found = load(["SPY", "QQQ"], Yahoo(at=server.at), SPAN, tmp_path)

    assert series.sha256 == found.series["SPY"].sha256
    assert "Yahoo has 1m candles of the last 30 days only" in str(found.failed["QQQ"])


@pytest.mark.parametrize(("room", "source"), [(yahoo, Yahoo(at="x")), (binance, Binance(at="x"))])
def test_a_library_that_is_missing_names_the_extra(monkeypatch, room, source):
    import importlib.metadata

    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(MissingError, match=r"pip install 'highwater\[data\]', or read local files: --data FILE"):
        load(["SPY"], source, CRYPTO)


def test_files(tmp_path):
    path = tmp_path / "candles.parquet"
    bars = make("SPY", OPENS, OPENS + 390 * MINUTE, MINUTE, Walk())
    columns = dict(zip(("timestamp", *bars._fields[1:]), bars, strict=True))
    pq.write_table(pa.table({"symbol": pa.repeat("SPY", 1170), **columns}), path)
    found = load(["SPY", "QQQ"], Files(path), SPAN)
    series = found.series["SPY"]

    assert arrays_sha256(bars) == series.sha256
    assert ("file", "as in the files") == (series.origin.kind, series.origin.adjustment)
    assert str(path) == series.candles.sources[0].path
    assert "it has SPY" in str(found.failed["QQQ"])


def test_rows_that_are_no_candles_are_noted(tmp_path):
    path = tmp_path / "candles.parquet"
    bars = make("SPY", OPENS, OPENS + 390 * MINUTE, MINUTE, Walk())
    columns = {name: np.append(part, part[-1]) for name, part in zip(("ts", *bars._fields[1:]), bars, strict=True)}
    columns["high"][7] = 0.0
    pq.write_table(pa.table({"symbol": pa.repeat("SPY", 1171), **columns}), path)

    expected = ("1 of 1171 bars unusable (zero 1); they are holes", "1 candles came twice")
    assert expected == load(["SPY"], Files(path), SPAN).series["SPY"].notes
