import math

import numpy as np
import pytest
from highwater.kernels.arrays import column
from highwater.kernels.channels import bollinger
from highwater.kernels.signals import (
    NONE,
    agreed,
    beyond,
    changes,
    crossed,
    gated,
    held,
    kept,
    near,
    outside,
    past,
    reached,
)
from highwater.kernels.sliding import moments
from hypothesis import given, settings
from hypothesis import strategies as st

# Few different values, so that they are often equal; sometimes not known.
VALUES = st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 2.0, math.nan])
LINES = st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=30)
SIGNALS = st.lists(st.tuples(*[st.sampled_from([1, 0, -1, NONE])] * 2, VALUES, VALUES), max_size=40)
K, ABOVE = st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.sampled_from([1, -1])


def columns(rows, *kinds):
    return [column([row[i] for row in rows], kind) for i, kind in enumerate(kinds)]


def plain(rows, long, short):
    """Return 1 where only ``long`` holds of a row, -1 where only ``short`` does, NONE where one of them is NaN."""
    return [NONE if any(map(math.isnan, row)) else bool(long(*row)) - bool(short(*row)) for row in rows]


@settings(deadline=None)
@given(LINES, K, ABOVE)
def test_comparisons_are_those_of_python(rows, k, above):
    a, b, c = columns(rows, *[np.float64] * 3)
    lines, singles = [row[:2] for row in rows], [row[:1] for row in rows]

    assert plain(lines, lambda x, y: x > y, lambda x, y: x < y) == crossed(a, b).tolist()
    expected = plain(singles, lambda x: x * above > k, lambda x: x * above < -k)
    assert expected == past(a, -k, k, above).tolist()
    assert plain(rows, lambda x, y, z: x > max(y, z), lambda x, y, z: x < min(y, z)) == beyond(a, b, c).tolist()
    expected = plain(rows, lambda x, y, z: x <= y * (1 + k), lambda x, y, z: x >= z * (1 - k))
    assert expected == near(a, b, c, k).tolist()


@settings(deadline=None)
@given(LINES, K, ABOVE)
def test_bands_are_those_that_could_be_drawn(rows, k, above):
    rows = [(x, m, abs(s)) for x, m, s in rows]
    x, middle, spread = columns(rows, *[np.float64] * 3)
    low, high = middle - k * spread, middle + k * spread
    drawn = list(zip(x.tolist(), low.tolist(), high.tolist(), strict=True))

    follow = plain(drawn, lambda x, low, high: x > high, lambda x, low, high: x < low)
    assert [v if v == NONE else v * above for v in follow] == outside(x, middle, spread, k, above).tolist()
    expected = plain(drawn, lambda x, low, high: x <= low, lambda x, low, high: x >= high)
    assert expected == reached(x, middle, spread, k).tolist()


@pytest.mark.parametrize("k", [0.1, 1 / 3, 2.0, 2.1])
def test_bands_have_the_bits_of_the_bollinger_bands(k):
    """On the band, one step above it and one below: ``middle + k * spread``, rounded twice, as drawn."""
    rng = np.random.default_rng(3)
    base = np.cumsum(rng.normal(0, 0.1, 3000)) + 100
    low, middle, high = bollinger(base, 20, k)
    spread = moments(base, 20)[1]
    for band, side in ((low, 1), (high, -1)):
        for x in (band, np.nextafter(band, -np.inf), np.nextafter(band, np.inf)):
            expected = np.where(np.isnan(band), NONE, np.int8(x <= low) - np.int8(x >= high))
            out = np.where(np.isnan(band), NONE, np.int8(x > high) - np.int8(x < low))

            np.testing.assert_array_equal(expected, reached(x, middle, spread, k))
            np.testing.assert_array_equal(out, outside(x, middle, spread, k, 1))
        assert {side} == set(reached(band, middle, spread, k)[19:])
        assert {0} == set(outside(band, middle, spread, k, 1)[19:])


def test_where_bands_meet_neither_side_is_wanted():
    x, flat = column([5.0, 4.0, 6.0]), column([5.0, 5.0, 5.0])

    assert [0, 1, -1] == reached(x, flat, column([0.0, 0.0, 0.0]), 2.0).tolist()
    assert [0, -1, 1] == outside(x, flat, column([0.0, 0.0, 0.0]), 2.0, 1).tolist()
    assert [0, 1, -1] == near(x, flat, flat, 0.0).tolist()


def plain_kept(rows):
    out, now = [], 0
    for value, _, x, level in rows:
        if value == NONE:
            out.append(NONE)
        else:
            if value:
                now = value
            elif (now == 1 and x >= level) or (now == -1 and x <= level):
                now = 0
            out.append(now)
    return out


@settings(deadline=None)
@given(SIGNALS)
def test_signals_are_joined_as_in_python(rows):
    one, other, x, level = columns(rows, np.int8, np.int8, np.float64, np.float64)
    both = [NONE if NONE in row[:2] else row[0] if row[0] == row[1] else 0 for row in rows]
    let = [NONE if a == NONE or math.isnan(b) else a if b > 0.5 else 0 for a, _, b, _ in rows]

    assert both == agreed(one, other).tolist()
    assert let == gated(one, x, 0.5).tolist()
    assert plain_kept(rows) == kept(one, x, level).tolist()


def test_a_kept_signal_ends_at_its_level_and_turns_without_it():
    signal = column([NONE, 1, 0, 0, 0, -1, 0, 1, 0], np.int8)
    x = column([9.0, 1.0, 2.0, 3.0, 2.0, 5.0, 4.0, 1.0, 2.0])
    level = column([3.0] * 9)

    assert [NONE, 1, 1, 0, 0, -1, -1, 1, 1] == kept(signal, x, level).tolist()


@settings(deadline=None)
@given(SIGNALS)
def test_changes_are_the_rows_that_differ_and_hold_until_the_next(rows):
    signal = column([row[0] for row in rows], np.int8)
    expected, standing = [], []
    for i, value in enumerate(signal.tolist()):
        if value != NONE and (not expected or value != expected[-1][1]):
            expected.append((i, value))
        standing.append(expected[-1][1] if expected else NONE)
    idx, val = changes(signal)

    assert expected == list(zip(idx.tolist(), val.tolist(), strict=True))
    assert (np.int32, np.int8) == (idx.dtype, val.dtype)
    assert standing == held(idx, val, signal.size).tolist()


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 1000])
def test_signals_have_a_value_a_candle(size):
    x, none = column(np.linspace(-1, 1, size)), column(np.full(size, np.nan))

    assert (
        [NONE] * size == crossed(x, none).tolist() == beyond(x, none, x).tolist() == past(none, -1.0, 1.0, 1).tolist()
    )
    assert [NONE] * size == outside(x, none, x, 2.0, 1).tolist() == reached(x, x, none, 2.0).tolist()
    assert ([], []) == tuple(each.tolist() for each in changes(crossed(x, none)))
