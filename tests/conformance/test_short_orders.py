"""The orders on the short side among those asserted by the tests of pyalgotrade: its stops and limits are our levels.

Its entries by a limit or a stop are not ours, so such a position is given its entry price and the candles from the
first that can end it.
"""

import numpy as np
import pytest
from highwater.kernels.arrays import END_OF_DATA, SL, TP, Entry, Rules, candles
from highwater.kernels.exits import FILL, simulate
from highwater.kernels.mirror import mirrored, opposite, short_policy
from highwater.kernels.walk import no_blocks
from shared_market import DATA, candle_set, document, ms, needs_data

pytestmark = needs_data
DAY = 86_400_000
NAMES = ("order_fills_pyalgotrade", "positions_orcl_pyalgotrade")
CASES = {case["id"]: case for name in NAMES for case in document(name)["cases"]} if DATA.is_dir() else {}
OURS = {
    *("pa_stoporder_shortposstoploss_1", "pa_stoporder_shortposstoploss_gappingbars_0"),
    *("pp_limit_short", "pp_stop_limit_short"),
}


def left(bars, price, exits, fresh):
    """Return (candle, price, reason, at a gap) of a short sold at ``price``."""
    end = int(bars.ts[-1]) + DAY
    entry = opposite(Entry(float(price), int(bars.ts[0]), end + DAY, end, DAY, fresh, True, 0, float(price)))
    done = simulate(mirrored(bars), entry, exits, Rules(tp_at_open=True), np.empty(0, FILL), no_blocks())
    return done.bar, -done.price, done.reason, done.gap


def bars_of(case):
    rows = [[bar[key] for key in "ohlc"] for bar in case["bars"]]
    return candles(np.arange(len(rows)) * DAY, *np.array(rows, float).T)


def oracle_from(day):
    """Return the candles of ORCL from a day on."""
    bars = candle_set("orcl_1d_2000").candles
    first = int(np.searchsorted(bars.ts, ms(day)))
    return type(bars)(*(each[first:] for each in bars))


def test_every_order_on_the_short_side_is_run():
    told = {name for name, case in CASES.items() if "short" in str(case)}

    assert told == OURS


def test_a_stop_above_a_short():
    case = CASES["pa_stoporder_shortposstoploss_1"]
    bars = bars_of(case)
    bar, price, reason, gap = left(bars, bars.open[0], short_policy(sl=case["order"]["stop"] / bars.open[0]), True)
    expected = case["expected"]["fill_bar"], case["expected"]["fill_price"], SL, False

    assert expected == (bar, price, reason, gap)


def test_a_short_is_sold_at_the_open():
    case = CASES["pa_stoporder_shortposstoploss_gappingbars_0"]
    bars = bars_of(case)

    assert (case["expected"]["fill_price"], 0) == (bars.open[0], case["expected"]["fill_bar"])
    assert (0, 12.0, END_OF_DATA, False) == left(bars, bars.open[0], short_policy(), True)


def test_a_limit_below_a_short_passed_by_the_open():
    case = CASES["pp_limit_short"]["expected"]
    bars = oracle_from(case["exit_date"])
    limit = CASES["pp_limit_short"]["exit"]["limit"]
    bar, price, reason, gap = left(bars, case["entry_price"], short_policy(tp=[limit / case["entry_price"]]), False)

    assert (case["exit_date"], case["exit_price"]) == (str(bars.ts[bar].astype("M8[ms]"))[:10], price)
    assert (TP, True) == (reason, gap)


def test_a_stop_that_has_come_below_the_entry():
    """Their stop limit is touched at 24 and fills there, below its limit: a stop of ours at 24, opened below."""
    case = CASES["pp_stop_limit_short"]["expected"]
    bars = oracle_from(case["exit_date"])
    stop = CASES["pp_stop_limit_short"]["exit"]["stop"] / case["entry_price"]
    bar, price, reason, gap = left(bars, case["entry_price"], short_policy(sl=stop), False)

    assert (case["exit_date"], SL, False) == (str(bars.ts[bar].astype("M8[ms]"))[:10], reason, gap)
    assert pytest.approx(case["exit_price"], rel=1e-15) == price
