import math

import numpy as np
from highwater.kernels.powers import powers
from hypothesis import given, settings
from hypothesis import strategies as st

numbers = st.one_of(st.floats(-1e3, 1e3), st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e300, math.nan]))


def plain(base, exponent):
    """Return the power, NaN where it is no finite number."""
    try:
        found = base**exponent
    except (OverflowError, ZeroDivisionError):
        return math.nan
    return math.nan if isinstance(found, complex) or math.isnan(base + exponent) else found


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=20))
def test_powers_are_pythons(pairs):
    base, exponent = (np.array(each) for each in zip(*pairs, strict=True))
    with np.errstate(all="ignore"):
        found = powers(base, exponent)

    found = np.where(np.isfinite(found), found, np.nan)
    assert np.array_equal([plain(*pair) for pair in pairs], found, equal_nan=True)


def test_one_to_an_unknown_power_is_unknown():
    assert np.isnan(powers(np.array([1.0, np.nan]), np.array([np.nan, 0.0]))).all()
