"""METRICS.md says what is true: its commands and its code run, its figures are the columns there are."""

import re
import shlex

import documents
import pytest
import small_lab
from highwater.engine.cli import main
from highwater.io import lab_schemas
from highwater.io.labs import made_up

GUIDE = documents.FIGURES_OF_LABS.read_text()
OWN, EMBEDDED = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
BLOCKS = re.findall(r"```\n(highwater .*?)```", GUIDE, re.DOTALL)
COMMANDS = [line.removeprefix("highwater ") for block in BLOCKS for line in block.splitlines()]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guide")
    lab = made_up.MadeUpLab(backtests=6, days=6)
    small_lab.keep(folder / "labs", lab)
    small_lab.write_candles(folder / "candles.parquet", lab)
    (folder / "mine.py").write_text(OWN)
    return folder


def test_its_commands_run(kept, monkeypatch, capsys):
    monkeypatch.chdir(kept)

    assert 3 == len(COMMANDS)
    for command in COMMANDS:
        assert not main(shlex.split(command))
        assert "VERDICT" in capsys.readouterr().out
    assert (kept / "backtests_analytics.csv").is_file()


def test_its_code_runs(kept, monkeypatch, capsys):
    monkeypatch.chdir(kept)
    exec(compile(EMBEDDED, "METRICS.md", "exec"), {})

    assert re.fullmatch(r"(NOT PROVEN|PROVEN|REFUTED) 6\n", capsys.readouterr().out)


def test_its_figures_are_columns():
    section = GUIDE.partition("## Figures")[2].partition("The results guide's columns")[0]
    rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    named = {name for row in rows for name in re.findall("`([a-z_]+)`", row)}
    told = {*lab_schemas.ANALYTICS.names, *lab_schemas.BACKTESTS.names}
    others = {"run_id", "rank", "backtest_id", "script_name", "script_id", "generation", "population", "account_id"}
    others |= {"market_tag", "currency", "leverage", "start_time_ms", "end_time_ms", "days", "starting_balance"}
    others |= {"margin", "fees_usdt", "realized_profits_usdt", "average_loser", "largest_winner"}

    assert named <= told
    assert set() == set(lab_schemas.ANALYTICS.names) - named - others
