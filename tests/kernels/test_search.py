import random
import statistics

import naive
import numpy as np
import pytest
from highwater.kernels.arrays import BE, INTRABAR, REASONS, SL, TRAIL, Rules, Windows, column, costs, of_rows
from highwater.kernels.bounds import NOTE, bracket
from highwater.kernels.exits import FILL, micro, net_return, simulate
from highwater.kernels.jit import compiled, threads
from highwater.kernels.search import AMBIGUOUS, GROUP, TALLY, median, search_all, tally_all
from highwater.kernels.walk import blocks_for, entry_of, no_blocks, policy_of, window_of
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_market import COMPILED, STEP, frozen, long_trades, policies_of
from random_market import random_exits

TRIALS = 90 if COMPILED else 40
PAID = costs(30, 50)
RULES = [Rules(intrabar, tp_at_open) for intrabar in INTRABAR.values() for tp_at_open in (False, True)]
under_every_rule = pytest.mark.parametrize("rules", RULES, ids=str)


def trials():
    """Return the exits of many trials, of every feature; their time stops reach from one candle to a thousand."""
    rng = random.Random(7)
    exits = [random_exits(rng, STEP) for _ in range(TRIALS)]
    for each in exits:
        if "time_ms" in each:
            each["time_ms"] = rng.choice([1, 20, 300, 1000]) * STEP - rng.choice([0, 1])
    return exits


EXITS = trials()
POLICIES = policies_of(EXITS)


def market():
    """Return (candles, windows) of the long walks; two of them are not entered."""
    _, found, windows, _ = long_trades()
    first, last, status = windows.first.copy(), windows.last.copy(), windows.status.copy()
    for a in (0, 3):
        first[a], last[a], status[a] = 0, 0, 1
    return found.candles, frozen(windows._replace(first=first, last=last, status=status))


def searched(rules, policies=POLICIES):
    return search_all(*market(), STEP, policies, rules, PAID)


@compiled
def cells(candles, windows, policies, rules, paid, leap):
    """Return (ret_q, worst_q, best_q, outcome, candles) as ``search_all``, every bound computed, no trial spared."""
    shape = windows.first.size, policies.sl.size
    q, outcome = np.zeros((3, *shape), np.int64), np.zeros(shape, np.int8)
    lived = np.zeros(shape[0], np.int64)
    for a in range(shape[0]):
        if windows.status[a] == 0:
            bars, entry = window_of(candles, windows, a), entry_of(windows, a, STEP)
            blocks = blocks_for(bars) if leap else no_blocks()
            for t in range(shape[1]):
                done = simulate(bars, entry, policy_of(policies, t), rules, np.empty(0, FILL), blocks)
                found = bracket(bars, entry, policy_of(policies, t), rules, np.empty(0, NOTE), blocks)
                q[0, a, t] = micro(net_return(done.gross, entry.price, paid))
                q[1, a, t] = micro(net_return(found.worst, entry.price, paid))
                q[2, a, t] = micro(net_return(found.best, entry.price, paid))
                outcome[a, t] = done.reason + (AMBIGUOUS if found.n_ambiguous else 0)
                lived[a] += done.bar + 1
    return q[0], q[1], q[2], outcome, lived


@under_every_rule
@pytest.mark.parametrize("leap", [False, True])
def test_every_cell_is_the_trade_walked_alone(rules, leap):
    candles, windows = market()
    wanted = cells(candles, windows, POLICIES, rules, PAID, leap)

    for expected, actual in zip(wanted, searched(rules), strict=True):
        np.testing.assert_array_equal(expected, actual)


@under_every_rule
def test_cells_equal_the_oracle(rules):
    cases, _, _, entries = long_trades()
    ret_q, worst_q, best_q, outcome, _ = searched(rules)
    intrabar = {number: name for name, number in INTRABAR.items()}[rules.intrabar]
    fees = {"fee_bps": 30, "slippage_bps": 50}
    some = random.Random(str(rules)).sample([(a, t) for a in range(len(cases)) for t in range(TRIALS)], 60)
    for a, t in some:
        if outcome[a, t]:
            exits = EXITS[t] | {"tp_gap_fill": "open" if rules.tp_at_open else "level"}
            trade = naive.simulate(cases[a]["bars"], entries[a], exits, intrabar=intrabar, **fees)
            bound = naive.bounds(cases[a]["bars"], entries[a], exits, **fees)
            edges = [round(bound[name] * 100) for name in ("worst_bps", "best_bps")]

            assert (trade["ret_q"], trade["reason"]) == (ret_q[a, t], REASONS[outcome[a, t] & (AMBIGUOUS - 1)])
            assert edges == [worst_q[a, t], best_q[a, t]]
            assert bound["ambiguous"] == (outcome[a, t] >= AMBIGUOUS)


def test_the_market_has_every_outcome_and_leaps_over_blocks():
    _, windows = market()
    seen = {code for rules in RULES for code in np.unique(searched(rules)[3]).tolist()}

    assert {0, *range(1, 8)} <= seen
    assert {AMBIGUOUS + reason for reason in (1, 2, 3, 4)} <= seen
    assert (windows.last - windows.first).max() > 200


def test_windows_that_are_not_entered_are_zero():
    *matrices, lived = searched(Rules())

    assert not any(matrix[[0, 3]].any() for matrix in matrices)
    assert [0, 0] == lived[[0, 3]].tolist()
    assert lived[1:3].all()


@under_every_rule
def test_one_thread_and_two_agree(rules):
    with threads(1):
        one = searched(rules)
        one_tally = tally_all(*one[:4])
    with threads(2):
        two = searched(rules)
        two_tally = tally_all(*two[:4])

    assert [matrix.tobytes() for matrix in one] == [matrix.tobytes() for matrix in two]
    assert one_tally.tobytes() == two_tally.tobytes()


def test_neither_order_nor_cut_of_the_trials_matters():
    whole = searched(Rules())
    order = np.random.default_rng(0).permutation(TRIALS)
    shuffled = searched(Rules(), of_rows(POLICIES, order))
    cuts = np.split(np.arange(TRIALS), [1, GROUP, GROUP + 1, TRIALS - 2])
    parts = [searched(Rules(), of_rows(POLICIES, cut)) for cut in cuts]

    for i in range(4):
        np.testing.assert_array_equal(whole[i][:, order], shuffled[i])
        np.testing.assert_array_equal(whole[i], np.hstack([part[i] for part in parts]))
    np.testing.assert_array_equal(whole[4], sum(part[4] for part in parts))
    assert tally_all(*whole[:4])[order].tobytes() == tally_all(*shuffled[:4]).tobytes()
    assert tally_all(*whole[:4]).tobytes() == np.concatenate([tally_all(*part[:4]) for part in parts]).tobytes()


def tallied(ret_q, worst_q, best_q, outcome):
    """Return the TALLY row of one trial as a dict, added up in Python integers."""
    rows = [
        row for row in zip(*(column.tolist() for column in (ret_q, worst_q, best_q, outcome)), strict=True) if row[3]
    ]
    returns = [q for q, *_ in rows]
    return {
        "trades": len(rows),
        "wins": sum(q > 0 for q in returns),
        "stop_outs": sum(code % AMBIGUOUS in (SL, BE, TRAIL) for *_, code in rows),
        "ambiguous": sum(code >= AMBIGUOUS for *_, code in rows),
        "sum_q": sum(returns),
        "gain_q": sum(q for q in returns if q > 0),
        "loss_q": -sum(q for q in returns if q <= 0),
        "worst_q": sum(worst for _, worst, *_ in rows),
        "best_q": sum(best for _, _, best, _ in rows),
        "median_q": statistics.median(returns) if rows else None,
    }


def tally_dict(row):
    found = dict(zip(TALLY.names, row.item(), strict=True))
    return found | {"median_q": None if np.isnan(found["median_q"]) else found["median_q"]}


@under_every_rule
def test_tallies_are_sums_of_integers(rules):
    matrices = searched(rules)[:4]
    found = tally_all(*matrices)
    for t in range(TRIALS):
        assert tallied(*(matrix[:, t] for matrix in matrices)) == tally_dict(found[t])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 9), st.integers(0, 2 * GROUP + 1), st.randoms(use_true_random=False))
def test_tallies_of_any_matrix(n, trials, rng):
    """Large returns, zeros, empty columns and every width around a group of trials."""
    q = np.array([rng.choice([0, 1, -1, rng.randint(-(2**50), 2**50)]) for _ in range(3 * n * trials)], np.int64)
    ret_q, worst_q, best_q = q.reshape(3, n, trials)
    outcome = np.array([rng.choice([0, *range(1, 16)]) for _ in range(n * trials)], np.int8).reshape(n, trials)
    found = tally_all(ret_q, worst_q, best_q, outcome)

    assert trials == found.size
    for t in range(trials):
        assert tallied(ret_q[:, t], worst_q[:, t], best_q[:, t], outcome[:, t]) == tally_dict(found[t])


@pytest.mark.parametrize("n", [*range(1, 40), 500, 501])
def test_the_median_is_the_middle(n):
    values = random.Random(n).choices([0, 1, *range(-(2**50), 2**50, 2**40)], k=n)

    assert statistics.median(values) == median(np.array(values))


def test_the_median_of_nothing_is_nan():
    assert np.isnan(median(np.empty(0, np.int64)))


def test_no_alerts_and_no_trials():
    candles, windows = market()
    nobody = Windows(*(column(array[:0], array.dtype) for array in windows))

    assert (0, TRIALS) == search_all(candles, nobody, STEP, POLICIES, Rules(), PAID)[0].shape
    assert 0 == tally_all(*searched(Rules(), of_rows(POLICIES, slice(0)))[:4]).size


@settings(max_examples=200 if COMPILED else 50, deadline=None)
@given(st.lists(st.integers(-5, 5) | st.integers(-(2**52), 2**52), min_size=1, max_size=60))
def test_the_median_is_that_of_the_statistics_module(values):
    assert float(statistics.median(values)) == median(np.array(values, np.int64))
