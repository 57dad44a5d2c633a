from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import numpy as np
import pytest
from highwater.engine.lookahead import first_leak
from highwater.engine.traces import features as module
from highwater.engine.traces.clock import CLOCK
from highwater.engine.traces.features import COLUMNS, INDICATORS, Features, names
from highwater.io.errors import UsageError
from highwater.kernels import averages
from highwater.kernels.arrays import candles

STEP = 60_000
BARS = 300


def market(size=BARS, seed=1):
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.01, size)))
    open_ = np.r_[close[:1], close[:-1]]
    high, low = np.maximum(open_, close) * 1.002, np.minimum(open_, close) * 0.997
    return candles(1_717_421_400_000 + STEP * np.arange(size), open_, high, low, close, rng.integers(0, 9, size) * 1.0)


def key_of(name, of="close"):
    """Return a key of an indicator, every number in it another."""
    each = INDICATORS[name]
    numbers = [{"n": 5 + 3 * i, "k": 0.05 + 0.3 * i}[kind] for i, kind in enumerate(each.numbers)]
    return (name, *([of] if each.of_series else []), *numbers)


def same(one, other):
    """Return whether two features have the same bits, NaN for NaN."""
    pairs = zip(one, other, strict=True) if isinstance(one, tuple) else [(one, other)]
    return all(np.array_equal(a.view(np.int64), b.view(np.int64)) for a, b in pairs)


@pytest.mark.parametrize("name", [name for name, each in INDICATORS.items() if each.room])
def test_an_indicator_is_its_kernel(name):
    """Those that are put together of shared parts (bollinger, keltner, donchian, atr) too, bit by bit."""
    bars, each = market(), INDICATORS[name]
    features = Features(bars, STEP)
    typical = (bars.high + bars.low + bars.close) / 3
    given = {name: getattr(bars, name) for name in bars._fields[1:]}
    given |= {"typical": typical, "session_starts": np.arange(BARS) == 0}
    kernel = getattr(import_module(f"highwater.kernels.{each.room}"), name)
    expected = kernel(*(given[column] for column in each.reads or ["close"]), *key_of(name)[1 + each.of_series :])

    assert same(expected, features[key_of(name)])
    assert len(each.lines) == (len(expected) if isinstance(expected, tuple) else 0)


@pytest.mark.parametrize("name", INDICATORS)
def test_a_feature_is_made_once_and_nobody_may_write_to_it(name):
    features = Features(market(), STEP)
    found = features[key_of(name)]

    assert found is features[key_of(name)]
    for values in found if isinstance(found, tuple) else [found]:
        assert (values.flags.writeable, values.flags.c_contiguous, values.shape) == (False, True, (BARS,))


@pytest.mark.parametrize("name", INDICATORS)
def test_a_feature_knows_nothing_of_the_future(name):
    assert first_leak(lambda bars: Features(bars, STEP)[key_of(name)], market(), cuts=8) is None


@pytest.mark.parametrize("name", INDICATORS)
def test_a_series_too_short_for_an_indicator_gives_no_error(name):
    for size in (0, 1, 2):
        found = Features(market(size), STEP)[key_of(name)]

        assert {(size,)} == {values.shape for values in (found if isinstance(found, tuple) else [found])}


def test_columns_are_those_of_the_candles():
    bars = market()
    features = Features(bars, STEP)

    for name in ("open", "high", "low", "close", "volume"):
        assert np.shares_memory(features[name], getattr(bars, name))
    assert np.array_equal(bars.close, features["price"])
    np.testing.assert_allclose((bars.high + bars.low) / 2, features["hl2"], rtol=1e-15)
    np.testing.assert_allclose((bars.high + bars.low + bars.close) / 3, features["hlc3"], rtol=1e-15)
    assert same(features["hlc3"], features["typical"])


def test_features_are_made_of_features():
    features = Features(market(), STEP)
    of_atr = features["sma", ("atr", 14), 20]

    assert same(averages.sma(features["atr", 14], 20), of_atr)
    assert 14 + 20 - 1 == np.flatnonzero(~np.isnan(of_atr))[0]
    assert same(
        averages.ema(features["macd", "close", 5, 8, 3][0], 4), features["ema", ("macd.line", "close", 5, 8, 3), 4]
    )
    assert same(averages.sma(features["hour"].astype(float), 3), features["sma", "hour", 3])


def test_parts_are_shared():
    features = Features(market(), STEP)
    bollinger, keltner, donchian = (features[key_of(name)] for name in ("bollinger", "keltner", "donchian"))

    assert np.shares_memory(bollinger[1], features["sma", "close", 5])
    assert np.shares_memory(keltner[1], features["ema", "close", 5])
    assert np.shares_memory(donchian[0], features["lowest", "low", 5])
    assert np.shares_memory(features["atr", 5], features["rma", ("true_range",), 5])


@pytest.mark.parametrize("name", [name for name, each in INDICATORS.items() if each.lines])
def test_a_line_is_had_by_its_name(name):
    features = Features(market(), STEP)
    key = key_of(name)
    found = [features[(f"{name}.{line}", *key[1:])] for line in INDICATORS[name].lines]

    assert same(features[key], tuple(found))


def test_bands_lie_in_the_order_of_their_names():
    features = Features(market(), STEP)
    for name in ("bollinger", "keltner", "donchian"):
        lower, middle, upper = (features[(f"{name}.{line}", *key_of(name)[1:])][30:] for line in INDICATORS[name].lines)

        assert (lower < middle).all() and (middle < upper).all()


def test_a_shifted_feature_is_that_of_candles_before():
    features = Features(market(), STEP)
    close = features["close"]

    assert np.array_equal(close[:-3], features["shift", "close", 3][3:])
    assert np.isnan(features["shift", "close", 3][:3]).all()
    assert np.isnan(features["shift", "close", BARS + 1]).all() and BARS == features["shift", "close", BARS + 1].size


def test_the_clock_is_that_of_the_zone():
    bars = market()

    assert (9, 30) == tuple(Features(bars, STEP)[name][0] for name in ("hour", "minute"))
    assert 13 == Features(bars, STEP, "UTC")["hour"][0]
    assert {(BARS,)} == {Features(bars, STEP)[name].shape for name in CLOCK}


def test_a_sessions_vwap_begins_with_the_session():
    bars = market()
    two_days = bars._replace(ts=bars.ts + 86_400_000 * (np.arange(BARS) >= 100))
    features = Features(two_days, STEP)
    last = bars.high[100] / 3 + bars.low[100] / 3 + bars.close[100] / 3

    assert [0, 100] == np.flatnonzero(features["session_starts"]).tolist()
    traded = 100 + np.flatnonzero(bars.volume[100:] > 0)[0]
    assert np.isnan(features["session_vwap",][100:traded]).all()
    if traded == 100:
        assert last == pytest.approx(features["session_vwap",][100], rel=1e-12)


def test_what_was_used_longest_ago_is_forgotten():
    room = 8 * BARS
    features = Features(market(), STEP, memory=4 * room)
    first, second = features["sma", "close", 2], features["sma", "close", 3]
    for n in (4, 5):
        features["sma", "close", n]
    assert 4 * room == features.size

    assert first is features["sma", "close", 2]  # used again, so another goes
    features["ema", "close", 9]
    assert first is features["sma", "close", 2]
    assert second is not features["sma", "close", 3] and same(second, features["sma", "close", 3])
    for n in range(2, 200):
        features["wma", "close", n]
        assert features.size <= 4 * room
    assert first is not features["sma", "close", 2] and same(first, features["sma", "close", 2])


def test_a_feature_larger_than_the_memory_is_made_all_the_same():
    features = Features(market(), STEP, memory=1)

    assert same(Features(market(), STEP)[key_of("bollinger")], features[key_of("bollinger")])
    assert 3 * 8 * BARS == features.size  # that one is kept until the next


def test_several_threads_may_ask():
    features, plain = Features(market(), STEP, memory=20 * 8 * BARS), Features(market(), STEP)
    keys = [key_of(name) for name in INDICATORS] * 4
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(features.__getitem__, keys))

    assert all(same(plain[key], each) for key, each in zip(keys, found, strict=True))
    assert features.size == sum(module._bytes(each) for each in features._known.values())


@pytest.mark.parametrize(
    "key,says",
    [
        ("clos", r"unknown column 'clos'; did you mean 'close'\?"),
        (("smma", "close", 3), r"unknown indicator 'smma'; did you mean 'sma'\?"),
        (("bollinger.uper", "close", 3, 2.0), r"unknown indicator 'bollinger.uper'; did you mean 'bollinger.upper'\?"),
        (("sma", "close"), r"sma was given 1 arguments; it takes 2"),
        (("sma", 20), r"sma was given 1 arguments; it takes 2"),
        (("obv", 3), r"obv was given 1 arguments; it takes 0"),
        (("sma", "close", 0), r"sma was given 0; it must be a whole number of candles, from 1 to 1,000,000"),
        (("shift", "close", -1), r"shift was given -1; it must be a whole number of candles, from 1 to 1,000,000"),
        (("sma", "close", 2.5), r"sma was given 2.5; it must be a whole number of candles"),
        (("sma", "close", 10**9), r"sma was given 1000000000; it must be a whole number of candles"),
        (("sma", "close", True), r"sma was given True; it must be a whole number of candles"),
        (("sma", "close", "close"), r"sma was given close; it must be a whole number of candles"),
        (("bollinger", "close", 20, 0), r"bollinger was given 0; it must be a number above 0"),
        (("bollinger", "close", 20, np.nan), r"bollinger was given nan; it must be a number above 0"),
        (("bollinger", "close", 20, np.inf), r"bollinger was given inf; it must be a number above 0"),
        (
            ("sma", ("donchian", 20), 3),
            r"donchian has several lines; name one: donchian.lower or donchian.middle or donchian.upper",
        ),
    ],
)
def test_what_is_no_feature_is_refused(key, says):
    with pytest.raises(UsageError, match=f"^{says}"):
        Features(market(), STEP)[key]


def test_every_name_is_one_thing():
    found = [*COLUMNS, *names()]

    assert sorted(set(found)) == sorted(found)
