import math

import numba
import numpy as np
import pytest
from highwater.kernels import quantile
from highwater.kernels.stats import quantile as of_numpy
from hypothesis import given, settings
from hypothesis import strategies as st

numbers = st.lists(st.one_of(st.floats(-1e9, 1e9), st.sampled_from([0.0, -0.0, 1.0, 1 / 3, math.nan])))


@settings(deadline=None)
@given(numbers, st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.025, 0.25, 0.5, 0.75, 0.9, 0.975, 1.0])))
def test_a_quantile_is_numpys_to_the_last_bit(values, q):
    column = np.array(values, float)
    column.flags.writeable = False

    assert (of_numpy(column, q) + 0.0).hex() == (quantile(column, q) + 0.0).hex()


@numba.njit
def spreads(columns, width):
    """A user's own loop: the distance between two quantiles of each row."""
    out = np.empty(len(columns))
    for i in range(len(columns)):
        out[i] = quantile(columns[i], 0.5 + width / 2) - quantile(columns[i], 0.5 - width / 2)
    return out


@pytest.mark.parametrize("writeable", [True, False])
def test_a_user_calls_it_from_a_loop_of_their_own(writeable):
    columns = np.array([[1.0, 2.0, 3.0, 4.0, 5.0], [5.0, math.nan, 1.0, math.nan, 3.0]])
    columns.flags.writeable = writeable

    assert [2.0, 2.0] == spreads(columns, 0.5).tolist()
