import json
import math

import day_market
import pyarrow.parquet as pq
import pytest
from highwater.engine.judgement import defined, sample_rows
from highwater.io.digest import canonical_json
from highwater.io.runs import find_run, read_artifact, read_manifest
from small_market import run

SWEEP = ["sweep", "--trials", "300", "--horizon", "12h", "--quiet", "--tp", "log:1.1:5", "--sl", "0.3:0.95"]
COLUMNS = ["t_stat", "p_luck", "psr", "dsr_independent", "dsr_tried", "plateau_bps"]


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return day_market.written(tmp_path_factory.mktemp("days"))


@pytest.fixture(scope="module")
def searched(market, tmp_path_factory):
    """Return the directory of runs with one search, and what it printed."""
    runs = tmp_path_factory.mktemp("runs")
    done = run(*SWEEP, *market.flags, "--runs", runs)
    assert (0, "") == (done.code, done.err)
    return runs, done.out


def contents(runs, run_id="latest"):
    manifest = read_manifest(find_run(runs, run_id).path)
    return {a.path: a.content_sha256 for a in manifest.artifacts if a.type != "log"}


def guards(runs):
    return json.loads((find_run(runs, "latest").path / "results" / "guards.json").read_text())


def test_the_document_agrees_with_the_run(searched):
    runs, _ = searched
    found, best = guards(runs), read_artifact(find_run(runs, "latest").path, "frontier").to_pylist()
    manifest = read_manifest(find_run(runs, "latest").path)
    winner = found["winner"]

    assert best[0]["trial_id"] == winner["trial_id"]
    assert best[0]["avg_return_bps"] == pytest.approx(winner["mean_bps"], rel=1e-12)
    assert best[0]["p_luck"] == winner["chance"]["p"]
    assert best[0]["t_stat"] == winner["chance"]["statistic"]
    assert best[0]["dsr_tried"] == winner["ratio"]["deflated_tried"]
    assert best[0]["plateau_bps"] == pytest.approx(winner["neighbours"][0])
    assert (manifest.trials_so_far, manifest.holdout_peeks) == (found["tried"], 0)
    assert found["tried"] == found["search"]["distinct"] <= 300
    assert [row[name] is not None for row in best[:100] for name in COLUMNS] == [True] * 600
    assert all(0 < row["p_luck"] <= 1 for row in best)
    assert [check["name"] for check in found["checks"]] == ["luck", "selection", "sharpe", "unseen", "spread", "data"]
    assert found["failing"] == [check["name"] for check in found["checks"] if check["status"] == "FAIL"]


def test_luck_and_its_line_say_the_same(searched):
    winner = guards(searched[0])["winner"]

    assert (winner["chance"]["p"] <= 0.05) == (winner["mean_bps"] >= winner["chance"]["line_bps"])


def test_the_screen(searched):
    runs, out = searched
    screen = out[out.index("VERDICT") :].partition("\n\n")[0].splitlines()

    assert guards(runs)["verdict"] in screen[0]
    assert all(len(line) <= 80 for line in screen)
    for number, name in enumerate(("luck", "selection", "sharpe", "unseen", "spread", "data"), 1):
        assert any(line.startswith(f" {number} {name}") for line in screen)


@pytest.mark.parametrize(
    "words",
    [["--threads", "1"], ["--mem", "8M"], ["--engine", "bars"], ["--engine", "tables", "--mem", "40M"]],
    ids=" ".join,
)
def test_however_it_is_done(market, searched, tmp_path, words):
    assert 0 == run(*SWEEP, *market.flags, "--runs", tmp_path, *words).code
    assert contents(searched[0]) == contents(tmp_path)


def test_a_rerun_is_identical_whatever_was_tried_since(market, tmp_path):
    assert 0 == run(*SWEEP, *market.flags, "--runs", tmp_path).code
    first = find_run(tmp_path, "latest").run_id
    assert 0 == run(*SWEEP, *market.flags, "--runs", tmp_path, "--seed", "2").code
    assert guards(tmp_path)["tried"] > 300
    again = run("runs", "rerun", first, "--runs", tmp_path, "--quiet")

    assert 0 == again.code, again.out
    assert contents(tmp_path, first) == contents(tmp_path)


def test_without_guards(market, tmp_path):
    done = run(*SWEEP, *market.flags, "--runs", tmp_path, "--no-guards")
    path = find_run(tmp_path, "latest").path

    assert (0, "") == (done.code, done.err)
    assert "VERDICT" not in done.out
    assert not (path / "results" / "guards.json").exists()
    assert not {*COLUMNS} & {*pq.read_schema(path / "results" / "frontier.parquet").names}
    assert read_manifest(path).trials_so_far is None


def test_one_policy_is_not_selected(market, tmp_path):
    words = ["sweep", "--trials", "1", *SWEEP[3:], *market.flags, "--runs", tmp_path]
    done, again = run(*words), run(*words, "--seed", "2")

    assert " 2 selection one policy, which was not selected                             PASS" in done.out
    assert " 2 selection one policy, which was not selected                             WARN" in again.out


def test_sums_that_json_cannot_hold_are_floats():
    """Nine digits of per cent on one alert are a sum of more millionths than a double holds."""
    found = {"sums": [2**53 - 1, -(2**53), 2**62, 1.5, math.inf, True], "name": "x"}

    assert {"sums": [2**53 - 1, -float(2**53), float(2**62), 1.5, None, True], "name": "x"} == defined(found)
    assert float(json.loads(canonical_json(defined(found)))["sums"][2]) == 2**62


def test_as_json(market, tmp_path):
    done = run(*SWEEP, *market.flags, "--runs", tmp_path, "--json")

    assert guards(tmp_path) == json.loads(done.out)["guards"]


def test_a_surface_is_judged_too(market, tmp_path):
    words = ["surface", "--tp", "1.1:3:0.1", "--sl", "0.5:0.9:0.1", "--horizon", "12h", "--quiet"]
    done = run(*words, *market.flags, "--runs", tmp_path)

    assert (0, "") == (done.code, done.err)
    assert "VERDICT" in done.out
    assert 100 == guards(tmp_path)["search"]["trials"]


def test_few_rows_stand_for_all():
    assert list(range(5)) == sample_rows(5).tolist()
    found = sample_rows(10**9)
    assert (2000, 0) == (found.size, found[0])
    assert found[-1] < 10**9
    assert math.isclose(10**9 / 2000, found[1])


@pytest.mark.parametrize(
    ("objective", "score"),
    [
        ("plateau_bps", lambda row: row["plateau_bps"]),
        ("mean_worst_bps", lambda row: row["mean_worst_bps"]),
        ("expectancy_r", lambda row: row["avg_return_bps"] / 10_000 / (1 - row["sl"])),
    ],
)
def test_a_search_is_ranked_by_what_it_was_asked(market, tmp_path, objective, score):
    done = run(*SWEEP, *market.flags, "--runs", tmp_path, "--objective", objective, "--where", "trades_count>=2")
    best = read_artifact(find_run(tmp_path, "latest").path, "frontier").to_pylist()[:100]

    assert (0, "") == (done.code, done.err)
    assert [score(row) for row in best] == pytest.approx([row["objective_score"] for row in best], rel=1e-9)
    assert sorted((row["objective_score"] for row in best), reverse=True) == [row["objective_score"] for row in best]
    assert best[0]["trial_id"] == guards(tmp_path)["winner"]["trial_id"]
