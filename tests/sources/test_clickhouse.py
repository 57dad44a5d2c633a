"""Candles out of real ClickHouse engines: the server of Debian (18.16), and today's inside this process (chdb)."""

import contextlib
import os
import signal
import urllib.request
from dataclasses import replace
from functools import partial

import engines
import numpy as np
import processes
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import small_market
from highwater.io.candles import CandleOptions, read_candles
from highwater.io.errors import (
    AccessError,
    BusyError,
    DataError,
    HighwaterError,
    MissingError,
    SchemaError,
    StoreError,
)
from highwater.io.slice_parts import unfinished
from highwater.io.slices import Spans, build, verify
from highwater.io.sources import tries
from highwater.io.sources.clickhouse import Table
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


def bars(rows):
    """Return candles as Arrow: rows of (token, minute, open, high, low, close, volume)."""
    tokens, minutes, *prices = zip(*rows, strict=True)
    columns = {"token_address": list(tokens), "timestamp": pa.array([START + 60_000 * m for m in minutes]).cast(TIME)}
    names = ("open", "high", "low", "close", "volume")
    return pa.table(columns | {name: [float(x) for x in each] for name, each in zip(names, prices, strict=True)})


TIME = pa.timestamp("ms", "UTC")
START = 1_735_689_600_000
FLAT = (1, 2, 0.5, 1.5, 10)


def minutes(token, *at):
    return [(token, m, *FLAT) for m in at]


def few(engine, name, rows, spans, folder, **given):
    engines.make_table(engine, "mkt", name, bars(rows), bars=given.pop("bars", "1m"), **given.pop("shape", {}))
    return exported(engine, "mkt", name, spans, folder, **given)


def asked(*rows):
    """Return spans of rows (token, lo, asked, hi) in minutes after START."""
    tokens = tuple(sorted({row[0] for row in rows}))
    columns = [np.array(column, np.int64) * 60_000 + START for column in list(zip(*rows, strict=True))[1:]]
    return Spans(tokens, np.array([tokens.index(row[0]) for row in rows], np.int64), *columns)


def test_rules_hold_whatever_the_batch_and_what_lies_outside_is_known_of(engine, tmp_path):
    rows = [
        *minutes("a", 0, 1, 2, 3, 4, 60, 61),
        ("a", 2, *FLAT[:4], 99),  # again with another volume: one candle
        *minutes("b", 0, 1, 2, 3),
        ("b", 1, 1, 3, 0.5, 1.5, 10),  # contradicts
        *minutes("c", 0, 1, 2, 3),
        ("c", 4, 1, float("nan"), 0.5, 1, 10),  # no candle at all, and the last
        *minutes("d'\\\n", 90),
    ]
    spans = asked(
        ("a", -1, 0, 3), ("a", 29, 30, 40), ("b", -1, 0, 9), ("c", -1, 0, 9), ("d'\\\n", -1, 0, 9), ("e", -1, 0, 9)
    )
    found = [
        few(
            engine,
            "few",
            rows,
            spans,
            tmp_path / str(most),
            bulk=Bulk(most, 3),
            options=CandleOptions(interval_ms=60_000),
        )
        for most in (1, 2, 1000)
    ]

    facts = found[0].facts
    assert ("a", "b", "c", "d'\\\n") == facts.tokens
    assert (0, 4, 4, 8, 9) == facts.offsets
    assert [0, 1, 2, 60] == ((found[0].candles.ts[:4] - START) // 60_000).tolist()
    assert ["b"] == list(facts.rejected) and "E_DUP_CONFLICT" in facts.rejected["b"]
    assert [62, None, 4, 91] == [(end - START) // 60_000 if end else None for end in facts.coverage_end_ms]
    assert (1, 1, 1) == (facts.counts["dup_identical"], facts.counts["dup_conflict"], facts.counts["bad_bars"])
    assert 10.0 == found[0].candles.volume[2]
    assert [facts.content_sha256] * 3 == [one.facts.content_sha256 for one in found]
    assert [facts] * 3 == [one.facts for one in found]


def test_longer_candles_are_whole_at_both_ends(engine, tmp_path):
    rows = [(token, m, 1 + m, 3 + m, 0.5, 1 + m, 1) for token in ("a", "b") for m in range(0, 47) if m % 7]
    spans = asked(("a", 3, 4, 12), ("b", 17, 18, 21))
    options = CandleOptions(resample_ms=300_000)
    table = few(engine, "longer", rows, spans, tmp_path / "t", options=options)
    pq.write_table(bars(rows), tmp_path / "bars.parquet")
    file = build(tmp_path / "f", read_candles(tmp_path / "bars.parquet", {"a", "b"}, options), spans, MARK)

    assert file.facts.content_sha256 == table.facts.content_sha256
    assert (file.facts.offsets, file.facts.interval_ms) == (table.facts.offsets, table.facts.interval_ms)
    assert file.facts.coverage_end_ms == table.facts.coverage_end_ms


def test_times_of_closes_are_those_of_opens(engine, tmp_path):
    options = CandleOptions(ts_label="close")
    found = few(engine, "closes", minutes("a", 1, 2, 3), asked(("a", -1, 0, 9)), tmp_path, options=options)

    assert [0, 1, 2] == ((found.candles.ts - START) // 60_000).tolist()
    assert START + 3 * 60_000 == found.facts.coverage_end_ms[0]


def test_a_table_an_interval_and_several_intervals_in_one(engine, tmp_path):
    spans, five = asked(("a", -1, 0, 60)), CandleOptions(interval_ms=300_000)
    name = "byname" + ("s" if not engine.modern else "e")
    engines.make_table(engine, "mkt", f"{name}_1m", bars(minutes("a", *range(20))), "")
    only = exported(engine, "mkt", name, spans, tmp_path / "0")
    engines.make_table(engine, "mkt", f"{name}_5m", bars(minutes("a", *range(0, 20, 5))), "")
    with pytest.raises(SchemaError, match=f"{name}_1m, {name}_5m.*--interval"):
        exported(engine, "mkt", name, spans, tmp_path / "1")
    picked = exported(engine, "mkt", name, spans, tmp_path / "2", five)
    engines.make_table(engine, "mkt", "both", bars(minutes("a", *range(20))), "interval", bars="1m")
    engines.add(engine, "mkt", "both", bars(minutes("a", *range(0, 20, 5))), "5m")
    with pytest.raises(SchemaError, match=r"bars of several intervals \(1m, 5m\); choose one with --interval"):
        exported(engine, "mkt", "both", spans, tmp_path / "3")
    of_both = exported(engine, "mkt", "both", spans, tmp_path / "4", five)

    assert [20, 4, 4] == [one.facts.rows for one in (only, picked, of_both)]
    assert [60_000, 300_000, 300_000] == [one.facts.interval_ms for one in (only, picked, of_both)]


def test_what_a_table_lacks_or_has_otherwise_is_one_line(engine, tmp_path):
    spans, rows = asked(("a", -1, 0, 9)), bars(minutes("a", 0, 1, 2))
    engines.make_table(engine, "mkt", "fine", rows)
    run = engine.run
    for name in ("lacks", "kinds", "unsure", "single"):
        run(f"DROP TABLE IF EXISTS mkt.{name}")
    prices = "high Float64, low Float64, close Float64, volume Float64"
    end = "ENGINE = MergeTree PARTITION BY tuple() ORDER BY token_address"
    head = "token_address String, interval_seconds UInt32"
    run(f"CREATE TABLE mkt.lacks ({head}, timestamp DateTime, {prices}) {end}")
    run(f"CREATE TABLE mkt.kinds ({head}, timestamp DateTime, open String, {prices}) {end}")
    run(f"CREATE TABLE mkt.unsure (token_address String, timestamp DateTime, open Float64, {prices}) {end}")
    run(f"CREATE TABLE mkt.single ({head}, timestamp DateTime, open Float32, {prices}) {end}")
    for name in ("lacks", "kinds", "single"):
        columns = "token_address, interval_seconds, timestamp"
        run(f"INSERT INTO mkt.{name} ({columns}) SELECT 'a', toUInt32(60), toDateTime({START // 1000})")
    engines.make_table(engine, "mkt", "apart", bars(minutes("a", 0, 5, 10, 15)), bars="1m")
    told = {}
    for name in ("fines", "lacks", "kinds", "unsure", "single", "apart"):
        with pytest.raises(HighwaterError) as caught:
            exported(engine, "mkt", name, spans if name != "apart" else asked(("a", -1, 0, 60)), tmp_path)
        told[name] = caught.value.exit_code, str(caught.value)
    with pytest.raises(DataError) as caught:
        exported(engine, "mkt", "fine", asked(("nobody", -1, 0, 9)), tmp_path)

    assert {2} == {code for code, _ in told.values()}
    assert "has no table 'fines'; did you mean 'fine'?" in told["fines"][1]
    assert "has no column 'open'" in told["lacks"][1]
    assert "column 'open' is String; it must be a number" in told["kinds"][1]
    assert "pass --interval" in told["unsure"][1]
    assert "--allow-float32" in told["single"][1]
    assert "bars are 5m apart but interval is 1m; set --interval 5m" in told["apart"][1]
    assert "holds no candles of the 1 tokens asked for" in str(caught.value)


def test_an_export_that_was_interrupted_goes_on_from_what_came(engine, market, tmp_path, monkeypatch):
    _, tokens, first = market
    engines.make_table(engine, "mkt", "going", small_market.tables()[0])
    spans = spans_on(tokens, first)
    source = opened(engine.named("mkt", "going"), spans.tokens, CandleOptions(), None, Bulk(2, 1))
    found, questions, real = covered(source, spans), [], source.connection.rows

    def dying(sql):
        questions.append(sql)
        if len(questions) == 4:
            raise StoreError("the server is gone")
        return real(sql)

    broken = replace(source, connection=source.connection._replace(rows=dying))
    with pytest.raises(StoreError, match="the server is gone"):
        export(broken, spans, found, MARK, tmp_path, silent)
    parts = sorted((tmp_path / f".export_{MARK[:12]}").glob("part_*"))
    parts[1].write_bytes(parts[1].read_bytes()[:-1] + b"?")
    before = len(questions)
    whole = export(broken, spans, found, MARK, tmp_path, silent)
    straight = export(source, spans, found, MARK, tmp_path / "straight", silent)
    batches = -(-len(set(whole.facts.tokens)) // 2)

    assert 3 == len(parts)
    assert batches - 3 + 1 == len(questions) - before  # those that had not come, and the one that was damaged
    assert straight.facts == whole.facts
    assert [] == list(tmp_path.glob(".export*"))


def test_a_table_that_changes_meanwhile_is_told_of(engine, tmp_path):
    spans = asked(("a", -1, 0, 9))
    engines.make_table(engine, "mkt", "changing", bars(minutes("a", 0, 1, 2)), bars="1m")
    source = opened(engine.named("mkt", "changing"), spans.tokens, CandleOptions(), None, Bulk())
    found = covered(source, spans)
    engines.add(engine, "mkt", "changing", bars(minutes("a", 3)), 60)
    with pytest.raises(DataError, match="changed while it was being read: a had 3 candles, then 4; repeat"):
        export(source, spans, found, MARK, tmp_path, silent)

    assert found.digest() != covered(source, spans).digest()


def test_one_process_exports_a_slice_at_a_time(engine, tmp_path):
    spans = asked(("a", -1, 0, 9))
    engines.make_table(engine, "mkt", "alone", bars(minutes("a", 0, 1, 2)), bars="1m")
    with unfinished(tmp_path, MARK), pytest.raises(BusyError, match="another process exports"):
        exported(engine, "mkt", "alone", spans, tmp_path)


def test_who_may_not_read_is_told_so(server, monkeypatch, tmp_path):
    engines.make_table(server.engine, "mkt", "mine", bars(minutes("a", 0, 1, 2)), bars="1m")
    words = asked(("a", -1, 0, 9)), tmp_path
    table = replace(server.engine.named("mkt", "mine"), user="reader")
    told = []
    for password in ("", "wrong", engines.PASSWORD):
        monkeypatch.setenv("CLICKHOUSE_PASSWORD", password)
        try:
            told.append(exported(server.engine._replace(table=table), "mkt", "mine", *words).facts.rows)
        except AccessError as error:
            told.append((error.exit_code, "CLICKHOUSE_PASSWORD" in str(error), password and password in str(error)))
    with pytest.raises(MissingError, match="nope"):
        exported(server.engine._replace(table=table), "nope", "mine", *words)

    assert [(77, True, ""), (77, True, False), 3] == told


def test_a_secure_connection_proves_who_answers(server, monkeypatch, tmp_path):
    if not (server.folder / "cert.pem").exists():
        pytest.skip("there is no openssl to make a certificate with")
    engines.make_table(server.engine, "mkt", "tls", bars(minutes("a", 0, 1, 2)), bars="1m")
    table = replace(server.engine.table, port=server.https, secure=True)
    words = "mkt", "tls", asked(("a", -1, 0, 9)), tmp_path
    with pytest.raises(AccessError, match="SSL_CERT_FILE"):
        exported(server.engine._replace(table=table), *words)
    monkeypatch.setenv("SSL_CERT_FILE", str(server.folder / "cert.pem"))
    found = exported(server.engine._replace(table=table), *words)

    assert 3 == found.facts.rows


def test_a_server_that_dies_in_the_middle_and_comes_back_is_asked_again(tmp_path, market, monkeypatch):
    """The server is killed by its id while candles stream; a second try after it was started again finds what came."""
    http, tcp, https = (processes.free_port() for _ in range(3))
    engines.write_config(tmp_path / "server", http, tcp, https)
    process = engines.start(tmp_path / "server")
    engine = engines.Engine(
        Table("default", "x", "127.0.0.1", http), partial(engines.post, http), partial(engines.insert, http), False
    )
    alive = lambda: urllib.request.urlopen(f"http://127.0.0.1:{http}/ping", timeout=5).read()  # noqa: E731
    monkeypatch.setattr(tries.time, "sleep", lambda _: None)
    try:
        processes.until(alive, process)
        engines.make_table(engine, "mkt", "dying", small_market.tables()[0])
        _, tokens, first = market
        spans = spans_on(tokens, first)
        source = opened(engine.named("mkt", "dying"), spans.tokens, CandleOptions(), None, Bulk(2, 1))
        found, real, asked = covered(source, spans), source.connection.rows, []

        def killing(sql):
            asked.append(sql)
            if len(asked) == 3:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
            return real(sql)

        broken = replace(source, connection=source.connection._replace(rows=killing))
        with pytest.raises(StoreError, match=r"could not be read after 4 tries.*batches that came are kept") as caught:
            export(broken, spans, found, MARK, tmp_path / "slices", silent)
        process = engines.start(tmp_path / "server")
        processes.until(alive, process)
        whole = export(broken, spans, covered(broken, spans), MARK, tmp_path / "slices", silent)
    finally:
        processes.stop(process)

    assert 74 == caught.value.exit_code
    assert len(set(asked)) == len(asked) - 1  # the one that failed, and no other, was asked twice
    verify(whole)
