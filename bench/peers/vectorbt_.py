"""vectorbt: wide frames, a column an alert, and ``Portfolio.from_signals`` with its stops.

A candle at the entry price comes before the others, because a stop is first asked in the candle after the order.
The compiled engine; the one in Rust took 1.4 times as long for ``from_signals``.
"""

import numpy as np
import pandas as pd
import vectorbt as vbt
from highwater.bench.market import STEP, Market

BLOCK = 8  # policies at a time: every price is laid out again for each


def load(market: Market):
    """Return open, high, low and close, each [1 + candles, alerts]."""
    bars, price = market.candles, market.windows.price
    columns = (part.reshape(price.size, -1).T for part in (bars.open, bars.high, bars.low, bars.close))
    return tuple(pd.DataFrame(np.vstack([price, part])) for part in columns)


def paths(data):
    open_, high, low, _ = data
    price, peak = open_.iloc[0].to_numpy(), high.vbt.expanding_max()
    reached = high.to_numpy() >= 2.0 * price
    touch = reached.argmax(axis=0)
    later = open_.to_numpy()[touch, np.arange(price.size)] < 2.0 * price
    to_2x = np.where(reached.any(axis=0), STEP * (touch - 1 + later), -1)
    return peak.iloc[-1].to_numpy() / price, (low / peak).min().to_numpy() - 1.0, to_2x


def policy(data, sl, tp):
    trades = _trades(*data, 1.0 - sl, tp - 1.0)
    return trades["exit_idx"] - 1, trades["exit_price"]


def sweep(data, sl, tp):
    alerts, means = data[0].shape[1], []
    for t in range(0, sl.size, BLOCK):
        stops, targets = sl[t : t + BLOCK], tp[t : t + BLOCK]
        wide = [part.vbt.tile(stops.size, keys=pd.RangeIndex(stops.size)) for part in data]
        trades = _trades(*wide, np.repeat(1.0 - stops, alerts)[None], np.repeat(targets - 1.0, alerts)[None])
        means.append((trades["exit_price"] / trades["entry_price"] - 1.0).reshape(stops.size, alerts).mean(axis=1))
    return np.concatenate(means)


def _trades(open_, high, low, close, sl_stop, tp_stop):
    """Return a record for each column: its one trade."""
    entries = np.zeros((len(close), 1), np.bool_)
    entries[0] = True
    found = vbt.Portfolio.from_signals(
        close,
        entries,
        exits=False,
        open=open_,
        high=high,
        low=low,
        sl_stop=sl_stop,
        tp_stop=tp_stop,
        size=1.0,
        init_cash=1e12,
        engine="numba",
    )
    return found.trades.values
