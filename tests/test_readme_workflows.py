"""The README's workflows, typed as they stand there, give what the documents they come from promise."""

import os
import re
import subprocess
import sys
from pathlib import Path

import documents
import duckdb
import pyarrow.parquet as pq
import pytest
import small_market
from highwater.io.digest import file_sha256
from highwater.io.runs import list_runs, read_artifact
from highwater.io.sources.synthetic import write_market
from shared_market import DATA

README = documents.TEXT
SEEDS = DATA.parent / "seeds"
GUIDE, QUICK_START = "highwater baseline \\\n", "highwater backtest path-only"
SCRIPTS = {"run_baseline_all.py": "baseline", "run_strategy.py": "strategy", "run_random_search.py": "optimizer"}
CACHE = "results/baseline_cache_20250101_20251231.parquet"
CONTRACT = {
    "alerts": "call_id mint caller_name chain alert_ts_ms created_at",
    "paths": "run_id call_id caller_name mint chain interval alert_ts_ms p0 hit_2x t_2x_ms hit_3x t_3x_ms hit_4x "
    "t_4x_ms dd_bps dd_to_2x_bps alert_to_activity_ms peak_multiple",
    "trades": "run_id policy_id call_id entry_ts_ms entry_px exit_ts_ms exit_px exit_reason realized_return_bps "
    "stop_out max_adverse_excursion_bps time_exposed_ms tail_capture",
    "summary": "run_id calls_processed calls_excluded trades_count avg_return_bps median_return_bps stop_out_rate "
    "avg_max_adverse_excursion_bps avg_time_exposed_ms avg_tail_capture median_tail_capture",
}


def fenced(kind, within=""):
    """Return the README's fenced blocks of a kind that hold some words."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [block for name, block in blocks if name == kind and within in block]


def commands(block):
    """Return the commands of a block as they stand there, continued lines included."""
    return [text for text in re.split(r"(?<!\\)\n", block) if text.strip()]


def typed(block, folder):
    """Type a block into a shell, in a folder, and return each command with its stdout."""
    tools = folder / "tools"
    tools.mkdir()
    (tools / "highwater").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m highwater "$@"\n')
    (tools / "highwater").chmod(0o755)
    every = commands(block)
    script = "\n".join(["set -e", *(f"{command}\nprintf '\\0'" for command in every)])
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert 0 == done.returncode, done.stderr
    return list(zip(every, done.stdout.split("\0")[:-1], strict=True))


def database(folder):
    """Put the alerts of a folder's market into the DuckDB file that the documents read."""
    rows = "mint, alert_ts_ms AS trigger_ts_ms, caller_name, chain"
    with duckdb.connect(str(folder / "alerts.duckdb")) as found:
        found.execute(f"CREATE TABLE caller_links_d AS SELECT {rows} FROM '{folder / 'alerts.parquet'}'")


@pytest.fixture(scope="module")
def guide(tmp_path_factory):
    """Return a folder in which the parquet guide's complete workflow was typed, and what it printed."""
    folder = tmp_path_factory.mktemp("guide")
    small_market.write(folder / "data")
    database(folder / "data")
    before = file_sha256(folder / "data" / "alerts.duckdb")
    (block,) = fenced("", GUIDE)
    said = typed(block, folder)

    assert before == file_sha256(folder / "data" / "alerts.duckdb")
    return folder, said


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Return a folder in which the quick start of the structured artifacts was typed, and what it printed."""
    folder = tmp_path_factory.mktemp("quick")
    write_market(folder / "data", seed=7, tokens=30, callers=3, days=3, interval_ms=300_000, start_ms=1_704_153_600_000)
    database(folder / "data")
    (block,) = fenced("", QUICK_START)
    return folder, typed(block, folder)


@pytest.mark.shared_data
@pytest.mark.skipif(not SEEDS.is_dir(), reason="the documents are not beside this checkout")
def test_the_workflows_are_those_of_the_documents():
    seeds = {name: (SEEDS / f"{name}.md").read_text() for name in ("parquet-export-guide", "structured-artifacts")}
    for script, command in SCRIPTS.items():
        seeds["parquet-export-guide"] = seeds["parquet-export-guide"].replace(
            f"python3 tools/backtest/{script}", f"highwater {command}"
        )
    steps = seeds["parquet-export-guide"].partition("## Example: Complete Workflow")[2]
    theirs = [text for step in re.findall(r"```bash\n(.*?)```", steps, re.DOTALL) for text in commands(step)]
    search = next(c for c in commands(seeds["parquet-export-guide"]) if c.startswith("highwater optimizer"))
    quick = seeds["structured-artifacts"].replace("quantbot ", "highwater ").replace("<uuid>", "latest")
    steps = re.findall(r"```bash\n(.*?)```", quick, re.DOTALL)[:3]
    asked = [text for step in steps for text in commands(step) if text.startswith("highwater")]

    assert 2 == len(theirs)
    assert [*theirs, search] == [c for c in commands(fenced("", GUIDE)[0]) if c.startswith("highwater")]
    assert 6 == len(asked)
    assert asked == [c for c in commands(fenced("", QUICK_START)[0]) if c.startswith("highwater backtest")]


def rows(path):
    return pq.read_table(path, partitioning=None)


def test_the_guides_workflow_leaves_the_guides_files(guide):
    folder, _ = guide
    paths = {entry.manifest.run_type: read_artifact(entry.path, "paths") for entry in list_runs(folder / "runs")}
    alerts = list(enumerate(paths["path-only"].to_pylist(), 1))
    ok = [f"{a}_{row['mint'][:8]}" for a, row in alerts if row["status"] == "OK"]
    files = {kind: sorted(path.name for path in (folder / "results" / f"per_{kind}").iterdir()) for kind in KINDS}

    assert {"path-only", "policy", "search"} == paths.keys()
    assert {Path(CACHE).name, "per_alert", "per_caller", "per_trade", "store.duckdb"} == {
        path.name for path in (folder / "results").iterdir()
    }
    assert 0 < len(ok) < len(alerts)
    for kind in ("alert", "trade"):
        assert sorted([*(f"{kind}_{name}.parquet" for name in ok), "index.parquet"]) == files[kind]
    assert len(set(paths["path-only"]["caller_name"].to_pylist())) + 1 == len(files["caller"])
    assert {"alerts.duckdb", "alerts.parquet", "candles.parquet"} == {path.name for path in (folder / "data").iterdir()}


KINDS = ("alert", "caller", "trade")


def test_the_guides_files_have_the_guides_columns(guide):
    folder, _ = guide
    baseline = rows(folder / CACHE)
    found = {kind: next((folder / "results" / f"per_{kind}").glob(f"{kind}_*.parquet")) for kind in KINDS}

    assert {*["alert_id", "mint", "caller", "entry_price", "ath_mult", "dd_initial", "time_to_2x_s"]} < {
        *baseline.column_names
    }
    assert 28 == len(baseline.column_names)
    assert ["timestamp", "open", "high", "low", "close", "volume"] == rows(found["alert"]).column_names
    assert baseline.column_names == rows(found["caller"]).column_names
    assert {*["alert_id", "mint", "caller", "entry_price", "exit_price", "tp_sl_exit_reason", "tp_sl_ret"]} < {
        *rows(found["trade"]).column_names
    }
    assert 1 == rows(found["trade"]).num_rows


def test_the_guides_store_holds_both_runs(guide):
    folder, said = guide
    with duckdb.connect(str(folder / "results" / "store.duckdb"), read_only=True) as store:
        kinds = store.sql("SELECT run_type FROM highwater.runs ORDER BY ALL").fetchall()

    assert [("path-only",), ("policy",)] == kinds
    assert ["alerts", "alerts", "alerts"] == [out.split()[0] for _, out in said if out]
    assert [path for _, out in said for path in re.findall(r"runs/\d{4}-\d\d/run_id=\w{26}\n", out)]


def test_the_quick_start_leaves_the_files_and_columns_of_the_document(quick):
    folder, _ = quick
    found = {entry.manifest.run_type: entry for entry in list_runs(folder / "runs")}
    files = {kind: {str(p.relative_to(e.path)) for p in e.path.rglob("*")} for kind, e in found.items()}

    assert {"path-only", "policy"} == found.keys()
    for kind in found:
        assert {"run.json", "inputs/alerts.parquet", "truth/paths.parquet", "_SUCCESS"} < files[kind]
    assert {"policy/trades.parquet", "results/summary.parquet"} < files["policy"]
    for kind, names in CONTRACT.items():
        table = read_artifact(found["policy"].path, kind)
        assert names.split() == [name for name in table.column_names if name in names.split()]
        assert table.num_rows
    assert {"fixed-stop-5pct"} == set(read_artifact(found["policy"].path, "trades")["policy_id"].to_pylist())
    assert {("1704067200000", "1706659200000", "300000")} == {
        tuple(str(entry.manifest.config[name]) for name in ("from_ms", "to_ms", "interval_ms"))
        for entry in found.values()
    }


def test_the_quick_start_prints_what_the_document_shows(quick):
    folder, said = quick
    out = dict(said)
    ids = {entry.manifest.run_type: entry.run_id for entry in list_runs(folder / "runs")}
    path = out["highwater backtest catalog-query --run-id latest --artifact-type paths"].strip()

    for line in (
        "✓ Initialized catalog tables",
        "✓ Registered 2 runs",
        "✓ Skipped 0 runs",
        "Catalog Statistics:",
        "  Total runs: 2",
        "  Completed: 2",
        "  Failed: 0",
        '  By type: { "path-only": 1, "policy": 1 }',
    ):
        assert line in out["highwater backtest catalog-sync --stats"].splitlines()
    for run_type, run_id in ids.items():
        assert run_id in out["highwater backtest catalog-query --limit 10"]
        only = out["highwater backtest catalog-query --run-type path-only --status completed"]
        assert (run_id in only) == (run_type == "path-only")
    assert f"run_id={ids['policy']}/truth/paths.parquet" in path
    assert duckdb.sql(f"SELECT * FROM read_parquet('{folder / path}') WHERE hit_2x = true").fetchall()
    (asked,) = [text for command, text in said if command.startswith("highwater catalog sql")]
    assert {"path-only", "policy"} < set(asked.split())


STATEMENTS = [text.strip() for block in fenced("sql") for text in block.split(";") if text.strip()]


def kind(text):
    """Return what a statement asks: an export's results, strategy traces (test_readme_traces.py) or runs."""
    if "strategies" in text or "strategy_index" in text:
        return "traces"
    return "results" if "'results/" in text or "highwater." in text else "runs"


@pytest.mark.parametrize("sql", [text for text in STATEMENTS if kind(text) == "results"])
def test_the_queries_of_exports_run_in_duckdb(guide, monkeypatch, sql):
    monkeypatch.chdir(guide[0])
    with duckdb.connect("results/store.duckdb", read_only=True) as store:
        found = store.sql(sql).fetchall()

    assert found
    assert all(None not in row for row in found)


@pytest.mark.parametrize("sql", [text for text in STATEMENTS if kind(text) == "runs"])
def test_the_queries_of_runs_run(quick, monkeypatch, sql):
    monkeypatch.chdir(quick[0])
    if "read_parquet(" in sql:
        found = duckdb.sql(sql).fetchall()
    else:
        done = small_market.run("catalog", "sql", sql.replace("calls >= 10", "calls >= 1"), "--json")
        assert 0 == done.code, done.err
        found = done.out.strip("[] \n")

    assert found


def test_every_statement_of_the_readme_is_run():
    kinds = [kind(text) for text in STATEMENTS]

    assert {"results": 5, "runs": 4, "traces": 6} == {each: kinds.count(each) for each in set(kinds)}
