import shutil

import duckdb
import pyarrow as pa
import pyarrow.csv
import small_market
from guide_workflow import copy as copy  # fixtures
from guide_workflow import files, rows, runs_by_type
from guide_workflow import made as made
from guide_workflow import there as there
from highwater.engine import exports
from highwater.io.runs import find_run, read_artifact
from small_market import run


def test_a_run_is_exported_in_the_guides_layout(there, tmp_path):
    entry = runs_by_type(there)["policy"]
    done = run("runs", "export", entry.path, "--output", tmp_path / "x")
    cache = tmp_path / "x" / "baseline_cache_20241231_20251231.parquet"

    assert (0, "") == (done.code, done.err)
    assert 4 == len(done.out.splitlines())
    assert {cache.name, "per_alert", "per_caller", "per_trade"} == {path.name for path in (tmp_path / "x").iterdir()}
    assert rows(there / "results" / "baseline_cache_20250101_20251231.parquet") == rows(cache)
    assert files(there / "results" / "per_trade", "trade") == files(tmp_path / "x" / "per_trade", "trade")


def test_exporting_again_replaces_the_export(copy):
    before = files(copy / "results" / "per_alert", "alert")
    run("runs", "export", runs_by_type(copy)["path-only"].run_id)
    (copy / "results" / "per_alert" / "notes.txt").write_text("mine")
    done = run("runs", "export", runs_by_type(copy)["path-only"].run_id)

    assert before == files(copy / "results" / "per_alert", "alert")
    assert 2 == done.code
    assert "results/per_alert holds 'notes.txt', which no export wrote" in done.err
    assert "mine" == (copy / "results" / "per_alert" / "notes.txt").read_text()


def test_a_period_that_was_not_asked_for_is_that_of_the_alerts(tmp_path):
    market = small_market.write(tmp_path)
    run("baseline", *market.flags, "--runs", tmp_path / "runs", "--quiet")
    path = find_run(tmp_path / "runs", "latest").path
    first, last = (
        str(pa.scalar(f(read_artifact(path, "alerts")["alert_ts_ms"].to_pylist()), pa.timestamp("ms")))[:10]
        for f in (min, max)
    )

    assert f"baseline_cache_{first}_{last}.parquet".replace("-", "") == exports.guide(path, tmp_path)["baseline"].name


def test_every_table_of_a_run_is_exported_as_it_is(there, tmp_path):
    entry = runs_by_type(there)["search"]
    done = run("runs", "export", entry.run_id, "--format", "parquet", "--output", tmp_path)
    folder = tmp_path / f"{entry.run_id}_parquet"
    tables = [artifact for artifact in entry.manifest.artifacts if artifact.rows is not None]

    assert f"{folder}: {len(tables)} files\n" == done.out
    assert len(tables) > 6
    for artifact in tables:
        assert (entry.path / artifact.path).read_bytes() == (folder / artifact.path).read_bytes()
    assert [(a.path, a.type, a.rows) for a in tables] == [
        tuple(each.values()) for each in rows(folder / "index.parquet")
    ]


def test_every_table_of_a_run_is_exported_as_csv(there, tmp_path):
    entry = runs_by_type(there)["policy"]
    assert 0 == run("runs", "export", entry.run_id, "--format", "csv", "--output", tmp_path).code
    trades = read_artifact(entry.path, "trades")
    file = tmp_path / f"{entry.run_id}_csv" / "policy" / "trades.csv"
    options = pa.csv.ConvertOptions(
        column_types=trades.schema, strings_can_be_null=True, quoted_strings_can_be_null=False
    )

    assert trades.to_pylist() == pa.csv.read_csv(file, convert_options=options).to_pylist()


def test_runs_are_exported_into_one_duckdb_file(there, tmp_path):
    for entry in runs_by_type(there).values():
        assert 0 == run("runs", "export", entry.run_id, "--format", "duckdb", "--output", tmp_path).code
    with duckdb.connect(str(tmp_path / "runs.duckdb"), read_only=True) as database:
        found = database.sql("SELECT run_type FROM highwater.runs ORDER BY ALL").fetchall()
        trials = database.sql("SELECT count(*) FROM highwater.trials").fetchall()

    assert [("path-only",), ("policy",), ("search",)] == found
    assert [(100,)] == trials


def test_without_its_slice_only_the_candles_are_missing(copy, tmp_path):
    shutil.rmtree(copy / "runs" / ".slices")
    entry = runs_by_type(copy)["path-only"]
    done = run("runs", "export", entry.run_id, "--output", tmp_path / "x")
    digest = next(one.digest for one in entry.manifest.inputs if one.kind == "candles")

    assert 2 == done.code
    assert f"(slice with digest {digest[:12]}) are not in runs/.slices; repeat the run" in done.err
    assert ["baseline_cache_20241231_20251231.parquet", "per_caller"] == sorted(
        p.name for p in (tmp_path / "x").iterdir()
    )


def test_a_slice_is_found_by_its_digest_wherever_it_is_named(copy, tmp_path):
    (copy / "runs" / ".slices").rename(tmp_path / "cuts")
    for i, path in enumerate(sorted((tmp_path / "cuts").iterdir())):
        path.rename(path.with_name(f"slice_1_2_{i // 2}{path.suffix}"))
    (tmp_path / "cuts" / "slice_0.arrow").write_text("no slice")
    words = ["runs", "export", runs_by_type(copy)["path-only"].run_id, "--slices", tmp_path / "cuts"]

    assert 0 == run(*words, "--output", tmp_path / "x").code
    assert files(copy / "results" / "per_alert", "alert") == files(tmp_path / "x" / "per_alert", "alert")


def test_a_damaged_slice_is_not_exported(copy, tmp_path):
    for path in (copy / "runs" / ".slices").glob("*.arrow"):
        path.chmod(0o644)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    done = run("runs", "export", runs_by_type(copy)["path-only"].run_id, "--output", tmp_path / "x")

    assert 4 == done.code
    assert "content digest is" in done.err
    assert not (tmp_path / "x" / "per_alert").exists()


def test_a_run_without_paths_has_no_guide(copy, tmp_path):
    entry = runs_by_type(copy)["path-only"]
    (entry.path / "truth" / "paths.parquet").unlink()
    done = run("runs", "export", entry.run_id, "--output", tmp_path / "x")

    assert 4 == done.code
    assert "truth/paths.parquet is missing; the run was saved with it" in done.err
    assert not (tmp_path / "x").exists()
    for form in ("parquet", "csv", "duckdb"):
        assert 4 == run("runs", "export", entry.run_id, "--format", form, "--output", tmp_path / form).code
        assert [] == list((tmp_path / form).iterdir())


def test_a_search_that_held_days_out_is_exported_without_them(tmp_path):
    market, runs = small_market.write(tmp_path), tmp_path / "runs"
    words = [*market.flags, "--trials", "20", "--horizon", "2h", "--holdout", "40%", "--runs", runs, "--quiet"]
    assert 0 == run("sweep", *words).code
    search = find_run(runs, "latest").path
    assert 0 == run("sweep", "unseal", "latest", "--runs", runs, "--quiet").code
    opened = find_run(runs, "latest").path
    for path, left_out in ((search, "SEALED"), (opened, "PURGED")):
        done = run("runs", "export", path, "--output", tmp_path / path.name)
        rows_of = {each["call_id"]: each["rows"] for each in rows(tmp_path / path.name / "per_alert" / "index.parquet")}
        paths = read_artifact(path, "paths").to_pylist()

        assert (0, "") == (done.code, done.err)
        assert {left_out, "OK"} <= {row["status"] for row in paths}
        assert {row["call_id"]: row["n_bars"] or 0 for row in paths} == rows_of
