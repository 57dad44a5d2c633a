import functools

import numpy as np
import pytest
from highwater.io.alerts import read_alerts
from highwater.kernels import axes, packed
from highwater.kernels.arrays import NEVER, Costs, Policies, Rules, costs, of_rows
from highwater.kernels.jit import threads
from highwater.kernels.search import TALLY, search_all, tally_all
from highwater.kernels.tables import NOTES, fits_all, returns_tables, tally_tables
from kernel_market import COMPILED, STEP, frozen, policies_like, policies_of, walks, windows_of
from shared_market import DATA, alerts_on, candle_set, needs_data, windows_on

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in scalar multiply")  # a hash, without JIT
KINDS = ("none", "fixed", "trail", "late", "breakeven", "both")
WALKS = ("random", "long", "tied", "saw")
SUMS = [name for name in TALLY.names if name != "median_q"]
TRIALS = 60 if COMPILED else 10
PAID = costs(30, 50, 1)
RULES = [(Rules(), PAID), (Rules(tp_at_open=True), Costs())]
under_each_rule = pytest.mark.parametrize(("rules", "paid"), RULES, ids=["level", "open"])
HOUR, DAY = 3_600_000, 86_400_000


def assert_as_walked(candles, windows, policies, rules, paid, step=STEP):
    """Hold every sum and every return against the search that walks each trade bar by bar."""
    walked = search_all(candles, windows, step, policies, rules, paid)[:4]
    expected, actual = tally_all(*walked), tally_tables(candles, windows, step, policies, rules, paid)
    for name in SUMS:
        np.testing.assert_array_equal(expected[name], actual[name], name)
    assert np.isnan(actual["median_q"]).all()
    np.testing.assert_array_equal(walked[0].T, returns_tables(candles, windows, step, policies, rules, paid))
    return expected


@pytest.mark.parametrize("name", WALKS)
@pytest.mark.parametrize("kind", KINDS)
@under_each_rule
def test_sums_and_returns_are_those_of_the_walk(name, kind, rules, paid):
    candles, windows = walks(name)
    count = 10 * TRIALS if COMPILED and name == "long" else TRIALS
    found = assert_as_walked(candles, windows, policies_like(kind, count), rules, paid)

    assert fits_all(candles, windows, STEP, paid).all()
    assert found["stop_outs"].any()
    assert found["wins"].any()
    assert not COMPILED or found["ambiguous"].any()


@functools.cache
def real(market, mode):
    """Return (candles, windows, step) of real alerts that were entered and whose returns fit."""
    candles, alerts, horizon = {
        "pump 1m": ("pump_events_binance_1m", "pump_calls_with_candles", 2 * HOUR),
        "pump 15s": ("pump_events_binance_15s", "pump_calls_with_candles", HOUR),
        "pumpfun 1h": ("pumpfun_tokens_usd_1h_2026jul", "pumpfun_launches_with_candles", 5 * DAY),
    }[market]
    found, asked = candle_set(candles), read_alerts(DATA / "alerts" / f"{alerts}.parquet").table
    alerts = alerts_on(found, asked["mint"].to_pylist(), asked["alert_ts_ms"].to_numpy())
    windows = windows_on(found, alerts, mode, horizon)
    fit = fits_all(found.candles, windows, found.interval_ms, PAID)
    return found.candles, of_rows(windows, np.flatnonzero(fit)), found.interval_ms


@pytest.mark.shared_data
@needs_data[1]
@pytest.mark.parametrize("market", ["pump 1m", "pump 15s", "pumpfun 1h"])
@pytest.mark.parametrize("mode", ["next_open", "bar_close"])
def test_real_markets(market, mode):
    candles, windows, step = real(market, mode)

    assert windows.first.size > 150
    for kind in KINDS:
        some = policies_like(kind, 120 if COMPILED else 3, step)
        assert_as_walked(candles, windows, some, *RULES[kind == "both"], step)


# Candles (open, high, low, close) after an entry at 100; exits; then return, worst and best in millionths, whether
# it is ambiguous, and whether a stop sold in the worst order.
TRAIL = {"pct": 0.1}
ALONE = [
    ("one candle", [(100, 100, 100, 100)], {"sl": 0.9}, 0, 0, 0, 0, 0),
    ("stop and target in one candle", [(100, 120, 80, 100)], {"sl": 0.9, "tp": 1.1}, -100000, -100000, 100000, 1, 1),
    ("two stops in one candle", [(100, 100, 80, 100)], {"sl": 0.8, "trail": TRAIL}, -100000, -100000, -100000, 0, 1),
    ("stop at its low", [(100, 100, 90, 95)], {"sl": 0.9}, -100000, -100000, -100000, 0, 1),
    ("target at its high", [(100, 125, 100, 105)], {"tp": 1.25}, 250000, 250000, 250000, 0, 0),
    ("gap under the stop", [(100, 100, 95, 95), (70, 120, 70, 120)], {"sl": 0.9, "tp": 1.1}, *[-300000] * 3, 0, 1),
    ("gap over the target", [(100, 100, 95, 95), (120, 120, 50, 60)], {"sl": 0.9, "tp": 1.1}, *[100000] * 3, 0, 0),
    (
        "time is up before the stop",
        [(100, 100, 95, 95), (70, 120, 70, 120)],
        {"sl": 0.9, "time_ms": STEP},
        *[-300000] * 3,
        0,
        0,
    ),
    ("raised in its own candle", [(100, 120, 100, 100)], {"trail": TRAIL}, 80000, 0, 80000, 1, 1),
    (
        "time is up while some paths hold",
        [(100, 120, 105, 115), (114, 130, 50, 60)],
        {"trail": TRAIL, "time_ms": STEP},
        *(80000, 50000, 140000, 1, 1),
    ),
    (
        "a target after some paths ended",
        [(100, 120, 105, 115), (115, 125, 110, 112)],
        {"trail": TRAIL, "tp": 1.25},
        *(80000, 50000, 250000, 1, 1),
    ),
    (
        "the rest gaps under the trail, and the stop below is too late",
        [(100, 120, 105, 115), (100, 100, 90, 90)],
        {"trail": TRAIL, "sl": 0.95},
        *(80000, 0, 80000, 1, 1),
    ),
    (
        "the rest gaps under the trail, and the target above is too late",
        [(100, 120, 105, 115), (100, 130, 99, 99)],
        {"trail": TRAIL, "tp": 1.25},
        *(80000, 0, 80000, 1, 1),
    ),
    (
        "breakeven in its own candle",
        [(100, 120, 100, 110)],
        {"breakeven": {"trigger": 1.1, "offset": 0.0}, "sl": 0.9},
        *(0, 0, 100000, 1, 1),
    ),
]


@pytest.mark.parametrize("case", ALONE, ids=lambda case: case[0])
def test_one_trade(case):
    _, bars, exits, ret, worst, best, ambiguous, stopped = case
    made = windows_of([([(i * STEP, *map(float, bar), 1.0) for i, bar in enumerate(bars)], 100.0, True)])
    policies = policies_of([exits | ({"tp": [{"mult": exits["tp"]}]} if "tp" in exits else {})])
    found = tally_tables(*made, STEP, policies, Rules(), Costs())[0]

    assert [ret, worst, best] == [found[name] for name in ("sum_q", "worst_q", "best_q")]
    assert [ambiguous, stopped] == [found[name] for name in ("ambiguous", "stop_outs")]
    assert_as_walked(*made, policies, Rules(), Costs())


def climbing_back(count):
    """Return bars of ``count`` new highs, after each of which a trailing stop of 10 % may or may not have sold."""
    bars, peak = [], 100.0
    for i in range(count):
        bars.append((i * STEP, 0.95 * peak if i else 100.0, 1.03 * peak, 0.91 * peak, 0.98 * peak, 1.0))
        peak *= 1.03
    return bars


@pytest.mark.parametrize("count", [1, 2, NOTES - 1, NOTES, NOTES + 1, NOTES + 2, 3 * NOTES])
def test_paths_part_more_often_than_is_noted(count):
    """Stops, targets and time limits that fall on, between and after the candles in which a path can end."""
    after = [(count + k, 100.0 * 1.03**count, 0.93) for k in range(3)]
    bars = climbing_back(count) + [(i * STEP, p * q, p * q, p * q, p * q, 1.0) for i, p, q in after]
    made = windows_of([(bars, 100.0, True)])
    exits = [{"trail": TRAIL}] + [{"trail": TRAIL, "time_ms": k * STEP} for k in range(1, count + 4)]
    exits += [{"trail": TRAIL, "tp": [{"mult": 1.03**k * m}]} for k in range(1, count + 2) for m in (0.99, 1.0, 1.01)]
    exits += [{"trail": {"pct": 0.12}, "sl": s} for s in (0.88, 0.9, 0.91, 0.92)]
    found = assert_as_walked(*made, policies_of(exits), Rules(), Costs())

    assert found["ambiguous"][0]


def many():
    """Return policies of every kind, of more targets and time limits than one tile and more trials than one chunk."""
    some = [policies_like(kind, 240 if COMPILED else 5) for kind in KINDS]
    policies = [np.concatenate(parts) for parts in zip(*some, strict=True)]
    rng = np.random.default_rng(3)
    fine = Policies(*policies)
    tp = np.where(fine.tp < np.inf, 1.01 + rng.integers(0, 200, fine.tp.shape) / 100, np.inf)
    time_ms = np.where(fine.time_ms < NEVER, rng.integers(1, 200, fine.time_ms.size) * STEP // 3, NEVER)
    return frozen(fine._replace(tp=tp, time_ms=time_ms))


def saws(count):
    candles, windows = walks("saw")
    return candles, of_rows(windows, slice(count))


def sums(made, policies):
    """Return int64[T, 9], the sums of ``tally_tables`` without medians."""
    found = tally_tables(*made, STEP, policies, *RULES[0])
    return np.stack([found[name] for name in SUMS], axis=1)


def both(made, policies):
    """Return the bytes of the sums and of the returns."""
    return sums(made, policies).tobytes(), returns_tables(*made, STEP, policies, *RULES[0]).tobytes()


def test_many_tiles():
    policies = many()
    found = axes.axes_of(policies)[0]

    assert not COMPILED or min(found.tp.size, found.time_ms.size) > axes.TILE
    assert_as_walked(*saws(300 if COMPILED else 9), policies, *RULES[0])


def test_one_thread_and_two_agree():
    made, policies = saws(300 if COMPILED else 9), many()
    with threads(1):
        one = both(made, policies), fits_all(*made, STEP, PAID).tobytes()
    with threads(2):
        two = both(made, policies), fits_all(*made, STEP, PAID).tobytes()

    assert one == two


@pytest.mark.parametrize("name", ["blocks", "tiles"])
def test_neither_blocks_nor_tiles_matter(name, monkeypatch):
    made, policies = saws(300 if COMPILED else 9), many()
    expected = both(made, policies)
    for size in (7, 100, 255) if name == "blocks" else (1, 5, 10**6):
        monkeypatch.setattr(*(packed, "TOGETHER") if name == "blocks" else (axes, "TILE"), size)

        assert expected == both(made, policies)


def test_neither_order_nor_company_of_the_policies_matters():
    made, policies = saws(100 if COMPILED else 5), many()
    order = np.random.default_rng(0).permutation(policies.sl.size)
    whole = sums(made, policies)

    np.testing.assert_array_equal(whole[order], sums(made, of_rows(policies, order)))
    np.testing.assert_array_equal(np.tile(whole[order[:50]], (2, 1)), sums(made, of_rows(policies, [*order[:50]] * 2)))
    for t in order[:8]:
        np.testing.assert_array_equal(whole[t : t + 1], sums(made, of_rows(policies, [t])))


def test_sums_of_parts_add_up_and_progress_is_told():
    candles, windows = walks("tied")
    policies, n, told = policies_like("trail", TRIALS), windows.first.size, []
    whole = tally_tables(candles, windows, STEP, policies, *RULES[0], told.append)
    parts = [of_rows(windows, part) for part in (slice(1), slice(1, 33), slice(33, n))]
    each = [tally_tables(candles, part, STEP, policies, *RULES[0]) for part in parts]

    assert [*range(packed.TOGETHER, n, packed.TOGETHER), n] == told
    for name in SUMS:
        np.testing.assert_array_equal(whole[name], sum(part[name] for part in each), name)


def test_no_alerts_and_no_policies():
    candles, windows = walks("saw")
    policies = policies_like("both", 7)
    nobody, nothing = of_rows(windows, slice(0)), of_rows(policies, slice(0))

    assert (7, 0) == returns_tables(candles, nobody, STEP, policies, *RULES[0]).shape
    assert [[0] * len(SUMS)] * 7 == sums((candles, nobody), policies).tolist()
    assert (0, len(SUMS)) == sums((candles, windows), nothing).shape
    assert (0, windows.first.size) == returns_tables(candles, windows, STEP, nothing, *RULES[0]).shape
    assert 0 == fits_all(candles, nobody, STEP, PAID).size


def test_policies_without_a_column_for_targets():
    policies = policies_like("trail", 9)
    bare = frozen(policies._replace(tp=np.empty((9, 0)), frac_bps=np.empty((9, 0), np.int64)))
    unset = frozen(policies._replace(tp=np.full((9, 1), np.inf)))

    assert both(saws(20), unset) == both(saws(20), bare)


def flat(count, price=1.0, last=None):
    """Return (candles, windows) of one window of ``count`` equal candles, the last one's high and close apart."""
    bars = [(i * STEP, price, price, price, price, 1.0) for i in range(count)]
    if last:
        bars[-1] = ((count - 1) * STEP, price, last, price, last, 1.0)
    return windows_of([(bars, price, True)])


HIGHEST = 3_221_225_470  # the largest return in millionths that fits


@pytest.mark.parametrize(("more", "expected"), [(0, True), (1, False), (1e15, False), (1e24, False)])
def test_returns_fit_up_to_the_limit(more, expected):
    made = flat(3, 1e6, 1e6 + HIGHEST + more)

    assert [expected] == fits_all(*made, STEP, Costs()).tolist()
    assert [True] == fits_all(*made, STEP, costs(4999, 4999)).tolist() or more


def test_the_highest_return_that_fits_is_exact():
    made = windows_of([([(0, 1e6, 1e6 + HIGHEST, 1e6, 1e6 + HIGHEST, 1.0)], 1e6, True)] * 600)
    found = assert_as_walked(*made, policies_of([{}, {"sl": 0.5}, {"trail": TRAIL}]), Rules(), Costs())

    assert 600 * HIGHEST == found["sum_q"][0]


@pytest.mark.parametrize(
    ("fixed", "expected"), [(1072.7, True), (1072.741823, True), (1072.741824, False), (2e13, False)]
)
def test_losses_fit_up_to_the_limit(fixed, expected):
    """A whole loss comes to -1 - fixed; 600 of them by stops fill the sums of two blocks to the brim."""
    made = windows_of([([(0, 1.0, 1.0, 2.0**-40, 1.0, 1.0)], 1.0, True)] * 600)
    paid = Costs(1.0, 1.0, fixed)

    assert [expected] * 600 == fits_all(*made, STEP, paid).tolist()
    if expected:
        stops = policies_of([{"sl": 2.0**-39}, {"sl": 0.5, "trail": {"pct": 1 - 2.0**-39}}, {"tp": [{"mult": 2.0}]}])
        assert_as_walked(*made, stops, Rules(), paid)


@pytest.mark.parametrize(("short", "expected"), [(1, True), (0, False)])
def test_candles_fit_up_to_the_limit(short, expected):
    made = flat(packed.MOST_CANDLES - short, 1.0, 4.0)

    assert [expected] == fits_all(*made, STEP, Costs()).tolist()
    if expected and COMPILED:
        late = {"time_ms": (packed.MOST_CANDLES - 2) * STEP}
        exits = [{"tp": [{"mult": 3.0}]}, {"trail": TRAIL, "sl": 0.5}, late, late | {"tp": [{"mult": 3.0}]}]
        assert_as_walked(*made, policies_of(exits), Rules(), Costs())


def test_windows_that_are_not_entered_do_not_fit():
    candles, windows = walks("tied")
    last = windows.last.copy()
    last[::3] = windows.first[::3]
    found = fits_all(candles, frozen(windows._replace(last=last)), STEP, PAID)

    assert not found[::3].any()
    assert found[1::3].all()
