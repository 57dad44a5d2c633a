"""What really happened trade by trade after 157 pump calls, against candles of one minute and of 15 seconds.

The first trade at or after the alert is the entry and times count from the alert, so ours enters at that price at the
alert (alert_price). An alert may fall inside a candle and so may the end of its horizon; candles cannot tell what was
before and what after. Two windows enclose the truth: ``inner`` begins with the first whole candle, ``outer`` with the
candle the alert fell into, whose open is past and so not tested. A stop of theirs fills at the trade that passed it,
ours at the level or, where that trade opened the candle, at the open; that is the only correction made.
"""

import functools
from collections import Counter
from itertools import product

import numpy as np
import pytest
from highwater.kernels.arrays import REASONS, Costs, Rules, column
from highwater.kernels.bounds import bracket_all
from highwater.kernels.exits import simulate_all
from highwater.kernels.paths import measure_all
from shared_market import alerts_on, candle_set, needs_data, policy, rows, series_of, windows_until

pytestmark = needs_data
CANDLES = ("pump_events_binance_1m", "pump_events_binance_15s")
MINUTE = 60_000
MULTIPLES = (1.25, 1.5, 2.0, 3.0)
LEVELS = tuple(product((0.1, 0.25, 0.5, 1.0), (0.05, 0.1, 0.2, 0.5)))  # tp, sl
EXACT = 1e-9
OUTCOME = {"TP": "tp", "SL": "sl", "HORIZON": "timeout", "END_OF_DATA": "timeout"}
each_interval = pytest.mark.parametrize("name", CANDLES)


def calls():
    return rows("conformance/pump_tick_path_metrics")


@functools.cache
def windows_of(name, minutes, whole_start, whole_end):
    """Return (alerts, windows) of the calls, each end on a candle's edge: inside the horizon if whole, else around."""
    found, ts = candle_set(name), np.array([call["ts"] for call in calls()])
    step, end = found.interval_ms, ts + minutes * MINUTE
    start = -(-ts // step) * step if whole_start else ts // step * step
    end = end // step * step if whole_end else -(-end // step) * step
    alerts = alerts_on(found, [call["symbol"] for call in calls()], start, [call["entry_price"] for call in calls()])
    return alerts, windows_until(found, alerts, end)


def inner(name, minutes, whole_end=False):
    return windows_of(name, minutes, True, whole_end)


def outer(name, minutes):
    alerts, windows = windows_of(name, minutes, False, False)
    return alerts, windows._replace(fresh=column(np.ones(alerts.ts.size), np.bool_))


@functools.cache
def truth(name):
    """Return the rows of the truth, with what our fills make of the return (``ideal``) and the candle of the exit.

    ``bar`` is None where no candle holds the exit, ``before`` says that it lies in the candle the alert fell into.
    """
    found, by_id = candle_set(name), {call["alert_id"]: (a, call) for a, call in enumerate(calls())}
    step, told = found.interval_ms, []
    for row in rows("conformance/pump_tick_tp_sl_truth"):
        a, call = by_id[row["alert_id"]]
        price, series = call["entry_price"], series_of(found, call["symbol"])
        bar = int(np.searchsorted(series.ts, row["exit_ts"], side="right")) - 1
        held = row["exit_ts"] < series.ts[bar] + step
        before = row["exit_ts"] < -(-call["ts"] // step) * step
        stop, target = price * (1 - row["sl"]), price * (1 + row["tp"])
        gapped = stop if before else min(stop, float(series.open[bar]))
        exit_price = {"tp": target, "sl": gapped, "timeout": row["exit_trade_price"]}[row["outcome"]]
        cut = (call["ts"] + row["horizon_min"] * MINUTE) % step > 0
        told.append(
            row
            | {"a": a, "ideal": exit_price / price - 1, "exit_price": exit_price, "before": before, "cut": cut}
            | {"bar": int(series.ts[bar]) if held else None}
        )
    return told


def kind_of(row):
    if row["bar"] is None:
        return "after the candles end"
    return "timeout inside a candle" if row["outcome"] == "timeout" and row["cut"] else "claimed"


def groups(name):
    """Yield (minutes, policy, rows) of the truth."""
    for minutes, (tp, sl) in product((60, 1440), LEVELS):
        chosen = [row for row in truth(name) if (row["horizon_min"], row["tp"], row["sl"]) == (minutes, tp, sl)]
        yield minutes, policy({"sl": 1 - sl, "tp": [{"mult": 1 + tp}]}), chosen


def bounded(name, windows, rule):
    found = candle_set(name)
    return bracket_all(found.candles, windows, found.interval_ms, rule, Rules(), Costs())


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        (CANDLES[0], {"claimed": 4018, "timeout inside a candle": 1006}),
        (CANDLES[1], {"claimed": 3313, "timeout inside a candle": 548, "after the candles end": 1163}),
    ],
)
def test_the_claims_cover(name, kinds):
    """A timeout inside a candle takes a price that no candle states; 15 s candles end two hours after the event."""
    assert kinds == Counter(map(kind_of, truth(name)))


@each_interval
def test_truth_lies_between_worst_and_best(name):
    outside = []
    for minutes, rule, chosen in groups(name):
        bounds = [bounded(name, windows, rule) for _, windows in (inner(name, minutes), outer(name, minutes))]
        worst, best = (
            pick([bound[end] for bound in bounds], axis=0) for pick, end in ((np.min, "worst"), (np.max, "best"))
        )
        outside += [
            row
            for row in chosen
            if kind_of(row) == "claimed" and not worst[row["a"]] - EXACT <= row["ideal"] <= best[row["a"]] + EXACT
        ]

    assert [] == outside


@pytest.mark.parametrize(("name", "certain"), [(CANDLES[0], 3370), (CANDLES[1], 3007)])
def test_where_no_candle_is_ambiguous_the_exit_is_the_true_one(name, certain):
    """Same candle, same outcome, same price, of every exit behind the candle that the alert fell into."""
    found, compared = candle_set(name), []
    for minutes, rule, chosen in groups(name):
        _, windows = inner(name, minutes)
        doubts = bounded(name, windows, rule)["n_ambiguous"]
        done, _ = simulate_all(found.candles, windows, found.interval_ms, rule, Rules(), Costs())
        exit_ts = found.candles.ts[windows.first + done["bar"]]
        for row in (row for row in chosen if kind_of(row) == "claimed" and not row["before"]):
            a = row["a"]
            if not doubts[a]:
                ours = int(exit_ts[a]), OUTCOME[REASONS[done["reason"][a]]], float(done["price"][a])
                compared.append(((row["bar"], row["outcome"], pytest.approx(row["exit_price"], rel=EXACT)), ours))

    assert certain == len(compared)
    assert [] == [pair for pair in compared if pair[0] != pair[1]]


def test_what_the_ticks_call_ambiguous_in_a_minute_is_so_for_us():
    """The flag is theirs: the minute of the exit holds trades beyond both levels."""
    name, flagged, missed = CANDLES[0], 0, []
    for minutes, rule, chosen in groups(name):
        both = [row for row in chosen if row["both_levels_in_exit_minute"]]
        doubts = [bounded(name, windows, rule) for _, windows in (inner(name, minutes), outer(name, minutes))]
        flagged += len(both)
        missed += [row for row in both if not doubts[row["before"]]["n_ambiguous"][row["a"]]]

    assert 24 == flagged
    assert [] == missed


@each_interval
def test_a_timeout_touches_no_level_in_whole_candles(name):
    found, reasons = candle_set(name), Counter()
    for minutes, rule, chosen in groups(name):
        _, windows = inner(name, minutes, whole_end=True)
        done, _ = simulate_all(found.candles, windows, found.interval_ms, rule, Rules(), Costs())
        reasons.update(REASONS[done["reason"][row["a"]]] for row in chosen if row["outcome"] == "timeout")

    assert {"HORIZON", "END_OF_DATA"} >= set(reasons)
    assert 2158 == reasons.total()


@each_interval
def test_extremes_lie_between_the_two_windows(name):
    """Highest and lowest price of the first hour; where the alert and the hour end on edges the windows are one."""
    found = candle_set(name)
    (small, _), (large, _) = (
        measure_all(found.candles, windows, alerts, found.interval_ms, np.empty(0))
        for alerts, windows in (inner(name, 60, whole_end=True), outer(name, 60))
    )
    highest = np.array([call["max_mult_1h"] for call in calls()])
    lowest = np.array([call["min_mult_1h"] for call in calls()])
    on_edges = [a for a, call in enumerate(calls()) if call["ts"] % found.interval_ms == 0]

    assert np.all((small["ath_mult"] <= highest * (1 + EXACT)) & (highest <= large["ath_mult"] * (1 + EXACT)))
    assert np.all((large["dd_overall"] - EXACT <= lowest - 1) & (lowest - 1 <= small["dd_overall"] + EXACT))
    assert np.allclose(highest[on_edges], small["ath_mult"][on_edges], rtol=EXACT, atol=0)
    assert np.allclose(lowest[on_edges] - 1, small["dd_overall"][on_edges], rtol=0, atol=EXACT)


def test_multiples_are_reached_when_the_ticks_say():
    """Within a day on one-minute candles: hit by the inner window, then in truth, then hit by the outer one."""
    name, hits = CANDLES[0], Counter()
    found = candle_set(name)
    views = inner(name, 1440, whole_end=True), outer(name, 1440)
    (_, sure), (_, possible) = (
        measure_all(found.candles, windows, alerts, MINUTE, np.array(MULTIPLES)) for alerts, windows in views
    )
    starts = [windows.ts for _, windows in views]
    for (a, call), (k, multiple) in product(enumerate(calls()), enumerate(MULTIPLES)):
        true = call[f"secs_to_{multiple}x_24h"]
        hits[bool(sure[a, k]["hit"]), true is not None, bool(possible[a, k]["hit"])] += 1
        if true is not None:
            true_ts = call["ts"] + true * 1000

            assert starts[1][a] + possible[a, k]["t_lo_ms"] <= true_ts
            assert not sure[a, k]["hit"] or true_ts <= starts[0][a] + sure[a, k]["t_ms"]

    assert {(False, False, False): 556, (True, True, True): 72} == hits


@pytest.mark.parametrize("minutes", [5, 15, 60, 240, 1440])
def test_the_last_trade_in_time_is_the_last_close(minutes):
    """Of the 78 calls on a full minute."""
    found, on_edges = candle_set(CANDLES[0]), [a for a, call in enumerate(calls()) if call["ts"] % MINUTE == 0]
    alerts, windows = inner(CANDLES[0], minutes)
    paths, _ = measure_all(found.candles, windows, alerts, MINUTE, np.empty(0))
    name = f"mult_{minutes}m" if minutes < 60 else f"mult_{minutes // 60}h"
    expected = [calls()[a][name] for a in on_edges]

    assert 78 == len(on_edges)
    assert pytest.approx(expected, rel=EXACT) == (1 + paths["ret_end"][on_edges]).tolist()
