from collections import Counter
from itertools import pairwise

import naive_session
import numba
import numpy as np
import pytest
import session_market as market
from highwater.kernels.exits import FILL
from highwater.kernels.session import EVENT, EVENTS, SESSION_TRADE, trade_sessions

SEEDS = 60 if numba.config.DISABLE_JIT else 1000
PLAN = market.random_plan(market.random.Random(1), 1.0) | {
    "sides": 0,
    "both_long": False,
    "max_signals": 10,
    "lockout": 10,
    "max_loss_r": float("inf"),
    "carry": False,
    "stop": "or_opposite",
    "extra": 0.0,
    "target_r": [1.0],
    "bps": [10_000],
    "from_range": False,
    "be_r": None,
    "be_buffer": 0.0,
    "entry_stops": True,
    "flatten": True,
    "intrabar": "pessimistic",
    "fee_bps": 0.0,
    "slippage_bps": 0.0,
}


def test_every_trade_fill_and_event_is_that_of_the_oracle():
    seen = Counter()
    for seed in range(SEEDS):
        given = market.random_market(seed)
        trades, events = market.told(*market.passed(given))
        expected = market.wanted(given)
        seen.update([row["reason"] for row in trades] + [what for *_, what in events])
        seen.update("gap" for row in trades if row["gap_entry"])

        assert expected[0] == trades, seed
        assert expected[1] == events, seed
    if SEEDS == 1000:
        reasons = {"SL", "BE", "TP", "TIME", "HORIZON", "END_OF_DATA"}
        assert {"gap", *reasons, *EVENTS} - {"traded"} == set(seen)
        assert 15 <= min(seen.values())


def test_what_a_trade_made_lies_between_worst_and_best():
    ambiguous = 0
    for seed in range(SEEDS):
        trades, *_ = market.passed(market.random_market(seed))
        ambiguous += int((trades["worst_r"] < trades["best_r"]).sum())

        assert (trades["worst_r"] <= trades["r"]).all()
        assert (trades["r"] <= trades["best_r"]).all()
        assert (trades["mae_r"] <= 0).all()
        assert (trades["mfe_r"] >= 0).all()
    assert ambiguous


def test_what_does_not_fit_is_counted():
    given = next(
        each for each in map(market.random_market, range(99)) if min(len(part) for part in market.passed(each)) > 2
    )
    trades, fills, events = market.passed(given)
    out = np.zeros(2, SESSION_TRADE), np.zeros((2, 1), FILL), np.zeros(1, EVENT)
    found = trade_sessions(*market.structs(*given), out)

    assert (trades.size, events.size) == found
    assert trades[0] == out[0][0]
    assert fills[0][0] == out[1][0][0]
    assert events[:1] == out[2]


def session(bars, start=2, **more):
    """Return a market of one session: its range is the first ``start`` bars, (o, h, l, c) a minute."""
    rows = [(i * market.STEP, *map(float, bar), 1.0) for i, bar in enumerate(bars)]
    high, low = max(bar[2] for bar in rows[:start]), min(bar[3] for bar in rows[:start])
    one = {"start": start, "last": len(rows), "ok": True, "high": high, "low": low, "upper": high, "lower": low}
    one |= {"unit": 1.0, "close_ms": len(rows) * market.STEP, "cutoff_ms": None, "flatten_ms": None}
    one |= {"second_ms": 10**12} | {key: value for key, value in more.items() if key in one or key.endswith("_ms")}
    plan = PLAN | {key: value for key, value in more.items() if key in PLAN}
    passes = more.get("passes") or {side: [True] * len(rows) for side in (1, -1)}
    return rows, [one], passes, naive_session.swings(rows, 1), plan


def both(given):
    """Return (trades, events) of the kernel, once they are those of the oracle."""
    found = market.told(*market.passed(given))

    assert market.wanted(given) == found
    return found


RANGE = [(100, 102, 98, 100), (100, 102, 98, 101)]  # 98 to 102


def test_a_range_without_width_is_armed_again_by_a_close_on_either_side():
    flat = [(100, 100, 100, 100)] * 4  # two of the range, and a break on each side of it
    bars = [*flat, (100, 102, 101, 101), (101, 101, 97, 97)]
    _, events = both(session(bars, passes={side: [False] * len(bars) for side in (1, -1)}))

    assert [(2, 1), (3, -1), (5, -1)] == [(bar, side) for _, bar, side, _ in events]


def test_the_first_candle_after_the_range_may_break_it():
    trades, _ = both(session([*RANGE, (101, 103, 101, 103), (103, 107, 103, 107)]))

    assert [(2, 102.0, 98.0, "TP", 1.0)] == [
        (row["entry_bar"], row["entry_px"], row["stop"], row["reason"], row["r"]) for row in trades
    ]


def test_an_entry_beyond_the_broken_price_is_at_the_open():
    trades, _ = both(session([*RANGE, (104, 105, 103, 104), (104, 104, 104, 104)]))

    assert [(104.0, 6.0, True)] == [(row["entry_px"], row["risk"], row["gap_entry"]) for row in trades]


def test_a_candle_that_breaks_both_sides_is_skipped_or_taken_as_long():
    bars = [*RANGE, (100, 103, 97, 100), (100, 103, 100, 103)]

    assert [(0, 2, 0, "both_sides")] == both(session(bars))[1]
    assert [3] == [row["entry_bar"] for row in both(session(bars))[0]]
    assert [(2, 1)] == [(row["entry_bar"], row["direction"]) for row in both(session(bars, both_long=True))[0]][:1]


@pytest.mark.parametrize(("open_", "side"), [(103, 1), (97, -1)])
def test_of_two_sides_the_one_it_opens_beyond_is_broken(open_, side):
    trades, events = both(session([*RANGE, (open_, 104, 96, 100)]))

    assert ([side], []) == ([row["direction"] for row in trades], events)


def test_a_price_that_stays_beyond_breaks_once():
    up = [(103, 104, 103, 104)] * 3
    _, events = both(session([*RANGE, *up], passes={1: [False] * 5, -1: [True] * 5}))

    assert [(0, 2, 1, "no_confluence")] == events


def test_a_close_inside_arms_again_and_the_second_break_has_its_time():
    bars = [*RANGE, (101, 103, 101, 101), (101, 103, 101, 103), (103, 103, 101, 101), (101, 103, 101, 103)]
    no = {1: [False] * 6, -1: [True] * 6}

    assert ["no_confluence"] * 3 == [what for *_, what in both(session(bars, passes=no))[1]]
    late = both(session(bars, passes=no, second_ms=5 * market.STEP))[1]
    assert [(2, "no_confluence"), (3, "no_confluence"), (5, "second_chance_over")] == [
        (bar, what) for _, bar, _, what in late
    ]


def test_the_score_is_that_of_the_candle_before():
    bars = [*RANGE, (101, 103, 101, 103)]
    for at in range(3):
        trades, _ = both(session(bars, passes={1: [i == at for i in range(3)], -1: [True] * 3}))

        assert (at == 1) == bool(trades)


def test_a_low_before_the_entry_may_have_come_after_it():
    bars = [*RANGE, (100, 104, 98, 103), (103, 107, 103, 107)]
    kinds = {"pessimistic": "SL", "optimistic": "TP", "ohlc_path": "TP"}
    for intrabar, reason in kinds.items():
        trades, _ = both(session(bars, intrabar=intrabar, sides=1))

        assert [(reason, -1.0, 1.0)] == [(row["reason"], row["worst_r"], row["best_r"]) for row in trades]
    assert ["TP"] == [row["reason"] for row in both(session(bars, entry_stops=False, sides=1))[0]]


@pytest.mark.parametrize(("high", "reason"), [(103.5, "SL"), (104, "TP"), (104.5, "TP")])
def test_of_a_candle_whose_ends_are_equally_near_the_low_came_first(high, reason):
    bars = [*RANGE, (100, high, 96, 103), (103, 107, 103, 107)]

    assert [reason] == [row["reason"] for row in both(session(bars, intrabar="ohlc_path", sides=1))[0]]


def test_breakeven_is_not_where_the_price_has_not_been():
    bars = [*RANGE, (101, 104, 101, 104), (104, 105, 102, 102), (102, 102, 102, 102)]
    trades, _ = both(session(bars, be_r=0.25, be_buffer=3.5, target_r=[9.0]))

    assert ["HORIZON"] == [row["reason"] for row in trades]  # 105.5 was never reached
    trades, _ = both(session(bars, be_r=0.25, be_buffer=3.0, target_r=[9.0]))
    assert [("BE", 105.0)] == [(row["reason"], row["exit_px"]) for row in trades]


@pytest.mark.parametrize("price", [106, 108])
def test_a_target_reached_at_the_open_is_no_trade(price):
    bars = [*RANGE, (price, 109, price, 109)]

    assert ([], [(0, 2, 1, "no_risk")]) == both(session(bars, from_range=True))
    assert 1 == len(both(session(bars, from_range=True, target_r=[1.6]))[0])


def test_a_stop_that_is_the_entry_is_no_trade_and_no_signal():
    bars = [*RANGE, (101, 103, 101, 101), (101, 103, 101, 101)]
    trades, events = both(session(bars, stop="atr_capped", atr_cap=0.0, max_signals=1))

    assert ([], ["no_risk", "no_risk"]) == (trades, [what for *_, what in events])


STOPPED = [(101, 103, 101, 103), (103, 103, 97.5, 99)]  # in at 102, out at 98, armed again


def test_so_many_losses_lock_and_so_many_r_halt():
    bars = [*RANGE, *STOPPED, *STOPPED, *STOPPED]
    locked = both(session(bars, lockout=2, sides=1))
    halted = both(session(bars, max_loss_r=2.0, lockout=2, sides=1))

    assert [-1.0, -1.0] == [row["r"] for row in locked[0]]
    assert [(5, "lockout"), (6, "locked")] == [(bar, what) for _, bar, _, what in locked[1]]
    assert [(5, "daily_loss_halt"), (6, "locked")] == [(bar, what) for _, bar, _, what in halted[1]]
    assert [-1.0, -2.0] == [row["day_r"] for row in halted[0]]


def test_losses_are_carried_over_the_close_only_where_asked():
    rows, (one,), _, _, plan = session([*RANGE, *STOPPED], sides=1, lockout=2)
    later = [(ts + 86_400_000, *rest) for ts, *rest in rows]
    two = one | {"start": 6, "last": 8, "close_ms": one["close_ms"] + 86_400_000}
    every = [*rows, *later]
    for carry in (False, True):
        given = (
            every,
            [one, two],
            {1: [True] * 8, -1: [True] * 8},
            naive_session.swings(every, 1),
            plan | {"carry": carry},
        )

        assert [(1, 7, 1, "lockout")] * carry == both(given)[1]


def test_a_loss_with_something_sold_before_does_not_count():
    bars = [*RANGE, *STOPPED]
    trades, events = both(session(bars, target_r=[0.25, 9.0], bps=[5000, 5000], lockout=1, sides=1))

    assert ([-0.375], []) == ([row["r"] for row in trades], events)
    assert [(3, "lockout")] == [(bar, what) for _, bar, _, what in both(session(bars, lockout=1, sides=1))[1]]


def test_signals_end_and_cutoffs_hold():
    bars = [*RANGE, *STOPPED, *STOPPED]

    assert ["max_signals"] == [what for *_, what in both(session(bars, max_signals=1, sides=1))[1]]
    assert ["time_cutoff"] == [what for *_, what in both(session(bars, cutoff_ms=4 * market.STEP, sides=1))[1]]


def test_what_is_left_is_sold_at_the_close_or_before_it_or_held():
    bars = [*RANGE, (101, 103, 101, 103), (103, 104, 103, 103.5), (104, 104, 103, 103)]
    early = {"flatten_ms": 4 * market.STEP, "cutoff_ms": 4 * market.STEP}

    def told(**more):
        return [(row["reason"], row["exit_px"], row["exit_ts"]) for row in both(session(bars, sides=1, **more))[0]]

    assert [("HORIZON", 103.0, 5 * market.STEP)] == told()
    assert [("TIME", 104.0, 4 * market.STEP)] == told(**early)
    assert [("END_OF_DATA", 103.0, 5 * market.STEP)] == told(flatten=False)


def test_shares_are_sold_at_their_targets():
    bars = [*RANGE, (101, 103, 101, 103), (103, 111, 103, 110)]
    trades, _ = both(session(bars, target_r=[1.0, 1.5, 2.0], bps=[5000, 2500, 2500]))

    assert [1.375] == [row["r"] for row in trades]
    assert [106.0, 108.0, 110.0] == [fill["price"] for fill in trades[0]["fills"]]


def test_a_trade_begins_after_the_one_before_has_ended():
    for seed in range(SEEDS):
        trades, *_ = market.passed(market.random_market(seed))
        rows = zip(trades["entry_bar"].tolist(), trades["exit_bar"].tolist(), strict=True)

        assert all(left < entered for (_, left), (entered, _) in pairwise(rows))


def test_a_scaled_market_makes_the_same_r():
    for seed in range(0, SEEDS, 10):
        rows, sessions, passes, _, plan = market.random_market(seed)
        bars = [(ts, *(16 * x for x in prices), v) for ts, *prices, v in rows]
        prices = ("high", "low", "upper", "lower", "unit")
        larger = [one | {key: 16 * one[key] for key in prices} for one in sessions]
        how = plan | {"extra": 16 * plan["extra"], "be_buffer": 16 * plan["be_buffer"]}
        small = market.passed((rows, sessions, passes, naive_session.swings(rows, 2), plan))
        large = market.passed((bars, larger, passes, naive_session.swings(bars, 2), how))

        for name in ("r", "worst_r", "best_r", "mae_r", "entry_bar", "exit_bar", "reason"):
            np.testing.assert_array_equal(small[0][name], large[0][name])
        assert (small[0]["exit_px"] * 16 == large[0]["exit_px"]).all()
