import numpy as np
import pytest
from highwater.kernels.trends import adx, directional, heikin_ashi, vortex
from hypothesis import given, settings
from indicator_calls import EXAMPLES, NAMES, hold_against_the_oracle, seeds


@pytest.mark.parametrize("name", NAMES["trends"])
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=seeds)
def test_is_its_definition(name, seed):
    hold_against_the_oracle(name, seed)


FLAT = np.full(60, 7.3)


def test_a_market_that_never_moved_has_no_direction():
    assert [{0.0}] * 3 == [set(line[27:].tolist()) for line in directional(FLAT, FLAT, FLAT, 14)]
    assert [{1.0}] * 2 == [set(line[14:].tolist()) for line in vortex(FLAT, FLAT, FLAT, 14)]


def test_adx_of_a_straight_rise_is_100_from_the_candle_it_is_known():
    h = np.arange(60.0)
    plus, minus, adx = directional(h, h - 1, h - 0.5, 14)

    assert (14, 14, 27) == tuple(int(np.isnan(line).sum()) for line in (plus, minus, adx))
    assert [{100 / 1.5}, {0.0}, {100.0}] == [set(line[27:].tolist()) for line in (plus, minus, adx)]


def test_of_two_moves_the_larger_counts_and_of_equal_ones_neither():
    h, l = np.array([10.0, 12, 13, 13]), np.array([8.0, 7, 6, 4])  # up 2 down 1, 1 and 1, 0 and 2
    plus, minus, _ = directional(h, l, l, 3)

    assert (pytest.approx(200 / 21), pytest.approx(200 / 21)) == (plus[3], minus[3])


def test_heikin_ashi_by_hand():
    o, h, l, c = ([10.0, 12.0], [13.0, 14.0], [9.0, 11.0], [12.0, 13.0])
    found = heikin_ashi(*map(np.array, (o, h, l, c)))

    assert [[11.0, 11.0], [13.0, 14.0], [9.0, 11.0], [11.0, 12.5]] == [line.tolist() for line in found]


@pytest.mark.parametrize("n", [1, 2, 5, 14, 40])
@pytest.mark.parametrize("size", [0, 1, 2, 27, 28, 79, 80, 81, 500])
def test_the_adx_alone_is_that_of_directional(n, size):
    rng = np.random.default_rng(size)
    c = 100.0 + np.cumsum(rng.integers(-2, 3, size)) / 4
    h, l = c + rng.integers(0, 3, size) / 4, c - rng.integers(0, 3, size) / 4

    np.testing.assert_array_equal(directional(h, l, c, n)[2], adx(h, l, n))
