"""Every registered strategy against its definition in plain Python."""

import random

import numpy as np
import plain_rules
import pytest
from highwater.engine.lookahead import first_leak
from highwater.engine.traces.features import Features
from highwater.engine.traces.registry import RULES, complete, rule_named, samples
from highwater.io.errors import UsageError
from highwater.kernels.arrays import candles
from highwater.kernels.signals import NONE
from shared_market import candle_set, needs_data, series_of

STEP = 300_000
START = 1_717_421_400_000  # 9:30 in New York, 3 June 2024
BARS = 420


def signal_of_rule(name, given, features):
    rule = rule_named(name)
    return rule.signal(features, complete(rule, given))


def market(seed, volatility=0.004, dead=False):
    """Return candles of a few exchange days that end early, one of them with a stretch where nothing moves."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.standard_t(4, BARS) * volatility))
    if dead:
        close[200:260] = close[200]
    open_ = np.r_[close[0], close[:-1]] * np.exp(rng.normal(0, volatility / 4, BARS))
    if dead:
        open_[201:260] = close[200]
    wicks = np.abs(rng.normal(0, volatility / 2, (2, BARS)))
    wicks[:, 201:260] *= not dead
    high, low = np.maximum(open_, close) * (1 + wicks[0]), np.minimum(open_, close) * (1 - wicks[1])
    volume = np.round(rng.gamma(2, 500, BARS))
    volume[rng.random(BARS) < 0.02] = 0
    place = np.arange(BARS)
    ts = START + STEP * (place % 70) + 86_400_000 * (place // 70)
    return candles(ts, open_, high, low, close, volume)


def lists(bars):
    found = {name: values.tolist() for name, values in bars._asdict().items()}
    return found | {"starts": [i % 70 == 0 for i in range(BARS)]}


def drawn(rule, count):
    """Return sets of values for a rule: its defaults, then some of its range drawn at random."""
    rng, found = random.Random(rule.name), [complete(rule, {})]
    spread = samples(rule, 9)
    while len(found) < count:
        try:
            found.append(complete(rule, {name: rng.choice(values) for name, values in spread.items()}))
        except UsageError:  # a pair that does not ascend
            continue
    return found


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_its_definition(name):
    rule, seen = RULES[name], set()
    for seed, values in enumerate(drawn(rule, 6)):
        bars = market(seed, volatility=(0.004, 0.02)[seed % 2], dead=seed == 4)
        found = rule.signal(Features(bars, STEP), values).tolist()
        expected, close_calls = plain_rules.signal(name, lists(bars), values)
        differs = [i for i in range(BARS) if found[i] != expected[i] and not close_calls[i]]
        seen.update(found)

        assert [] == differs, values
        assert sum(close_calls) < BARS / 5
    assert {1, -1} <= seen <= {1, 0, -1, NONE}


def test_every_rule_has_a_definition():
    assert set(plain_rules.RULES) == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_knows_nothing_of_the_future(name):
    rule = RULES[name]
    for values in drawn(rule, 2):
        assert first_leak(lambda bars: rule.signal(Features(bars, STEP), values), market(3), cuts=8) is None  # noqa: B023


@pytest.mark.parametrize("name", RULES)
def test_warming_up_is_no_wish_to_be_flat(name):
    """Each rule says NONE until its indicators are known, which takes no candle that is not there."""
    rule, bars = RULES[name], market(2)
    found = rule.signal(Features(bars, STEP), complete(rule, {}))
    first = int(np.argmax(found != NONE))
    expected, _ = plain_rules.signal(name, lists(bars), complete(rule, {}))

    assert np.int8 == found.dtype and bars.ts.shape == found.shape
    assert next(i for i in range(BARS) if expected[i] != NONE) == first
    assert (found[first:] != NONE).all()
    some = type(bars)(*(part[:first] for part in bars))
    assert [NONE] * first == rule.signal(Features(some, STEP), complete(rule, {})).tolist()


def test_a_dead_market_asks_for_nothing_at_its_bands():
    """Deviation and ATR are 0, the bands are one line and the close is on it: both sides are reached, neither wins."""
    flat = np.full(100, 10.0)
    bars = candles(START + STEP * np.arange(100), flat, flat, flat, flat, flat)
    features = Features(bars, STEP)
    for name in ("bollinger_bands", "keltner_bands", "donchian_bands", "bollinger_breakout", "keltner_breakout"):
        assert {NONE, 0} == set(signal_of_rule(name, {}, features).tolist()), name
    for name in ("sma_crossover", "ema_crossover", "momentum", "rsi_bands", "donchian_breakout"):
        assert {NONE, 0} == set(signal_of_rule(name, {}, features).tolist()), name


def test_a_close_on_the_band_is_a_return_and_no_breakout():
    """Nine closes of 1 and one of 2: mean 1.1, deviation 0.3, so the close is exactly 3 deviations up."""
    close = np.r_[np.ones(9), 2.0] * 1.0
    bars = candles(STEP * np.arange(10), close, close, close, close)
    features = Features(bars, STEP)
    above = features["bollinger.upper", "close", 10, 3.0][-1]
    values = {"period": 10, "std_dev": 3.0}

    assert (-1, 0) == (signal_of_rule("bollinger_bands", values, features)[-1], above - 2.0)
    assert 0 == signal_of_rule("bollinger_breakout", values, features)[-1]


def test_the_middle_exit_holds_a_donchian_trade():
    bars = market(5)
    features = Features(bars, STEP)
    plainly, held = (signal_of_rule("donchian_bands", {"use_middle_exit": each}, features) for each in (False, True))

    assert (held[plainly > 0] == 1).all() and (held[plainly == -1] == -1).all()
    assert np.count_nonzero(held == 0) < np.count_nonzero(plainly == 0)


def test_atrs_take_the_place_of_the_percentage():
    features = Features(market(1), STEP)
    by_atr = [
        signal_of_rule("session_vwap_deviation", {"atr_multiplier": 1.5, "band_pct": each}, features).tolist()
        for each in (0.001, 0.05)
    ]

    assert by_atr[0] == by_atr[1] != signal_of_rule("session_vwap_deviation", {}, features).tolist()


@pytest.mark.shared_data
@needs_data[1]
def test_a_donchian_breakout_fires_on_real_candles():
    found = candle_set("spy_5m_2024")
    bars = series_of(found, found.tokens[0])
    signal = signal_of_rule("donchian_breakout", {}, Features(bars, found.interval_ms))
    upper = [max(bars.high[i - 20 : i]) for i in range(20, bars.ts.size)]
    lower = [min(bars.low[i - 20 : i]) for i in range(20, bars.ts.size)]

    assert np.sum(bars.close[20:] > upper) == np.sum(signal == 1) > 500
    assert np.sum(bars.close[20:] < lower) == np.sum(signal == -1) > 500
