import numpy as np
import pytest
from highwater.kernels.averages import (
    dema,
    deviation,
    ema,
    highest,
    linear_slope,
    lowest,
    percent_rank,
    rma,
    sma,
    tema,
    wma,
)
from hypothesis import given, settings
from indicator_calls import EXAMPLES, NAMES, hold_against_the_oracle, seeds


@pytest.mark.parametrize("name", NAMES["averages"])
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=seeds)
def test_is_its_definition(name, seed):
    hold_against_the_oracle(name, seed)


def test_by_hand():
    x = np.array([1.0, 2.0, 4.0, 3.0, 7.0])

    for wanted, line in [
        ([7 / 3, 3, 14 / 3], sma(x, 3)),
        ([7 / 3, 8 / 3, 29 / 6], ema(x, 3)),
        ([7 / 3, 23 / 9, 109 / 27], rma(x, 3)),
        ([17 / 6, 19 / 6, 31 / 6], wma(x, 3)),
        ([1.5, 0.5, 1.5], linear_slope(x, 3)),
        ([4, 4, 7], highest(x, 3)),
        ([1, 2, 3], lowest(x, 3)),
        ([(14 / 9) ** 0.5, (2 / 3) ** 0.5, (26 / 9) ** 0.5], deviation(x, 3)),
    ]:
        assert [True, True, False, False, False] == np.isnan(line).tolist()
        assert wanted == pytest.approx(line[2:].tolist(), rel=1e-15)
    assert [200 / 3, 100] == pytest.approx(percent_rank(x, 3)[3:].tolist())


def test_averages_of_averages_are_warm_when_their_last_is():
    x = np.arange(20.0)

    assert [6, 8, 12] == [int(np.isnan(line).sum()) for line in (ema(x, 7), dema(x, 5), tema(x, 5))]
    assert pytest.approx(19.0) == dema(x, 5)[-1] == tema(x, 5)[-1]  # no lag behind a line


def test_percent_rank_counts_what_is_below_and_not_what_is_equal():
    assert 50.0 == percent_rank(np.array([1.0, 1.0, 2.0, 3.0, 2.0]), 4)[-1]


@pytest.mark.parametrize("price", [0.1, 46_377.3, 1.7e-7])
@pytest.mark.parametrize("n", [1, 3, 10, 49, 200])
def test_equal_prices_are_their_own_average_and_do_not_deviate(price, n):
    """To the bit, where (n * 0.1) / n is another number: a dead market must cross nothing."""
    x = np.full(450, price)

    for average in (sma, ema, wma, rma, highest, lowest):
        assert {price} == set(average(x, n)[n - 1 :].tolist())
    assert {price} == set(dema(x, n)[2 * n - 2 :].tolist()) == set(tema(x, n)[3 * n - 3 :].tolist() or [price])
    assert {0.0} == set(deviation(x, n)[n - 1 :].tolist())
    assert {0.0} == set(linear_slope(x, n + 1)[n:].tolist())


def test_averages_of_whole_prices_that_are_equal_on_paper_are_equal():
    """So that two of different length tie, and cross, where they do on paper."""
    x = np.random.default_rng(1).integers(46_300, 46_400, 2_000).astype(float)
    whole = np.concatenate([[0], np.cumsum(x.astype(int))])
    for n in (3, 7, 50, 200):
        exact = (whole[n:] - whole[:-n]) / n

        assert exact.tolist() == sma(x, n)[n - 1 :].tolist()
