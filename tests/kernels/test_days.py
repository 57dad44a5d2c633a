import numpy as np
import pytest
from highwater.kernels.arrays import Costs, Rules, costs
from highwater.kernels.days import by_day_tables, returns_bars
from highwater.kernels.jit import threads
from highwater.kernels.search import search_all
from kernel_market import COMPILED, STEP, policies_like, walks

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in scalar multiply")  # a hash, without JIT
KINDS = ("none", "fixed", "trail", "late", "breakeven", "both")
TRIALS = 60 if COMPILED else 10


@pytest.mark.parametrize("name", ["random", "long", "tied"])
@pytest.mark.parametrize("kind", KINDS)
def test_days_and_returns_are_those_of_the_walk(name, kind):
    candles, windows = walks(name)
    policies, paid, count = policies_like(kind, TRIALS), costs(30, 50, 1), 9
    days = np.random.default_rng(4).integers(0, count, windows.first.size)
    returns = search_all(candles, windows, STEP, policies, Rules(), paid)[0]
    expected = np.zeros((TRIALS, count), np.int64)
    for a, day in enumerate(days):
        expected[:, day] += returns[a]

    actual = by_day_tables(candles, windows, STEP, days, count, policies, Rules(), paid)
    np.testing.assert_array_equal(expected, actual)
    np.testing.assert_array_equal(returns, returns_bars(candles, windows, STEP, policies, Rules(), paid))


def test_days_for_any_number_of_threads():
    candles, windows = walks("random")
    policies = policies_like("trail", TRIALS)
    days = np.arange(windows.first.size) // 7
    found = []
    for count in (1, 2):
        with threads(count):
            found.append(by_day_tables(candles, windows, STEP, days, int(days[-1]) + 1, policies, Rules(), Costs()))

    np.testing.assert_array_equal(*found)
