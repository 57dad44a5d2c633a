"""Guards of each caller's best exits: each number by plain loops over the trades of the state machine."""

import dataclasses
import math

import day_market
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from highwater.engine import caller_guards as room
from highwater.engine.best import SEED, block_days
from highwater.engine.caller_guards import LEAST_DAYS, CallerGuard, caller_guards
from highwater.engine.caller_policies import caller_policies
from highwater.engine.caller_ranking import Pool, Ranking
from highwater.engine.callers_show import guards_of
from highwater.engine.policy import Policy, Rung
from highwater.engine.settings import Guards
from highwater.engine.strategy import trade_columns
from highwater.engine.values import DAY
from highwater.engine.verdict import NOT_PROVEN, PROVEN, TOO_FEW
from highwater.io.sources.synthetic import make_market
from highwater.kernels.bootstrap import resamples
from plain_callers import CELLS, made
from small_market import HORIZON, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("days")
    write(folder, *make_market(seed=41, tokens=120, callers=9, days=60, interval_ms=3_600_000))
    return folder


@pytest.fixture(scope="module")
def ready(folder):
    return day_market.prepared(folder)


@pytest.fixture(scope="module")
def found(ready):
    exits = made(ready)
    policies = caller_policies(exits, 1)
    return policies, caller_guards(exits, policies, Guards())


@pytest.fixture(scope="module")
def cells(ready):
    """Return (ret_q, worst in bps, caller, day of entry) of every trade of each cell, by the state machine."""
    callers = ready.alerts["caller_name"].to_pylist()
    rows = np.flatnonzero(ready.ok).tolist()
    found = []
    for tp, sl in CELLS:
        trades, _ = trade_columns(ready, Policy(tp=(Rung(tp),), sl=sl), 1)
        ret_q, worst = (np.ma.getdata(trades[name]) for name in ("ret_q", "worst_bps"))
        found.append([(int(ret_q[i]), float(worst[i]), callers[i], int(ready.windows.ts[i]) // DAY) for i in rows])
    return found


def by_day(trades):
    """Return the sum and the number of the trades of each day, from the first to the last."""
    days = [day for *_, day in trades]
    every = range(min(days), max(days) + 1)
    return [sum(t[0] for t in trades if t[3] == day) for day in every], [days.count(day) for day in every]


def test_some_callers_have_days_enough_and_some_have_not(found):
    assert {TOO_FEW: True, NOT_PROVEN: False, PROVEN: False} == {
        guard.word: guard.days < LEAST_DAYS for guard in found[1]
    }


def test_each_number_by_plain_loops(found, cells):
    for row, guard in zip(found[0].rows, found[1], strict=True):
        own = [[trade for trade in trades if trade[2] == row.caller_name] for trades in cells]
        best = own[CELLS.index((row.best.tp, row.best.sl))]

        assert (row.caller_name, len({day for *_, day in best})) == (guard.caller_name, guard.days)
        if guard.days < LEAST_DAYS:
            assert all(map(math.isnan, dataclasses.astuple(guard)[3:]))
            continue
        made_q, entered = by_day(best)
        spread = np.mean([by_day(trades)[0] for trades in own], axis=0)
        means = []
        for counts in resamples(SEED, len(entered), block_days(spread, HORIZON), 2000).tolist():
            alerts = sum(n * k for n, k in zip(counts, entered, strict=True))
            if alerts:
                means.append(sum(n * q for n, q in zip(counts, made_q, strict=True)) / alerts / 100)
        ordered = sorted((q for q, *_ in best), reverse=True)
        without = [sum(ordered[n:]) / len(ordered[n:]) / 100 for n in (1, 5)]

        assert np.quantile(means, [0.025, 0.975]).tolist() == pytest.approx([guard.low_bps, guard.high_bps])
        assert without == pytest.approx([guard.without_best_bps, guard.without_best_5_bps])
        assert sum(w for _, w, *_ in best) / len(best) == pytest.approx(guard.worst_bps, abs=0.01)
        assert 0 < guard.p <= guard.q <= 1


def test_q_allows_for_every_caller_that_is_judged(found):
    p = sorted(guard.p for guard in found[1] if guard.word != TOO_FEW)
    for guard in found[1]:
        if guard.word != TOO_FEW:
            least = min(p[k] * len(p) / (k + 1) for k in range(len(p)) if p[k] >= guard.p)
            assert min(1.0, least) == pytest.approx(guard.q)


def test_a_caller_alone_has_the_same_guards_and_a_q_that_is_his_p(found, folder, tmp_path):
    usual = max(found[1], key=lambda guard: guard.days)
    alerts = pq.read_table(folder / "alerts.parquet")
    mine = [name == usual.caller_name for name in alerts["caller_name"].to_pylist()]
    write(tmp_path, pq.read_table(folder / "candles.parquet"), alerts.filter(mine))
    exits = made(day_market.prepared(tmp_path))
    (alone,) = caller_guards(exits, caller_policies(exits, 1), Guards())

    assert alone.p == alone.q
    assert dataclasses.replace(usual, q=usual.p, word=alone.word) == alone


def guard(**more):
    above = dict.fromkeys(("low_bps", "high_bps", "without_best_bps", "without_best_5_bps", "worst_bps"), 1.0)
    return CallerGuard(**({"caller_name": "he", "days": 30, "word": "", "p": 0.01, "q": 0.05} | above | more))


def test_what_it_takes_to_be_proven():
    assert PROVEN == room._told(guard(), Guards()).word
    for more in ({"q": 0.051}, *({name: 0.0} for name in ("low_bps", "without_best_bps", "without_best_5_bps"))):
        assert NOT_PROVEN == room._told(guard(**more), Guards()).word
    assert NOT_PROVEN == room._told(guard(worst_bps=-1.0), Guards()).word
    assert PROVEN == room._told(guard(q=0.08), Guards(max_luck=0.1)).word
    assert TOO_FEW == room._told(CallerGuard("he", 3), Guards()).word


def test_threads_and_a_grid_of_more_cells_than_stand_for_all_change_nothing(ready, found, monkeypatch):
    one = made(ready, threads=1)

    assert repr(found[1]) == repr(caller_guards(one, caller_policies(one, 1), Guards()))
    monkeypatch.setattr(room, "SAMPLE", 5)
    few = caller_guards(one, caller_policies(one, 1), Guards())
    assert [each.word == TOO_FEW for each in found[1]] == [each.word == TOO_FEW for each in few]


def test_the_callers_done_are_told(ready, found):
    exits, steps = made(ready), []
    caller_guards(exits, found[0], Guards(), steps.append)

    assert [*range(1, len(found[0].rows) + 1)] == steps


def shown(guards, capsys):
    """Return the lines of the table, and those below it."""
    table = pa.table({"caller_name": [guard.caller_name for guard in guards]})
    guards_of(guards, Ranking("2x", Pool(1, 1, 1.0, 1.0, 1.0, 1.0), table), 10)
    body, _, legend = capsys.readouterr().out.lstrip().partition("\n\n")
    return body.splitlines(), legend.splitlines()


def test_the_screen_of_80_columns(found, capsys):
    wide = guard(caller_name="n" * 40, days=1_000, p=0.0001, q=0.0499, low_bps=-9e5, high_bps=9.99e6, worst_bps=-1e4)
    body, legend = shown(
        (guard(word=PROVEN), dataclasses.replace(wide, word=NOT_PROVEN), CallerGuard("few", 3)), capsys
    )

    assert all(len(line) <= 80 for line in (*body, *legend))
    assert ["he", "30", "0.010", "0.050", "+0", "to", "+0%", "+0.0%", "+0.0%", "PROVEN"] == body[3].split()
    assert ["-9,000", "to", "+99,900%"] == body[4].split()[4:7]
    assert ["few", "3", *"-----", "too", "few"] == body[5].split()
    assert ["p", "q", "PROVEN", "few"] == [line.split()[0] for line in legend]
    assert "q        the same for 2 callers at once" == legend[1].rstrip()
    assert ["few"] == [line.split()[0] for line in shown((CallerGuard("few", 3),), capsys)[1]]
