import json
import re

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import small_market
from guide_workflow import copy as copy  # fixtures
from guide_workflow import files, rows, runs_by_type
from guide_workflow import made as made
from guide_workflow import there as there
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


def test_a_slice_that_gives_other_windows_is_refused(there):
    path = runs_by_type(there)["path-only"].path
    paths = read_artifact(path, "paths")
    i = paths.column_names.index("n_bars")
    other = paths.set_column(i, "n_bars", pa.compute.add(paths["n_bars"], 1))
    words = (path, read_manifest(path))

    assert exports.windows_of(*words, paths, there / "runs" / ".slices")
    with pytest.raises(exports.IntegrityError, match="another n_bars than it was saved with"):
        exports.windows_of(*words, other, there / "runs" / ".slices")


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
