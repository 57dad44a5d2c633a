"""67 published trades of a band strategy on SPY 5m, half of them short, from the entries it gives.

Its rule as ours: filled at the signal's close, the entry candle's range is the past, stop before target. It fills a
gap at its level, and none of these exits is one. Its signal is made of its trades: it stands from each entry until the
exit where the reason is the signal, and else until just before the next entry. It takes 1 bp a round trip off.
"""

import functools

import numpy as np
import pytest
from highwater.engine.policy import parse_policy
from highwater.engine.traces.performance import Fills, performance_of
from highwater.engine.traces.trace import trace_of
from highwater.kernels.arrays import REASONS
from shared_market import DATA, candle_set, document, ms, needs_data

pytestmark = needs_data
CASES = document("tp_sl_exits_spy5m")["cases"] if DATA.is_dir() else []
WORDS = {"signal": "SIGNAL", "stop": "SL", "target": "TP"}
EXITS = {"sl": 0.99925, "tp": 1.001}


def side(case):
    return 1 if case["direction"] == "long" else -1


@functools.cache
def ours():
    """Return (open times, columns) of the trades of the whole trace."""
    found = candle_set("spy_5m_2024")
    at = {ts: i for i, ts in enumerate(found.candles.ts.tolist())}
    entries = [at[ms(case["entry_bar"])] for case in CASES] + [found.candles.ts.size]
    signal = np.zeros(found.candles.ts.size, np.int8)
    for case, entry, after in zip(CASES, entries, entries[1:], strict=False):
        leave = at[ms(case["exit_bar"])]
        signal[entry : leave if case["exit_reason"] == "signal" else max(leave, after - 1)] = side(case)
    how = Fills("signal_close", exits=parse_policy(EXITS))
    return found.candles.ts, performance_of(trace_of(signal), found.candles, found.interval_ms, how).trades


def test_every_trade_is_ours():
    ts, trades = ours()
    expected = [
        (side(case), ms(case["entry_bar"]), case["entry_price"], ms(case["exit_bar"]), WORDS[case["exit_reason"]])
        for case in CASES
    ]
    actual = zip(
        *(trades["direction"].tolist(), ts[trades["entry_bar"]].tolist(), trades["entry_px"].tolist()),
        *(ts[trades["exit_bar"]].tolist(), [REASONS[code] for code in trades["reason"]]),
        strict=True,
    )

    assert 67 == len(expected)
    assert expected == list(actual)


def test_prices_and_returns():
    """Their prices have seven digits behind the point, and their returns are of those."""
    _, trades = ours()

    assert pytest.approx([case["exit_price"] for case in CASES], abs=5.1e-8) == trades["exit_px"].tolist()
    assert pytest.approx([case["return_ratio"] + 0.0001 for case in CASES], abs=1.1e-10) == trades["ret"].tolist()


def test_both_sides_meet_stop_target_and_signal():
    met = {(case["direction"], case["exit_reason"]) for case in CASES}

    assert {(side, reason) for side in ("long", "short") for reason in WORDS} == met


def test_no_exit_is_a_gap():
    ts, trades = ours()
    inside = np.isin(trades["reason"], [REASONS.index("SL"), REASONS.index("TP")])

    assert 34 == np.count_nonzero(inside)
    assert (trades["exit_ts"][inside] > ts[trades["exit_bar"][inside]]).all()
