import math

import numpy as np
import pytest
from highwater.kernels.arrays import candles, column
from highwater.kernels.walk import (
    BLOCK,
    CHUNK,
    blocks_for,
    first_at,
    greatest,
    least,
    next_above,
    next_event,
    no_blocks,
    policy_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_market import COMPILED, policies_of


def bits(values):
    return column(values).view(np.int64)


examples = settings(max_examples=200 if COMPILED else 50, deadline=None)
prices = st.lists(st.integers(1, 9).map(float), max_size=5 * CHUNK)


@examples
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=8 * BLOCK), st.data())
def test_the_next_event_is_the_first_with_blocks_and_without(rows, data):
    low, rise = np.array(rows, float).T
    bars = candles(range(len(rows)), low, low + rise, low, low)
    i = data.draw(st.integers(0, len(rows)))
    last = data.draw(st.integers(i, len(rows)))
    stop, limit = data.draw(st.integers(0, 5)), data.draw(st.integers(5, 13))
    expected = next((k for k in range(i, last) if low[k] <= stop or low[k] + rise[k] >= limit), last)

    assert expected == next_event(bars, blocks_for(bars), i, last, float(stop), float(limit))
    assert expected == next_event(bars, no_blocks(), i, last, float(stop), float(limit))


@examples
@given(prices, st.integers(0, 5 * CHUNK), st.integers(0, 9))
def test_the_next_above_is_strictly_above(high, i, peak):
    expected = next((k for k in range(i, len(high)) if high[k] > peak), max(i, len(high)))

    assert expected == max(i, next_above(column(high), i, float(peak)))


@examples
@given(st.lists(st.integers(-50, 50)), st.integers(-60, 60))
def test_first_at_is_the_left_edge(ts, when):
    assert sum(t < when for t in ts) == first_at(column(sorted(ts), np.int64), when)


@examples
@given(st.lists(st.floats(5e-324, allow_infinity=False, allow_nan=False), min_size=1))
def test_extremes_of_positive_prices(values):
    assert (max(values), min(values)) == (greatest(bits(values), 0, len(values)), least(bits(values), 0, len(values)))


def test_extremes_of_nothing():
    assert math.isnan(least(bits([1.0]), 1, 1))
    assert 0.0 == greatest(bits([1.0]), 0, 0)


@pytest.mark.parametrize("count", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_blocks_hold_whole_blocks_only(count):
    low = np.arange(1.0, count + 1)
    found = blocks_for(candles(range(count), low, low + 1, low, low))
    starts = range(0, count // BLOCK * BLOCK, BLOCK)

    assert [s + BLOCK + 1 for s in starts] == found.high.tolist()
    assert [s + 1 for s in starts] == found.low.tolist()


def test_a_policy_is_one_row():
    policy = policy_of(policies_of([{}, {"sl": 0.5, "tp": [{"mult": 2.0}], "trail": {"pct": 0.1}}]), 1)

    assert (0.5, [2.0], [10000], 0.1, 1.0) == (
        policy.sl,
        policy.tp.tolist(),
        policy.frac_bps.tolist(),
        policy.trail_pct,
        policy.activate,
    )
