from types import SimpleNamespace

import naive
import numpy as np
import plain_labs
import pytest
from highwater.engine.labs.analysis import analyse
from highwater.engine.labs.replay import replay
from highwater.kernels.arrays import candles
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from small_lab import MARKET, position, tables

STEP, START = 60, 20_000 * 86_400
# open, high, low, close of the minutes from START on; None is a hole.
BARS = [(10.0, 11.0, 9.0, 10.5), (10.5, 12.0, 10.4, 11.5), None, (13.0, 14.0, 12.5, 13.5), (13.5, 13.6, 8.0, 8.5)]


def bars_of(prices):
    return [(START + STEP * i, *each) for i, each in enumerate(prices) if each is not None]


def slice_of(prices):
    """Return what a replay reads of a slice, of minutes of one market."""
    ts, *columns = zip(*bars_of(prices), strict=True)
    facts = SimpleNamespace(tokens=(MARKET,), offsets=(0, len(ts)), interval_ms=1000 * STEP)
    return SimpleNamespace(facts=facts, candles=candles(np.array(ts) * 1000, *columns))


@pytest.fixture
def on():
    """Return a function that replays backtests on minutes of one market."""

    def replayed(backtests, prices=BARS):
        return replay(analyse(tables(backtests)), slice_of(prices), {MARKET: MARKET})

    return replayed


def at(minute, second=0):
    return START + STEP * minute + second


def fills(found):
    return [(row["verdict"], row["why"]) for row in found.fills.to_pylist()]


def trade(found):
    return found.positions.to_pylist()[0]


def test_fills_inside_their_candles_are_possible(on):
    found = on([[position(at(0, 5), at(3, 30), 9.5, 13.9)]])

    assert [("possible", "")] * 2 == fills(found)
    assert "possible" == trade(found)["fills"]
    assert [(9.0, 11.0), (12.5, 14.0)] == [(r["candle_low"], r["candle_high"]) for r in found.fills.to_pylist()]


@pytest.mark.parametrize(("price", "outside"), [(11.5, 1e4 * (11.5 / 11 - 1)), (8.0, 1e4 * (9 / 8 - 1))])
def test_a_price_that_no_candle_of_its_time_reached_is_impossible(on, price, outside):
    found = on([[position(at(0, 5), at(3, 30), price, 13.0)]])

    assert ("impossible", "no candle of that time reached it") == fills(found)[0]
    assert outside == pytest.approx(found.fills["outside_bps"][0].as_py())
    assert "impossible" == trade(found)["fills"]


@pytest.mark.parametrize(
    ("price", "verdict"),
    [
        (10.7, ("possible", "")),
        (9.5, ("ambiguous", "only the candle that ends then reached it")),
        (11.8, ("ambiguous", "only the candle that begins then reached it")),
        (12.5, ("impossible", "no candle of that time reached it")),
    ],
)
def test_on_the_edge_of_two_candles_either_may_have_filled(on, price, verdict):
    assert verdict == fills(on([[position(at(1), at(3, 30), price, 13.0)]]))[0]


def test_the_end_of_a_candle_before_a_hole_belongs_to_it(on):
    assert ("possible", "") == fills(on([[position(at(2), at(3, 30), 11.0, 13.0)]]))[0]


def test_inside_a_hole_there_is_no_candle(on):
    found = on([[position(at(2, 30), at(3, 30), 11.0, 13.0)]])
    row = found.fills.to_pylist()[0]

    assert ("no_candle", "no candle at that time") == fills(found)[0]
    assert (None, None, None) == (row["outside_bps"], row["candle_low"], row["candle_high"])


def test_entry_and_exit_inside_one_candle_are_ambiguous(on):
    found = on([[position(at(0, 5), at(0, 50), 9.5, 10.5), position(at(0, 5), at(1, 50), 9.5, 11.5)]])

    assert [("ambiguous", "entry and exit in one candle")] * 2 + [("possible", "")] * 2 == fills(found)


def test_fs1_fills_at_the_open_of_the_candle_that_comes_next(on):
    row = trade(on([[position(at(0, 5), at(1, 30), 9.5, 11.0)]]))
    fees = 0.0005 * 10 * (10.5 + 13.0)

    assert (at(1) * 1000, at(3) * 1000) == (row["fs1_entry_ts_ms"], row["fs1_exit_ts_ms"])
    assert (10.5, 13.0) == (row["fs1_entry_price"], row["fs1_exit_price"])
    assert 10 * (13.0 - 10.5) - fees == pytest.approx(row["fs1_profit"])
    assert ("OK", "long") == (row["status"], row["direction"])


def test_a_short_is_replayed_as_one(on):
    row = trade(on([[position(at(0, 5), at(1, 30), 9.5, 9.0, short=True)]]))

    assert ("short", -10 * (13.0 - 10.5) - 0.0005 * 10 * (10.5 + 13.0)) == (
        row["direction"],
        pytest.approx(row["fs1_profit"]),
    )


@pytest.mark.parametrize(
    ("asked", "filled", "minute"),
    [
        (11.9, 11.9, 1),  # above: a target, at its price
        (13.5, 13.5, 3),
        (12.2, 12.2, 3),  # a target that a candle opens beyond is filled at its level
        (9.2, 9.2, 0),  # below: a stop, in its own candle's range
        (8.2, 8.2, 4),
    ],
)
def test_an_exit_that_waited_is_filled_where_its_price_is_reached(on, asked, filled, minute):
    held = position(at(0), at(4), 10.0, asked)
    held["exo"][0] |= {"ot": at(0), "p": asked}
    row = trade(on([[held]]))

    assert (filled, at(minute) * 1000) == (row["fs1_exit_price"], row["fs1_exit_ts_ms"])


def test_a_stop_that_a_candle_opens_beyond_is_filled_at_that_open(on):
    held = position(at(0), at(2), 10.0, 9.4)
    held["exo"][0] |= {"ot": at(0), "p": 9.4}
    row = trade(on([[held]], [(10.0, 11.0, 9.5, 10.5), (9.0, 9.2, 8.0, 8.5), (8.5, 9.5, 8.0, 9.0)]))

    assert (9.0, at(1) * 1000) == (row["fs1_exit_price"], row["fs1_exit_ts_ms"])


def test_an_order_that_is_never_reached_is_not_filled(on):
    held = position(at(0), at(4), 10.0, 50.0)
    held["exo"][0] |= {"ot": at(0), "p": 50.0}
    row = trade(on([[held]]))

    assert ("NOT_FILLED", None, None) == (row["status"], row["fs1_profit"], row["fs1_exit_price"])


def test_bounds_are_the_claim_where_it_is_possible_and_the_candle_where_it_is_not(on):
    sure = trade(on([[position(at(0, 5), at(3, 30), 9.5, 13.9)]]))
    never = trade(on([[position(at(0, 5), at(3, 30), 8.0, 13.9)]]))
    fee = 0.0005 * 10 * 13.9

    assert sure["realized_profit"] == pytest.approx(sure["worst_profit"]) == pytest.approx(sure["best_profit"])
    assert 10 * (13.9 - 9.0 * 1.0005) - fee == pytest.approx(never["best_profit"])  # the nearest price there was
    assert 10 * (13.9 - 11.0 * 1.0005) - fee == pytest.approx(never["worst_profit"])


def test_what_is_not_price_times_amount_is_left_out(on):
    inverse = position(at(0, 5), at(3, 30), 9.5, 13.9)
    inverse |= {"rp": 0.3, "fe": 0.0}
    unknown = position(at(0, 5), at(3, 30), 9.5, 9.5, short=True)
    found = on([[inverse, unknown], [position(at(100), at(101), 1.0, 2.0)]])

    assert ["NOT_LINEAR", "NO_DIRECTION", "NO_CANDLES"] == found.positions["status"].to_pylist()
    assert [None] * 3 == found.positions["fs1_profit"].to_pylist()


def test_sums_count_what_cannot_be_replayed_as_the_lab_says(on):
    good, gone = position(at(0, 5), at(1, 30), 9.5, 11.0), position(at(100), at(101), 1.0, 2.0)
    found = on([[good, gone], {}])
    first = found.of(0)

    assert trade(found)["fs1_profit"] + gone["rp"] == pytest.approx(first.fs1)
    assert good["rp"] + gone["rp"] == pytest.approx(first.worst) == pytest.approx(first.best)
    assert (0.5, None) == (first.doubtful, found.of(1))
    assert {"possible": 2, "no_candle": 2, "ambiguous": 0, "impossible": 0} == found.verdicts


def test_open_positions_and_orders_that_were_not_filled_are_left_out(on):
    still = position(at(0), 0, 10.0, 10.0) | {"ic": False, "exo": []}
    held = position(at(0, 5), at(1, 30), 9.5, 11.0)
    held["exo"].append(held["exo"][0] | {"af": 0.0})
    whole = {"FinishedPositions": [held], "UnmanagedPositions": [still]}

    assert 2 == on([whole]).fills.num_rows


prices = st.integers(80, 120).map(lambda x: x / 10)
bars = st.builds(lambda a, b, c, d: (a, max(a, b, c, d), min(a, b, c, d), b), prices, prices, prices, prices)
moments = st.integers(0, 7 * STEP)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.none() | bars, min_size=6, max_size=6).filter(any),
    st.lists(st.tuples(moments, moments, prices, prices), min_size=1, max_size=6),
)
def test_every_verdict_is_that_of_the_oracle(some, drawn):
    rows = [position(START + min(a, b), START + max(a, b), p, q) for a, b, p, q in drawn]
    found = replay(analyse(tables([rows])), slice_of(some), {MARKET: MARKET})
    bars = bars_of(some)
    expected = [
        plain_labs.verdict(each[mine][0], each[other], bars, STEP)
        for each in rows
        for mine, other in (("eno", "exo"), ("exo", "eno"))
    ]

    assert expected == found.fills["verdict"].to_pylist()
    for row in found.positions.to_pylist():
        if row["status"] == "OK":
            low, high = row["worst_profit"], row["best_profit"]
            assert low <= high + 1e-9
            if row["fills"] != "impossible":
                assert low - 1e-9 <= row["realized_profit"] <= high + 1e-9


def by_fs1(some, held, exits):
    """Return (entry, trade) of a long as the oracle of FS-1 has it; None where it is not entered."""
    ms_bars = [(1000 * ts, *prices, 0.0) for ts, *prices in bars_of(some)]
    entry = naive.enter(ms_bars, 1000 * held["ot"], horizon_ms=10**9, interval_ms=1000 * STEP)
    if entry["status"] != "OK":
        return None
    return entry, naive.simulate(ms_bars, entry, exits(entry), fee_bps=5)


def check(row, held, expected, reasons):
    """Hold a replayed position against the oracle; other examples than those that leave by ``reasons`` tell nothing."""
    assume(expected is not None and row["status"] == "OK" and expected[1]["reason"] in reasons)
    entry, done = expected
    paid = entry["price"] * held["eno"][0]["af"]

    assert (entry["price"], entry["entry_ts"]) == (row["fs1_entry_price"], row["fs1_entry_ts_ms"])
    assert done["price"] == pytest.approx(row["fs1_exit_price"])
    assert done["ret"] * 1.0005 * paid == pytest.approx(row["fs1_profit"], abs=1e-9)


mostly = st.lists(st.one_of(bars, bars, bars, st.none()), min_size=6, max_size=6)
early = st.integers(0, 2 * STEP)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.filter_too_much])
@given(mostly, early, st.integers(STEP, 5 * STEP), prices)
def test_market_orders_are_filled_as_fs1_fills_a_time_stop(some, a, b, price):
    assume(any(some))
    held = position(START + a, START + b, 10.0, price)
    found = replay(analyse(tables([[held]])), slice_of(some), {MARKET: MARKET})
    expected = by_fs1(some, held, lambda at: {"time_ms": max(1, 1000 * held["ct"] - at["entry_ts"])})
    assume(expected is not None and 1000 * held["ct"] > expected[0]["entry_ts"])
    check(trade(found), held, expected, ("TIME",))


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.filter_too_much])
@given(mostly, early, prices)
def test_orders_that_waited_are_filled_as_fs1_fills_targets_and_stops(some, a, level):
    assume(any(some))
    held = position(START + a, START + 6 * STEP, 10.0, level)
    held["exo"][0] |= {"ot": held["ot"], "p": level}
    found = replay(analyse(tables([[held]])), slice_of(some), {MARKET: MARKET})

    def exits(at):
        multiple = level / at["price"]
        return {"tp": [{"mult": multiple}]} if multiple >= 1 else {"sl": multiple}

    check(trade(found), held, by_fs1(some, held, exits), ("TP", "SL"))
