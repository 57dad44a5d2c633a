import numpy as np
import pytest
from highwater.kernels.oscillators import (
    aroon,
    cci,
    macd,
    mfi,
    momentum,
    roc,
    rsi,
    stochastic,
    stochastic_rsi,
    williams_r,
)
from hypothesis import given, settings
from indicator_calls import EXAMPLES, NAMES, hold_against_the_oracle, seeds


@pytest.mark.parametrize("name", NAMES["oscillators"])
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=seeds)
def test_is_its_definition(name, seed):
    hold_against_the_oracle(name, seed)


FLAT = np.full(60, 7.3)
VOLUME = np.ones(60)


def last(line):
    return float(line[-1])


def test_rsi_by_hand():
    x = np.array([10.0, 11.0, 9.0, 12.0, 12.0])  # gains 1 0 3 0, losses 0 2 0 0

    assert np.isnan(rsi(x, 2)[:2]).all()
    assert [100 / 3, 77.77777777777777, 77.77777777777777] == pytest.approx(rsi(x, 2)[2:].tolist())


def test_rsi_without_losses_is_100_and_without_gains_0():
    assert {100.0} == set(rsi(np.arange(1.0, 30.0), 14)[14:].tolist())
    assert {0.0} == set(rsi(np.arange(30.0, 1.0, -1), 14)[14:].tolist())
    assert {100.0} == set(rsi(np.cumsum(np.random.default_rng(1).random(99)), 9)[9:].tolist())


def test_rsi_of_a_market_that_never_moved_is_50():
    """TA-Lib says 0, TradingView 100: both ask for a trade."""
    assert {50.0} == set(rsi(FLAT, 14)[14:].tolist())


def test_rsi_stays_where_it_was_while_nothing_moves():
    x = np.concatenate([100 + np.random.default_rng(2).normal(0, 1, 40), np.full(20_000, 101.7)])
    line = rsi(x, 14)

    assert {line[40]} == set(line[40:].tolist())
    assert 50.0 == last(stochastic_rsi(x, 14, 14, 3, 3)[0])


def test_middles_of_a_market_that_never_moved():
    """TA-Lib says 0 for the first six, which is one end of the scale."""
    h = l = c = FLAT

    assert (50.0, 50.0) == tuple(map(last, stochastic(h, l, c, 14, 3, 3)))
    assert (50.0, 50.0) == tuple(map(last, stochastic_rsi(c, 14, 14, 3, 3)))
    assert -50.0 == last(williams_r(h, l, c, 14))
    assert 50.0 == last(mfi(h, l, c, VOLUME, 14))
    assert 0.0 == last(cci(h, l, c, 20))
    assert (100.0, 100.0) == tuple(map(last, aroon(h, l, 25)))  # the latest of equal highs and lows
    assert (0.0, 0.0, 0.0) == (last(momentum(c, 10)), last(roc(c, 10)), last(macd(c, 12, 26, 9)[2]))


def test_mfi_without_volume_is_50_and_without_falls_100():
    c = np.arange(1.0, 61.0)

    assert 50.0 == last(mfi(c, c, c, 0 * VOLUME, 14))
    assert 100.0 == last(mfi(c, c, c, VOLUME, 14))
    assert 0.0 == last(mfi(c[::-1], c[::-1], c[::-1], VOLUME, 14))


def test_mfi_takes_typical_prices_that_are_equal_on_paper_as_equal():
    """Both candles add up to 1562.09, and their floats do not; two minutes of SPY."""
    h, l, c = (np.array(column) for column in ([500, 520.73, 520.72], [500, 520.665, 520.65], [500, 520.695, 520.72]))

    assert h[1] + l[1] + c[1] != h[2] + l[2] + c[2]
    assert 100.0 == mfi(h, l, c, VOLUME[:3], 2)[2]


def test_mfi_of_a_token_priced_in_millionths_is_that_of_any_other():
    x = 100 + np.random.default_rng(4).normal(0, 1, 60)
    tiny = x * 2.0**-50

    assert mfi(x, x, x, VOLUME, 14)[14:].tolist() == mfi(tiny, tiny, tiny, VOLUME, 14)[14:].tolist()


def test_stochastic_by_hand():
    h, l, c = (np.array(column, float) for column in ([4, 6, 5, 8], [2, 3, 1, 4], [3, 6, 2, 5]))
    k, d = stochastic(h, l, c, 2, 1, 2)

    assert [100.0, 20.0, 400 / 7] == pytest.approx(k[1:].tolist())
    assert [60.0, 270 / 7] == pytest.approx(d[2:].tolist())
    assert [0.0, -80.0, -300 / 7] == pytest.approx(williams_r(h, l, c, 2)[1:].tolist())


def test_aroon_by_hand():
    """High 9 is two candles old, low 1 none; of the equal highs the later counts."""
    up, down = aroon(np.array([9.0, 9.0, 5.0, 6.0]), np.array([4.0, 3.0, 2.0, 1.0]), 3)

    assert ([100 / 3], [100.0]) == (pytest.approx(up[3:].tolist()), down[3:].tolist())


def test_macd_seeds_each_average_with_its_own_first_values():
    line, signal, histogram = macd(np.arange(60.0), 12, 26, 9)

    assert (25, 33, 33) == tuple(int(np.isnan(each).sum()) for each in (line, signal, histogram))
    assert pytest.approx(7.0) == line[25]  # of a straight line: half the difference of the periods
    assert pytest.approx(0.0, abs=1e-12) == histogram[-1]
