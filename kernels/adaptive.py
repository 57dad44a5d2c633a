"""Ehlers' adaptive average: the faster the phase of a price turns, the faster it follows."""

# pyright: reportArgumentType=false

import numpy as np

from .jit import compiled
from .sliding import start_of

WARM = 32  # values before the first that comes back: the filters and the measured period settle in them


@compiled
def turned(x, i, scale):
    """Return ``x`` a quarter of a period later and three candles late: Ehlers' Hilbert transform at ``i``; of equal
    values 0."""
    return scale * (0.0962 * (x[i] - x[i - 6]) + 0.5769 * (x[i - 2] - x[i - 4]))


@compiled
def next_period(re, im, last):
    """Return the period, in candles, of a phase that turns by the angle of (``re``, ``im``) a candle: within 6 and 50,
    no more than half longer or a third shorter than the ``last``, and smoothed with it."""
    period = 2.0 * np.pi / np.arctan(im / re) if re != 0.0 and im != 0.0 else last
    period = max(min(period, 1.5 * last), 0.67 * last)
    return 0.2 * max(min(period, 50.0), 6.0) + 0.8 * last


@compiled
def mama(x, fast, slow):
    """Return the MESA adaptive moving average, float64[N]; NaN for the first 32 values. It begins at the first value.

    From candle to candle it goes ``fast`` over the degrees that the phase turned of the way to the price, at least
    ``slow`` and at most ``fast`` of it. Ehlers, "MESA Adaptive Moving Averages" (TASC, September 2001). ``x`` may begin
    with NaN.
    """
    size, first = x.size, start_of(x)
    out, smooth, trendless = np.full(size, np.nan), np.zeros(size), np.zeros(size)
    quadrature, inphase = np.zeros(size), np.zeros(size)
    period = phase = re = im = i2 = q2 = 0.0
    value = x[first] if first < size else 0.0
    for i in range(first + 3, size):
        smooth[i] = (4.0 * x[i] + 3.0 * x[i - 1] + 2.0 * x[i - 2] + x[i - 3]) / 10.0
        if i < first + 9:
            continue
        scale = 0.075 * period + 0.54
        trendless[i] = turned(smooth, i, scale)
        quadrature[i] = turned(trendless, i, scale)
        inphase[i] = trendless[i - 3]
        now_i = 0.2 * (inphase[i] - turned(quadrature, i, scale)) + 0.8 * i2
        now_q = 0.2 * (quadrature[i] + turned(inphase, i, scale)) + 0.8 * q2
        re = 0.2 * (now_i * i2 + now_q * q2) + 0.8 * re
        im = 0.2 * (now_i * q2 - now_q * i2) + 0.8 * im
        i2, q2 = now_i, now_q
        period = next_period(re, im, period)
        angle = np.degrees(np.arctan(quadrature[i] / inphase[i])) if inphase[i] != 0.0 else 0.0
        value += max(fast / max(phase - angle, 1.0), slow) * (x[i] - value)
        phase = angle
        if i >= first + WARM:
            out[i] = value
    return out
