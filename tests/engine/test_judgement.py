import dataclasses
import json
from dataclasses import replace

import many_days
import numpy as np
import pytest
import small_market
from highwater.engine import judgement_show
from highwater.engine.guards import Chance, Evidence, Guards, Lane, Part, Quality, Ratio, Spread, Unseen
from highwater.engine.judgement import Judgement, sample_rows
from highwater.engine.judgement_show import WIDTH
from highwater.engine.ledger import Ledger
from highwater.engine.luck import Fold, Halving
from highwater.engine.verdict import verdict_on
from many_days import TRIALS

COLUMNS = ("t_stat", "p_luck", "psr", "dsr_independent", "dsr_tried", "plateau_bps")
HELD = ("--holdout", "20%")


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return many_days.write(tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="module")
def searched(market, tmp_path_factory):
    return many_days.search(market, tmp_path_factory.mktemp("runs"), *HELD)


def test_guards_frontier_and_manifest_agree(searched):
    path, manifest = searched
    found, best = many_days.guards(path), many_days.frontier(path)
    winner = found["winner"]

    assert (TRIALS, 0) == (manifest.trials_so_far, manifest.holdout_peeks)
    assert (found["tried"], found["holdout_peeks"]) == (manifest.trials_so_far, manifest.holdout_peeks)
    assert TRIALS == found["search"]["trials"] >= found["search"]["distinct"] > 0
    assert [each["name"] for each in found["checks"] if each["status"] == "FAIL"] == found["failing"]
    assert manifest.config["guards"] == found["thresholds"]
    first = {name: values[0].item() for name, values in best.items()}
    assert (first["trial_id"], first["trades_count"]) == (winner["trial_id"], winner["alerts"])
    told = {
        "t_stat": winner["chance"]["statistic"],
        "p_luck": winner["chance"]["p"],
        "psr": winner["ratio"]["probability"],
        "dsr_independent": winner["ratio"]["deflated_independent"],
        "dsr_tried": winner["ratio"]["deflated_tried"],
        "plateau_bps": winner["neighbours"][0],
        "avg_return_bps": winner["mean_bps"],
        "median_return_bps": winner["median_bps"],
        "win_rate": winner["win_rate"],
    }
    assert told == pytest.approx({name: first[name] for name in told}, rel=1e-9)
    assert winner["neighbours"][0] <= winner["mean_bps"] <= winner["neighbours"][1]
    for name in COLUMNS[1:5]:
        assert (best[name] >= 0).all()
        assert (best[name] <= 1).all()
    assert (np.diff(best["p_luck"][np.argsort(-best["t_stat"], kind="stable")]) >= 0).all()


def test_a_rerun_is_identical_whatever_was_searched_since(market, tmp_path):
    path, manifest = many_days.search(market, tmp_path, *HELD)
    _, later = many_days.search(market, tmp_path, *HELD, "--seed", 2)
    assert 2 * TRIALS == later.trials_so_far
    done = small_market.run("runs", "rerun", manifest.run_id, "--runs", tmp_path, "--quiet", "--json")

    assert 0 == done.code, done.err
    again = many_days.newest(tmp_path)
    assert again[1].run_id != manifest.run_id
    assert many_days.contents(manifest) == many_days.contents(again[1])
    assert TRIALS == again[1].trials_so_far == many_days.guards(path)["tried"]
    said = small_market.run("runs", "rerun", manifest.run_id, "--runs", tmp_path, "--quiet")
    assert "identical" in said.out


def test_without_guards_nothing_is_judged(market, tmp_path):
    path, manifest = many_days.search(market, tmp_path, "--no-guards")
    done = small_market.run(
        "sweep", *market.flags, *many_days.PAID, "--trials", TRIALS, "--runs", tmp_path, "--no-guards"
    )

    assert not (path / "results/guards.json").exists()
    assert "guards" not in {each.type for each in manifest.artifacts}
    assert not set(COLUMNS) & set(many_days.frontier(path))
    assert (None, None) == (manifest.trials_so_far, manifest.holdout_peeks)
    assert "VERDICT" not in done.out


@pytest.mark.parametrize(
    "how",
    [("--threads", "1"), ("--threads", "2"), ("--mem", "64M"), ("--engine", "tables"), ("--engine", "bars")],
    ids=" ".join,
)
def test_how_it_is_done_changes_nothing(market, tmp_path, searched, how):
    assert many_days.contents(searched[1]) == many_days.contents(many_days.search(market, tmp_path, *HELD, *how)[1])


def test_the_screen_and_the_json_hold_the_verdict(market, tmp_path):
    words = (*market.flags, *many_days.PAID, "--trials", TRIALS, "--runs", tmp_path, *HELD)
    done = small_market.run("sweep", *words)
    found = many_days.guards(many_days.newest(tmp_path)[0])

    lines = done.out.splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("VERDICT"))
    assert lines[begin].removeprefix("VERDICT  ").startswith(found["verdict"])
    rows = [next(line for line in lines[begin:] if line.startswith(f" {i} ")) for i in range(1, 7)]
    assert [each["name"] for each in found["checks"]] == [row.split()[1] for row in rows]
    assert [each["status"] for each in found["checks"]] == [row.split()[-1] for row in rows]
    assert max(map(len, lines[begin : begin + 16])) <= WIDTH

    done = small_market.run("sweep", *words, "--json")
    assert many_days.guards(many_days.newest(tmp_path)[0]) == json.loads(done.out)["guards"]


def test_a_surface_is_judged_too(market, tmp_path):
    grid = ("--tp", "1.5:3:0.5", "--sl", "0.5:0.8:0.1")
    path, manifest = many_days.search(market, tmp_path, *grid, *HELD, command="surface")

    assert many_days.guards(path)["tried"] == manifest.trials_so_far == many_days.guards(path)["search"]["trials"] == 16
    assert set(COLUMNS) <= set(many_days.frontier(path))


def test_on_two_days_it_is_too_early_to_tell(market, tmp_path):
    path, _ = many_days.search(market, tmp_path, "--from", "2025-01-10", "--to", "2025-01-12")
    found, best = many_days.guards(path), many_days.frontier(path)

    assert found["verdict"] in ("NOT PROVEN", "REFUTED")
    assert ["luck", "selection", "sharpe", "unseen", "spread"] == found["failing"][:5]
    assert [None] * 5 == [found["search"], *(found["winner"][n] for n in ("chance", "halving", "ratio", "unseen"))]
    for name in COLUMNS[:5]:
        assert [None] * len(best[name]) == best[name].tolist()


PART = Part("a" * 44, 10**9, 1e15)
HUGE = 9.3e16  # bps: the most that whole millionths of 64 bits hold
EXTREME = Evidence(
    10**10,
    -HUGE,
    -HUGE,
    1.0,
    10**9,
    36_500,
    Chance(-1e300, 0.0995, -HUGE, (1.0, 1.0, 1.0)),
    Halving(0.0994, 1.0, -1e12, 10, 9),
    Ratio(-1e9, 0.0, 3.0, 0.0994, 123456789.0, 0.0994, 10**12, 0.0994, 1e30),
    Unseen(-HUGE, -HUGE, -HUGE, (Fold(0, 1, 1, 1, 0, -(10**18)),) * 8),
    Spread(-HUGE, -HUGE, -HUGE, -HUGE, PART, PART, 1.0, (PART,)),
    Quality(-HUGE, -HUGE, 1.0, 10**9, 0.99999, -HUGE, (Lane("worst order inside candles", -HUGE),)),
    (-HUGE, -HUGE),
)


def screen(found, **asked):
    """Return the lines of the screen that tells of some evidence."""
    guards = Guards(**asked)
    judged = Judgement(guards, {}, verdict_on(found, guards), found, Ledger(10**15, 10**6, 10**4))
    return judgement_show.lines(judged)


def nothing(found):
    """Return evidence without what takes days to tell."""
    return replace(found, chance=None, halving=None, ratio=None, unseen=None, neighbours=None)


@pytest.mark.parametrize("found", [EXTREME, replace(EXTREME, mean_bps=HUGE), nothing(EXTREME)])
@pytest.mark.parametrize("asked", [{}, {"holdout": 0.8, "max_pbo": 0.123456}])
def test_the_screen_is_never_wider_than_a_terminal(found, asked):
    lines = screen(found, **asked)

    assert [] == [line for line in lines if len(line) > WIDTH]
    shown = [line.split()[1] for line in lines if line.startswith(tuple(f" {i} " for i in range(1, 7)))]
    assert [check.name for check in verdict_on(found, Guards()).checks] == shown
    assert ("holdout" in asked) == any("holdout sealed" in line for line in lines)
    assert any("10,000 times" in line for line in lines) == ("holdout" in asked)
    assert "1,000,000,000,000,000 configurations in 1,000,000 searches" in lines[-1]


def test_what_is_not_finite_is_null():
    found = replace(EXTREME, ratio=dataclasses.replace(EXTREME.ratio, needed_days=float("inf"), skew=float("nan")))
    told = Judgement(Guards(), {}, verdict_on(found, Guards()), found, Ledger(1, 1, 0)).document()

    assert [None, None] == [told["winner"]["ratio"][name] for name in ("needed_days", "skew")]
    json.dumps(told, allow_nan=False)


def test_without_a_verdict_there_is_no_screen():
    judged = Judgement(Guards(guards=False), {})
    assert ([], {}) == (judgement_show.lines(judged), judged.facts)


def test_a_sample_is_spread_evenly_over_all():
    assert [*range(5)] == sample_rows(5).tolist()
    many = sample_rows(10**9).tolist()
    assert (0, 2000) == (many[0], len(many))
    assert {500_000} == set(np.diff(many).tolist())
