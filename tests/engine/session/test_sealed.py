from datetime import date

import numpy as np
import pytest
from highwater.engine.recipe import Clock
from highwater.engine.session.config import parse
from highwater.engine.session.given import Feed, Task, fetch
from highwater.engine.session.prepare import SKIPPED, ready_on
from highwater.engine.session.run import lands_of
from highwater.engine.session.sealed import first_sealed, hold_out, only_held_out
from highwater.engine.session.trials import days_of, made_of
from highwater.engine.settings import Store
from highwater.io.errors import UsageError

MANY = {"scoring": {"enabled": False}, "orb": {"atr_period": 5}}
BTC = {"instruments": {"BTC": {"symbol": "BTC", "calendar": "24/7"}}}


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    task = Task(("SPY", "BTC"), date(2024, 1, 2), date(2024, 2, 10), 60_000, parse(MANY | BTC, "settings"))
    folder = tmp_path_factory.mktemp("runs")
    return task, fetch(task, Feed("synthetic"), Store(runs=folder, quiet=True), None, Clock())


def made(task, given):
    lands = lands_of(task, given)
    days = days_of(lands)
    return made_of(lands, days, task.config), days.names


def test_the_last_days_are_sealed_for_every_symbol(work):
    task, given = work
    held = hold_out(given, 0.25)

    assert date(2024, 1, 31) == first_sealed(given, 0.25)  # 39 days of BTC, 10 of them sealed
    assert all(each.days[-1] < date(2024, 1, 31) for each in held.hours.values())
    for land in lands_of(task, held):
        assert land.ground.bars.ts[-1] < land.ground.hours.close[-1]
    assert given is hold_out(given, 0.0)


def test_both_sides_together_are_all_there_is(work):
    """Up to the seal and from it on: the same trades as without any, and no day twice."""
    task, given = work
    whole, days = made(task, given)
    before, early = made(task, hold_out(given, 0.25))
    after, late = made(task, only_held_out(given, 0.25))

    assert days == early + late and "2024-01-31" == late[0]
    for name in ("entry_timestamp", "realized_r", "symbol"):
        joined = np.concatenate([before.trades[name], after.trades[name]])
        np.testing.assert_array_equal(whole.trades[name], joined)
    assert before.trades["symbol"].size > 10 < after.trades["symbol"].size


def test_what_came_before_the_seal_is_known_and_not_traded(work):
    task, given = work
    (spy, _) = lands_of(task, only_held_out(given, 0.25))
    ready = ready_on(spy.ground, task.config)
    sealed = np.array([day >= date(2024, 1, 31) for day in spy.ground.hours.days])

    assert (ready.ranges.verdict[~sealed] == SKIPPED).all() and (ready.ranges.verdict[sealed] != SKIPPED).all()
    assert np.isfinite(ready.ranges.norm_vol[sealed]).all()
    np.testing.assert_array_equal(sealed, ready.traded)


@pytest.mark.parametrize(("share", "left"), [(0.99, 0), (1.0, 0)])
def test_some_days_must_be_left(share, left, work):
    with pytest.raises(UsageError, match=f"leaves {left} of 39 session days to search"):
        first_sealed(work[1], share)
