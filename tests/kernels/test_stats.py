import math
import statistics

import numpy as np
import pytest
from highwater.kernels.stats import quantile
from hypothesis import given
from hypothesis import strategies as st

columns = st.lists(st.floats(-1e6, 1e6), min_size=1)


@given(columns)
def test_the_half_quantile_is_the_median(numbers):
    assert quantile(np.array(numbers), 0.5) == pytest.approx(statistics.median(numbers), rel=1e-12, abs=1e-300)


@given(columns)
def test_the_ends_are_the_extremes(numbers):
    found = [quantile(np.array(numbers), q) for q in (0.0, 1.0)]

    assert [min(numbers), max(numbers)] == found


@given(columns, st.floats(0, 1))
def test_nan_is_left_out(numbers, q):
    mixed = np.array([math.nan, *numbers, math.nan])

    assert quantile(np.array(numbers), q) == quantile(mixed, q)


def test_linear_between_neighbours():
    assert 1.75 == quantile(np.array([4.0, 1.0, 2.0, 3.0]), 0.25)


@pytest.mark.parametrize("nothing", [[], [math.nan]])
def test_nothing_has_no_quantile(nothing):
    assert math.isnan(quantile(np.array(nothing), 0.5))
