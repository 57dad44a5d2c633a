"""Data in forms that must not matter: kinds of text, chunks, partitions, nulls."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from provoke import candle, candles, cast, command, mint, partitions, paths_of
from small_market import EARLY, by_token, ms, tables

KINDS = {"dictionary": pa.dictionary(pa.int32(), pa.string()), "large": pa.large_string(), "view": pa.string_view()}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_of_string_is_a_token(tmp_path, kind):  # F022
    usual = paths_of(tmp_path / "a", command(tmp_path / "a"))
    (tmp_path / "b").mkdir()
    words = cast("token_address", pa.string())(tmp_path / "b")
    table = tables()[0].set_column(0, "token_address", tables()[0]["token_address"].cast(kind))
    file = tmp_path / "b" / "candles.arrow"
    with pa.ipc.new_file(file, table.schema) as sink:
        sink.write_table(table)
    words[words.index(str(tmp_path / "b" / "candles.parquet"))] = file

    assert usual.equals(paths_of(tmp_path / "b", words))


def test_columns_in_many_chunks_give_the_same(tmp_path):  # F021
    usual = paths_of(tmp_path / "a", command(tmp_path / "a"))
    words = command(tmp_path / "b")
    pq.write_table(tables()[0], tmp_path / "b" / "candles.parquet", row_group_size=97)

    assert usual.equals(paths_of(tmp_path / "b", words))


def test_partitions_named_by_digits_stay_text(tmp_path):
    mints = paths_of(tmp_path, partitions(tmp_path))["mint"].to_pylist()

    assert {"012", "12"} == set(mints)


def test_a_null_is_a_hole(tmp_path):
    hole, without = candle(close=None), candles(lambda rows: [*rows[:20], *rows[21:]])
    found = [paths_of(tmp_path / name, words(tmp_path / name)) for name, words in (("a", hole), ("b", without))]

    assert found[0].equals(found[1])
    assert ms(by_token(tables()[0])[mint(EARLY)][20]["timestamp"]) > found[0]["alert_ts_ms"][0].as_py()
