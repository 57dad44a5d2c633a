"""Candle sequences and the exits that the tests of freqtrade assert, each run as trades of ours.

Its configuration as ours: a signal fills at the next open, a limit price that its candle holds is an alert price
inside that candle; the stop is a multiple; ``trailing_positive`` is a trailing stop that activates at its offset; an
exit signal, and a later target that the candle of its age already opens beyond, are time stops.
"""

from typing import NamedTuple

import numpy as np
import pytest
from highwater.kernels.arrays import ALERT_PRICE_OFF_MARKET, PARTIAL_BAR_SKIPPED, REASONS, candles
from shared_market import DATA, document, needs_data, one_trade

pytestmark = needs_data
HOUR = 3_600_000
CASES = {case["id"]: case for case in document("intrabar_exits_freqtrade")["cases"]} if DATA.is_dir() else {}
REASON_OF = {"stop_loss": {"SL"}, "trailing_stop_loss": {"TRAIL"}, "roi": {"TP", "TIME"}, "exit_signal": {"TIME"}}

SHORT = {"ft_28", "ft_46", "ft_49"}  # not in FS-1


class Exit(NamedTuple):
    """The candle and the price of an exit, and why."""

    bar: int
    price: float
    reason: str


# What ours does where the two differ, and the reason.
DIFFERENT = {
    "ft_16": (Exit(3, 4975, "TIME"), "a forced exit between two candles sells at the low there, at the open here"),
    "ft_19": (Exit(5, 4950, "END_OF_DATA"), "the target falls with age, and the candle of that age opens below it"),
    "ft_24": (Exit(3, 4850, "TRAIL"), "sold there at a target above an open that had passed the trailing stop"),
    "ft_36": (Exit(1, 5500, "TP"), "sold there at 4950, below the candle's low; the high is the target"),
    "ft_37": (Exit(1, 5500, "TP"), "as ft_36"),
    "ft_39": (Exit(2, 4620, "TP"), "the limit price is below the candle: no trade there, a flag here"),
    "ft_40": (Exit(2, 4900, "SL"), "bought at the high and stopped in the same candle, whose low may be older"),
    "ft_43": (Exit(2, 5001.52, "TP"), "sold in the candle that filled the limit; ours skips the rest of it"),
    "ft_45": (
        Exit(1, 5500, "TP"),
        "a high equal to the target must exceed it there; what is left goes at the last open",
    ),
    "ft_51": (Exit(2, 4620, "TP"), "as ft_39: the order times out there"),
    "ft_52": (Exit(2, 4900, "SL"), "a stop that the open has passed fills at the stop there, at the open here"),
}
# Prices at which limit orders filled inside the candle; none is stated where the order did not fill.
FILLED = {"ft_39": 4200, "ft_40": 5500, "ft_42": 4952, "ft_43": 4952, "ft_48": 5200, "ft_51": 4200, "ft_52": 5200}
LEAVES_RANGE = {"ft_39", "ft_51"}


def bars_of(case):
    rows = np.array([[bar[key] for key in "ohlc"] for bar in case["bars"]], float)
    return candles(np.arange(len(rows)) * HOUR, *rows.T)


def exits_of(case, bars, opened):
    """Return the exit rule of a trade that opens on candle ``opened``."""
    params, entry = case["params"], FILLED.get(case["id"], bars.open[opened])
    exits = {"sl": 1 + params["stop_loss_pct"] / params["leverage"]}
    if params["trailing_stop"]:
        pct = params["trailing_positive"] or -params["stop_loss_pct"]
        exits["trail"] = {"pct": pct, "activate": 1 + params["trailing_positive_offset"]}
    due = []
    for step in params["take_profit_schedule"]:
        level, bar = 1 + step["profit_ratio"], opened - (-step["after_minutes"] // 60)
        if bar == opened:
            exits["tp"] = [{"mult": level}]
        elif bars.open[bar] >= entry * level:
            due.append(step["after_minutes"] * 60_000)
    if params["use_exit_signal"] and not params["custom_exit_price"]:
        due += [(bar["i"] + 1 - opened) * HOUR for bar in case["bars"] if bar["exit_long"]]
    return exits | ({"time_ms": min(due)} if due else {})


def run(case):
    """Return [(Exit, return on the stake, flags)], one a trade."""
    bars, found = bars_of(case), []
    for opened in [trade["open_bar"] for trade in case["expected"]["trades"]] or [1]:
        exits, price = exits_of(case, bars, opened), FILLED.get(case["id"])
        if price is None:
            windows, trade = one_trade(bars, HOUR, bars.ts[opened], exits)
        else:  # an hour's time stop counts from the candle's open, the entry is 1 ms later
            exits |= {"time_ms": exits["time_ms"] - 1} if "time_ms" in exits else {}
            windows, trade = one_trade(bars, HOUR, bars.ts[opened] + 1, exits, "alert_price", price)
        done = Exit(int(windows.first[0] + trade["bar"]), float(trade["price"]), REASONS[trade["reason"]])
        found.append((done, case["params"]["leverage"] * trade["ret"], int(windows.flags[0])))
    return found


def agrees(case):
    """Return whether candles, reasons, implied price and the sum of returns to three places are those asserted."""
    expected, trades = case["expected"], run(case)
    if len(trades) != len(expected["trades"]):
        return False
    low, high = expected.get("implied_exit_price_between", (0, np.inf))
    pairs = zip(expected["trades"], trades, strict=True)
    return expected["sum_profit_ratio_3dp"] == round(sum(ret for _, ret, _ in trades), 3) and all(
        (theirs["close_bar"], True) == (ours.bar, low <= ours.price <= high)
        and ours.reason in REASON_OF.get(theirs["exit_reason"], ())
        for theirs, (ours, _, _) in pairs
    )


def test_every_case_is_run_or_explained():
    assert len(CASES) == 36
    assert set(DIFFERENT) | SHORT <= set(CASES)
    assert {name for name, case in CASES.items() if "short" in case["features"]} == SHORT


@pytest.mark.parametrize("name", sorted(set(CASES) - set(DIFFERENT) - SHORT))
def test_same_exits(name):
    assert agrees(CASES[name]), run(CASES[name])


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_difference_is_still_one(name):
    ((actual, _, flags),) = run(CASES[name])
    expected = DIFFERENT[name][0]

    assert not agrees(CASES[name])
    assert (expected.bar, expected.reason) == (actual.bar, actual.reason)
    assert pytest.approx(expected.price, rel=1e-12) == actual.price
    assert (name in FILLED) * PARTIAL_BAR_SKIPPED | (name in LEAVES_RANGE) * ALERT_PRICE_OFF_MARKET == flags
