import numpy as np
import pytest
from highwater.kernels.channels import bollinger, donchian, ichimoku, keltner, parabolic_sar, supertrend
from hypothesis import given, settings
from indicator_calls import EXAMPLES, NAMES, hold_against_the_oracle, seeds


@pytest.mark.parametrize("name", NAMES["channels"])
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=seeds)
def test_is_its_definition(name, seed):
    hold_against_the_oracle(name, seed)


FLAT = np.full(90, 7.3)


def test_bands_of_a_market_that_never_moved_are_its_price():
    for bands in (bollinger(FLAT, 20, 2.0), keltner(FLAT, FLAT, FLAT, 20, 2.0), donchian(FLAT, FLAT, 20)):
        assert [{7.3}] * 3 == [set(line[20:].tolist()) for line in bands]


def test_no_close_is_outside_a_donchian_channel_of_its_own_candle():
    x = np.random.default_rng(1).normal(100, 1, 500)
    lower, _, upper = donchian(x, x, 20)

    assert (x[19:] <= upper[19:]).all()
    assert (x[19:] >= lower[19:]).all()


def test_ichimoku_spans_are_of_the_candles_before():
    h = np.random.default_rng(1).normal(100, 1, 200)
    l = h - 1
    quick, slow, a, b = ichimoku(h, l, 9, 26, 52)

    assert (8, 25, 51, 77) == tuple(int(np.isnan(line).sum()) for line in (quick, slow, a, b))
    assert ((quick + slow) / 2)[25:-26].tolist() == a[51:].tolist()
    assert donchian(h, l, 52)[1][51:-26].tolist() == b[77:].tolist()


def test_supertrend_turns_where_a_close_passes_its_line():
    """True ranges 2 2 5 2 2 8: down until a close of 106 above 103, up until one of 99 below 105."""
    middle = np.array([100, 101, 102, 106, 107, 106, 99.0])
    line, direction = supertrend(middle + 1, middle - 1, middle, 1, 1.0)

    assert [-1, -1, 1, 1, 1, -1] == direction[1:].tolist()
    assert [103, 103, 101, 105, 105, 107] == line[1:].tolist()


def test_parabolic_sar_by_hand():
    """Rises from the first low, never above the last two lows, and turns where a low reaches it."""
    h, l = np.array([10.0, 11, 12, 13, 9]), np.array([9.0, 10, 11, 12, 8])

    assert [9.0, 9.04, 9.1584, 13.0] == pytest.approx(parabolic_sar(h, l, 0.02, 0.2)[1:].tolist())
    assert [-9.0, -9.04, -9.1584, -13.0] == pytest.approx(parabolic_sar(-l, -h, 0.02, 0.2)[1:].tolist())


@pytest.mark.parametrize("size", [0, 1])
def test_parabolic_sar_needs_two_candles(size):
    assert [True] * size == np.isnan(parabolic_sar(FLAT[:size], FLAT[:size], 0.02, 0.2)).tolist()
