import math

import numpy as np
import pytest
import small_market
from highwater.engine import rates
from highwater.engine.baseline import path_columns
from highwater.engine.caller_times import TIMES, caller_times
from highwater.io import schemas
from plain_callers import chance, fate
from small_market import HORIZON, close, oracle


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    ready = small_market.prepared(tmp_path_factory.mktemp("market"))
    return ready, schemas.table(schemas.paths(), path_columns(ready, (), 1), "run")


@pytest.mark.parametrize("k", ["2x", "10x"])
def test_times_are_what_plain_python_makes_of_paths(market, k):
    ready, paths = market
    calls = []
    for row, (bars, entry) in zip(paths.to_pylist(), oracle(ready), strict=True):
        if row["status"] == "OK":
            hit = row[f"hit_{k}"]
            watched = min(entry["end"], entry["coverage_end"]) - entry["entry_ts"]
            case = row[f"t_{k}_ms"] if hit else watched, hit
            calls.append((row["caller_name"], fate(ready, bars, entry, hit), case))
    found = caller_times(ready, paths, k)

    assert [None, *sorted({name for name, *_ in calls})] == [each.caller_name for each in found]
    for each in found:
        mine = [call for call in calls if each.caller_name in (None, call[0])]
        fates = [what for _, what, _ in mine]
        wanted = [fates.count(what) for what in ("reached", None, "data_ended", "died")]

        assert len(mine) == each.calls == sum(wanted)
        assert wanted == [each.reached, each.not_reached, each.data_ended, each.died]
        assert [*TIMES, HORIZON] == [one.within_ms for one in each.chances]
        for one in each.chances:
            cut = [(min(time, one.within_ms), hit and time <= one.within_ms) for _, _, (time, hit) in mine]
            assert close([chance(cut)]) == [one.chance]


def test_the_last_chance_is_that_of_the_caller_table(market):
    ready, paths = market
    whole = caller_times(ready, paths, "2x")[0]
    rows = [row for row in paths.to_pylist() if row["status"] == "OK"]
    hit = np.array([row["hit_2x"] for row in rows])
    known = np.minimum(ready.windows.end, ready.windows.coverage_end)[ready.ok] - ready.windows.ts[ready.ok]
    times = np.where(hit, [row["t_2x_ms"] or 0 for row in rows], known).astype(float)

    assert rates.reached_by(times, hit, math.inf) == (
        whole.chances[-1].chance,
        whole.chances[-1].low,
        whole.chances[-1].high,
    )


def test_times_beyond_the_horizon_are_left_out(tmp_path):
    ready = small_market.prepared(tmp_path, horizon=3_600_000)
    paths = schemas.table(schemas.paths(), path_columns(ready, (), 1), "run")

    assert {(TIMES[0], 3_600_000)} == {
        tuple(one.within_ms for one in each.chances) for each in caller_times(ready, paths, "2x")
    }
