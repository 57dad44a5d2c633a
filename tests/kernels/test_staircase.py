import random
from fractions import Fraction

import numba
import numpy as np
import pytest
from highwater.kernels.arrays import INTRABAR, NEVER, OK, Policies, Rules, column, of_rows
from highwater.kernels.bounds import NOTE, bracket
from highwater.kernels.exits import FILL, simulate
from highwater.kernels.jit import compiled, threads
from highwater.kernels.staircase import fallen, first_event, index_all, leap, peak_before, reached, sunk
from highwater.kernels.walk import entry_of, no_blocks, policy_of, window_of
from kernel_market import COMPILED, STEP, frozen, policies_like, policies_of, random_trades, walks, windows_of
from random_market import random_exits

WALKS = ("random", "long", "tied", "saw")
RULES = [Rules(intrabar, tp_at_open) for intrabar in INTRABAR.values() for tp_at_open in (False, True)]
RULES.append(Rules(legacy=True))
NEAR = Fraction(1) + Fraction(1, 2**49)  # of a fall this near to the deepest it may be kept or not
each_walk = pytest.mark.parametrize("name", WALKS)


def some_of(name, count):
    """Return (candles, windows) of ``count`` windows of a population, spread over it."""
    candles, windows = walks(name)
    n = windows.first.size
    return candles, of_rows(windows, np.unique(np.linspace(0, n - 1, count if COMPILED else 5).astype(np.int64)))


def steps_of(index, a):
    """Return the records (high, low, fall) of window ``a``."""
    ats = index.high_at, index.low_at, index.fall_at
    kept = index.high, index.low, index.fall
    return [records[at[a] : at[a + 1]] for at, records in zip(ats, kept, strict=True)]


def running(values, start, above):
    """Return the places of the values at or beyond ``start`` that are beyond all before."""
    places, extreme = [], None
    for k, value in enumerate(values):
        beyond = extreme is None or (value > extreme if above else value < extreme)
        if beyond and (value >= start if above else value <= start):
            places.append(k)
        extreme = value if beyond else extreme
    return places


def depths(highs, lows, price):
    """Return [(peak before, peak, low / peak as a fraction)] of each candle."""
    peaks = [max(highs[:k], default=0.0) for k in range(len(highs) + 1)]
    peaks = [max(price, peak) for peak in peaks]
    return [(peaks[k], peaks[k + 1], Fraction(lows[k]) / Fraction(peaks[k + 1])) for k in range(len(lows))]


def same(expected, actual):
    """Return whether two lists of floats are equal, NaN equal to NaN."""
    return np.array_equal(expected, actual, equal_nan=True)


@each_walk
def test_records_are_those_of_the_path(name):
    candles, windows = some_of(name, 5 if name == "long" else 200)
    index = index_all(candles, windows)
    for a in range(windows.first.size):
        bars, price = window_of(candles, windows, a), float(windows.price[a])
        opens, highs, lows = (array.tolist() for array in (bars.open, bars.high, bars.low))
        opens[0] = np.nan if windows.fresh[a] else opens[0]
        high, low, fall = steps_of(index, a)
        falls, at = depths(highs, lows, price), fall["bar"].tolist()

        assert running(highs, price, True) == high["bar"].tolist()
        assert running(lows, price, False) == low["bar"].tolist()
        assert set(running([ratio for *_, ratio in falls], 1, False)) <= set(at)
        assert all(falls[k][2] <= NEAR * min(ratio for *_, ratio in falls[: k + 1]) for k in at)
        assert [(falls[k][0], falls[k][1]) for k in at] == list(zip(fall["before"], fall["peak"], strict=True))
        assert sorted(set(at)) == at
        for records, prices in ((high, highs), (low, lows), (fall, lows)):
            assert [prices[k] for k in records["bar"]] == records["price"].tolist()
            assert same([opens[k] for k in records["bar"]], records["open"])


def first_or(found, end):
    """Return the first True of ``found``, or ``end``."""
    places = np.flatnonzero(found)
    return int(places[0]) if places.size else end


def beside(values):
    """Return each value and the floats next to it."""
    values = np.asarray(values)
    return np.concatenate([values, np.nextafter(values, 0.0), np.nextafter(values, np.inf)]).tolist()


def bar_of(records, at, e, end):
    """Return the candle of record ``at``, ``end`` where there is none."""
    return end if at == e else int(records["bar"][at])


@each_walk
def test_levels_are_first_met_at_their_record(name):
    """Levels from the entry price on, as every target and stop fixed at entry is; any width of a trailing stop."""
    rng = random.Random(name)
    candles, windows = some_of(name, 30 if name == "long" else 150)
    index = index_all(candles, windows)
    for a in range(windows.first.size):
        bars, price = window_of(candles, windows, a), windows.price[a]
        end, (high, low, fall) = bars.ts.size, steps_of(index, a)
        peaks = np.maximum(price, np.maximum.accumulate(bars.high))
        for level in rng.choices([x for x in beside([*bars.high, price * 1.25]) if x >= price] or [price], k=12):
            at = reached(index.high, index.high_at[a], index.high_at[a + 1], level)

            assert first_or(bars.high >= level, end) == bar_of(index.high, at, index.high_at[a] + high.size, end)
        for level in rng.choices([x for x in beside([*bars.low, price * 0.8]) if x <= price] or [price], k=12):
            at = sunk(index.low, index.low_at[a], index.low_at[a + 1], level)

            assert first_or(bars.low <= level, end) == bar_of(index.low, at, index.low_at[a] + low.size, end)
        for keep in rng.choices([x for x in beside([*(bars.low / peaks), 0.9]) if x < 1], k=12):
            at = fallen(index.fall, index.fall_at[a], index.fall_at[a + 1], keep)

            assert first_or(bars.low <= peaks * keep, end) == bar_of(index.fall, at, index.fall_at[a] + fall.size, end)


def near_ties(seed):
    """Return bars whose lows all fall from new highs by one width, give or take a rounding or two."""
    rng, peak, bars = random.Random(seed), 100.0, []
    keep = rng.uniform(0.4, 0.95)
    for i in range(rng.choice([3, 10, 60])):
        peak *= 1 + rng.choice([0.0, 1e-15, 1e-9, 0.01]) * rng.random()
        low = peak * keep
        for _ in range(rng.randint(0, 2)):
            low = np.nextafter(low, rng.choice([0.0, np.inf]))
        bars.append((i * STEP, peak, peak, float(low), peak, 1.0))
    return keep, bars


def test_near_ties_of_falls_are_told_apart():
    """The state machine compares a low with a rounded product; in that order near ties need not descend."""
    made = [near_ties(seed) for seed in range(300 if COMPILED else 30)]
    candles, windows = windows_of([(bars, 100.0, False) for _, bars in made])
    index, firsts = index_all(candles, windows), set()
    for a, (keep, _) in enumerate(made):
        bars = window_of(candles, windows, a)
        peaks = np.maximum(100.0, np.maximum.accumulate(bars.high))
        for k in [keep, *(keep * (1 + i * 2.0**-53) for i in range(-8, 9))]:
            at = fallen(index.fall, index.fall_at[a], index.fall_at[a + 1], k)
            firsts.add(first_or(bars.low <= peaks * k, -1))

            assert first_or(bars.low <= peaks * k, -1) == bar_of(index.fall, at, index.fall_at[a + 1], -1)
    assert len(firsts) > 10


@each_walk
def test_the_peak_before_a_candle(name):
    candles, windows = some_of(name, 60)
    index = index_all(candles, windows)
    for a in range(windows.first.size):
        bars, price = window_of(candles, windows, a), windows.price[a]
        for k in {0, 1, bars.ts.size // 2, bars.ts.size - 1, bars.ts.size}:
            assert max([price, *bars.high[:k]]) == peak_before(index, a, price, k)


def test_windows_that_are_not_entered_own_no_records():
    _, market, windows, _ = random_trades()
    index = index_all(market.candles, windows)
    is_ok = windows.status == OK
    alone = index_all(market.candles, of_rows(windows, np.flatnonzero(is_ok)))

    assert not is_ok.all()
    for name in ("high", "low", "fall"):
        counts = np.diff(getattr(index, f"{name}_at"))

        assert not counts[~is_ok].any()
        assert np.diff(getattr(alone, f"{name}_at")).tolist() == counts[is_ok].tolist()
        assert getattr(alone, name).tobytes() == getattr(index, name).tobytes()


def bytes_of(index):
    return [part.tobytes() for part in index]


@each_walk
def test_neither_threads_nor_their_parts_matter(name, monkeypatch):
    candles, windows = walks(name)
    with threads(1):
        expected = bytes_of(index_all(candles, windows))
    for parts in (2, 3, 7):
        monkeypatch.setattr(numba, "get_num_threads", lambda parts=parts: parts)
        assert expected == bytes_of(index_all(candles, windows))


def test_the_index_of_nothing():
    candles, windows = walks("tied")
    index = index_all(candles, of_rows(windows, slice(0)))

    assert [[0], 0] * 3 == [part.tolist() if part.dtype == np.int64 else part.size for part in index]


@compiled
def changed(candles, windows, index, policies, rules):
    """Return how many trades end otherwise when they leap to the first event, the first of them, and those that leap.

    Every scalar of ``simulate`` and of ``bracket``, each fill and each note.
    """
    wrong, first_a, first_t, leapt = 0, -1, -1, 0
    for a in range(windows.first.size):
        bars, entry = window_of(candles, windows, a), entry_of(windows, a, STEP)
        for t in range(policies.sl.size):
            policy = policy_of(policies, t)
            fills, notes = np.zeros((2, policy.tp.size + 1), FILL), np.zeros((2, 4), NOTE)
            there = leap(index, a, entry, policy, bars.ts)
            one = simulate(bars, entry, policy, rules, fills[0], no_blocks())
            two = simulate(bars, there, policy, rules, fills[1], no_blocks())
            equal = one == two
            equal &= bracket(bars, entry, policy, rules, notes[0], no_blocks()) == bracket(
                bars, there, policy, rules, notes[1], no_blocks()
            )
            for k in range(one.n_fills):
                equal &= fills[0, k]["bar"] == fills[1, k]["bar"] and fills[0, k]["price"] == fills[1, k]["price"]
                equal &= fills[0, k]["frac_bps"] == fills[1, k]["frac_bps"] and fills[0, k]["gap"] == fills[1, k]["gap"]
                equal &= fills[0, k]["reason"] == fills[1, k]["reason"]
            for k in range(4):
                equal &= notes[0, k]["bar"] == notes[1, k]["bar"] and notes[0, k]["worst"] == notes[1, k]["worst"]
                equal &= notes[0, k]["best"] == notes[1, k]["best"]
            leapt += there.start > 0
            if not equal:
                wrong += 1
                first_a, first_t = (a, t) if wrong == 1 else (first_a, first_t)
    return wrong, first_a, first_t, leapt


def laddered(count):
    """Return ``Policies`` of up to three rungs and every other feature."""
    rng = random.Random(11)
    return policies_of([random_exits(rng, STEP) for _ in range(count)])


@each_walk
@pytest.mark.parametrize("kind", ["rungs", "none", "fixed", "trail", "late", "breakeven", "both"])
def test_a_trade_from_its_first_event_is_the_whole_trade(name, kind):
    count = (300 if name == "long" else 16) if COMPILED else 3
    policies = laddered(count) if kind == "rungs" else policies_like(kind, count)
    candles, windows = walks(name)
    index = index_all(candles, windows)
    for rules in RULES:
        wrong, a, t, leapt = changed(candles, windows, index, policies, rules)

        assert (0, -1, -1) == (wrong, a, t), rules
        assert leapt


@pytest.mark.parametrize("kind", ["rungs", "fixed", "trail", "late", "breakeven", "both"])
def test_a_trade_leaps_over_all_that_cannot_change_it(kind):
    """The first event by its definition, rule by rule, from the whole columns."""
    candles, windows = walks("long")
    policies = laddered(40) if kind == "rungs" else policies_like(kind, 40)
    index = index_all(candles, windows)
    for a in range(windows.first.size):
        bars, entry = window_of(candles, windows, a), entry_of(windows, a, STEP)
        peaks = np.maximum(entry.price, np.maximum.accumulate(bars.high))
        for t in range(policies.sl.size):
            policy = policy_of(policies, t)
            events = (bars.ts >= entry.ts + policy.time_ms) | (bars.low <= entry.price * policy.sl)
            events |= bars.high >= entry.price * policy.be_trigger
            if policy.tp.size:
                events |= bars.high >= entry.price * policy.tp[0]
            if policy.activate > 1.0:
                events |= bars.high >= entry.price * policy.activate
            else:
                events |= bars.low <= peaks * (1.0 - policy.trail_pct)

            assert first_or(events, bars.ts.size) == first_event(index, a, entry, policy, bars.ts)


def test_entries_of_every_kind_leap_alike():
    """Entered at an open, at a high, at a close or at the alert's own price, whatever the status of the others."""
    _, market, windows, _ = random_trades()
    rows = np.flatnonzero(windows.status == OK)
    entered = frozen(of_rows(windows, rows))
    index = index_all(market.candles, entered)

    assert {True, False} == set(entered.fresh.tolist())
    assert {0, 1, 2, 3} == set(market.entering.mode[rows].tolist())
    assert (0, -1, -1) == changed(market.candles, entered, index, laddered(6 if COMPILED else 2), Rules())[:3]


def test_a_policy_without_any_rule_leaps_to_the_end():
    candles, windows = walks("long")
    one = policies_of([{}])
    bare = Policies(*one[:1], column(np.empty((1, 0))), column(np.empty((1, 0)), np.int64), *one[3:])
    index = index_all(candles, windows)
    for a in range(windows.first.size):
        bars, entry = window_of(candles, windows, a), entry_of(windows, a, STEP)
        for policies in (one, bare):
            there = leap(index, a, entry, policy_of(policies, 0), bars.ts)

            assert (bars.ts.size, max(entry.price, bars.high.max())) == (there.start, there.peak)
            assert NEVER == policies.time_ms[0]
