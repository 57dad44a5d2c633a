import subprocess
import sys

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from highwater.io import exports_duckdb
from highwater.io.errors import BusyError, StoreError, UsageError
from highwater.io.exports_duckdb import check, store
from highwater.io.publish import stage
from highwater.io.runs import read_manifest
from highwater.io.schemas import ALERTS, table

ROW = {"call_id": "c", "mint": "m", "caller_name": "a\0b", "chain": "solana", "created_at": "2024-01-01T00:00:00Z"}


def alerts(rows=3):
    return table(
        ALERTS, {**ROW, "alert_ts_ms": np.arange(rows), "alert_id": None, "alert_price": None, "mcap_usd": None}
    )


def paths(run_id, **columns):
    return pa.table({"run_id": [run_id] * 2, "call_id": ["a", "b"], **columns})


@pytest.fixture
def runs(tmp_path):
    """Return the manifests of two runs."""
    made = []
    for _ in range(2):
        with stage(tmp_path / "runs", "path-only") as staged:
            made.append(read_manifest(staged.publish(config={"seed": "1"}, command=("baseline", "--top", "3"))))
    return made


def ask(path, sql):
    with duckdb.connect(str(path), read_only=True) as database:
        return database.sql(sql).fetchall()


def test_runs_gather_in_one_file_and_are_told_apart(tmp_path, runs):
    path = tmp_path / "deep" / "store.duckdb"
    counts = [store(path, run, iter([("alerts", alerts())]), "") for run in runs]

    assert [2, 2] == counts
    assert sorted((run.run_id, 3) for run in runs) == ask(
        path, "SELECT run_id, count(*) FROM highwater.alerts GROUP BY ALL ORDER BY ALL"
    )
    assert [(runs[0].created_at, "baseline --top 3", '{"seed": "1"}')] == ask(
        path, f"SELECT created_at, command, config FROM highwater.runs WHERE run_id = '{runs[0].run_id}'"
    )
    assert [("a\0b",)] == ask(path, "SELECT DISTINCT caller_name FROM highwater.alerts")
    assert ["store.duckdb"] == [found.name for found in path.parent.iterdir()]


def test_a_run_stored_twice_is_there_once(tmp_path, runs):
    path = tmp_path / "store.duckdb"
    store(path, runs[0], iter([("alerts", alerts(5))]), "")
    store(path, runs[0], iter([("alerts", alerts(3)), ("alerts", alerts(1))]), "")

    assert [(4,)] == ask(path, "SELECT count(*) FROM highwater.alerts")
    assert [(1,)] == ask(path, "SELECT count(*) FROM highwater.runs")


def test_columns_that_only_some_runs_have_are_null_in_the_others(tmp_path, runs):
    path, (one, two) = tmp_path / "store.duckdb", runs
    store(path, one, iter([("paths", paths(one.run_id, hit_2x=[True, None]))]), "")
    store(path, two, iter([("paths", paths(two.run_id, p0=[1.5, 2.5]))]), "")

    assert sorted(
        [(one.run_id, True, None), (one.run_id, None, None), (two.run_id, None, 1.5), (two.run_id, None, 2.5)], key=str
    ) == sorted(ask(path, "SELECT run_id, hit_2x, p0 FROM highwater.paths"), key=str)


def test_the_users_own_tables_stay(tmp_path, runs):
    path = tmp_path / "mine.duckdb"
    with duckdb.connect(str(path)) as database:
        database.execute("CREATE TABLE runs AS SELECT 7 AS mine")
    store(path, runs[0], iter([("alerts", alerts())]), "")

    assert [(7,)] == ask(path, "SELECT mine FROM runs")
    assert [(3,)] == ask(path, "SELECT count(*) FROM highwater.alerts")


def broken():
    yield "alerts", alerts()
    raise StoreError("the disk went away")


@pytest.mark.parametrize("there", [True, False])
def test_a_store_that_fails_changes_nothing(tmp_path, runs, there):
    path = tmp_path / "store" / "store.duckdb"
    if there:
        store(path, runs[0], iter([("alerts", alerts())]), "")
    with pytest.raises(StoreError, match="the disk went away"):
        store(path, runs[1], broken(), "")

    assert (["store.duckdb"] if there else []) == [found.name for found in path.parent.iterdir()]
    if there:
        assert [(runs[0].run_id, 3)] == ask(path, "SELECT run_id, count(*) FROM highwater.alerts GROUP BY ALL")


def test_a_file_in_use_is_busy(tmp_path, runs):
    path = tmp_path / "store.duckdb"
    code = "import duckdb, sys\nd = duckdb.connect(sys.argv[1])\nprint('open', flush=True)\nsys.stdin.read()"
    duckdb.connect(str(path)).close()
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        other.stdout.readline()
        with pytest.raises(BusyError, match=r"store\.duckdb is in use .*; repeat"):
            store(path, runs[0], iter([]), "repeat")
        other.stdin.close()


@pytest.mark.parametrize("make", [lambda p: p.write_text("hello"), lambda p: p.mkdir(), lambda p: p.symlink_to("no")])
def test_what_is_no_database_is_refused(tmp_path, make):
    make(tmp_path / "x")
    with pytest.raises(UsageError, match="is no DuckDB database"):
        check(tmp_path / "x")


def test_a_database_or_nothing_may_take_runs(tmp_path, runs):
    store(tmp_path / "x", runs[0], iter([]), "")

    assert check(tmp_path / "x") is check(tmp_path / "new") is None


def test_a_table_that_cannot_take_the_rows_is_named_in_the_error(tmp_path, runs):
    path = tmp_path / "store.duckdb"
    with duckdb.connect(str(path)) as database:
        database.execute("CREATE SCHEMA highwater; CREATE TABLE highwater.alerts (run_id TEXT, mint INTEGER)")
    with pytest.raises(UsageError, match=r"store\.duckdb cannot take the run: .*'m'"):
        store(path, runs[0], iter([("alerts", alerts())]), "")

    assert [] == ask(path, "FROM highwater.alerts")
    assert "highwater" == exports_duckdb.SCHEMA
