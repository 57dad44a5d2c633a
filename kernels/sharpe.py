"""What a Sharpe ratio is worth: how likely it is more than luck, and how long a record it takes to tell.

Ratios are a period's (a day's), never annualised; kurtosis is that of moments, 3 for the Normal, not the excess.
Bailey and López de Prado, "The Sharpe ratio efficient frontier" (J. Risk 15(2), 2012) and "The deflated Sharpe ratio"
(J. Portfolio Management 40(5), 2014). All scalars, in plain Python.
"""

from math import e, isnan, nan, sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from .arrays import Floats, Ints

EULER_GAMMA = 0.5772156649015329
_NORMAL = NormalDist()


class Record(NamedTuple):
    """A series of returns by its moments: ``sharpe`` = mean / sd (ddof 1), ``skew`` and ``kurt`` biased, ``n`` periods.

    Undefined (NaN) where the series does not vary.
    """

    sharpe: float
    skew: float
    kurt: float
    n: int


def record_of(returns: Floats | Ints) -> Record:
    """Return the ``Record`` of float64 or int64[T], T >= 2."""
    centred = returns - returns.mean()
    second = float((centred**2).mean())
    if returns.size < 2 or second == 0:
        return Record(nan, nan, nan, returns.size)
    third, fourth = float((centred**3).mean()), float((centred**4).mean())
    sharpe = float(returns.mean()) / sqrt(second * returns.size / (returns.size - 1))
    return Record(sharpe, third / second**1.5, fourth / second**2, returns.size)


def sharpes_of(sums: Ints) -> Floats:
    """Return the ratio of each row of int64[N, T], float64[N]; NaN for one that does not vary."""
    mean, deviation = sums.mean(axis=1), sums.std(axis=1, ddof=1)
    varies = deviation > 0
    return np.where(varies, mean / np.where(varies, deviation, 1.0), np.nan)


def probabilistic(record: Record, benchmark: float = 0.0) -> float:
    """Return the probability that the true ratio is above ``benchmark`` (PSR); NaN where its error is undefined."""
    error = _spread(record)
    if isnan(error) or error <= 0 or record.n < 2:
        return nan
    return _NORMAL.cdf((record.sharpe - benchmark) * sqrt(record.n - 1) / sqrt(error))


def _spread(record: Record) -> float:
    """Return n - 1 times the variance of the estimated ratio."""
    return 1 - record.skew * record.sharpe + (record.kurt - 1) / 4 * record.sharpe**2


def expected_highest(trials: float) -> float:
    """Return the expected highest of so many independent standard Normal numbers; 0 for one or fewer.

    The approximation falls below 0 for fewer than 1.3, where 0 stands in for it.
    """
    if trials <= 1:
        return 0.0
    first, second = (_NORMAL.inv_cdf(1 - 1 / count) for count in (trials, trials * e))
    return max(0.0, (1 - EULER_GAMMA) * first + EULER_GAMMA * second)


def deflated(record: Record, variance: float, trials: float) -> float:
    """Return the probability that the ratio is above what the best of ``trials`` without skill would show (DSR).

    ``variance`` is that of the ratios of all trials.
    """
    return probabilistic(record, sqrt(variance) * expected_highest(trials))


def shortest_record(record: Record, benchmark: float = 0.0, confidence: float = 0.95) -> float:
    """Return the periods it takes to tell the ratio from ``benchmark`` (MinTRL); inf where it is not above it."""
    error = _spread(record)
    if isnan(error) or error <= 0:
        return nan
    if record.sharpe <= benchmark:
        return float("inf")
    return 1 + error * (_NORMAL.inv_cdf(confidence) / (record.sharpe - benchmark)) ** 2


def shortest_search(trials: float, ratio: float = 1.0) -> float:
    """Return the years below which the best of ``trials`` without skill should show an annual ``ratio`` (MinBTL).

    Bailey, Borwein, López de Prado and Zhu, "Pseudo-mathematics and financial charlatanism" (Notices AMS 61(5), 2014).
    """
    return (expected_highest(trials) / ratio) ** 2


def effective_trials(gram: Floats) -> float:
    """Return how many independent trials some correlated ones are worth: (sum of eigenvalues)² / sum of their squares.

    ``gram`` float64[T, T] is Z'Z of the trials' standardised returns Z, rows of length 1, whose eigenvalues other than
    zero are those of their correlations.
    """
    total, squares = float(np.trace(gram)), float((gram**2).sum())
    return total**2 / squares if squares else nan
