import numpy as np
import pytest
from highwater.kernels.volumes import (
    accumulation_distribution,
    chaikin_money_flow,
    obv,
    session_vwap,
    slot_ratio,
    volume_ratio,
    vwap,
)
from hypothesis import given, settings
from indicator_calls import EXAMPLES, NAMES, hold_against_the_oracle, seeds


@pytest.mark.parametrize("name", NAMES["volumes"])
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=seeds)
def test_is_its_definition(name, seed):
    hold_against_the_oracle(name, seed)


def test_by_hand():
    h, l, c = (np.array(column) for column in ([4.0, 6, 5, 5], [2.0, 2, 1, 5], [3.0, 6, 2, 5]))
    v = np.array([10.0, 20, 30, 40])

    assert [10.0, 30.0, 0.0, 40.0] == obv(c, v).tolist()
    assert [0.0, 20.0, 5.0, 5.0] == accumulation_distribution(h, l, c, v).tolist()
    assert [20 / 30, 5 / 50, -15 / 70] == pytest.approx(chaikin_money_flow(h, l, c, v, 2)[1:].tolist())
    assert [150 / 30, 180 / 50, 260 / 70] == pytest.approx(vwap(c, v, 2)[1:].tolist())
    assert [30 / 15, 40 / 25] == volume_ratio(v, 2)[2:].tolist()


def test_session_vwap_begins_anew_with_every_session_and_waits_for_volume():
    p, v = np.array([2.0, 4, 8, 16, 32]), np.array([1.0, 3, 0, 0, 2])
    starts = np.array([False, False, True, False, False])
    found = session_vwap(p, v, starts)

    assert [2.0, 3.5] == found[:2].tolist()
    assert np.isnan(found[2:4]).all()
    assert 32.0 == found[4]


def test_without_volume_there_is_no_weighted_price_and_no_flow():
    c, v = np.full(30, 7.3), np.zeros(30)

    assert np.isnan(vwap(c, v, 5)).all()
    assert 0.0 == chaikin_money_flow(c + 1, c, c, v, 5)[-1]
    assert np.isnan(volume_ratio(v, 5)).all()
    v[-1] = 3.0
    assert np.inf == volume_ratio(v, 5)[-1]


def test_a_candle_without_range_has_no_flow():
    c = np.full(30, 7.3)

    assert {0.0} == set(accumulation_distribution(c, c, c, np.ones(30)).tolist())
    assert 0.0 == chaikin_money_flow(c, c, c, np.ones(30), 5)[-1]


def test_a_slot_is_held_against_its_own_before():
    v, slots = np.array([1.0, 10, 100, 3, 30, 300, 4, 20, 0]), np.array([0, 1, 2, 0, 1, 2, 0, 1, 2])

    np.testing.assert_array_equal(slot_ratio(v, slots, 2), [np.nan] * 6 + [2, 1, 0])
    np.testing.assert_array_equal(slot_ratio(v, slots[::-1].copy(), 9), [np.nan] * 9)
    assert 0 == slot_ratio(v[:0], slots[:0], 2).size
