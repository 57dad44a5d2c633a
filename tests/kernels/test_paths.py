import naive
import numba
import numpy as np
import pytest
from golden_cases import cases, expected, same
from highwater.kernels.arrays import INTRABAR, NEVER, Candles, Entry, column
from highwater.kernels.paths import PATH, TOUCH, first_activity, measure, measure_all
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_market import (
    COMPILED,
    STEP,
    candles_of,
    enter_each,
    frozen,
    long_trades,
    market_of,
    measure_each,
    opened,
    path_row,
    random_trades,
    trade_each,
)
from random_market import random_case

seeds = st.integers(0, 2**63)
examples = settings(max_examples=100 if COMPILED else 30, deadline=None)
LEVELS = (1.2, 1.5, 2.0, 3.0, 4.0, 5.0, 10.0)
ODD = [(), (1.0000001,), (1.05, 1.0500000000000003, 1.1, 1.25, 7.7, 1e9)]


@pytest.mark.parametrize("case", cases("p"), ids=lambda case: case["id"])
def test_golden_path(case):
    market = market_of([case])
    windows = frozen(enter_each(market))
    wanted = expected(case["expect"]["path"])
    of_the_entry = {"status", "entry_ts_ms", "entry_price", "alert_to_entry_ms"}
    wanted = {name: value for name, value in wanted.items() if name not in of_the_entry}
    multiples = sorted(map(float, wanted["k"]))
    paths, touches = measure_all(market.candles, windows, market.alerts, case["interval_ms"], column(multiples))
    actual = path_row(paths[0], touches[0], [f"{k:g}" for k in multiples], int(windows.first[0]))

    assert same(actual, wanted), actual


@pytest.mark.parametrize("population", [random_trades, long_trades])
@pytest.mark.parametrize("multiples", [LEVELS, *ODD], ids=str)
def test_paths_equal_the_oracle(population, multiples):
    all_cases, market, windows, entries = population()
    paths, touches = measure_each(market, windows, column(multiples))
    for a, (case, entry) in enumerate(zip(all_cases, entries, strict=True)):
        if entry["status"] == "OK" and (multiples == LEVELS or a % 8 == 0):
            bars, moment = case["bars"][: entry["last"]], (case["alert"]["alert_ts"], case["interval_ms"])
            wanted = naive.paths(bars, entry, multiples, *moment)
            actual = path_row(paths[a], touches[a], multiples, entry["first"])

            assert {name: wanted[name] for name in actual} == actual, a


def test_all_windows_are_measured_as_each_one_is():
    _, market, windows, _ = long_trades()
    alone = measure_each(market, windows, column(LEVELS))
    together = measure_all(market.candles, windows, market.alerts, STEP, column(LEVELS))

    assert [table.tobytes() for table in alone] == [table.tobytes() for table in together]


def measured(case):
    """Return the path metrics of one case as the oracle names them, None where it is not entered."""
    market, windows, _ = opened([case])
    if windows.status[0]:
        return None
    (path,), (touches,) = measure_each(market, windows, column(LEVELS))
    return path_row(path, touches, LEVELS, int(windows.first[0]))


@examples
@given(seeds, st.sampled_from([1.05, 1.1, 1.2, 1.5, 2.0, 3.0]))
def test_a_target_alone_is_taken_where_the_multiple_is_hit(seed, k):
    market, windows, _ = opened([random_case(seed) | {"exits": {"tp": [{"mult": k}]}}])
    if not windows.status[0]:
        paths, touches = measure_each(market, windows, column([k]))
        touch = touches[0, 0]
        for intrabar in INTRABAR.values():
            trade = trade_each(market, windows, intrabar)[0][0]

            assert paths[0]["ath_mult"] >= max(1.0, trade["price"] / windows.price[0])
            assert (trade["reason"] == 4) == touch["hit"]
            if touch["hit"]:
                assert (trade["bar"], trade["ts"] - windows.ts[0]) == (touch["bar"], touch["t_ms"])


@examples
@given(seeds)
def test_the_default_drawdown_is_the_deeper(seed):
    market, windows, _ = opened([random_case(seed)])
    if not windows.status[0]:
        (path,), (touches,) = measure_each(market, windows, column([1.1, 1.5, 2.0]))
        hit = touches[touches["hit"]]

        assert path["ath_mult"] >= 1
        assert -1 < path["mdd"] <= path["mdd_opt"] <= path["dd_overall"] <= 0
        for name in ("dd_initial", "dd_after_ath"):
            assert path[name] <= path[name + "_opt"] <= 0
        for name in ("dd_pre", "dd_after"):
            assert (hit[name] <= hit[name + "_opt"]).all()
            assert (hit[name + "_opt"] <= 0).all()


@examples
@given(seeds, st.integers(-40, 40))
def test_scaling_prices_by_a_power_of_two_changes_nothing(seed, n):
    case = random_case(seed)
    case["alert"]["mode"] = "next_open"
    bars = [(ts, *(x * 2.0**n for x in prices), v) for ts, *prices, v in case["bars"]]

    assert measured(case) == measured(case | {"bars": bars})


@examples
@given(seeds)
def test_bars_after_the_window_change_nothing(seed):
    case = random_case(seed)
    end = case["bars"][-1][0] + case["interval_ms"]
    case["alert"]["coverage_end_ms"] = case["alert"]["coverage_end_ms"] or end
    _, windows, _ = opened([case])
    later = (max(end, int(windows.end[0])), 1e9, 1e9, 1e-9, 1e-9, 1.0)
    if not windows.status[0]:
        assert measured(case) == measured(case | {"bars": [*case["bars"], later]})


@pytest.mark.parametrize(
    ("alert_ts", "first", "last", "wait"),
    [
        (0, 0, 4, 2 * STEP),
        (2 * STEP + 1, 0, 4, 0),
        (3 * STEP - 1, 0, 4, 0),
        (3 * STEP, 0, 4, -1),
        (0, 0, 2, -1),
        (0, 3, 4, -1),
    ],
)
def test_first_activity_is_the_first_candle_that_traded(alert_ts, first, last, wait):
    """Of four candles only the third has volume; the one the alert falls into counts."""
    bars = [(i * STEP, 1.0, 1.0, 1.0, 1.0, float(i == 2)) for i in range(4)]

    assert wait == first_activity(candles_of(bars), first, last, alert_ts, STEP)


@numba.njit
def highs(bars, multiples):
    """A user's own loop: how far the price rises after each candle's open, and how often to a level."""
    out, hits = np.empty(bars.ts.size), 0
    path, touches = np.zeros(1, PATH), np.zeros(multiples.size, TOUCH)
    for i in range(bars.ts.size):
        rest = Candles(bars.ts[i:], bars.open[i:], bars.high[i:], bars.low[i:], bars.close[i:], bars.volume[i:])
        entry = Entry(rest.open[0], rest.ts[0], rest.ts[0] + NEVER, NEVER, STEP, True, True, 0, 0.0)
        measure(rest, entry, multiples, path[0], touches)
        out[i] = path[0]["ath_mult"]
        hits += touches[0]["hit"]
    return out, hits


@pytest.mark.parametrize("writeable", [True, False])
def test_a_user_measures_paths_in_a_loop_of_their_own(writeable):
    bars = candles_of([(i * STEP, o, h, o / 2, o, 1.0) for i, (o, h) in enumerate([(1, 2), (4, 5), (2, 3), (3, 3)])])
    bars = Candles(*(np.array(each) for each in bars))
    for each in bars:
        each.flags.writeable = writeable
    found, hits = highs(bars, np.array([1.5, 9.0]))

    assert ([5.0, 1.25, 1.5, 1.0], 2) == (found.tolist(), hits)
