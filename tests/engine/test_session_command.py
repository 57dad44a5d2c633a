import json
import re

import documents
import pytest
from highwater.engine.cli import main

DAYS = ("--start", "2024-01-02", "--end", "2024-01-31")
CONFIG = re.findall(r"```yaml\n(.*?)```", documents.SESSIONS.read_text(), re.DOTALL)[0]  # the guide's own


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_config.yaml").write_text(CONFIG)
    return tmp_path


def backtest(*words):
    return main(["backtest", "--quiet", *words])


# The guide's examples as they are typed are in tests/test_session_guide.py.
def test_short_flags_and_another_folder(here, capsys):
    code = backtest("--symbols", "SPY", *DAYS, "-v", "--output-dir", "results", "--synthetic")
    printed = capsys.readouterr().out

    assert not code
    assert "rules    OR-1 on FS-1" in printed and re.search(r", sessions \d+\.\d\ds, ", printed)
    assert re.search(r"ranges   SPY: \d+% 15min,.* \d+% valid\n", printed)
    assert [1] == [len(list(each.glob("all_trades.csv"))) for each in here.glob("results/backtest_*")]


@pytest.mark.parametrize(
    ("words", "settings", "kinds"),
    [
        ((), "log_level: DEBUG", {"DEBUG", "INFO"}),
        ((), "log_level: info", {"INFO"}),
        (("-v",), "log_level: error", {"DEBUG", "INFO"}),
        ((), "log_level: error", set()),
        ((), "log_to_file: false", None),
    ],
)
def test_the_log_has_what_its_level_asks_for(words, settings, kinds, here):
    (here / "mine.yaml").write_text(settings)
    backtest("--symbols", "SPY", *DAYS, "--synthetic", "--config", "mine.yaml", *words)
    (folder,) = here.glob("runs/backtest_*")
    log = folder / "backtest_run.log"

    assert kinds == ({line.split()[0] for line in log.read_text().splitlines()} if log.exists() else None)
    if kinds and "DEBUG" in kinds:
        assert "DEBUG    SPY 2024-01-0" in log.read_text() and "DEBUG    orb.base_minutes = 15" in log.read_text()


def test_a_second_run_takes_what_the_cache_has(here, capsys):
    words = ("--symbols", "SPY", *DAYS, "--cache", "--cache-dir", "kept", "--synthetic")
    backtest(*words)
    first = capsys.readouterr().out
    backtest(*words)
    second = capsys.readouterr().out

    assert "kept/SPY" not in first and "kept/SPY" in second
    assert [line for line in first.splitlines() if "SPY │" in line] == [
        line for line in second.splitlines() if "SPY │" in line
    ]


def test_json_is_one_document(capsys):
    backtest("--symbols", "SPY", *DAYS, "--synthetic", "--json")
    found = json.loads(capsys.readouterr().out)

    assert {"run_id", "path", "files", "symbols", "failed", "notes"} == set(found)
    assert ["SPY", None] == [row["symbol"] for row in found["symbols"]]


def test_settings_change_what_is_traded(capsys):
    totals = []
    for more in ((), ("--config", "my_config.yaml")):
        backtest("--symbols", "SPY", *DAYS, "--synthetic", "--json", *more)
        totals.append(json.loads(capsys.readouterr().out)["symbols"][0]["total_r"])

    assert totals[0] != totals[1]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--symbols", "SPY", "--start", "2024-02-01", "--end", "2024-01-02", "--synthetic"), 2, "is not before --end"),
        (("--symbols", "SPY", "--start", "2024-07-04", "--end", "2024-07-05", "--synthetic"), 2, "has no session from"),
        (("--symbols", "SPY", "SPY", *DAYS, "--synthetic"), 2, "names SPY twice"),
        (
            ("--symbols", "SPY", "--start", "2024-01-02T10:00Z", "--end", "2024-01-31", "--synthetic"),
            2,
            "must be a day",
        ),
        (("--symbols", "SPY", *DAYS, "--config", "typo.yaml", "--synthetic"), 2, "did you mean 'base_minutes'"),
        (("--symbols", "SPY", *DAYS, "--config", "above.yaml", "--synthetic"), 2, "t1_r 99 must be below t2_r"),
        (
            ("--symbols", "SPY", *DAYS, "--config", "early.yaml", "--synthetic"),
            2,
            "is not after the open of 2024-01-02",
        ),
        (("--symbols", "SPY", *DAYS, "--synthetic", "--source", "yahoo"), 2, "name different sources"),
        (("--symbols", "SPY", *DAYS, "--source", "file"), 2, "needs --data"),
        (("--symbols", "SPY", *DAYS, "--data", "nowhere.csv"), 2, "nowhere.csv"),
        (("--symbols", "SPY", *DAYS, "--synthtic"), 2, "did you mean"),
        (("--symbols", "SPY", *DAYS), 2, "Yahoo has 1m candles of the last 30 days only"),
    ],
)
def test_bad_input_is_one_line(words, code, message, here, capsys):
    (here / "typo.yaml").write_text("orb:\n  base_minuts: 15\n")
    (here / "above.yaml").write_text("trade:\n  t1_r: 99\n")
    (here / "early.yaml").write_text('governance:\n  time_cutoff: "09:00"\n')
    found = backtest(*words)
    said = capsys.readouterr().err

    assert code == found
    assert message in said and 1 == len(said.splitlines())
    assert not list(here.glob("runs/*/run_id=*"))


def test_nothing_traded_says_why(here, capsys):
    (here / "none.yaml").write_text("scoring:\n  base_required: 3\norb:\n  min_atr_mult: 50\n  max_atr_mult: 60\n")
    backtest("--symbols", "SPY", *DAYS, "--config", "none.yaml", "--synthetic")

    assert "No trades generated: " in capsys.readouterr().out


def test_the_earlier_words_of_backtest_are_still_there(capsys):
    codes = [main(["backtest", word, "--help"]) for word in ("path-only", "policy", "catalog-sync", "catalog-query")]

    assert [0, 0, 0, 0] == codes
