"""TA-Lib and NumPy: a loop over the strategies, as its users write it; each indicator anew, or once where two share it.

No Keltner channel in TA-Lib: its EMA and ATR. Warm-up is NaN, whose comparisons are false: the signal is 0 there.
"""

import functools

import numpy as np
import talib


def load(bars):
    """Return high, low and close."""
    return bars.high, bars.low, bars.close


def signals(data, strategies, shared=False):
    """Yield int8[N] of each strategy."""
    high, low, close = data

    @functools.lru_cache(maxsize=None if shared else 0)
    def of_close(name, n):
        return getattr(talib, name)(close, n)

    @functools.lru_cache(maxsize=None if shared else 0)
    def atr(n):
        return talib.ATR(high, low, close, n)

    @functools.lru_cache(maxsize=None if shared else 0)
    def deviation(n):
        return talib.STDDEV(close, n, 1)

    for name, values in strategies:
        if name in ("sma_crossover", "ema_crossover"):
            average = name[:3].upper()
            fast, slow = of_close(average, values["fast_period"]), of_close(average, values["slow_period"])
            yield (fast > slow).astype(np.int8) - (fast < slow)
            continue
        if name == "bollinger_bands":
            n, k = values["period"], values["std_dev"]
            middle, width = of_close("SMA", n), k * deviation(n)
        else:
            n, k = values["period"], values["multiplier"]
            middle, width = of_close("EMA", n), k * atr(n)
        yield (close <= middle - width).astype(np.int8) - (close >= middle + width)
