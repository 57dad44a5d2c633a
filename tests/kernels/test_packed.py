import numpy as np
import pytest
from highwater.kernels.arrays import BE, HORIZON, SL, TIME, TP, TRAIL, Costs, Rules, column, costs
from highwater.kernels.exits import FILL, micro, net_return, simulate
from highwater.kernels.jit import compiled
from highwater.kernels.packed import (
    BIAS,
    KEY,
    MOST_CANDLES,
    NEVER_KEY,
    RETURN,
    STOP,
    STOP_KNOWN,
    STOP_OPEN,
    STOP_RAISED,
    TARGET,
    TARGET_OPEN,
    TIME_UP,
    TOGETHER,
    latest,
    moving,
    packed,
    returned,
    stopped,
    stops,
    targets,
    times,
    trails,
)
from highwater.kernels.staircase import index_all
from highwater.kernels.walk import entry_of, no_blocks, policy_of, window_of
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_market import COMPILED, STEP, policies_like, policies_of, walks
from random_market import STOPS, TARGETS, WIDTHS

WALKS = ("random", "long", "tied", "saw")
EVENTS = (TIME_UP, STOP_OPEN, TARGET_OPEN, STOP_KNOWN, TARGET, STOP_RAISED)
MIXED = (STOP_OPEN, STOP_KNOWN, STOP_RAISED)
PAID = costs(30, 50, 1)
RULES = [(Rules(), PAID), (Rules(tp_at_open=True), Costs())]
under_each_rule = pytest.mark.parametrize(("rules", "paid"), RULES, ids=["level", "open"])
examples = settings(max_examples=300 if COMPILED else 60, deadline=None)

returns = st.integers(-(2**30), BIAS) | st.integers(-5, 5) | st.sampled_from([-(2**30), BIAS])
exits = st.tuples(st.integers(0, MOST_CANDLES), st.sampled_from(EVENTS), returns)


@examples
@given(exits, exits)
def test_the_smaller_integer_is_the_earlier_exit(one, other):
    """By candle, by what comes first in it, and of the same event the one that pays more."""
    bar, event, ret_q = one
    key = packed(*one)

    assert (ret_q, event in MIXED, bar, event) == (returned(key), stopped(key), key >> KEY + 3, key >> KEY & 7)
    assert 0 <= key < NEVER_KEY
    assert ((bar, event, -ret_q) < (other[0], other[1], -other[2])) == (key < packed(*other))


@examples
@given(exits)
def test_the_best_order_puts_targets_before_a_known_stop_and_moves_nothing_else(one):
    bar, event, ret_q = one
    key = packed(*one)

    assert latest(key) == (packed(bar, STOP_RAISED, ret_q) if event == STOP_KNOWN else key)
    assert latest(NEVER_KEY) == NEVER_KEY
    assert STOP_KNOWN < TARGET < STOP_RAISED


@examples
@given(st.lists(exits, min_size=1, max_size=TOGETHER), st.booleans())
def test_sums_of_the_integers_are_sums_of_returns_and_of_stops(some, fill):
    some = (some * TOGETHER)[:TOGETHER] if fill else some
    total = sum(int(packed(*each)) & ((1 << KEY) - 1) for each in some)

    assert len(some) * BIAS - sum(ret_q for *_, ret_q in some) == total & ((1 << STOP) - 1)
    assert sum(event in MIXED for _, event, _ in some) == total >> STOP
    assert TOGETHER * RETURN < 1 << STOP


@compiled
def rows_of(candles, windows, index, axes, rules, paid):
    """Return int64[A, M], [A, K], [A, W] of ``axes`` (sl, tp, trail_pct) and which of the last are clean."""
    n = windows.first.size
    sl, tp = np.empty((n, axes[0].size), np.int64), np.empty((n, axes[1].size), np.int64)
    trail, clean = np.empty((n, axes[2].size), np.int64), np.empty((n, axes[2].size), np.bool_)
    for a in range(n):
        entry = entry_of(windows, a, STEP)
        stops(index, a, entry, axes[0], paid, sl[a])
        targets(index, a, entry, axes[1], rules.tp_at_open, paid, tp[a])
        trails(index, a, entry, axes[2], paid, trail[a], clean[a])
    return sl, tp, trail, clean


@compiled
def moving_of(candles, windows, index, policies, rules, paid):
    """Return (int64[A, T], bool[A, T]), what ``packed.moving`` says of every policy on every window."""
    shape = windows.first.size, policies.sl.size
    keys, clean = np.empty(shape, np.int64), np.empty(shape, np.bool_)
    for a in range(shape[0]):
        bars, entry = window_of(candles, windows, a), entry_of(windows, a, STEP)
        for t in range(shape[1]):
            keys[a, t], clean[a, t] = moving(index, a, bars, entry, policy_of(policies, t), rules, paid)
    return keys, clean


@compiled
def alone_of(candles, windows, policies, rules, paid):
    """Return int64[6, A, T]: candle, reason, gap, raised, return and doubt of every policy walked bar by bar."""
    out = np.empty((6, windows.first.size, policies.sl.size), np.int64)
    for a in range(out.shape[1]):
        bars, entry = window_of(candles, windows, a), entry_of(windows, a, STEP)
        for t in range(out.shape[2]):
            done = simulate(bars, entry, policy_of(policies, t), rules, np.empty(0, FILL), no_blocks())
            out[0, a, t], out[1, a, t], out[2, a, t], out[3, a, t] = done.bar, done.reason, done.gap, done.raised
            out[4, a, t], out[5, a, t] = micro(net_return(done.gross, entry.price, paid)), done.doubt
    return out


def expected_of(candles, windows, policies, rules, paid):
    """Return (int64[A, T], bool[A, T]), the integer of every trade, NEVER_KEY at the end, and whether it is sure."""
    bar, reason, gap, raised, ret_q, doubt = alone_of(candles, windows, policies, rules, paid)
    event = np.select(
        [reason == TIME, reason == TP, gap == 1, raised == 1],
        [TIME_UP, np.where(gap, TARGET_OPEN, TARGET), STOP_OPEN, STOP_RAISED],
        STOP_KNOWN,
    )
    stop = np.isin(reason, (SL, BE, TRAIL)).astype(np.int64)
    keys = (bar * 8 + event) * 2**KEY + stop * 2**STOP + BIAS - ret_q
    return np.where(reason >= HORIZON, NEVER_KEY, keys), doubt == 0


AXES = [
    sorted({*STOPS, *np.round(np.linspace(0.3, 0.99, 24), 2).tolist(), 0.0}, reverse=True),
    sorted({*TARGETS, *np.round(np.linspace(1.01, 3.0, 24), 2).tolist(), np.inf}),
    sorted({*WIDTHS, *np.round(np.linspace(0.02, 0.6, 24), 2).tolist()}),
]
TIMES = [k * STEP - late for k in (1, 2, 3, 4, 5, 8, 12, 20, 30, 200, 3000) for late in (1, 0)]


@pytest.mark.parametrize("name", WALKS)
@under_each_rule
def test_each_exit_is_that_of_the_rule_alone(name, rules, paid):
    """One stop, one target or one width: candle, event and return, and whether it could be otherwise."""
    candles, windows = walks(name)
    index, axes = index_all(candles, windows), tuple(map(column, AXES))
    *found, clean = rows_of(candles, windows, index, axes, rules, paid)
    alone = [[{"sl": x} for x in AXES[0]], [{"tp": [{"mult": x}]} for x in AXES[1]]]
    alone.append([{"trail": {"pct": x}} for x in AXES[2]])
    for exits, keys in zip(alone, found, strict=True):
        wanted, sure = expected_of(candles, windows, policies_of(exits), rules, paid)

        np.testing.assert_array_equal(wanted, keys)
        assert np.unique(keys >> KEY & 7).size > 1
    np.testing.assert_array_equal(sure, clean)


@pytest.mark.parametrize("name", WALKS)
def test_each_time_limit_is_an_open_or_the_last_close(name):
    candles, windows = walks(name)
    bar, reason, _, _, ret_q, _ = alone_of(candles, windows, policies_of([{"time_ms": t} for t in TIMES]), *RULES[0])
    found = np.empty((windows.first.size, len(TIMES)), np.int64)
    for a in range(windows.first.size):
        bars, entry = window_of(candles, windows, a), entry_of(windows, a, STEP)
        times(bars, entry, column(TIMES, np.int64), PAID, found[a])
    ends = (windows.last - windows.first)[:, None]

    np.testing.assert_array_equal(np.where(reason == TIME, bar, ends), found >> KEY + 3)
    np.testing.assert_array_equal(ret_q, BIAS - (found & RETURN))
    assert not (found >> STOP & 15).any()


@pytest.mark.parametrize("name", WALKS)
@pytest.mark.parametrize("kind", ["trail", "late", "breakeven", "both"])
@under_each_rule
def test_each_stop_that_moves_is_that_of_the_rule_alone(name, kind, rules, paid):
    candles, windows = walks(name)
    some = policies_like(kind, (400 if name == "long" else 60) if COMPILED else 8)
    nothing = column(np.zeros(some.sl.size))
    never = column(np.full(some.sl.size, 2**62), np.int64)
    stops_alone = some._replace(sl=nothing, time_ms=never, tp=column(np.full(some.tp.shape, np.inf)))
    keys, clean = moving_of(candles, windows, index_all(candles, windows), stops_alone, rules, paid)
    wanted, sure = expected_of(candles, windows, stops_alone, rules, paid)

    np.testing.assert_array_equal(wanted, keys)
    np.testing.assert_array_equal(sure, clean)
    assert clean.any()
    assert not clean.all()
