"""NumPy: running extremes once an alert, and a binary search for the first touch of each level."""

import numpy as np
from highwater.bench.market import STEP, Market


def load(market: Market):
    """Return the entry prices and the columns, one row an alert; views where the windows lie end to end."""
    bars, shape = market.candles, (market.windows.first.size, -1)
    return market.windows.price, *(part.reshape(shape) for part in (bars.open, bars.high, bars.low, bars.close))


def paths(data):
    price, open_, high, low, _ = data
    ath, mdd, to_2x = np.empty(price.size), np.empty(price.size), np.empty(price.size, np.int64)
    for a, p in enumerate(price):
        peak = np.maximum.accumulate(high[a])
        touch = int(np.searchsorted(peak, 2.0 * p))
        ath[a] = max(peak[-1] / p, 1.0)
        mdd[a] = np.min(low[a] / np.maximum(peak, p)) - 1.0
        to_2x[a] = -1 if touch == peak.size else STEP * (touch + (open_[a, touch] < 2.0 * p))
    return ath, mdd, to_2x


def policy(data, sl, tp):
    price, open_, high, low, close = data
    rows = np.arange(price.size)
    stop, target = price * sl, price * tp
    hit = (low <= stop[:, None]) | (high >= target[:, None])
    bar = np.where(hit.any(axis=1), hit.argmax(axis=1), close.shape[1] - 1)
    opened = open_[rows, bar]
    cases = [opened <= stop, opened >= target, low[rows, bar] <= stop, high[rows, bar] >= target]
    return bar, np.select(cases, [opened, target, stop, target], close[rows, bar])


def sweep(data, sl, tp):
    stops, of_stop = np.unique(sl, return_inverse=True)
    targets, of_target = np.unique(tp, return_inverse=True)
    total = np.zeros(sl.size)
    for p, open_, high, low, close in zip(*data, strict=True):
        never = 2 * close.size + 1
        at_stop, stop = _touch(-np.minimum.accumulate(low), -p * stops, -open_)
        at_target, _ = _touch(np.maximum.accumulate(high), p * targets, open_)
        at_stop, at_target = at_stop[of_stop], at_target[of_target]
        price = np.where(at_stop <= at_target, -stop[of_stop], p * tp)
        total += np.where(np.minimum(at_stop, at_target) >= never - 1, close[-1], price) / p - 1.0
    return total / data[0].size


def _touch(extreme, levels, open_):
    """Return when each level is touched (twice the candle, plus one within it) and the price: the open, if beyond."""
    candle = np.searchsorted(extreme, levels)
    opened = np.append(open_, -np.inf)[candle]
    beyond = opened >= levels
    return 2 * candle + ~beyond, np.where(beyond, opened, levels)
