import json
import re

import duckdb
import pyarrow as pa
import pytest
import small_market
from highwater.engine import progress
from highwater.io.alert_files import TABLES
from highwater.io.runs import find_run, read_artifact
from small_market import run, tables


def calls():
    """Return the alerts of the market, every third on another chain, half of them with a market cap."""
    rows = tables()[1].to_pylist()
    more = [{"chain": "bsc" if i % 3 else "Solana", "mcap_usd": 1e3 * i if i % 2 else None} for i in range(len(rows))]
    return [row | other for row, other in zip(rows, more, strict=True)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the market, and its alerts in a database under every name that is looked for."""
    folder = tmp_path_factory.mktemp("market")
    small_market.write(folder, None, pa.Table.from_pylist(calls(), schema=tables()[1].schema))
    given = pa.Table.from_pylist(calls())  # noqa: F841
    for i, name in enumerate(TABLES):
        with duckdb.connect(str(folder / f"{i}.duckdb")) as database:
            database.execute("CREATE SCHEMA canon")
            database.execute(f"CREATE TABLE {name} AS FROM given")
            database.execute("CREATE TABLE few AS FROM given LIMIT 9")
    return folder


def alerts_of(folder, file, *words):
    """Return the alerts that a command's run kept, and how many it counts as left out for which reason."""
    files = ["--alerts", folder / file, "--candles", folder / "candles.parquet", "--runs", folder / "runs"]
    done = run("baseline", *files, "--quiet", "--json", *words)
    assert (0, "") == (done.code, done.err)
    found = json.loads(done.out)
    table = read_artifact(find_run(folder / "runs", found["run_id"]).path, "alerts")
    return [(row["mint"], row["alert_ts_ms"], row["caller_name"]) for row in table.to_pylist()], found["counts"]


def those(keep):
    """Return what ``alerts_of`` should of the alerts that pass a test."""
    return sorted(((row["mint"], row["alert_ts_ms"], row["caller_name"]) for row in calls() if keep(row)), key=by_time)


def by_time(alert):
    return alert[1], alert[0], alert[2]


NOON = 1_735_732_800_000  # 2025-01-01T12:00Z
FIRST, SECOND = sorted({row["caller_name"] for row in tables()[1].to_pylist()})[:2]
FILTERS = {
    "from": (["--from", "2025-01-01T12:00"], "outside_period", lambda row: row["alert_ts_ms"] >= NOON),
    "to": (["--to", "2025-01-01T12:00Z"], "outside_period", lambda row: row["alert_ts_ms"] < NOON),
    "caller": (["--caller", FIRST, SECOND], "other_caller", lambda row: row["caller_name"] in (FIRST, SECOND)),
    "chain": (["--chain", "SOLANA"], "other_chain", lambda row: row["chain"] == "Solana"),
    "mcap-min": (["--mcap-min", "7000"], "mcap", lambda row: (row["mcap_usd"] or 0) >= 7000),
    "mcap-max": (["--mcap-max", "7000"], "mcap", lambda row: (row["mcap_usd"] or 1e9) <= 7000),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_keeps_what_it_says_and_counts_the_rest(folder, name):
    words, reason, keep = FILTERS[name]
    kept, counts = alerts_of(folder, "alerts.parquet", *words)

    assert 0 < len(kept) < len(calls())
    assert those(keep) == kept
    assert len(calls()) - len(kept) == counts[reason]
    assert counts["read"] == counts[reason] + counts["kept"]


@pytest.mark.parametrize("file", ["0.duckdb", "1.duckdb", "2.duckdb", "3.duckdb"])
def test_each_table_of_a_database_is_found_by_its_name(folder, file):
    assert alerts_of(folder, "alerts.parquet") == alerts_of(folder, file)


def test_another_table_or_a_query_can_be_asked_for(folder):
    few = alerts_of(folder, "0.duckdb", "--alerts-table", "few")
    query = "SELECT mint, alert_ts_ms, caller_name FROM few WHERE caller_name = 'nobody' OR mint <> ''"

    assert 9 == few[1]["read"] == len(few[0])
    assert few == alerts_of(folder, "0.duckdb", "--alerts-query", query)


def test_a_file_is_no_database(folder):
    words = ["--alerts", folder / "alerts.parquet", "--candles", folder / "candles.parquet", "--alerts-table", "few"]
    done = run("baseline", *words, "--runs", folder / "runs")

    assert (2, "") == (done.code, done.out)
    assert "alerts.parquet is a file; a table or query can be chosen in a DuckDB database only" in done.err


@pytest.mark.parametrize("quiet", [True, False])
def test_long_reading_tells_how_far_it_is(folder, tmp_path, monkeypatch, quiet):
    monkeypatch.setattr(progress, "PATIENCE", 0)
    words = ["--alerts", folder / "alerts.parquet", "--candles", folder / "candles.parquet", "--runs", tmp_path]
    done = run("baseline", *words, *(["--quiet"] if quiet else []))
    size = (folder / "candles.parquet").stat().st_size
    found = re.findall(
        rf"^reading candles, bytes: (\d+) %, [\d,]+ of {size:,}, [\d,]+/s, \d+ s left$", done.err, re.MULTILINE
    )

    assert 0 == done.code
    assert ([] if quiet else [10 * (10 * (size * n // 5) // size) for n in (2, 3, 4)]) == list(map(int, found))


def test_making_data_up_tells_how_far_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 0)
    done = run("data", "synth", tmp_path, "--tokens", "10", "--days", "1", "--interval", "5m")

    assert (0, 10) == (done.code, done.err.count(" s left\n"))
    assert re.search(r"^tokens: 30 %, 3 of 10, [\d,]+/s, 0 s left$", done.err, re.MULTILINE)
