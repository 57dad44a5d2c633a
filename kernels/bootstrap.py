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
EXACT, EXACT_32 = 2**53, 2**24
FEW_DAYS = 1024  # whose squares float32 tells apart: 16,384 steps and more
MEMORY = 0.3  # of the day before in a day, that a test allows for before the days show it


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


@compiled
def fill_squares(sums, most, out, variance, first, last):
    """Write the squared distances of each row of ``sums`` int64[N, T] from its mean, and their mean.

    The squares are whole numbers up to ``most``, in a unit of the row's own: what is told of them is a share.
    """
    days = sums.shape[1]
    for k in range(first, last):
        total, high = np.int64(0), 0.0
        for i in range(days):
            total += sums[k, i]
        mean = total / days
        for i in range(days):
            distance = sums[k, i] - mean
            variance[k] += distance * distance / days
            high = max(high, distance * distance)
        for i in range(days):
            distance = sums[k, i] - mean
            out[k, i] = np.rint(distance * distance / (high / most)) if high > 0.0 else 0.0


def squares_of(sums: Ints) -> tuple[np.ndarray, Floats]:
    """Return the squared distances of the days of each row from its mean, float[N, T], and their mean, float64[N].

    The squares are in a unit of the row's own, whole numbers whose sums over any resample are exact: of up to
    FEW_DAYS days in float32, whose products of matrices take half the time.
    """
    kind, exact = (np.float32, EXACT_32) if sums.shape[1] <= FEW_DAYS else (np.float64, EXACT)
    out, variance = np.empty(sums.shape, kind), np.zeros(len(sums))
    share(fill_squares, len(out), sums, float(exact // sums.shape[1]), out, variance)
    return out, variance


def certainty(days: int, length: float, memory: float = MEMORY) -> tuple[float, float]:
    """Return what share of their variance ``deviations`` see of so many Normal days, and its degrees of freedom.

    The days hang together as a moving average: each holds ``memory`` of the one before. What is seen is a sum over
    frequencies but 0 of the days' powers there, weighted by the spectrum of κ: the share is its mean over the power at
    0, the freedom Satterthwaite's (1946), squared mean over mean square. With blocks of 1 day and no memory they are
    those of Student's t: 1 - 1/T and T - 1.
    """
    q, i = 1 - 1 / length, np.arange(days)
    kappa = (1 - i / days) * q**i + i / days * q ** (days - i)
    now, next_ = (1 + memory**2) / (1 + memory) ** 2, memory / (1 + memory) ** 2
    seen = now * kappa + next_ * (np.roll(kappa, 1) + np.roll(kappa, -1))
    total = float(kappa.sum())
    share = float(seen[0]) - total / days
    return share, (days * share) ** 2 / (days * float((seen**2).sum()) - total**2)


def normal_of(t: Floats, freedom: float) -> Floats:
    """Return about the normal numbers that are as likely as Student's ``t``; Wallace (Ann. Math. Statistics 1959)."""
    return np.sign(t) * np.sqrt(freedom * np.log1p(t**2 / freedom)) * (8 * freedom + 1) / (8 * freedom + 3)


def student_of(z: Floats, freedom: float) -> Floats:
    """Return Student's t of numbers that ``normal_of`` returns; inf where it is too large for a number."""
    z = z * (8 * freedom + 3) / (8 * freedom + 1)
    with np.errstate(over="ignore"):
        return np.sign(z) * np.sqrt(freedom * np.expm1(z**2 / freedom))


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
