import dataclasses

import numpy as np
import pytest
import small_market
from highwater.engine import luck
from highwater.engine.cluster import spread, worker
from highwater.engine.cluster.job import job_of, opened, spec_of
from highwater.engine.space import Space, canonical, draw, to_policies
from highwater.engine.surface import plan as plan_surface
from highwater.engine.surface import stripes
from highwater.engine.surface_grid import canonical as grid_form
from highwater.engine.surface_grid import grid_of
from highwater.engine.sweep import Choices, plan, search
from highwater.engine.tallies import ground
from highwater.engine.values import Range
from highwater.io.errors import IntegrityError

TRIALS = 90
SPACE = Space({"tp": Range(1.1, 3.0, None, True), "sl": Range(0.5, 0.95), "trail": Range(0.1, 0.4)})
RANGES = {"tp": (Range(1.1, 1.7, 0.1),), "sl": (Range(0.5, 0.9, 0.1),), "trail": (Range(0.1, 0.3, 0.1),)}


class Alone:
    """A crew of nobody but this process; ``done`` holds what it did."""

    def __init__(self, job, workers=3):
        self.job, self.workers, self.done = job, workers, []
        worker.take(job.digest, job.message, 1)

    def each(self, items, advance):
        trades = 0
        for item in items:
            self.done.append(item)
            trades += item.trades
            advance(trades)
            yield worker.do(self.job.digest, item.what, item.given)["found"]


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    return small_market.prepared(tmp_path_factory.mktemp("market"))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(spread, "ALERTS", 7)


def searching(ready, engine="tables", medians="top"):
    """Return the plan of a search, its ground, and the same ground with a crew."""
    work = plan(SPACE, TRIALS, 3, "avg_return_bps", (), ready, 512 << 20, 10**9, Choices(engine, medians))
    there = ground(ready, work.engine, work.memory, 1)
    config = {"search": {"space": canonical(SPACE), "trials": TRIALS, "seed": "3"}, "medians": medians}
    return work, there, dataclasses.replace(there, crew=Alone(job_of(there, config, work)))


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


def test_a_job_is_opened_on_its_own_candles_alone(ready, tmp_path):
    _, there, manned = searching(ready)
    message = manned.crew.job.message
    there_again = opened(message, ready.slice, 2).there
    other = small_market.prepared(tmp_path, horizon=3_600_000)

    assert ready.slice.facts.content_sha256 == spec_of(message)["slice"]["content"]
    assert there.market == there_again.market
    assert [type(value) for value in there.market.costs] == [type(value) for value in there_again.market.costs]
    for one, two in zip(there.windows, there_again.windows, strict=True):
        np.testing.assert_array_equal(one, two)
        assert (one.dtype, one.flags.writeable) == (two.dtype, two.flags.writeable)
    if other.slice.facts.content_sha256 != ready.slice.facts.content_sha256:
        with pytest.raises(IntegrityError, match="does not hold the candles of this search"):
            opened(message, other.slice, 1)


def test_a_worker_that_began_anew_says_so(ready):
    _, _, manned = searching(ready)
    worker._open.clear()

    assert {worker.MISSING: True} == worker.do(manned.crew.job.digest, "tally", {})


def test_a_slice_comes_in_parts_and_is_verified(ready, tmp_path, monkeypatch):
    monkeypatch.setattr(worker.platformdirs, "user_cache_path", lambda *_: tmp_path)
    facts, path = ready.slice.facts, ready.slice.path
    data, manifest = path.read_bytes(), path.with_suffix(".json").read_bytes()
    content = facts.content_sha256
    for offset in range(0, len(data), 1000):
        worker.put(content, offset, data[offset : offset + 1000])
    worker.have(content, manifest)

    assert content == worker.open_slice(worker.place_of(content)).facts.content_sha256
    assert 2 == len(list(worker.place_of(content).parent.iterdir()))

    worker.put(content, 0, data[:3000] + bytes(8) + data[3008:])
    with pytest.raises(IntegrityError):
        worker.have(content, manifest)
    assert 2 == len(list(worker.place_of(content).parent.iterdir()))
