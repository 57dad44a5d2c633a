import dataclasses
import itertools
import math
import statistics

import numpy as np
import pytest
import small_market
from highwater.engine.frontier import Frontier, Landscape
from highwater.engine.policy import parse_policy
from highwater.engine.sizing import SMALLEST_BLOCK
from highwater.engine.space import Space, draw, policy_at, rungs_of, to_policies
from highwater.engine.strategy import summary_columns, trade_columns
from highwater.engine.sweep import (
    FRONTIER,
    Choices,
    Plan,
    constraint,
    guard_overflow,
    parameter_columns,
    plan,
    search,
    trial_table,
)
from highwater.engine.tallies import exact, ground
from highwater.engine.values import Range
from highwater.io import schemas
from highwater.io.errors import LimitError, UsageError
from highwater.kernels.arrays import INTRABAR

LADDER = rungs_of("1.02:1.3@50%,1.1:2@30%")
SPACES = {
    "fixed": Space({"tp": Range(1.1, 3.0, None, True), "sl": Range(0.5, 0.95)}),
    "trailing": Space({"trail": Range(0.05, 0.5), "trail_activate": Range(1.0, 1.4), "sl": Range(0.7, 0.9)}),
    "ladder": Space({"sl": Range(0.6, 0.95)} | LADDER[0], LADDER[1]),
    "breakeven": Space({"breakeven": Range(1.05, 1.5), "breakeven_offset": Range(-0.1, 0.04), "tp": Range(2.0, 2.0)}),
    "time": Space({"time_stop_ms": Range(300_000.0, 36_000_000.0, None, True), "sl": Range(0.8, 0.9)}),
}
TRIALS = 40
SEARCH = {"trials": TRIALS, "seed": 3, "objective": "avg_return_bps", "constraints": ()}
SAME = "trades_count avg_return_bps median_return_bps win_rate profit_factor stop_out_rate mean_worst_bps mean_best_bps"


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    return small_market.prepared(tmp_path_factory.mktemp("market"))


def searched(ready, space, block=64):
    """Return the trials of a search as a table, its frontier and its landscape."""
    work = Plan(space, alerts=int(ready.ok.sum()), block=block, memory=1 << 20, medians="all", **SEARCH)
    best, landscape, blocks = Frontier(work), Landscape(space), []
    there, done = ground(ready, "bars", 1 << 20, None), []
    for drawn, columns, sums in search(there, work, done.append):
        best.add(columns)
        landscape.add(drawn, sums)
        blocks.append(trial_table(space, columns, "run"))

    assert [trials * work.alerts for trials in (*range(block, TRIALS, block), TRIALS)] == done
    ranking = best.columns(exact(there, to_policies(space, best.drawn())))
    table = schemas.table(schemas.frontier(parameter_columns(space)), ranking, "run")
    return [row for table in blocks for row in table.to_pylist()], table, landscape


@pytest.mark.parametrize("intrabar", ["pessimistic", "optimistic", "ohlc_path"])
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_every_trial_is_the_strategy_with_its_policy(ready, space, intrabar):
    ready = dataclasses.replace(ready, rules=ready.rules._replace(intrabar=INTRABAR[intrabar]))
    rows, _, _ = searched(ready, space)
    drawn = draw(space, SEARCH["seed"], 0, TRIALS)
    for i in range(0, TRIALS, 7):
        trades, _ = trade_columns(ready, policy_at(space, drawn, i), 1)
        trades["tail_capture"] = np.ma.masked_all(ready.ok.size)
        wanted = {name: values[0] for name, values in summary_columns(ready, trades).items()}

        assert i == rows[i]["trial_id"]
        assert trades["ret_q"].sum() == rows[i]["sum_ret_q"]
        for name in (*SAME.split(), "ambiguous_rate"):
            assert pytest.approx(wanted[name], abs=0.006, rel=1e-6) == rows[i][name], name


@pytest.mark.parametrize("space", [SPACES["ladder"], SPACES["trailing"]], ids=["ladder", "trailing"])
def test_how_trials_are_cut_into_blocks_changes_nothing(ready, space):
    rows, best, landscape = searched(ready, space, 64)
    others = [searched(ready, space, block) for block in (1, 7)]

    assert [rows, rows] == [other[0] for other in others]
    for _, frontier, map_ in others:
        assert best.equals(frontier)
        assert {pair: sums.tolist() for pair, sums in landscape.sums.items()} == {
            pair: sums.tolist() for pair, sums in map_.sums.items()
        }


def test_the_tables_fit_their_schemas(ready):
    for space in SPACES.values():
        rows, table, _ = searched(ready, space)

        assert TRIALS == len(rows) == table.num_rows
        assert schemas.trials(parameter_columns(space)).names == list(rows[0])
        assert [*range(1, TRIALS + 1)] == table["rank"].to_pylist()
        for row in table.to_pylist():
            assert parse_policy(row["policy_params"]).policy_id == row["policy_id"]


def ranked(scores, objective="avg_return_bps", where=(), **columns):
    """Return the trial ids of a frontier, best first, and its columns."""
    space = Space({"tp": Range(2.0, 2.0)})
    limits = tuple(constraint(text) for text in where)
    best = Frontier(Plan(space, len(scores), 1, objective, limits, 1, 8, 1 << 20))
    filler = dict.fromkeys((*SAME.split(), "ambiguous_rate"), np.ones(len(scores)))
    given = {
        "trial_id": np.arange(len(scores)),
        "tp": np.full(len(scores), 2.0),
        "policy_id": None,
        **filler,
        **columns,
    }
    best.add(given | {objective: scores})
    names = ("p25_return_bps", "median_return_bps", "p75_return_bps", "p90_return_bps", "max_drawdown_bps")
    return best.rows["trial_id"].tolist(), best.columns(dict.fromkeys(names, np.zeros(len(best.rows["trial_id"]))))


def test_best_first_and_ties_by_trial():
    order, columns = ranked(np.array([1.0, 3.0, 2.0, 3.0]))

    assert [1, 3, 2, 0] == order
    assert [3.0, 3.0, 2.0, 1.0] == columns["objective_score"].tolist()


def test_trials_that_keep_every_constraint_come_first():
    rates, wins = np.array([0.1, 0.5, 0.3, 0.3]), np.array([0.5, 0.9, 0.5, 0.4])
    where = ["stop_out_rate<=0.3", "win_rate >= 0.5"]
    order, columns = ranked(np.array([1.0, 9.0, 2.0, 8.0]), where=where, stop_out_rate=rates, win_rate=wins)

    assert [2, 0, 1, 3] == order
    assert [True, True, False, False] == columns["meets_constraints"].tolist()


def test_a_trial_that_lost_nothing_beats_every_profit_factor():
    factors = np.ma.array([2.0, 1.0, 5.0], mask=[0, 1, 0])
    order, columns = ranked(factors, "profit_factor", ["profit_factor>3"])
    table = schemas.table(schemas.frontier(("tp",)), columns, "run")

    assert [1, 2, 0] == order
    assert [None, 5.0, 2.0] == table["profit_factor"].to_pylist() == table["objective_score"].to_pylist()
    assert [True, True, False] == table["meets_constraints"].to_pylist()


def test_a_frontier_is_of_bounded_length():
    order, _ = ranked(np.arange(FRONTIER + 50.0))

    assert list(range(FRONTIER + 49, 49, -1)) == order


@pytest.mark.parametrize(
    "text",
    ["stop_out_rate", "stop_out_rate=0.3", "stop<0.3", "win_rate<=x", "rank<=3", "win_rate<=1.2.3", "win_rate<=."],
)
def test_a_constraint_that_cannot_be_is_refused(text):
    with pytest.raises(UsageError, match="must be a column, <=, >=, < or >, and a number"):
        constraint(text)


def test_a_rate_is_no_percentage():
    with pytest.raises(UsageError, match=r"stop_out_rate<40': a rate is a share of the trades, 40% is 0.4"):
        constraint("stop_out_rate<40")

    assert (1.0, 40.0) == (constraint("win_rate<=1").bound, constraint("trades_count>=40").bound)


def test_the_map_is_the_mean_of_the_trials_in_each_cell(ready):
    space = SPACES["fixed"]
    rows, _, landscape = searched(ready, space)
    x, y, means = landscape.liveliest(int(ready.ok.sum()))
    cells = {}
    for row in rows:
        place = tuple(min(sum(edge <= row[name] for edge in landscape.edges[name][1:-1]), 23) for name in (y, x))
        cells.setdefault(place, []).append(row["avg_return_bps"])

    assert {"tp", "sl"} == {x, y}
    for place in itertools.product(*map(range, means.shape)):
        wanted = statistics.mean(cells[place]) if place in cells else math.nan
        assert pytest.approx(wanted, rel=1e-9, nan_ok=True) == means[place]


def test_the_liveliest_pair_is_that_which_moves_the_result_most():
    space = Space({"tp": Range(2.0, 3.0), "sl": Range(0.5, 0.9), "trail": Range(0.1, 0.5)})
    landscape, drawn = Landscape(space), draw(space, 1, 0, 3000)
    landscape.add(drawn, np.rint(1e6 * (drawn["tp"] - 10 * drawn["trail"])).astype(np.int64))
    x, y, _ = landscape.liveliest(1)

    assert {"tp", "trail"} == {x, y}
    assert Landscape(Space({"tp": Range(2.0, 3.0)})).liveliest(1) is None


def sized(ready, memory=512 << 20, max_pairs=10**9, trials=1000):
    return plan(SPACES["fixed"], trials, 1, "avg_return_bps", (), ready, memory, max_pairs, Choices("bars"))


def test_blocks_fit_the_memory(ready):
    small, large = sized(ready, memory=sized(ready).alerts * 58 * 20), sized(ready)

    assert 20 == small.block
    assert 1000 <= large.block
    assert 1000 * int(ready.ok.sum()) == large.pairs


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({"memory": 5000}, "needs at least 0.00841 MiB; the budget is 0.00477 MiB: raise it with --mem 9K"),
        ({"max_pairs": 100}, "above the limit of 100; raise it with --max-pairs, or ask for at most 5 --trials"),
        ({"max_pairs": 10}, "above the limit of 10; raise it with --max-pairs"),
    ],
)
def test_work_above_a_limit_is_refused_with_the_flag_that_raises_it(ready, limit, message):
    with pytest.raises(LimitError) as caught:
        sized(ready, **limit)

    assert message in str(caught.value)
    assert SMALLEST_BLOCK <= sized(ready).block


def test_sums_that_could_pass_64_bits_are_refused(ready):
    highest = np.full(ready.ok.size, np.nan)
    guard_overflow(ready, highest)
    highest[:2] = 1.0, 2.0**62 / 1e6
    with pytest.raises(LimitError) as caught:
        guard_overflow(ready, highest)

    assert f"alert {ready.alerts['call_id'][1]} reaches 4.61e+12 times its entry price" in str(caught.value)
