import dataclasses

import numpy as np
import pytest
import small_market
from highwater.engine import luck
from highwater.engine.cluster import spread
from highwater.engine.cluster.job import job_of
from highwater.engine.space import canonical, draw, to_policies
from highwater.engine.surface import plan as plan_surface
from highwater.engine.surface import stripes
from highwater.engine.surface_grid import canonical as grid_form
from highwater.engine.surface_grid import grid_of
from highwater.engine.sweep import Choices, plan, search
from highwater.engine.tallies import ground
from highwater.engine.values import Range
from lone_crew import TRIALS, Alone, searching

RANGES = {"tp": (Range(1.1, 1.7, 0.1),), "sl": (Range(0.5, 0.9, 0.1),), "trail": (Range(0.1, 0.3, 0.1),)}


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    return small_market.prepared(tmp_path_factory.mktemp("market"))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(spread, "ALERTS", 7)


def rows(parts):
    """Return each trial of a stream: its parameters, its columns, its sum."""
    found = []
    for drawn, columns, sums in parts:
        given = {n: np.ma.filled(np.ma.asarray(v, float), -1.5).tolist() for n, v in columns.items() if v is not None}
        found += list(zip(*given.values(), *(v.tolist() for v in drawn.values()), sums.tolist(), strict=True))
    return found


@pytest.mark.parametrize(("engine", "medians"), [("tables", "top"), ("bars", "top"), ("tables", "all")])
def test_trials_are_those_of_one_process(ready, engine, medians):
    work, there, manned = searching(ready, engine, medians)
    told = []
    expected, found = (
        rows(search(there, work, lambda _: None)),
        rows(spread.search(manned, work, told.append, 0, TRIALS)),
    )
    alerts = {tuple(item.given["rows"]) for item in manned.crew.done}

    assert TRIALS == len(expected)
    assert expected == found
    assert work.pairs == told[-1]
    assert (1 if medians == "all" else -(-work.alerts // 7)) == len(alerts)
    assert len(manned.crew.done) >= 3 * len(alerts) or len(alerts) > 1


def test_a_stretch_of_trials_and_an_empty_one(ready):
    work, there, manned = searching(ready)
    expected = rows(search(there, work, lambda _: None, 13, 40))

    assert expected == rows(spread.search(manned, work, lambda _: None, 13, 40))
    assert [] == list(spread.search(manned, work, lambda _: None, 5, 5))


@pytest.mark.parametrize("medians", [False, True])
@pytest.mark.parametrize("height", [7, 2])
def test_cells_are_those_of_one_process(ready, medians, height):
    grid = grid_of(RANGES, 1000)
    work = dataclasses.replace(
        plan_surface(grid, ready, "avg_return_bps", medians, None, 512 << 20, 1000), height=height
    )
    there = ground(ready, "tables", work.memory, 1)
    config = {"surface": grid_form(RANGES), "objective": "avg_return_bps", "medians": medians, "by": None}
    manned = dataclasses.replace(there, crew=Alone(job_of(there, config, work)))
    for here, far in zip(
        stripes(there, work, "surface", lambda _: None), stripes(manned, work, "surface", lambda _: None), strict=True
    ):
        assert here[0] == far[0]
        for name in here[1].dtype.names:
            np.testing.assert_array_equal(here[1][name], far[1][name])
        np.testing.assert_array_equal(here[2], far[2])

    assert {item.what for item in manned.crew.done} == {"cells"}


@pytest.mark.parametrize("blind", [TRIALS, TRIALS - 11])
def test_luck_is_that_of_one_process(tmp_path_factory, monkeypatch, blind):
    import day_market
    from highwater.engine import best

    monkeypatch.setattr(best, "RESAMPLES", 50)
    monkeypatch.setattr(best, "RANKED", 9)
    ready = day_market.prepared(tmp_path_factory.mktemp("days"))
    space = day_market.SPACE
    work = plan(space, TRIALS, 3, "avg_return_bps", (), ready, 512 << 20, 10**9, Choices("tables"))
    there = ground(ready, "tables", work.memory, 1)
    config = {"search": {"space": canonical(space), "trials": TRIALS, "seed": "3"}, "medians": "top"}
    manned = dataclasses.replace(there, crew=Alone(job_of(there, config, work), workers=2))

    def policies(first, count):
        return to_policies(space, draw(space, 3, first, count))

    given = TRIALS, policies, policies(0, 20), lambda _: None, blind, np.array([0, 88, 41])
    here, far = luck.luck_of(there, *given), luck.luck_of(manned, *given)
    for field in dataclasses.fields(here):
        one, other = getattr(here, field.name), getattr(far, field.name)
        same = one.tobytes() == other.tobytes() if isinstance(one, np.ndarray) else repr(one) == repr(other)

        assert same, field.name

    assert len(manned.crew.done) == 8
    assert None is manned.crew.done[0].given["floor"]
    assert manned.crew.done[-1].given["floor"] > 0
