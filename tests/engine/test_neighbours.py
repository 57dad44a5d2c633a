import math

import day_market
import numpy as np
import pytest
from highwater.engine import neighbours
from highwater.engine.frontier import Frontier
from highwater.engine.neighbours import FEW, around, neighbourhood, settle
from highwater.engine.policy import to_arrays
from highwater.engine.space import GRID, Space, draw, policy_at, rungs_of, to_policies
from highwater.engine.sweep import Plan, constraint, search
from highwater.engine.tallies import ground, returns
from highwater.engine.values import Range

RUNGS, SHARES = rungs_of("1.2:3@50%,1.5:4@30%")
SPACES = {
    "levels": day_market.SPACE,
    "a fixed level": Space({"tp": Range(1.1, 5.0, None, True), "sl": Range(0.7, 0.7)}),
    "a long step": Space({"tp": Range(1.5, 3.0, 0.5), "time_stop_ms": Range(3_600_000.0, 36_000_000.0, 3_600_000.0)}),
    "moving stops": Space({"breakeven": Range(1.2, 2.0), "breakeven_offset": Range(-0.1, 0.1), "sl": Range(0.5, 0.9)}),
    "rungs": Space(RUNGS, SHARES),
}
TRIALS = 12


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    return day_market.prepared(tmp_path_factory.mktemp("days"))


def naive_neighbours(space, values):
    """Return the values of a policy, and of each with one parameter moved by 5 % or a step, inside its range."""
    found = [values]
    for name in space.varied:
        each = space.ranges[name]
        step = each.step or GRID[name]
        by = max(1, round(0.05 * abs(values[name]) / step)) * step
        for moved in (values[name] - by, values[name] + by):
            found.append(values | {name: min(max(round(moved, 10), each.low), each.high)})
    return found


@pytest.mark.parametrize("engine", ["tables", "bars"])
@pytest.mark.parametrize("name", SPACES)
def test_the_lowest_and_the_highest_of_a_policy_and_its_neighbours(ready, name, engine):
    space = SPACES[name]
    there = ground(ready, "bars" if name == "rungs" else engine, 10**8, None)
    drawn = draw(space, 7, 0, TRIALS)
    low, high = around(there, space, drawn)
    for i in range(TRIALS):
        sums = []
        for values in naive_neighbours(space, {key: float(column[i]) for key, column in drawn.items()}):
            if space.shares and values["rung1"] >= values["rung2"]:  # drawn levels are sorted, equal ones parted
                first, second = sorted((values["rung1"], values["rung2"]))
                values = values | {"rung1": first, "rung2": max(second, round(first + 0.01, 10))}
            one = policy_at(space, {key: np.array([value]) for key, value in values.items()}, 0)
            sums.append(int(returns(there, to_arrays([one])).sum()))

        assert (min(sums), max(sums)) == (low[i], high[i])
    assert (low < high).any()


def test_no_neighbour_leaves_the_range(ready):
    space = SPACES["levels"]
    ends = {name: np.array([space.ranges[name].low, space.ranges[name].high]) for name in space.named}
    low, high = around(ground(ready, "tables", 10**8, None), space, ends)

    assert (low <= high).all()
    for name, values in ends.items():
        assert [space.ranges[name].low, space.ranges[name].high] == values.tolist()


def ranked(there, objective, stake=0.01, where=()):
    """Return the ranking of 150 trials, and by trial what plain loops make of each: mean, plateau and growth."""
    limits = tuple(map(constraint, where))
    work = Plan(SPACES["levels"], 150, 7, objective, limits, there.fits.size, 150, 10**8, "tables", stake=stake)
    best = Frontier(work)
    for _, columns, _ in search(there, work, lambda done: None):
        best.add(columns)
    before = best.rows["trial_id"].astype(int).tolist()
    settle(there, best)
    ret_q = returns(there, to_policies(work.space, draw(work.space, 7, 0, 150))).tolist()
    low, _ = around(there, work.space, draw(work.space, 7, 0, 150))
    plain = []
    for row, sum_q in zip(ret_q, low.tolist(), strict=True):
        grown = [1 + stake * q / 1e6 for q in row]
        growth = sum(map(math.log, grown)) / len(row) * 1e4 if min(grown) > 0 else -math.inf
        plain.append((sum(row) / len(row) / 100, sum_q / len(row) / 100, growth))
    return best, before, plain


OBJECTIVES = {
    "plateau_bps": lambda mean, plateau, growth: plateau,
    "log_growth_bps": lambda mean, plateau, growth: growth,
    "plateau_bps + 3 * log_growth_bps - avg_return_bps / 2": lambda m, plateau, growth: plateau + 3 * growth - m / 2,
}


@pytest.mark.parametrize("stake", [0.01, 0.5])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_hundred_best_by_their_mean_are_ranked_by_what_only_they_are_given(ready, objective, stake):
    best, before, plain = ranked(ground(ready, "tables", 10**8, None), objective, stake)
    means = sorted(range(150), key=lambda trial: (-plain[trial][0], trial))
    scores = {trial: OBJECTIVES[objective](*plain[trial]) for trial in means[:FEW]}

    assert means == before
    assert sorted(means[:FEW]) == sorted(best.rows["trial_id"].tolist())
    assert [scores[trial] for trial in best.rows["trial_id"].tolist()] == pytest.approx(
        best.rows["objective_score"].tolist(), rel=1e-9
    )
    assert sorted(best.rows["objective_score"], reverse=True) == best.rows["objective_score"].tolist()
    assert before[:FEW] != best.rows["trial_id"].tolist()


@pytest.mark.parametrize("objective", ["plateau_bps", "log_growth_bps", "avg_return_bps"])
def test_the_neighbourhood_is_the_same_however_the_hundred_best_were_ranked(ready, objective):
    there = ground(ready, "tables", 10**8, None)
    best, _, _ = ranked(there, objective)
    low, high = neighbourhood(there, best)
    few = {name: values[:FEW] for name, values in best.drawn().items()}
    sums = around(there, best.work.space, few)

    for mean, total in zip((low, high), sums, strict=True):
        np.testing.assert_array_equal(total / there.fits.size / 100, mean)


def test_an_objective_that_is_known_of_all_is_left_as_it_is(ready):
    best, before, _ = ranked(ground(ready, "tables", 10**8, None), "mean_worst_bps - stop_out_rate")

    assert before == best.rows["trial_id"].tolist()
    assert 150 == len(before)


def test_what_loses_all_has_no_growth_and_ranks_last(ready):
    """Of an equity that stakes all of itself on each alert, one total loss leaves nothing."""
    there = ground(ready, "tables", 10**8, None)
    work = Plan(SPACES["levels"], 3, 7, "log_growth_bps", (), there.fits.size, 3, 10**8, "tables", stake=1.0)
    best = Frontier(work)
    for _, columns, _ in search(there, work, lambda done: None):
        best.add(columns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "returns", lambda *_: np.array([[10**6, 0], [5 * 10**6, -(10**6)], [-5, -5]]))
        order = best.rows["trial_id"].tolist()
        settle(there, best)

    assert [order[0], order[2], order[1]] == best.rows["trial_id"].tolist()
    assert -np.inf == best.rows["objective_score"][2]


def test_constraints_come_first_again(ready):
    best, _, _ = ranked(ground(ready, "tables", 10**8, None), "plateau_bps", where=["win_rate>=0.56"])
    meets = best.rows["meets"].tolist()

    assert sorted(meets, reverse=True) == meets
    assert {0.0, 1.0} == set(meets)
