"""The look-ahead list of session strategies: the whole pass is shown other futures, and says the same of the past.

A factor is known at the close of its candle, a range's length at the open of its session, the range at its end, an
entry and a refusal at the close of the candle of the break, a trade when it ends. Worst and best are of all paths, the
longest too, and known when the session is over.

What others looked ahead by, and where it is held here:
the whole day's ATR in lengths and validity: test_the_length_of_a_range_is_known_at_the_open, test_a_range_and...;
the session's high and low as its range: test_a_range_and_whether_it_is_valid_are_known_at_its_end;
statistics of the whole file in factors: test_factors_are_known_at_the_close;
a position that earns the return before it, a fill at the close that speaks for it: test_an_entry_is_at_no_price...;
a stop tested on the candle of the entry, as if all of it came after: tests/kernels/test_session.py,
test_a_low_before_the_entry_may_have_come_after_it (both bounds; ``entry_bar``, ``conservative_fills``);
breakeven moved by a candle's one end and hit by its other: test_breakeven_waits_for_the_candle_after, and in
tests/kernels/test_session.py test_breakeven_is_not_where_the_price_has_not_been.
"""

import numpy as np
import plain_session as plain
import pytest
from highwater.engine.futures import FUTURES
from highwater.engine.lookahead import KNOWN_MS, first_leak
from highwater.engine.session.config import parse
from highwater.engine.session.ground import ground_of
from highwater.engine.session.prepare import MINUTE, prepare
from highwater.engine.session.quality import quality_of
from highwater.kernels.arrays import NEVER, REASONS
from highwater.kernels.exits import FILL
from highwater.kernels.session import EVENT, SESSION_TRADE, trade_sessions
from session_days import STEP, candles_of, random_days

BARS, HOURS = random_days(11, count=12, holes=0.02)
# All of them in a session: a signal has one value a candle.
KEPT = candles_of([bar for *_, own in plain.sessions_of(BARS, HOURS.open, HOURS.close) for bar in own])
CLEAN = tuple(future for future in FUTURES if future != "nan")  # prices that are no numbers never come this far
ALL = {name: {"enabled": True} for name in ("rel_volume", "price_action", "profile_proxy", "vwap", "adx")}
SETTINGS = {
    "plain": {"orb": {"atr_period": 5}, "scoring": {"enabled": False}},
    "all": {
        "orb": {"atr_period": 5, "low_norm_vol": 0.4, "high_norm_vol": 0.6},
        "factors": {**ALL, "adx": {"enabled": True, "period": 5}},
        "scoring": {"base_required": 1, "weak_trend_required": 2},
        "buffers": {"use_atr": True},
        "trade": {"stop_mode": "swing"},
    },
    "late": {
        "orb": {"atr_period": 5, "validity_atr": "daily", "max_atr_mult": 9.0, "norm_vol": "literal"},
        "factors": {"vwap": {"enabled": True, "reset_mode": "or_end"}},
        "scoring": {"base_required": 1, "weak_trend_required": 1},
        "trade": {"stop_mode": "atr_capped", "entry_bar": "targets_only", "target_from": "range", "partials": False},
        "governance": {"flatten_minutes_before": 5, "max_daily_loss_r": 1.0, "lockout_after_losses": 1},
        "backtest": {"conservative_fills": False},
    },
    "by day": {
        "orb": {"atr_period": 5},
        "factors": {"rel_volume": {"lookback": 5, "by_time_of_day": True}},
        "scoring": {"base_required": 1, "weak_trend_required": 1},
    },
    "held": {
        "orb": {"atr_period": 5},
        "scoring": {"enabled": False},
        "trade": {"runner_r": 6.0, "move_be_at_r": 0.5},
        "governance": {"flatten_at_session_end": False, "reset_daily": False},
    },
}
each = pytest.mark.parametrize("name", SETTINGS)


def passed(name, bars):
    ready = prepare(bars, STEP, HOURS, parse(SETTINGS[name], name))
    out = np.zeros(200, SESSION_TRADE), np.zeros((200, 4), FILL), np.zeros(600, EVENT)
    n, m = trade_sessions(ready.bars, ready.sessions, ready.known, ready.plan, ready.terms, out)
    return ready, out[0][:n], out[1][:n], out[2][:m]


def factors(name, later=0):
    """Return a signal of one row a candle: every flag, number and score, ``later`` candles before they are known."""

    def signal(bars):
        ready = passed(name, bars)[0]
        found = ready.factors
        columns = {f"long_{key}": flags for key, flags in found.long.items()}
        columns |= {f"short_{key}": flags for key, flags in found.short.items()} | dict(found.numbers)
        columns |= {"score_long": found.score_long, "score_short": found.score_short, "needed": found.needed}
        if ready.known.swing_low.size:
            columns |= {"swing_low": ready.known.swing_low, "swing_high": ready.known.swing_high}
        columns |= {"passes_long": ready.known.long, "passes_short": ready.known.short}
        return {key: np.concatenate([line[later:], line[:later]]).astype(float) for key, line in columns.items()}

    return signal


@each
def test_factors_are_known_at_the_close(name):
    assert first_leak(factors(name), KEPT, cuts=24, futures=CLEAN) is None
    assert first_leak(factors(name, 1), KEPT, cuts=24, futures=CLEAN) is not None


def events(known, **columns):
    rows = np.asarray(known) != NEVER
    return {KNOWN_MS: np.asarray(known)[rows], **{key: np.asarray(values)[rows] for key, values in columns.items()}}


def lengths(name, earlier=0):
    def signal(bars):
        ranges = passed(name, bars)[0].ranges
        return events(HOURS.open - earlier, minutes=ranges.minutes, norm_vol=ranges.norm_vol)

    return signal


def ranges(name, earlier=0):
    def signal(bars):
        ready = passed(name, bars)[0]
        of = ready.ranges
        known = HOURS.open + of.minutes * MINUTE - earlier
        columns = {key: getattr(of, key) for key in ("high", "low", "unit", "verdict")}
        columns["verdict"] = np.where(of.verdict == 1, 2, of.verdict)  # no data at all: told at the close
        return events(known, upper=ready.sessions.upper, lower=ready.sessions.lower, **columns)

    return signal


@each
def test_the_length_of_a_range_is_known_at_the_open(name):
    whole = lengths(name)(KEPT)

    assert 5 <= np.isfinite(whole["norm_vol"]).sum()
    assert first_leak(lengths(name), KEPT, cuts=48, futures=CLEAN) is None
    assert first_leak(lengths(name, 86_400_000), KEPT, cuts=48, futures=CLEAN) is not None


@each
def test_a_range_and_whether_it_is_valid_are_known_at_its_end(name):
    assert first_leak(ranges(name), KEPT, cuts=48, futures=CLEAN) is None
    assert first_leak(ranges(name, 5 * MINUTE), KEPT, cuts=48, futures=CLEAN) is not None


def entries(name, earlier=0):
    def signal(bars):
        ready, trades, _, told = passed(name, bars)
        rows = np.concatenate([trades["entry_bar"], told["bar"]])
        order = np.argsort(rows, kind="stable")
        known = ready.bars.ts[rows] + STEP - earlier
        price, stop = (np.concatenate([trades[key], np.zeros(told.size)]) for key in ("entry_px", "stop"))
        side, what = (
            np.concatenate([trades["direction"], told["direction"]]),
            np.append(np.zeros(trades.size, int), told["what"]),
        )
        return events(known[order], side=side[order], price=price[order], stop=stop[order], what=what[order])

    return signal


def exits(name, earlier=0):
    def signal(bars):
        ready, trades, fills, _ = passed(name, bars)
        why, end = trades["reason"], ready.sessions.end[trades["session"]]
        known = np.where(why == REASONS.index("HORIZON"), end, trades["exit_ts"])
        known = np.where(why == REASONS.index("END_OF_DATA"), NEVER, known) - earlier * (why != 7)
        columns = {key: trades[key] for key in ("exit_px", "r", "mae_r", "mfe_r", "day_r", "reason", "exit_bar")}
        return events(known, **columns, fills=fills)

    return signal


def outer(name, earlier=0):
    def signal(bars):
        ready, trades, _, _ = passed(name, bars)
        known = np.maximum(ready.sessions.end[trades["session"]], trades["exit_ts"]) - earlier
        return events(known, worst=trades["worst_r"], best=trades["best_r"])

    return signal


@each
@pytest.mark.parametrize("what", [entries, exits])
def test_trades_and_refusals_are_known_when_they_happen(what, name):
    assert 3 <= len(what(name)(KEPT)[KNOWN_MS])
    assert first_leak(what(name), KEPT, cuts=48, futures=CLEAN) is None
    assert first_leak(what(name, 2 * STEP), KEPT, cuts=48, futures=CLEAN) is not None


@pytest.mark.parametrize("name", ["plain", "all", "late"])
def test_worst_and_best_are_known_when_the_session_is_over(name):
    assert first_leak(outer(name), KEPT, cuts=48, futures=CLEAN) is None
    assert first_leak(outer(name, 40 * MINUTE), KEPT, cuts=48, futures=CLEAN) is not None


@each
def test_an_entry_is_at_no_price_of_the_candle_before(name):
    """At the broken price or beyond it at the open of a later candle than the one whose close spoke for it."""
    ready, trades, _, _ = passed(name, KEPT)
    broken = np.where(
        trades["direction"] > 0,
        ready.sessions.upper[trades["session"]],
        ready.sessions.lower[trades["session"]],
    )
    opens = ready.bars.open[trades["entry_bar"]]
    beyond = trades["direction"] * (opens - broken) >= 0

    assert trades.size >= 3
    np.testing.assert_array_equal(np.where(beyond, opens, broken), trades["entry_px"])
    assert (trades["entry_bar"] >= ready.sessions.start[trades["session"]]).all()


def test_breakeven_waits_for_the_candle_after():
    """Where the candle that arms breakeven falls back to the entry, nothing says that it fell after it had risen."""
    ready, trades, fills, _ = passed("held", KEPT)
    some = [(trade, fill[trade["n_fills"] - 1]) for trade, fill in zip(trades, fills, strict=True)]
    even = [(trade, fill) for trade, fill in some if REASONS[fill["reason"]] == "BE"]

    assert even
    for trade, fill in even:
        side, rows = trade["direction"], slice(trade["entry_bar"], fill["bar"])
        best = (ready.bars.high if side > 0 else ready.bars.low)[rows]
        assert (side * (best - trade["entry_px"]) >= 0.5 * trade["risk"] - 1e-9).any()


def test_what_skip_day_skips_is_known_when_the_range_ends():
    def signal(bars, earlier=0):
        config = parse(SETTINGS["plain"], "plain")
        minutes = prepare(bars, STEP, HOURS, config).ranges.minutes
        complete = quality_of(ground_of(bars, STEP, HOURS), minutes).range_complete
        return events(HOURS.open + minutes * MINUTE - earlier, complete=complete)

    assert {False, True} == set(signal(KEPT)["complete"].tolist())
    assert first_leak(signal, KEPT, cuts=64, futures=CLEAN) is None
    assert first_leak(lambda bars: signal(bars, 14 * MINUTE), KEPT, cuts=64, futures=CLEAN) is not None
