import numpy as np
import pytest
from highwater.kernels.ranges import atr, true_range
from hypothesis import given, settings
from indicator_calls import EXAMPLES, NAMES, hold_against_the_oracle, seeds


@pytest.mark.parametrize("name", NAMES["ranges"])
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=seeds)
def test_is_its_definition(name, seed):
    hold_against_the_oracle(name, seed)


def test_by_hand():
    """A gap up, a gap down, a candle within: the first has no close before it, and no range."""
    h, l, c = (np.array(column, float) for column in ([10, 15, 9, 9], [8, 13, 7, 8], [9, 14, 8, 8]))

    assert [6.0, 7.0, 1.0] == true_range(h, l, c)[1:].tolist()
    assert [6.5, 3.75] == atr(h, l, c, 2)[2:].tolist()
    assert np.isnan(true_range(h, l, c)[0])
    assert np.isnan(atr(h, l, c, 2)[:2]).all()
