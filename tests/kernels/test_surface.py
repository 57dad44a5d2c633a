import functools
import random
from itertools import pairwise

import numpy as np
import pytest
from highwater.io.alerts import read_alerts
from highwater.kernels import surface
from highwater.kernels.arrays import NEVER, OK, Policies, Rules, Windows, column, costs
from highwater.kernels.jit import threads
from highwater.kernels.search import TALLY, search_all, tally_all
from highwater.kernels.surface import surface_all
from highwater.kernels.tables import fits_all
from kernel_market import COMPILED, STEP, enter_each, frozen, long_bars, market_of
from random_market import random_alert, random_bars
from shared_market import DATA, alerts_on, candle_set, windows_on

SEEDS = range(60 if COMPILED else 6)
COSTS = [costs(), costs(30, 50), costs(100, 0, 7)]
PAID = COSTS[1]
FIELDS = TALLY.names or ()  # the last is median_q
OFF = (0.0, np.inf, np.inf, 0.0)  # a moving stop that never is: trail_pct, activate, be_trigger, be_offset


def moving(*rows):
    """Return moving stops, each (trail_pct, activate, be_trigger, be_offset)."""
    pct, activate, trigger, offset = np.array(rows, float).T
    empty = np.empty((len(rows), 0))
    parts = np.zeros(len(rows)), empty, empty.astype(np.int64), trigger, offset, pct, activate
    return Policies(*(column(part, part.dtype) for part in parts), column(np.full(len(rows), NEVER), np.int64))


def trails(*pct):
    """Return trailing stops that are armed at the entry."""
    return moving(*((each, 1.0, np.inf, 0.0) for each in pct))


NO_STOP = moving(OFF)


def every(sl, tp, stops, time_ms):
    """Return the policy of every cell, in the order of TALLY[N, D, K, M]."""
    v, d, k, m = (x.ravel() for x in np.indices((stops.sl.size, time_ms.size, tp.size, sl.size)))
    parts = sl[m], tp[k][:, None], np.full((k.size, 1), 10_000), stops.be_trigger[v], stops.be_offset[v]
    parts = *parts, stops.trail_pct[v], stops.activate[v], time_ms[d]
    return Policies(*(column(part, part.dtype) for part in parts))


def surfaced(market, grid, rules=Rules(), paid=PAID, step=STEP, medians=False):  # noqa: B008
    return surface_all(*market, step, *grid, rules, paid, medians)


def check(market, grid, rules=Rules(), paid=PAID, step=STEP):  # noqa: B008
    """Return a surface, every cell of it held against its policy walked bar by bar."""
    medians = market[1].first.size > 0 and not rules.tp_at_open
    found = surfaced(market, grid, rules, paid, step, medians)
    wanted = tally_all(*search_all(*market, step, every(*grid), rules, paid)[:4]).reshape(found.shape)
    for name in FIELDS[: None if medians else -1]:
        np.testing.assert_array_equal(wanted[name], found[name], name)
    return found


def gridded(sl, tp, stops=NO_STOP, time_ms=(NEVER,)):
    """Return (sl, tp, moving, time_ms) in the orders of the kernel."""
    return column(np.sort(sl)[::-1]), column(np.sort(tp)), stops, column(np.sort(time_ms), np.int64)


def fitting(candles, windows, paid=costs(), step=STEP):  # noqa: B008
    """Return the windows that the kernel takes: entered, and not too far from their entry price."""
    kept = (windows.status == OK) & fits_all(candles, windows, step, paid)
    return Windows(*(column(part[kept], part.dtype) for part in windows))


@functools.cache
def small_market(seed):
    """Return (candles, windows) of a few short series on a coarse grid of prices."""
    rng, cases = random.Random(seed), []
    for _ in range(rng.randint(1, 30)):
        bars = random_bars(rng, STEP) if rng.random() < 0.8 else long_bars(rng, rng.randint(30, 400))
        alert = random_alert(rng, bars, STEP) | {"horizon_ms": rng.choice([1, 5, 60, 400]) * STEP}
        cases.append({"bars": bars, "interval_ms": STEP, "alert": alert})
    return opened(cases)


def opened(cases):
    """Return (candles, windows) of the cases whose alerts are entered."""
    market = market_of(cases)
    return market.candles, fitting(market.candles, frozen(enter_each(market)))


def random_grid(rng):
    """Return (sl, tp, moving, time_ms): levels that the price grid meets, levels between, and their neighbours."""
    sl = rng.sample([0.5, 0.75, 0.8, 0.9, 0.97, 0.25, *(rng.uniform(0.05, 0.99) for _ in range(6))], rng.randint(1, 9))
    tp = rng.sample(
        [1.05, 1.1, 1.2, 1.25, 1.5, 2.0, 3.0, *(1 + rng.expovariate(2) for _ in range(6))], rng.randint(1, 9)
    )
    sl += [np.nextafter(sl[0], rng.choice([0, 1]))] * rng.randint(0, 1)
    tp += [np.nextafter(tp[0], rng.choice([1, 9]))] * rng.randint(0, 1)
    kind, widths = rng.random(), sorted(rng.sample([0.02, 0.05, 0.1, 0.25, 0.5, rng.random()], rng.randint(1, 3)))
    if kind < 0.3:
        stops = NO_STOP
    elif kind < 0.6:
        stops = trails(*widths)
    else:
        late, trigger = rng.choice([1.0, 1.1, 1.25, 2.0]), rng.choice([np.inf, 1.1, 1.2, 1.5])
        offset = 0.0 if trigger == np.inf else rng.choice([0.0, 0.05, -0.1, trigger / 2 - 0.5])
        stops = moving(*((each, late, trigger, offset) for each in widths), (0.0, np.inf, 1.2, 0.05))
    times = rng.sample([STEP, 2 * STEP, 5 * STEP - 1, 12 * STEP, 100 * STEP, NEVER], rng.randint(1, 3))
    return gridded(sl, tp, stops, times)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_cell_is_its_policy_walked_bar_by_bar(seed):
    rng, market = random.Random(seed), small_market(seed)
    for _ in range(4):
        check(market, random_grid(rng), Rules(tp_at_open=rng.random() < 0.3), rng.choice(COSTS))


def series(*paths, mode="next_open"):
    """Return (candles, windows) of one alert on each path; a path lists (open, high, low, close) from the entry on."""
    alert = {"alert_ts": 0, "mode": mode, "alert_price": None, "latency_ms": 0, "horizon_ms": 500 * STEP}
    alert |= {"interval_ms": STEP, "max_entry_delay_ms": None, "coverage_end_ms": None}
    bars = [[(k * STEP, *map(float, bar), 1.0) for k, bar in enumerate(path)] for path in paths]
    return opened([{"bars": each, "interval_ms": STEP, "alert": alert} for each in bars])


WAVE = [(100, 106, 97, 104), (104, 112, 101, 103), (108, 121, 96, 99), (97, 103, 79, 81), (76, 99, 70, 95)]
SL, TP = [0.97, 0.96, 0.9, 0.81, 0.8, 0.79, 0.76, 0.7], [1.01, 1.04, 1.06, 1.08, 1.12, 1.2, 1.21, 1.3]
MOVING = moving((0.1, 1, np.inf, 0), (0.04, 1.06, np.inf, 0), (0.0, np.inf, 1.06, 0.0), (0.2, 1.12, 1.04, -0.02))
PATHS = {
    "one candle": [(100, 130, 60, 90)],
    "all equal": [(100, 100, 100, 100)] * 5,
    "levels on opens, highs and lows": WAVE,
    "gaps over everything": [(100, 101, 99, 100), (150, 160, 140, 150), (50, 60, 40, 50), (200, 210, 10, 20)],
    "a target and a stop in one candle, the stop raised there": [(100, 101, 100, 100), (100, 120, 85, 110)],
    "the same, and on": [(100, 101, 100, 100), (100, 104, 96, 103), (103, 120, 98, 118), (118, 119, 60, 61)],
    "every candle raises the stop": [(100 + k, 104 + k, 96 + k, 101 + k) for k in range(40)],
    "highs and lows grow": [(100, 101 + k, 99 - k, 100) for k in range(60)],
}


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e12, 2.0**-20])
@pytest.mark.parametrize("mode", ["next_open", "bar_close"])
@pytest.mark.parametrize("path", PATHS)
def test_paths_that_meet_levels_exactly(path, mode, scale):
    bars = [[price * scale for price in bar] for bar in PATHS[path]]
    for stops in (NO_STOP, trails(0.03, 0.04, 0.1, 0.2), MOVING):
        for rules in (Rules(), Rules(tp_at_open=True)):
            check(series(bars, mode=mode), gridded(SL, TP, stops, [STEP, 2 * STEP, 3 * STEP + 1, NEVER]), rules)


def test_a_stop_and_a_trailing_stop_at_one_price():
    """The higher of two stops sells; of two equal ones either, but the candle is one of two prices all the same."""
    market = series([(100, 100, 100, 100), (100, 112, 89, 89)], mode="bar_close")
    found = check(market, gridded([0.9], [1.1], trails(0.1)), paid=costs())

    assert (-100_000, 100_000, 1) == tuple(found[0, 0, 0, 0][name] for name in ("sum_q", "best_q", "ambiguous"))


@pytest.mark.parametrize("paid", COSTS)
def test_levels_whose_rounding_hangs_on_the_entry_price(paid):
    """A return of 10000.5 millionths is 10000 or 10001, by the last bit of the product of price and level."""
    rng, tp, sl = random.Random(5), [1.0100005, 1.02, 1.0300015, 1.5], [0.9900005, 0.98, 0.9700005]
    prices, shapes = [rng.uniform(1, 2) for _ in range(60)], [(1.6, 0.995), (1.005, 0.5), (1.6, 0.5)]
    market = series(*([(x, x * high, x * low, x)] for x in prices for high, low in shapes))
    found = check(market, gridded(sl, tp), paid=paid)
    check(market, gridded(sl, tp, MOVING, [STEP, NEVER]), paid=paid)
    sold = found["gain_q"][0, 0, :, 0], found["loss_q"][0, 0, 0] / 2

    assert 180 == market[1].first.size
    if paid == costs():
        assert [True, False, True, False] == [bool(q % 60) for q in sold[0]]
        assert [True, False, True] == [bool(q % 60) for q in sold[1]]


def part(values, rows):
    return type(values)(*(column(each[rows], each.dtype) for each in values))


def test_a_part_of_the_grid_is_that_part_of_the_surface():
    market, (sl, tp, stops, times) = small_market(7), random_grid(random.Random(7))
    stops, times = MOVING, gridded(sl, tp, stops, [STEP, 5 * STEP, NEVER])[3]
    whole = surfaced(market, (sl, tp, stops, times))
    for k, m, v, d in zip(*([slice(0, 1), slice(1, 3), slice(2, None)] for _ in range(4)), strict=True):
        found = surfaced(market, (column(sl[m]), column(tp[k]), part(stops, v), column(times[d], np.int64)))

        assert whole[v, d, k, m].tobytes() == found.tobytes()


def test_surfaces_of_some_alerts_add_up():
    (candles, windows), grid = small_market(7), random_grid(random.Random(7))
    whole, cuts = surfaced((candles, windows), grid), [0, 3, 4, windows.first.size]
    parts = [surfaced((candles, part(windows, slice(*cut))), grid) for cut in pairwise(cuts)]

    assert windows.first.size > 5
    for name in FIELDS[:-1]:
        np.testing.assert_array_equal(whole[name], sum(each[name] for each in parts), name)


@pytest.mark.parametrize("seed", [1, 2, 4, 7])
def test_neither_threads_nor_stripes_matter(seed, monkeypatch):
    market, grid, found = small_market(seed), random_grid(random.Random(seed)), []
    for count, size in ((1, surface.STRIPE), (2, surface.STRIPE), (2, 1)):
        monkeypatch.setattr(surface, "STRIPE", size)
        with threads(count):
            found.append(surfaced(market, grid, medians=market[1].first.size > 0).tobytes())

    assert found[0] == found[1] == found[2]


def test_widths_read_off_the_index_and_widths_walked_are_the_same():
    """Widths that do not ascend are walked one by one."""
    market, widths = small_market(7), (0.02, 0.05, 0.1, 0.25, 0.5)
    sl, tp, _, times = random_grid(random.Random(7))
    up, down = (surfaced(market, (sl, tp, trails(*each), times)) for each in (widths, widths[::-1]))

    assert up.tobytes() == down[::-1].tobytes()


def test_nobody_trades():
    candles, windows = small_market(7)
    found = surfaced((candles, part(windows, slice(0))), gridded(SL, TP, MOVING), medians=True)

    assert (4, 1, 8, 8) == found.shape
    assert not any(found[name].any() for name in FIELDS[:-1])
    assert np.isnan(found["median_q"]).all()


REAL = {
    "pump 1m": ("pump_events_binance_1m", "pump_calls_with_candles", 120),
    "pump 15s": ("pump_events_binance_15s", "pump_calls_with_candles", 60),
    "pumpfun 1h": ("pumpfun_tokens_usd_1h_2026jul", "pumpfun_launches_with_candles", 120),
}


@functools.cache
def real_market(name):
    """Return ((candles, windows), interval) of real alerts; horizons in minutes of the table, in hours for launches."""
    candles, alerts, minutes = REAL[name]
    found, table = candle_set(candles), read_alerts(DATA / "alerts" / f"{alerts}.parquet").table
    asked = alerts_on(found, table["mint"].to_pylist(), table["alert_ts_ms"].to_pylist())
    windows = windows_on(found, asked, "next_open", minutes * max(found.interval_ms, 60_000))
    return (found.candles, fitting(found.candles, windows, PAID, found.interval_ms)), found.interval_ms


@pytest.mark.shared_data
@pytest.mark.skipif(not DATA.is_dir(), reason="the market data are not beside this checkout")
@pytest.mark.parametrize("name", REAL)
def test_real_alerts_in_every_cell(name):
    market, step = real_market(name)
    count = 30 if COMPILED else 4
    sl, tp = np.round(np.linspace(0.3, 0.99, count), 3), np.round(np.geomspace(1.01, 6, count), 3)
    for stops in (NO_STOP, trails(0.01, 0.05, 0.1, 0.3), MOVING):
        check(market, gridded(sl, tp, stops, [7 * step, 60 * step, NEVER]), step=step)

    assert market[1].first.size > 100
