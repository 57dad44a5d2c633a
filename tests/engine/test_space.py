import numpy as np
import pytest
from highwater.engine.policy import Policy, to_arrays
from highwater.engine.space import GRID, Space, canonical, describe, draw, policy_at, rungs_of, space_in, to_policies
from highwater.engine.values import Range
from highwater.io.errors import UsageError

WIDE = Space(
    {
        "tp": Range(1.1, 10.0, None, True),
        "sl": Range(0.3, 0.95),
        "trail": Range(0.05, 0.6),
        "trail_activate": Range(1.0, 3.0, 0.25),
        "breakeven": Range(1.5, 2.0),
        "breakeven_offset": Range(-0.2, 0.3),
        "time_stop_ms": Range(300_000.0, 7_200_000.0, None, True),
    }
)


def ladder(text, **others):
    ranges, shares = rungs_of(text)
    return Space(others | ranges, shares)


LADDER = ladder("1.1:3@50%,1.1:3@30%,1.1:10@20%", sl=Range(0.5, 0.9))


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({"tp": Range(0.8, 2.0)}, "tp must be > 1 (a multiple of the entry price); got 0.8. Did you mean --sl 0.8?"),
        (
            {"sl": Range(30.0, 50.0)},
            "sl is a multiple of the entry price in (0,1); got 30: for a 30% stop use --sl 0.7",
        ),
        ({"sl": Range(0.5, 1.2)}, "Did you mean --tp 1.2?"),
        ({"trail": Range(25.0, 50.0)}, "trail is a fraction in (0,1); got 25. Did you mean 0.25?"),
        ({"trail": Range(0.1, 0.2), "trail_activate": Range(0.5, 2.0)}, "at least 1; got 0.5. Did you mean 1.5?"),
        ({"trail_activate": Range(1.5, 2.0)}, "--trail-activate needs --trail"),
        ({"breakeven_offset": Range(0.0, 0.1)}, "--breakeven-offset needs --breakeven"),
        ({"breakeven": Range(0.5, 2.0)}, "breakeven is a multiple of the entry price above 1; got 0.5"),
        ({"breakeven": Range(1.2, 2.0), "breakeven_offset": Range(0.0, 0.2)}, "keep it below 0.2"),
        ({"time_stop_ms": Range(0.0, 60_000.0)}, "time_ms is a whole number of ms above 0; got 0"),
    ],
)
def test_a_range_outside_a_policys_limits_is_refused_as_the_policy_is(ranges, message):
    with pytest.raises(UsageError) as caught:
        Space(ranges)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.5:3", "must be a range and the share sold there"),
        ("1.5:3@50", "must be a range and the share sold there"),
        ("2@60%,3@60%", "ladder sells 120% of the position (60+60)"),
        ("0.5:2@50%", "tp must be > 1"),
        ("2@0%", "frac_bps is a whole number from 1 to 10000"),
        (",".join(["2@10%"] * 7), "--ladder has 7 rungs; a search takes at most 6"),
        ("3:2@50%", "it must run from low to high"),
        ("2@50%,2@50%", "rungs must ascend, each multiple once; got 2 after 2"),
        ("1.5:2@20%,3@50%,3@30%", "rungs must ascend, each multiple once; got 3 after 3"),
        ("3@50%,2@30%", "rungs must ascend, each multiple once; got 2 after 3"),
        ("5:6@50%,1.1:2@30%", "rungs must ascend, each multiple once; got 2 after 5"),
    ],
)
def test_a_ladder_that_cannot_be_is_refused(text, message):
    with pytest.raises(UsageError) as caught:
        ladder(text)

    assert message in str(caught.value)


@pytest.mark.parametrize("space", [WIDE, LADDER], ids=["wide", "ladder"])
def test_a_trial_is_the_same_however_trials_are_cut(space):
    whole = draw(space, 7, 0, 100)
    for first, count in ((0, 1), (17, 40), (99, 1)):
        part = draw(space, 7, first, count)

        assert {name: values[first : first + count].tolist() for name, values in whole.items()} == {
            name: values.tolist() for name, values in part.items()
        }


@pytest.mark.parametrize("name", ["tp", "sl", "time_stop_ms"])
def test_a_parameter_is_the_same_whatever_else_varies(name):
    alone = draw(Space({name: WIDE.ranges[name]}), 7, 0, 50)

    assert draw(WIDE, 7, 0, 50)[name].tolist() == alone[name].tolist()


def test_another_seed_draws_other_trials():
    assert draw(WIDE, 7, 0, 50)["tp"].tolist() != draw(WIDE, 8, 0, 50)["tp"].tolist()


@pytest.mark.parametrize("name", WIDE.named)
def test_values_lie_on_the_grid_and_reach_its_whole_range(name):
    each = WIDE.ranges[name]
    step = each.step or GRID[name]
    values = draw(WIDE, 1, 0, 4000)[name]
    cells = (values - each.low) / step

    assert pytest.approx(np.round(cells), abs=1e-6) == cells
    assert each.low <= values.min() <= each.low + 0.1 * (each.high - each.low)
    assert each.high >= values.max() >= each.high - 0.1 * (each.high - each.low)


def test_log_ranges_are_even_over_the_logarithm():
    values = draw(Space({"tp": Range(1.1, 110.0, None, True)}), 3, 0, 20_000)["tp"]

    assert pytest.approx(0.5, abs=0.02) == float(np.mean(values < 11.0))


def test_linear_ranges_give_each_grid_value_the_same_chance():
    values, counts = np.unique(draw(Space({"sl": Range(0.5, 0.9, 0.1)}), 3, 0, 10_000)["sl"], return_counts=True)

    assert [0.5, 0.6, 0.7, 0.8, 0.9] == values.tolist()
    assert pytest.approx([2000] * 5, rel=0.1) == counts.tolist()


def test_a_step_that_does_not_divide_the_range_stops_short_of_its_end():
    values = draw(Space({"tp": Range(1.1, 2.0, 0.6), "sl": Range(0.5, 0.75, 0.1)}), 3, 0, 500)

    assert {1.1, 1.7} == set(values["tp"].tolist())
    assert {0.5, 0.6, 0.7} == set(values["sl"].tolist())


def test_one_value_is_fixed():
    space = Space({"tp": Range(2.0, 2.0), "sl": Range(0.5, 0.9)})

    assert {2.0} == set(draw(space, 1, 0, 100)["tp"].tolist())
    assert ("sl",) == space.varied
    assert ("tp", "sl") == space.named


@pytest.mark.parametrize("text", ["1.1:3@50%,1.1:3@30%,1.1:10@20%", "2@25%,2:2.03@25%,2:2.03@25%", "2:4@50%,3@30%"])
def test_rungs_ascend(text):
    space = ladder(text)
    drawn = draw(space, 1, 0, 3000)
    rungs = np.column_stack([drawn[name] for name in space.named])

    assert (np.diff(rungs, axis=1) > 0.005).all()
    for i in range(0, 3000, 500):
        policy_at(space, drawn, i)


@pytest.mark.parametrize("space", [WIDE, LADDER, Space({"sl": Range(0.5, 0.9)})], ids=["wide", "ladder", "stop"])
def test_the_kernels_get_the_policies_that_are_reported(space):
    drawn = draw(space, 5, 0, 40)
    expected, actual = to_arrays([policy_at(space, drawn, i) for i in range(40)]), to_policies(space, drawn)
    width = actual.tp.shape[1]

    for name in expected._fields:
        wanted = getattr(expected, name)
        assert (wanted[:, :width] if wanted.ndim == 2 else wanted).tolist() == getattr(actual, name).tolist(), name
        assert not getattr(actual, name).flags.writeable


def test_a_trailing_stop_without_activation_is_active_from_the_entry_on():
    space = Space({"trail": Range(0.1, 0.1)})

    assert Policy(trail_pct=0.1) == policy_at(space, draw(space, 1, 0, 1), 0)
    assert [1.0] == to_policies(space, draw(space, 1, 0, 1)).activate.tolist()


def test_how_a_space_reads():
    fixed = Space({"tp": Range(2.0, 2.0), "sl": Range(0.5, 0.9), "time_stop_ms": Range(300_000.0, 7_200_000.0)})

    assert "tp 2, sl 0.5 to 0.9, time_stop 5m to 2h" == describe(fixed)
    assert {"low": "1.1", "high": "10.0", "step": "0.01", "scale": "log"} == canonical(WIDE)["ranges"]["tp"]
    assert [5000, 3000, 2000] == canonical(LADDER)["shares_bps"]


@pytest.mark.parametrize("space", [WIDE, LADDER, Space({"time_stop_ms": Range(300_000, 7_200_000)})])
def test_a_space_is_read_back_as_it_was_written(space):
    again = space_in(canonical(space))

    assert canonical(space) == canonical(again)
    assert {name: values.tolist() for name, values in draw(space, 3, 5, 20).items()} == {
        name: values.tolist() for name, values in draw(again, 3, 5, 20).items()
    }


def test_size_counts_the_grid():
    assert 5.0 * 3.0 == Space({"sl": Range(0.5, 0.9, 0.1), "tp": Range(2.0, 3.0, 0.5), "trail": Range(0.1, 0.1)}).size
