"""raptorbt: one call an alert, and one batch of all policies an alert, on all cores.

A candle at the entry price comes before the others: its signal is filled at the open of the next.
"""

import numpy as np
import raptorbt
from highwater.bench.market import STEP, Market

CONFIG = raptorbt.BacktestConfig(initial_capital=1e6, fees=0.0, slippage=0.0, fill_timing="next_bar_open")


def load(market: Market):
    """Return the columns of each alert, as raptorbt takes them, and its entry and exit signals."""
    bars, price = market.candles, market.windows.price
    columns = [part.reshape(price.size, -1) for part in (bars.open, bars.high, bars.low, bars.close, bars.volume)]
    each = [[np.append(price[a], part[a]) for part in columns] for a in range(price.size)]
    times = 1_000_000 * STEP * np.arange(columns[0].shape[1] + 1)
    entries, exits = times == 0, np.zeros(times.size, np.bool_)
    return [(times, *parts) for parts in each], entries, exits


def policy(data, sl, tp):
    series, entries, exits = data
    ways = _levels(sl, tp)
    done = [raptorbt.run_single_backtest(*s, entries, exits, config=CONFIG, instrument_config=ways) for s in series]
    trades = [each.trades()[0] for each in done]
    return np.array([each.exit_idx - 1 for each in trades]), np.array([each.exit_price for each in trades])


def sweep(data, sl, tp):
    series, entries, exits = data
    items = [
        raptorbt.BatchSingleItem(str(t), entries, exits, config=CONFIG, instrument_config=_levels(*pair))
        for t, pair in enumerate(zip(sl, tp, strict=True))
    ]
    total = np.zeros(sl.size)
    for each in series:
        for name, done in raptorbt.batch_single_backtest(*each, items):
            trade = done.trades()[0]
            total[int(name)] += trade.exit_price / trade.entry_price - 1.0
    return total / len(series)


def _levels(sl, tp):
    found = raptorbt.InstrumentConfig()
    found.set_fixed_stop(1.0 - sl)
    found.set_fixed_target(tp - 1.0)
    return found
