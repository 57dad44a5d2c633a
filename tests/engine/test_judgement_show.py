"""The screen of a verdict: it says what was found, in 80 columns, however large the numbers are."""

import dataclasses
import math

import pytest
from highwater.engine.guards import (
    Chance,
    Evidence,
    Lane,
    Part,
    Quality,
    Ratio,
    Spread,
    Unseen,
)
from highwater.engine.judgement import Judgement
from highwater.engine.judgement_show import lines
from highwater.engine.ledger import Ledger
from highwater.engine.luck import Fold, Halving
from highwater.engine.settings import Guards
from highwater.engine.verdict import verdict_on
from hypothesis import given
from hypothesis import strategies as st

LONG = "entered a candle later", "worst order inside candles", "twice the costs"
NAMES = ("luck", "selection", "sharpe", "unseen", "spread", "data")


def evidence(bps, count, trial=None):
    """Return evidence in which every mean is ``bps`` and every count ``count``."""
    fold = Fold(0, 9, count, count, count, 1 if bps > 0 else -1)
    part = Part("x" * 60, count, bps)
    return Evidence(
        trial_id=count if trial is None else trial,
        mean_bps=bps,
        median_bps=bps,
        win_rate=1.0,
        alerts=count,
        days=count,
        chance=Chance(bps, 1e-9, bps, (1.0, 1.0, 1.0)),
        halving=Halving(0.123456, 0.5, bps, 10, 9),
        ratio=Ratio(0.1, 0.0, 3.0, 0.99, float(count), 0.12345, count, 1e-12, float(count)),
        unseen=Unseen(bps, bps, bps, (fold,) * 8),
        spread=Spread(bps, bps, bps, bps, part, part, 0.5, (part,)),
        quality=Quality(bps, bps, 0.5, count, 0.123456, bps, tuple(Lane(name, bps) for name in LONG)),
        neighbours=(bps, bps),
    )


def judged(found, asked=None, ledger=None):
    asked = asked or Guards(holdout=0.8)
    return Judgement(asked, {}, verdict_on(found, asked), found, ledger or Ledger(10**12, 10**6, 10**4))


def unknown(found):
    """Return evidence of too few days."""
    spread = dataclasses.replace(found.spread, low_bps=math.nan, high_bps=math.nan, without_best_5=math.nan)
    nothing = dict.fromkeys(("chance", "halving", "ratio", "unseen", "neighbours"))
    return dataclasses.replace(found, **nothing, spread=spread)


USUAL = evidence(412.0, 1_000_000, 481_516)
EXTREMES = {
    "usual": USUAL,
    "large": evidence(9.87e9, 10**9),
    "huge": evidence(1.23456e15, 10**12),
    "negative": evidence(-9_999.0, 10**9),
    "negative and huge": evidence(-1.23456e15, 10**12),
    "nothing": evidence(0.0, 1),
    "undefined": evidence(math.nan, 10**6),
    "endless": dataclasses.replace(USUAL, ratio=dataclasses.replace(USUAL.ratio, needed_days=math.inf)),
    "too few days": unknown(USUAL),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_no_line_is_wider_than_80_columns(name):
    found = lines(judged(EXTREMES[name]))

    assert [] == [line for line in found if len(line) > 80]
    assert [] == [line for line in found if line != line.rstrip() or "\n" in line]


@given(st.lists(st.floats(-2, 17.5).map(lambda e: 10.0**e), min_size=9, max_size=9), st.integers(0, 511))
def test_no_line_is_wider_whatever_the_means(sizes, signs):
    one, line, past, low, high, five, worst, lost, slope = (-x if signs >> i & 1 else x for i, x in enumerate(sizes))
    found = dataclasses.replace(
        evidence(one, 10**9),
        chance=Chance(1.0, 1e-9, line, (1.0, 1.0, 1.0)),
        halving=Halving(0.123456, 0.5, slope, 10, 9),
        unseen=dataclasses.replace(USUAL.unseen, mean_bps=past, low_bps=low, high_bps=high),
        spread=dataclasses.replace(USUAL.spread, low_bps=low, high_bps=high, without_best_5=five),
        quality=dataclasses.replace(USUAL.quality, worst_bps=worst, best_bps=high, excluded_lost_bps=lost),
        neighbours=(low, high),
    )

    assert [] == [line for line in lines(judged(found)) if len(line) > 80]


@pytest.mark.parametrize("name", EXTREMES)
def test_nothing_that_was_found_is_cut_or_broken(name):
    """Every part of every check stands whole in a line, and the checks in their order with their status."""
    one = judged(EXTREMES[name])
    found = lines(one)
    firsts = [next(i for i, line in enumerate(found) if line.startswith(f" {n} ")) for n in range(1, 7)]
    for number, check in enumerate(one.verdict.checks):
        end = firsts[number + 1] if number < 5 else len(found)
        mine = found[firsts[number] : end]

        assert check.name == NAMES[number] == mine[0].split()[1]
        assert mine[0].endswith(f" {check.status}")
        for part in check.found:
            words = " ".join(part.split())
            assert words in " ".join(
                " ".join(mine).removesuffix(check.status).replace(f" {check.status} ", " ").split()
            )


def test_the_words_of_the_screen():
    found = lines(judged(USUAL, ledger=Ledger(3_200_000, 14, 2)))
    text = "\n".join(found)

    assert "VERDICT  NOT PROVEN (1 of 6 checks fail: sharpe)" == found[0]
    assert "winner #481,516  mean +4.1% an alert, median +4%, wins 100%;" == found[1]
    assert "   1,000,000 alerts, 1,000,000 days" == found[2]
    for words in (
        " 1 luck      best without skill: 95% line +4.1% | yours +4.1%  p <0.001     PASS",
        "neighbours +4.1% … +4.1%; worst lane +4.1% (entered a candle later)",
        "holdout sealed: the last 80% of the days; looked at 2 times",
        "tried on these alerts so far: 3,200,000 configurations in 14 searches",
    ):
        assert words in text


def test_a_line_may_be_as_wide_as_the_screen():
    found = lines(judged(dataclasses.replace(evidence(740.0, 157, 27_550), days=690)))

    assert "winner #27,550  mean +7.4% an alert, median +7%, wins 100%; 157 alerts, 690 days" == found[1]
    assert 80 == len(found[1])


@pytest.mark.parametrize(
    ("peeks", "words"), [(0, "looked at 0 times"), (1, "looked at 1 time"), (2, "looked at 2 times")]
)
def test_how_often_a_holdout_was_looked_at(peeks, words):
    assert any(line.endswith(words) for line in lines(judged(USUAL, ledger=Ledger(1, 1, peeks))))


def test_one_search_and_no_holdout():
    text = "\n".join(lines(judged(USUAL, Guards(), Ledger(1, 1, 0))))

    assert "1 configurations" not in text
    assert "1 configuration in 1 search" in text
    assert "holdout" not in text


def test_all_that_fail_are_counted():
    found = lines(judged(EXTREMES["negative"], Guards(max_luck=0.0)))

    assert found[0].startswith("VERDICT  REFUTED (")
    assert "checks fail" in found[0]


def test_no_verdict_no_screen():
    assert [] == lines(Judgement(Guards(guards=False), {}))
