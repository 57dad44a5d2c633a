import shutil

import pytest
import small_series
from highwater.engine.traces.kept import kept_traces, read_kept
from highwater.io.errors import IntegrityError
from highwater.io.runs import list_runs, read_artifact
from small_market import run
from small_series import trace


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a directory of two runs, of which the second takes its traces from the first, and a failed one."""
    folder = tmp_path_factory.mktemp("kept")
    candles = small_series.write(folder)
    for _ in range(2):
        assert 0 == trace(candles, folder / "runs", "--symbols", "SPY").code
    return folder / "runs"


@pytest.fixture
def store(made, tmp_path):
    return shutil.copytree(made, tmp_path / "runs")


def digests(runs):
    return {row["data_digest"] for row in read_artifact(list_runs(runs)[-1].path, "strategy_index").to_pylist()}


def test_traces_are_found_with_and_without_a_catalog(store):
    first = list_runs(store)[-1]
    by_manifest = kept_traces(store, digests(store))
    assert 0 == run("catalog", "sync", "--runs", store).code
    by_catalog = kept_traces(store, digests(store))
    rows = read_artifact(first.path, "strategy_index").to_pylist()

    assert by_manifest == by_catalog
    assert {row["trace_key"] for row in rows} == set(by_catalog)
    assert {first.path} == {kept.run for kept in by_catalog.values()}
    assert {first.run_id} == {kept.where.trace_run for kept in by_catalog.values()}


def test_traces_of_other_candles_are_not_found(store):
    assert {} == kept_traces(store, {"0" * 64})
    assert {} == kept_traces(store, set())
    assert {} == kept_traces(store / "none", digests(store))


@pytest.mark.parametrize("synced", [False, True])
def test_a_run_that_is_gone_or_damaged_holds_none(store, synced):
    wanted, first = digests(store), list_runs(store)[-1].path
    if synced:
        run("catalog", "sync", "--runs", store)
    (first / "traces/part-0000.parquet").unlink()
    damaged = kept_traces(store, wanted)
    shutil.rmtree(first)

    assert {} == damaged == kept_traces(store, wanted)


def test_a_trace_that_was_changed_is_not_taken(store):
    kept = list(kept_traces(store, digests(store)).values())
    path = kept[0].run / "traces/part-0000.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="sha256 is"):
        read_kept(kept)


def test_of_several_runs_that_hold_a_trace_it_is_the_newest(store, tmp_path):
    trace(small_series.write(tmp_path), store, "--symbols", "SPY", "--force")

    assert {list_runs(store)[0].path} == {kept.run for kept in kept_traces(store, digests(store)).values()}
