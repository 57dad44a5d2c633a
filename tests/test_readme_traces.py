"""The README's section on strategy traces: its session prints what it shows, its documents and statements run."""

import re
import shlex
import shutil

import documents
import duckdb
import pytest
import small_series
import yaml
from highwater.engine.cli import main
from highwater.engine.traces.sweeps import parse_strategies
from shared_market import DATA, needs_data
from small_market import run

SECTION = documents.TRACES.read_text()
STATEMENTS = [
    text.strip() for block in re.findall(r"```sql\n(.*?)```", SECTION, re.DOTALL) for text in block.split(";")
]
STATEMENTS = [text for text in STATEMENTS if text]
SWEEP, GRAMMAR = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)


def stable(text):
    """Return the lines that are the same in every session: ids, times and places left out."""
    lines = re.sub(r"(?m)^slice .*$", "slice", text).splitlines()
    lines = [line for line in lines if not line.strip().startswith(("runs/", "/"))]
    return [re.sub(r"\b(01[0-9a-z]{24}|[0-9a-z]{6})$", "ID", line.rstrip()) for line in lines if line.strip()]


@pytest.mark.shared_data
@needs_data[1]
def test_the_session_prints_what_it_shows(tmp_path, monkeypatch, capsys):
    shutil.copy(DATA / "candles/spy_5m_2024.parquet", tmp_path / "spy_5m.parquet")
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    monkeypatch.chdir(tmp_path)
    session = re.search(r"```\n(\$ highwater traces run.*?)```", SECTION, re.DOTALL)[1]
    shown, printed = [], []
    for part in session.split("$ highwater ")[1:]:
        command, _, output = part.partition("\n")
        assert main(shlex.split(command)) == 0
        shown += stable(output)
        printed += stable(capsys.readouterr().out)

    assert len(shown) > 40
    assert shown == printed


def test_the_documents_are_strategies():
    counts = [len(parse_strategies(document).strategies) for document in yaml.safe_load_all(GRAMMAR)]

    assert 13 == len(parse_strategies(yaml.safe_load(SWEEP)).strategies)
    assert [1, 1, 1] == counts[:3]
    assert counts[3] > 32


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return a folder with two runs on made-up candles, the second of which takes its traces from the first."""
    folder = tmp_path_factory.mktemp("store")
    candles = small_series.write(folder, seed=11)
    for _ in range(2):
        assert 0 == small_series.trace(candles, folder / "runs").code
    assert 0 == run("catalog", "sync", "--runs", folder / "runs").code
    return folder


def asked(sql):
    """Return how many rows a statement has, by the catalog or by DuckDB alone."""
    if "read_parquet" in sql:
        return len(duckdb.sql(sql).fetchall())
    done = run("catalog", "sql", sql, "--limit", "1000000", "--json")
    assert 0 == done.code, done.err
    return done.out.count("\n  {")


@pytest.mark.parametrize("sql", STATEMENTS)
def test_a_statement_has_an_answer(store, monkeypatch, sql):
    monkeypatch.chdir(store)

    assert asked(sql)


def test_the_three_questions_have_one_answer_with_and_without_a_catalog(store, monkeypatch):
    monkeypatch.chdir(store)
    counts = [asked(sql) for sql in STATEMENTS]

    assert counts[:3] == counts[3:]


def test_the_best_traces_are_those_of_the_store(store, monkeypatch):
    monkeypatch.chdir(store)
    rows = duckdb.sql(STATEMENTS[5]).fetchall()
    ((changes,),) = duckdb.sql(
        "SELECT sum(changes) FROM read_parquet('runs/????-??/*/results/strategy_index.parquet', union_by_name = true, "
        "hive_partitioning = false) WHERE sharpe_ratio > -1"
    ).fetchall()

    assert changes == len(rows)
