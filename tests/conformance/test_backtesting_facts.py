"""Single orders asserted by the tests of backtesting.py, run as one trade of ours each.

An order placed on a candle fills on the next (next_open), or at that candle's close (bar_close). Its levels are
prices, so they are divided by the price they are measured from. A target passed by an open fills at that open.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from highwater.io.candles import CandleOptions
from highwater.io.validate import validate
from highwater.kernels.arrays import REASONS, Costs, Rules, candles
from shared_market import DATA, candle_set, document, ms, needs_data, one_trade

pytestmark = needs_data
DAY = 86_400_000
CASES = {case["id"]: case for case in document("backtesting_py_facts")["cases"]} if DATA.is_dir() else {}

NOT_OURS = {
    "bt_sma_cross_goog": "reverses into shorts; one account's equity, Sharpe ratio and drawdown",
    "bt_stop_entry_between_sl_tp": "enters by a stop order; an alert is entered at the market",
    "bt_fill_on_close_two_trades": "every candle opens below its own low: SEMANTICS D1 drops them all",
    "bt_resample_daily_sma_eurusd": "an indicator carried back to another interval",
    "bt_tz_index": "asks whether candles stamped in a time zone trade at all; times of ours are int64 ms UTC",
}
# id: the candle of the order, levels as prices, how it is entered.
ORDERS: dict[str, tuple[int, dict[str, float], str]] = {
    "bt_entry_bar_stop": (-1, {"sl": 720}, "next_open"),
    "bt_sl_before_tp_same_bar": (4, {"sl": 105, "tp": 107.9}, "bar_close"),  # levels set when that candle closed
    "bt_gap_through_stop": (8, {"sl": 99.5}, "next_open"),
    "bt_stop_gap_synthetic": (1, {"sl": 90}, "bar_close"),
    "bt_commission_tp": (1, {"tp": 3}, "next_open"),
}


def bars_of(case):
    if "bars" in case:
        rows = [[bar[key] for key in "ohlc"] for bar in case["bars"]]
        return candles(np.arange(len(rows)) * DAY, *np.array(rows, float).T)
    goog = candle_set("goog_1d_2004_2013").candles
    rows = slice(20 if case["data"].startswith("first 20 rows") else None)
    return candles(*(array[rows] for array in goog))


class Result(NamedTuple):
    entry: float
    bar: int
    price: float
    reason: str
    gap: bool
    ret: float


def ordered(case, costs=Costs()):  # noqa: B008
    """Return what one of ORDERS comes to; ``bar`` counts from the first candle of the case."""
    bars = bars_of(case)
    at, levels, mode = ORDERS[case["id"]]
    at = int(np.searchsorted(bars.ts, ms(case["order"]["signal_bar"]))) if at < 0 else at
    asked, price = (bars.ts[at + 1], bars.open[at + 1]) if mode == "next_open" else (bars.ts[at], bars.close[at])
    exits: dict[str, Any] = {"sl": levels["sl"] / price} if "sl" in levels else {}
    exits |= {"tp": [{"mult": levels["tp"] / price}]} if "tp" in levels else {}
    windows, trade = one_trade(bars, DAY, asked, exits, mode, rules=Rules(tp_at_open=True), costs=costs)
    bar = int(windows.first[0] + trade["bar"])
    return Result(
        windows.price[0], bar, trade["price"], REASONS[trade["reason"]], bool(trade["gap"]), float(trade["ret"])
    )


def test_every_case_is_run_or_explained():
    run = {*ORDERS, "bt_spread_commission", "bt_pct_commission"}

    assert set(CASES) == run | set(NOT_OURS)
    assert not run & set(NOT_OURS)


def test_a_stop_in_the_entry_candle():
    case = CASES["bt_entry_bar_stop"]
    dates, done = bars_of(case).ts, ordered(case)
    expected = case["expected"]

    assert (expected["entry_price"], ms(expected["exit_bar"])) == (done.entry, dates[done.bar])
    assert pytest.approx(expected["exit_price"], rel=1e-12) == done.price
    assert ("SL", False) == (done.reason, done.gap)


def test_a_stop_passed_by_the_open_before_the_target_is_reached():
    case = CASES["bt_sl_before_tp_same_bar"]
    expected, done = case["expected"], ordered(case)

    assert (expected["exit_bar_index"], expected["exit_price"]) == (done.bar, done.price)
    assert ("SL", True) == (done.reason, done.gap)
    assert bars_of(case).high[done.bar] >= 107.9


@pytest.mark.parametrize(
    ("case_id", "key", "bar"),
    [("bt_gap_through_stop", "exit_price", 10), ("bt_stop_gap_synthetic", "first_exit_price", 3)],
)
def test_a_gap_through_the_stop(case_id, key, bar):
    done = ordered(CASES[case_id])

    assert (CASES[case_id]["expected"][key], bar, "SL", True) == (done.price, done.bar, done.reason, done.gap)


def test_a_gap_over_the_target_with_fixed_and_proportional_fees():
    case, units, paid = CASES["bt_commission_tp"], 100, 1.01
    done = ordered(case, Costs(paid, 0.99, 2 * 10 / (units * paid)))
    expected = case["expected"]

    assert (expected["entry_price"], expected["exit_price"], "TP", True) == (
        done.entry,
        done.price,
        done.reason,
        done.gap,
    )
    assert pytest.approx(expected["equity_final"], rel=1e-12) == case["settings"]["cash"] + units * paid * done.ret


@pytest.mark.parametrize(("case_id", "k_in"), [("bt_spread_commission", 1.01 * 1.01), ("bt_pct_commission", 1.01)])
def test_equity_after_spread_and_commission(case_id, k_in):
    """Their spread is paid on the way in alone, and an open position is marked at the close, its exit not yet paid."""
    case, bars = CASES[case_id], bars_of(CASES[case_id])
    cash, asked = case["settings"]["cash"], bars.ts[2]
    paid = math.floor(cash / (bars.open[2] * k_in)) * bars.open[2] * k_in
    _, held = one_trade(bars, DAY, asked, {}, horizon=DAY, costs=Costs(k_in, 1.0))
    _, sold = one_trade(bars, DAY, asked, {"time_ms": DAY}, costs=Costs(k_in, 0.99))

    assert ["HORIZON", "TIME"] == [REASONS[trade["reason"]] for trade in (held, sold)]
    assert case["expected"]["equity_bars_2_3"] == [round(cash + paid * trade["ret"], 2) for trade in (held, sold)]


def test_impossible_candles_are_all_dropped():
    keep, verdicts = validate(*bars_of(CASES["bt_fill_on_close_two_trades"]), CandleOptions())

    assert (0, 5) == (keep.size, verdicts.bad_kinds.sum())
