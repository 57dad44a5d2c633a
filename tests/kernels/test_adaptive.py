import numpy as np
import pytest
from highwater.kernels.adaptive import mama
from hypothesis import given, settings
from indicator_calls import EXAMPLES, NAMES, hold_against_the_oracle, seeds


@pytest.mark.parametrize("name", NAMES["adaptive"])
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=seeds)
def test_is_its_definition(name, seed):
    hold_against_the_oracle(name, seed)


def test_follows_a_trend_slowly_and_a_flat_price_to_its_end():
    x = np.concatenate([np.arange(100.0), np.full(900, 99.0)])
    line = mama(x, 0.5, 0.05)

    assert np.isnan(line[:32]).all()
    assert 70.0 < line[99] < 99.0
    assert pytest.approx(99.0, abs=1e-12) == line[-1]


def test_one_limit_for_both_is_an_exponential_average():
    x = np.random.default_rng(2).normal(100, 1, 200)
    value = x[0]
    for i in range(9, 200):
        value += 0.1 * (x[i] - value)

    assert pytest.approx(value, rel=1e-12) == mama(x, 0.1, 0.1)[-1]
