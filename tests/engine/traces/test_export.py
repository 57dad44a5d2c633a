import json
import shutil

import pyarrow.parquet as pq
import pytest
import small_series
from highwater.engine.traces.export import export_traces
from highwater.engine.traces.load import Places, load_trace
from highwater.io.errors import MissingError, UsageError
from highwater.io.housekeeping import remove
from highwater.io.runs import list_runs, read_artifact
from highwater.io.traces import read_signals
from small_market import run
from small_series import trace


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Return a directory of a run without files of one strategy, and of one that takes its traces from the first."""
    monkeypatch.setattr("highwater.engine.traces.run.FEW", 0)
    candles = small_series.write(tmp_path)
    for _ in range(2):
        assert 0 == trace(candles, tmp_path / "runs").code
    return tmp_path / "runs"


@pytest.mark.parametrize("which", [0, 1])
def test_every_trace_becomes_a_file_that_says_what_it_is(store, tmp_path, which):
    entry = list_runs(store)[which]
    folder = tmp_path / "out"
    done = run("traces", "export", entry.run_id, folder, "--runs", store)
    index = pq.read_table(folder / "index.parquet").to_pylist()
    rows = read_artifact(entry.path, "strategy_index").to_pylist()

    assert (0, f"{folder}: 10 files\n") == (done.code, done.out)
    assert [row["trace_key"] for row in rows] == [row["trace_key"] for row in index]
    assert {*(row["file"] for row in index), "index.parquet"} == {
        str(path.relative_to(folder)) for path in folder.rglob("*.parquet")
    }
    assert "QQQ_5m/signals/sma_crossover/QQQ_5m_strategy_0.parquet" == index[0]["file"]
    for row in index:
        told, table = read_signals(folder / row["file"])

        assert (row["strategy_hash"], entry.run_id) == (told["strategy_hash"], told["run_id"])
        assert json.loads(row["config"]) == json.loads(told["strategy_config"])
        loaded = load_trace(store, row["strategy_id"], entry.run_id, row["symbol"])
        assert loaded.table.equals(table.replace_schema_metadata(None))


def test_an_export_takes_the_place_of_an_earlier_one_and_of_nothing_else(store, tmp_path):
    folder, path = tmp_path / "out", list_runs(store)[0].path
    for _ in range(2):
        assert 10 == export_traces(path, folder, Places())
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds 'mine\.txt', which no export wrote"):
        export_traces(path, folder, Places())


def test_what_is_gone_is_said_and_leaves_nothing(store, tmp_path):
    second, first = list_runs(store)
    shutil.rmtree(store / ".slices")
    (tmp_path / "bars.parquet").unlink()
    with pytest.raises(MissingError, match="name their slices with --slices"):
        export_traces(first.path, tmp_path / "out", Places())
    remove(store, first.path)
    with pytest.raises(MissingError, match=f"lie in {first.run_id}, which is gone"):
        export_traces(second.path, tmp_path / "out", Places())

    assert not (tmp_path / "out").exists()
