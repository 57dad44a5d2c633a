import random

import numpy as np
import pytest
from highwater.engine.futures import FUTURES, another_future, columns_of
from highwater.io.candles import CandleOptions
from highwater.io.validate import validate
from highwater.kernels.arrays import Candles
from kernel_market import candles_of, long_bars

BARS = candles_of(long_bars(random.Random(3), 300))
COLUMNS = columns_of(BARS)


def made(future, t, at_open=False, seed=7):
    return another_future(COLUMNS, t, future, at_open, seed)


@pytest.mark.parametrize("future", FUTURES)
@pytest.mark.parametrize("t", [0, 100, 298])
def test_the_past_stays_and_the_future_does_not(future, t):
    found = made(future, t)

    for name, values in COLUMNS.items():
        assert np.array_equal(values[: t + 1], found[name][: t + 1])
        assert not found[name].flags.writeable
    assert np.array_equal(COLUMNS["ts"][: found["ts"].size], found["ts"])
    assert future == "shuffled" or not np.array_equal(COLUMNS["close"], found["close"])


@pytest.mark.parametrize("future", FUTURES)
def test_at_the_open_of_a_candle_only_its_open_stays(future):
    found = made(future, 100, at_open=True)

    for name, values in COLUMNS.items():
        assert np.array_equal(values[:100], found[name][:100])
    assert COLUMNS["open"][100] == found["open"][100]
    assert COLUMNS["ts"][100] == found["ts"][100]
    if future in ("cut", "nan"):
        assert {found["open"][100]} == {found[name][100] for name in ("high", "low", "close")}
    else:
        assert COLUMNS["close"][100] != found["close"][100]


@pytest.mark.parametrize("future", ["shuffled", "cut", "scaled"])
@pytest.mark.parametrize("at_open", [False, True])
def test_candles_stay_valid(future, at_open):
    for t in range(0, 299, 13):
        found = Candles(**made(future, t, at_open))
        keep, _ = validate(*found, CandleOptions(), np.array([0, found.ts.size]))

        assert keep.size == found.ts.size


def test_each_future_is_what_it_is_called():
    assert 101 == made("cut", 100)["ts"].size
    assert np.isnan(made("nan", 100)["low"][101:]).all()
    assert sorted(COLUMNS["high"][101:]) == sorted(made("shuffled", 100)["high"][101:])
    assert not np.array_equal(COLUMNS["high"], made("shuffled", 100)["high"])
    factor = made("scaled", 100)["high"][101:] / COLUMNS["high"][101:]
    assert 0.5 <= factor.min() < 0.6
    assert 1.9 < factor.max() < 2.0
    np.testing.assert_allclose(factor, made("scaled", 100)["low"][101:] / COLUMNS["low"][101:])


def test_the_seed_decides():
    assert np.array_equal(made("scaled", 5)["high"], made("scaled", 5)["high"])
    assert not np.array_equal(made("scaled", 5)["high"], made("scaled", 5, seed=8)["high"])
    assert not np.array_equal(made("scaled", 5)["high"][50:], made("scaled", 6)["high"][50:])
