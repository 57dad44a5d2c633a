import naive
import numpy as np
import pytest
from golden_cases import cases, expected, same
from highwater.kernels.arrays import INTRABAR, Costs, Rules, policy
from highwater.kernels.bounds import bracket_all
from highwater.kernels.walk import policy_of
from kernel_market import enter_each, frozen, long_trades, market_of, random_trades, trade_each, windows_of


@pytest.mark.parametrize("case", [case for case in cases("x") if case["expect"]["bounds"]], ids=lambda case: case["id"])
def test_golden_bounds(case):
    market = market_of([case])
    windows = frozen(enter_each(market))
    rules = Rules(INTRABAR[case["policy"]], bool(market.tp_at_open[0]))
    policy = policy_of(market.policies, 0)
    found = bracket_all(market.candles, windows, case["interval_ms"], policy, rules, Costs())[0]
    wanted = expected(case["expect"]["bounds"])
    actual = {"worst_bps": found["worst"] * 10000, "best_bps": found["best"] * 10000}
    bars = wanted["ambiguous_bars"]

    assert same(actual, {name: wanted[name] for name in actual}), actual
    assert found["n_ambiguous"] == len(bars)
    assert found["first_ambiguous"] == (bars[0] - (windows.first[0] - market.alerts.first[0]) if bars else -1)


@pytest.mark.parametrize("population", [random_trades, long_trades])
def test_bounds_equal_the_oracle(population):
    all_cases, market, windows, entries = population()
    bounds = trade_each(market, windows, 0)[2]
    ambiguous = 0
    for a, (case, entry) in enumerate(zip(all_cases, entries, strict=True)):
        if entry["status"] == "OK":
            wanted = naive.bounds(case["bars"], entry, case["exits"], **case["costs"])
            bars = wanted["ambiguous_bars"]
            ambiguous += len(bars)
            worst, best, n, first = bounds[a].item()

            assert (wanted["worst_bps"], wanted["best_bps"]) == (worst * 10000, best * 10000), a
            assert (len(bars), bars[0] - entry["first"] if bars else -1) == (n, first), a
    assert ambiguous


@pytest.mark.parametrize("population", [random_trades, long_trades])
@pytest.mark.parametrize("intrabar", INTRABAR)
def test_every_policy_lies_between_worst_and_best(population, intrabar):
    _, market, windows, _ = population()
    trades, _, bounds = trade_each(market, windows, INTRABAR[intrabar])
    certain = (bounds["n_ambiguous"] == 0) & (windows.status == 0)

    assert (bounds["worst"] <= trades["ret"]).all()
    assert (trades["ret"] <= bounds["best"]).all()
    assert (bounds["worst"] == bounds["best"])[certain].all()


def test_bounds_do_not_depend_on_the_policy_inside_the_bar():
    _, market, windows, _ = random_trades()
    found = [trade_each(market, windows, intrabar)[2] for intrabar in INTRABAR.values()]

    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_a_close_at_the_raised_stop_ends_every_path():
    """A high of 120 raises a trailing stop of 10 % to 108, where the candle closes: nothing is left to rise to 200."""
    made = windows_of(
        [([(0, 100.0, 120.0, 105.0, 108.0, 1.0), (60_000, 150.0, 200.0, 150.0, 200.0, 1.0)], 100.0, True)]
    )
    found = bracket_all(*made, 60_000, policy(trail_pct=0.1), Rules(), Costs())[0]

    assert (1, 0) == (found["n_ambiguous"], found["first_ambiguous"])
    np.testing.assert_allclose((found["worst"], found["best"]), (0.05, 0.08), rtol=1e-12)
