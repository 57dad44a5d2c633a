import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from highwater.engine.traces.trace import Trace, trace_of
from highwater.io.digest import content_sha256
from highwater.io.errors import DataError, IntegrityError, MissingError, SchemaError
from highwater.io.names import plain_path
from highwater.io.publish import ROW_GROUP, stage
from highwater.io.runs import read_artifact, read_manifest, verify
from highwater.io.traces import (
    About,
    Place,
    read_signals,
    read_traces,
    signals_path,
    signals_table,
    trace_files,
)
from highwater.kernels.signals import NONE
from hypothesis import given, settings
from hypothesis import strategies as st

SIGNALS = st.lists(st.sampled_from([NONE, -1, 0, 1]), min_size=1, max_size=60).map(lambda v: np.array(v, np.int8))


def store(root, traces, cuts=(), **options):
    """Publish a run of traces that come in blocks cut at ``cuts``, and return it and where each trace lies."""
    places = []
    with stage(root, "traces") as staged:
        with trace_files(staged, **options) as files:
            for first, last in zip([0, *cuts], [*cuts, len(traces)], strict=True):
                places += files.add(first, [(each.idx, each.val) for each in traces[first:last]])
        return staged.publish(), places


def numbered(places):
    return [(place, i) for i, place in enumerate(places)]


def random_traces(count, rows, seed=7):
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        idx = np.flatnonzero(random.random(rows) < random.random()).astype(np.int32)
        made.append(Trace(idx, random.integers(-1, 2, idx.size).astype(np.int8), rows))
    return made


@settings(max_examples=60, deadline=None)
@given(signals=st.lists(SIGNALS, min_size=1, max_size=8), cut=st.integers(0, 8), shard=st.integers(1, 40))
def test_a_signal_comes_back_from_disk(tmp_path_factory, signals, cut, shard):
    traces = [trace_of(signal) for signal in signals]
    run, places = store(tmp_path_factory.mktemp("runs"), traces, [min(cut, len(traces))], shard=shard)
    found = read_traces(run, numbered(places))
    again = [Trace(idx, val, signal.size).signal().tolist() for (idx, val), signal in zip(found, signals, strict=True)]

    assert [carried(signal) for signal in signals] == again
    assert [] == verify(run, content=True)


def carried(signal):
    """Return a signal with every NONE after the first value replaced by the value before it."""
    out, last = [], NONE
    for value in signal.tolist():
        last = value if value != NONE else last
        out.append(last)
    return out


def test_cuts_leave_no_trace(tmp_path):
    traces = random_traces(40, 20_000)
    digests = []
    for cuts in ((), (1, 2, 39), range(1, 40)):
        run, places = store(tmp_path, traces, cuts, shard=100_000)
        digests.append([(a.path, a.content_sha256) for a in read_manifest(run).artifacts])
        digests[-1].append([(place.path, place.first, place.rows) for place in places])

    assert digests[0] == digests[1] == digests[2]
    assert 1 < len({place.path for place in places})


def test_a_trace_lies_in_one_file_in_the_order_of_strategies_and_candles(tmp_path):
    run, places = store(tmp_path, random_traces(30, 9_000), shard=20_000)
    for path in {place.path for place in places}:
        table = read_artifact(run, path)
        rows = list(zip(table["strategy"].to_pylist(), table["idx"].to_pylist(), strict=True))
        mine = [place for place in places if place.path == path]

        assert rows == sorted(rows)
        assert sum(place.rows for place in mine) == len(rows)
        assert mine[-1].first < 20_000


def test_no_trace_and_empty_traces_are_written_all_the_same(tmp_path):
    none, _ = store(tmp_path, [])
    empty = Trace(np.zeros(0, np.int32), np.zeros(0, np.int8), 5)
    run, places = store(tmp_path, [empty, *random_traces(1, 9), empty])

    assert 0 == read_artifact(none, "traces").num_rows
    assert [0, 0] == [idx.size for idx, _ in (read_traces(run, numbered(places))[i] for i in (0, 2))]


def test_rows_of_many_row_groups_are_read_where_they_lie(tmp_path):
    traces = random_traces(12, 100_000)
    run, places = store(tmp_path, traces)
    found = read_traces(run, reversed(numbered(places)))

    assert 3 * ROW_GROUP < sum(place.rows for place in places)
    for trace, (idx, val) in zip(reversed(traces), found, strict=True):
        assert trace.idx.tolist() == idx.tolist()
        assert trace.val.tolist() == val.tolist()


def test_the_file_is_small(tmp_path):
    random = np.random.default_rng(3)
    gaps = random.geometric(0.11, (200, 3_000))
    traces = [Trace(np.cumsum(each, dtype=np.int32), random.integers(-1, 2, 3_000).astype(np.int8), 0) for each in gaps]
    run, _ = store(tmp_path, traces)
    size = next(a.bytes for a in read_manifest(run).artifacts if a.type == "traces")

    assert size / 600_000 < 1.1  # of it 0.2 are what is random in a value, and 0.6 what is in a gap


def test_a_damaged_file_is_corrupt(tmp_path):
    run, places = store(tmp_path, random_traces(3, 500))
    data = bytearray((run / places[0].path).read_bytes())
    data[len(data) // 2] ^= 1
    (run / places[0].path).unlink()
    (run / places[0].path).write_bytes(data)
    with pytest.raises(IntegrityError, match="the run was saved with") as caught:
        read_traces(run, numbered(places))

    assert 4 == caught.value.exit_code


def test_another_strategys_rows_are_not_taken_for_it(tmp_path):
    run, places = store(tmp_path, random_traces(3, 500))
    with pytest.raises(IntegrityError, match="holds other strategies where its index says 2"):
        read_traces(run, [(places[1], 2)])
    with pytest.raises(IntegrityError, match=r"has [\d,]+ rows, and not 9 from row"):
        read_traces(run, [(Place(places[0].path, 10_000, 9), 0)])


def test_what_breaks_while_traces_are_written_leaves_no_run(tmp_path):
    with pytest.raises(KeyboardInterrupt), stage(tmp_path, "traces") as staged, trace_files(staged) as files:
        files.add(0, [(trace.idx, trace.val) for trace in random_traces(2, 500)])
        raise KeyboardInterrupt

    assert [] == [path for path in tmp_path.rglob("*") if path.is_file()]


ABOUT = About(
    strategy_id="strategy_0",
    strategy_hash="a3" * 32,
    strategy_type="bollinger_bands",
    config='{"bollinger_bands":{"period":20,"std_dev":2.0},"constraints":"intraday"}',
    trace_key="b7" * 32,
    symbol="SPY",
    timeframe="5m",
    data_digest="c3" * 32,
    data_source="spy.parquet",
    semantics="TS-1",
    bars=1000,
    first_ts_ms=1_704_067_200_000,
    last_ts_ms=1_704_366_900_000,
)


def one_file(root, about=ABOUT):
    idx, val = np.array([0, 45, 127], np.int32), np.array([1, 0, -1], np.int8)
    table = signals_table(
        about, idx, val, 1_704_067_200_000 + idx.astype(np.int64) * 300_000, np.array([470.5, 471.2, 469.8])
    )
    with stage(root, "traces") as staged:
        staged.write("signals", table, signals_path(about), about.metadata())
        return staged.publish() / signals_path(about)


def test_the_file_of_one_strategy_is_that_of_the_document(tmp_path):
    path = one_file(tmp_path)
    rows = pq.read_table(path, partitioning=None).to_pylist()
    described = {"type": "bollinger_bands", "config": json.loads(ABOUT.config)}

    assert "traces/SPY_5m/signals/bollinger_bands/SPY_5m_strategy_0.parquet" == str(
        path.relative_to(next(tmp_path.glob("*/run_id=*")))
    )
    assert ["idx", "ts", "sym", "val", "strat", "px", "strat_hash", "metadata"] == list(rows[0])
    assert described == json.loads(rows[0]["metadata"])
    assert [None, None] == [row["metadata"] for row in rows[1:]]
    assert [(0, 1, 470.5), (45, 0, 471.2), (127, -1, 469.8)] == [(r["idx"], r["val"], r["px"]) for r in rows]
    assert {("SPY", "strategy_0", "a3" * 32)} == {(r["sym"], r["strat"], r["strat_hash"]) for r in rows}
    assert "2024-01-01T03:45:00+00:00" == rows[1]["ts"].isoformat()


def test_the_file_alone_says_what_it_is(tmp_path):
    told, table = read_signals(one_file(tmp_path))

    assert ("strategy_0", "a3" * 32) == (told["strategy_id"], told["strategy_hash"])
    assert {"period": 20, "std_dev": 2.0} == json.loads(told["strategy_config"])["bollinger_bands"]
    assert ("SPY", "5m", "b7" * 32, "c3" * 32, "TS-1", "1000") == tuple(
        told[name] for name in ("symbol", "timeframe", "trace_key", "data_digest", "engine_semantics", "bars")
    )
    assert ("1704067200000", "1704366900000") == (told["first_ts_ms"], told["last_ts_ms"])
    assert 3 == table.num_rows


def test_what_is_not_known_is_left_out_and_an_empty_trace_has_no_row(tmp_path):
    unknown = About(**{**vars(ABOUT), "strategy_hash": None, "trace_key": None, "bars": None})
    told, table = read_signals(one_file(tmp_path, unknown))
    none = signals_table(ABOUT, *(np.zeros(0, kind) for kind in (np.int32, np.int8, np.int64, np.float64)))

    assert set() == {"strategy_hash", "trace_key", "bars"} & set(told)
    assert [None, None, None] == table["strat_hash"].to_pylist()
    assert 0 == none.num_rows


@pytest.mark.parametrize("text", ["SPY", "spy", "BTC/USDT", "../x", "Ａ", "", "S" * 13, "con", "SPY.", "a b", "\0"])
def test_no_text_of_the_user_makes_a_path(text):
    paths = [signals_path(About(**{**vars(ABOUT), name: text})) for name in ("symbol", "strategy_type", "strategy_id")]

    assert paths == [plain_path(path) for path in paths]
    assert 3 == len(set(paths))
    assert all(path.startswith("traces/") and path.count("/") == 4 for path in paths)


@settings(max_examples=200)
@given(one=st.text(max_size=9), other=st.text(max_size=9))
def test_different_names_have_different_paths_whatever_case_the_disk_minds(one, other):
    paths = [signals_path(About(**{**vars(ABOUT), "symbol": text})).lower() for text in (one, other)]

    assert (one == other) == (paths[0] == paths[1])


def test_files_of_something_else_are_told_in_one_line(tmp_path):
    run, places = store(tmp_path, random_traces(1, 9))
    (tmp_path / "x.parquet").write_bytes(b"no table")
    with pytest.raises(SchemaError, match="is no trace of one strategy"):
        read_signals(run / places[0].path)
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_signals(tmp_path / "x.parquet")
    with pytest.raises(MissingError, match="there is no such file"):
        read_signals(tmp_path / "y.parquet")


def test_the_content_of_two_files_with_one_trace_is_one(tmp_path):
    tables = [read_signals(one_file(tmp_path))[1] for _ in range(2)]

    assert content_sha256(tables[0]) == content_sha256(tables[1])
