import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from highwater.io import files
from highwater.io.candles import CandleOptions, read_candles
from highwater.io.errors import (
    AccessError,
    DataError,
    HighwaterError,
    LimitError,
    MissingError,
    SchemaError,
)
from small_candles import PLAIN, START, shape, table, written


@pytest.mark.parametrize("name", ["c.parquet", "c.feather", "c.ipc", "c.csv", "c.csv.gz"])
def test_every_format_gives_the_same_set(tmp_path, name):
    path = written(tmp_path / name, table())
    found = read_candles(path)

    assert shape(found) == PLAIN
    assert found.candles.high.tolist() == [2.0] * 4
    assert found.coverage_end.tolist() == [START + 120_000] * 2
    assert (found.sources[0].bytes, found.sources[0].sha256) == (
        path.stat().st_size,
        hashlib.sha256(path.read_bytes()).hexdigest(),
    )


@pytest.mark.parametrize("name", ["c.parquet", "c.csv", "c.ipc"])
def test_tokens_restrict(tmp_path, name):
    found = read_candles(written(tmp_path / name, table()), tokens=["A", "absent"])

    assert (("A",), [0, 2]) == (found.tokens, found.offsets.tolist())


def test_row_groups_that_cannot_hold_a_token_are_skipped(tmp_path):
    data = table(("A", "A", "B", "B"))
    pq.write_table(data, tmp_path / "c.parquet", row_group_size=2)
    one_group = pq.ParquetFile(tmp_path / "c.parquet").read_row_group(0).nbytes
    found = read_candles(tmp_path / "c.parquet", ["A"], CandleOptions(max_decoded=one_group + 50))

    assert ("A",) == found.tokens


@pytest.mark.parametrize("key", ["token_address", "mint", "symbol", "Token"])
def test_hive_values_are_text_and_unquoted(tmp_path, key):
    bare = table(("x", "x")).drop_columns("token_address")
    for mint in ("0012", "NULS%2FBTC"):
        written(tmp_path / "s_part" / f"{key}={mint}" / "data_0.parquet", bare)

    assert ("0012", "NULS/BTC") == read_candles(tmp_path / "s_part").tokens
    assert ("0012",) == read_candles(tmp_path / "s_part", tokens=["0012"]).tokens
    assert ("0012",) == read_candles(tmp_path / "s_part" / f"{key}=0012" / "data_0.parquet").tokens


def test_other_partitions_are_not_even_opened(tmp_path):
    written(tmp_path / "token_address=A" / "d.parquet", table(("A", "A")))
    (tmp_path / "token_address=B").mkdir()
    (tmp_path / "token_address=B" / "d.parquet").write_bytes(b"junk")

    assert 1 == len(read_candles(tmp_path, tokens=["A"]).sources)


def test_directory_of_per_token_files(tmp_path):
    for name in ("B.parquet", "A.parquet", "_metadata.parquet", "notes.txt"):
        written(tmp_path / name, table(("x", "x")).drop_columns("token_address"))

    assert (("A", "B"), 2) == ((found := read_candles(tmp_path)).tokens, len(found.sources))


def test_files_of_one_token_follow_each_other_in_path_order(tmp_path):
    data = table(("A",) * 4)
    written(tmp_path / "2.parquet", data.slice(2))
    written(tmp_path / "1.parquet", data.slice(0, 2))

    assert [START + 60_000 * i for i in range(4)] == read_candles(tmp_path).candles.ts.tolist()


def test_stem_names_the_only_token(tmp_path):
    path = written(tmp_path / "SOL.csv.gz", table(("x", "x")).drop_columns("token_address"))

    assert ("SOL",) == read_candles(path).tokens


def test_a_name_with_glob_characters_is_a_name(tmp_path):
    written(tmp_path / "ab.parquet", table(("other", "other")))
    path = written(tmp_path / "a*.parquet", table())

    assert shape(read_candles(path)) == PLAIN


@pytest.mark.parametrize("kind", ["large_string", "string_view", "dictionary"])
def test_every_kind_of_string_is_a_token(tmp_path, kind):
    tokens = pa.array(["B", "A", "B", "A"])
    tokens = tokens.dictionary_encode() if kind == "dictionary" else tokens.cast(getattr(pa, kind)())
    for name in ("c.parquet", "c.ipc"):
        path = written(tmp_path / name, table(token_address=tokens))

        assert shape(read_candles(path)) == PLAIN
        assert ("B",) == read_candles(path, tokens=["B"]).tokens


@pytest.mark.parametrize("token", ["mint", "SYMBOL", "Ticker", "token"])
@pytest.mark.parametrize("time", ["ts", "Date", "open_time", "DateTime"])
def test_column_aliases_in_any_case(tmp_path, token, time):
    path = written(tmp_path / "c.parquet", table().rename_columns([token, time, "Open", "HIGH", "low", "Close", "Vol"]))
    found = read_candles(path)

    assert shape(found) == PLAIN
    assert [0.0] * 4 == found.candles.volume.tolist()


TIMES = {
    "naive us": lambda ms: pa.array(ms, pa.timestamp("ms")).cast(pa.timestamp("us")),
    "zoned ns": lambda ms: pa.array(ms, pa.timestamp("ms")).cast(pa.timestamp("ns", "America/New_York"), safe=False),
    "ms": pa.array,
    "s": lambda ms: pa.array([m // 1000 for m in ms]),
    "us": lambda ms: pa.array([m * 1000 for m in ms]),
    "ns": lambda ms: pa.array([m * 10**6 for m in ms]),
    "float": lambda ms: pa.array([float(m) for m in ms]),
    "iso": lambda ms: pa.array([f"{np.datetime64(m, 'ms')}Z" for m in ms]),
    "iso naive": lambda ms: pa.array([str(np.datetime64(m, "ms")).replace("T", " ") for m in ms]),
    "iso zone": lambda ms: pa.array([f"{np.datetime64(m + 7_200_000, 'ms')}+02:00" for m in ms]),
    "text digits": lambda ms: pa.array([str(m) for m in ms]),
}


@pytest.mark.parametrize("kind", TIMES)
def test_times_of_every_kind_are_utc(tmp_path, kind, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    path = written(
        tmp_path / "c.parquet",
        table(ts=None, timestamp=TIMES[kind]([START, START, START + 60000] * 1 + [START + 60000])),
    )

    assert shape(read_candles(path)) == PLAIN


def test_dates_are_midnight_utc(tmp_path):
    days = pa.array([0, 86_400_000], pa.date64())
    found = read_candles(written(tmp_path / "c.parquet", table(("A", "A"), timestamp=days)))

    assert ([0, 86_400_000], 86_400_000) == (found.candles.ts.tolist(), found.interval_ms)


@pytest.mark.parametrize("values", [[0, 60_000], [1_700_000_000_000, 1_700_000_000_060], [20240101, 20240102]])
def test_unclear_time_unit_is_refused(tmp_path, values):
    path = written(tmp_path / "c.parquet", table(("A", "A"), timestamp=values))
    with pytest.raises(SchemaError, match="--time-unit") as caught:
        read_candles(path)

    assert ("E_TIME_UNIT", 2) == (caught.value.code, caught.value.exit_code)


def test_time_unit_settles_it(tmp_path):
    path = written(tmp_path / "c.parquet", table(("A", "A"), timestamp=[0, 60]))

    assert [0, 60_000] == read_candles(path, options=CandleOptions(time_unit="s")).candles.ts.tolist()


def test_missing_column_names_those_found(tmp_path):
    path = written(tmp_path / "c.parquet", table().drop_columns("low"))
    with pytest.raises(SchemaError) as caught:
        read_candles(path)

    expected = f"{path} has no column 'low' (found: token_address, timestamp, open, high, close, volume)"
    assert expected == str(caught.value)


@pytest.mark.parametrize("kind", [pa.float32(), pa.string(), pa.decimal128(10, 2), pa.float16()])
def test_prices_must_be_float64(tmp_path, kind):
    high = pa.array(np.full(4, 2.0, np.float16)) if kind == pa.float16() else pa.array([2.0] * 4).cast(kind)
    path = written(tmp_path / "c.ipc", table(high=high))
    with pytest.raises(SchemaError, match=r"column 'high' is .*; expected float64"):
        read_candles(path)


def test_float32_on_request_and_integers_always(tmp_path):
    path = written(tmp_path / "c.parquet", table(high=pa.array([2.0] * 4, pa.float32()), open=[1] * 4))
    found = read_candles(path, options=CandleOptions(allow_float32=True))

    assert ([2.0] * 4, [1.0] * 4) == (found.candles.high.tolist(), found.candles.open.tolist())


def test_csv_cell_that_is_no_number_is_named(tmp_path):
    path = written(tmp_path / "c.csv", table())
    path.write_text(path.read_text().replace("0.5", "cheap", 3).replace("cheap", "0.5", 2))
    with pytest.raises(DataError) as caught:
        read_candles(path)

    assert f"{path}:4: low is 'cheap'; it must be a number" == str(caught.value)


@pytest.mark.parametrize("name", ["c.parquet", "c.arrow", "c.csv", "c.csv.gz"])
@pytest.mark.parametrize("damage", ["empty", "junk", "half"])
def test_damaged_file_is_one_line(tmp_path, name, damage):
    path = written(tmp_path / name.replace("arrow", "feather"), table(("A",) * 500))
    content = path.read_bytes()
    path = tmp_path / name
    cut = b"" if damage == "empty" else b"\x00\xffjunk" * 9 if damage == "junk" else content[: len(content) // 2 + 1]
    path.write_bytes(cut)
    with pytest.raises(HighwaterError) as caught:
        read_candles(path)

    assert (True, 1) == (str(caught.value).startswith(str(path)), len(str(caught.value).splitlines()))
    assert caught.value.exit_code in (2, 3)


def test_missing_unknown_empty(tmp_path):
    with pytest.raises(MissingError, match="does not exist"):
        read_candles(tmp_path / "no.parquet")
    (tmp_path / "c.xls").write_bytes(b"x")
    with pytest.raises(SchemaError, match="unknown kind of file"):
        read_candles(tmp_path / "c.xls")
    with pytest.raises(DataError, match="holds no Parquet file"):
        read_candles(tmp_path)
    with pytest.raises(DataError, match="holds no candles of the 1 tokens asked for"):
        read_candles(written(tmp_path / "c.parquet", table()), tokens=["Z"])
    with pytest.raises(DataError, match=r"holds no candles$"):
        read_candles(written(tmp_path / "c.parquet", table().slice(0, 0)))


def test_unreadable_file(tmp_path, monkeypatch):
    path = written(tmp_path / "c.parquet", table())

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AccessError):
        read_candles(path)


def test_decoded_bytes_are_counted_not_the_footer(tmp_path):
    n = 100_000
    bomb = pa.table({name: np.zeros(n) for name in ("open", "high", "low", "close")} | {"ts": np.zeros(n, np.int64)})
    path = tmp_path / "c.parquet"
    pq.write_table(bomb, path, compression="zstd")
    with pytest.raises(LimitError, match="--max-decoded") as caught:
        read_candles(path, options=CandleOptions(max_decoded=1_000_000))

    assert (5, True) == (caught.value.exit_code, path.stat().st_size < 50_000)


def test_candle_without_token_is_refused(tmp_path):
    path = written(tmp_path / "c.parquet", table(("A", None)))
    with pytest.raises(DataError, match=r"c.parquet:2: token_address is 'null'"):
        read_candles(path)


@pytest.mark.parametrize("name", ["c.parquet", "c.ipc", "c.csv", "c.csv.gz", "folder"])
def test_how_much_has_been_read_is_told(tmp_path, name, monkeypatch):
    monkeypatch.setattr(files, "_BATCH_ROWS", 2)
    told, data = [], table(("A",) * 6)
    if name == "folder":
        paths = [written(tmp_path / f"{i}.parquet", data.slice(3 * i, 3)) for i in range(2)]
        paths.append(written(tmp_path / "token_address=B" / "d.parquet", data))
    else:
        paths = [written(tmp_path / name, data)]
    size = sum(path.stat().st_size for path in paths)
    source = tmp_path if name == "folder" else paths[0]
    read_candles(source, ["A", "0", "1"], on_progress=lambda *given: told.append(given))

    assert {size} == {total for _, total in told}
    assert sorted(told) == told
    assert (size, size) == told[-1]
    if name in ("c.parquet", "folder"):
        assert len({done for done, _ in told}) > 2
