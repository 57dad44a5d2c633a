"""The parquet guide's commands with candles out of ClickHouse, typed on both engines in an empty folder."""

import json
import shlex

import duckdb
import engines
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import small_market
from guide_workflow import WORKFLOW
from highwater.io.runs import find_run
from small_market import program, run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return an empty folder but for the guide's ``data/alerts.duckdb``, the working directory meanwhile."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    market = small_market.write(tmp_path / "elsewhere")
    with duckdb.connect("data/alerts.duckdb") as database:
        rows = "mint, alert_ts_ms AS trigger_ts_ms, caller_name, chain"
        database.execute(f"CREATE TABLE caller_links_d AS SELECT {rows} FROM '{market.alerts}'")
    return tmp_path


def told(engine, monkeypatch):
    """Say in the environment where candles lie, as the guide's tools are told."""
    table = engine.table
    if table.folder is not None:
        monkeypatch.setenv("HIGHWATER_CANDLES", f"chdb://{table.folder}/default.ohlcv_candles")
        return
    for name, value in {
        "HOST": table.host,
        "PORT": table.port,
        "DATABASE": "default",
        "TABLE": "ohlcv_candles",
    }.items():
        monkeypatch.setenv(f"CLICKHOUSE_{name}", str(value))


def consistent():
    """Return the market's candles without a contradiction: tables are judged only where alerts need them."""
    candles = small_market.tables()[0]
    first = small_market.by_token(candles)
    mint = list(first)[small_market.REJECTED]
    rows = [row for row in candles.to_pylist() if row["token_address"] != mint or row != first[mint][9]]
    return pa.Table.from_pylist(rows, candles.schema)


def contents(run_type):
    """Return the digests of what the newest run of a type found, by artifact."""
    entry = find_run("runs", "latest")
    assert run_type == entry.manifest.run_type
    wanted = ("alerts", "paths", "trades", "summary", "callers", "frontier")
    return {each.type: each.content_sha256 for each in entry.manifest.artifacts if each.type in wanted}


def test_the_guides_workflow_is_typed_as_it_stands(engine, folder, monkeypatch):
    candles = consistent()
    pq.write_table(candles, folder / "elsewhere" / "candles.parquet")
    engines.make_table(engine, "default", "ohlcv_candles", candles)
    end = candles.schema.metadata[b"coverage_end_ms"].decode()
    found = []
    for source in ("table", "file"):
        for words in WORKFLOW:
            plain = words.replace(" --candles data/candles.parquet", "")
            with monkeypatch.context() as patch:
                if source == "table":
                    told(engine, patch)
                else:
                    plain += f" --candles {folder}/elsewhere/candles.parquet"
                done = run(*shlex.split(plain), "--coverage-end", end, "--interval", "5m")
            assert 0 == done.code, done.err
            run_type = {"baseline": "path-only", "strategy": "policy", "optimizer": "search"}[words.split()[0]]
            found.append(contents(run_type))

    assert found[:3] == found[3:]
    assert (folder / "results" / "baseline_cache_20250101_20251231.parquet").exists()
    assert any((folder / "results" / "per_alert").iterdir())
    assert any((folder / "results" / "per_trade").iterdir())


def test_the_flags_of_the_older_tools_name_the_table_too(server, folder, monkeypatch):
    engines.make_table(server.engine, "mkt", "bars", small_market.tables()[0], "interval")
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", engines.PASSWORD)
    place = "--ch-host 127.0.0.1 --ch-port {port} --ch-database mkt --ch-table bars --ch-user reader"
    words = "baseline --duckdb data/alerts.duckdb --ch-batch 5 --ch-parallel 2 --json " + place
    http = run(*shlex.split(words.format(port=server.http)))
    native = run(*shlex.split(words.format(port=server.tcp)))  # the port those tools spoke to
    url = run(
        *shlex.split(
            f"baseline --duckdb data/alerts.duckdb --json --candles clickhouse://reader@127.0.0.1:{server.http}/mkt.bars"
        )
    )

    assert [0, 0, 0] == [http.code, native.code, url.code], (http.err, native.err, url.err)
    entry = find_run("runs", "latest")
    assert f"clickhouse://reader@127.0.0.1:{server.http}/mkt.bars" == entry.manifest.inputs[1].source
    assert engines.PASSWORD not in (entry.path / "run.json").read_text()
    runs = [find_run("runs", path.name.removeprefix("run_id=")) for path in folder.glob("runs/*/run_id=*")]
    digests = {run.manifest.inputs[1].digest for run in runs}
    assert 1 == len(digests)


def test_a_run_on_a_table_is_repeated_from_its_slice_and_from_the_table(server, folder):
    engines.make_table(server.engine, "mkt", "again", small_market.tables()[0])
    place = f"clickhouse://127.0.0.1:{server.http}/mkt.again"
    first = run("baseline", "--duckdb", "data/alerts.duckdb", "--candles", place)
    kept = run("runs", "rerun", "latest")
    for path in (folder / "runs" / ".slices").iterdir():
        path.unlink()
    cut = run("runs", "rerun", "latest")

    assert [0, 0, 0] == [first.code, kept.code, cut.code], (first.err, kept.err, cut.err)
    assert "identical" in cut.out


def test_coverage_of_a_table_is_that_of_a_file_and_tells_who_has_none(engine, folder):
    candles = consistent()
    pq.write_table(candles.replace_schema_metadata(None), folder / "elsewhere" / "candles.parquet")
    engines.make_table(engine, "mkt", "covered", candles)
    place = engine.named("mkt", "covered")
    words = ["slices", "coverage", "--duckdb", "data/alerts.duckdb", "--json", "--interval", "5m", "--candles"]
    table, file = run(*words, place), run(*words, folder / "elsewhere" / "candles.parquet")
    shown = run(*[word for word in words if word != "--json"], place)
    nobody = run(*words[:-1], "--alerts-query", "SELECT 'x' AS mint, 1735700000000 AS ts", "--candles", place)
    series = [json.loads(done.out)["series"] for done in (table, file)]
    names = ("token", "alerts", "last_ms")

    assert [0, 0, 0] == [table.code, file.code, shown.code], (table.err, file.err, shown.err)
    assert [[row[n] for n in names] for row in series[1]] == [[row[n] for n in names] for row in series[0]]
    assert any(row["candles"] == 0 for row in series[0]) and any(row["inside"] for row in series[0])
    assert "have candles where their alerts need them" in shown.out
    assert 3 == nobody.code and "holds no candles of the 1 tokens asked for" in nobody.err


def test_a_folder_that_another_process_is_at_is_said(embedded, folder):
    engines.make_table(embedded, "mkt", "held", small_market.tables()[0])
    other = program(
        ["slices", "build", "--duckdb", "data/alerts.duckdb", "--candles", embedded.named("mkt", "held")], folder
    )
    _, err = other.communicate(timeout=60)

    assert 75 == other.returncode
    assert "another process may be at it, and chdb lets one at a time; repeat when it is done" in err


def test_a_slice_is_exported_by_token_with_the_older_spelling(server, folder):
    engines.make_table(server.engine, "mkt", "parts", consistent())
    place = f"clickhouse://127.0.0.1:{server.http}/mkt.parts"
    built = run("slices", "build", "--duckdb", "data/alerts.duckdb", "--candles", place)
    again = run("slices", "build", "--duckdb", "data/alerts.duckdb", "--candles", place)
    done = run("slices", "export", built.out.partition(" ")[0], "--to", "slices", "--partition")
    found = run("baseline", "--duckdb", "data/alerts.duckdb", "--candles", done.out.strip(), "--json")

    assert [0, 0, 0, 0] == [each.code for each in (built, again, done, found)], (built.err, done.err, found.err)
    assert "(cut:" in built.out and "(found again:" in again.out
