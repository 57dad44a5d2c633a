"""The best of many trials against chance, from the definitions: rows of days, one trial after the other.

A statistic is √T times the mean of a day over Hansen's omega. In a resample it is also over the deviation of the days
that were drawn, as a multiple of the trial's own, half of it at least. The trial's own statistic becomes what it would
be, as likely, if only the variance of a day were unknown.
"""

from math import cos, exp, log, pi, sqrt

import numpy as np


def omega(row, length):
    """Return Hansen's omega: his sum over autocovariances."""
    n, q = len(row), 1 - 1 / length
    x = [value - sum(row) / n for value in row]
    gamma = [sum(x[t] * x[t + i] for t in range(n - i)) / n for i in range(n)]
    kappa = [(n - i) / n * q**i + i / n * q ** (n - i) for i in range(n)]
    return max(gamma[0] + 2 * sum(k * g for k, g in zip(kappa[1:], gamma[1:], strict=True)), 0) ** 0.5


def statistics(rows, length):
    """Return each trial's own statistic."""
    return [sum(row) / len(row) * sqrt(len(row)) / omega(row, length) for row in rows]


def resampled(row, length, drawn, centre):
    """Return a trial's statistic in each resample, given how often each drew which day, less ``centre``."""
    n, mean, found, own = len(row), sum(row) / len(row), [], omega(row, length)
    highest = max((x - mean) ** 2 for x in row)
    steps = 2 ** (24 if n <= 1024 else 53) // n  # squares are counted in steps of the highest
    squares = [round((x - mean) ** 2 / (highest / steps)) for x in row]
    variance = sum((x - mean) ** 2 for x in row) / n
    for counts in drawn:
        here = sum(int(count) * x for x, count in zip(row, counts, strict=True)) / n
        about = sum(int(count) * square for square, count in zip(squares, counts, strict=True)) / sum(squares)
        share = about - (here - mean) ** 2 / variance
        found.append((here * sqrt(n) / own - centre) / max(sqrt(max(share, 0.0)), 0.5))
    return found


def certainty(days, length, memory=0.3):
    """Return what share of the variance omega sees of days that hang together, and its degrees of freedom."""
    q, powers = 1 - 1 / length, []
    kappa = [(days - i) / days * q**i + i / days * q ** (days - i) for i in range(days)]
    for j in range(1, days):
        angle = 2 * pi * j / days
        weight = sum(k * cos(angle * i) for i, k in enumerate(kappa))
        powers.append(weight * (1 + memory**2 + 2 * memory * cos(angle)) / (1 + memory) ** 2)
    return sum(powers) / days, sum(powers) ** 2 / sum(power**2 for power in powers)


def normal(t, freedom):
    """Return about the normal number that is as likely as Student's t, one above 0 (Wallace 1959)."""
    return (8 * freedom + 1) / (8 * freedom + 3) * sqrt(freedom * log(1 + t * t / freedom))


def as_if_known(t, days, length):
    """Return a trial's own statistic as it is held against resamples."""
    share, freedom = certainty(days, length)
    wanted, low, high = normal(abs(t) * sqrt(share), freedom), 0.0, sqrt(exp(600 / days) * days)
    for _ in range(200):  # halved until it is as likely
        middle = (low + high) / 2
        low, high = (middle, high) if normal(middle, days - 1) < wanted else (low, middle)
    return (1 if t > 0 else -1) * low * sqrt(days / (days - 1))


def p_value(highs, statistic):
    return (1 + sum(high >= statistic for high in highs)) / (1 + len(highs))


def romano_wolf(rows, length, drawn):
    """Return the order of trials and their p-values: each against the highest of all that are not above it."""
    own = statistics(rows, length)
    some = np.array([resampled(row, length, drawn, t) for row, t in zip(rows, own, strict=True)])
    order, found, before = sorted(range(len(own)), key=lambda k: (-own[k], k)), [], 0.0
    for j, k in enumerate(order):
        before = max(before, p_value(some[order[j:]].max(axis=0), as_if_known(own[k], len(rows[k]), length)))
        found.append(before)
    return order, found, np.sort(some.max(axis=0))


def hansen(rows, length, drawn):
    """Return Hansen's p-values of the best: consistent, lower, upper."""
    own, days, found = statistics(rows, length), len(rows[0]), []
    least, best = -sqrt(2 * log(log(days))), max(as_if_known(max(own), days, length), 0.0)
    for centres in ([t if t >= least else 0 for t in own], [max(t, 0) for t in own], own):
        some = [resampled(row, length, drawn, c) for row, c in zip(rows, centres, strict=True)]
        found.append(p_value(np.maximum(np.max(some, axis=0), 0), best))
    return tuple(found)
