import day_market
import numpy as np
import pytest
from highwater.engine.neighbours import around
from highwater.engine.policy import to_arrays
from highwater.engine.space import GRID, Space, draw, policy_at, rungs_of
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
