import json
import re
from dataclasses import replace
from math import isnan

import numpy as np
import pytest
from highwater.engine.judgement import luck_of_days
from highwater.engine.ledger import Ledger
from highwater.engine.session.axes import axis, changed
from highwater.engine.session.proof import as_r, in_r, proof
from highwater.engine.session.proof_show import lines
from highwater.engine.session.search import Work, search
from highwater.engine.session.trials import MICRO, days_of, made_of
from highwater.engine.settings import Guards
from highwater.engine.values import DAY
from session_lands import every, land

AXES = (axis("orb.base_minutes=5,10,20"), axis("trade.t1_r=0.5:1.4:0.1"))
LANDS = [land(1, 60), land(2, 60, "QQQ")]


def noise(trials, days, seed):
    return np.rint(np.random.default_rng(seed).normal(0, 1, (trials, days)) * MICRO).astype(np.int64)


@pytest.fixture(scope="module")
def proved():
    found = search(Work(every(), AXES, "grid", fewest=1), LANDS, 1, lambda done: None)
    return proof(found, LANDS, Guards(), Ledger(30, 1, 0), 1), found


def test_the_best_of_noise_is_luck():
    ps = [float(luck_of_days(noise(40, 150, seed), 0, 1).p[0]) for seed in range(8)]

    assert sum(p > 0.05 for p in ps) >= 7


def test_an_edge_among_noise_is_not():
    sums = noise(40, 150, 3)
    sums[17] += MICRO // 2
    found = luck_of_days(sums, 0, 1)

    assert 17 == found.ranked[0]
    assert found.p[0] < 0.01
    assert found.halving.overfit < 0.1
    assert {17} == {fold.trial for fold in found.folds[2:]}


def test_two_days_are_too_few():
    assert luck_of_days(noise(5, 2, 1), 0, 1) is None


def test_what_is_held_over_nights_is_told_in_days(proved):
    _, found = proved
    held = proof(replace(found, held=4), LANDS, Guards(), Ledger(30, 1, 0), 1).luck

    assert luck_of_days(found.sums, 4 * DAY, 1).halving.purged == held.halving.purged > 0


def test_nights_over_which_trades_are_held_are_purged():
    short, long = (luck_of_days(noise(5, 100, 1), held * DAY, 1) for held in (0, 4))

    assert 0 == short.halving.purged < long.halving.purged
    assert long.length >= 5
    assert [fold.trained + 4 for fold in long.folds] == [fold.trained for fold in short.folds]


def test_the_mean_is_of_days_with_candles(proved):
    judged, found = proved
    made = made_of(LANDS, days_of(LANDS), found.winner())

    assert made.sums.sum() / 100 / len(found.days.names) == pytest.approx(judged.evidence.mean_bps)
    assert made.metrics["total_r"] / len(found.days.names) * 10_000 == pytest.approx(judged.evidence.mean_bps, abs=0.1)
    assert (made.metrics["total_trades"], len(found.days.names)) == (judged.evidence.alerts, judged.evidence.days)


def test_what_is_left_without_the_best_parts(proved):
    judged, found = proved
    spread, days = judged.evidence.spread, len(found.days.names)
    made = made_of(LANDS, days_of(LANDS), found.winner())
    r = np.sort(made.trades["realized_r"])[::-1]
    by_symbol = [made.trades["realized_r"][made.trades["symbol"] == i].sum() for i in (0, 1)]
    top = int(np.argmax(made.sums))

    assert r[1:].sum() / days * 1e4 == pytest.approx(spread.without_best, abs=0.1)
    assert r[5:].sum() / days * 1e4 == pytest.approx(spread.without_best_5, abs=0.1)
    assert found.days.names[top] == spread.without_caller.name
    assert (made.sums.sum() - made.sums[top]) / (days - 1) / 100 == pytest.approx(spread.without_caller.mean_bps)
    assert ("SPY", "QQQ")[int(np.argmax(by_symbol))] == spread.without_token.name
    assert min(by_symbol) / days * 1e4 == pytest.approx(spread.without_token.mean_bps, abs=0.1)
    assert made.sums.sum() == pytest.approx(sum(each.mean_bps * 100 * each.alerts for each in spread.months))
    assert spread.low_bps < judged.evidence.mean_bps < spread.high_bps


def test_days_not_seen_are_those_of_the_trials_chosen_before(proved):
    judged, found = proved
    past = judged.evidence.unseen
    made = sum(int(found.sums[fold.trial, fold.first : fold.last].sum()) for fold in past.folds)
    days = sum(fold.last - fold.first for fold in past.folds)

    assert made / days / 100 == pytest.approx(past.mean_bps)
    for fold in past.folds:
        before = found.sums[:, : fold.trained].sum(axis=1)
        assert before.max() == before[fold.trial]
        assert fold.trained < fold.first


def test_worse_conditions(proved):
    judged, found = proved
    config, days = found.winner(), days_of(LANDS)
    dear = changed(config, {}).model_copy(update={"backtest": config.backtest.model_copy(update={"slippage_bps": 1.0})})
    quality = judged.evidence.quality
    made = made_of(LANDS, days, config)

    assert made_of(LANDS, days, dear).sums.mean() / 100 == pytest.approx(quality.lanes[0].mean_bps)
    assert made.trades["worst_r"].sum() / len(days.names) * 1e4 == pytest.approx(quality.worst_bps, abs=0.1)
    assert quality.worst_bps <= judged.evidence.mean_bps <= quality.best_bps


def test_days_left_out_count_as_losses_of_one_r():
    skip = np.zeros(LANDS[0].ground.first.size, bool)
    skip[:6] = True
    lands = [land(1, 60, skip=skip)]
    found = search(Work(every(), AXES, "grid", fewest=1), lands, 1, lambda done: None)
    quality, days = proof(found, lands, Guards(), Ledger(30, 1, 0), 1).evidence.quality, len(found.days.names)

    assert 6 == quality.excluded
    assert quality.excluded_lost_bps == pytest.approx(found.sums[found.order[0]].mean() / 100 - 6 / days * 1e4)


def test_the_neighbours_are_those_of_the_winner(proved):
    judged, found = proved
    k = int(found.order[0])
    near = [
        i
        for i, row in enumerate(found.trials.settings)
        if sum(
            abs(each.values.index(a) - each.values.index(b))
            for each, a, b in zip(AXES, row, found.trials.settings[k], strict=True)
        )
        == 1
    ]
    means = [found.sums[i].mean() / 100 for i in near]

    assert (min(means), max(means)) == pytest.approx(judged.evidence.neighbours)


def test_the_document_is_in_r_and_json(proved):
    judged, found = proved
    said = judged.document()

    json.dumps(said, allow_nan=False)
    assert judged.evidence.mean_bps / 10_000 == pytest.approx(said["winner"]["mean_r"])
    assert judged.evidence.spread.without_best_5 / 10_000 == pytest.approx(said["winner"]["spread"]["without_best_5"])
    assert {"trades", "days"} <= set(said["winner"])
    assert "_bps" not in json.dumps(said)
    assert "alerts" not in json.dumps(said["winner"])
    assert said["winner"]["spread"]["without_best_day"]["name"] in found.days.names


def test_the_screen_fits_80_columns_and_ends_with_what_was_tried(proved):
    found = lines(*proved)

    assert found[0].startswith("VERDICT  ")
    assert max(map(len, found)) <= 80
    assert "tried on these candles so far: 30 configurations in 1 search" == found[-1].strip()
    checks = [line.split()[1] for line in found if re.match(r" [1-6] ", line)]
    assert ["luck", "selection", "sharpe", "unseen", "spread", "data"] == checks


def test_numbers_in_r():
    assert ("+0.125R", "-1.000R", "-") == (as_r(1250), as_r(-10_000), as_r(float("nan")))
    assert {"low_r": 0.5, "days": 3, "rate": 2.0} == in_r({"low_bps": 5000.0, "alerts": 3, "rate": 2.0})
    assert isnan(in_r({"low_bps": float("nan")})["low_r"])
