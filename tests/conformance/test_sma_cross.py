"""763 trades of backtesting.py 0.6.6 on two moving averages, always in the market, against ours.

Its rule as ours: filled at the next open, long and short, a reversal at one fill. Three things differ, each brought
about here: a cross needs the fast average strictly below before and strictly above now (ours sustains a state, flat
where they are equal, from the first warm candle on); the last trade is closed at the OPEN of the last candle (so the
signal is made flat on the last but one); and it buys whole units (so its equity is recomputed with its own sizes).
"""

import functools

import numpy as np
import pytest
from highwater.engine.traces.performance import performance_of
from highwater.engine.traces.trace import trace_of
from highwater.kernels.averages import sma
from highwater.kernels.signals import crossed
from shared_market import DATA, candle_set, document, needs_data, rows

pytestmark = needs_data
CASES = {case["symbol"]: case for case in document("oracle_sma_cross")["cases"]} if DATA.is_dir() else {}
COUNTS = {"EUR/USD": 167, "SPY": 300, "BTC-PERP": 296}
each_market = pytest.mark.parametrize("symbol", COUNTS)


def stem(path):
    return path.split("/")[-1].removesuffix(".parquet")


def theirs(symbol):
    return rows("conformance/oracle/" + stem(CASES[symbol]["trades_file"]))


@functools.cache
def ours(symbol):
    """Return (candles, ``Performance``) of their rule on a market."""
    case = CASES[symbol]
    found = candle_set(stem(case["data"]))
    bars = found.candles
    state = crossed(sma(bars.close, case["fast"]), sma(bars.close, case["slow"]))
    signal, wanted = np.zeros(state.size, np.int8), 0
    for t in range(1, state.size):
        if {int(state[t - 1]), int(state[t])} == {-1, 1}:
            wanted = state[t]
        signal[t] = wanted
    signal[-2:] = 0
    return bars, performance_of(trace_of(signal), bars, found.interval_ms)


@each_market
def test_every_trade_is_ours(symbol):
    bars, found = ours(symbol)
    names = ("direction", "entry_ts", "exit_ts", "entry_px", "exit_px")
    actual = list(zip(*(found.trades[name].tolist() for name in names), strict=True))
    expected = [
        (
            1 if row["direction"] == "long" else -1,
            *(row[n] for n in ("entry_ts", "exit_ts", "entry_price", "exit_price")),
        )
        for row in theirs(symbol)
    ]

    assert COUNTS[symbol] == len(expected)
    assert expected == actual
    assert bars.ts[found.trades["entry_bar"]].tolist() == found.trades["entry_ts"].tolist()


@each_market
def test_returns_and_what_is_made_of_them(symbol):
    case, (bars, found) = CASES[symbol], ours(symbol)
    wanted, ret = case["expected"], found.trades["ret"]

    assert pytest.approx([row["return_ratio"] for row in theirs(symbol)], rel=1e-9, abs=1e-13) == ret.tolist()
    assert (wanted["trades"], case["bars"]) == (found.metrics["num_trades"], bars.ts.size)
    assert pytest.approx(wanted["win_rate_pct"]) == found.metrics["win_rate"] * 100
    assert pytest.approx(wanted["profit_factor"]) == found.metrics["profit_factor"]
    assert pytest.approx(wanted["expectancy_pct"]) == found.metrics["expectancy"] * 100
    assert pytest.approx([wanted["best_trade_pct"], wanted["worst_trade_pct"]]) == [ret.max() * 100, ret.min() * 100]


@each_market
def test_their_exposure_counts_the_last_candle_too(symbol):
    wanted, (bars, found) = CASES[symbol]["expected"], ours(symbol)
    held = found.metrics["exposure_time"] * bars.ts.size

    assert pytest.approx(wanted["exposure_time_pct"]) == (held + 1) / bars.ts.size * 100


@each_market
def test_equity_with_their_whole_units(symbol):
    """Cash and the points of every trade times its size; marked at each close, as their drawdown is."""
    case, (bars, found) = CASES[symbol], ours(symbol)
    wanted, size = case["expected"], np.array([row["size"] for row in theirs(symbol)])
    entry, leave = found.trades["entry_px"], found.trades["exit_px"]
    points = size * (leave - entry)
    equity, before = np.full(bars.ts.size, float(case["cash"])), float(case["cash"])
    for k, (e, x) in enumerate(zip(found.trades["entry_bar"], found.trades["exit_bar"], strict=True)):
        equity[e:x] = before + size[k] * (bars.close[e:x] - entry[k])
        before += points[k]
        equity[x:] = before
    high = np.maximum.accumulate(equity)

    assert pytest.approx(wanted["equity_final"]) == before
    assert pytest.approx(wanted["return_pct"]) == (before / case["cash"] - 1) * 100
    assert pytest.approx(wanted["max_drawdown_pct"]) == (equity / high - 1).min() * 100
    assert pytest.approx(wanted["sqn"]) == np.sqrt(points.size) * points.mean() / points.std(ddof=1)
