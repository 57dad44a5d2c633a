"""backtesting.py: one strategy that buys once, one run for each alert and policy.

Two candles at the entry price come before the others (an order placed in the second is filled at the open of the
third), and one at the last close behind them, where what is still held is sold.
"""

import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy
from highwater.bench.market import STEP, Market


class BuyOnce(Strategy):
    """Buys one unit as soon as it may, with a stop and a target."""

    sl, tp = 0.5, 2.0

    def init(self):
        pass

    def next(self):
        if len(self.data) == 2:
            price = self.data.Close[-1]
            self.buy(size=1, sl=price * self.sl, tp=price * self.tp)


def load(market: Market):
    """Return a frame for each alert, as backtesting.py takes it."""
    bars, price = market.candles, market.windows.price
    columns = {"Open": bars.open, "High": bars.high, "Low": bars.low, "Close": bars.close, "Volume": bars.volume}
    parts = {name: part.reshape(price.size, -1) for name, part in columns.items()}
    index = pd.to_datetime(STEP * np.arange(parts["Open"].shape[1] + 3), unit="ms")
    ends = parts["Close"][:, -1]
    return [
        pd.DataFrame({name: np.r_[p, p, part[a], ends[a]] for name, part in parts.items()}, index)
        for a, p in enumerate(price)
    ]


def policy(data, sl, tp):
    trades = [_trade(frame, sl, tp) for frame in data]
    last = len(data[0]) - 4
    return np.array([min(t.ExitBar - 2, last) for t in trades]), np.array([t.ExitPrice for t in trades])


def sweep(data, sl, tp):
    pairs = list(zip(sl, tp, strict=True))
    return np.mean([[_trade(frame, *pair).ReturnPct for pair in pairs] for frame in data], axis=0)


def _trade(frame, sl, tp):
    done = Backtest(frame, BuyOnce, cash=1e12, finalize_trades=True).run(sl=sl, tp=tp)
    return next(done["_trades"].itertuples())
