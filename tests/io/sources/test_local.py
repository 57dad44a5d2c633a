from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from highwater.io.candles import CandleOptions
from highwater.io.errors import DataError, MissingError, SchemaError, UsageError
from highwater.io.resample import resample
from highwater.io.sources.local import read
from highwater.io.sources.series import Files, Span
from highwater.io.sources.sessions import Walk, make
from shared_market import DATA

MINUTE = 60_000
OPENS = np.array([1_704_205_800_000, 1_704_292_200_000, 1_704_378_600_000])  # 2024-01-02 to -04
BARS = {name: make(name, OPENS, OPENS + 390 * MINUTE, MINUTE, Walk()) for name in ("SPY", "QQQ", "BRK-B")}
WEEK = Span(date(2024, 1, 1), date(2024, 1, 8), MINUTE, "America/New_York")


def table(*symbols, bars=None):
    parts = []
    for symbol in symbols:
        of = bars or BARS[symbol]
        times = pa.array(of.ts).cast(pa.timestamp("ms", "UTC"))
        columns = {"ts": times, **dict(zip(of._fields[1:], of[1:], strict=True))}
        parts.append(pa.table({"symbol": pa.repeat(symbol, of.ts.size), **columns}))
    return pa.concat_tables(parts)


def in_one(tmp_path):
    path = tmp_path / "all.parquet"
    pq.write_table(table("SPY", "QQQ", "BRK-B"), path)
    return path


def one_each(tmp_path):
    for symbol in BARS:
        pq.write_table(table(symbol).drop_columns("symbol"), tmp_path / f"{symbol}.parquet")
    return tmp_path


def as_texts(tmp_path):
    for symbol in BARS:
        pyarrow.csv.write_csv(table(symbol).drop_columns("symbol"), tmp_path / f"{symbol.lower()}_1m.csv")
    return tmp_path


def by_month(tmp_path):
    whole = table("SPY", "QQQ", "BRK-B")
    for part, rows in enumerate((whole.slice(0, 1500), whole.slice(1500))):
        pq.write_table(rows, tmp_path / f"{part}.parquet")
    return tmp_path


@pytest.mark.parametrize("layout", [in_one, one_each, as_texts, by_month])
def test_every_layout_gives_each_symbol_its_candles(tmp_path, layout):
    found = read(["SPY", "BRK-B"], Files(layout(tmp_path)), WEEK)

    assert ["SPY", "BRK-B"] == list(found)
    for symbol, series in found.items():
        assert (symbol,) == series.tokens and MINUTE == series.interval_ms
        assert all(np.array_equal(*pair) for pair in zip(BARS[symbol], series.candles, strict=True))
        assert [0, 1170] == series.offsets.tolist() and 1170 == series.reports[0].rows_out
        assert series.sources and not series.candles.close.flags.writeable


def test_symbols_are_found_in_other_letters(tmp_path):
    found = read(["spy"], Files(in_one(tmp_path)), WEEK)

    assert ("spy",) == found["spy"].tokens


def test_a_file_of_another_name_is_never_taken_for_the_symbol(tmp_path):
    path = tmp_path / "prices.csv"
    pyarrow.csv.write_csv(table("SPY").drop_columns("symbol"), path)

    expected = f"{path} has no symbol 'SPY'; it has prices; name the file SPY or give it a column symbol"
    assert expected == str(read(["SPY"], Files(path), WEEK)["SPY"])


@pytest.mark.parametrize("name", ["BRK_B", "BRK-B", "brk.b"])
def test_no_part_of_a_symbol_is_taken_for_it(tmp_path, name):
    pq.write_table(table(name, bars=BARS["SPY"]), tmp_path / "a.parquet")
    pq.write_table(table("SPY").drop_columns("symbol"), tmp_path / "brk-b_1m.parquet")

    assert "has no symbol 'BRK'" in str(read(["BRK"], Files(tmp_path), WEEK)["BRK"])


def test_an_unknown_symbol_names_what_there_is_and_stops_no_other(tmp_path):
    path = in_one(tmp_path)
    found = read(["SPX", "QQQ"], Files(path), WEEK)

    assert isinstance(found["SPX"], DataError)
    assert f"{path} has no symbol 'SPX'; it has BRK-B, QQQ, SPY; did you mean 'SPY'?" == str(found["SPX"])
    assert 1170 == found["QQQ"].candles.ts.size


def test_of_many_symbols_a_dozen_are_named(tmp_path):
    small = BARS["SPY"]
    names = [f"S{i:02}" for i in range(20)]
    pq.write_table(table(*names, bars=small), tmp_path / "a.parquet")
    found = read(["NOPE"], Files(tmp_path), WEEK)["NOPE"]

    assert str(found).endswith("it has S00, S01, S02, S03, S04, S05, S06, S07, S08, S09, S10, S11 and 8 more")


def test_two_files_that_could_be_meant_are_an_error(tmp_path):
    for name in ("spy_1m", "spy_5m"):
        pq.write_table(table("SPY").drop_columns("symbol"), tmp_path / f"{name}.parquet")
    found = read(["SPY"], Files(tmp_path), WEEK)["SPY"]

    assert f"{tmp_path} has several that could be 'SPY': spy_1m, spy_5m; name the file itself" == str(found)


def test_days_are_those_asked_for(tmp_path):
    span = Span(date(2024, 1, 3), date(2024, 1, 4), MINUTE, "America/New_York")
    series = read(["SPY"], Files(in_one(tmp_path)), span)["SPY"]

    assert BARS["SPY"].ts[390:780].tolist() == series.candles.ts.tolist()
    assert (OPENS[1], OPENS[1] + 389 * MINUTE) == (series.reports[0].first_ts, series.reports[0].last_ts)


def test_days_without_candles_name_those_there_are(tmp_path):
    span = Span(date(2023, 1, 3), date(2023, 1, 4), MINUTE)
    found = read(["SPY"], Files(in_one(tmp_path)), span)["SPY"]

    expected = "SPY has no candles from 2023-01-03 to before 2023-01-04; they run from 2024-01-02T14:30Z to "
    assert f"{expected}2024-01-04T20:59Z" == str(found)


def test_longer_candles_are_made_of_shorter_ones(tmp_path):
    span = Span(WEEK.first, WEEK.end, 5 * MINUTE, WEEK.zone)
    series = read(["SPY"], Files(in_one(tmp_path)), span)["SPY"]
    expected, _ = resample(BARS["SPY"], np.array([0, 1170]), 5 * MINUTE)

    assert 5 * MINUTE == series.interval_ms
    assert all(np.array_equal(*pair) for pair in zip(expected, series.candles, strict=True))


@pytest.mark.parametrize("minutes", [1, 7])
def test_shorter_candles_cannot_be_made(tmp_path, minutes):
    opens = OPENS + 0
    pq.write_table(table("SPY", bars=make("SPY", opens, opens + 390 * MINUTE, 5 * MINUTE, Walk())), tmp_path / "a.pq")
    span = Span(WEEK.first, WEEK.end, minutes * MINUTE, WEEK.zone)
    found = read(["SPY"], Files(tmp_path / "a.pq"), span)["SPY"]

    assert isinstance(found, UsageError)
    assert f"has 5m candles of SPY, of which none of {minutes}m can be made; choose 5m" in str(found)


def test_descending_rows_are_refused_and_name_their_remedy(tmp_path):
    pq.write_table(table("SPY").take(list(range(1169, -1, -1))), tmp_path / "a.parquet")
    source = Files(tmp_path / "a.parquet")
    found = read(["SPY"], source, WEEK)["SPY"]

    assert "E_UNSORTED" == found.code and "--on-unsorted sort accepts it" in str(found)
    again = read(["SPY"], Files(source.path, CandleOptions(on_unsorted="sort")), WEEK)["SPY"]
    assert np.array_equal(BARS["SPY"].ts, again.candles.ts)


def test_rows_that_came_twice_are_told(tmp_path):
    whole = table("SPY")
    pq.write_table(pa.concat_tables([whole.slice(0, 5), whole.slice(4)]), tmp_path / "a.parquet")
    series = read(["SPY"], Files(tmp_path), WEEK)["SPY"]

    assert np.array_equal(BARS["SPY"].ts, series.candles.ts)
    assert 1 == series.reports[0].dup_identical


def test_a_damaged_file_stops_only_its_symbol(tmp_path):
    path = one_each(tmp_path) / "SPY.parquet"
    data = path.read_bytes()
    path.write_bytes(data[:200] + bytes(1000) + data[1200:])
    found = read(["SPY", "QQQ"], Files(tmp_path), WEEK)

    assert isinstance(found["SPY"], DataError) and str(path) in str(found["SPY"])
    assert 1170 == found["QQQ"].candles.ts.size


def test_where_nothing_can_be_read_it_is_said_once(tmp_path):
    with pytest.raises(MissingError, match=r"nowhere\.parquet does not exist"):
        read(["SPY"], Files(tmp_path / "nowhere.parquet"), WEEK)
    with pytest.raises(DataError, match="holds no file of candles"):
        read(["SPY"], Files(tmp_path), WEEK)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(SchemaError, match="unknown kind of file"):
        read(["SPY"], Files(tmp_path / "notes.txt"), WEEK)


def test_columns_that_are_missing_are_named(tmp_path):
    pq.write_table(table("SPY").drop_columns("open"), tmp_path / "a.parquet")
    found = read(["SPY"], Files(tmp_path), WEEK)["SPY"]

    assert "has no column 'open'" in str(found)


@pytest.mark.shared_data
@pytest.mark.skipif(not DATA.is_dir(), reason="the market data are not beside this checkout")
def test_a_year_of_spy():
    span = Span(date(2024, 1, 2), date(2025, 1, 1), MINUTE, "America/New_York")
    found = read(["SPY"], Files(DATA / "candles/spy_1m_2024.parquet"), span)

    assert 67_555 == found["SPY"].candles.ts.size
