import pytest
from highwater.engine.session.axes import Axis, axis, beside, changed, drawn, names, value_of
from highwater.engine.session.config import Config
from highwater.io.errors import UsageError

T1, MINUTES = axis("trade.t1_r=0.5:1.25:0.25"), axis("orb.base_minutes=10,15,30")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("trade.t1_r=0.5:1.5:0.25", (0.5, 0.75, 1.0, 1.25, 1.5)),
        ("trade.t1_r=0.1:0.3:0.1", (0.1, 0.2, 0.3)),
        ("trade.t1_r=0.5:0.9:0.25", (0.5, 0.75)),
        ("governance.max_signals_per_day=1:4", (1, 2, 3, 4)),
        ("governance.max_signals_per_day=2:6:2", (2, 4, 6)),
        ("orb.base_minutes=10,15,30", (10, 15, 30)),
        ("trade.stop_mode=swing,atr_capped", ("swing", "atr_capped")),
        ("factors.vwap.enabled=true,false", (True, False)),
        ("governance.time_cutoff=11:30,none", ("11:30", None)),
        ("governance.time_cutoff=11:30", ("11:30",)),
        ("trade.move_be_at_r=none,1", (None, 1)),
    ],
)
def test_values_of_a_setting(text, values):
    found = axis(text)

    assert text.partition("=")[0] == found.name
    assert values == found.values
    assert [type(value) for value in values] == [type(value) for value in found.values]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("t1_r=1:2", "unknown setting 't1_r'; did you mean 'trade.t1_r'?"),
        ("trade.t1r=1:2", "unknown setting 'trade.t1r'; did you mean 'trade.t1_r'?"),
        ("name=a,b", "unknown setting 'name'; such as"),
        ("zzz=1", "unknown setting 'zzz'; such as trade.t1_r=0.5:1.5:0.25"),
        ("trade.t1_r", "needs values"),
        ("trade.t1_r=", "needs values"),
        ("trade.t1_r=0.5:1.5", "needs a step: trade.t1_r=0.5:1.5:0.1"),
        ("trade.t1_r=2:1:0.5", "from the lower to the higher"),
        ("trade.t1_r=1:2:0", "a step above 0"),
        ("trade.t1_r=1.2.3:2:1", "no range of numbers"),
        ("trade.t1_r=0:1000000:0.1", "10,000,001 values; at most 1,000,000"),
        ("trade.t1_r=1,1", "names a value twice"),
        ("trade.t1_r=-1:1:0.5", "trade.t1_r is -1.0; it must be greater than 0"),
        ("orb.base_minutes=10,100", "orb.base_minutes is 100; it must be less than or equal to 60"),
        ("trade.stop_mode=wide", "trade.stop_mode is 'wide'; it must be 'or_opposite', 'swing' or 'atr_capped'"),
        ("governance.time_cutoff=noon", "must be a local time such as 13:30"),
    ],
)
def test_what_cannot_be_is_refused(text, words):
    with pytest.raises(UsageError, match="--param") as refused:
        axis(text)

    assert words in str(refused.value)


def test_the_settings_are_those_of_the_strategy():
    found = list(names())

    assert {"orb.base_minutes", "factors.adx.period", "scoring.weights.rel_vol", "governance.time_cutoff"} <= set(found)
    assert {"orb", "buffers", "factors", "scoring", "trade", "governance"} == {name.split(".")[0] for name in found}


def test_a_change_leaves_the_others():
    found = changed(Config(), {"trade.t1_r": 0.75, "factors.vwap.enabled": True})

    assert (0.75, True, 1.5) == tuple(
        value_of(found, name) for name in ("trade.t1_r", "factors.vwap.enabled", "trade.t2_r")
    )
    assert Config() == changed(found, {"trade.t1_r": 1.0, "factors.vwap.enabled": False})


def test_a_change_that_cannot_be_is_refused():
    with pytest.raises(UsageError, match=r"t1_r 1\.6 must be below t2_r 1\.5"):
        changed(Config(), {"trade.t1_r": 1.6})


def test_a_grid_is_every_combination_in_order():
    found = drawn(Config(), [T1, MINUTES], "grid", None, 1)

    assert [(r, m) for r in (0.5, 0.75, 1.0, 1.25) for m in (10, 15, 30)] == list(found.settings)
    assert (12, 0, 0) == (found.asked, found.refused, found.repeated)
    assert [(row[0], row[1]) for row in found.settings] == [
        (each.trade.t1_r, each.orb.base_minutes) for each in found.configs
    ]


def test_a_grid_larger_than_asked_is_refused():
    with pytest.raises(UsageError, match="the grid has 12 configurations, more than 11"):
        drawn(Config(), [T1, MINUTES], "grid", 11, 1)


def test_what_the_settings_refuse_is_counted_and_left_out():
    found = drawn(Config(), [axis("trade.t1_r=1:2:0.5")], "grid", None, 1)  # t2_r is 1.5

    assert ((1.0,),) == found.settings
    assert (3, 2, 0) == (found.asked, found.refused, found.repeated)


def test_where_all_are_refused_that_is_an_error():
    with pytest.raises(UsageError, match="refuse all 2 configurations"):
        drawn(Config(), [axis("trade.t1_r=2,3")], "grid", None, 1)


def test_random_trials_are_the_same_however_many_and_whatever_else_is_varied():
    few = drawn(Config(), [MINUTES, T1], "random", 8, 7)
    many = drawn(Config(), [axis("governance.max_signals_per_day=1:9"), MINUTES, T1], "random", 200, 7)
    of_many = {i: row[1:] for i, row in zip(many.ids, many.settings, strict=True)}

    assert len(few.ids) > 3
    for i, row in zip(few.ids, few.settings, strict=True):
        assert of_many.get(i, row) == row
    assert few == drawn(Config(), [MINUTES, T1], "random", 8, 7)
    assert few.settings != drawn(Config(), [MINUTES, T1], "random", 8, 8).settings


def test_every_value_is_drawn_about_as_often():
    wide = Axis("governance.max_signals_per_day", tuple(range(1, 11)))
    found = drawn(
        Config(), [Axis("scoring.weights.adx", tuple(i / 1000 for i in range(1000))), wide], "random", 3000, 1
    )
    counts = [sum(row[1] == value for row in found.settings) for value in wide.values]

    assert 230 < min(counts) <= max(counts) < 370


def test_a_configuration_drawn_again_is_tried_once():
    found = drawn(Config(), [MINUTES], "random", 50, 1)

    assert 3 == len(set(found.settings)) == len(found.settings)
    assert (50, 0, 47) == (found.asked, found.refused, found.repeated)


def test_the_neighbours_are_one_step_away_in_one_setting():
    found = beside(Config(), [T1, MINUTES], (0.5, 15))

    assert [(0.75, 15), (0.5, 10), (0.5, 30)] == [(each.trade.t1_r, each.orb.base_minutes) for each in found]
