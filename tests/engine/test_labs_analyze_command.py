import csv
import json

import pytest
import small_lab
from haas_server import at_hand, fast
from highwater.engine.cli import main
from highwater.io.labs import made_up

LAB = made_up.MadeUpLab(backtests=12, days=10)
NAME = LAB.lab[:8]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    small_lab.keep(folder / "labs", LAB)
    small_lab.write_candles(folder / "candles.parquet", LAB)
    (folder / "mine.py").write_text("def count(positions):\n    return {'n': positions.num_rows}\n")
    return folder


@pytest.fixture
def here(kept, monkeypatch):
    monkeypatch.chdir(kept)
    return kept


def analyze(*words):
    return main(["labs", "analyze", NAME, "--quiet", *words])


def test_it_says_what_the_lab_is_worth_in_80_columns(here, capsys):
    assert not analyze("--candles", "candles.parquet", "--top", "3")
    printed = capsys.readouterr().out
    lines = [line for line in printed.splitlines() if "run_id=" not in line]

    assert all(len(line) <= 80 for line in lines)
    for text in (
        *("lab      Made-up lab", "read     12 backtests, 12 whole", "Backtests, by return_on_balance_pct"),
        *("and 9 more in results/analytics.parquet", "VERDICT  ", " 1 luck ", " 6 data ", "tried: 12 configurations"),
        *(" possible, 0 no candle, 0 ambiguous, 0 impossible", "to buy and hold"),
    ):
        assert text in printed


def test_entries_are_left_on_the_charts_of_the_server(tmp_path, monkeypatch, capsys):
    with at_hand(tmp_path, monkeypatch) as state:
        state.labs, state.chart_minutes = [LAB], None
        assert not fast("sync", NAME, "--quiet")
        assert 3 == analyze("--candles", "server", "--no-guards")
        assert f"is kept; fetch one with highwater labs sync {NAME} --charts" in capsys.readouterr().err
        assert not fast("sync", NAME, "--quiet", "--charts")
        assert not fast("sync", NAME, "--quiet", "--charts")
        assert 1 == state.count("GET_BACKTEST_CHART")
    assert f"a chart of {LAB.market} fetched" in capsys.readouterr().out
    asked = ("--candles", "server", "--tp", "1.02", "--sl", "0.99", "--no-guards")
    assert not analyze(*asked, "--top", "3")
    printed = capsys.readouterr().out
    lines = [line for line in printed.splitlines() if "run_id=" not in line]
    assert not main(["labs", "report", "--json"])
    own, mine = json.loads(capsys.readouterr().out)["exits"]

    assert all(len(line) <= 80 for line in lines)
    for text in ("left by FS-1, after the lab's fees", "the script's own", "TP 1.02x, SL -1%", "0 impossible"):
        assert text in printed
    assert ("own", "asked", "USDT") == (own["exits"], mine["exits"], mine["currency"])
    assert own["among"] == mine["among"] >= mine["positions"] > 50
    assert own["fs1"] != mine["fs1"] and mine["worst"] <= mine["fs1"] <= mine["best"]


def test_report_shows_the_newest_run_of_a_lab_as_it_was_shown(here, capsys):
    assert not analyze("--top", "2")
    first = capsys.readouterr().out
    assert not main(["labs", "report", "--top", "2"])
    second = capsys.readouterr().out

    assert first.splitlines()[:-1] == second.splitlines()[:-1]


def test_one_json_document_of_both(here, capsys):
    assert not analyze("--json", "--top", "2")
    first = json.loads(capsys.readouterr().out)
    assert not main(["labs", "report", first["run_id"][-6:], "--json", "--top", "2"])
    second = json.loads(capsys.readouterr().out)

    assert first == second | {"path": first["path"]}
    assert (2, 12) == (len(first["backtests"]), first["counts"]["backtests"])
    assert first["guards"]["backtest_id"] == first["backtests"][0]["backtest_id"]


def test_the_csv_is_sorted_by_the_figure_that_is_asked_for(here):
    assert not analyze("--by", "profit_factor", "--ascending", "--csv", "out/figures.csv", "--no-guards")
    assert not analyze("--by", "profit_factor", "--ascending", "--csv", "out/figures.csv", "--no-guards")
    rows = list(csv.DictReader((here / "out" / "figures.csv").read_text().splitlines()))
    values = [float(row["profit_factor"]) for row in rows if row["profit_factor"]]

    assert 12 == len(rows)
    assert sorted(values) == values
    assert {"script_name", "win_rate", "total_trades", "realized_profits_usdt", "fees_usdt", "beats_buy_hold"} < rows[
        0
    ].keys()


def test_a_file_of_another_kind_is_not_replaced(here, capsys):
    (here / "notes.csv").write_text("mine\n")

    assert 2 == analyze("--csv", "notes.csv")
    assert "--csv notes.csv is something else already; name a new file" in capsys.readouterr().err
    assert "mine\n" == (here / "notes.csv").read_text()


def test_analytics_of_ones_own(here, capsys):
    assert not analyze("--custom", "mine.py:count", "--json")
    path = json.loads(capsys.readouterr().out)["path"]
    assert not main(["runs", "show", path, "--artifact", "lab_custom", "--json"])
    rows = json.loads(capsys.readouterr().out)

    assert 12 == len(rows)
    assert {("mine.py:count", "n")} == {(row["function"], row["metric"]) for row in rows}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--by", "sharpe"), "--by sharpe: no such figure; did you mean"),
        (("--holdout", "20%"), "--holdout: a lab's backtests have seen all their days; leave it out"),
        (("--tp", "2"), "exits such as --tp and --sl need candles to be tried on; name some with --candles"),
        (("--policy", "{}", "--tp", "2"), "--policy holds the whole policy; leave --tp, --sl and the like out"),
        (("--horizon", "0s"), "--horizon is 0; it must be longer than nothing, such as 48h"),
        (("--capital", "0"), "--capital is 0; it must be more than 0"),
        (("--tried", "0"), "--tried is 0; it must be at least 1"),
        (("--store", "elsewhere"), "there is no lab"),
        (("--custom", "mine.py:counts"), "mine.py has no counts; did you mean 'count'"),
        (("--server", "another:1"), "there is no lab"),
    ],
)
def test_what_cannot_be_is_refused(here, capsys, words, said):
    assert 2 == analyze(*words)
    assert said in capsys.readouterr().err


def test_a_report_of_another_run_is_refused(here, capsys, tmp_path):
    assert 2 == main(["labs", "report", "--runs", str(tmp_path)])
    assert "there is no completed run of a lab" in capsys.readouterr().err
