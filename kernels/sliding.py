"""What slides over a series: sums, moments and extremes of the last ``n`` values; no value is ever taken away again.

From its first number on, a series is cut into blocks of ``n``. A window that ends inside a block is the end of the
block before and the beginning of its own, and of both the sums only grow: two additions a candle, whatever ``n``, no
cancellation, no drift, and what has left the window leaves no trace (van Herk 1992, Gil and Werman 1993, for
extremes). Sums of prices are of the differences to a price of that very window, the first of the block it ends in.

``x`` is float64[N] and may begin with NaN: NaN comes back until ``n`` numbers are there, always where there are fewer.
A NaN after that is one of every window that holds it, and of no other.
"""

# pyright: reportArgumentType=false

import numpy as np

from .jit import compiled


@compiled
def start_of(x):
    """Return the place of the first number in ``x``, its size if there is none."""
    for i in range(x.size):
        if x[i] == x[i]:
            return i
    return x.size


@compiled
def sums(x, n):
    """Return the sum of the last ``n`` values, float64[N]."""
    size, start = x.size, start_of(x)
    out = np.full(size, np.nan)
    for s in range(start, size, n):
        last = s + n - 1
        if last < size:
            out[last] = 0.0
        if s > start:
            total = 0.0
            for k in range(1, n):
                total += x[s - k]
                if last - k < size:
                    out[last - k] = total
        total = 0.0
        for i in range(s, min(last + 1, size)):
            total += x[i]
            out[i] += total
    return out


@compiled
def means(x, n):
    """Return the mean of the last ``n`` values, float64[N]; that of equal values is exactly that value."""
    size, start = x.size, start_of(x)
    out = np.full(size, np.nan)
    for s in range(start, size, n):
        last, anchor = s + n - 1, x[s]
        if last < size:
            out[last] = 0.0
        if s > start:
            total = 0.0
            for k in range(1, n):
                total += x[s - k] - anchor
                if last - k < size:
                    out[last - k] = total
        total = 0.0
        for i in range(s, min(last + 1, size)):
            total += x[i] - anchor
            off = out[i] + total
            out[i] = anchor if off == 0.0 else (n * anchor + off) / n
    return out


@compiled
def moments(x, n):
    """Return (mean, population standard deviation) of the last ``n`` values, float64[N] each; of equal values 0."""
    size, start = x.size, start_of(x)
    mean, deviation = np.full(size, np.nan), np.full(size, np.nan)
    for s in range(start, size, n):
        last, anchor = s + n - 1, x[s]
        if last < size:
            mean[last] = deviation[last] = 0.0
        if s > start:
            total = squares = 0.0
            for k in range(1, n):
                off = x[s - k] - anchor
                total += off
                squares += off * off
                if last - k < size:
                    mean[last - k], deviation[last - k] = total, squares
        total = squares = 0.0
        for i in range(s, min(last + 1, size)):
            off = x[i] - anchor
            total += off
            squares += off * off
            both = mean[i] + total
            spread = deviation[i] + squares - both * both / n
            mean[i] = anchor if both == 0.0 else (n * anchor + both) / n
            deviation[i] = 0.0 if spread < 0.0 else spread
    for i in range(size):  # roots eight at a time
        deviation[i] = np.sqrt(deviation[i] / n)
    return mean, deviation


@compiled
def lines(x, n, slope):
    """Return the mean of the last ``n`` values weighted 1 to ``n``, or their least squares ``slope``, float64[N].

    Both come from the sum and the sum weighted 1 to n: the slope is 6 / (n - 1) times what one mean is above the other.
    """
    size, start = x.size, start_of(x)
    out, before, weights = np.full(size, np.nan), np.zeros(n), n * (n + 1) / 2.0
    for s in range(start, size, n):
        last, anchor = s + n - 1, x[s]
        if last < size:
            out[last] = 0.0
        if s > start:
            total = weighted = 0.0
            for k in range(1, n):  # a value further back raises the weight of all behind it by one
                total += x[s - k] - anchor
                weighted += total
                before[k] = total
                if last - k < size:
                    out[last - k] = weighted
        total = weighted = 0.0
        for i in range(s, min(last + 1, size)):
            total += x[i] - anchor
            weighted += (i - s + 1) * (x[i] - anchor)
            both = out[i] + (weighted + (last - i) * total)
            if slope:
                out[i] = 6.0 * (both / weights - (before[last - i] + total) / n) / (n - 1)
            else:
                out[i] = anchor if both == 0.0 else (weights * anchor + both) / weights
    return out


@compiled
def extremes(x, n, sign):
    """Return the highest of the last ``n`` values, float64[N], or the lowest where ``sign`` is -1.0."""
    size, start = x.size, start_of(x)
    out = np.full(size, np.nan)
    for s in range(start, size, n):
        last, most = s + n - 1, -np.inf
        if last < size:
            out[last] = most
        if s > start:
            for k in range(1, n):
                value = sign * x[s - k]
                most = most if most >= value or most != most else value
                if last - k < size:
                    out[last - k] = most
        most = -np.inf
        for i in range(s, min(last + 1, size)):
            value = sign * x[i]
            most = most if most >= value or most != most else value
            out[i] = sign * (out[i] if out[i] >= most or out[i] != out[i] else most)
    return out


@compiled
def ages(x, n, sign):
    """Return how many candles ago the highest of the last ``n`` values was, float64[N], or the lowest (``sign`` -1.0).

    The latest of equal ones. The values must not be NaN after the first number.
    """
    size, start = x.size, start_of(x)
    out, place = np.full(size, np.nan), np.empty(n, np.int64)
    for s in range(start, size, n):
        last = s + n - 1
        if s > start:
            top = s - 1
            for k in range(1, n):
                top = s - k if sign * x[s - k] > sign * x[top] else top
                place[k] = top
        top = s
        for i in range(s, min(last + 1, size)):
            top = i if sign * x[i] >= sign * x[top] else top
            before = place[last - i] if i < last else top
            if s > start or i == last:
                out[i] = i - (before if sign * x[before] > sign * x[top] else top)
    return out
