import math
from fractions import Fraction

import numpy as np
from highwater.kernels.signals import NONE
from highwater.kernels.votes import common_vote, mean_vote, sides
from hypothesis import given, settings
from hypothesis import strategies as st

values = st.sampled_from([1, 0, -1, NONE])
tables = st.integers(1, 5).flatmap(
    lambda m: st.lists(st.tuples(st.booleans(), *[values] * m), min_size=1, max_size=30).map(
        lambda rows: (np.array([row[0] for row in rows]), np.array([row[1:] for row in rows], np.int8).T.copy())
    )
)


def columns(warm, signals):
    """Yield whether a candle is warm, and its votes as (place, value)."""
    for i in range(warm.size):
        yield warm[i], [(m, int(v)) for m, v in enumerate(signals[:, i]) if v != NONE]


@settings(deadline=None)
@given(tables, st.lists(st.integers(1, 9), min_size=5, max_size=5))
def test_the_mean_of_votes_is_that_of_fractions(table, weights):
    warm, signals = table
    weights = weights[: signals.shape[0]]
    found = mean_vote(signals, np.array([weight / 16 for weight in weights]), warm)

    expected = []
    for there, votes in columns(warm, signals):
        total = sum(weights[m] for m, _ in votes)
        vote = float(Fraction(sum(weights[m] * v for m, v in votes), total)) if total else 0.0
        expected.append(vote if there else math.nan)
    assert np.array_equal(expected, found, equal_nan=True)  # sixteenths add up without rounding


@settings(deadline=None)
@given(tables, st.booleans())
def test_the_side_of_most_or_of_all(table, all_of_them):
    warm, signals = table
    expected = []
    for there, votes in columns(warm, signals):
        side = 0.0
        for each in (1, -1):
            same = sum(v == each for _, v in votes)
            if votes and (same == len(votes) if all_of_them else 2 * same > len(votes)):
                side = float(each)
        expected.append(side if there else math.nan)

    assert np.array_equal(expected, common_vote(signals, all_of_them, warm), equal_nan=True)


def test_sides_of_votes_by_name():
    votes = np.array([0.5, -0.5, 0.0, 0.1 + 0.2 - 0.3, -1e-8, math.nan, 1.0])

    assert [1, -1, 0, 0, -1, 0, 1] == sides(votes).tolist()
    assert np.int8 == sides(votes).dtype
