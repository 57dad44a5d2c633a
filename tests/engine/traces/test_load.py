import json
import shutil

import pyarrow as pa
import pytest
import small_series
from highwater.engine.traces.index import list_strategies
from highwater.engine.traces.load import Places, load_trace, load_traces
from highwater.io.candles import read_candles
from highwater.io.errors import IntegrityError, MissingError, UsageError
from highwater.io.housekeeping import remove
from highwater.io.publish import stage
from highwater.io.runs import list_runs, read_artifact
from highwater.io.trace_schemas import SIGNALS
from shared_market import series_of
from small_market import run
from small_series import trace


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return candles and a catalog of two runs without files of one strategy; the second refers to the first."""
    folder = tmp_path_factory.mktemp("load")
    candles = small_series.write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("highwater.engine.traces.run.FEW", 0)
        for _ in range(2):
            assert 0 == trace(candles, folder / "runs").code
    run("catalog", "sync", "--runs", folder / "runs")
    return candles, folder / "runs"


@pytest.fixture
def store(made, tmp_path):
    """Return a copy of the runs, to damage."""
    return shutil.copytree(made[1], tmp_path / "runs")


def rows(runs):
    return list_strategies(runs).to_pylist()


def test_times_and_prices_are_rebuilt_from_the_candles(made):
    candles, runs = made
    for row in rows(runs):
        one = load_trace(runs, row["trace_key"])
        bars = series_of(read_candles(candles), row["symbol"])
        found = one.table

        assert SIGNALS == found.schema
        assert row["changes"] == found.num_rows
        idx = found["idx"].to_numpy()
        assert bars.ts[idx].tolist() == found["ts"].cast(pa.int64()).to_pylist()
        assert bars.close[idx].tolist() == found["px"].to_pylist()
        assert {(row["symbol"], row["strategy_hash"])} == set(
            zip(found["sym"].to_pylist(), found["strat_hash"].to_pylist(), strict=True)
        )
        assert json.loads(row["config"]) == json.loads(one.about.config)


def test_a_trace_is_had_by_hash_and_symbol_by_key_or_by_id_and_run(made):
    _, runs = made
    row = next(row for row in rows(runs) if row["symbol"] == "SPY")
    ways = [
        load_trace(runs, row["strategy_hash"][:10], symbol="SPY"),
        load_trace(runs, row["trace_key"][:10]),
        load_trace(runs, row["trace_key"].upper()[:10]),
        load_trace(runs, row["strategy_id"], run=row["run_id"], symbol="SPY"),
        load_trace(runs, row["strategy_hash"][:8], run="latest", symbol="SPY"),
        *load_traces(runs, [row["strategy_hash"]], symbol="SPY"),
    ]

    assert all(ways[0].table.equals(each.table) for each in ways)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"strategy": "strategy_0"}, UsageError, "is the id of a strategy within a run; name the run with --run"),
        ({"strategy": "0"}, UsageError, "'0' is no digest; it must be 4 to 64 of the digits"),
        ({"strategy": "0" * 64}, MissingError, "there is no strategy '0000.* in the catalog"),
        (
            {"strategy": "strategy_77", "run": "latest"},
            MissingError,
            "there is no strategy 'strategy_77' in run latest",
        ),
        (
            {"strategy": "strategy_0", "run": "latest", "symbol": "TLT"},
            MissingError,
            "'strategy_0' of TLT in run latest",
        ),
        ({"strategy": "strategy_0", "run": "latest"}, UsageError, "fits 2 traces: QQQ 5m in .*, SPY 5m in .*--symbol"),
    ],
)
def test_what_does_not_name_one_trace_is_told(made, words, error, message):
    with pytest.raises(error, match=message):
        load_trace(made[1], **words)


def test_a_hash_of_two_series_needs_a_symbol(made):
    with pytest.raises(UsageError, match="say which with --symbol"):
        load_trace(made[1], rows(made[1])[0]["strategy_hash"])


def test_a_trace_is_read_from_the_run_that_has_it_while_that_is_there(store):
    newest, first = list_runs(store)
    key = rows(store)[0]["trace_key"]
    before = load_trace(store, key)
    remove(store, newest.path)
    kept = load_trace(store, key)
    remove(store, first.path)
    with pytest.raises(
        MissingError, match=r"lies in run .*, which is gone .*; highwater traces run --force makes it anew"
    ):
        load_trace(store, key)

    assert (newest.run_id, first.run_id) == (before.row["run_id"], kept.row["run_id"])
    assert before.table.equals(kept.table)


def test_a_damaged_file_of_traces_is_corrupt(store):
    path = list_runs(store)[1].path / "traces/part-0000.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    done = run("traces", "load", rows(store)[0]["trace_key"], "--runs", store)
    verified = run("runs", "verify", list_runs(store)[1].run_id, "--runs", store)

    assert (4, 4) == (done.code, verified.code)
    assert "part-0000.parquet: sha256 is" in done.err


def test_candles_that_are_gone_are_named(store, made, tmp_path):
    shutil.rmtree(store / ".slices")
    key = rows(store)[0]["trace_key"]
    assert load_trace(store, key).table.num_rows  # from the source
    made[0].rename(tmp_path / "moved.parquet")
    try:
        with pytest.raises(MissingError, match="name their slices with --slices, or a file that has them with --cand"):
            load_trace(store, key)
        moved = load_trace(store, key, places=Places(candles=tmp_path / "moved.parquet"))
        sliced = load_trace(store, key, places=Places(slices=made[1] / ".slices"))
    finally:
        (tmp_path / "moved.parquet").rename(made[0])

    assert moved.table.equals(sliced.table)


@pytest.mark.parametrize("named", [True, False])
def test_an_index_of_an_older_version_is_told(tmp_path, named):
    with stage(tmp_path, "traces") as s:
        columns = {"strategy_id": ["strategy_0"], "strategy_hash": ["a3f4b2c1d5e6"], "period": [20], "symbol": ["SPY"]}
        s.write("strategy_index", pa.table({"run_id": [s.run_id], **columns, "trace_path": ["traces/x.parquet"]}))
        s.publish()
    run("catalog", "sync", "--runs", tmp_path)
    words = ("strategy_0", "latest") if named else ("a3f4b2",)
    with pytest.raises(
        IntegrityError, match=r"is of an older version: it has no timeframe, trace_run.*traces migrate"
    ) as e:
        load_trace(tmp_path, *words)

    assert 4 == e.value.exit_code
    assert "period" in run("catalog", "sql", "SELECT period FROM strategies", "--json", "--runs", tmp_path).out


def test_where_each_strategy_has_its_file_no_candles_are_needed(tmp_path):
    candles = small_series.write(tmp_path)
    trace(candles, tmp_path / "runs", "--symbols", "SPY")
    candles.unlink()
    shutil.rmtree(tmp_path / "runs/.slices")
    one = load_trace(tmp_path / "runs", "strategy_1", run="latest")
    (path,) = list_runs(tmp_path / "runs")

    assert read_artifact(path.path, one.row["signals_path"]).replace_schema_metadata(None).equals(one.table)
