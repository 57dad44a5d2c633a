"""Our statistics beside those of arch and scipy, where they should agree; why, where they should not.

arch's SPA is no oracle: its ``studentize`` changes nothing in the statistic (arch 8.0.0, ``multiple_comparison.py``
never divides by the deviation), so a model of high variance hides a good one. Its p-values are shares of resamples,
0 among them; ours count the observation as one more. Its bootstrap and its choice of block length are oracles.
"""

import numpy as np
import pytest
from arch.bootstrap import SPA, StationaryBootstrap, optimal_block_length
from highwater.engine.best import Best
from highwater.kernels.bootstrap import block_length, deviations_of, normal_of, resamples, student_of
from highwater.kernels.jit import share
from highwater.kernels.luck import Standings, p_value, raise_highest
from highwater.kernels.sharpe import EULER_GAMMA, Record, expected_highest, probabilistic, record_of
from scipy import stats


def series(seed, memory, days=300):
    rng = np.random.default_rng(seed)
    x = rng.standard_t(5, days)
    for t in range(1, days):
        x[t] += memory * x[t - 1]
    return x


@pytest.mark.parametrize("memory", [-0.3, 0.0, 0.2, 0.5, 0.8])
@pytest.mark.parametrize("seed", range(6))
def test_block_length_is_that_of_arch(seed, memory):
    x = series(seed, memory)
    theirs = float(optimal_block_length(x)["stationary"].iloc[0])

    assert max(theirs, 1.0) == pytest.approx(block_length(x), rel=1e-9)


@pytest.mark.parametrize("length", [1.0, 3.0, 10.0])
def test_resamples_spread_like_those_of_arch(length):
    x = np.rint(1000 * series(3, 0.4, 120)).astype(np.int64)
    theirs = StationaryBootstrap(length, x, seed=1).apply(np.mean, 4000)
    ours = resamples(1, x.size, length, 4000) @ x / x.size

    assert theirs.std() == pytest.approx(ours.std(), rel=0.06)
    assert ours.std() * x.size**0.5 == pytest.approx(deviations_of(x[None], length)[0], rel=0.06)
    for q in (0.05, 0.5, 0.95):
        assert np.quantile(theirs, q) == pytest.approx(np.quantile(ours, q), abs=0.15 * ours.std())


def reality_check(losses, length, count=2000):
    """Return our p-values of the highest of some means, unstudentised: lower and upper."""
    days, trials = losses.shape
    sums = np.rint(1e6 * -losses).T.astype(np.int64)
    drawn, own = sums @ resamples(5, days, length, count).T / 1e6, -losses.mean(axis=0) * days**0.5
    centres, highs = np.stack([own, own, np.maximum(own, 0)]), np.full((3, count), -np.inf)
    fixed = Standings(np.full(trials, days**-0.5), np.ones(trials), np.zeros(trials), centres)
    share(raise_highest, count, drawn, np.ones_like(drawn), fixed, np.zeros(trials, np.bool_), highs)
    return [p_value(np.sqrt(np.maximum(highs[row], 0)), max(own.max(), 0)) for row in (2, 0)]


@pytest.mark.parametrize("edge", [0.0, 0.05, 0.1, 0.15])
def test_reality_check_is_that_of_arch(edge):
    losses = np.random.default_rng(8).normal(-edge, 1.0, (250, 20))
    theirs = SPA(np.zeros(250), losses, block_size=3, reps=2000, bootstrap="stationary", studentize=False, seed=2)
    theirs.compute()
    lower, upper = reality_check(losses, 3.0)

    assert theirs.pvalues["upper"] == pytest.approx(upper, abs=0.04)
    assert theirs.pvalues["lower"] == pytest.approx(lower, abs=0.04)


def test_arch_does_not_studentise():
    """One wild trial without skill hides a good one from arch, and not from us; see the head of this file."""
    rng = np.random.default_rng(1)
    good, wild = rng.normal(-0.3, 1.0, (300, 1)), rng.normal(0.0, 40.0, (300, 1))
    found = []
    for studentize in (True, False):
        theirs = SPA(np.zeros(300), np.hstack([good, wild]), block_size=2, reps=1000, studentize=studentize, seed=2)
        theirs.compute()
        found.append(theirs.pvalues["upper"])

    assert found[0] == found[1] > 0.05
    ours = Best(300, 2.0)
    ours.add(np.rint(-1e6 * np.hstack([good, wild])).T.astype(np.int64), 0)
    _, ranked, p, _ = ours.found()
    assert 0 == ranked[0]
    assert p[0] < 0.01


@pytest.mark.parametrize("freedom", [3, 5, 12.5, 40, 364])
def test_normal_numbers_as_likely_as_students_t_are_near_scipys(freedom):
    t = np.array([0.1, 1.0, 2.0, 3.0, 4.0, 6.0])
    theirs = stats.norm.isf(stats.t.sf(t, freedom))

    assert theirs == pytest.approx(normal_of(t, freedom), rel=0.02 if freedom < 10 else 0.003)
    assert stats.t.isf(stats.norm.sf(theirs), freedom) == pytest.approx(student_of(theirs, freedom), rel=0.05)


def test_moments_and_normal_numbers_are_scipys():
    x = series(4, 0.0, 80)
    record = record_of(x)

    assert stats.skew(x) == pytest.approx(record.skew)
    assert stats.kurtosis(x, fisher=False) == pytest.approx(record.kurt)
    assert x.mean() / x.std(ddof=1) == pytest.approx(record.sharpe)
    for trials in (2, 10, 10**6):
        expected = (1 - EULER_GAMMA) * stats.norm.ppf(1 - 1 / trials)
        expected += EULER_GAMMA * stats.norm.ppf(1 - 1 / trials / np.e)
        assert expected == pytest.approx(expected_highest(trials), rel=1e-9)
    assert stats.norm.cdf(0.1 * 99**0.5 / (1 + 0.005) ** 0.5) == pytest.approx(
        probabilistic(Record(0.1, 0.0, 3.0, 100)), rel=1e-9
    )
