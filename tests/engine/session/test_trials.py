from datetime import date

import numpy as np
import pytest
from highwater.engine.session.axes import axis, drawn
from highwater.engine.session.metrics import merged, metrics_of
from highwater.engine.session.prepare import ready_on
from highwater.engine.session.trials import by_day, days_of, made_by_all, made_of
from highwater.engine.session.walk import walk
from highwater.io.errors import UsageError
from session_lands import every, land

AXES = [axis("trade.t1_r=0.5:1.4:0.1"), axis("trade.stop_mode=or_opposite,swing"), axis("orb.base_minutes=5,10,20")]


def walked(lands, config):
    return [walk(each.symbol, ready_on(each.ground, config, each.skip), config, each.point_value) for each in lands]


@pytest.mark.parametrize("seed", range(4))
def test_a_configuration_makes_what_a_run_of_it_does(seed):
    lands, config = [land(seed), land(seed + 9, 40, "QQQ", point_value=5.0)], every(backtest={"fee_bps": 2.0})
    days = days_of(lands)
    found = made_of(lands, days, config)
    trades = merged([each.trades for each in walked(lands, config)])

    assert found.metrics["total_trades"] > 20
    assert metrics_of(trades, len(days.names), 100_000.0) == pytest.approx(found.metrics, rel=1e-12)
    assert trades["realized_r"].tolist() == found.trades["realized_r"].tolist()
    assert [days.names[i] for i in found.trades["day"]] == trades["day"].tolist()


def test_r_by_day_is_that_of_the_trades_in_whole_millionths():
    lands, config = [land(2), land(3, symbol="QQQ")], every()
    days = days_of(lands)
    found = made_of(lands, days, config)
    wanted = [0] * len(days.names)
    for each in walked(lands, config):
        for day, r in zip(each.trades["day"], each.trades["realized_r"].tolist(), strict=True):
            wanted[days.names.index(day)] += round(r * 10**6)

    assert wanted == found.sums.tolist()
    assert found.sums.dtype == np.int64


def test_the_days_are_those_on_which_some_symbol_has_candles():
    one, other = land(2, 14), land(12, 14, "QQQ")
    found = days_of([one, other])
    have = {day for each in (one, other) for day, s in zip(each.ground.hours.days, each.ground.some, strict=True) if s}

    assert sorted(day.isoformat() for day in have) == list(found.names)
    for each, numbers in zip((one, other), found.numbers, strict=True):
        named = [found.names[i] if i >= 0 else None for i in numbers]
        assert [day.isoformat() if day in have else None for day in each.ground.hours.days] == named


def test_days_left_out_are_not_traded():
    config, whole = every(), land(4)
    skip = np.arange(whole.ground.first.size) % 2 == 0
    found = made_of([land(4, skip=skip)], days_of([whole]), config)
    odd = {whole.ground.hours.days[i].isoformat() for i in np.flatnonzero(~skip)}

    assert {days_of([whole]).names[i] for i in found.trades["day"]} <= odd
    assert 0 < found.trades["day"].size


@pytest.mark.parametrize("threads", [2, 3])
def test_any_number_of_threads_makes_the_same(threads):
    lands, config = [land(5)], every()
    configs = drawn(config, AXES, "random", 40, 3).configs
    days = days_of(lands)
    one, many = (made_by_all(lands, days, configs, count) for count in (1, threads))

    assert [each.metrics for each in one] == [each.metrics for each in many]
    assert [each.sums.tolist() for each in one] == [each.sums.tolist() for each in many]


def test_the_shared_ground_changes_nothing():
    config = every()
    shared, days = [land(6)], days_of([land(6)])
    configs = drawn(config, AXES, "random", 30, 4).configs
    found = made_by_all(shared, days, configs, 1)

    for config, each in zip(configs, found, strict=True):
        assert made_of([land(6)], days, config).sums.tolist() == each.sums.tolist()


def test_what_the_candles_do_not_allow_makes_nothing():
    lands = [land(7)]
    early = every(governance={"time_cutoff": "00:01"})
    with pytest.raises(UsageError, match="not after the open"):
        made_of(lands, days_of(lands), early)

    assert [None, True] == [each and True for each in made_by_all(lands, days_of(lands), [early, every()], 1)]


def test_how_long_a_trade_was_held():
    lands = [land(8)]
    held, flat = (
        made_of(lands, days_of(lands), every(governance={"flatten_at_session_end": flat})).held
        for flat in (False, True)
    )

    assert 0 == flat
    assert held > 0


def test_by_day():
    assert [1_500_000, 0, -250_000] == by_day({"day": np.array([0, 2, 0])}, np.array([1.0, -0.25, 0.5]), 3).tolist()


def test_days_are_named_by_iso_dates():
    assert date.fromisoformat(days_of([land(1)]).names[0])
