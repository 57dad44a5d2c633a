import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from highwater.engine.cli import main
from highwater.engine.session import tries

DAYS = ("--start", "2024-01-02", "--end", "2024-02-15")
SEARCH = ("--strategy", "orb", "--symbols", "SPY", *DAYS, "--synthetic", "--min-trades", "5")
PARAMS = ("--param", "trade.t1_r=0.5:1.25:0.25", "orb.base_minutes=10,15,30")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sweep(*words):
    return main(["sweep", "--quiet", *words])


def runs(folder):
    """Return (folder, manifest) of every run, oldest first."""
    found = [(path.parent, json.loads(path.read_text())) for path in folder.glob("runs/2*/run_id=*/run.json")]
    return sorted(found, key=lambda each: each[1]["run_id"])


def test_a_random_search_as_it_is_typed(here, capsys):
    code = sweep(*SEARCH, *PARAMS, "--trials", "20", "--seed", "3")
    printed = capsys.readouterr().out

    assert not code
    assert all(len(line) <= 80 for line in printed.splitlines() if "run_id=" not in line)
    for text in ("Best by expectancy", "VERDICT", "walk-forward", "trade.t1_r", "(random, seed 3)"):
        assert text in printed
    ((folder, manifest),) = runs(here)
    kinds = {each["type"]: each["path"] for each in manifest["artifacts"]}
    assert ("session", "results/trials.parquet") == (manifest["run_type"], kinds["session_trials"])
    assert {"session_trades", "equity", "symbols", "guards", "factors"} <= set(kinds)
    assert 20 == manifest["counts"]["tried"] + manifest["counts"]["refused"] + manifest["counts"]["repeated"]
    assert manifest["counts"]["tried"] == manifest["trials_so_far"]
    assert json.loads((folder / "results" / "guards.json").read_text())["verdict"] in printed


def test_a_grid_in_json(capsys):
    code = sweep(*SEARCH, *PARAMS, "--method", "grid", "--objective", "sharpe", "--json", "--top", "3", "--no-guards")
    found = json.loads(capsys.readouterr().out)

    assert not code
    assert (12, 0, None) == (found["tried"], found["refused"], found["guards"])
    assert [1, 2, 3] == [row["rank"] for row in found["trials"]]
    assert sorted((row["sharpe_ratio"] for row in found["trials"]), reverse=True) == [
        row["sharpe_ratio"] for row in found["trials"]
    ]


def test_the_winner_is_what_a_backtest_of_its_settings_makes(here, capsys):
    sweep(*SEARCH, *PARAMS, "--method", "grid", "--json")
    best = json.loads(capsys.readouterr().out)["trials"][0]
    settings = runs(here)[0][0] / "results" / "best.json"
    words = ("--symbols", "SPY", *DAYS, "--synthetic", "--config", str(settings), "--json", "--quiet")
    main(["backtest", *words])
    alone = json.loads(capsys.readouterr().out)["symbols"][0]

    assert {name: best[name] for name in alone if name in best} == {name: alone[name] for name in alone if name in best}
    assert best["total_trades"] > 5


def test_configurations_tried_on_the_same_candles_add_up(capsys):
    counts = []
    for words in (("--method", "grid"), ("--method", "grid"), ("--trials", "9", "--seed", "5")):
        sweep(*SEARCH, *PARAMS, *words, "--json")
        found = json.loads(capsys.readouterr().out)
        counts.append((found["tried"], found["guards"]["tried"]))
    tried = counts[2][0]

    assert [(12, 12), (12, 12), (tried, 12 + tried)] == counts


def test_the_order_of_settings_and_threads_change_nothing(here, capsys):
    sweep(*SEARCH, *PARAMS, "--threads", "1", "--json")
    sweep(*SEARCH, "--param", "orb.base_minutes=10,15,30", "trade.t1_r=0.5:1.25:0.25", "--threads", "2", "--json")
    capsys.readouterr()
    contents = [
        {each["type"]: each["content_sha256"] for each in manifest["artifacts"] if each["type"] != "log"}
        for _, manifest in runs(here)
    ]

    assert contents[0] == contents[1]


def test_a_search_is_repeated_to_the_same_content(here, capsys):
    sweep(*SEARCH, "--param", "trade.t1_r=0.5,1,2", "governance.time_cutoff=12:00,none", "--method", "grid")
    (_, manifest) = runs(here)[0]
    code = main(["runs", "rerun", manifest["run_id"], "--quiet"])

    assert not code
    assert "differs" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--strategy", "orb"), "--strategy orb needs --symbols, --start, --end, --param"),
        (("--strategy", "orbs"), "--strategy"),
        ((*SEARCH, *PARAMS, "--tp", "2"), "--tp beside --strategy orb"),
        ((*SEARCH, *PARAMS, "--alerts", "a.csv"), "--alerts beside --strategy orb"),
        ((*SEARCH, *PARAMS, "--method", "optuna", "--trials", "4000"), "--trials is 4,000; of optuna at most 3,000"),
        ((*SEARCH, "--param", "trade.be_buffer"), "needs values: trade.be_buffer=low:high:step"),
        ((*SEARCH, *PARAMS, "--objective", "win"), "--objective is 'win'; for sessions it must be one of expectancy"),
        ((*SEARCH, *PARAMS, "--trials", "0"), "--trials is 0"),
        ((*SEARCH, "--param", "x=1"), "unknown setting 'x'"),
        ((*SEARCH, "--param", "t1_r=1,2"), "did you mean 'trade.t1_r'?"),
        ((*SEARCH, "--param", "trade.t1_r=1", "trade.t1_r=2"), "--param names trade.t1_r twice"),
        ((*SEARCH, "--param", "trade.t1_r=5,6", "--method", "grid"), "the settings refuse all 2 configurations"),
        ((*SEARCH, *PARAMS, "--method", "grid", "--trials", "5"), "the grid has 12 configurations, more than 5"),
        ((*SEARCH[:2], "--symbols", "SPY", "SPY", *DAYS, *PARAMS), "--symbols names SPY twice"),
        ((*SEARCH[:4], "--start", "2024-03-01", "--end", "2024-02-01", *PARAMS), "is not before --end"),
        (("--alerts", "a", "--candles", "b", "--symbols", "SPY"), "--symbols needs --strategy orb"),
        (("--alerts", "a", "--candles", "b", "--min-trades", "3"), "--min-trades needs --strategy orb"),
    ],
)
def test_what_cannot_be_is_one_line(words, said, capsys):
    code = sweep(*words)
    error = capsys.readouterr().err

    assert 2 == code
    assert said in error
    assert 1 == len(error.splitlines())


def test_settings_of_a_file_are_those_that_are_varied_from(here, capsys):
    (here / "mine.yaml").write_text("trade:\n  t2_r: 1.9\n  runner_r: 2.5\n")
    code = sweep(*SEARCH, "--param", "trade.t1_r=1.8,1", "--settings", "mine.yaml", "--method", "grid", "--json")

    assert not code
    assert 2 == json.loads(capsys.readouterr().out)["tried"]


OPTIMIZATION = """
optimization:
  enabled: true
  method: optuna
  n_trials: 40
  objective: sharpe
  optimize_params: [trade.t1_r, "orb.base_minutes=10,15,30", "trade.runner_r=1.8:3:0.2"]
"""


def test_what_flags_leave_open_is_as_the_settings_say(here, capsys):
    pytest.importorskip("optuna")
    (here / "mine.yaml").write_text(OPTIMIZATION)
    words = (*SEARCH, "--settings", "mine.yaml", "--no-guards")
    for more in ((), ("--threads", "2"), ("--method", "random", "--trials", "7", "--param", "trade.t2_r=1.2,1.5")):
        sweep(*words, *more)
    first, again, other = (manifest["config"] for _, manifest in runs(here))

    assert ["optuna", 40, "sharpe"] == [first["search"]["method"], first["search"]["trials"], first["objective"]]
    assert {"trade.t1_r": [0.8, 0.9, 1.0, 1.1, 1.2]}.items() <= first["search"]["params"].items()
    assert ["random", 7, ["trade.t2_r"]] == [other["search"][name] for name in ("method", "trials")] + [
        list(other["search"]["params"])
    ]
    contents = [
        {each["type"]: each["content_sha256"] for each in manifest["artifacts"] if each["type"] != "log"}
        for _, manifest in runs(here)[:2]
    ]
    assert contents[0] == contents[1] and first == again


def test_a_section_that_is_not_enabled_changes_nothing(here, capsys):
    (here / "mine.yaml").write_text(OPTIMIZATION.replace("true", "false"))

    assert 2 == sweep(*SEARCH, "--settings", "mine.yaml")
    assert "--strategy orb needs --param" in capsys.readouterr().err


def test_a_holdout_is_sealed_opened_and_counted(here, capsys):
    sweep(*SEARCH, *PARAMS, "--method", "grid", "--holdout", "25%")
    printed = capsys.readouterr().out
    sweep(*SEARCH[:-2], "--min-trades", "5", *PARAMS, "--method", "grid", "--json", "--no-guards")
    whole = json.loads(capsys.readouterr().out)["trials"]
    (folder, search), _ = runs(here)
    looks = []
    for _ in range(2):
        assert not main(["sweep", "unseal", search["run_id"], "--json", "--quiet"])
        looks.append(json.loads(capsys.readouterr().out))

    assert "holdout sealed: the last 25% of the days; looked at 0 times" in printed
    assert [1, 2] == [look["peeks"] for look in looks]
    assert 8 == looks[0]["days"]  # a quarter of 31
    alone = next(row for row in whole if row["trial_id"] == _winner(folder))
    found = read_table(folder / "results" / "symbols.parquet")[-1]
    opened = read_table(Path(looks[0]["path"]) / "results" / "symbols.parquet")[-1]
    assert alone["total_trades"] == found["total_trades"] + opened["total_trades"]
    assert alone["total_r"] == pytest.approx(found["total_r"] + opened["total_r"])
    assert looks[0]["mean_r"] == pytest.approx(opened["total_r"] / 8)
    for run_id in (search["run_id"], looks[1]["run_id"]):
        assert not main(["runs", "rerun", run_id, "--quiet"])
        assert "differs" not in capsys.readouterr().out
    main(["sweep", "unseal", search["run_id"], "--quiet"])
    printed = capsys.readouterr().out
    assert "holdout  " in printed and "no longer unseen" in printed
    assert all(len(line) <= 80 for line in printed.splitlines() if "run_id=" not in line)


def _winner(folder):
    return read_table(folder / "results" / "trials.parquet")[0]["trial_id"]


def read_table(path):
    return pq.read_table(path).to_pylist()


def test_a_run_that_held_nothing_out_cannot_be_opened(here, capsys):
    sweep(*SEARCH, *PARAMS, "--method", "grid", "--no-guards")
    capsys.readouterr()

    assert 2 == main(["sweep", "unseal", "latest", "--quiet"])
    assert "held no days out; sweep --strategy orb does with --holdout 20%" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["random", "optuna"])
def test_a_search_that_is_stopped_goes_on_and_ends_as_if_it_had_not(method, here, capsys, monkeypatch):
    pytest.importorskip("optuna")
    words = (*SEARCH, *PARAMS, "orb.atr_period=5:20", "--method", method, "--trials", "60", "--holdout", "20%")
    sweep(*words, "--runs", "whole")
    monkeypatch.setattr(tries, "FILE_S", 0.0)
    monkeypatch.setattr(tries, "CHUNK", 8)
    make, calls = tries.made_by_all, iter(range(9))

    def stopping(*given):
        if next(calls) == 4:
            raise KeyboardInterrupt
        return make(*given)

    monkeypatch.setattr(tries, "made_by_all", stopping)
    capsys.readouterr()
    code = sweep(*words)
    said = capsys.readouterr().err
    monkeypatch.setattr(tries, "made_by_all", make)
    run_id = said.rpartition("--resume ")[2].strip()

    assert 130 == code
    assert "stopped at trial " in said and " of 60; go on with: highwater sweep --resume 0" in said
    assert 2 == sweep("--resume", run_id, "--seed", "2")
    assert "--seed beside --resume" in capsys.readouterr().err
    assert not sweep("--resume", run_id, "--top", "3")
    assert "Best by expectancy" in capsys.readouterr().out
    (_, manifest), whole = *runs(here), json.loads(next(here.glob("whole/2*/run_id=*/run.json")).read_text())
    contents = [
        {each["type"]: each["content_sha256"] for each in found["artifacts"] if each["type"] != "log"}
        for found in (manifest, whole)
    ]
    assert contents[0] == contents[1]
    assert manifest["execution"]["resumed_at"] >= 20 and manifest["run_id"] == run_id
    assert not list(here.glob("runs/.staging/*.search"))


def test_what_each_setting_is_worth_is_printed_and_kept(here, capsys):
    code = main(["backtest", "--symbols", "SPY", *DAYS, "--synthetic", "--perturb", "--quiet"])
    printed = capsys.readouterr().out
    ((_, manifest),) = runs(here)

    assert not code
    assert all(len(line) <= 80 for line in printed.splitlines() if "run_id=" not in line)
    assert "Expectancy in R with a setting lower or higher" in printed
    assert "trade.runner_r" in printed
    assert "results/perturbation.parquet" in {each["path"] for each in manifest["artifacts"]}
    assert manifest["config"]["perturb"] is True
    main(["runs", "rerun", manifest["run_id"], "--quiet"])
    assert "differs" not in capsys.readouterr().out


def test_where_no_configuration_has_enough_trades_that_is_said(here, capsys):
    (here / "none.yaml").write_text('governance:\n  time_cutoff: "09:31"\n')
    code = sweep(*SEARCH, "--param", "trade.t1_r=0.5", "--settings", "none.yaml", "--method", "grid")
    printed = capsys.readouterr().out

    assert not code
    assert "search   1 configuration of 1 (grid), by expectancy" in printed
    assert "No configuration has 5 trades; give more days, or fewer with --min-trades." in printed
    assert "PROVEN\n" not in printed
    assert "nan" not in printed


def test_settings_without_effect_are_named(here, capsys):
    (here / "none.yaml").write_text('governance:\n  time_cutoff: "09:31"\n')
    main(["backtest", "--symbols", "SPY", *DAYS, "--synthetic", "--config", "none.yaml", "--perturb", "--quiet"])
    printed = capsys.readouterr().out

    assert "without effect here: buffers.atr_mult," in printed
    assert "lower or higher" not in printed
