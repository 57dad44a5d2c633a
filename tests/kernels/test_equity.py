"""Metrics against the plain oracle are in tests/engine/traces/test_performance; here are the edges by name."""

import math

import numpy as np
import pytest
from highwater.kernels.arrays import Rules, candles, column, costs, policy
from highwater.kernels.equity import METRIC, Traces, measure, measure_all, ratio
from highwater.kernels.jit import threads
from highwater.kernels.mirror import reflected
from highwater.kernels.positions import Exits, Taking, market_of, room_for, walk
from highwater.kernels.signals import changes

HOUR = 3_600_000


def hours(*closes, step=HOUR):
    """Return candles an hour apart; each opens at the close before and has no range of its own."""
    opens = [closes[0], *closes[:-1]]
    rows = [(o, max(o, c), min(o, c), c) for o, c in zip(opens, closes, strict=True)]
    return candles(np.arange(len(rows)) * step, *np.array(rows, float).T)


def given_of(bars, exits=None, fill="next_open", fee=0.0, step=HOUR):
    long = exits or policy()
    taking = Taking(fill == "signal_close", True, exits is not None, step, Rules(), costs(fee))
    return market_of(bars), Exits(long, reflected(long)), taking


def measured(signal, bars, **how):
    """Return (metrics as a dict, daily returns, equity at the end by the trades) of one signal."""
    market, exits, taking = given_of(bars, **how)
    idx, val = changes(np.array(signal, np.int8))
    room = room_for(idx.size, market, exits, taking)
    n = walk(column(idx, np.int32), column(val, np.int8), market, exits, taking, room)
    out, daily = np.empty(1, METRIC), np.full(market.day_ends.size, math.nan)
    measure(room.positions[:n], room.fills, market, taking, daily, out[0])
    end = float(np.prod(1 + room.positions["ret"][:n]))
    return dict(zip(METRIC.names, out[0].item(), strict=True)), daily, end


def some_market(n=2000, seed=1):
    rng = np.random.default_rng(seed)
    return hours(*(100 * np.exp(np.cumsum(rng.normal(0, 0.01, n))))), rng


@pytest.mark.parametrize("fill", ["next_open", "signal_close"])
@pytest.mark.parametrize(
    "exits", [None, policy(0.98, [1.01, 1.03], [3000, 7000], 0.015), policy(time_ms=5 * HOUR)], ids=str
)
def test_the_days_multiply_up_to_the_trades(exits, fill):
    bars, rng = some_market()
    found, daily, end = measured(rng.integers(-1, 2, 2000), bars, exits=exits, fill=fill, fee=2.0)

    assert pytest.approx(float(np.prod(1 + daily)), rel=1e-12) == 1 + found["total_return"]
    assert pytest.approx(end, rel=1e-12) == 1 + found["total_return"]
    assert 84 == daily.size
    assert found["num_trades"] > 500


def test_a_position_is_marked_net_of_leaving_it():
    """Entered at 100 in hour 1; 10 bps a side are gone at the first close already, and again at none."""
    found, daily, _ = measured([1] * 26, hours(*[100] * 24, 110, 110), fee=10.0)
    paid = 0.999 / 1.001

    assert pytest.approx([paid - 1, 1.1 - 1]) == daily.tolist()
    assert pytest.approx(1.1 * paid - 1) == found["total_return"]
    assert pytest.approx(paid - 1) == found["max_drawdown"]
    assert pytest.approx(110 * 0.999 - 100 * 1.001) == found["total_pnl"]


def test_flat_days_count():
    signal = [0] * 24 + [1] * 23 + [0] * 49
    found, daily, _ = measured(signal, hours(*[100] * 24, *range(101, 125), *[124] * 48))
    expected = np.array([0.0, 124 / 101 - 1, 0.0, 0.0])
    sharpe = expected.mean() / expected.std(ddof=1) * math.sqrt(252)

    assert pytest.approx(expected, abs=1e-15) == daily
    assert pytest.approx(sharpe) == found["sharpe"]


def test_a_drawdown_is_measured_from_the_start_and_inside_a_trade():
    held = [1] * 6
    fall, back = (
        measured(held, hours(100, 100, 80, 60, 90, 100))[0],
        measured(held, hours(100, 100, 150, 75, 90, 150))[0],
    )

    assert pytest.approx(-0.4) == fall["max_drawdown"]
    assert pytest.approx(-0.5) == back["max_drawdown"]
    assert (0.0, 1) == (fall["total_return"], fall["num_trades"])


def test_a_short_that_loses_all_is_over():
    """Sold at 100 and bought back at 250; what was made before and after does not matter any more."""
    signal = [1, 1, -1, -1, 1, 1, 1]
    found, daily, end = measured(signal, hours(50, 50, 100, 100, 250, 500, 500, step=12 * HOUR))

    assert (-1.0, -1.0, 3) == (found["total_return"], found["max_drawdown"], found["num_trades"])
    assert end < 0
    assert [0.0, 1.0, -1.0] == daily[:3].tolist()
    assert [True, True] == [math.isnan(daily[3]), math.isnan(found["sharpe"])]


def test_a_short_that_comes_back_is_not_over():
    found = measured([-1] * 6, hours(100, 100, 300, 300, 90, 50))[0]

    assert (0.5, -1.0) == (found["total_return"], found["max_drawdown"])


def test_nothing_traded():
    found = measured([0, 0, 0], hours(100, 101, 102))[0]
    undefined = {name for name, value in found.items() if math.isnan(value)}

    assert {"win_rate", "expectancy", "profit_factor", "sharpe", "sharpe_trade", "avg_bars_held"} == undefined
    assert {0} == {value for name, value in found.items() if name not in undefined}


def test_nothing_lost_has_no_profit_factor():
    found = measured([1, 1, 0, 1, 1, 0], hours(*range(100, 106)))[0]

    assert math.isnan(found["profit_factor"])
    assert (1.0, 2) == (found["win_rate"], found["num_trades"])


def test_exposure_and_time_held():
    found = measured([0, 1, 1, -1, 0, 0, 0, 0], hours(*[100] * 8))[0]

    assert (3 / 8, 1.5) == (found["exposure_time"], found["avg_bars_held"])


def test_returns_that_differ_by_rounding_have_no_ratio():
    assert math.isnan(ratio(column([0.1, 0.1 + 1e-16, 0.1])))
    assert math.isnan(ratio(column([0.1])))
    assert math.isnan(ratio(column([0.1, math.nan, 0.2])))
    assert pytest.approx(0.2 / 0.1) == ratio(column([0.1, 0.2, 0.3]))


@pytest.mark.parametrize("exits", [None, policy(0.99, [1.02], trail_pct=0.02)], ids=["none", "some"])
def test_many_traces_are_each_by_itself_on_any_number_of_threads(exits):
    bars, rng = some_market(500)
    market, both, taking = given_of(bars, exits)
    signals = [rng.integers(-1, 2, 500) for _ in range(7)] + [np.zeros(500), np.repeat([1, -1], 250)]
    rows = [changes(signal.astype(np.int8)) for signal in signals]
    starts = np.cumsum([0, *(idx.size for idx, _ in rows)])
    idx, val = (np.concatenate(part) for part in zip(*rows, strict=True))
    traces = Traces(column(starts, np.int64), column(idx, np.int32), column(val, np.int8))
    alone = [measured(signal, bars, exits=exits)[0] for signal in signals]
    with threads(1):
        once = measure_all(traces, market, both, taking)
    with threads(2):
        again = measure_all(traces, market, both, taking)

    assert once.tobytes() == again.tobytes()
    np.testing.assert_array_equal([tuple(row.values()) for row in alone], [row.item() for row in once])


def test_no_traces_at_all():
    nothing = Traces(column([0], np.int64), column([], np.int32), column([], np.int8))
    market, both, taking = given_of(hours(100, 101))
    with threads(1):
        found = measure_all(nothing, market, both, taking)

    assert (0, METRIC) == (found.size, found.dtype)
