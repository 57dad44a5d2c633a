import numpy as np
from highwater.engine.hindsight import REASONS, audit
from highwater.io.columns import NO_TIME
from highwater.io.trades import Trades
from highwater.kernels.arrays import candles
from shared_market import candle_set, document, ms, needs_data

STEP = 60_000
#                      0      1      2      4 (a minute is missing)
BARS = candles(
    np.array([0, 1, 2, 4]) * STEP, [10, 12, 14, 13], [13, 15, 14, 20], [9, 11, 12, 12], [12, 14, 12, 18], [1, 1, 1, 1]
)


def reasons(*rows, **how):
    """Return the reason of each (entry time, entry price, exit time, exit price)."""
    columns = [np.array(column, kind) for column, kind in zip(zip(*rows, strict=True), (int, float) * 2, strict=True)]
    return [REASONS[code] for code in audit(Trades(None, *columns), BARS, STEP, **how)]


def one(*row, **how):
    return reasons(row, **how)[0]


def test_what_can_have_happened():
    assert "possible" == one(0, 12.0, STEP, 11.5)
    assert "possible" == one(0, 10.0, 0, 13.0)  # in at the open, out at the high
    assert "possible" == one(0, 11.0, 0, 9.0)  # in somewhere inside: nobody can tell
    assert "possible" == one(STEP + 30_000, 14.0, 4 * STEP + 59_999, 20.0)
    assert "possible" == one(STEP, 14.0, STEP, 14.0)  # in and out at one and the same close


def test_what_is_bought_at_a_close_cannot_be_sold_in_its_candle():
    assert "hindsight" == one(STEP, 14.0, STEP, 15.0)
    assert "hindsight" == one(STEP, 14.0, STEP, 11.0)
    assert "hindsight" == one(2 * STEP, 13.0, STEP, 12.0)


def test_one_can_say_where_trades_are_entered():
    assert ["possible", "hindsight"] == [one(STEP, 13.9, STEP, 15.0, entered=how) for how in ("open", "close")]
    assert "possible" == one(STEP, 14.0, STEP, 15.0, entered="open")


def test_a_price_that_was_not_traded():
    assert "entry price" == one(0, 13.5, STEP, 12.0)
    assert "exit price" == one(0, 12.0, STEP, 15.1)
    assert "exit price" == one(0, 12.0, STEP, 10.9)
    assert "possible" == one(0, 12.0, STEP, 15.1, tolerance=0.01)
    assert "possible" == one(0, 12.0, STEP, 15.0 + 1e-9)


def test_a_time_without_a_candle():
    assert "no candle" == one(0, 12.0, 3 * STEP, 12.0)
    assert "no candle" == one(-1, 12.0, STEP, 12.0)
    assert "no candle" == one(0, 12.0, 5 * STEP, 12.0)


def test_a_trade_that_is_still_open():
    assert ["open", "open", "possible"] == reasons(
        (0, 12.0, NO_TIME, np.nan), (0, 12.0, STEP, np.nan), (0, 12.0, STEP, 12.0)
    )


def published(name):
    cases = document(name)["cases"]
    columns = [np.array([ms(case["entry_bar"]) for case in cases]), np.array([case["entry_price"] for case in cases])]
    columns += [np.array([ms(case["exit_bar"]) for case in cases]), np.array([case["exit_price"] for case in cases])]
    found = candle_set("spy_5m_2024")
    verdict = audit(Trades(None, *columns), found.candles, found.interval_ms)
    return {case["n"]: REASONS[code] for case, code in zip(cases, verdict, strict=True)}


class TestPublished:
    pytestmark = needs_data

    def test_the_specimen_is_caught_trade_by_trade(self):
        wrong = [n for n, reason in published("lookahead_specimen_spy5m").items() if reason == "hindsight"]

        assert document("lookahead_specimen_spy5m")["impossible_trades"] == wrong
        assert {"hindsight", "possible"} == set(published("lookahead_specimen_spy5m").values())

    def test_the_same_strategy_done_right_is_possible(self):
        assert {"possible"} == set(published("tp_sl_exits_spy5m").values())
