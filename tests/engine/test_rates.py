"""Held against figures of scipy 1.17 (named so), worked examples, and plain Python with exact fractions."""

import math
from fractions import Fraction
from statistics import median

import numpy as np
import pytest
from highwater.engine import rates
from highwater.kernels.philox import uniform
from hypothesis import given
from hypothesis import strategies as st

counts = st.lists(
    st.integers(0, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=9
)


def columns(pairs):
    """Return hits and calls of some (hits, calls)."""
    return tuple(np.array(part, np.int64) for part in zip(*pairs, strict=True))


def same(wanted, found):
    """Tell whether two lists of floats are equal to the last few bits, NaN to NaN."""
    return pytest.approx(wanted, rel=1e-12, abs=1e-12, nan_ok=True) == list(found)


# scipy.stats.binomtest(hits, calls).proportion_ci(method="wilson")
WILSON = {
    (0, 10): (0.0, 0.27753279986288926),
    (3, 10): (0.10779126740630102, 0.6032218525388546),
    (10, 10): (0.7224672001371109, 1.0),
    (53, 100): (0.4328885697009936, 0.6248918204065873),
    (1, 2): (0.09453120573423074, 0.9054687942657693),
    (0, 0): (math.nan, math.nan),
}


def test_wilson_is_scipys():
    low, high = rates.wilson(*columns(WILSON))

    assert same([ends[0] for ends in WILSON.values()], low)
    assert same([ends[1] for ends in WILSON.values()], high)


@given(counts)
def test_the_ends_of_wilson_are_the_rates_that_differ_by_just_z(pairs):
    hits, calls = columns(pairs)
    for h, n, *ends in zip(hits, calls, *rates.wilson(hits, calls), strict=True):
        if n:
            assert 0 <= ends[0] <= h / n <= ends[1] <= 1
            for end in ends:
                apart = abs(h / n - end) - rates.Z * math.sqrt(end * (1 - end) / n)
                assert end in (0, 1) or abs(apart) < 1e-9


# scipy.stats.fisher_exact([[hits, others' hits], [misses, others' misses]])
FISHER = {
    (8, 9, 10, 16): 0.034965034965034975,
    (0, 30, 10, 100): 0.030231150801946605,
    (53, 453, 100, 1100): 0.014044746401189415,
    (5, 5, 5, 10): 0.007936507936507938,
}
FISHER_TABLES = [[[8, 2], [1, 5]], [[0, 10], [30, 60]], [[53, 47], [400, 600]], [[5, 0], [0, 5]]]


@pytest.mark.parametrize("case", range(4))
def test_the_exact_test_is_scipys(case):
    (hits, misses), (other_hits, other_misses) = FISHER_TABLES[case]
    calls, wanted = hits + misses, list(FISHER.values())[case]

    assert pytest.approx(wanted, rel=1e-12) == rates.p_value(
        hits, calls, hits + other_hits, calls + other_hits + other_misses
    )


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_the_exact_test_in_fractions(calls, others, data):
    hits, other_hits = data.draw(st.integers(0, calls)), data.draw(st.integers(0, others))
    marked, total = hits + other_hits, calls + others
    ways = [math.comb(marked, k) * math.comb(total - marked, calls - k) for k in range(calls + 1)]
    wanted = Fraction(sum(each for each in ways if each <= ways[hits]), sum(ways))

    assert pytest.approx(float(wanted), rel=1e-9) == rates.p_value(hits, calls, marked, total)


def test_a_caller_alone_or_without_calls_is_no_test():
    assert math.isnan(rates.p_value(3, 5, 3, 5))
    assert math.isnan(rates.p_value(0, 0, 3, 5))


def test_an_outcome_too_rare_for_a_double_has_p_0_and_a_common_one_does_not_overflow():
    assert 0.0 == rates.p_value(20_000, 20_000, 20_000, 40_000)
    assert 0.9 < rates.p_value(10_000, 20_000, 20_000, 40_000) <= 1.0


def test_q_values_are_scipys():
    found = rates.q_values(np.array([0.01, 0.04, np.nan, 0.03, 0.005, 0.5, 0.04]))

    assert same([0.03, 0.048, math.nan, 0.048, 0.03, 0.5, 0.048], found)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_a_q_value_is_the_lowest_level_that_passes(p):
    found = rates.q_values(np.array(p))
    for i, own in enumerate(p):
        levels = [len(p) * max(own, other) / sum(each <= max(own, other) for each in p) for other in p]

        assert pytest.approx(min(1.0, *levels), rel=1e-12) == found[i]


def test_each_rate_is_drawn_to_the_pools():
    hits, calls = columns([(9, 10), (1, 2), (0, 0), (40, 188)])
    pool = 50 / 200

    assert same(
        [(9 + 4 * pool) / 14, (1 + 4 * pool) / 6, math.nan, (40 + 4 * pool) / 192], rates.shrink(hits, calls, 4.0)
    )
    assert same([pool, pool, math.nan, pool], rates.shrink(hits, calls, math.inf))


def expected_spread(alike, calls, pool):
    """Return what Kleinman's sum of squares is on average: each rate's variance, less that of the pool's rate."""
    total = sum(calls)
    return sum(pool * (1 - pool) * (1 + (n - 1) * alike) * (1 - Fraction(n, total)) for n in calls)


@given(counts)
def test_the_strength_is_where_the_spread_is_as_expected(pairs):
    hits, calls = columns(pairs)
    found = rates.strength(hits, calls)
    kept = [(h, n) for h, n in pairs if n]
    total = sum(n for _, n in kept)
    pool = Fraction(sum(h for h, _ in kept), total) if total else Fraction(0)
    spread = sum(n * (Fraction(h, n) - pool) ** 2 for h, n in kept)
    by_chance = expected_spread(0, [n for _, n in kept], pool)
    if spread <= by_chance or expected_spread(1, [n for _, n in kept], pool) <= by_chance:
        assert math.isinf(found) or found > 1e9
    else:
        alike = min(1.0, 1 / (1 + found))
        wanted = expected_spread(Fraction(alike), [n for _, n in kept], pool)

        assert float(wanted) <= float(spread) * (1 + 1e-9)
        assert found == 0 or pytest.approx(float(spread), rel=1e-6) == float(wanted)


def test_callers_who_differ_by_chance_alone_are_one():
    hits, calls = columns([(5, 10), (6, 12), (4, 8)])

    assert math.isinf(rates.strength(hits, calls))
    assert math.isinf(rates.strength(*columns([(3, 7)])))
    assert math.isinf(rates.strength(*columns([(0, 7), (0, 3)])))
    assert 0.0 == rates.strength(*columns([(10, 10), (0, 10)]))


def test_the_strength_of_many_callers_is_that_they_were_drawn_with():
    random = np.random.default_rng(3)
    talents = random.beta(6.0, 14.0, 40_000)
    calls = random.integers(5, 40, 40_000)

    assert pytest.approx(20.0, rel=0.1) == rates.strength(random.binomial(calls, talents), calls)


def test_further_calls_by_hand():
    # (1.96 * sqrt(.25 * .75) + .8416 * sqrt(.5 * .5))**2 / .25**2 = 25.8
    assert 26 - 10 == rates.further_calls(0.5, 0.25, 10)
    assert 0.0 == rates.further_calls(0.5, 0.25, 26)
    assert 1.0 == rates.further_calls(0.5, 0.25, 25)
    assert math.isnan(rates.further_calls(0.25, 0.25, 10))
    assert math.isnan(rates.further_calls(math.nan, 0.25, 10))
    assert math.isnan(rates.further_calls(0.25 + 1e-9, 0.25, 10))


def power(n, rate, pool):
    """Return how often ``n`` calls at ``rate`` differ from ``pool`` in a test of 5 %, by the normal's integral."""

    def below(x):
        return math.erfc(-x / math.sqrt(2)) / 2

    gap, unit = abs(rate - pool), math.sqrt(rate * (1 - rate) / n)
    return below((gap - rates.Z * math.sqrt(pool * (1 - pool) / n)) / unit)


@given(st.floats(0.02, 0.98), st.floats(0.02, 0.98))
def test_as_many_calls_tell_four_times_in_five(rate, pool):
    if abs(rate - pool) > 0.01:
        needed = rates.further_calls(rate, pool, 0)

        assert power(needed, rate, pool) >= 0.8 - 1e-9
        assert needed == 1 or power(needed - 1, rate, pool) < 0.8 + 1e-9


def test_of_twelve_callers_with_one_skill_the_luckiest_is_not_told():
    hits, calls = columns([(4, 6), *[(3, 12)] * 11])
    found = rates.judge(hits, calls)

    assert found.q.min() > 0.05
    assert not (found.needs == 0).any()
    assert found.low[0] > hits.sum() / calls.sum()  # by its own interval it would be
    assert 0.0 == np.ptp(found.shrunk)


def test_a_caller_with_many_good_calls_is_told():
    found = rates.judge(*columns([(60, 80), (2, 10), (30, 150), (0, 0)]))

    assert found.q[0] < 1e-6
    assert 0.0 == found.needs[0]
    assert 0.6 < found.shrunk[0] < 0.75
    for each in (found.low, found.high, found.shrunk, found.q, found.needs):
        assert math.isnan(each[3])


@pytest.mark.parametrize("hits", [[0, 0], [5, 8], [0]], ids=["none", "all", "one caller"])
def test_pools_that_tell_nothing(hits):
    found = rates.judge(np.array(hits), np.array([5, 8][: len(hits)]))

    assert np.isnan(found.needs).all() or found.needs.min() >= 1
    assert len(hits) == 1 or found.q.min() == 1.0


def test_the_interval_of_a_median_is_the_bootstraps():
    values = np.array([3.0, 1.0, np.nan, 7.0, 2.0, 9.0, 4.0, 1.5])
    kept = sorted(values[~np.isnan(values)].tolist())
    n = len(kept)
    draws = ([kept[int(uniform(0, b * n + i, 0, 7) * n)] for i in range(n)] for b in range(rates.RESAMPLES))
    found = sorted(median(draw) for draw in draws)

    def cut(q):
        place = q * (len(found) - 1)
        low = int(place)
        return found[low] + (found[low + 1] - found[low]) * (place - low)

    assert same([cut(0.025), cut(0.975)], rates.median_interval(values))


@pytest.mark.parametrize("n", [6, 7, 101, 102])
def test_the_blocks_of_a_bootstrap_change_nothing(n, monkeypatch):
    values = np.random.default_rng(n).lognormal(size=n)
    whole = rates.median_interval(values)
    monkeypatch.setattr(rates, "_BLOCK", 7 * n)

    assert whole == rates.median_interval(values) == rates.median_interval(values[::-1])
    assert whole[0] <= np.median(values) <= whole[1]


def test_the_bootstrap_is_as_wide_as_its_exact_distribution():
    # The median of 2k + 1 draws is at most the j-th of n sorted values where at least k + 1 draws are: a binomial.
    n, exact = 31, []
    for j in range(1, n + 1):
        share = Fraction(j, n)
        exact.append(sum(math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n // 2 + 1, n + 1)))
    low = next(j for j, p in enumerate(exact) if p >= 0.025)
    high = next(j for j, p in enumerate(exact) if p >= 0.975)
    found = rates.median_interval(np.arange(float(n)))

    assert abs(found[0] - low) <= 1
    assert abs(found[1] - high) <= 1


def test_five_values_bound_no_median():
    assert all(map(math.isnan, rates.median_interval(np.arange(5.0))))
    assert (0.0, 0.0) == rates.median_interval(np.zeros(6))


# Gehan's leukaemia patients under 6-mercaptopurine: weeks to relapse, and when watching ended. The chances and ends are
# scipy.stats.ecdf(CensoredData(uncensored, right)).sf with confidence_interval(method="log-log").
RELAPSED = [6, 6, 6, 7, 10, 13, 16, 22, 23]
WATCHED = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
GEHAN = {
    6: (0.8571428571428571, 0.6197179552659838, 0.951551747646997),
    9: (0.8067226890756302, 0.5631465646222333, 0.9228090192028804),
    13: (0.6901960784313724, 0.43161022248618397, 0.8490659633494507),
    22: (0.53781512605042, 0.26777893676713505, 0.7467907176353944),
    40: (0.4481792717086834, 0.18805200595923235, 0.6801426284952414),
}


@pytest.mark.parametrize("week", GEHAN)
def test_the_chance_by_a_time_is_scipys(week):
    times = np.array([*RELAPSED, *WATCHED], float)
    kept, low, high = GEHAN[week]

    assert same([1 - kept, 1 - high, 1 - low], rates.reached_by(times, np.arange(21) < 9, week))


def test_no_chance_has_ends_before_the_first_and_after_the_last():
    times, hit = np.array([5.0, 6.0]), np.array([True, True])

    assert same([0.0, math.nan, math.nan], rates.reached_by(times, hit, 4))
    assert same([1.0, math.nan, math.nan], rates.reached_by(times, hit, 6))
    assert math.isnan(rates.reached_by(times[:0], hit[:0], 6)[0])


@given(st.lists(st.tuples(st.integers(1, 20), st.booleans()), min_size=1, max_size=30))
def test_the_chance_never_falls_with_time(cases):
    times, hit = (np.array(part) for part in zip(*cases, strict=True))
    found = [rates.reached_by(times.astype(float), hit, when) for when in range(22)]

    assert sorted(chance for chance, *_ in found) == [chance for chance, *_ in found]
    assert all(math.isnan(low) or 0 <= low <= chance <= high <= 1 for chance, low, high in found)
