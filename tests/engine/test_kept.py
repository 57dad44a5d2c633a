import dataclasses
import itertools

import numpy as np
import pytest
import small_market
from highwater.engine import kept
from highwater.engine.kept import all_trials
from highwater.engine.sizing import Levels, Size, paying_block, trials_in
from highwater.engine.space import Space, canonical
from highwater.engine.sweep import Choices, constraint, plan, planned, search
from highwater.engine.tallies import ground
from highwater.engine.values import Range
from highwater.io.manifest import new_run_id
from highwater.io.searches import hold

SPACE = Space({"tp": Range(1.1, 3.0, None, True), "sl": Range(0.5, 0.95), "time_stop_ms": Range(300_000, 36_000_000)})
TRIALS = 100


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    return small_market.prepared(tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="module")
def work(ready):
    found = plan(SPACE, TRIALS, 3, "avg_return_bps", (), ready, 512 << 20, 10**9, Choices("bars"))
    return dataclasses.replace(found, block=9)


@pytest.fixture
def place(tmp_path):
    """Return where blocks are kept."""
    with hold(tmp_path, new_run_id()) as found:
        found.begin({"trials": TRIALS})
        yield found


def rows(parts):
    """Return each trial of a stream: its parameters, its columns, its sum."""
    found = []
    for drawn, columns, sums in parts:
        given = {name: np.ma.asarray(values).tolist() for name, values in columns.items() if values is not None}
        named = {name: np.asarray(values, float).tolist() for name, values in drawn.items()}
        found += list(zip(*given.values(), *named.values(), sums.tolist(), strict=True))
    return found


def test_kept_trials_stand_where_they_were_found(ready, work, place, monkeypatch):
    there = ground(ready, "bars", 1 << 20, None)
    whole = rows(search(there, work, lambda _: None))
    monkeypatch.setattr(kept, "FILE_S", 0.0)
    first = all_trials(there, work, place, [], lambda _: None)
    for _ in range(8):
        next(first)
    blocks = place.blocks

    assert TRIALS == len(whole)
    assert [(9 * i, 9 * i + 9) for i in range(7)] == [(block.first, block.last) for block in blocks]
    for some in ([], blocks, blocks[:2], blocks[3:], blocks[::2], blocks[1:2]):
        done = []
        place.forget()

        assert whole == rows(all_trials(there, work, place, some, done.append))
        assert (TRIALS - 9 * len(some)) * work.alerts == max(done)
        assert done == sorted(done)


def test_no_block_reaches_into_another(ready, work, place):
    there = ground(ready, "bars", 1 << 20, None)
    with_gaps = [(0, 18), (40, 49), (52, 60)]
    for first, last in with_gaps:
        for _, columns, _ in search(there, work, lambda _: None, first, last):
            place.add(int(columns["trial_id"][0]), columns)
        place.keep()
    rows(all_trials(there, work, place, place.blocks, lambda _: None))

    assert [(0, 18), (18, 40), (40, 49), (49, 52), (52, 60)] == [(block.first, block.last) for block in place.blocks]


def test_files_are_written_no_more_often_than_stated(ready, work, place, monkeypatch):
    seconds = itertools.count()  # each block of trials takes two, a file comes after five
    monkeypatch.setattr(kept.time, "monotonic", lambda: next(seconds))
    rows(all_trials(ground(ready, "bars", 1 << 20, None), work, place, [], lambda _: None))

    assert [(0, 27), (27, 54), (54, 81), (81, 100)] == [(block.first, block.last) for block in place.blocks]


def test_a_search_of_one_block_is_not_kept(ready, work, place, monkeypatch):
    monkeypatch.setattr(kept, "FILE_S", 0.0)
    whole = dataclasses.replace(work, block=TRIALS)
    rows(all_trials(ground(ready, "bars", 1 << 20, None), whole, place, [], lambda _: None))

    assert not place.path.exists()


@pytest.mark.parametrize(("pace", "sizes"), [(30.0, [40, 40, 20]), (0.5, [40, 60]), (300.0, [40, 30, 30])])
def test_blocks_take_the_time_they_should_but_pay(ready, work, place, monkeypatch, pace, sizes):
    took, clock = [], [0.0]

    def slow(there, work, advance, begin, end):
        took.append(end - begin)
        clock[0] += pace * (end - begin) / 40
        yield from search(there, work, advance, begin, end)

    monkeypatch.setattr(kept, "search", slow)
    monkeypatch.setattr(kept.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(kept, "trials_in", lambda *_: 40)
    plan_of = dataclasses.replace(work, block=TRIALS, paying=30)
    rows(all_trials(ground(ready, "bars", 1 << 20, None), plan_of, place, [], lambda _: None))

    assert sizes == took


def test_the_fewest_trials_that_pay():
    size = Size(1000, 500, 10_000, False, Levels(500, 20))

    assert 1 == paying_block("bars", size)
    assert 10 * (500 * 6 + 20 * 300) / 0.4 == paying_block("tables", size)


def test_how_many_trials_a_time_is_enough_for():
    assert 5e9 // (1000 * 350 + 2500) == trials_in(5, "bars", 1000, False)
    assert 5e9 // (1000 * 0.4 + 2500) == trials_in(5, "tables", 1000, False)
    assert 5e9 // (1000 * 12.4 + 2500) == trials_in(5, "tables", 1000, True)
    assert 1 == trials_in(1e-9, "bars", 1000, False)


def test_a_config_tells_the_plan_of_its_search(ready):
    limits = (constraint("win_rate>=0.4"), constraint("stop_out_rate<0.00001"))
    made = plan(SPACE, 50, 2**63, "profit_factor", limits, ready, 1 << 20, 10**9, Choices("bars", "all", 4))
    config = {
        "search": {"space": canonical(SPACE), "trials": 50, "seed": str(2**63)},
        "objective": "profit_factor",
        "constraints": ["win_rate>=0.4", "stop_out_rate<1e-05"],
        "medians": "all",
        "trades": 4,
    }
    found = planned(config, ready, 1 << 20, "bars")

    assert canonical(made.space) == canonical(found.space)
    assert made == dataclasses.replace(found, space=made.space)
