import json
import re
import shlex
import shutil

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import small_market
from highwater.engine import exports
from highwater.engine.settings import Exports
from highwater.io.runs import find_run, read_artifact, read_manifest
from naive import enter
from small_market import HORIZON, STEP, clean_series, ms, run, table_of

FLAGS = {
    "baseline": "--export-baseline-parquet",
    "per_alert": "--export-per-alert-parquet",
    "per_caller": "--export-per-caller-parquet",
    "per_trade": "--export-per-trade-parquet",
}

# The guide's complete workflow as it is typed there, but for where alerts and candles lie and which file stores runs.
WORKFLOW = [
    """baseline
  --from 2024-12-31 --to 2025-12-31
  --alerts data/alerts.duckdb --candles data/candles.parquet
  --store-duckdb results/store.duckdb
  --export-baseline-parquet results/baseline_cache_20250101_20251231.parquet
  --export-per-alert-parquet results/per_alert
  --export-per-caller-parquet results/per_caller""",
    """strategy
  --from 2024-12-31 --to 2025-12-31
  --alerts data/alerts.duckdb --candles data/candles.parquet
  --tp 2.0 --sl 0.7
  --store-duckdb results/store.duckdb
  --export-per-trade-parquet results/per_trade""",
    """optimizer
  --from 2024-12-31 --to 2025-12-31
  --alerts data/alerts.duckdb --candles data/candles.parquet
  --trials 100""",
]

# What the README shows of them.
QUERIES = [
    """SELECT caller, count(*) AS alerts, median(ath_mult) AS median_high,
       avg((time_to_2x_s IS NOT NULL)::INT) AS hit_2x
FROM 'results/baseline_cache_20250101_20251231.parquet'
WHERE status = 'ok' GROUP BY caller ORDER BY median_high DESC""",
    """SELECT i.caller, i.alert_id, max(c.high) / min_by(c.open, c.timestamp) AS highest
FROM read_parquet('results/per_alert/alert_*.parquet', filename = true, hive_partitioning = false) c
JOIN 'results/per_alert/index.parquet' i ON parse_filename(c.filename) = i.file
GROUP BY ALL ORDER BY highest DESC LIMIT 10""",
    """SELECT tp_sl_exit_reason, count(*) AS trades, avg(tp_sl_ret) AS mean_return,
       median(hold_time_s) / 3600 AS median_hours
FROM read_parquet('results/per_trade/trade_*.parquet', hive_partitioning = false)
GROUP BY ALL ORDER BY trades DESC""",
    """SELECT r.created_at, s.avg_return_bps, s.win_rate, r.config ->> '$.policy' AS policy
FROM highwater.summary s JOIN highwater.runs r USING (run_id) ORDER BY s.avg_return_bps DESC""",
    """SELECT date_trunc('day', epoch_ms(p.alert_ts_ms)) AS day, count(*) AS alerts, avg(p.hit_2x::INT) AS hit_2x
FROM highwater.paths p JOIN highwater.runs r USING (run_id)
WHERE r.run_type = 'path-only' AND p.status = 'OK' GROUP BY day ORDER BY day""",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with a market, its alerts also in a DuckDB file, and what the guide's workflow leaves there."""
    folder = tmp_path_factory.mktemp("workflow")
    small_market.write(folder / "data")
    with duckdb.connect(str(folder / "data" / "alerts.duckdb")) as database:
        alerts = folder / "data" / "alerts.parquet"
        rows = "mint, alert_ts_ms AS trigger_ts_ms, caller_name, chain"
        database.execute(f"CREATE TABLE caller_links_d AS SELECT {rows} FROM '{alerts}'")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in WORKFLOW:
            done = run(*shlex.split(words))
            assert 0 == done.code, done.err
    return folder


@pytest.fixture
def there(made, monkeypatch):
    monkeypatch.chdir(made)
    return made


@pytest.fixture
def copy(made, tmp_path, monkeypatch):
    """Return a copy of it that may be changed, the working directory meanwhile."""
    found = shutil.copytree(made, tmp_path / "copy")
    monkeypatch.chdir(found)
    return found


def files(folder, prefix):
    return sorted(path.name for path in folder.glob(f"{prefix}_*.parquet"))


def rows(path):
    return pq.read_table(path, partitioning=None).to_pylist()


def runs_by_type(folder):
    entries = [find_run(folder / "runs", path.name.removeprefix("run_id=")) for path in folder.glob("runs/*/run_id=*")]
    return {entry.manifest.run_type: entry for entry in entries}


def test_the_guides_workflow_leaves_what_the_guide_shows(made):
    results = made / "results"
    paths = read_artifact(runs_by_type(made)["path-only"].path, "paths").to_pylist()
    ok = [a for a, row in enumerate(paths, 1) if row["status"] == "OK"]

    assert {"baseline_cache_20250101_20251231.parquet", "per_alert", "per_caller", "per_trade", "store.duckdb"} == {
        path.name for path in results.iterdir()
    }
    assert 0 < len(ok) < len(paths)
    for kind in ("alert", "trade"):
        expected = sorted(f"{kind}_{a}_{paths[a - 1]['mint'][:8]}.parquet" for a in ok)
        assert expected == files(results / f"per_{kind}", kind)
    assert len({row["caller_name"] for row in paths}) == len(files(results / "per_caller", "caller"))


def test_the_store_holds_both_runs(made):
    with duckdb.connect(str(made / "results" / "store.duckdb"), read_only=True) as database:
        kinds = database.sql("SELECT run_type FROM highwater.runs ORDER BY ALL").fetchall()
        alerts = database.sql("SELECT count(*) FROM highwater.alerts").fetchall()
        trades = database.sql("SELECT * FROM highwater.trades").to_arrow_table()
    entry = runs_by_type(made)["policy"]

    assert [("path-only",), ("policy",)] == kinds
    assert [(2 * len(table_of(made / "runs", "alerts")),)] == alerts
    assert read_artifact(entry.path, "trades").to_pylist() == trades.to_pylist()


@pytest.mark.parametrize("sql", QUERIES)
def test_the_queries_run(there, sql):
    path = "results/store.duckdb" if "highwater." in sql else ":memory:"
    with duckdb.connect(path, read_only=path != ":memory:") as database:
        found = database.sql(sql).fetchall()

    assert found
    assert all(None not in row for row in found)


def test_the_baseline_file_says_what_the_run_says(made):
    entry = runs_by_type(made)["path-only"]
    paths = read_artifact(entry.path, "paths").to_pylist()
    found = rows(made / "results" / "baseline_cache_20250101_20251231.parquet")
    facts = pq.read_schema(made / "results" / "baseline_cache_20250101_20251231.parquet").metadata

    assert len(paths) == len(found)
    for a, (row, path) in enumerate(zip(found, paths, strict=True), 1):
        assert (a, path["mint"], path["caller_name"]) == (row["alert_id"], row["mint"], row["caller"])
        assert (path["p0"], path["ath_mult"], path["dd_pre_2x"], path["dd_after_3x"]) == (
            row["entry_price"],
            row["ath_mult"],
            row["dd_pre2x"],
            row["dd_after_3x"],
        )
        assert (row["status"] == "ok", STEP // 1000, 48) == (
            path["status"] == "OK",
            row["interval_seconds"],
            row["horizon_hours"],
        )
        assert path["t_2x_ms"] is None if row["time_to_2x_s"] is None else path["t_2x_ms"] == 1000 * row["time_to_2x_s"]
    assert (entry.run_id.encode(), b"baseline") == (facts[b"run_id"], facts[b"artifact"])


def test_callers_share_the_baseline_out(made):
    baseline = rows(made / "results" / "baseline_cache_20250101_20251231.parquet")
    index = rows(made / "results" / "per_caller" / "index.parquet")
    found = [row for each in index for row in rows(made / "results" / "per_caller" / each["file"])]

    assert baseline == sorted(found, key=lambda row: row["alert_id"])
    assert [each["rows"] for each in index] == [
        sum(row["caller"] == each["caller"] for row in baseline) for each in index
    ]


def test_trades_are_those_of_the_run(made):
    entry = runs_by_type(made)["policy"]
    trades = read_artifact(entry.path, "trades").to_pylist()
    index = rows(made / "results" / "per_trade" / "index.parquet")

    assert [trade["call_id"] for trade in trades] == [each["call_id"] for each in index]
    for each, trade in zip(index, trades, strict=True):
        assert (trade["status"], trade["status"] == "OK") == (each["status"], each["file"] is not None)
        if each["file"]:
            (row,) = rows(made / "results" / "per_trade" / each["file"])
            assert (
                trade["exit_px"],
                trade["exit_reason"].lower(),
                pytest.approx(trade["realized_return_bps"] / 1e4),
                pytest.approx(trade["time_exposed_ms"] / 1000),
            ) == (row["exit_price"], row["tp_sl_exit_reason"], row["tp_sl_ret"], row["hold_time_s"])


@pytest.mark.parametrize("mode", ["next_open", "next_high", "bar_close", "alert_price"])
def test_the_candles_of_an_alert_are_its_window(tmp_path, mode):
    market = small_market.write(tmp_path)
    words = ["--entry", mode, "--latency", "90s", "--max-entry-delay", "20m", "--horizon", "12h", "--quiet"]
    done = run("baseline", *market.flags, *words, "--runs", tmp_path / "runs", FLAGS["per_alert"], tmp_path / "x")
    index = {each["call_id"]: each for each in rows(tmp_path / "x" / "index.parquet")}
    counts = set()

    assert (0, "") == (done.code, done.err)
    for alert in table_of(tmp_path / "runs", "alerts").to_pylist():
        series = clean_series().get(alert["mint"], {"bars": [], "error": None})
        entry = enter(
            series["bars"],
            alert["alert_ts_ms"],
            mode=mode,
            alert_price=alert["alert_price"],
            latency_ms=90_000,
            horizon_ms=HORIZON,
            interval_ms=STEP,
            max_entry_delay_ms=1_200_000,
        )
        each = index[alert["call_id"]]
        window = series["bars"][entry["first"] : entry["last"]] if not series["error"] else []
        counts.add(len(window))

        assert (len(window), bool(window)) == (each["rows"], each["file"] is not None)
        if window:
            found = rows(tmp_path / "x" / each["file"])
            assert window == [(ms(row["timestamp"]), *list(row.values())[1:]) for row in found]
    assert 0 in counts
    assert len(counts) > 5


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


def test_a_slice_that_gives_other_windows_is_refused(there):
    path = runs_by_type(there)["path-only"].path
    paths = read_artifact(path, "paths")
    i = paths.column_names.index("n_bars")
    other = paths.set_column(i, "n_bars", pa.compute.add(paths["n_bars"], 1))
    words = (read_manifest(path), read_artifact(path, "alerts"))

    assert exports.windows_of(*words, paths, there / "runs" / ".slices")
    with pytest.raises(exports.IntegrityError, match="another n_bars than it was saved with"):
        exports.windows_of(*words, other, there / "runs" / ".slices")


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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([FLAGS["per_alert"], "data"], "data holds '"),
        ([FLAGS["baseline"], "data/alerts.parquet"], "data/alerts.parquet exists and is no earlier export"),
        (["--store-duckdb", "data/alerts.parquet"], "is no DuckDB database"),
        ([FLAGS["per_alert"], "x", FLAGS["per_caller"], "data/../x"], "is named for two exports"),
        ([FLAGS["per_trade"], "x"], "unknown flag --export-per-trade-parquet"),
        (["--store-duckdb", "highwater.duckdb"], "would be called as the schema in it is"),
        (["--store-duckdb", "--store-duckdb"], "--store-duckdb is given twice"),
    ],
)
def test_a_target_is_refused_before_the_run(copy, words, message):
    before = len(list(copy.glob("runs/*/run_id=*")))
    flags = ["--alerts", "data/alerts.parquet", "--candles", "data/candles.parquet"]
    done = run("baseline", *flags, "--quiet", *words)

    assert (2, "") == (done.code, done.out)
    assert message in done.err
    assert before == len(list(copy.glob("runs/*/run_id=*")))


def test_one_json_document_is_printed_and_lines_go_to_stderr(copy):
    flags = ["--alerts", "data/alerts.parquet", "--candles", "data/candles.parquet", "--json"]
    done = run("baseline", *flags, FLAGS["baseline"], "x.parquet")

    assert json.loads(done.out)["run_id"] == pq.read_schema(copy / "x.parquet").metadata[b"run_id"].decode()
    assert re.search(r"^wrote x\.parquet: \d+ alerts$", done.err, re.MULTILINE)


def test_a_run_is_saved_even_where_its_export_fails(copy):
    (copy / "file").write_text("")
    flags = ["--alerts", "data/alerts.parquet", "--candles", "data/candles.parquet", "--quiet"]
    done = run("baseline", *flags, FLAGS["baseline"], "file/x.parquet")
    saved = find_run(copy / "runs", "latest")

    assert 74 == done.code
    assert f"run {saved.run_id} is saved; repeat with highwater runs export" in done.err


def test_only_what_is_asked_for_is_a_target(tmp_path):
    assert {} == Exports().targets()
    assert {"duckdb": tmp_path, "per_trade": tmp_path / "x"} == Exports(store_duckdb=tmp_path).targets(tmp_path / "x")
