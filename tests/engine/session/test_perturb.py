import pytest
from highwater.engine.session.axes import changed, names
from highwater.engine.session.perturb import SHARES, numeric, perturbed, table_of
from highwater.engine.session.trials import days_of, made_of
from session_lands import every, land

LANDS = [land(1), land(2, symbol="QQQ")]


def expectancy(config):
    return made_of(LANDS, days_of(LANDS), config).metrics["expectancy"]


def test_a_change_is_that_of_the_expectancy():
    found = {each.name: each for each in perturbed(every(), LANDS, ["trade.runner_r", "orb.base_minutes"], 2)}
    base = expectancy(every())
    runner = [expectancy(changed(every(), {"trade.runner_r": 2.0 * (1 + share)})) - base for share in SHARES]
    minutes = [expectancy(changed(every(), {"orb.base_minutes": m})) - base for m in (8, 9, 11, 12)]

    assert runner == list(found["trade.runner_r"].changes)
    assert minutes == list(found["orb.base_minutes"].changes)
    assert sum(map(abs, runner)) / 4 == pytest.approx(found["trade.runner_r"].mean)
    assert any(runner)


def test_whole_numbers_move_by_one_at_least():
    (found,) = perturbed(every(), LANDS, ["governance.max_signals_per_day"], 1)
    base = expectancy(every())
    wanted = [expectancy(every(governance={"max_signals_per_day": n})) - base for n in (4, 4, 6, 6)]

    assert wanted == list(found.changes)


def test_what_the_settings_refuse_is_none():
    (found,) = perturbed(every(), LANDS, ["trade.t2_r"], 1)  # between t1_r 1 and runner_r 2
    (highest,) = perturbed(every(orb={"base_minutes": 60}), LANDS, ["orb.base_minutes"], 1)

    assert all(each is not None for each in found.changes)
    assert [True, True, False, False] == [each is not None for each in highest.changes]
    assert highest.mean == pytest.approx(sum(abs(each) for each in highest.changes if each is not None) / 2)


def test_only_numbers_other_than_zero_are_moved():
    found = numeric(every(governance={"max_daily_loss_r": 2.0}), list(names()))

    assert {"trade.t1_r", "governance.max_daily_loss_r", "orb.base_minutes"} <= set(found)
    assert not {"trade.be_buffer", "trade.partials", "trade.stop_mode", "governance.time_cutoff"} & set(found)


def test_the_table_has_what_matters_most_first():
    found = table_of(perturbed(every(), LANDS, list(names()), 2), "run").to_pylist()
    means = [row["mean_abs_change"] for row in found if row["mean_abs_change"] is not None]

    assert sorted(means, reverse=True) == means
    assert list(range(1, len(found) + 1)) == [row["rank"] for row in found]
    assert means[0] > 0
