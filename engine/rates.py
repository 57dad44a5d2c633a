"""What a few calls prove: intervals of rates and medians, shrinkage to the pool, tests of many callers at once.

Rates of C callers come as hits and calls, int64[C]; NaN stands for undefined. Intervals are of 95 %. Calls are taken
to be independent: a caller who calls one token ten times looks surer than he is.
"""

from dataclasses import dataclass
from math import exp, fsum, isinf, log, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from ..kernels.arrays import Floats, Ints
from ..kernels.stats import kaplan_meier, quantile

Z, Z_POWER = 1.959963984540054, 0.8416212335729143  # the normal's quantiles at 97.5 % and at 80 %
TOLD = 0.05  # a q-value at which a caller is told from the pool
MOST_CALLS = 10**9  # a need of more is none that can be met
FEWEST_FOR_A_MEDIAN = 6  # of five values not even lowest to highest holds the median with 95 %
RESAMPLES, SEED, STREAM = 1000, 0, 7  # the number in philox: never renumbered
_BLOCK = 2**20  # draws held at once


@dataclass(frozen=True)
class Judged:
    """The rate of each caller beside the pool's, float64[C].

    ``low`` and ``high`` as ``wilson``; ``shrunk`` to the pool; ``q`` of the difference to all other callers; ``needs``
    further calls to tell the caller from the pool, 0 where told.
    """

    low: Floats
    high: Floats
    shrunk: Floats
    q: Floats
    needs: Floats


def judge(hits: Ints, calls: Ints) -> Judged:
    """Return what the callers' rates prove, all callers taken together."""
    shrunk = shrink(hits, calls, strength(hits, calls))
    q = q_values(np.array([p_value(*each, hits.sum(), calls.sum()) for each in zip(hits, calls, strict=True)]))
    pool = hits.sum() / calls.sum() if calls.any() else nan
    needs = np.array([further_calls(rate, pool, n) for rate, n in zip(shrunk.tolist(), calls.tolist(), strict=True)])
    needs = np.where(q <= TOLD, 0.0, np.where(np.isnan(q), nan, np.maximum(needs, 1.0)))
    return Judged(*wilson(hits, calls), shrunk, q, needs)


def wilson(hits: Ints, calls: Ints) -> tuple[Floats, Floats]:
    """Return the ends of Wilson's interval of each rate; "Probable inference" (JASA 1927)."""
    n, square = np.where(calls > 0, calls, nan), Z * Z
    middle, half = hits + square / 2, Z * np.sqrt(hits * (n - hits) / n + square / 4)
    low, high = (middle - half) / (n + square), (middle + half) / (n + square)
    return np.where(hits == 0, low * 0.0, low), np.where(hits == calls, high * 0.0 + 1.0, high)


def strength(hits: Ints, calls: Ints) -> float:
    """Return how many calls of the pool a caller's own are mixed with: a + b of the beta distribution of callers.

    inf where callers differ no more than chance has them differ. By moments, each caller weighted by his calls:
    Kleinman, "Proportions with extraneous variance" (JASA 1973). Of few callers it is a rough figure.
    """
    calls, hits = calls[calls > 0], hits[calls > 0]
    n = int(calls.sum())
    pool = hits.sum() / n if n else 0.0
    pure = pool * (1.0 - pool)  # the variance of one call
    spread = fsum((calls * (hits / calls - pool) ** 2).tolist())
    room = n - int((calls * calls).sum()) / n - (calls.size - 1) if n else 0.0
    if pure == 0.0 or room <= 0.0:
        return float("inf")
    alike = (spread - pure * (calls.size - 1)) / (pure * room)  # the correlation of two calls of one caller
    return float("inf") if alike <= 0.0 else max(0.0, float(1.0 / alike - 1.0))


def shrink(hits: Ints, calls: Ints, strength: float) -> Floats:
    """Return each rate drawn to the pool's: the mean of the beta distribution after the caller's calls."""
    n = np.where(calls > 0, calls, nan)
    pool = hits.sum() / calls.sum() if calls.any() else nan
    return n * 0.0 + pool if isinf(strength) else (hits + strength * pool) / (n + strength)


def p_value(hits: int, calls: int, all_hits: int, all_calls: int) -> float:
    """Return how often a draw of ``calls`` from all calls differs as much: Fisher's exact test, two-sided.

    A sum over the outcomes that are no likelier, to a relative 1e-7. NaN for no call, or none of other callers.
    """
    hits, calls, marked, total = (int(each) for each in (hits, calls, all_hits, all_calls))
    if not 0 < calls < total:
        return nan
    plain = total - marked
    low, high = max(0, calls - plain), min(calls, marked)
    mode = min(max((calls + 1) * (marked + 1) // (total + 2), low), high)
    up, down = np.arange(mode, high, dtype=float), np.arange(mode, low, -1, dtype=float)
    rising = (marked - up) * (calls - up) / ((up + 1) * (plain - calls + up + 1))
    falling = down * (plain - calls + down) / ((marked - down + 1) * (calls - down + 1))
    weights = np.concatenate([np.cumprod(falling)[::-1], [1.0], np.cumprod(rising)])
    as_far = weights[weights <= weights[hits - low] * (1 + 1e-7)]
    return min(1.0, fsum(as_far.tolist()) / fsum(weights.tolist()))


def q_values(p: Floats) -> Floats:
    """Return the lowest rate of false discoveries at which each test passes; NaN stays and is no test.

    Benjamini and Hochberg, "Controlling the false discovery rate" (JRSS B 1995).
    """
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    raised = p[order] * known.size / np.arange(1, known.size + 1)
    found = np.full(p.size, nan)
    found[order] = np.minimum(1.0, np.minimum.accumulate(raised[::-1])[::-1])
    return found


def further_calls(rate: float, pool: float, calls: int) -> float:
    """Return how many calls are missing for a test of 5 % to tell ``rate`` from ``pool`` four times in five.

    ((z sqrt(pool (1 - pool)) + z' sqrt(rate (1 - rate))) / (rate - pool))**2 less ``calls``, at least 0; z at 97.5 %,
    z' at 80 % (Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, without their correction for
    continuity). NaN where the rates are equal, or it passes MOST_CALLS.
    """
    gap = abs(rate - pool)
    if not gap > 0.0:
        return nan
    needed = ((Z * sqrt(pool * (1 - pool)) + Z_POWER * sqrt(max(0.0, rate * (1 - rate)))) / gap) ** 2
    return nan if needed > MOST_CALLS else max(0.0, float(np.ceil(needed)) - calls)


def median_interval(values: Floats) -> tuple[float, float]:
    """Return the ends of the percentile bootstrap's interval of the median, leaving out NaN; NaN for fewer than six.

    The same whatever else is computed: draw i of resample b is number b * n + i of one stream (``kernels.philox``).
    Efron, "Bootstrap methods" (Annals of Statistics 1979).
    """
    from ..kernels.philox import uniforms

    kept = np.sort(values[~np.isnan(values)])
    n, half = kept.size, kept.size // 2
    if n < FEWEST_FOR_A_MEDIAN:
        return nan, nan
    found, rows = np.empty(RESAMPLES), max(1, _BLOCK // n)
    for first in range(0, RESAMPLES, rows):
        some = min(rows, RESAMPLES - first)
        drawn = (uniforms(SEED, first * n, some * n, 0, STREAM) * n).astype(np.int64).reshape(some, n)
        middle = np.partition(drawn, (half - 1, half), axis=1)[:, half - 1 + n % 2 : half + 1]
        found[first : first + some] = kept[middle].mean(axis=1)
    return quantile(found, 0.025), quantile(found, 0.975)


def reached_by(times: Floats, hit: NDArray[np.bool_], when: float) -> tuple[float, float, float]:
    """Return the chance to be hit by ``when``, and the ends of its interval, where some were watched for less time.

    ``times`` and ``hit`` as in ``kaplan_meier``. Greenwood's variance on the scale of log(-log): Kalbfleisch and
    Prentice, The Statistical Analysis of Failure Time Data. The ends are NaN where nothing or everything was hit.
    """
    seen, hit = np.minimum(times, when), hit & (times <= when)
    chance = kaplan_meier(seen, hit)
    if not 0.0 < chance < 1.0:
        return chance, nan, nan
    at_risk = np.arange(seen.size, 0, -1)[hit[np.lexsort((~hit, seen))]]
    left = 1.0 - chance
    reach = Z * sqrt(fsum((1.0 / (at_risk * (at_risk - 1.0))).tolist())) / -log(left)
    return chance, 1.0 - left ** exp(-reach), 1.0 - left ** exp(reach)
