import os
import shutil

import pyarrow as pa
import pytest
from highwater.io.catalog import sync
from highwater.io.catalog_sql import TABLES, VIEWS, ask
from highwater.io.errors import IntegrityError, LimitError, MissingError, UsageError
from highwater.io.publish import stage
from highwater.io.schemas import SUMMARY, TRADES, paths, table, trials


def rows_of(schema, count, **columns):
    """Return a table of ``count`` rows, null or empty or 0 where nothing is given."""
    empty = {"string": "", "int64": 0, "double": 0.0, "bool": False}
    filled = {f.name: [None if f.nullable else empty[str(f.type)]] * count for f in schema}
    return table(schema, {**filled, **columns})


def publish(root, multiples=(2.0,), returns=(100.0, -50.0), failure=None, varied=()):
    with stage(root, "policy") as staged:
        count = len(returns)
        run_id, call_ids = [staged.run_id] * count, [f"c{i}" for i in range(count)]
        schema = paths(multiples)
        staged.write("paths", rows_of(schema, count, run_id=run_id, call_id=call_ids, peak_multiple=list(returns)))
        columns = {"run_id": run_id, "call_id": call_ids, "realized_return_bps": list(returns)}
        staged.write("trades", rows_of(TRADES, count, **columns))
        staged.write("summary", rows_of(SUMMARY, 1, run_id=run_id[:1], avg_return_bps=[sum(returns) / count]))
        if varied:
            staged.write("trials", rows_of(trials(varied), 1, run_id=run_id[:1]))
        return staged.publish() if failure is None else staged.fail(failure)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a directory of runs: two completed ones whose paths and trials differ in columns, and a failed one."""
    root = tmp_path_factory.mktemp("store") / "runs"
    first = publish(root, varied=("tp",))
    second = publish(root, multiples=(2.0, 7.0), returns=(10.0, 20.0, 30.0), varied=("sl",))
    publish(root, returns=(999.0,), failure=ValueError("broken"))
    sync(root)
    return root, first, second


def ids(*runs):
    return [run.name.removeprefix("run_id=") for run in runs]


def found(root, sql, **limits):
    return [tuple(row.values()) for row in ask(root, sql, **limits).table.to_pylist()]


def test_a_view_holds_the_rows_of_all_completed_runs(made):
    root, first, second = made
    (a, b) = ids(first, second)
    by_run = "SELECT run_id, count(*), sum(realized_return_bps) FROM trades GROUP BY 1 ORDER BY 1"

    assert [(a, 2, 50.0), (b, 3, 60.0)] == found(root, by_run)
    assert [(25.0,), (20.0,)] == found(
        root, "SELECT avg_return_bps FROM Summary JOIN runs USING (run_id) ORDER BY 1 DESC"
    )
    assert [(b,)] == found(root, f"SELECT DISTINCT run_id FROM paths WHERE run_id = '{b}'")


def test_columns_are_united_by_name(made):
    root, *runs = made
    (a, b) = ids(*runs)

    assert [(a, 2, 0), (b, 3, 0)] == found(
        root, "SELECT run_id, count(*), count(hit_7x) FROM paths GROUP BY 1 ORDER BY 1"
    )
    assert {"tp", "sl"} <= set(ask(root, "FROM trials").table.column_names)


def test_failed_runs_tell_their_errors_and_nothing_else(made):
    root = made[0]

    assert [("broken",)] == found(root, "SELECT message FROM errors")
    assert [(0,)] == found(root, "SELECT count(*) FROM trades WHERE realized_return_bps = 999")
    assert [("failed", 1), ("completed", 2)] == found(root, "SELECT status, count(*) FROM runs GROUP BY 1 ORDER BY 2")


def test_the_views_that_every_store_has_may_be_empty_and_others_are_missing(tmp_path):
    tmp_path.joinpath("runs").mkdir()
    sync(tmp_path / "runs")

    for view in ("runs", "artifacts", "trials_ledger", "alerts", "paths", "trades", "summary", "strategies", "traces"):
        assert [] == found(tmp_path / "runs", f"FROM {view}")
    with pytest.raises(UsageError, match="frontier does not exist"):
        ask(tmp_path / "runs", "FROM frontier")


def test_every_table_of_a_run_has_a_view():
    tables = "alerts callers equity errors factors features fills frontier governance paths perturbation sessions"
    tables += " session_fills session_trades session_trials strategies summary surface surface_by symbols traces"
    tables += " attribution lab_analytics lab_backtests lab_custom lab_days lab_equity lab_fills lab_orders"
    tables += " lab_exits lab_positions lab_replay"

    assert {*tables.split(), "trades", "trials"} == {*VIEWS, *TABLES} - {"runs", "artifacts", "trials_ledger"}


def test_a_strategy_index_is_read_as_strategies(tmp_path):
    for columns in ({"strategy_id": ["s0"], "period": [20]}, {"strategy_id": ["s1"], "std_dev": [2.0]}):
        with stage(tmp_path, "traces") as staged:
            staged.write("strategy_index", pa.table({"run_id": [staged.run_id], **columns}))
            staged.publish()
    sync(tmp_path)

    assert [("s0", 20, None), ("s1", None, 2.0)] == found(
        tmp_path, "SELECT strategy_id, period, std_dev FROM strategies ORDER BY 1"
    )


def test_a_runs_file_may_be_named_with_any_path_that_leads_there(made, tmp_path, monkeypatch):
    root, first, _ = made
    monkeypatch.chdir(root.parent)
    (tmp_path / "link").symlink_to(root)
    relative = f"runs/{first.parent.name}/{first.name}/policy/trades.parquet"

    for path in (relative, f"./{relative}", root.parent / relative):
        assert [(2,)] == found(root, f"SELECT count(*) FROM read_parquet('{path}')")
        assert [(2,)] == found("runs", f"SELECT count(*) FROM '{path}'")
    linked = tmp_path / "link" / first.relative_to(root) / "policy/trades.parquet"

    assert [(2,)] == found(tmp_path / "link", f"SELECT count(*) FROM '{linked}'")


def outside(root):
    (root.parent / "secret.parquet").write_bytes(next(root.glob("*/*/policy/trades.parquet")).read_bytes())
    return root.parent / "secret.parquet"


@pytest.mark.parametrize(
    "sql",
    [
        "FROM read_text('/etc/passwd')",
        "FROM read_csv('/etc/passwd')",
        "FROM read_blob('.')",
        "FROM glob('/*')",
        "FROM '{outside}'",
        "FROM read_parquet('{root}/*/*/policy/trades.parquet')",
        "FROM read_parquet('https://example.com/x.parquet')",
        "FROM read_parquet('{run}/../../../secret.parquet')",
        "FROM read_json('{run}/run.json')",
        "FROM read_parquet('{failed}')",
        "FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM query('FROM read_text(''/etc/passwd'')')",
    ],
)
def test_no_other_file_is_read(made, sql):  # F105
    root, run, _ = made
    (failed,) = (path.parent for path in root.glob("*/*/_FAILED"))
    text = sql.format(outside=outside(root), root=root, run=run, failed=failed / "policy/trades.parquet")
    with pytest.raises(UsageError, match="reads the runs that the catalog knows, and no other file"):
        ask(root, text)


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{run}/policy/trades.parquet'",
        "ATTACH '{root}/x.duckdb'",
        "SET memory_limit = '99GB'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "CREATE TABLE x AS SELECT 1",
        "DROP VIEW runs",
        "DELETE FROM catalog.runs",
        "UPDATE catalog.runs SET status = 'completed'",
        "PRAGMA database_list",
        "CALL force_checkpoint()",
        "SELECT 1; DROP VIEW runs",
        "SELECT 1; SELECT 2",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{root}/x'",
        "",
        "-- nothing",
    ],
)
def test_anything_but_one_select_is_refused(made, sql):  # F105
    root, run, _ = made
    with pytest.raises(UsageError, match="it must be one SELECT"):
        ask(root, sql.format(root=root, run=run))

    assert not (root / "x").exists()


def test_variables_of_the_program_are_no_tables(made):
    hostile = pa.table({"secret": [1]})
    with pytest.raises(UsageError, match="hostile does not exist"):
        ask(made[0], "FROM hostile")

    assert 1 == len(hostile)


@pytest.mark.parametrize("sql", ["selec 1", "SELECT nothing FROM runs", "SELECT 1/'x'", "SELECT $1", "SELECT '"])
def test_a_wrong_statement_is_one_line(made, sql):
    with pytest.raises(UsageError, match=r"^SQL: [^\n]+$"):
        ask(made[0], sql)


def test_rows_beyond_the_limit_are_cut_in_the_statements_order(made):
    answer = ask(made[0], "SELECT x FROM range(100000) t(x) ORDER BY x DESC", limit=3)

    assert ([99999, 99998, 99997], True) == (answer.table["x"].to_pylist(), answer.cut)
    assert not ask(made[0], "FROM range(3)", limit=3).cut


@pytest.mark.parametrize(
    ("sql", "limits", "message"),
    [
        (
            "SELECT count(*) FROM range(10000000000) a WHERE hash(a.range) % 7 = 8",
            {"time_ms": 100},
            "raise it with --tim",
        ),
        ("SELECT list(x) FROM range(100000000) t(x)", {"memory": 64 << 20}, "raise it with --mem"),
    ],
)
def test_work_beyond_the_limits_is_refused(made, sql, limits, message):
    with pytest.raises(LimitError, match=message) as caught:
        ask(made[0], sql, **limits)

    assert 5 == caught.value.exit_code


@pytest.mark.parametrize("limits", [{"limit": 0}, {"memory": 1000}])
def test_limits_that_allow_nothing_are_refused(made, limits):
    with pytest.raises(UsageError, match="it must be at least"):
        ask(made[0], "SELECT 1", **limits)


@pytest.fixture
def store(made, tmp_path):
    """Return a copy of the runs and their catalog, to damage, and the first run."""
    root = shutil.copytree(made[0], tmp_path / "runs")
    return root, root / made[1].relative_to(made[0])


def gone(path):
    path.unlink()


def shorter(path):
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-1])


def linked(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def pipe(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("damage", [gone, shorter, linked, pipe])
def test_a_file_damaged_since_the_sync_is_left_out_and_named(store, damage):
    root, run = store
    damage(run / "policy/trades.parquet")
    answer = ask(root, "SELECT sum(realized_return_bps) AS total FROM trades")

    assert [60.0] == answer.table["total"].to_pylist()
    assert 1 == len(answer.left_out)
    assert str(run / "policy/trades.parquet") in answer.left_out[0]


def test_a_file_damaged_within_is_told(store):
    root, run = store
    data = (run / "policy/trades.parquet").read_bytes()
    (run / "policy/trades.parquet").unlink()
    (run / "policy/trades.parquet").write_bytes(b"x" * len(data))
    with pytest.raises(IntegrityError, match="No magic bytes"):
        ask(root, "FROM trades")


def test_a_partition_in_the_path_of_the_runs_is_no_column(tmp_path):  # F097
    root = tmp_path / "caller_name=12" / "runs"
    publish(root)
    sync(root)

    assert [("VARCHAR", "")] == found(root, "SELECT DISTINCT typeof(caller_name), caller_name FROM paths")


def test_a_directory_that_reads_as_a_pattern_is_refused(tmp_path):  # F096
    root = tmp_path / "a*b"
    publish(root)
    publish(tmp_path / "axb")
    sync(root)
    with pytest.raises(UsageError, match="rename that directory"):
        ask(root, "FROM trades")


def test_without_a_catalog_there_is_nothing_to_ask(tmp_path):
    with pytest.raises(MissingError, match="highwater catalog sync"):
        ask(tmp_path, "FROM runs")
