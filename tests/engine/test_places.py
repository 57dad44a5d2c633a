"""Where flags may point: what is refused, and what names a table of ClickHouse without a URL."""

import pytest
from highwater.engine.places import candle_place, place
from highwater.engine.settings import Sources
from highwater.io.sources.clickhouse import Table
from small_market import run


@pytest.fixture(autouse=True)
def unnamed(monkeypatch):
    for name in ("HOST", "PORT", "DATABASE", "TABLE", "USER", "SECURE"):
        monkeypatch.delenv(f"CLICKHOUSE_{name}", raising=False)


@pytest.mark.parametrize(
    "text", ["gs://desk/a.parquet", "S3://desk/a.parquet", "s3:/desk/a", "https://a/b", "ch://a/b.c"]
)
def test_a_place_that_is_none_of_ours_is_refused_with_those_that_are(text):
    with pytest.raises(ValueError, match=r"^it must be a local path or s3://bucket/prefix$"):
        place(text)
    with pytest.raises(ValueError, match=r"s3://bucket/prefix, or clickhouse:// or chdb://$"):
        candle_place(text)


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        ("ch_host", "h", Table("default", "ohlcv_candles", "h")),
        ("ch_port", 18123, Table("default", "ohlcv_candles", "localhost", 18123)),
        ("ch_database", "mkt", Table("mkt", "ohlcv_candles", "localhost")),
        ("ch_table", "bars", Table("default", "bars", "localhost")),
        ("ch_user", "me", Table("default", "ohlcv_candles", "localhost", user="me")),
        ("ch_secure", True, Table("default", "ohlcv_candles", "localhost", 8443, secure=True)),
    ],
)
def test_one_flag_is_enough_to_name_a_table(tmp_path, flag, value, expected):
    words = [f"--{flag.replace('_', '-')}", *([] if value is True else [str(value)])]
    done = run("slices", "build", "--alerts", tmp_path / "none.csv", *words)

    assert expected == Sources(alerts=tmp_path / "none.csv", **{flag: value}).candles
    assert "none.csv does not exist" in done.err  # and no word of candles


def test_without_a_flag_candles_are_missed(tmp_path):
    assert "missing --candles" in run("slices", "build", "--alerts", tmp_path / "none.csv", "--ch-batch", "9").err
