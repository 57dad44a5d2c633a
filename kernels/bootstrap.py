"""The stationary bootstrap of a series of days: blocks of random length, so that what hangs together stays together.

Politis and Romano, "The stationary bootstrap" (JASA 1994). A mean over a resample needs only how often each day was
drawn, so resamples are rows of counts, and the means of many trials over many resamples one product of matrices.
Counts and sums of millionths are whole numbers below 2**53, so that product is exact in whatever order it is added up.
"""

# pyright: reportArgumentType=false

from math import ceil, log10, sqrt

import numpy as np

from .arrays import Floats, Ints
from .jit import compiled, share
from .philox import uniform

STREAM = 1  # of the random numbers; policies are drawn from stream 0
EXACT = 2**53


@compiled
def walk(starts, us, restart):
    """Return the days int64[T] of a resample: a new block at ``starts[i]`` where ``us[i] < restart``, else the next."""
    out = np.empty(starts.size, np.int64)
    out[0] = starts[0]
    for i in range(1, starts.size):
        out[i] = starts[i] if us[i] < restart else (out[i - 1] + 1) % starts.size
    return out


def resamples(seed: int, days: int, length: float, count: int, first: int = 0) -> Floats:
    """Return float64[count, days], how often each day is in resamples ``first`` on; blocks of mean ``length`` days."""
    out = np.zeros((count, days))
    share(fill_resamples, count, np.uint64(seed), np.int64(first), 1 / length, out)
    return out


@compiled
def fill_resamples(seed, begin, restart, out, first, last):
    """Write resamples ``first`` to ``last``."""
    days = out.shape[1]
    starts, us = np.empty(days, np.int64), np.empty(days)
    for b in range(first, last):
        for i in range(days):
            starts[i] = np.int64(uniform(seed, np.uint64(begin + b), 2 * i, STREAM) * days)
            us[i] = uniform(seed, np.uint64(begin + b), 2 * i + 1, STREAM)
        for day in walk(starts, us, restart):
            out[b, day] += 1


@compiled
def deviations(sums, restart, out, first, last):
    """Write what the bootstrap gives √T times the mean of each row of ``sums`` int64[N, T] for deviation, float64[N].

    That is Hansen's omega (JBES 2005): γ(0) + 2 Σ κ(i) γ(i) squared, κ(i) = (1 - i/T) q^i + (i/T) q^(T-i) and
    q = 1 - ``restart``; which is Σ over i of (1 - i/T) q^i times the autocovariance on a circle, so each day's part
    follows from the next day's and a row is O(T).
    """
    days, q = sums.shape[1], 1.0 - restart
    end = q**days
    x = np.empty(days)
    for k in range(first, last):
        total = np.int64(0)
        for i in range(days):
            total += sums[k, i]
        for i in range(days):
            x[i] = sums[k, i] - total / days
        near, far, power = 0.0, 0.0, 1.0  # Σ q^i x(t+i) and Σ i q^i x(t+i), i = 1 to T - 1, at t = 0
        for i in range(1, days):
            power *= q
            near += power * x[i]
            far += i * power * x[i]
        squared = 0.0
        for i in range(days):
            t = (days - i) % days
            squared += x[t] * (x[t] + 2.0 * (near - far / days))
            before = x[t - 1]
            far = q * (x[t] + far + near) - days * end * before
            near = q * (x[t] + near) - end * before
        out[k] = np.sqrt(max(squared, 0.0) / days)


def deviations_of(sums: Ints, length: float) -> Floats:
    """Return ``deviations`` of each row of int64[N, T], for blocks of mean ``length`` days."""
    out = np.empty(sums.shape[0])
    share(deviations, out.size, sums, 1 / length, out)
    return out


def block_length(series: Floats) -> float:
    """Return the mean length of the blocks of a stationary bootstrap that suits a series, at least 1.

    Politis and White (Econometric Reviews 2004) as corrected by Patton, Politis and White (2009); twice the first lag
    is taken from which a few are too small to count, as in Patton's own program, not one less.
    """
    n = series.size
    if n < 8 or not np.ptp(series):
        return 1.0
    few, limit = max(5, int(log10(n))), 2 * sqrt(log10(n) / n)
    x, most = series - series.mean(), min(n - 2, ceil(sqrt(n)) + few)
    products = np.array([x[i:] @ x[: n - i] for i in range(most + 1)])
    spans = np.array([sqrt((x[i + 1 :] @ x[i + 1 :]) * (x[: n - i - 1] @ x[: n - i - 1])) for i in range(most + 1)])
    gamma, small = products / n, np.abs(products) < limit * spans
    quiet = [lag for lag in range(1, most - few + 1) if small[lag : lag + few].all()]
    lags = min(2 * quiet[0], most) if quiet else most
    k = np.arange(1, lags + 1)
    window = np.minimum(1.0, 2 * (1 - k / lags))
    spectrum = gamma[0] + 2 * float((window * gamma[1 : lags + 1]).sum())
    slope = 2 * float((window * k * gamma[1 : lags + 1]).sum())
    length = (slope**2 / spectrum**2) ** (1 / 3) * n ** (1 / 3) if spectrum else 1.0
    return float(min(max(length, 1.0), ceil(min(3 * sqrt(n), n / 3))))
