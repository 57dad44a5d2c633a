"""Everything of ours that maps candles to a value with a time, under the look-ahead sentinel.

Each signal below returns events: the rows of a kernel, and the time from which on they may be known. An exit at an
open is known at that open, any other at the close of its candle; what holds to the end of a window, at that end.
"""

import random

import numpy as np
import pytest
from highwater.engine.futures import FUTURES
from highwater.engine.lookahead import KNOWN_MS, first_leak
from highwater.io.resample import resample
from highwater.kernels.arrays import (
    ENTRY,
    INTRABAR,
    NEVER,
    OK,
    REASONS,
    Alerts,
    Policies,
    Rules,
    column,
    costs,
    of_rows,
)
from highwater.kernels.axes import Axes
from highwater.kernels.bounds import NOTE, bracket, bracket_all
from highwater.kernels.days import by_day_tables, returns_bars
from highwater.kernels.entries import enter_all, entry_rule
from highwater.kernels.exits import simulate_all
from highwater.kernels.jit import threads
from highwater.kernels.packed import KEY, NEVER_KEY, STOP_OPEN, TARGET_OPEN, TIME_UP
from highwater.kernels.paths import UNDEFINED, measure_all
from highwater.kernels.search import search_all
from highwater.kernels.staircase import index_all
from highwater.kernels.surface import surface_all
from highwater.kernels.tables import CANDLE, returns_tables, rows_of, tally_tables
from highwater.kernels.walk import entry_of, no_blocks, policy_of, window_of
from kernel_market import STEP, candles_of, frozen, long_bars, policies_of

BARS = candles_of(long_bars(random.Random(21), 500))
END = int(BARS.ts[-1]) + STEP
HORIZON = 90 * STEP
PAID = costs(fee_bps=30.0, slippage_bps=50.0)
CLEAN = [future for future in FUTURES if future != "nan"]  # kernels are given no NaN (SEMANTICS D)
MULTIPLES = column([1.05, 1.1, 1.25, 1.5, 2.0, 3.0])
EXITS = {
    "fixed": {"sl": 0.8, "tp": [{"mult": 1.25}]},
    "trail": {"trail": {"pct": 0.1}, "tp": [{"mult": 1.5}]},
    "late": {"sl": 0.5, "trail": {"pct": 0.1, "activate": 1.1}},
    "breakeven": {"sl": 0.75, "breakeven": {"trigger": 1.1, "offset": 0.05}},
    "time": {"sl": 0.9, "time_ms": 20 * STEP - 1},
    "ladder": {"sl": 0.7, "tp": [{"mult": 1.1, "frac_bps": 3000}, {"mult": 1.25, "frac_bps": 3000}, {"mult": 1.5}]},
    "none": {},
}
EXITS["ladder"]["tp"][2]["frac_bps"] = 4000
SINGLE = policies_of([exits for name, exits in EXITS.items() if name != "ladder"])


@pytest.fixture(autouse=True)
def one_thread():
    with threads(1):
        yield


def alerts_on(bars):
    """Return alerts every ten candles, at and between opens, at its high, its open, off the market or far off it."""
    rows = np.arange(5, BARS.ts.size, 10)
    late = np.tile([0, 1, STEP // 2, STEP - 1], rows.size)[: rows.size]
    of = np.arange(rows.size) % 5
    price = np.select([of == 0, of == 1, of == 2], [BARS.high[rows], BARS.low[rows] * 0.9, 5 * BARS.open[rows]])
    price = np.where(of > 2, BARS.open[rows], price)
    n = rows.size
    whole = (np.zeros(n), np.full(n, bars.ts.size), BARS.ts[rows] + late)
    columns = [column(values, np.int64) for values in whole]
    return Alerts(*columns, column(price), column(np.full(n, END), np.int64), column(np.ones(n), np.bool_))


def windows_on(bars, mode="next_open", horizon=HORIZON):
    alerts = alerts_on(bars)
    rule = entry_rule(ENTRY[mode], horizon, STEP)
    return alerts, frozen(enter_all(bars, alerts, rule, column(np.full(alerts.ts.size, OK), np.int64)))


def entered(bars, mode="next_open"):
    """Return (numbers of the alerts that are entered, their windows)."""
    _, windows = windows_on(bars, mode)
    numbers = np.flatnonzero(windows.status == OK)
    return numbers, of_rows(windows, numbers)


def events(known, **columns):
    """Return the rows that are ever known."""
    rows = np.asarray(known) != NEVER
    return {KNOWN_MS: np.asarray(known)[rows], **{name: np.asarray(values)[rows] for name, values in columns.items()}}


def entries(mode, later=0):
    def signal(bars):
        numbers, windows = entered(bars, mode)
        return events(windows.ts + later, alert=numbers, price=windows.price, flags=windows.flags, first=windows.first)

    return signal


@pytest.mark.parametrize("mode", ["next_open", "next_high", "bar_close"])
def test_entries(mode):
    assert len(entries(mode)(BARS)[KNOWN_MS]) > 40
    assert first_leak(entries(mode), BARS) is None
    assert first_leak(entries(mode, -STEP), BARS) is not None


def test_the_check_of_an_alert_price_reads_the_candle_it_falls_into_to_its_end():
    assert first_leak(entries("alert_price", STEP), BARS) is None
    assert first_leak(entries("alert_price"), BARS) is not None


def known_exit(trades, windows):
    """Return when the exit of each trade is known: of one at the horizon then, of one at the end of data NEVER."""
    known = np.where(trades["reason"] == REASONS.index("HORIZON"), windows.end, trades["ts"])
    return np.where(trades["reason"] == REASONS.index("END_OF_DATA"), NEVER, known)


def exits(name, intrabar="pessimistic", mode="next_open", later=0):
    def signal(bars):
        numbers, windows = entered(bars, mode)
        policy, rules = policy_of(policies_of([EXITS[name]]), 0), Rules(INTRABAR[intrabar], name == "trail")
        trades, fills = simulate_all(bars, windows, STEP, policy, rules, PAID)
        return events(known_exit(trades, windows) + later, alert=numbers, trade=trades, fills=fills)

    return signal


@pytest.mark.parametrize("intrabar", INTRABAR)
@pytest.mark.parametrize("name", EXITS)
def test_exits(name, intrabar):
    assert len(exits(name, intrabar)(BARS)[KNOWN_MS]) > 30
    assert first_leak(exits(name, intrabar), BARS, cuts=32) is None


@pytest.mark.parametrize("mode", ["next_high", "bar_close"])
def test_exits_after_other_entries(mode):
    assert first_leak(exits("ladder", mode=mode), BARS, cuts=32) is None


@pytest.mark.parametrize("name", ["fixed", "trail", "time"])
def test_an_exit_said_to_be_known_earlier_is_caught(name):
    assert first_leak(exits(name, later=-STEP), BARS) is not None


def test_bounds():
    def signal(bars, later=0):
        numbers, windows = entered(bars)
        known, rows = [], []
        policies = [policy_of(SINGLE, t) for t in range(SINGLE.sl.size)]
        every = [bracket_all(bars, windows, STEP, policy, Rules(), PAID) for policy in policies]
        for t in range(SINGLE.sl.size):
            for a in range(numbers.size):
                window, policy = window_of(bars, windows, a), policy_of(SINGLE, t)
                found = bracket(window, entry_of(windows, a, STEP), policy, Rules(), np.empty(0, NOTE), no_blocks())
                ended = found.bar < window.ts.size
                known.append(window.ts[found.bar] + STEP if ended else windows.end[a])
                paid = every[t][a]["worst"], every[t][a]["best"]
                rows.append((t, numbers[a], found.worst, found.best, found.n_ambiguous, found.first_ambiguous, *paid))
        return events(np.array(known) + later, bound=np.array(rows))

    assert first_leak(signal, BARS, cuts=12) is None
    assert first_leak(lambda bars: signal(bars, -STEP), BARS, cuts=12) is not None


def paths(what, later=0):
    def signal(bars):
        alerts, windows = windows_on(bars)
        rows = np.flatnonzero(windows.status == OK)
        found, touches = measure_all(bars, windows, alerts, STEP, MULTIPLES)
        if what == "window":
            return events(windows.end[rows] + later, alert=rows, path=found[rows], touches=touches[rows])
        if what == "recovery":
            after = found["t_recovery_ms"][rows]
            known = np.where(after == UNDEFINED, NEVER, windows.ts[rows] + after + later)
            return events(known, alert=rows, low=found["dd_initial"][rows], before=found["dd_initial_opt"][rows])
        a, k = np.nonzero((windows.status == OK)[:, None] & touches["hit"])
        hit = touches[a, k]
        known = windows.ts[a] + hit["t_ms"] + later
        return events(known, alert=a, multiple=k, bar=hit["bar"], t_ms=hit["t_ms"], dd_pre=hit["dd_pre"])

    return signal


@pytest.mark.parametrize("what", ["window", "recovery", "touches"])
def test_paths(what):
    assert len(paths(what)(BARS)[KNOWN_MS]) > 30
    assert first_leak(paths(what), BARS) is None
    assert first_leak(paths(what, -STEP), BARS) is not None


def table_exits(later=0):
    """Return a signal: the exits of stops, targets, moving stops and time limits, as a search holds them."""
    moving = [{"trail": {"pct": pct}} for pct in (0.05, 0.1, 0.25)]
    moving += [EXITS["late"] | {"sl": None}, EXITS["breakeven"] | {"sl": None}]
    moves = policies_of([{"tp": []} | each for each in moving])
    bare = (column(np.empty((len(moving), 0))), column(np.empty((len(moving), 0)), np.int64))
    moves = Policies(moves.sl, *bare, *moves[3:])
    time_ms = column([STEP, 20 * STEP - 1, 60 * STEP, NEVER], np.int64)
    axes = Axes(column([0.95, 0.8, 0.5]), column([1.05, 1.25, 2.0]), column(moves.trail_pct[:3]), time_ms)

    def signal(bars):
        numbers, windows = entered(bars)
        index = index_all(bars, windows)
        found = rows_of(bars, windows, STEP, index, axes, moves, Rules(), PAID)
        packed = np.concatenate([found.sl, found.tp, found.moving, found.time])
        kind, a = np.nonzero(packed != NEVER_KEY)
        packed = packed[kind, a]
        row, last = windows.first[a] + (packed >> CANDLE), windows.last[a] - 1
        at_open = np.isin(packed >> KEY & 7, [TIME_UP, STOP_OPEN, TARGET_OPEN])
        known = bars.ts[np.minimum(row, last)] + np.where(at_open, 0, STEP)
        return events(np.where(row > last, windows.end[a], known) + later, kind=kind, alert=numbers[a], exit=packed)

    return signal


def test_exits_of_the_tables():
    assert len(table_exits()(BARS)[KNOWN_MS]) > 300
    assert first_leak(table_exits(), BARS, futures=CLEAN) is None
    assert first_leak(table_exits(-STEP), BARS, futures=CLEAN) is not None


def test_records_of_a_path():
    def signal(bars, later=0):
        numbers, windows = entered(bars)
        index, known, rows = index_all(bars, windows), [], []
        for kind, (at, records) in enumerate(zip(index[::2], index[1::2], strict=True)):
            owner = np.repeat(np.arange(numbers.size), np.diff(at))
            known.append(bars.ts[windows.first[owner] + records["bar"]] + STEP + later)
            prices = [records[name] for name in records.dtype.names[1:]] + [np.zeros(owner.size)] * 2
            rows.append(np.column_stack([np.full(owner.size, kind), numbers[owner], *prices[:4]]))
        return events(np.concatenate(known), record=np.concatenate(rows))

    assert len(signal(BARS)[KNOWN_MS]) > 300
    assert first_leak(signal, BARS, futures=CLEAN) is None
    assert first_leak(lambda bars: signal(bars, -STEP), BARS, futures=CLEAN) is not None


def test_coarser_candles():
    def signal(bars, later=0):
        found, _ = resample(bars, column([0, bars.ts.size], np.int64), 5 * STEP)
        values = {name: getattr(found, name) for name in ("open", "high", "low", "close", "volume")}
        return events(found.ts + 5 * STEP + later, **values)

    assert first_leak(signal, BARS, futures=CLEAN) is None
    assert first_leak(lambda bars: signal(bars, -STEP), BARS, futures=CLEAN) is not None


@pytest.mark.parametrize("engine", ["bars", "tables", "leaps"])
def test_searches(engine):
    def signal(bars, later=0):
        numbers, windows = entered(bars)
        if engine == "bars":
            returns = search_all(bars, windows, STEP, SINGLE, Rules(), PAID)[0].T
        elif engine == "leaps":
            returns = returns_bars(bars, windows, STEP, SINGLE, Rules(), PAID).T
        else:
            returns = returns_tables(bars, windows, STEP, SINGLE, Rules(), PAID)
        known = [
            known_exit(simulate_all(bars, windows, STEP, policy_of(SINGLE, t), Rules(), PAID)[0], windows)
            for t in range(SINGLE.sl.size)
        ]
        t, a = np.indices(returns.shape)
        columns = {"policy": t.ravel(), "alert": numbers[a.ravel()], "ret_q": returns.ravel()}
        return events(np.ravel(known) + later, **columns)

    assert first_leak(signal, BARS, futures=CLEAN, cuts=32) is None
    assert first_leak(lambda bars: signal(bars, -STEP), BARS, futures=CLEAN, cuts=32) is not None


@pytest.mark.parametrize("engine", ["tables", "days", "surface", "medians"])
def test_sums_over_alerts_are_known_when_the_last_window_ends(engine):
    def signal(bars, later=0):
        numbers, windows = entered(bars)
        early = of_rows(windows, np.flatnonzero(numbers < 20))
        if engine == "tables":
            found = tally_tables(bars, early, STEP, SINGLE, Rules(), PAID)
        elif engine == "days":
            days = column((early.ts - BARS.ts[0]) // (40 * STEP), np.int64)
            found = by_day_tables(bars, early, STEP, days, 13, SINGLE, Rules(), PAID)
        else:
            none = policies_of([{}])
            moving = Policies(none.sl, column(np.empty((1, 0))), column(np.empty((1, 0)), np.int64), *none[3:])
            levels = column([0.95, 0.8, 0.5]), column([1.05, 1.25, 2.0])
            limits = column([20 * STEP, NEVER], np.int64)
            found = surface_all(bars, early, STEP, *levels, moving, limits, Rules(), PAID, engine == "medians")
        last = early.end.max(initial=0) + later if early.end.size else NEVER
        return events([last], sums=found.reshape(1, -1))

    assert first_leak(signal, BARS, futures=CLEAN) is None
    assert first_leak(lambda bars: signal(bars, -30 * STEP), BARS, futures=CLEAN) is not None
