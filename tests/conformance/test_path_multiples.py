"""Multiples published for 132 pump.fun tokens, against candles of one hour each.

The publisher takes the candle that opens nearest to the entry plus h hours, at most 90 minutes away, the earlier of
two: its close and its high, divided by the stated entry price; null where there is none. Two ways of ours lead there:
a window of that one candle entered at its open (``1 + ret_end`` and ``ath_mult``, relative to the open), and a window
from the stated entry, at the stated price, to the end of that candle (``1 + ret_end``).
"""

import functools
import math
from collections import Counter

import numpy as np
from highwater.kernels.arrays import ALERT_PRICE_OFF_MARKET, STATUSES
from highwater.kernels.paths import measure_all
from shared_market import alerts_on, candle_set, document, ms, needs_data, series_of, windows_on, windows_until

pytestmark = needs_data
HOUR, CANDLES = 3_600_000, "pumpfun_tokens_usd_1h_2026jul"


def nearest(token, when):
    """Return the open time nearest to ``when``, the earlier of two, or None where none is within 90 minutes."""
    best = min(series_of(candle_set(CANDLES), token).ts.tolist(), key=lambda ts: abs(ts - when))
    return best if abs(best - when) <= 90 * 60_000 else None


@functools.cache
def published():
    """Return one row a token and horizon, with the open time of its candle as ``at``."""
    rows = []
    for case in document("path_multiples_pumpfun")["cases"]:
        token, entry_ts = case["token_address"], ms(case["entry_ts"])
        stated = {"token": token, "entry_ts": entry_ts, "price": case["entry_price_usd"]}
        rows += [
            stated | one | {"at": nearest(token, entry_ts + one["horizon_hours"] * HOUR)} for one in case["expected"]
        ]
    return rows


def with_candle():
    return [row for row in published() if row["at"] is not None]


def unequal(rows, name, values):
    """Return the rows whose published value is not ours to 1e-9."""
    pairs = zip(rows, values, strict=True)
    return [row for row, value in pairs if not math.isclose(row[name], value, rel_tol=1e-9)]


def test_null_is_no_candle_near():
    nulls = [(row["at"] is None, row["close_multiple"] is None, row["high_multiple"] is None) for row in published()]

    assert Counter({(False, False, False): 481, (True, True, True): 47}) == Counter(nulls)


def test_every_value_is_that_of_a_window_of_one_candle():
    found, rows = candle_set(CANDLES), with_candle()
    alerts = alerts_on(found, [row["token"] for row in rows], [row["at"] for row in rows])
    windows = windows_on(found, alerts, "next_open", HOUR, 0)
    paths, _ = measure_all(found.candles, windows, alerts, HOUR, np.empty(0))
    scale = windows.price / [row["price"] for row in rows]

    assert [1] * 481 == paths["n_bars"].tolist()
    assert [] == unequal(rows, "close_multiple", (1 + paths["ret_end"]) * scale)
    assert [] == unequal(rows, "high_multiple", paths["ath_mult"] * scale)


def test_every_close_multiple_is_the_end_of_a_window_from_the_stated_entry():
    found, rows = candle_set(CANDLES), with_candle()
    entries = [[row[name] for row in rows] for name in ("token", "entry_ts", "price")]
    alerts = alerts_on(found, *entries)
    windows = windows_until(found, alerts, [row["at"] + HOUR for row in rows])
    paths, _ = measure_all(found.candles, windows, alerts, HOUR, np.empty(0))
    after = [a for a, row in enumerate(rows) if row["at"] >= row["entry_ts"]]

    assert Counter(OK=480, NO_BARS=1) == Counter(STATUSES[status] for status in windows.status)
    assert 480 == len(after)
    assert 8 == np.count_nonzero(windows.flags & ALERT_PRICE_OFF_MARKET)
    assert [] == unequal([rows[a] for a in after], "close_multiple", 1 + paths["ret_end"][after])
