"""vectorbt: its indicator factory over lists of parameters, a column a strategy, 50 at a time so that they fit memory.

No Keltner channel: its EMA and its ATR, which is an average of ``span`` or simple; the simple one, as it is quickest.
"""

import itertools

import numpy as np
import pandas as pd
import vectorbt as vbt

BLOCK = 50


def load(bars):
    """Return high, low and close as pandas has them."""
    return tuple(pd.Series(part) for part in (bars.high, bars.low, bars.close))


def signals(data, strategies):
    """Yield int8[N, BLOCK] of the strategies in their order, those of one name together."""
    for name, group in itertools.groupby(strategies, key=lambda each: each[0]):
        values = [each[1] for each in group]
        for i in range(0, len(values), BLOCK):
            yield _block(name, data, values[i : i + BLOCK])


def _block(name, data, values):
    high, low, close = data
    if name in ("sma_crossover", "ema_crossover"):
        fast, slow = (
            vbt.MA.run(close, [each[key] for each in values], ewm=name == "ema_crossover", short_name=key)
            for key in ("fast_period", "slow_period")
        )
        return _side(fast.ma.to_numpy(), slow.ma.to_numpy())
    x = close.to_numpy()[:, None]
    if name == "bollinger_bands":
        bands = vbt.BBANDS.run(close, [each["period"] for each in values], alpha=[each["std_dev"] for each in values])
        lower, upper = bands.lower.to_numpy(), bands.upper.to_numpy()
    else:
        periods, k = [each["period"] for each in values], np.array([each["multiplier"] for each in values])
        middle = vbt.MA.run(close, periods, ewm=True).ma.to_numpy()
        width = k * vbt.ATR.run(high, low, close, periods, ewm=False).atr.to_numpy()
        lower, upper = middle - width, middle + width
    return (x <= lower).astype(np.int8) - (x >= upper)


def _side(fast, slow):
    return (fast > slow).astype(np.int8) - (fast < slow)
