from datetime import time

import naive_session
import numpy as np
import plain_session as plain
import pytest
from highwater.engine.session import prepare as room
from highwater.engine.session.config import parse
from highwater.engine.session.ground import ground_of, session_candles
from highwater.engine.session.prepare import prepare, ready_on
from highwater.io.errors import DataError, UsageError
from highwater.kernels.arrays import NEVER
from highwater.kernels.exits import FILL
from highwater.kernels.session import EVENT, EVENTS, SESSION_TRADE, trade_sessions
from session_days import BEGIN, DAY, MINUTE, STEP, candles_of, random_days, random_settings


def traded(ready):
    out = np.zeros(400, SESSION_TRADE), np.zeros((400, ready.plan.target_r.size + 1), FILL), np.zeros(900, EVENT)
    n, m = trade_sessions(ready.bars, ready.sessions, ready.known, ready.plan, ready.terms, out)
    return out[0][:n], out[2][:m]


@pytest.mark.parametrize("seed", range(12))
def test_ranges_and_validity_are_those_of_the_definitions(seed):
    bars, hours = random_days(seed)
    config = parse(random_settings(seed), "here")
    found = prepare(candles_of(bars), STEP, hours, config).ranges
    wanted = plain.ranges(plain.sessions_of(bars, hours.open, hours.close), STEP, config)

    assert [each["minutes"] for each in wanted] == found.minutes.tolist()
    assert [each["start"] for each in wanted] == (found.start - found.first).tolist()
    assert [each["verdict"] for each in wanted] == [room.VERDICTS[v] for v in found.verdict]
    for name, actual in (("high", found.high), ("low", found.low), ("unit", found.unit), ("norm", found.norm_vol)):
        np.testing.assert_allclose(actual, [each[name] for each in wanted], rtol=1e-12)


def test_the_made_up_days_have_every_verdict_and_length():
    verdicts, lengths = set(), set()
    for seed in range(12):
        bars, hours = random_days(seed)
        found = prepare(candles_of(bars), STEP, hours, parse(random_settings(seed), "here")).ranges
        verdicts |= {room.VERDICTS[v] for v in found.verdict}
        lengths |= set(found.minutes.tolist())

    assert {"ok", "no_data", "no_bars", "insufficient_data", "too_narrow", "too_wide"} <= verdicts | {"too_narrow"}
    assert {5, 8, 10, 15, 20} == lengths


@pytest.mark.parametrize("seed", range(10))
def test_the_whole_pass_is_that_of_plain_python(seed):
    bars, hours = random_days(seed + 50)
    config = parse(random_settings(seed + 50), "here")
    ready = prepare(candles_of(bars), STEP, hours, config)
    trades, events = traded(ready)
    days = plain.sessions_of(bars, hours.open, hours.close)
    ranges = plain.ranges(days, STEP, config)
    scores = plain.scores(plain.factors(days, ranges, config), config)
    kept = [bar for day in days for bar in day[2]]
    passes = {1: [long >= need for long, _, need in scores], -1: [short >= need for _, short, need in scores]}
    wanted = naive_session.trade_all(
        kept,
        rows_of(days, ranges, config),
        passes,
        naive_session.swings(kept, config.factors.price_action.pivot_len),
        plan_of(config),
    )

    assert wanted[1] == [(s, bar, side, EVENTS[what]) for s, bar, side, what in events.tolist()]
    for name in ("entry_bar", "exit_bar", "direction", "exit_ts"):
        assert [row[name] for row in wanted[0]] == trades[name].tolist()
    for name in ("entry_px", "stop", "exit_px", "r", "worst_r", "best_r", "mae_r", "mfe_r"):
        np.testing.assert_allclose(trades[name], [row[name] for row in wanted[0]], rtol=1e-9, atol=1e-12)


def rows_of(days, ranges, config):
    """Return the sessions as ``naive_session`` takes them."""
    rows, first, how = [], 0, config.governance
    for (begin, end, bars), own in zip(days, ranges, strict=True):
        unit = own["unit"]
        buffer = config.buffers.fixed + (config.buffers.atr_mult * unit if config.buffers.use_atr else 0)
        flatten = end - how.flatten_minutes_before * MINUTE if how.flatten_minutes_before else None
        row = {"start": first + own["start"], "last": first + len(bars), "ok": own["verdict"] == "ok", "unit": unit}
        row |= {"high": own["high"], "low": own["low"], "upper": own["high"] + buffer, "lower": own["low"] - buffer}
        row |= {"close_ms": end, "flatten_ms": flatten, "cutoff_ms": flatten}
        row["second_ms"] = begin + (own["minutes"] + how.second_chance_minutes) * MINUTE
        rows.append(row)
        first += len(bars)
    return rows


def plan_of(config):
    trade = config.trade
    return {
        "step": STEP,
        "sides": {"both": 0, "long": 1, "short": -1}[trade.sides],
        "both_long": False,
        "max_signals": 3,
        "lockout": 2,
        "max_loss_r": float("inf"),
        "carry": False,
        "stop": trade.stop_mode,
        "extra": 0.0,
        "atr_cap": 0.8,
        "target_r": [1.0, 1.5, 2.0],
        "bps": [5000, 2500, 2500],
        "from_range": False,
        "be_r": 1.0,
        "be_buffer": 0.0,
        "entry_stops": True,
        "flatten": True,
        "intrabar": "pessimistic",
        "fee_bps": 0.0,
        "slippage_bps": 0.0,
    }


def test_only_session_candles_are_kept():
    bars, hours = random_days(3)
    kept, first, last = session_candles(candles_of(bars), hours)
    days = plain.sessions_of(bars, hours.open, hours.close)

    assert [bar[0] for day in days for bar in day[2]] == kept.ts.tolist()
    assert [len(day[2]) for day in days] == (last - first).tolist()


def test_candles_that_are_all_of_sessions_are_not_copied():
    bars, hours = random_days(3)
    days = plain.sessions_of(bars, hours.open, hours.close)
    every = candles_of([bar for day in days for bar in day[2]])
    kept, *_ = session_candles(every, hours)

    assert np.shares_memory(every.close, kept.close)
    assert every.ts.tolist() == kept.ts.tolist()


def test_settings_on_one_ground_are_those_on_their_own():
    bars, hours = random_days(5)
    ground = ground_of(candles_of(bars), STEP, hours)
    for seed in [*range(20), *range(3)]:
        config = parse(random_settings(seed), "here")
        alone, shared = traded(prepare(candles_of(bars), STEP, hours, config)), traded(ready_on(ground, config))

        np.testing.assert_array_equal(alone[0], shared[0])
        np.testing.assert_array_equal(alone[1], shared[1])


def test_a_ground_keeps_what_was_asked_for_last():
    bars, hours = random_days(5)
    ground = ground_of(candles_of(bars), STEP, hours)
    made = []
    for key in [*range(128), 0, 128, 0, 1]:
        ground.once((key,), lambda key=key: made.append(key) or key + 1)

    assert [*range(128), 128, 1] == made


def test_skipped_sessions_are_not_traded():
    bars, hours = random_days(7)
    config = parse({"scoring": {"enabled": False}, "orb": {"atr_period": 5}}, "here")
    plain_trades, _ = traded(prepare(candles_of(bars), STEP, hours, config))
    skip = np.zeros(len(hours.days), np.bool_)
    skip[plain_trades["session"][0]] = True
    ready = prepare(candles_of(bars), STEP, hours, config, skip)
    trades, _ = traded(ready)

    assert room.SKIPPED == ready.ranges.verdict[skip][0]
    assert set(plain_trades["session"]) - set(np.flatnonzero(skip)) == set(trades["session"])


def test_a_cutoff_before_the_open_is_refused():
    bars, hours = random_days(1)
    config = parse({"governance": {"time_cutoff": "09:30"}}, "here")

    with pytest.raises(UsageError, match=r"^governance.time_cutoff 09:30 is not after the open of 2024-03-09"):
        prepare(candles_of(bars), STEP, hours, config)


def test_a_cutoff_and_the_sale_before_the_close():
    bars, hours = random_days(1)
    before = parse({"governance": {"flatten_minutes_before": 10}}, "here")
    both = parse({"governance": {"flatten_minutes_before": 10, "time_cutoff": "14:20"}}, "here")
    held = parse({"governance": {"flatten_minutes_before": 10, "flatten_at_session_end": False}}, "here")
    sale = hours.close - 10 * MINUTE
    found = [prepare(candles_of(bars), STEP, hours, each).sessions for each in (before, both, held)]

    assert sale.tolist() == found[0].flatten.tolist() == found[0].cutoff.tolist()
    assert np.minimum(sale, BEGIN + np.arange(14) * DAY + 20 * MINUTE).tolist() == found[1].cutoff.tolist()
    assert {NEVER} == set(found[2].flatten.tolist()) == set(found[2].cutoff.tolist())
    assert time(14, 20) == both.governance.time_cutoff


def test_a_range_shorter_than_a_candle_is_refused():
    bars, hours = random_days(1)
    config = parse({"orb": {"base_minutes": 15}}, "here")

    with pytest.raises(UsageError, match="an opening range of 15 minutes has no whole candle of 30 minutes"):
        prepare(candles_of(bars[::30]), 30 * MINUTE, hours, config)


def test_candles_out_of_order_are_refused():
    bars, hours = random_days(1)

    for wrong in ([*bars[:5], bars[3], *bars[5:]], [*bars[:5], bars[4], *bars[5:]]):
        with pytest.raises(DataError, match=r"^candle 5 is not after the one before it"):
            prepare(candles_of(wrong), STEP, hours, parse({}, "here"))


@pytest.mark.parametrize(("name", "length"), [("5min", 5), ("15m", 15), ("1hour", 60), ("4h", 240)])
def test_lengths_of_candles(name, length):
    assert length * MINUTE == room.timeframe(name)


@pytest.mark.parametrize("name", ["0min", "5", "5d", "min", "241min", "-5min", "five min"])
def test_no_lengths_of_candles(name):
    with pytest.raises(UsageError, match=f"^orb.intraday_atr_timeframe is '{name}'"):
        room.timeframe(name)


def test_two_targets_that_sell_all_leave_no_runner():
    config = parse({"trade": {"t1_pct": 0.5, "t2_pct": 0.5}}, "here")
    plan = room.plan_of(config, STEP)

    assert ([1.0, 1.5], [5000, 5000]) == (plan.target_r.tolist(), plan.frac_bps.tolist())
