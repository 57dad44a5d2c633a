"""Candles out of real ClickHouse engines: the server of Debian (18.16), and today's inside this process (chdb)."""

import contextlib

import engines
import numpy as np
import pytest
import small_market
from highwater.io.candles import CandleOptions, read_candles
from highwater.io.slices import Spans, build, verify
from highwater.io.sources.clickhouse_export import Bulk, covered, export, opened

STEP, HOUR = 300_000, 3_600_000
MARK = "cd" * 32


def spans_on(tokens, first, alerts=3):
    """Return spans of alerts on tokens: six hours from every seventh hour after ``first``."""
    token = np.repeat(np.arange(len(tokens)), alerts)
    asked = first + 7 * HOUR * np.tile(np.arange(alerts), len(tokens)) + 1
    return Spans(tokens, token, asked - STEP, asked, asked + 6 * HOUR)


@contextlib.contextmanager
def silent(total):
    yield lambda done: None


def exported(engine, database, name, spans, folder, options=CandleOptions(), bulk=Bulk(), chain=None):  # noqa: B008
    source = opened(engine.named(database, name), spans.tokens, options, chain, bulk)
    return export(source, spans, covered(source, spans), MARK, folder, silent)


@pytest.fixture(scope="session")
def market(tmp_path_factory):
    """Return the file of a market without a contradiction, its tokens and its first time."""
    folder = tmp_path_factory.mktemp("market")
    made = small_market.write(folder)
    table = small_market.tables()[0]
    tokens = tuple(sorted(set(table["token_address"].to_pylist())))
    first = int(engines.ms_of(table).min())
    return made.candles, tokens, first


@pytest.mark.parametrize(
    ("shape", "time"),
    [
        ("interval_seconds", "DateTime"),
        ("interval", "DateTime"),
        ("interval", "DateTime64(3)"),
        ("interval_seconds", "DateTime('Asia/Tokyo')"),
    ],
)
@pytest.mark.parametrize("bulk", [Bulk(), Bulk(3, 2)])
def test_a_slice_out_of_a_table_is_that_of_a_file(engine, market, tmp_path, shape, time, bulk):
    if time == "DateTime64(3)" and not engine.modern:
        pytest.skip("18.16 knows no DateTime64")
    path, tokens, first = market
    engines.make_table(engine, "mkt", "ohlcv_candles", small_market.tables()[0], shape, time)
    spans = spans_on(tokens, first)
    expected = build(tmp_path / "file", read_candles(path, set(tokens), CandleOptions(coverage_end_ms=5)), spans, MARK)
    found = exported(engine, "mkt", "ohlcv_candles", spans, tmp_path / "table", CandleOptions(coverage_end_ms=5), bulk)
    verify(found)

    assert expected.facts.content_sha256 == found.facts.content_sha256
    for name in ("tokens", "offsets", "coverage_end_ms", "on_grid", "interval_ms", "bytes", "from_ms", "to_ms"):
        assert getattr(expected.facts, name) == getattr(found.facts, name), name
    assert [] == list((tmp_path / "table").glob(".export*"))
