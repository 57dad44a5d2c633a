import itertools
import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import small_market
from highwater.engine import surface as room
from highwater.engine.space import to_policies
from highwater.engine.surface import groups, lowest_around, plan, stripes, tallies
from highwater.engine.surface_grid import canonical, coarser, count_of, grid_of, ranges_of
from highwater.engine.tallies import ground
from highwater.engine.values import Range
from highwater.io.errors import LimitError, UsageError
from highwater.kernels.arrays import Windows, column
from highwater.kernels.search import TALLY, search_all, tally_all
from hypothesis import given, settings
from hypothesis import strategies as st

MANY = 10**6
RANGES = {
    "plain": {"tp": (Range(1.05, 3.0, 0.05),), "sl": (Range(0.5, 0.95, 0.05),)},
    "trailing": {
        "tp": (Range(1.1, 2.0, 0.3),),
        "sl": (Range(0.7, 0.9, 0.1),),
        "trail": (Range(0.05, 0.3, 0.05),),
        "time_stop_ms": (Range(1_800_000, 7_200_000, 1_800_000), Range(36_000_000, 36_000_000)),
    },
    "all": {
        "tp": (Range(1.1, 2.0, 0.3),),
        "sl": (Range(0.8, 0.8),),
        "trail": (Range(0.1, 0.2, 0.1),),
        "trail_activate": (Range(1.0, 1.2, 0.1),),
        "breakeven": (Range(1.2, 1.4, 0.2),),
        "breakeven_offset": (Range(-0.05, 0.05, 0.05),),
    },
}


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    return small_market.prepared(tmp_path_factory.mktemp("market"))


def planned(ready, ranges, medians=False, by=None, memory=512 << 20, most=MANY, objective="avg_return_bps"):
    return plan(grid_of(ranges, most), ready, objective, medians, by, memory, most)


def cells_of(there, work):
    """Return TALLY of all cells, and their plateaus."""
    done = []
    parts = list(stripes(there, work, "surface", done.append))

    assert work.grid.cells == done[-1]
    assert [0, *done[:-1]] == [first for first, _, _ in parts]
    return np.concatenate([found for _, found, _ in parts]), np.concatenate([around for *_, around in parts])


def bar_by_bar(ready, work):
    """Return TALLY of all cells, each a policy walked candle by candle."""
    windows = Windows(*(column(part[ready.ok], part.dtype) for part in ready.windows))
    policies = to_policies(work.grid.space, work.grid.drawn(0, work.grid.cells))
    return tally_all(*search_all(ready.slice.candles, windows, ready.step, policies, ready.rules, ready.costs)[:4])


def assert_same(wanted, found, medians=True):
    for name in TALLY.names[: None if medians else -1]:
        np.testing.assert_array_equal(wanted[name], found[name], name)


@pytest.mark.parametrize("medians", [False, True])
@pytest.mark.parametrize("ranges", RANGES.values(), ids=RANGES)
def test_every_cell_is_its_policy_on_every_alert(ready, ranges, medians):
    work = planned(ready, ranges, medians)
    found, _ = cells_of(ground(ready, "tables", 1 << 20, None), work)

    assert_same(bar_by_bar(ready, work), found, medians)
    assert medians != np.isnan(found["median_q"]).all()


@pytest.mark.parametrize("ranges", RANGES.values(), ids=RANGES)
def test_how_the_work_is_cut_changes_nothing(ready, ranges):
    work, there = planned(ready, ranges), ground(ready, "tables", 1 << 20, 1)
    whole = cells_of(there, work)
    for cut in ({"height": 1}, {"height": 3, "widths": 1}, {"height": 2, "widths": 4, "block": 5}, {"block": 1}):
        found, around = cells_of(there, replace(work, **cut))

        assert_same(whole[0], found, medians=False)
        assert whole[1].tolist() == around.tolist()


@pytest.mark.parametrize("medians", [False, True])
@pytest.mark.parametrize("left", [0, 1, 5])
def test_alerts_that_do_not_fit_are_walked_and_added(ready, left, medians, monkeypatch):
    """Whether one alert fits, some or none, and however many cells are walked at a time."""
    monkeypatch.setattr(room, "PIECE", 7)
    work, there = planned(ready, RANGES["trailing"], medians), ground(ready, "tables", 3000, None)
    there = replace(there, fits=np.arange(there.fits.size) < left)
    found = tallies(there, work, 0, work.grid.shape[0])

    assert there.fits.size - left == there.bars
    assert_same(bar_by_bar(ready, work), found.ravel(), medians)


@pytest.mark.parametrize("by", ["caller", "day"])
def test_groups_are_all_alerts_once(ready, by):
    work, there = planned(ready, RANGES["plain"], by=by), ground(ready, "tables", 1 << 20, None)
    parts = groups(there, work)
    whole, _ = cells_of(there, work)
    sums = [cells_of(mine, work)[0] for _, mine in parts]
    rows = [i for i, ok in enumerate(ready.ok) if ok]
    names = {
        "caller": [ready.alerts["caller_name"][i].as_py() for i in rows],
        "day": [str(np.datetime64(int(t), "ms").astype("datetime64[D]")) for t in ready.windows.ts[rows]],
    }[by]

    assert sorted(set(names)) == [str(group.as_py()) for group, _ in parts]
    assert [names.count(str(group.as_py())) for group, _ in parts] == [mine.fits.size for _, mine in parts]
    for name in ("trades", "sum_q", "worst_q", "best_q"):
        np.testing.assert_array_equal(whole[name], sum(each[name] for each in sums))


def test_names_that_differ_in_a_final_nul_are_two_callers(ready):
    names = ["a" if i % 2 else "a\0" for i in range(ready.ok.size)]
    alerts = ready.alerts.set_column(ready.alerts.schema.get_field_index("caller_name"), "caller_name", pa.array(names))
    work = planned(ready, RANGES["plain"], by="caller")
    found = groups(ground(replace(ready, alerts=alerts), "tables", 1 << 20, None), work)

    assert ["a", "a\0"] == [group.as_py() for group, _ in found]


def test_a_plateau_is_the_lowest_of_a_cell_and_its_neighbours():
    rng = np.random.default_rng(3)
    for shape in ((1, 1), (1, 7), (5, 4), (4, 1, 3, 2), (3, 3, 3)):
        sums = rng.integers(-50, 50, shape)
        found = lowest_around(sums)
        for cell in np.ndindex(shape):
            near = (range(max(0, at - 1), min(size, at + 2)) for at, size in zip(cell, shape, strict=True))

            assert min(sums[other] for other in itertools.product(*near)) == found[cell]


def test_a_grid_holds_every_step_and_an_end_that_a_step_meets():
    ranges = {
        "tp": (Range(1.1, 1.45, 0.1),),
        "sl": (Range(0.2, 0.5, 0.1),),
        "time_stop_ms": (Range(60_000, 240_000, 60_000), Range(30_000, 30_000)),
    }
    grid = grid_of(ranges, 100)

    assert [1.1, 1.2, 1.3, 1.4] == grid.values["tp"].tolist()
    assert [0.2, 0.3, 0.4, 0.5] == grid.values["sl"].tolist()
    assert [30_000, 60_000, 120_000, 180_000, 240_000] == grid.values["time_stop_ms"].tolist()
    assert 80 == grid.cells
    assert {"tp": [1.1, 1.1], "sl": [0.2, 0.3], "time_stop_ms": [240_000, 30_000]} == {
        name: values.tolist() for name, values in grid.drawn(4, 2).items()
    }


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 300), st.integers(11, 40), st.sampled_from([1, 2, 5, 10, 25]))
def test_levels_are_the_decimals_they_are_written_as(low, count, step):
    low, high = 1000 + low, 1000 + low + (count - 1) * step
    grid = grid_of({"tp": (Range(low / 1000, high / 1000, step / 1000),), "sl": (Range(0.5, 0.5),)}, 100)

    assert [k / 1000 for k in range(low, high + 1, step)] == grid.values["tp"].tolist()


def test_a_range_without_a_step_has_that_of_a_search():
    grid = grid_of({"tp": (Range(1.1, 2.0),), "sl": (Range(0.5, 0.6),), "trail": (Range(0.1, 0.11),)}, MANY)

    assert (91, 21, 3) == grid.shape


@pytest.mark.parametrize("ranges", RANGES.values(), ids=RANGES)
def test_the_ranges_of_a_config_are_those_that_were_written(ranges):
    written = canonical(ranges)
    read = ranges_of(written)

    assert written == canonical(read)
    assert {name: values.tolist() for name, values in grid_of(ranges, MANY).values.items()} == {
        name: values.tolist() for name, values in grid_of(read, MANY).values.items()
    }


REFUSED = {
    "a target below 1": ({"tp": (Range(0.9, 1.5, 0.1),)}, r"tp must be > 1 .*; got 0\.9"),
    "a target at 1": ({"tp": (Range(1.0, 1.5, 0.1),)}, r"tp must be > 1 .*; got 1"),
    "a stop at 1": ({"sl": (Range(0.5, 1.0, 0.1),)}, r"sl is a multiple of the entry price in \(0,1\); got 1"),
    "a stop at 0": ({"sl": (Range(0.0, 0.9, 0.1),)}, r"sl is a multiple of the entry price in \(0,1\); got 0"),
    "logarithmic": ({"tp": (Range(1.1, 2.0, None, True),)}, r"--tp log:1\.1:2: a surface has even steps; write"),
    "too fine": ({"tp": (Range(1.1, 1.2, 1e-11),)}, r"--tp has the step 1e-11; it must be at least 1e-10"),
    "twice": ({"time_stop_ms": (Range(60_000, 60_000),) * 2}, "--time-stop has 1m twice; name each value once"),
    "an unarmed trail": ({"trail_activate": (Range(1.2, 1.2),)}, "--trail-activate needs --trail"),
    "an offset above": (
        {"breakeven": (Range(1.1, 1.1),), "breakeven_offset": (Range(0.0, 0.2, 0.1),)},
        "an offset must lie below its trigger; keep it below 0.1",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_grid_that_cannot_be_is_refused(case):
    ranges, message = REFUSED[case]
    with pytest.raises(UsageError, match=message):
        grid_of({"tp": (Range(2.0, 2.0),), "sl": (Range(0.5, 0.5),)} | ranges, MANY)


@pytest.mark.parametrize("ranges", [{"tp": (Range(2.0, 2.0),)}, {"sl": (Range(0.5, 0.5),)}])
def test_a_grid_has_targets_and_stops(ranges):
    with pytest.raises(UsageError, match="give --tp and --sl"):
        grid_of(ranges, MANY)


def test_too_many_cells_are_refused_with_a_grid_that_fits():
    ranges = {"tp": (Range(1.1, 1e6, 1e-6),), "sl": (Range(0.2, 0.98, 0.005),)}
    with pytest.raises(LimitError) as caught:
        grid_of(ranges, 50_000_000)

    assert "999,998,900,001 x 157 = 156,999,827,300,157 cells, above the limit of 50,000,000" in str(caught.value)
    assert "--tp 1.1:1000000:10 --sl 0.2:0.98:0.005 fits, or raise it with --max-cells" in str(caught.value)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 5), st.integers(1, 10**5))
def test_the_grid_that_is_proposed_fits(targets, stops, times, most):
    ranges = {
        "tp": (Range(1.1, 1.1 + targets / 100, 0.01),),
        "sl": (Range(0.2, 0.2 + stops / 1000, 0.001),),
        "time_stop_ms": tuple(Range(60_000 * k, 60_000 * k) for k in range(1, times + 1)),
    }
    found = {"--tp": [], "--sl": [], "--time-stop": []}
    for word in coarser(ranges, most).split():
        if word.startswith("--"):
            flag = word
        else:
            low, high, step = map(float, word.split(":")) if ":" in word else (1.0, 1.0, 1.0)
            found[flag].append(math.floor((high - low) / step + 1e-6) + 1)

    assert [1, 1, times] == [len(each) for each in found.values()]
    assert math.prod(sum(each) for each in found.values()) <= max(most, times)
    assert math.prod(sum(each) for each in found.values()) <= count_of(ranges)


def test_the_cut_follows_the_memory(ready):
    ranges = {"tp": (Range(1.05, 3.0, 0.05),), "sl": (Range(0.5, 0.95, 0.001),)}
    heights = [planned(ready, ranges, memory=size).height for size in (800_000, 1_000_000, 1 << 30)]

    assert 1 <= heights[0] < heights[1] < heights[2] == 40


LIMITS = {
    "alerts": ({"memory": 1000}, r"a surface over 19 alerts needs at least .* MiB; .*: raise it with --mem [0-9]+K$"),
    "medians": ({"memory": 1000, "medians": True}, "a surface with medians over 19 alerts needs at least"),
    "a target": (
        {"memory": 800_000, "ranges": {"tp": (Range(2.0, 2.1, 0.1),), "sl": (Range(0.1, 0.9, 0.0001),)}},
        r"a surface of 8,001 combinations with each target needs at least .*: raise it with --mem [0-9]+M, or take",
    ),
}


@pytest.mark.parametrize("case", LIMITS)
def test_work_that_does_not_fit_is_refused_with_what_would_do(ready, case):
    options, message = LIMITS[case]
    with pytest.raises(LimitError, match=message) as caught:
        planned(ready, **({"ranges": RANGES["plain"]} | options))

    size, unit = str(caught.value).split("--mem ")[1].split(",")[0].strip("KM"), 1 << (20 if case == "a target" else 10)
    assert planned(ready, **({"ranges": RANGES["plain"]} | options | {"memory": int(size) * unit})).height >= 1


def test_groups_with_too_many_cells_are_refused(ready):
    work = planned(ready, RANGES["plain"], by="caller", most=900)
    with pytest.raises(LimitError, match=r"400 cells for each of 3 callers are 1,200, above .* --tp .* --sl .* fits"):
        groups(ground(ready, "tables", 1 << 20, None), work)


def test_ranking_by_the_median_wants_medians(ready):
    assert planned(ready, RANGES["plain"], objective="median_return_bps").medians
    assert not planned(ready, RANGES["plain"]).medians
