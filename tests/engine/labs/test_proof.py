import json
from functools import cache
from random import Random

import numpy as np
import pytest
from highwater.engine.labs.analysis import analyse
from highwater.engine.labs.proof import held, luck_of_lab, proof
from highwater.engine.labs.replay import Replayed, Sums
from highwater.engine.settings import Guards
from highwater.kernels.bootstrap import deviations_of
from small_lab import MARKET, position, runtime, tables

DAY, DAYS = 86_400, 90
START = 20_000 * DAY


def backtest(seed, edge=0.0):
    """Return positions of one a day, of a few hours, that make ``edge`` and noise."""
    draw = Random(seed)
    rows = []
    for day in range(DAYS):
        opened = START + day * DAY + 3600 * draw.randrange(1, 12)
        rows.append(position(opened, opened + 3600, 10.0, 10.0 + edge + draw.gauss(0, 0.3), rate=0.0001))
    return rows


@cache
def noise(edge=0.0):
    backtests = [backtest(i) for i in range(30)]
    backtests[7] = backtest(7, edge)
    return analyse(tables(backtests, START, START + DAYS * DAY))


def judged(found, replayed=None, tried=None, **asked):
    return proof(found, Guards(**asked), tried, 1, replayed)


def statuses(proved):
    return {check.name: check.status for check in proved.verdict.checks}


def all_replayed(found, **sums):
    row = found.figures[found.order[0]]
    made = dict.fromkeys(("worst", "best", "fs1"), row["realized_profit"]) | {"doubtful": 0.0} | sums
    return Replayed(found.tables.positions, found.tables.orders, tuple(Sums(**made) for _ in found.figures))


def test_the_best_of_noise_is_luck():
    proved = judged(noise())

    assert "NOT PROVEN" == proved.verdict.word
    assert "FAIL" == statuses(proved)["luck"]
    assert proved.evidence.chance.p > 0.05
    assert proved.evidence.chance.line_bps > proved.evidence.mean_bps > 0


def test_an_edge_is_proven_where_its_fills_hold():
    found = noise(0.4)
    proved = judged(found, all_replayed(found))

    assert "b7" == proved.winner
    assert ("PROVEN", {"PASS"}) == (proved.verdict.word, set(statuses(proved).values()))
    assert proved.evidence.halving.overfit == 0.0


def test_without_candles_fills_are_not_trusted():
    proved = judged(noise(0.4))
    check = proved.verdict.checks[-1]

    assert ("data", "WARN") == (check.name, check.status)
    assert "fills not held against candles (give --candles)" == check.found[0]


def test_fills_that_cannot_have_been_refute_the_verdict():
    found = noise(0.4)
    proved = judged(found, all_replayed(found, worst=-1.0))

    assert "FAIL" == statuses(proved)["data"]
    assert "NOT PROVEN" == proved.verdict.word


@pytest.mark.parametrize("less", [{"fs1": -1.0}, {"doubtful": 0.06}])
def test_a_worse_lane_or_doubtful_fills_warn(less):
    found = noise(0.4)
    proved = judged(found, all_replayed(found, **less))

    assert ("WARN", "PROVEN") == (statuses(proved)["data"], proved.verdict.word)
    assert ("6.0% of its fills in doubt" in proved.verdict.checks[-1].found) == ("doubtful" in less)


def test_what_is_open_at_the_end_counts_as_lost():
    still = position(START, 0, 10.0, 10.0) | {"ic": False, "exo": [], "up": -1e6}
    whole = runtime(backtest(7, 0.4), UnmanagedPositions=[still])
    whole["Reports"][f"account_{MARKET}"]["PR"]["UP"] = -90_000.0
    proved = judged(analyse(tables([whole, *(backtest(i) for i in range(5))], START, START + DAYS * DAY)))
    said = proved.verdict.checks[-1].found[-1]

    assert "1 open at the end: -" in said and said.endswith(" if lost")
    assert -1000 == pytest.approx(proved.evidence.quality.excluded_lost_bps - proved.evidence.mean_bps, abs=0.01)


def test_a_lab_that_loses_is_refuted():
    found = analyse(tables([backtest(i, -0.5) for i in range(5)], START, START + DAYS * DAY))

    assert "REFUTED" == judged(found).verdict.word


def test_means_are_of_the_balance_a_day():
    found = noise()
    proved, best = judged(found), found.order[0]
    row, spread = found.figures[best], proved.evidence.spread
    net = np.sort([each["rp"] for each in backtest(int(best))])

    assert DAYS == proved.evidence.days == proved.evidence.alerts
    assert row["return_on_balance_pct"] * 100 / DAYS == pytest.approx(proved.evidence.mean_bps, abs=0.01)
    assert net[:-5].sum() / DAYS == pytest.approx(spread.without_best_5, abs=0.01)  # 1 of 10,000 is a basis point
    assert net[:-1].sum() / (DAYS - 1) == pytest.approx(spread.without_caller.mean_bps, abs=0.01)
    assert ["2024-10", "2024-11", "2024-12", "2025-01"] == [each.name for each in spread.months]
    assert (row["realized_profit"] - row["fees"]) / DAYS == pytest.approx(proved.evidence.quality.lanes[0].mean_bps)


def test_luck_is_that_of_the_days_themselves():
    found = noise()
    luck = luck_of_lab(found, 1)
    expected = found.sums.sum(axis=1) / deviations_of(found.sums, luck.length) / DAYS**0.5

    assert (30, DAYS) == (luck.trials, luck.calendar.days)
    assert int(np.argmax(expected)) == luck.ranked[0]
    assert 3_600_000 == held(found)


def test_threads_change_nothing():
    found = noise()
    sides = [json.dumps(proof(found, Guards(), None, threads).document(), sort_keys=True) for threads in (1, 2)]

    assert sides[0] == sides[1]


@pytest.mark.parametrize(("tried", "expected"), [(None, 30), (5_000, 5_000)])
def test_what_was_tried_counts_against_it(tried, expected):
    proved = judged(noise(), tried=tried)

    assert expected == proved.evidence.ratio.tried == proved.ledger.tried


def test_the_server_may_have_more_backtests_than_are_kept():
    found = noise()
    lab = found.tables.lab.__class__("lab", backtests=400)
    more = found.__class__(**{**vars(found), "tables": found.tables.__class__(**{**vars(found.tables), "lab": lab})})

    assert 400 == judged(more).ledger.tried


def test_equal_parameters_count_once():
    fields = {"1.A": {"N": "A", "V": "1"}}
    rows = [runtime(backtest(i), InputFields=fields if i < 4 else {}) for i in range(6)]

    assert 3 == luck_of_lab(analyse(tables(rows, START, START + DAYS * DAY)), 1).distinct


def test_few_days_cannot_tell():
    proved = judged(analyse(tables([backtest(i)[:2] for i in range(3)], START, START + 2 * DAY)))

    assert {"FAIL", "WARN"} == set(statuses(proved).values())
    assert proved.luck is None
    assert json.loads(json.dumps(proved.document(), allow_nan=False))["search"] is None


def test_nothing_to_judge():
    assert judged(analyse(tables([runtime([], balance=0.0)]))) is None


def test_one_backtest_was_not_selected():
    proved = judged(analyse(tables([backtest(1)], START, START + DAYS * DAY)))

    assert ("one policy, which was not selected",) == proved.verdict.checks[1].found
    assert json.dumps(proved.document(), allow_nan=False)
