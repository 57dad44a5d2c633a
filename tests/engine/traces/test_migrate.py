import json
import shutil

import old_workspace
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from highwater.engine.traces.grammar import parse_strategy
from highwater.engine.traces.index import list_strategies
from highwater.engine.traces.load import load_trace
from highwater.io.digest import file_sha256
from highwater.io.runs import list_runs, read_artifact, verify
from highwater.io.traces import read_signals
from old_workspace import TRACE, put, rows
from small_market import run


@pytest.fixture
def old(tmp_path):
    return old_workspace.write(tmp_path / "old")


def content(folder):
    return {str(path.relative_to(folder)): file_sha256(path) for path in folder.rglob("*") if path.is_file()}


def migrated(old, runs, *words):
    done = run("traces", "migrate", old, "--apply", "--runs", runs, *words)
    assert 0 == done.code, done.err
    return list_runs(runs)[0]


def index(entry):
    return {row["strategy_id"]: row for row in read_artifact(entry.path, "strategy_index").to_pylist()}


def test_a_dry_run_says_all_and_writes_nothing(old, tmp_path):
    before = content(old)
    done = run("traces", "migrate", old, "--runs", tmp_path / "runs")

    assert (0, "") == (done.code, done.err)
    for words in (
        "SPY_5m_strategy_0, SPY 5m, 3 changes: bollinger_bands(20, 2)",
        "left: row 3: idx must ascend from 0 or more, in whole numbers",
        "without a hash: metadata.json does not say its parameters",
        "6 of 14 files can be brought over, 2 with their parameters known to us",
        "nothing was written; --apply makes the run, and leaves the workspace as it is",
    ):
        assert words in done.out
    assert not (tmp_path / "runs").exists()
    assert before == content(old)


def test_what_is_brought_over_is_a_run_like_others(old, tmp_path):
    before = content(old)
    entry = migrated(old, tmp_path)

    assert before == content(old)
    assert ("traces", "completed") == (entry.manifest.run_type, entry.status)
    assert [] == verify(entry.path, content=True)
    assert {"traces": 6, "left": 8, "unknown": 4, "changes": 18} == entry.manifest.counts
    assert [("workspace", str(old), 14)] == [(one.kind, one.source, one.rows) for one in entry.manifest.inputs]
    messages = read_artifact(entry.path, "errors")["message"].to_pylist()
    assert 12 == len(messages)
    assert "traces/SPY_1m/signals/bad/two.parquet: row 2: val must be 1, 0 or -1" in messages


def test_a_strategy_whose_parameters_are_known_has_our_hash(old, tmp_path):
    found = index(migrated(old, tmp_path))
    bands = parse_strategy({"bollinger_bands": {"period": 20, "std_dev": 2.0}})
    crossing = parse_strategy({"sma_crossover": {"fast_period": 10, "slow_period": 30}})

    for name, expected in (("SPY_5m_strategy_0", bands), ("SPY_5m_strategy_1", crossing)):
        assert expected.strategy_hash == found[name]["strategy_hash"]
        assert expected.config == json.loads(found[name]["config"])
    assert (20, 2.0) == (found["SPY_5m_strategy_0"]["period"], found["SPY_5m_strategy_0"]["std_dev"])
    assert 10 == found["SPY_5m_strategy_1"]["fast_period"]


def test_what_is_not_known_is_not_made_up(old, tmp_path):
    found = index(migrated(old, tmp_path))
    unknown = {name: row for name, row in found.items() if row["strategy_hash"] is None}

    assert {f"SPY_5m_strategy_{i}" for i in (2, 3, 4, 9)} == set(unknown)
    assert {None} == {row[name] for row in found.values() for name in ("trace_key", "data_digest", "bars", "sharpe")}
    assert ("no_such_rule", 7) == (found["SPY_5m_strategy_4"]["strategy_type"], found["SPY_5m_strategy_4"]["period"])
    assert 25 == found["SPY_5m_strategy_2"]["period"]
    assert None is found["SPY_5m_strategy_3"]["period"]
    kept = json.loads(found["SPY_5m_strategy_2"]["config"])
    assert "traces/SPY_5m/signals/bollinger_bands/SPY_5m_bollinger_bands_2_1234.parquet" == kept["file"]
    assert "volume > 100" == kept["metadata"]["full_config"]["filter"]


def test_times_and_prices_are_kept_and_read_back(old, tmp_path):
    entry = migrated(old, tmp_path / "runs")
    shutil.rmtree(old)
    for name, row in index(entry).items():
        told, table = read_signals(entry.path / row["signals_path"])
        loaded = load_trace(tmp_path / "runs", name, entry.run_id, row["symbol"]).table

        assert [(idx, val, px) for idx, val, px in TRACE] == list(
            zip(*(table[column].to_pylist() for column in ("idx", "val", "px")), strict=True)
        )
        assert loaded.equals(table.replace_schema_metadata(None))
        assert ("migrated", row["symbol"]) == (told["engine_semantics"], told["symbol"])


def test_the_catalog_finds_them_by_parameter(old, tmp_path):
    migrated(old, tmp_path)
    run("catalog", "sync", "--runs", tmp_path)

    assert ["SPY_5m_strategy_0"] == list_strategies(tmp_path, where=["period=20"])["strategy_id"].to_pylist()
    assert 0 == run("traces", "load", "SPY_5m_strategy_4", "--run", "latest", "--runs", tmp_path).code


def test_a_workspace_is_brought_over_once(old, tmp_path):
    entry = migrated(old, tmp_path)
    done = run("traces", "migrate", old, "--apply", "--runs", tmp_path)

    assert 2 == done.code
    assert f"run {entry.run_id} holds {old} already; --force makes another" in done.err
    assert entry.run_id != migrated(old, tmp_path, "--force").run_id


def test_a_brought_over_run_cannot_be_done_again(old, tmp_path):
    migrated(old, tmp_path)
    done = run("runs", "rerun", "latest", "--runs", tmp_path)

    assert 2 == done.code
    assert "was brought over from an older workspace; there is nothing to repeat" in done.err


def test_a_file_that_says_its_config_itself_is_believed_where_the_grammar_is(tmp_path):
    def told(config):
        return rows(TRACE, "SPY", "s").replace_schema_metadata({"strategy_config": config})

    good = '{"bollinger_bands": {"period": 20, "std_dev": 2.0}, "constraints": "intraday"}'
    put(tmp_path / "old", "traces/SPY_5m/signals/x/good.parquet", told(good))
    put(tmp_path / "old", "traces/SPY_5m/signals/x/snapshot.parquet", told('{"price": 470.5, "upper_band": 471.2}'))
    found = index(migrated(tmp_path / "old", tmp_path / "runs"))

    assert {"s", "snapshot"} == set(found)  # two of one name: the second is called as its file
    assert (parse_strategy(json.loads(good)).strategy_hash, None) == tuple(
        found[name]["strategy_hash"] for name in ("s", "snapshot")
    )
    assert ("intraday", 20) == (found["s"]["constraints"], found["s"]["period"])


def test_a_parameter_that_is_no_number_keeps_a_strategy_without_a_hash(tmp_path):
    put(tmp_path / "old", "traces/SPY_5m/signals/x/y.parquet", rows(TRACE, "SPY", "s"))
    told = old_workspace.component("bollinger_bands", period=20, std_dev="wide", symbol=3)
    (tmp_path / "old/metadata.json").write_text(json.dumps({"components": {"s": told}}))
    row = index(migrated(tmp_path / "old", tmp_path / "runs"))["s"]

    assert (None, 20, "SPY") == (row["strategy_hash"], row["period"], row["symbol"])


def test_where_nothing_can_be_brought_over_there_is_no_run(tmp_path):
    put(tmp_path / "old", "traces/SPY_5m/signals/x/y.parquet", pa.table({"a": [1]}))
    done = run("traces", "migrate", tmp_path / "old", "--apply", "--runs", tmp_path / "runs")

    assert 3 == done.code
    assert "none of 1 files can be brought over: it has no column idx, ts, val, px (found: a)" in done.err
    assert [] == list_runs(tmp_path / "runs")


def test_json_has_the_fate_of_every_file(old, tmp_path):
    document = json.loads(run("traces", "migrate", old, "--json", "--runs", tmp_path).out)
    by_file = {each["file"]: each for each in document["files"]}

    assert (None, 14) == (document["run_id"], len(by_file))
    assert {"period": 20, "std_dev": 2.0} == by_file[
        "traces/SPY_5m/signals/bollinger_bands/SPY_5m_bollinger_bands_0_1234.parquet"
    ]["parameters"]
    assert "strategy_id" not in by_file["traces/SPY_1m/signals/bad/two.parquet"]


def test_names_of_a_workspace_make_no_path(tmp_path):
    evil = "../../../x"
    put(tmp_path / "old", "traces/..SPY_5m/signals/x y/z.parquet", rows(TRACE, "SPY", evil))
    entry = migrated(tmp_path / "old", tmp_path / "runs")
    (row,) = index(entry).values()

    assert (evil, "..SPY", "x y") == (row["strategy_id"], row["symbol"], row["strategy_type"])
    assert pq.read_table(entry.path / row["signals_path"], partitioning=None).num_rows
    assert ".." not in row["signals_path"]
