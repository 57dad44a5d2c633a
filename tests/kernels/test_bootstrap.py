import numpy as np
import pytest
from golden_statistics import REFERENCE
from highwater.kernels.bootstrap import block_length, deviations_of, resamples, walk
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


def test_block_length_grows_with_memory():
    rng = np.random.default_rng(11)
    noise = rng.normal(size=400)
    series = noise.copy()
    for t in range(1, series.size):
        series[t] += 0.8 * series[t - 1]

    assert block_length(noise) < 4 < 8 < block_length(series)
    assert block_length(np.zeros(50)) == 1.0
    assert block_length(np.arange(5.0)) == 1.0
