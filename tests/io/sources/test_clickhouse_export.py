"""What is asked of a table and what becomes of the answer, of an engine in plain Python; real ones in tests/sources."""

import contextlib
import re
from dataclasses import replace

import numpy as np
import pytest
from highwater.io.candles import CandleOptions
from highwater.io.columns import NO_TIME
from highwater.io.errors import DataError, HighwaterError, MissingError, SchemaError, UsageError
from highwater.io.slices import Spans, verify
from highwater.io.sources.clickhouse import ROW, Connection, Table
from highwater.io.sources.clickhouse_export import Bulk, Coverage, Source, export, opened
from highwater.io.sources.clickhouse_sql import Batch, coverage_sql, export_sql, name_of, shape_of

MARK, START, MINUTE = "ef" * 32, 1_735_689_600_000, 60_000
TABLE = Table("mkt", "bars", "ch")
COLUMNS = {
    "token_address": "LowCardinality(String)",
    "chain": "String",
    "timestamp": "DateTime64(3, 'Asia/Tokyo')",
    "interval": "String",
    **dict.fromkeys(("open", "high", "low", "close"), "Nullable(Float64)"),
    "volume": "Decimal(38, 9)",
}


def shape(columns=COLUMNS, lengths=("1m",), options=CandleOptions(), chain=None, name="bars"):  # noqa: B008
    return shape_of(TABLE, name, columns, lengths, options, chain)


def test_a_shape_answers_in_ms_and_float64_whatever_the_columns():
    found = shape(chain="Solana")

    assert "ifNull(toUnixTimestamp64Milli(`timestamp`), toInt64(0))" == found.time
    assert "ifNull(toFloat64(`open`), nan)" == found.prices[0]
    assert MINUTE == found.interval_ms
    assert "lower(toString(`interval`)) IN ('1m', '1min', '60s', '60')" in found.where
    assert "lower(toString(`chain`)) = 'solana'" in found.where


@pytest.mark.parametrize(
    ("kind", "unit", "expected"),
    [
        ("DateTime('America/New_York')", None, "toInt64(toUnixTimestamp(`timestamp`)) * 1000"),
        ("Date", None, "toInt64(`timestamp`) * 86400000"),
        ("UInt32", "s", "toInt64(`timestamp`) * 1000"),
        ("Int64", "ms", "toInt64(`timestamp`)"),
        ("Int64", "us", "intDiv(toInt64(`timestamp`), 1000)"),
        ("Nullable(UInt64)", "ns", "intDiv(toInt64(`timestamp`), 1000000)"),
    ],
)
def test_times_of_every_kind_are_ms(kind, unit, expected):
    found = shape(COLUMNS | {"timestamp": kind}, options=CandleOptions(time_unit=unit))

    assert f"ifNull({expected}, toInt64(0))" == found.time


@pytest.mark.parametrize(
    ("change", "lengths", "options", "text"),
    [
        ({"timestamp": "String"}, ["1m"], {}, "column 'timestamp' is String; it must be DateTime"),
        ({"timestamp": "UInt64"}, ["1m"], {}, "--time-unit s, ms, us or ns"),
        ({"open": "String"}, ["1m"], {}, "column 'open' is String; it must be a number"),
        ({"open": "Float32"}, ["1m"], {}, "--allow-float32"),
        ({"token_address": "UInt64"}, ["1m"], {}, "column 'token_address' is UInt64; it must be text"),
        ({"volume": "Array(Float64)"}, ["1m"], {}, "column 'volume' is Array(Float64); it must be a number"),
        ({"close": None}, ["1m"], {}, "has no column 'close'; it has token_address, chain"),
        ({}, ["1m", "5m"], {}, "bars of several intervals (1m, 5m); choose one with --interval"),
        ({}, ["1m"], {"interval_ms": 300_000}, "holds 1m bars; set --interval 1m"),
        ({}, ["fast"], {}, "column 'interval' is 'fast'; it must be the length of a bar, such as 1m or 60"),
        ({"interval": None}, [], {}, "pass --interval"),
    ],
)
def test_what_a_table_cannot_be_is_one_line(change, lengths, options, text):
    columns = {name: kind for name, kind in (COLUMNS | change).items() if kind}
    with pytest.raises(SchemaError) as caught:
        shape(columns, lengths, CandleOptions(**options))

    assert text in str(caught.value)


def test_a_table_is_named_itself_or_by_the_length_of_its_candles():
    names = ["bars_1m", "bars_5m", "bars_old", "other"]

    assert "bars" == name_of(TABLE, ["bars", *names], None)
    assert "bars_5m" == name_of(TABLE, names, 300_000)
    assert "bars_1m" == name_of(TABLE, ["bars_1m", "bars_old"], None)
    with pytest.raises(SchemaError, match=r"bars_1m, bars_5m\); choose one with --interval"):
        name_of(TABLE, names, None)
    with pytest.raises(MissingError, match=r"no table 'bars'; did you mean 'bar'"):
        name_of(TABLE, ["bar"], None)


def test_tokens_are_quoted_and_questions_bounded():
    batch = Batch(("a'b\\", "c"), *(np.array([n, n + 1000]) for n in (1000, 9000)), np.array([NO_TIME, 20_000]))
    asked, counted = export_sql(shape(), batch), coverage_sql(shape(), batch)

    assert "IN ('a\\'b\\\\', 'c')" in asked and "IN ('a\\'b\\\\', 'c')" in counted
    assert "`timestamp` >= toDateTime(1) AND `timestamp` <= toDateTime(81)" in asked
    assert "(t > [1000, 2000][c] AND t < [9000, 10000][c]) OR (t >= [0, 20000][c] AND t < [0, 20001][c])" in asked
    assert asked.endswith("ORDER BY c, t, o, h, l, k, v")


@contextlib.contextmanager
def silent(total):
    yield lambda done: None


def engine(rows, tokens):
    """Return a table of rows (token, minute), what is asked of it, and what is known of it; in plain Python."""

    def answer(sql):
        among = re.search(r"IN \((.*?)\)", sql)[1]
        asked = [word.strip("' ") for word in among.split(",")]
        found = [(asked.index(token), START + m * MINUTE, 1, 2, 0.5, 1.5, 3) for token, m in rows if token in asked]
        cells = np.array(sorted(found), ROW)
        return {name: np.ascontiguousarray(cells[name]) for name in ROW.names}

    counts = np.array([sum(token == each for each, _ in rows) for token in tokens])
    last = np.array([max((START + m * MINUTE for each, m in rows if each == token), default=0) for token in tokens])
    lo, hi = np.full(len(tokens), START - 1), np.full(len(tokens), START + 99 * MINUTE)
    none = np.full(len(tokens), NO_TIME)
    found = Coverage(tokens, lo, hi, counts, counts, last, none, counts, tuple(("1", "2") for _ in tokens))
    token = np.arange(len(tokens))
    spans = Spans(tokens, token, lo, lo + 1, hi)
    return Source(TABLE, Connection(lambda sql: [], answer), shape(), CandleOptions(), Bulk()), spans, found


@pytest.mark.parametrize("bulk", [Bulk(1, 1), Bulk(2, 3), Bulk(1000, 1)])
def test_a_slice_is_the_same_for_any_batch_and_holds_tokens_in_order(tmp_path, bulk):
    rows = [(token, m) for token in ("a", "b", "d") for m in range(9)]
    source, spans, found = engine(rows, ("a", "b", "c", "d"))
    made = export(replace(source, bulk=bulk), spans, found, MARK, tmp_path, silent)
    verify(made)

    assert (("a", "b", "d"), (0, 9, 18, 27)) == (made.facts.tokens, made.facts.offsets)
    assert (START + 9 * MINUTE,) * 3 == made.facts.coverage_end_ms
    assert 27 == made.facts.counts["rows_in"]
    assert {made.path.name, made.path.with_suffix(".json").name} == {path.name for path in tmp_path.iterdir()}


def test_what_came_is_not_asked_for_again(tmp_path):
    source, spans, found = engine([(t, m) for t in "abcd" for m in range(3)], tuple("abcd"))
    asked, real = [], source.connection.rows

    def failing(sql):
        asked.append(sql)
        if len(asked) == 3:
            raise DataError("enough")
        return real(sql)

    broken = replace(source, bulk=Bulk(1, 1), connection=source.connection._replace(rows=failing))
    with pytest.raises(DataError, match="enough"):
        export(broken, spans, found, MARK, tmp_path, silent)
    kept = sorted(tmp_path.rglob("part_*"))
    made = export(broken, spans, found, MARK, tmp_path, silent)

    assert 2 == len(kept)
    assert 3 + 2 == len(asked)
    assert 12 == made.facts.rows


def test_fewer_candles_than_were_counted_is_a_table_that_changed(tmp_path):
    source, spans, found = engine([(t, m) for t in "ab" for m in range(2)], ("a", "b"))
    with pytest.raises(DataError, match="b had 3 candles, then 2; repeat") as caught:
        export(replace(source, bulk=Bulk(1, 1)), spans, replace(found, inside=np.array([2, 3])), MARK, tmp_path, silent)

    assert "E_CHANGED" == caught.value.code
    assert [] == list(tmp_path.rglob("*part_*"))  # it would never be asked for again


@pytest.mark.parametrize("chain", [None, "solana"])
def test_candles_that_contradict_each_other_may_be_of_several_chains(tmp_path, chain):
    source, spans, found = engine([("a", 0), ("a", 1), ("a", 1)], ("a",))

    def rows(sql):
        columns = source.connection.rows(sql)
        return columns | {"close": columns["close"] - [0, 0, 0.5]}

    table = replace(source, shape=shape(chain=chain), connection=source.connection._replace(rows=rows))
    (why,) = export(table, spans, found, MARK, tmp_path, silent).facts.rejected.values()

    assert "--on-dup-conflict first keeps one" in why
    assert (chain is None) == why.endswith(", and --chain those of one chain")


def test_candles_further_apart_than_they_say_are_refused(tmp_path):
    source, spans, found = engine([("a", 0), ("a", 5), ("a", 10)], ("a",))
    with pytest.raises(SchemaError, match="bars are 5m apart but interval is 1m; set --interval 5m"):
        export(source, spans, found, MARK, tmp_path, silent)


def test_nothing_there_and_nothing_asked_for_at_once():
    source, spans, found = engine([], ("a",))
    with pytest.raises(DataError, match="holds no candles of the 1 tokens asked for"):
        export(source, spans, found, MARK, None, silent)
    with pytest.raises(UsageError, match="--ch-parallel is 0"):
        Bulk(1, 0)


def test_a_table_is_looked_at_before_anything_is_asked_of_it(monkeypatch):
    answers = {"system.tables": [["bars"]], "DESCRIBE": [[n, k, ""] for n, k in COLUMNS.items()], "DISTINCT": []}

    def ask(sql):
        return next(rows for word, rows in answers.items() if word in sql)

    monkeypatch.setattr("highwater.io.sources.clickhouse_export.connect", lambda _: Connection(ask, lambda _: {}))
    with pytest.raises(HighwaterError, match="holds no candles of the 1 tokens"):
        opened(TABLE, ("a",), CandleOptions(), None, Bulk())
    answers["DISTINCT"] = [["5m"]]

    assert 300_000 == opened(TABLE, ("a",), CandleOptions(), None, Bulk()).step
    assert 900_000 == opened(TABLE, ("a",), CandleOptions(resample_ms=900_000), None, Bulk()).step
    with pytest.raises(UsageError, match="7m is no whole multiple of the interval 5m"):
        opened(TABLE, ("a",), CandleOptions(resample_ms=420_000), None, Bulk())
    answers["DESCRIBE"] = [["token_address", "UInt64", ""], *answers["DESCRIBE"][1:]]
    del answers["DISTINCT"]  # a server would refuse to compare them with texts
    with pytest.raises(SchemaError, match="column 'token_address' is UInt64; it must be text"):
        opened(TABLE, ("a",), CandleOptions(), None, Bulk())


@pytest.mark.parametrize("batch", [1, 2, 1000])
def test_the_lengths_of_candles_are_those_of_all_tokens_whatever_the_batch(monkeypatch, batch):
    lengths = {"b": "1m", "c": "5m"}

    def ask(sql):
        if "DISTINCT" in sql:
            return [[length] for token, length in lengths.items() if f"'{token}'" in sql]
        return [["bars"]] if "system.tables" in sql else [[name, kind, ""] for name, kind in COLUMNS.items()]

    monkeypatch.setattr("highwater.io.sources.clickhouse_export.connect", lambda _: Connection(ask, lambda _: {}))
    looked = opened(TABLE, ("a", "b"), CandleOptions(), None, Bulk(batch))

    assert MINUTE == looked.step
    with pytest.raises(SchemaError, match=r"bars of several intervals \(1m, 5m\)"):
        opened(TABLE, ("a", "b", "c"), CandleOptions(), None, Bulk(batch))
