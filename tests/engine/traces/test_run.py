import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import small_series
from highwater.engine.traces.features import Features
from highwater.engine.traces.grammar import parse_strategy
from highwater.engine.traces.identity import trace_key
from highwater.engine.traces.kept import place_of
from highwater.engine.traces.load import where_of
from highwater.engine.traces.performance import Fills, performance_of
from highwater.engine.traces.trace import Trace, trace_of
from highwater.engine.traces.votes import signal_of
from highwater.io.candles import read_candles
from highwater.io.digest import config_digest
from highwater.io.runs import list_runs, read_artifact, read_manifest, verify
from highwater.io.traces import read_signals, read_traces
from shared_market import series_of
from small_market import leftovers, run
from small_series import STEP, trace

SYMBOLS = ("QQQ", "SPY")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a file of candles and a run of five strategies on each of its two series."""
    folder = tmp_path_factory.mktemp("traces")
    candles = small_series.write(folder)
    done = trace(candles, folder / "runs")
    assert 0 == done.code, done.err
    return candles, list_runs(folder / "runs")[0].path


def index(path):
    return read_artifact(path, "strategy_index").to_pylist()


def signal(candles, row):
    """Return the trace of a row of the index, made anew by itself."""
    bars = series_of(read_candles(candles), row["symbol"])
    strategy = parse_strategy(json.loads(row["config"]))
    return bars, trace_of(signal_of(strategy, Features(bars, STEP))[0])


def test_a_run_holds_every_strategy_on_every_series(made):
    _, path = made
    rows, manifest = index(path), read_manifest(path)

    assert [(f"strategy_{i}", symbol) for symbol in SYMBOLS for i in range(5)] == [
        (row["strategy_id"], row["symbol"]) for row in rows
    ]
    assert list(range(10)) == [row["strategy"] for row in rows]
    assert ("traces", "completed", 10) == (manifest.run_type, manifest.status, manifest.counts["traces"])
    assert 10 == manifest.execution["distinct"]
    assert [] == verify(path, content=True)


def test_a_trace_is_the_signal_of_its_strategy_on_its_candles(made):
    candles, path = made
    for row in index(path):
        bars, expected = signal(candles, row)
        ((idx, val),) = read_traces(path, [(place_of(where_of(row)), row["strategy"])])

        np.testing.assert_array_equal(expected.signal(), Trace(idx, val, bars.ts.size).signal())
        assert (row["changes"], row["first_idx"], row["bars"]) == (idx.size, idx[0], bars.ts.size)
        assert (row["first_ts_ms"], row["last_ts_ms"]) == (bars.ts[0], bars.ts[-1])


def test_what_it_earned_is_what_its_trades_make(made):
    candles, path = made
    for row in index(path):
        bars, one = signal(candles, row)
        expected = performance_of(one, bars, STEP, Fills(slippage_bps=1.0)).metrics

        assert expected == {name: row[name] for name in expected}
        assert row["sharpe"] == row["sharpe_ratio"]
        assert ("next_open", 0.0, 1.0, None) == tuple(row[n] for n in ("fill", "fee_bps", "slippage_bps", "exits"))


def test_parameters_are_typed_columns_of_their_own(made):
    table = read_artifact(made[1], "strategy_index")
    kinds = {name: str(table.schema.field(name).type) for name in ("fast_period", "slow_period", "std_dev")}

    assert {"fast_period": "int64", "slow_period": "int64", "std_dev": "double"} == kinds
    assert [5, 5, 8, 8, None] * 2 == table["fast_period"].to_pylist()
    assert [20, 25, 20, 25, None] * 2 == table["slow_period"].to_pylist()
    assert [None, None, None, None, 2.0] * 2 == table["std_dev"].to_pylist()


def test_one_strategy_on_two_series_has_one_hash_and_two_keys(made):
    rows = index(made[1])
    for spy, qqq in zip(rows[:5], rows[5:], strict=True):
        key = (spy["strategy_hash"], spy["data_digest"], spy["symbol"], "5m", "America/New_York")

        assert spy["strategy_hash"] == qqq["strategy_hash"] == config_digest(json.loads(spy["config"]))
        assert trace_key(*key) == spy["trace_key"] != qqq["trace_key"]
        assert spy["data_digest"] != qqq["data_digest"]


TOLD = ("strategy_id", "strategy_hash", "trace_key", "data_digest", "bars")


def test_each_strategy_of_few_has_a_file_that_says_what_it_is(made):
    candles, path = made
    for row in index(path):
        told, table = read_signals(path / row["signals_path"])
        bars, one = signal(candles, row)

        assert f"traces/{row['symbol']}_5m/signals/{row['strategy_type']}/" in row["signals_path"]
        assert {
            name: str(row[name]) for name in ("strategy_id", "strategy_hash", "trace_key", "data_digest", "bars")
        } == {name: told[name] for name in ("strategy_id", "strategy_hash", "trace_key", "data_digest", "bars")}
        assert (json.loads(row["config"]), str(candles)) == (json.loads(told["strategy_config"]), told["data_source"])
        assert one.idx.tolist() == table["idx"].to_pylist()
        assert bars.close[one.idx].tolist() == table["px"].to_pylist()
        assert bars.ts[one.idx].tolist() == table["ts"].cast("int64").to_pylist()


def test_a_run_of_many_has_no_files_of_one(tmp_path, monkeypatch):
    monkeypatch.setattr("highwater.engine.traces.run.FEW", 9)
    trace(small_series.write(tmp_path), tmp_path / "runs")
    path = list_runs(tmp_path / "runs")[0].path

    assert {None} == {row["signals_path"] for row in index(path)}
    assert ["traces/part-0000.parquet"] == [str(p.relative_to(path)) for p in path.glob("traces/**/*.parquet")]


def digests(path):
    return [(a.path, a.content_sha256) for a in read_manifest(path).artifacts if a.type not in ("log", "errors")]


def test_threads_and_blocks_change_no_digest(made, tmp_path, monkeypatch):
    candles, path = made
    for threads, block in ((1, 256), (2, 1), (2, 3)):
        monkeypatch.setattr("highwater.engine.traces.work.BLOCK", block)
        runs = tmp_path / f"{threads}{block}"
        assert 0 == trace(candles, runs, "--threads", threads).code

        assert digests(path) == digests(list_runs(runs)[0].path)


def test_the_order_of_strategies_changes_ids_and_nothing_else(made, tmp_path):
    candles, path = made
    document = json.loads(small_series.SWEEP)
    document["strategies"].reverse()
    trace(candles, tmp_path, strategies=json.dumps(document))
    ours = ("strategy_id", "strategy", "trace_row", "run_id", "trace_run", "signals_path")
    found = [
        {row["trace_key"]: {k: v for k, v in row.items() if k not in ours} for row in index(each)}
        for each in (path, list_runs(tmp_path)[0].path)
    ]

    assert found[0] == found[1]


def test_strategies_that_differ_in_exits_alone_share_a_trace(tmp_path):
    document = '{"sma_crossover": {"fast_period": 5, "slow_period": 20}, "risk": {"stop_loss": [0.002, 0.004, 0.05]}}'
    trace(small_series.write(tmp_path), tmp_path / "runs", "--symbols", "SPY", strategies=document)
    rows = index(list_runs(tmp_path / "runs")[0].path)

    assert 1 == len({(row["trace_key"], row["strategy"], row["trace_row"]) for row in rows})
    assert 3 == len({row["exits"] for row in rows})
    assert 3 == len({row["total_return"] for row in rows})
    assert rows[0]["changes"] == read_artifact(list_runs(tmp_path / "runs")[0].path, "traces").num_rows


def test_flags_give_exits_to_strategies_without_their_own(tmp_path):
    document = '{"strategies": ["bollinger_bands", {"sma_crossover": {}, "risk": {"take_profit": 0.5}}]}'
    words = ("--symbols", "SPY", "--sl", "0.999", "--fill", "signal_close", "--fee-bps", "2")
    trace(small_series.write(tmp_path), tmp_path / "runs", *words, strategies=document)
    first, second = index(list_runs(tmp_path / "runs")[0].path)

    assert [{"sl": "0.999"}, {"tp": [{"frac_bps": 10_000, "mult": "1.5"}]}] == [
        {name: value for name, value in json.loads(row["exits"]).items() if name != "kind"} for row in (first, second)
    ]
    assert ("signal_close", 2.0, 1.0) == tuple(first[name] for name in ("fill", "fee_bps", "slippage_bps"))


def test_what_a_run_holds_is_not_made_again(made, tmp_path, monkeypatch):
    candles, _ = made
    runs = tmp_path / "runs"
    trace(candles, runs)
    first = list_runs(runs)[0]
    monkeypatch.setattr("highwater.engine.traces.run.signal_of", None)  # nothing is made
    done = trace(candles, runs, "--fee-bps", "5")
    second = list_runs(runs)[0]
    rows, before = index(second.path), index(first.path)

    assert (0, "") == (done.code, done.err)
    assert f"10 skipped: run {first.run_id} has them" in done.out
    assert {first.run_id} == {row["trace_run"] for row in rows}
    assert 0 == read_artifact(second.path, "traces").num_rows
    assert [first.run_id] == second.manifest.execution["traces_of"]
    assert [row["changes"] for row in before] == [row["changes"] for row in rows]
    assert all(a["total_return"] > b["total_return"] for a, b in zip(before, rows, strict=True) if a["num_trades"])
    for row in rows:
        assert row["changes"] == read_signals(second.path / row["signals_path"])[1].num_rows


def test_a_wider_sweep_makes_what_is_new_and_force_makes_all(made, tmp_path):
    candles, _ = made
    trace(candles, tmp_path, "--symbols", "SPY")
    run("catalog", "sync", "--runs", tmp_path)
    trace(candles, tmp_path)
    wider = list_runs(tmp_path)[0]
    trace(candles, tmp_path, "--force")
    forced = list_runs(tmp_path)[0]

    assert {"kept": 5, "traces": 10}.items() <= wider.manifest.counts.items()
    assert {"QQQ"} == {row["symbol"] for row in index(wider.path) if row["trace_run"] == wider.run_id}
    assert 0 == forced.manifest.counts["kept"]


def test_other_candles_another_zone_or_timeframe_is_another_trace(made, tmp_path):
    candles, _ = made
    keys = set()
    for words in ([], ["--zone", "UTC"], ["--resample", "10m"], ["--to", "2024-01-09"]):
        done = trace(candles, tmp_path, "--symbols", "SPY", *words, strategies="sma_crossover")
        assert 0 == done.code, done.err
        keys.add(index(list_runs(tmp_path)[0].path)[0]["trace_key"])

    assert 4 == len(keys)


def test_without_performance_nothing_is_traded(made, tmp_path):
    trace(made[0], tmp_path, "--no-performance")
    (row, *_), manifest = index(list_runs(tmp_path)[0].path), list_runs(tmp_path)[0].manifest

    assert {None} == {row[name] for name in ("fill", "sharpe", "num_trades", "total_pnl", "fee_bps")}
    assert (False, False) == (manifest.config["performance"], "fill" in manifest.config)


def test_a_strategy_that_never_warms_is_said_so(made, tmp_path):
    done = trace(made[0], tmp_path, "--to", "2024-01-03", strategies='{"sma_crossover": {"slow_period": 200}}')
    path = list_runs(tmp_path)[0].path
    messages = read_artifact(path, "errors")["message"].to_pylist()

    assert 0 == done.code, done.err
    assert [0, 0] == [row["changes"] for row in index(path)]
    assert "strategy_0 on SPY has no signal: 76 candles are too few for it" in messages
    assert [0, 0] == [pq.read_metadata(path / row["signals_path"]).num_rows for row in index(path)]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_run_leaves_nothing(made, tmp_path, monkeypatch, error):
    def stopped(*_):
        raise error

    monkeypatch.setattr("highwater.engine.traces.run.signal_of", stopped)
    done = trace(made[0], tmp_path)

    assert {KeyboardInterrupt: 130, MemoryError: 5}[error] == done.code
    assert [] == leftovers(tmp_path)


def test_a_bug_is_published_as_a_failed_run(made, tmp_path, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("highwater.engine.traces.run.signal_of", broken)
    done = trace(made[0], tmp_path)

    assert 1 == done.code
    assert [("failed", "a bug")] == [(entry.status, entry.reason) for entry in list_runs(tmp_path)]


def test_a_disk_without_room_is_refused(made, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 100}))
    done = trace(made[0], tmp_path)

    assert 5 == done.code
    assert ", 100 B free; free space, or choose another --runs" in done.err
