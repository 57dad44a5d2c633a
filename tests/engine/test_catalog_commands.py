import json
import re
import shutil
from pathlib import Path

import duckdb
import pytest
import small_market
from highwater.engine.catalog import (
    artifact_path,
    artifacts_of,
    configurations_tried,
    load_artifact,
    load_manifest,
    query_runs,
    statistics,
)
from highwater.io import catalog_store
from highwater.io.errors import IntegrityError, MissingError, UsageError
from highwater.io.manifest import utc_text
from highwater.io.publish import stage
from highwater.io.runs import read_artifact
from small_market import run

DAY = 86_400_000
FIRST = 1_704_067_200_000  # 2024-01-01


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a directory of runs, one of each kind, and its catalog."""
    folder = tmp_path_factory.mktemp("market")
    market = small_market.write(folder)
    common = [*market.flags, "--runs", folder / "runs", "--quiet"]
    for words in (["baseline"], ["strategy", "--tp", "2"], ["sweep", "--trials", "20"]):
        assert 0 == run(*words, *common).code
    assert 0 == run("catalog", "sync", "--runs", folder / "runs").code
    return folder / "runs"


@pytest.fixture
def store(made, tmp_path):
    """Return a copy of it, to damage."""
    return shutil.copytree(made, tmp_path / "runs")


@pytest.fixture
def days(tmp_path, monkeypatch):
    """Return a directory of six runs, one a day from 2024-01-01 on at 12:00; the third failed, the last is damaged."""
    for day in range(6):
        now = FIRST + day * DAY + DAY // 2
        monkeypatch.setattr("highwater.io.publish.time.time_ns", lambda now=now: now * 1_000_000)
        with stage(tmp_path, "path-only" if day % 2 else "policy") as staged:
            path = staged.fail(ValueError("no data")) if day == 2 else staged.publish()
    (path / "run.json").unlink()
    assert 0 == run("catalog", "sync", "--runs", tmp_path).code
    return tmp_path


def test_a_sync_prints_what_the_document_shows(tmp_path):
    with stage(tmp_path, "path-only") as staged:
        staged.publish()
    first = run("backtest", "catalog-sync", "--stats", "--runs", tmp_path)
    second = run("backtest", "catalog-sync", "--runs", tmp_path)

    assert (0, "") == (first.code, first.err)
    assert (
        """✓ Initialized catalog tables
✓ Registered 1 run
✓ Updated 0, unchanged 0, removed 0
✓ Skipped 0 runs

Catalog Statistics:
  Total runs: 1
  Completed: 1
  Failed: 0
  By type: { "path-only": 1 }
  Total artifacts: 2
  By type: { "errors": 1, "log": 1 }
"""
        == first.out
    )
    assert "✓ Registered 0 runs\n✓ Updated 0, unchanged 1, removed 0\n✓ Skipped 0 runs\n" == second.out


def test_a_sync_names_every_run_it_skips(days):
    done = run("catalog", "sync", "--stats", "--runs", days)
    whole = json.loads(run("catalog", "sync", "--stats", "--json", "--runs", days).out)

    assert "✓ 1 run among them failed\n✗ Skipped 1 run\n  corrupt " in done.out
    assert "run.json is missing" in done.out
    assert "  Corrupt: 1\n" in done.out
    assert (0, 5, 1) == (whole["registered"], whole["unchanged"], whole["failed"])
    assert ["corrupt"] == [each["status"] for each in whole["corrupt"]]
    assert {"completed": 4, "failed": 1, "corrupt": 1} == whole["statistics"]["by_status"]


def test_a_damaged_catalog_is_rebuilt_and_told(store):  # F078
    catalog = next(store.glob(".catalog/catalog-*"))
    catalog.write_bytes(catalog.read_bytes()[:-100])
    asked = run("catalog", "query", "--runs", store)
    done = run("catalog", "sync", "--runs", store)

    assert (4, 0) == (asked.code, done.code)
    assert "✓ The catalog was damaged and has been rebuilt from 3 runs: " in done.out
    assert 0 == run("catalog", "query", "--runs", store).code


def test_a_locked_catalog_is_exit_75(store, monkeypatch):
    monkeypatch.setattr(catalog_store, "WAIT_S", 0.0)
    with catalog_store.locked(store / ".catalog"):
        done = run("catalog", "sync", "--runs", store)

    assert 75 == done.code
    assert "the runs are saved, sync again later" in done.err


def test_runs_are_listed_newest_first(made):
    done = run("backtest", "catalog-query", "--limit", 10, "--runs", made)
    rows = json.loads(run("backtest", "catalog-query", "--json", "--runs", made).out)
    listed = json.loads(run("runs", "list", "--json", "--runs", made).out)

    assert [each["run_id"] for each in listed] == [each["run_id"] for each in rows]
    assert [each["path"] for each in listed] == [each["path"] for each in rows]
    assert [each["created_at"] for each in listed] == [each["created_at"] for each in rows]
    assert [each["alerts"] for each in listed] == [each["calls"] for each in rows]
    assert [0, 80] == [done.code, max(80, *map(len, done.out.splitlines()))]
    for each in rows:
        assert re.search(f"{each['run_id']} +{each['run_type']} +completed +{each['created_at'][:10]}", done.out)


FILTERS = [
    ({}, "05 04 03 02 01"),
    ({"run_type": "policy"}, "05 03 01"),
    ({"status": "completed"}, "05 04 02 01"),
    ({"status": "failed"}, "03"),
    ({"run_type": "policy", "status": "completed"}, "05 01"),
    ({"from_date": "2024-01-04"}, "05 04"),
    ({"to_date": "2024-01-02"}, "02 01"),
    ({"from_date": "2024-01-02T12:00", "to_date": "2024-01-04T12:00"}, "03 02"),
    ({"from_date": FIRST + DAY, "to_date": FIRST + 2 * DAY}, "02"),
    ({"limit": 2}, "05 04"),
    ({"artifact_type": "errors", "limit": 9}, "05 04 03 02 01"),
    ({"artifact_type": "trades"}, ""),
    ({"run_id": "latest"}, "05"),
    ({"run_type": "x' OR 1=1 --"}, ""),
    ({"artifact_type": "errors' OR '1'='1"}, ""),
]


@pytest.mark.parametrize(("filters", "expected"), FILTERS, ids=str)
def test_every_filter_holds(days, filters, expected):  # F105
    found = query_runs(days, **filters)

    assert expected.split() == [f"{each.created_at:%d}" for each in found if each.created_at]


def test_a_run_that_is_not_served_is_listed_last_with_the_reason(days):
    bad = query_runs(days)[-1]
    done = run("catalog", "query", "--status", "corrupt", "--runs", days)

    assert ("corrupt", None, None) == (bad.status, bad.run_type, bad.manifest_digest)
    assert f"{bad.run_id}: " in done.out
    assert "run.json is missing" in done.out
    assert [] == artifacts_of(days, bad)


def test_flags_of_the_document_filter(days):
    words = ["--run-type", "path-only", "--status", "completed", "--from-date", "2024-01-02", "--to-date", "2024-01-02"]
    rows = json.loads(run("backtest", "catalog-query", *words, "--json", "--runs", days).out)

    assert [utc_text(FIRST + DAY + DAY // 2)] == [each["created_at"] for each in rows]
    assert 2 == run("catalog", "query", "--run-type", "polcy", "--runs", days).code
    assert "at least 1" in run("catalog", "query", "--limit", "0", "--runs", days).err


def test_a_run_is_named_by_its_id_or_a_part_of_it(made):
    newest = query_runs(made)[0].run_id

    for name in (newest, newest.upper(), newest[-6:], "latest"):
        done = run("catalog", "query", "--run-id", name, "--runs", made)

        assert newest in done.out
        assert "results/trials.parquet" in done.out
    assert 3 == len(query_runs(made, run_id=newest[:4]))
    assert "too short" in run("catalog", "query", "--run-id", "abc", "--runs", made).err
    assert "no such run in the catalog" in run("catalog", "query", "--run-id", "zzzz", "--runs", made).out


def test_the_path_of_an_artifact_is_printed(made):
    newest = query_runs(made)[0]
    done = run("backtest", "catalog-query", "--run-id", newest.run_id, "--artifact-type", "paths", "--runs", made)
    every = run("backtest", "catalog-query", "--artifact-type", "trades", "--runs", made)

    assert f"{made / newest.path}/truth/paths.parquet\n" == done.out
    assert 2 == len(every.out.splitlines())
    assert all(Path(line).is_file() for line in every.out.splitlines())
    assert 2 == run("catalog", "query", "--artifact-type", "equity", "--runs", made).code


def test_the_path_of_a_damaged_artifact_is_not(store):
    newest = query_runs(store)[0]
    (store / newest.path / "truth/paths.parquet").unlink()
    done = run("catalog", "query", "--artifact-type", "paths", "--runs", store)

    assert 4 == done.code
    assert 2 == len(done.out.splitlines())
    assert "truth/paths.parquet is gone" in done.err
    with pytest.raises(IntegrityError, match="is gone"):
        artifact_path(store, newest.run_id, "paths")
    shutil.rmtree(store / newest.path)
    done = run("catalog", "query", "--artifact-type", "paths", "--runs", store)

    assert (0, 2) == (done.code, len(done.out.splitlines()))  # as after prune, until the next sync
    assert "truth/paths.parquet is gone; highwater catalog sync" in done.err
    with pytest.raises(MissingError, match="was deleted") as caught:  # F070
        artifact_path(store, newest.run_id, "paths")

    assert "E_GONE" == caught.value.code


def test_runs_are_asked_and_read_from_python(made):
    found = query_runs(made, run_type="path-only", status="completed", from_date="2024-01-01", limit=100)
    (one,) = found
    path = artifact_path(made, one.run_id, "paths")

    assert made / one.path / "truth/paths.parquet" == path
    assert read_artifact(made / one.path, "paths").equals(load_artifact(made, one.run_id, "paths"))
    assert one.manifest_digest == (made / one.path / "_SUCCESS").read_text()
    assert (one.run_id, "path-only") == (load_manifest(made, one.run_id).run_id, one.run_type)
    assert 21 == configurations_tried(made, str(one.data_digest))
    assert 0 == configurations_tried(made, "nothing")
    assert {"search": 1, "policy": 1, "path-only": 1} == statistics(made).by_type


@pytest.mark.parametrize(
    ("name", "kind", "error", "message"),
    [
        ("zzzz", "paths", MissingError, "no run 'zzzz' in the catalog"),
        ("latest", "equity", MissingError, "no artifact 'equity'"),
        ("01", "paths", UsageError, "too short"),
        ("../x", "paths", MissingError, "no run"),
    ],
)
def test_what_is_not_there_is_told(made, name, kind, error, message):
    with pytest.raises(error, match=message):
        artifact_path(made, name, kind)


def test_a_part_that_fits_several_runs_is_refused(made):
    with pytest.raises(UsageError, match="fits several runs"):
        load_manifest(made, query_runs(made)[0].run_id[:4])


BEST_CALLERS = """
SELECT caller_name, COUNT(*) as calls, AVG(CASE WHEN hit_2x THEN 1 ELSE 0 END) as hit_rate_2x,
  AVG(peak_multiple) as avg_peak_multiple, AVG(dd_bps) as avg_drawdown_bps
FROM read_parquet('{run}/truth/paths.parquet')
GROUP BY caller_name HAVING calls >= 3 ORDER BY hit_rate_2x DESC LIMIT 20;"""
COMPARE = """
WITH policy_a AS (SELECT * FROM read_parquet('{run}/policy/trades.parquet')),
policy_b AS (SELECT * FROM read_parquet('{other}/policy/trades.parquet'))
SELECT 'Policy A' as policy, AVG(realized_return_bps) as avg_return,
  AVG(CASE WHEN stop_out THEN 1 ELSE 0 END) as stop_out_rate FROM policy_a
UNION ALL
SELECT 'Policy B' as policy, AVG(realized_return_bps) as avg_return,
  AVG(CASE WHEN stop_out THEN 1 ELSE 0 END) as stop_out_rate FROM policy_b;"""
SERIES = """
SELECT DATE_TRUNC('day', epoch_ms(alert_ts_ms)) as day, COUNT(*) as calls,
  AVG(CASE WHEN hit_2x THEN 1 ELSE 0 END) as hit_rate_2x, AVG(peak_multiple) as avg_peak_multiple
FROM read_parquet('{run}/truth/paths.parquet') GROUP BY day ORDER BY day;"""


@pytest.mark.parametrize("example", [BEST_CALLERS, COMPARE, SERIES], ids=["best callers", "compare", "time series"])
def test_the_documents_analyses_run(made, example):
    newest, other, _ = query_runs(made)
    statement = example.format(run=made / newest.path, other=made / other.path)
    done = run("catalog", "sql", statement, "--json", "--runs", made)
    expected = duckdb.sql(statement).fetchall()

    assert 0 == done.code, done.err
    assert len(expected) == len(json.loads(done.out)) > 1
    assert [row[1] for row in expected] == [pytest.approx(list(row.values())[1]) for row in json.loads(done.out)]


def test_an_answer_is_a_table_or_a_line_a_value(made):
    narrow = run("catalog", "sql", "SELECT run_type, calls, 0.5 AS half FROM runs ORDER BY 1", "--runs", made)
    wide = run("catalog", "sql", "SELECT * FROM trades WHERE status = 'OK' LIMIT 1", "--runs", made)

    assert ["run_type", "calls", "half"] == narrow.out.split()[:3]
    assert re.search(r"^path-only +19 +0\.5$", narrow.out, re.MULTILINE)
    assert re.search(r"^exit_reason +\w", wide.out, re.MULTILINE)


def test_rows_beyond_the_limit_are_told(made):
    done = run("catalog", "sql", "FROM range(9)", "--limit", 2, "--runs", made)

    assert (0, 2) == (done.code, len(done.out.splitlines()) - 1)
    assert "more than 2 rows" in done.err


def test_values_of_every_kind_are_json(made):
    statement = (
        "SELECT DATE '2024-01-01' AS d, TIMESTAMP '2024-01-01' AS t, 'nan'::DOUBLE AS n, 1.5::DECIMAL(4,1) AS m, "
        "[1, 2] AS l, {'a': NULL} AS s, 'x'::BLOB AS b, true AS y, 'é\n' AS e"
    )
    (row,) = json.loads(run("catalog", "sql", statement, "--json", "--runs", made).out)

    assert ["2024-01-01", "2024-01-01T00:00:00.000Z", None, "1.5", [1, 2], {"a": None}, "b'x'", True, "é\n"] == [
        *row.values()
    ]
    assert "é\\n" in run("catalog", "sql", statement, "--runs", made).out


@pytest.mark.parametrize(
    ("statement", "code", "words"),
    [
        ("DROP TABLE runs", 2, "it must be one SELECT"),
        ("FROM read_text('/etc/passwd')", 2, "reads the runs that the catalog knows"),
        ("FROM nothing", 2, "nothing does not exist"),
    ],
)
def test_a_statement_that_is_refused_is_one_line(made, statement, code, words):
    done = run("catalog", "sql", statement, "--runs", made)

    assert (code, "", 1) == (done.code, done.out, done.err.count("\n"))
    assert words in done.err


def test_a_file_left_out_is_named(store):
    newest = query_runs(store)[0]
    (store / newest.path / "policy/trades.parquet").unlink()
    done = run("catalog", "sql", "SELECT count(DISTINCT run_id) AS n FROM trades", "--json", "--runs", store)

    assert [{"n": 1}] == json.loads(done.out)
    assert done.err.startswith("highwater: left out: ")


def test_the_catalog_has_a_path(made):
    done = run("catalog", "path", "--runs", made)

    assert f"{made}/.catalog/catalog-1.duckdb\n" == done.out


def test_before_the_first_sync_the_remedy_is_named(tmp_path):
    for words in (["query"], ["sql", "FROM runs"], ["path"]):
        done = run("catalog", *words, "--runs", tmp_path)

        assert 2 == done.code
        assert "highwater catalog sync makes it" in done.err
