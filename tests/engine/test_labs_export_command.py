import csv
import json

import pytest
from haas_server import LAB, at_hand, labs


@pytest.fixture
def server(tmp_path, monkeypatch):
    with at_hand(tmp_path, monkeypatch) as state:
        yield state


def test_a_kept_lab_is_written_as_the_guide_has_it(server, capsys, tmp_path):
    assert 0 == labs("sync", LAB, "--rate", "1000")
    assert 0 == labs("export", "caed4df4", "--by", "realized_profit")
    (folder,) = (tmp_path / "cache").iterdir()
    rows = list(csv.DictReader((folder / "backtests_analytics.csv").read_text().splitlines()))
    profits = [float(row["realized_profit"]) for row in rows if row["realized_profit"]]

    assert f"25 backtests in cache/{folder.name}\n" == capsys.readouterr().out.partition("\n")[2]
    assert 25 == len(json.loads((folder / "backtests_list.json").read_text())) == len(rows)
    assert 25 == len(list((folder / "backtest_details").iterdir()))
    assert sorted(profits, reverse=True) == profits and len(profits) > 20


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["caed4df4"], 3, "is not complete: its list was not read to the last page; fetch it with"),
        (["nothing"], 2, "there is no lab 'nothing'"),
        (["caed4df4", "--by", "profit"], 2, "profit"),
        (["caed4df4", "--server", "other:1"], 2, "there is no lab 'caed4df4'"),
    ],
)
def test_what_cannot_be_exported_is_told_and_leaves_nothing(server, capsys, tmp_path, words, code, message):
    labs("sync", LAB, "--rate", "1000", "--max-backtests", "5")
    capsys.readouterr()
    assert code == labs("export", *words)
    err = capsys.readouterr().err

    assert message in err and 1 == len(err.splitlines())
    assert not list(tmp_path.glob("cache/*"))


def test_what_is_incomplete_says_so(server, capsys, tmp_path):
    labs("sync", LAB, "--rate", "1000", "--max-backtests", "20", "--page-size", "5")
    assert 0 == labs("export", LAB, "--partial")
    (folder,) = (tmp_path / "cache").iterdir()

    assert "its list was not read to the last page\n" == (folder / "INCOMPLETE.txt").read_text()
