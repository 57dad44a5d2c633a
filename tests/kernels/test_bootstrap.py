from statistics import NormalDist

import numpy as np
import pytest
from golden_statistics import REFERENCE
from highwater.kernels.bootstrap import (
    FEW_DAYS,
    block_length,
    certainty,
    deviations_of,
    normal_of,
    resamples,
    squares_of,
    student_of,
    walk,
)
from highwater.kernels.jit import threads
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_market import COMPILED


def test_walk_of_the_reference():
    case = REFERENCE["stationary_bootstrap"]

    assert case["indices"] == walk(np.array(case["starts"]), np.array(case["us"]), case["p"]).tolist()


def test_resamples_draw_every_day_alike_and_cut_nowhere():
    found = resamples(3, 12, 4.0, 500)

    np.testing.assert_array_equal(np.full(500, 12.0), found.sum(axis=1))
    np.testing.assert_array_equal(found[100:110], resamples(3, 12, 4.0, 10, first=100))
    assert found.mean(axis=0) == pytest.approx(np.ones(12), abs=0.2)
    assert (found != resamples(4, 12, 4.0, 500)).any()


def test_resamples_for_any_number_of_threads():
    with threads(1):
        one = resamples(7, 20, 3.0, 40)
    with threads(2):
        two = resamples(7, 20, 3.0, 40)

    np.testing.assert_array_equal(one, two)


def test_blocks_are_as_long_as_asked():
    count, days, length = 200 if COMPILED else 50, 60, 5.0
    rng = np.random.default_rng(1)
    follows = [
        np.mean(np.diff(walk(rng.integers(0, days, days), rng.random(days), 1 / length)) % days == 1)
        for _ in range(count)
    ]

    assert np.mean(follows) == pytest.approx(1 - 1 / length + 1 / length / days, abs=0.02)


def naive_deviation(row, length):
    n, q = len(row), 1 - 1 / length
    x = [value - sum(row) / n for value in row]
    gamma = [sum(x[t] * x[t + i] for t in range(n - i)) / n for i in range(n)]
    kappa = [(n - i) / n * q**i + i / n * q ** (n - i) for i in range(n)]
    return max(gamma[0] + 2 * sum(k * g for k, g in zip(kappa[1:], gamma[1:], strict=True)), 0) ** 0.5


@settings(deadline=None)
@given(
    st.lists(st.integers(-(10**9), 10**9), min_size=2, max_size=30),
    st.floats(1, 20),
)
def test_deviation_is_hansens_sum(row, length):
    expected = naive_deviation(row, length)

    assert expected == pytest.approx(deviations_of(np.array([row, row]), length)[1], rel=1e-6, abs=1e-3)


def test_deviation_is_that_of_the_resamples():
    row = np.random.default_rng(5).integers(-1000, 1500, 50)
    means = resamples(1, 50, 3.0, 4000 if COMPILED else 800) @ row / 50

    assert means.std() * 50**0.5 == pytest.approx(deviations_of(row[None], 3.0)[0], rel=0.08)


def test_deviation_of_a_row_that_does_not_vary_is_zero():
    assert deviations_of(np.array([[7, 7, 7, 7]]), 2.0).tolist() == [0.0]


@pytest.mark.parametrize(("days", "kind", "most"), [(41, np.float32, 2**24), (FEW_DAYS + 1, np.float64, 2**53)])
def test_squares_are_shares_of_a_trials_variance_and_exact_over_any_resample(days, kind, most):
    rng = np.random.default_rng(8)
    sums = np.array([rng.integers(-(10 ** int(e)), 10 ** int(e), days) for e in (1, 3, 9, 13, 15)])
    sums[0], sums[1] = 7, np.arange(days) == 5
    with threads(2):
        found, variance = squares_of(sums)
    counts = np.vstack([resamples(1, days, 3.0, 30), np.eye(days)[:5] * days]).astype(kind)
    products = counts @ found.T

    assert found.dtype == kind == products.dtype
    for k, (row, given_) in enumerate(zip(found.tolist(), sums.tolist(), strict=True)):
        exact = [sum(int(c) * int(x) for c, x in zip(each, row, strict=True)) for each in counts.tolist()]
        assert exact == [int(product) for product in products[:, k].tolist()]
        assert all(x == int(x) for x in row)
        total = sum(given_)
        squares = [(days * x - total) ** 2 for x in given_]
        expected = [square / sum(squares) if sum(squares) else 0 for square in squares]
        assert expected == pytest.approx([x / (sum(row) or 1) for x in row], abs=1e-12 + days**2 / most)
        assert sum(squares) / days**3 == pytest.approx(variance[k], rel=1e-9)
    np.testing.assert_array_equal(found, np.vstack([squares_of(sums[k : k + 1])[0] for k in range(len(sums))]))


@pytest.mark.parametrize("days", [3, 10, 365])
def test_without_blocks_and_memory_a_deviation_is_as_certain_as_students(days):
    assert (1 - 1 / days, days - 1) == pytest.approx(certainty(days, 1.0, 0.0))


@pytest.mark.parametrize(("length", "memory"), [(1.0, 0.0), (3.0, 0.0), (3.0, 0.3), (6.0, 0.3), (2.0, -0.2)])
def test_certainty_is_that_of_normal_days(length, memory):
    """Days on a circle, of which it is exact; their long-run variance is (1 + memory) squared."""
    days, draws = 30, 20_000 if COMPILED else 3000
    noise = np.random.default_rng(12).normal(0, 1e9, (draws, days))
    found = deviations_of(np.rint(noise + memory * np.roll(noise, 1, axis=1)).astype(np.int64), length) ** 2
    share, freedom = certainty(days, length, memory)

    assert (found / 1e18).mean() / (1 + memory) ** 2 == pytest.approx(share, rel=0.02)
    assert 2 * found.mean() ** 2 / found.var() == pytest.approx(freedom, rel=0.05)


def test_normal_numbers_as_likely_as_students_t():
    t = np.array([0.5, 1.0, 2.0, 4.0, 8.0])
    of_two = 0.5 + t / 2 / np.sqrt(2 + t**2)
    of_four = 0.5 + 3 / 8 * t / np.sqrt(1 + t**2 / 4) * (1 - t**2 / 12 / (1 + t**2 / 4))
    for freedom, likely, near in ((2, of_two, 0.03), (4, of_four, 0.02)):
        expected = [NormalDist().inv_cdf(p) for p in likely]

        assert expected == pytest.approx(normal_of(t, freedom).tolist(), rel=near)
    assert normal_of(t, 1e7) == pytest.approx(t, rel=1e-5)


@given(st.floats(-9, 9), st.floats(0.5, 1000))
def test_students_t_of_normal_numbers_is_the_way_back(t, freedom):
    z = normal_of(np.array([t, -t]), freedom)

    assert [t, -t] == pytest.approx(student_of(z, freedom).tolist(), rel=1e-9, abs=1e-9)
    assert abs(z[0]) <= abs(t)


def test_a_t_too_large_for_a_number():
    assert [np.inf, -np.inf] == student_of(np.array([40.0, -40.0]), 1.0).tolist()


def test_block_length_grows_with_memory():
    rng = np.random.default_rng(11)
    noise = rng.normal(size=400)
    series = noise.copy()
    for t in range(1, series.size):
        series[t] += 0.8 * series[t - 1]

    assert block_length(noise) < 4 < 8 < block_length(series)
    assert block_length(np.zeros(50)) == 1.0
    assert block_length(np.arange(5.0)) == 1.0
