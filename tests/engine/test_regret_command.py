import json
import re

import pytest
import small_market
from highwater.io.runs import find_run, list_runs
from small_market import HORIZON, run, table_of

COMMANDS = {
    "fixed": ["strategy", "--tp", "1.3", "--sl", "0.8"],
    "optimistic": ["strategy", "--trail", "0.1", "--intrabar", "optimistic"],
    "no stop": ["strategy", "--time-stop", "2h"],
    "sweep": ["sweep", "--trials", "30", "--trades", "2"],
    "surface": ["surface", "--tp", "1.1:3:0.1", "--sl", "0.5:0.9:0.1"],
}
each_run = pytest.mark.parametrize("name", COMMANDS)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a directory of runs, and the id of each."""
    folder, ids = tmp_path_factory.mktemp("market"), {}
    market = small_market.write(folder)
    for name, words in {**COMMANDS, "baseline": ["baseline"]}.items():
        done = run(*words, *market.flags, "--horizon", f"{HORIZON}ms", "--runs", folder / "runs", "--quiet")
        assert 0 == done.code, done.err
        ids[name] = find_run(folder / "runs", "latest").run_id
    return folder / "runs", ids


def command(made, name, *more):
    runs, ids = made
    return run("regret", ids[name], "--runs", runs, "--quiet", *more)


def refuse(word):
    raise AssertionError(f"{word} is no JSON")


@each_run
def test_a_command_prints_what_hindsight_says(made, name):
    done = command(made, name)

    assert (0, "") == (done.code, done.err)
    for text in (f"run      {made[1][name]}\n", "as traded", "each sold at its high", "Left on the table"):
        assert text in done.out
    assert (" fixed exits in hindsight: TP " in done.out) == (name != "optimistic")
    assert ("they do not cover --intrabar optimistic\n" in done.out) == (name == "optimistic")
    assert ("a stop kept " in done.out) == (name != "no stop")


@each_run
def test_no_line_is_wider_than_80_columns_and_none_is_broken(made, name):
    lines = command(made, name).out.splitlines()

    assert [] == [line for line in lines if len(line.rstrip()) > 80]
    assert [] == [line for line in lines if re.fullmatch(r"[a-z]+\s*", line)]


@each_run
def test_json_is_one_document(made, name):
    found = json.loads(command(made, name, "--json").out, parse_constant=refuse)
    summary = table_of(made[0], "summary", made[1][name]).to_pylist()[0]

    assert made[1][name] == found["run_id"]
    assert summary["trades_count"] == found["trades"]
    assert pytest.approx(summary["avg_return_bps"]) == found["avg_return_bps"]
    assert pytest.approx(summary["median_tail_capture"]) == found["capture"][2]
    assert (name == "optimistic") == (found["hindsight"] is None)
    assert HORIZON == found["left"][-1]["within_ms"] == found["saved"][-1]["within_ms"]


def test_the_winner_of_a_surface_is_the_best_in_hindsight_on_its_grid(made):
    found = json.loads(command(made, "surface", "--json", "--tp", "1.1:3:0.1", "--sl", "0.5:0.9:0.1").out)
    best = table_of(made[0], "frontier", made[1]["surface"]).to_pylist()[0]

    assert (best["tp"], best["sl"]) == (found["hindsight"]["tp"], found["hindsight"]["sl"])
    assert pytest.approx(found["avg_return_bps"], abs=0.01) == found["hindsight"]["avg_return_bps"]


def test_nothing_is_published_and_threads_change_nothing(made):
    before = [entry.run_id for entry in list_runs(made[0])]
    documents = {command(made, "fixed", "--json", "--threads", n).out for n in (1, 2)}

    assert before == [entry.run_id for entry in list_runs(made[0])]
    assert 1 == len(documents)


def test_a_run_without_trades_is_refused_in_one_line(made):
    done = command(made, "baseline")

    assert (2, "", 1) == (done.code, done.out, done.err.count("\n"))
    assert "is of type path-only and traded nothing; name one of strategy, sweep or surface" in done.err
