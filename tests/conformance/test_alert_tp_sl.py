"""1,428 trades of backtesting.py 0.6.6, one an alert and pair of levels, against ours.

Its rule as ours: the order is placed when the signal candle ends and fills at the next open (next_open); levels are
fractions of the signal's close, so each trade has multiples of its own; the hold is counted in candles, so each trade
has a time stop of its own, at the last candle where the data end sooner; a gap fills at the open, targets too.
"""

import functools

import numpy as np
import pytest
from highwater.engine.policy import parse_policy
from highwater.io.errors import UsageError
from highwater.kernels.arrays import REASONS, Rules
from shared_market import FOREVER, alerts_on, candle_set, needs_data, rows, traded, windows_on

pytestmark = needs_data
# Of each candle file: trades that are equal, and trades entered below their own stop.
COUNTS = {"pump_events_binance_1m": (933, 9), "bittrex_btc_1m_2018jan": (242, 10), "alts_btc_5m_2018feb_may": (234, 0)}
WORDS = {"target": "TP", "stop": "SL", "time_or_end": "TIME"}
each_file = pytest.mark.parametrize("name", COUNTS)


@functools.cache
def trades(name):
    """Return the oracle's trades on one candle file, reasons in our words."""
    found = rows("conformance/oracle/alert_tp_sl_trades")
    return [
        row | {"exit_reason": WORDS[row["exit_reason"]]} for row in found if row["candles_file"] == f"{name}.parquet"
    ]


@functools.cache
def entered(name):
    """Return (windows, exit rule of each) of the trades: ordered at the end of the signal candle, however long open."""
    found, exits = candle_set(name), []
    ends = [row["signal_bar"] + found.interval_ms for row in trades(name)]
    alerts = alerts_on(found, [row["symbol"] for row in trades(name)], ends)
    windows = windows_on(found, alerts, "next_open", FOREVER, FOREVER)
    for a, row in enumerate(trades(name)):
        ts, price = found.candles.ts[alerts.first[a] : alerts.last[a]], row["entry_price"]
        due = min(np.searchsorted(ts, row["signal_bar"]) + row["hold_bars"] + 1, ts.size - 1)
        stop, target = row["signal_close"] * (1 - row["sl"]), row["signal_close"] * (1 + row["tp"])
        rule = {"sl": stop / price, "tp": [{"mult": target / price}], "time_ms": int(ts[due] - row["entry_bar"])}
        exits.append(rule)
    return windows, exits


@each_file
def test_entries(name):
    windows, _ = entered(name)
    expected = [(row["entry_bar"], row["entry_price"]) for row in trades(name)]

    assert expected == list(zip(windows.ts.tolist(), windows.price.tolist(), strict=True))


@each_file
def test_every_exit_is_ours_unless_the_entry_lies_below_its_stop(name):
    found, (windows, exits) = candle_set(name), entered(name)
    done = traded(found, windows, exits, Rules(tp_at_open=True))
    exit_ts = found.candles.ts[windows.first + done["bar"]].tolist()
    ours = zip(exit_ts, done["price"].tolist(), [REASONS[reason] for reason in done["reason"]], strict=True)
    theirs = [(row["exit_bar"], pytest.approx(row["exit_price"], rel=1e-9), row["exit_reason"]) for row in trades(name)]
    compared = [pair for pair, own in zip(zip(theirs, ours, strict=True), exits, strict=True) if own["sl"] < 1]

    assert COUNTS[name][0] == len(compared)
    assert [] == [pair for pair in compared if pair[0] != pair[1]]


@each_file
def test_an_entry_below_its_own_stop_is_sold_at_once_by_them_and_refused_by_us(name):
    pairs = zip(trades(name), entered(name)[1], strict=True)
    passed = [(row, own["sl"]) for row, own in pairs if own["sl"] >= 1]

    assert COUNTS[name][1] == len(passed)
    for row, stop in passed:
        expected = row["entry_bar"], row["entry_price"], "SL"

        assert expected == (row["exit_bar"], row["exit_price"], row["exit_reason"])
        with pytest.raises(UsageError, match="sl"):
            parse_policy({"sl": stop})
