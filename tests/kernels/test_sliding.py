"""What slides, held against whole numbers: prices near 100,000 are multiples of 2**-36, so that nothing is lost.

Steps of a hundredth over 100,000 candles: where a running sum of squares has lost every digit.
"""

import math

import numpy as np
import pytest
from highwater.kernels.averages import deviation, ema, linear_slope, sma, wma
from highwater.kernels.oscillators import cci
from highwater.kernels.sliding import ages, extremes, means, moments, sums
from highwater.kernels.volumes import vwap
from kernel_market import COMPILED

UNIT = 2**36
SIZE = 100_000 if COMPILED else 5_000


@pytest.fixture(scope="module")
def prices():
    x = 1e5 + np.cumsum(np.random.default_rng(7).choice([-0.01, 0.0, 0.01], SIZE))
    x.flags.writeable = False
    return x


def whole_sums(x, n, of):
    """Return the exact sum of ``of`` each value's whole number of units, over the last ``n``, as Python's integers."""
    each = [of(i, int(value * UNIT)) for i, value in enumerate(x)]
    total, out = sum(each[: n - 1]), []
    for i in range(n - 1, len(each)):
        total += each[i]
        out.append(total)
        total -= each[i - n + 1]
    return out


def furthest(wanted, found):
    """Return the largest relative error."""
    assert len(wanted) == len(found)
    return max(abs(a - b) / abs(a) for a, b in zip(wanted, found.tolist(), strict=True) if a or b)


@pytest.mark.parametrize("n", [2, 20, 200, 5_000])
def test_means_are_right_to_the_last_digits(prices, n):
    wanted = [total / (n * UNIT) for total in whole_sums(prices, n, lambda i, v: v)]

    assert furthest(wanted, sma(prices, n)[n - 1 :]) < 1e-15
    assert furthest([total / UNIT for total in whole_sums(prices, n, lambda i, v: v)], sums(prices, n)[n - 1 :]) < 1e-12


@pytest.mark.parametrize("n", [2, 20, 200])
def test_means_are_those_of_exact_sums(prices, n):
    x = prices[:3000]
    wanted = [math.fsum(x[i - n + 1 : i + 1]) / n for i in range(n - 1, 3000)]

    assert furthest(wanted, sma(x, n)[n - 1 :]) < 1e-15


@pytest.mark.parametrize("n", [2, 20, 200, 5_000])
def test_deviations_are_right_where_squares_would_cancel(prices, n):
    totals = whole_sums(prices, n, lambda i, v: v)
    squares = whole_sums(prices, n, lambda i, v: v * v)
    spread = [n * q - t * t for t, q in zip(totals, squares, strict=True)]
    wanted = [math.isqrt(s << 64) / (n * UNIT * 2**32) for s in spread]

    assert furthest(wanted, deviation(prices, n)[n - 1 :]) < 1e-12


@pytest.mark.parametrize("n", [2, 20, 200, 5_000])
def test_weighted_means_and_slopes_are_right(prices, n):
    totals = whole_sums(prices, n, lambda i, v: v)
    placed = whole_sums(prices, n, lambda i, v: i * v)
    weighted = [q - (i - n) * t for i, (t, q) in enumerate(zip(totals, placed, strict=True), n - 1)]
    slopes = [12 * q - 6 * (n + 1) * t for t, q in zip(totals, weighted, strict=True)]  # times n (n + 1) (n - 1)
    found, error = linear_slope(prices, n)[n - 1 :], 1e-14 * 0.01

    assert furthest([q / (UNIT * n * (n + 1) // 2) for q in weighted], wma(prices, n)[n - 1 :]) < 1e-15
    np.testing.assert_allclose(found, [s / (UNIT * n * (n * n - 1)) for s in slopes], rtol=1e-12, atol=error)


def test_an_exponential_average_does_not_drift(prices):
    """The same from the last 2,000 candles as from all: nothing of what came before is left."""
    late = prices[-2000:]

    assert pytest.approx(ema(late, 20)[-1], rel=1e-15) == ema(prices, 20)[-1]


def test_weighted_prices_and_cci_do_not_drift(prices):
    """From the last of them, the same as from all."""
    v = np.random.default_rng(1).integers(1, 100, SIZE) * 1.0
    late, volume = prices[-500:], v[-500:]

    assert pytest.approx(vwap(late, volume, 50)[60:], rel=1e-14) == vwap(prices, v, 50)[-440:]
    assert cci(late, late, late, 20)[30:].tolist() == cci(prices, prices, prices, 20)[-470:].tolist()


def test_a_number_missing_is_missed_by_its_windows_only():
    x = np.random.default_rng(1).normal(100, 1, 80)
    holed = x.copy()
    holed[[31, 50]] = np.nan
    gone = np.isin(np.arange(80), [*range(31, 38), *range(50, 57)]) | (np.arange(80) < 6)

    for of in (sums, means, deviation, wma, linear_slope, lambda x, n: extremes(x, n, -1.0)):
        assert gone.tolist() == np.isnan(of(holed, 7)).tolist()
        assert of(x, 7)[~gone].tolist() == of(holed, 7)[~gone].tolist()


@pytest.mark.parametrize("place", [13, 14, 20])
def test_numbers_too_large_to_square_leave_with_their_window(place):
    x = np.random.default_rng(1).normal(100, 1, 60)
    struck = x.copy()
    struck[place] = 1e308
    with np.errstate(over="ignore", invalid="ignore"):
        pairs = [(of(x, 7), of(struck, 7)) for of in (sums, means, deviation, wma, linear_slope)]

    for before, after in pairs:
        assert before[place + 7 :].tolist() == after[place + 7 :].tolist()


def test_ages_of_equal_extremes_are_those_of_the_latest():
    x = np.array([3.0, 1, 3, 3, 1, 2, 0, 0])

    assert [0.0, 0.0, 1.0, 2.0, 1.0, 2.0] == ages(x, 3, 1.0)[2:].tolist()
    assert [1.0, 2.0, 0.0, 1.0, 0.0, 0.0] == ages(x, 3, -1.0)[2:].tolist()


def test_moments_are_both():
    x = np.random.default_rng(1).normal(100, 1, 60)

    assert [sma(x, 9).tobytes(), deviation(x, 9).tobytes()] == [line.tobytes() for line in moments(x, 9)]
