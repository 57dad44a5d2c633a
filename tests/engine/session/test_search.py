import math

import pytest
from highwater.engine.session.axes import axis
from highwater.engine.session.search import OBJECTIVES, Work, search, trials_table, work_of
from highwater.engine.session.trials import days_of, made_of
from highwater.io.errors import UsageError
from session_lands import every, land

AXES = (axis("orb.base_minutes=5,10,20"), axis("trade.stop_mode=or_opposite,swing"), axis("trade.t1_r=0.5:1.4:0.1"))


def searched(lands, **more):
    return search(Work(every(), AXES, **({"count": 40, "fewest": 1} | more)), lands, 1, lambda done: None)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_best_come_first(objective):
    found = searched([land(1)], objective=objective)
    scores = [found.metrics[i][OBJECTIVES[objective]] for i in found.order]

    assert sorted(scores, reverse=True) == scores
    assert len(found.trials.ids) == len(scores) > 20


def test_every_configuration_has_its_own_numbers():
    lands = [land(2)]
    found, days = searched(lands, count=12), days_of(lands)

    for config, metrics, sums in zip(found.trials.configs, found.metrics, found.sums, strict=True):
        alone = made_of([land(2)], days, config)
        assert (alone.metrics, alone.sums.tolist()) == (metrics, sums.tolist())


def test_those_with_few_trades_stand_behind():
    found = searched([land(3)])
    trades = sorted(each["total_trades"] for each in found.metrics)
    middle = trades[len(trades) // 2]
    again = searched([land(3)], fewest=middle)
    ordered = [again.metrics[i]["total_trades"] >= middle for i in again.order]

    assert sorted(ordered, reverse=True) == ordered
    assert set(ordered) == {True, False}
    assert [row["enough_trades"] for row in trials_table(again, "r").to_pylist()] == ordered


def test_of_equals_the_first_drawn_is_best():
    same = (axis("scoring.weights.adx=1:5"),)  # ADX is not enabled: nothing changes
    found = search(Work(every(), same, "grid", fewest=1), [land(4)], 1, lambda done: None)

    assert [0, 1, 2, 3, 4] == found.order.tolist()


def test_an_undefined_objective_stands_last():
    wide = (axis("governance.max_signals_per_day=1,2"), axis("orb.max_atr_mult=0.26,1.75"))
    config = every(orb={"enable_validity_filter": True})
    found = search(Work(config, wide, "grid", fewest=0), [land(5)], 1, lambda done: None)
    scores = [found.metrics[i]["expectancy"] for i in found.order]
    some = [each is not None for each in scores]

    assert sorted(some, reverse=True) == some
    assert set(some) == {True, False}


def test_the_table_holds_every_setting_in_its_own_type():
    axes = (axis("governance.time_cutoff=14:30,none"), axis("orb.base_minutes=5,10"), axis("trade.move_be_at_r=none,1"))
    found = search(Work(every(), axes, "grid", fewest=1), [land(6)], 1, lambda done: None)
    table = trials_table(found, "run")
    kinds = {each.name: str(table.schema.field(each.name).type) for each in axes}

    assert {
        "governance.time_cutoff": "string",
        "orb.base_minutes": "int64",
        "trade.move_be_at_r": "int64",
    } == kinds
    assert list(range(1, 9)) == table["rank"].to_pylist()
    assert sorted(found.trials.ids) == sorted(table["trial_id"].to_pylist())
    for row in table.to_pylist():
        i = found.trials.ids.index(row["trial_id"])
        assert found.trials.settings[i] == tuple(row[each.name] for each in axes)
        assert math.isclose(found.metrics[i]["total_r"], row["total_r"])


def test_where_no_configuration_can_be_tried_that_is_an_error():
    early = (axis("governance.time_cutoff=00:01,00:02"),)
    with pytest.raises(UsageError, match="none of 2 configurations can be tried"):
        search(Work(every(), early, "grid"), [land(7)], 1, lambda done: None)


def test_configurations_the_candles_do_not_allow_are_counted_as_refused():
    some = (axis("governance.time_cutoff=00:01,none"),)
    found = search(Work(every(), some, "grid"), [land(7)], 1, lambda done: None)

    assert (1, 1) == (len(found.trials.ids), found.trials.refused)


def test_a_search_is_read_back_from_what_a_manifest_says():
    found = searched([land(8)], objective="sharpe", fewest=3)
    work = work_of(every(), found.work.described())

    assert found.work == work
