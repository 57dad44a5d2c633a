import json
import re

import pytest
from haas_server import environment, haas
from highwater.engine.cli import main


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with haas() as state:
        for name, value in environment(state).items():
            monkeypatch.setenv(name, value)
        yield state


def run(*words):
    return main(["labs", *words])


def fast(*words):
    return run(*words, "--rate", "1000")


def test_cutoffs_are_asked_for_kept_exported_and_imported(server, capsys, tmp_path):
    assert 0 == run("cutoffs")
    assert "holds no cutoff" in capsys.readouterr().out
    (market,) = server.markets
    assert 0 == fast("cutoffs", market, "--export", "out/cutoffs.csv")
    assert re.search(rf"{market} +2025-05-03T00:00Z +1 +9", capsys.readouterr().out)
    asked = len(server.asked)
    assert 0 == run("cutoffs", "--import", "out/cutoffs.csv", "--file", "other.json", "--json")

    assert {market: "2025-05-03T00:00:00Z"} == json.loads(capsys.readouterr().out)
    assert asked == len(server.asked)
    assert (tmp_path / "data" / "history_cutoffs.json").is_file() and (tmp_path / "other.json").is_file()


def test_a_market_without_history_is_named(server, capsys):
    assert 3 == fast("cutoffs", "KRAKEN_BTC_EUR_")

    assert "KRAKEN_BTC_EUR_: 127.0.0.1:" in (err := capsys.readouterr().err) and "--months" in err
    (market,) = server.markets
    assert 0 == fast("cutoffs", market, "--months", "36")
    assert re.search(rf"{market} .* 36 ", capsys.readouterr().out)


def test_a_damaged_file_is_said_and_recovered(server, capsys, tmp_path):
    (market,) = server.markets
    fast("cutoffs", market)
    fast("cutoffs", market)
    path = tmp_path / "data" / "history_cutoffs.json"
    path.write_text("{")
    capsys.readouterr()
    assert 0 == run("cutoffs")
    out, err = capsys.readouterr()

    assert market in out
    assert "history_cutoffs.json is damaged; took data/history_cutoffs.backups/" in err
