import json
import shutil

import pyarrow.parquet as pq
import pytest
import small_series
from highwater.engine.rerun import rerun
from highwater.engine.settings import Store
from highwater.io.errors import IntegrityError, MissingError, UsageError
from highwater.io.housekeeping import remove
from highwater.io.runs import list_runs
from small_market import run
from small_series import trace

EXITS = ("--sl", "0.998", "--tp", "1.003", "--fee-bps", "2", "--no-memory", "--zone", "UTC", "--resample", "10m")


@pytest.fixture
def store(tmp_path):
    """Return a directory with a run of both series, and the candles it read."""
    candles = small_series.write(tmp_path)
    assert 0 == trace(candles, tmp_path / "runs", "--name", "first").code
    return tmp_path / "runs", candles


def again(runs, path, **options):
    return rerun(path, Store(runs=runs, quiet=True), **options)


@pytest.mark.parametrize("words", [(), EXITS, ("--no-performance",), ("--symbols", "SPY", "--from", "2024-01-03")])
def test_a_run_comes_out_again(tmp_path, words):
    runs = tmp_path / "runs"
    assert 0 == trace(small_series.write(tmp_path), runs, *words).code
    found = again(runs, list_runs(runs)[0].path)

    assert ((), ()) == (found.differences, found.changes)
    assert found.before.config_digest == found.after.config_digest
    assert ("traces", ("runs", "rerun", found.before.run_id)) == (found.after.run_type, found.after.command)


def test_a_run_comes_out_again_without_its_source_or_without_its_slice(store):
    runs, candles = store
    (entry,) = list_runs(runs)
    shutil.rmtree(runs / ".slices")
    cut = again(runs, entry.path)
    candles.unlink()
    held = again(runs, entry.path)

    assert () == cut.differences == held.differences
    assert "first" == held.after.execution["name"]


def test_what_is_missing_is_said(store):
    runs, candles = store
    (entry,) = list_runs(runs)
    shutil.rmtree(runs / ".slices")
    pq.write_table(small_series.table(seed=8), candles)
    with pytest.raises(MissingError, match=r"\.slices, and .*bars.parquet holds others now; name their folder"):
        again(runs, entry.path)
    shutil.rmtree(runs / ".slices")
    candles.unlink()
    with pytest.raises(MissingError, match="name their folder with --slices, or a file to rerun it on with --candles"):
        again(runs, entry.path)


def test_other_candles_give_other_traces(store, tmp_path):
    runs, _ = store
    (entry,) = list_runs(runs)
    other = small_series.write(tmp_path / "other", seed=8)
    found = again(runs, entry.path, candles=other)

    assert {"traces", "strategy_index"} <= {each.artifact for each in found.differences}
    assert ["data"] == [each.kind for each in found.changes]


def test_a_run_that_took_traces_from_another_does_so_again_or_says_which_is_gone(store):
    runs, candles = store
    trace(candles, runs, "--slippage-bps", "3")
    second, first = list_runs(runs)
    found = again(runs, second.path)
    remove(runs, first.path)
    with pytest.raises(MissingError, match=f"10 traces of run {second.run_id} lie in {first.run_id}, which is gone"):
        again(runs, second.path)

    assert () == found.differences
    assert [first.run_id] == found.after.execution["traces_of"]


def test_a_run_made_before_the_one_it_is_compared_with_is_made_whole(store):
    runs, _ = store
    (entry,) = list_runs(runs)
    found = again(runs, entry.path)  # though the run itself holds every trace

    assert (0, 0) == (found.before.counts["kept"], found.after.counts["kept"])


def test_a_damaged_run_or_one_with_alerts_is_refused(store, tmp_path):
    runs, _ = store
    (entry,) = list_runs(runs)
    with pytest.raises(UsageError, match="--alerts: a run of traces reads no alerts"):
        again(runs, entry.path, alerts=tmp_path / "alerts.parquet")
    path = entry.path / "inputs/strategies.json"
    path.chmod(0o600)
    path.write_text(json.dumps("sma_crossover"))
    with pytest.raises(IntegrityError, match=r"is corrupt: .*strategies.json: size is"):
        again(runs, entry.path)


def test_strategies_that_this_version_reads_otherwise_are_not_repeated(store, monkeypatch):
    runs, _ = store
    monkeypatch.setattr("highwater.engine.traces.again.strategies_of", lambda _: [])
    with pytest.raises(UsageError, match=r"this version reads the strategies of run .* otherwise than .* did"):
        again(runs, list_runs(runs)[0].path)


def test_the_command_says_that_it_is_the_same(store):
    runs, _ = store
    done = run("runs", "rerun", "latest", "--runs", runs, "--quiet")

    assert (0, "") == (done.code, done.err)
    assert "10 strategy_index" in done.out
    assert "identical" in done.out
