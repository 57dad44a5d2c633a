import math
import random

import naive_session
import numpy as np
import plain_indicators as plain
import plain_session
import pytest
from highwater.engine.session.config import parse
from highwater.kernels.arrays import column
from highwater.kernels.confluence import (
    LONG,
    SHORT,
    TILE,
    ascending,
    coarse_atr,
    looked_up,
    price_action,
    session_atr,
    session_line,
    sides_of,
    swings,
)
from session_days import STEP, candles_of, random_days


def market(seed):
    """Return (sessions in plain Python, candles of sessions, first, last)."""
    bars, hours = random_days(seed, count=6, candles_a_day=40)
    days = plain_session.sessions_of(bars, hours.open, hours.close)
    sizes = [len(own) for *_, own in days]
    last = np.cumsum(sizes)
    return (
        days,
        candles_of([bar for *_, own in days for bar in own]),
        column(last - sizes, np.int64),
        column(last, np.int64),
    )


@pytest.mark.parametrize("seed", range(8))
def test_true_ranges_of_candles_leave_out_the_nights(seed):
    days, bars, first, last = market(seed)
    wanted = plain.rma([x for *_, own in days for x in plain_session.ranged([bar[2:5] for bar in own])], 5)

    np.testing.assert_allclose(session_atr(bars, first, 5), wanted, rtol=1e-12)
    assert last[-1] == len(wanted)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("minutes", [1, 5, 7, 240])
def test_ranges_of_longer_candles(seed, minutes):
    days, bars, first, last = market(seed)
    opens, inside, wanted = column([day[0] for day in days], np.int64), [], []
    for day in days:
        inside += plain_session.ranged(plain_session.coarse(day, minutes * STEP))
        wanted.append(plain.rma(inside, 3)[-1] if day[2] else math.nan)

    np.testing.assert_allclose(coarse_atr(bars, first, last, opens, (minutes * STEP, 3)), wanted, rtol=1e-12)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("engulfing", "structure"), [(True, True), (True, False), (False, True)])
def test_price_action(seed, engulfing, structure):
    _, bars, *_ = market(seed)
    rows, n = list(zip(*(array.tolist() for array in bars), strict=True)), 2 + seed % 4
    how = {"pivot_len": n, "enable_engulfing": engulfing, "enable_structure": structure}
    how = parse({"factors": {"price_action": how}}, "here").factors.price_action
    wanted = [plain_session.action(rows, i, how) for i in range(len(rows))]

    assert [LONG * up + SHORT * down for up, down in wanted] == price_action(bars, n, engulfing, structure).tolist()


def test_price_action_over_more_candles_than_are_compared_at_once():
    bars, _ = random_days(5, count=8, candles_a_day=200)
    how = parse({}, "here").factors.price_action
    wanted = [plain_session.action(bars, i, how) for i in range(len(bars))]

    assert 2 * TILE < len(bars)
    assert [LONG * up + SHORT * down for up, down in wanted] == price_action(candles_of(bars), 3, True, True).tolist()


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_few_candles_have_no_structure_and_no_swing(size):
    bars = candles_of([(i * STEP, 5.0, 6.0 + i, 4.0 + i, 5.0, 1.0) for i in range(size)])

    assert [0] * min(size, 4) + [LONG] * (size - 4) == price_action(bars, 4, False, True).tolist()
    assert np.isnan(swings(bars.high, bars.low, 3)).all()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_swings(seed, n):
    _, bars, *_ = market(seed)
    wanted = naive_session.swings(list(zip(*(array.tolist() for array in bars), strict=True)), n)
    for side, actual in zip((1, -1), swings(bars.high, bars.low, n), strict=True):
        np.testing.assert_array_equal(actual, [np.nan if x is None else x for x in wanted[side]])


@pytest.mark.parametrize("seed", range(8))
def test_the_line_of_a_session_from_its_open_or_from_a_later_row(seed):
    days, bars, first, last = market(seed)
    rng = random.Random(seed)
    later = [min(a + rng.choice([0, 1, 15, 99]), b) for a, b in zip(first.tolist(), last.tolist(), strict=True)]
    for begin in (first.tolist(), later):
        wanted = []
        for start, a, (*_, own) in zip(begin, first.tolist(), days, strict=True):
            for i in range(len(own)):
                seen = own[start - a : i + 1]
                volume = sum(bar[5] for bar in seen)
                value = sum((bar[2] + bar[3] + bar[4]) / 3 * bar[5] for bar in seen)
                wanted.append(value / volume if volume else math.nan)

        np.testing.assert_allclose(session_line(bars, column(begin, np.int64), first), wanted, rtol=1e-12)


def test_sides_and_tables():
    x, line = np.array([1.0, 2.0, 3.0, 1.0]), np.array([2.0, 2.0, 2.0, np.nan])

    assert [SHORT, 0, LONG, 0] == sides_of(column(x), column(line)).tolist()
    assert [False, True, True] == looked_up(np.array([False, True]), np.array([0, 1, 1], np.uint8)).tolist()


@pytest.mark.parametrize(("ts", "row"), [([], 0), ([5], 0), ([1, 2, 9], 0), ([1, 1], 1), ([1, 3, 2, 2], 2)])
def test_ascending(ts, row):
    assert row == ascending(column(ts, np.int64))
