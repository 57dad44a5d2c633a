import dataclasses

import pytest
from highwater.engine.guards import Chance, Evidence, Lane, Part, Quality, Ratio, Spread, Unseen
from highwater.engine.luck import Fold, Halving
from highwater.engine.settings import Guards
from highwater.engine.verdict import verdict_on

NAN = float("nan")
FOLDS = tuple(Fold(i, i + 1, 9, 9, 0, 100 if i < 5 else -100) for i in range(8))
GOOD = Evidence(
    trial_id=1,
    mean_bps=400.0,
    median_bps=-100.0,
    win_rate=0.4,
    alerts=100,
    days=365,
    chance=Chance(3.0, 0.01, 300.0, (0.01, 0.01, 0.02)),
    halving=Halving(0.1, 0.2, 0.5, 10, 20),
    ratio=Ratio(0.2, 0.0, 3.0, 0.99, 12.0, 0.97, 1000, 0.96, 200.0),
    unseen=Unseen(100.0, 10.0, 200.0, FOLDS),
    spread=Spread(50.0, 800.0, 350.0, 300.0, Part("a", 90, 1.0), Part("b", 90, 1.0), 0.1, ()),
    quality=Quality(100.0, 500.0, 0.1, 3, 0.03, 50.0, (Lane("twice the costs", 80.0),)),
    neighbours=(300.0, 410.0),
)


def changed(part, **values):
    """Return GOOD with a part of it changed; None: without that part."""
    found = getattr(GOOD, part)
    return dataclasses.replace(GOOD, **{part: dataclasses.replace(found, **values) if values else None})


CASES = [
    ("luck", changed("chance", p=0.05), "PASS"),
    ("luck", changed("chance", p=0.0501), "FAIL"),
    ("luck", changed("chance"), "FAIL"),
    ("selection", changed("halving", overfit=0.19), "PASS"),
    ("selection", changed("halving", overfit=0.2), "WARN"),
    ("selection", changed("halving", overfit=0.5), "FAIL"),
    ("selection", changed("halving"), "FAIL"),
    ("selection", dataclasses.replace(changed("halving"), trials=1), "WARN"),
    ("selection", dataclasses.replace(changed("halving"), trials=2), "FAIL"),
    ("sharpe", changed("ratio", deflated_tried=0.95), "PASS"),
    ("sharpe", changed("ratio", deflated_tried=0.9, deflated_independent=0.95), "WARN"),
    ("sharpe", changed("ratio", deflated_tried=0.9, deflated_independent=0.94), "FAIL"),
    ("sharpe", changed("ratio", deflated_independent=NAN), "FAIL"),
    ("sharpe", changed("ratio"), "FAIL"),
    ("unseen", changed("unseen", folds=FOLDS[1:]), "PASS"),
    ("unseen", changed("unseen", folds=FOLDS[2:]), "PASS"),
    ("unseen", changed("unseen", folds=FOLDS[3:]), "FAIL"),
    ("unseen", changed("unseen", mean_bps=0.0), "FAIL"),
    ("unseen", changed("unseen"), "FAIL"),
    ("spread", changed("spread", low_bps=0.1), "PASS"),
    ("spread", changed("spread", low_bps=0.0), "FAIL"),
    ("spread", changed("spread", without_best_5=0.0), "FAIL"),
    ("spread", changed("spread", low_bps=NAN), "FAIL"),
    ("data", changed("quality", worst_bps=0.0), "FAIL"),
    ("data", changed("quality", excluded_lost_bps=0.0), "WARN"),
    ("data", changed("quality", lanes=(Lane("entered a candle later", -1.0),)), "WARN"),
]


@pytest.mark.parametrize(("name", "found", "status"), CASES)
def test_one_check_decides(name, found, status):
    verdict = verdict_on(found, Guards())

    assert {name: status} == {check.name: check.status for check in verdict.checks if check.name == name}
    assert {"PASS"} == {check.status for check in verdict.checks if check.name != name}
    assert ("NOT PROVEN" if status == "FAIL" else "PROVEN") == verdict.word
    assert ((name,) if status == "FAIL" else ()) == verdict.failing


@pytest.mark.parametrize(("tried", "status"), [(1, "PASS"), (2, "WARN")])
def test_one_policy_was_not_selected_unless_others_were_tried_before(tried, status):
    alone = dataclasses.replace(GOOD, trials=1, halving=None, ratio=dataclasses.replace(GOOD.ratio, tried=tried))
    check = verdict_on(alone, Guards()).checks[1]

    assert (("one policy, which was not selected",), status) == (check.found, check.status)


def test_all_pass():
    assert "PROVEN" == verdict_on(GOOD, Guards()).word


@pytest.mark.parametrize(
    "found",
    [dataclasses.replace(GOOD, mean_bps=0.0), changed("unseen", mean_bps=-50.0, low_bps=-90.0, high_bps=-0.1)],
    ids=["loses", "loses on unseen days"],
)
def test_what_loses_is_refuted(found):
    assert "REFUTED" == verdict_on(found, Guards()).word


def test_thresholds_are_those_asked_for():
    strict = Guards(max_luck=0.001, max_pbo=0.05, min_dsr=0.99)

    assert ("luck", "sharpe") == verdict_on(GOOD, strict).failing
    assert "WARN" == verdict_on(GOOD, strict).checks[1].status
