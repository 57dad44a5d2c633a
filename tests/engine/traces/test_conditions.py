import itertools

import numpy as np
import pytest
from highwater.engine.traces.conditions import FALSE, TRUE, UNKNOWN, Scope, holds
from highwater.engine.traces.expressions import parse
from highwater.engine.traces.features import Features
from highwater.io.errors import DataError, UsageError
from highwater.kernels.arrays import candles
from highwater.kernels.signals import NONE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plain_conditions import bars_of, truth
from plain_indicators import atr, directional, percent_rank, rsi
from random_conditions import truths, written

STEP, HOUR, DAY = 300_000, 3_600_000, 86_400_000
START = 1_717_421_400_000  # 9:30 in New York, Monday 3 June 2024
TRUTHS = {True: TRUE, False: FALSE, None: UNKNOWN}


def market(bars, seed=0, most=20):
    """Return candles whose prices and volumes are small whole numbers, so that sums and means are exact."""
    rng = np.random.default_rng(seed)
    prices = rng.integers(1, most, (4, bars)).astype(float)
    low, high = prices.min(axis=0), prices.max(axis=0)
    volume = rng.integers(0, 6, bars).astype(float)
    return candles(START + STEP * np.arange(bars), prices[0], high, low, prices[3], volume)


def walk(bars, seed=1, step=STEP):
    rng = np.random.default_rng(seed)
    close = 100 + np.cumsum(rng.normal(0, 0.2, bars))
    open_ = np.r_[close[0], close[:-1]]
    high, low = np.maximum(open_, close) + 0.1, np.minimum(open_, close) - 0.1
    return candles(START + step * np.arange(bars), open_, high, low, close, rng.integers(1, 900, bars).astype(float))


def told(text, bars, step=STEP, **scope):
    members = scope.get("members")
    return holds(parse(text, "threshold", {name: name for name in members or ()}), Scope(Features(bars, step), **scope))


SMALL = market(60)
PLAIN = bars_of(SMALL)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(truths(), st.booleans())
def test_every_condition_is_what_plain_python_makes_of_it(node, spare):
    text = written(node, spare)
    if len(text) > 2000:
        return
    found = holds(parse(text, "threshold"), Scope(Features(SMALL, STEP)))

    assert [TRUTHS[truth(node, i, PLAIN)] for i in range(len(PLAIN))] == found.tolist()


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(truths(("rsi_bands", "momentum")), st.integers(0, 10**6))
def test_conditions_on_votes_too(node, seed):
    text = written(node)
    if len(text) > 2000:
        return
    rng = np.random.default_rng(seed)
    members = {name: rng.choice(np.array([1, 0, -1, NONE], np.int8), 60) for name in ("rsi_bands", "momentum")}
    vote = rng.choice([0.6, -0.2, 0.0, 1e-17, np.nan], 60)
    signal = np.where(np.abs(vote) < 1e-9, 0.0, np.sign(vote))
    scope = Scope(Features(SMALL, STEP), vote, members)
    found = holds(parse(text, "threshold", {name: name for name in members}), scope)

    def level(i):
        known = {name: None if votes[i] == NONE else float(votes[i]) for name, votes in members.items()}
        return {"members": known, "vote": vote[i], "signal": None if np.isnan(signal[i]) else float(signal[i])}

    assert [TRUTHS[truth(node, i, PLAIN, level(i))] for i in range(60)] == found.tolist()


@pytest.mark.parametrize("text", ["sma(close, 20) > 10", "NOT sma(close, 20) > 10", "NOT (NOT sma(close, 20) > 10)"])
def test_a_warm_up_is_unknown_and_so_is_its_opposite(text):
    found = told(text, SMALL)

    assert [UNKNOWN] * 19 == found[:19].tolist()
    assert UNKNOWN not in found[19:]
    assert {TRUE, FALSE} == set(found[19:].tolist())


@pytest.mark.parametrize(
    "text",
    [
        "close / 0 > 1",
        "close / 0 < 1",
        "close / 0 != 1",
        "close % (close - close) >= 0",
        "0 / 0 == 0",
        "(0 - close) ** 0.5 < 1",
        "0 ** -1 > 1",
        "10 ** 400 > volume",
        "volume < 1e200 * 1e200",
        "-(1e200 * 1e200) < volume",
    ],
)
def test_what_has_no_value_lets_nothing_pass_and_neither_does_its_opposite(text):
    assert {UNKNOWN} == set(told(text, SMALL).tolist())
    assert {UNKNOWN} == set(told(f"NOT ({text})", SMALL).tolist())


def test_unknown_gives_way_to_what_decides():
    assert {FALSE} == set(told("close / 0 > 1 AND volume < 0", SMALL).tolist())
    assert {TRUE} == set(told("close / 0 > 1 OR volume >= 0", SMALL).tolist())
    assert {UNKNOWN} == set(told("close / 0 > 1 AND volume >= 0", SMALL).tolist())
    assert {UNKNOWN} == set(told("close / 0 > 1 OR volume < 0", SMALL).tolist())


def test_the_least_vote_is_reached_by_sums_that_only_rounding_keeps_below():
    vote = np.array([0.1 + 0.2, 0.7 + 0.1, 0.79999, -0.8, np.nan])
    bars = market(5)
    scope = Scope(Features(bars, STEP), vote)

    assert [FALSE, TRUE, FALSE, TRUE, UNKNOWN] == holds(parse("0.8", "threshold", {}, least=True), scope).tolist()
    assert [TRUE, TRUE, TRUE, TRUE, UNKNOWN] == holds(parse("0.3", "threshold", {}, least=True), scope).tolist()


def close_to(text, expected, bars, step=STEP, width=1e-9):
    """Assert that a number is the one expected, NaN where it is, by comparisons from both sides."""
    known = np.array([value is not None and value == value for value in expected])
    for i in np.flatnonzero(known)[:: max(1, known.sum() // 20)]:
        found = told(f"abs({text} - ({float(expected[i])!r})) < {width}", bars, step)
        assert TRUE == found[i], (text, i, expected[i])

    assert np.where(known, TRUE, UNKNOWN).tolist() == told(f"{text} == {text}", bars, step).tolist()


def test_functions_are_their_definitions():
    bars = walk(260)
    high, low, close, volume = (getattr(bars, name).tolist() for name in ("high", "low", "close", "volume"))
    mean = [None] * 19 + [sum(volume[i - 19 : i + 1]) / 20 for i in range(19, 260)]
    moved = [None] * 10 + [
        abs(close[i] - close[i - 10]) / sum(abs(close[j] - close[j - 1]) for j in range(i - 9, i + 1))
        for i in range(10, 260)
    ]
    price = [(h + low_ + c) / 3 for h, low_, c in zip(high, low, close, strict=True)]
    first = [0 if i < 174 else 174 for i in range(260)]  # at candle 174 it is midnight in New York
    vwap = [
        sum(p * v for p, v in zip(price[f : i + 1], volume[f : i + 1], strict=True)) / sum(volume[f : i + 1])
        for i, f in enumerate(first)
    ]
    adx = directional(high, low, close, 14)[2]
    expected = {
        "rsi(14)": rsi(close, 14),
        "atr(14)": atr(high, low, close, 14),
        "adx(14)": adx,
        "volume_ratio(20)": [m and v / m for v, m in zip(volume, mean, strict=True)],
        "relative_volume(20)": [None, *(m and v / m for v, m in zip(volume[1:], mean[:-1], strict=True))],
        "atr_percentile(14, 50)": percent_rank(atr(high, low, close, 14), 50),
        "trend_strength(10)": moved,
        "vwap()": vwap,
        "vwap": vwap,
        "vwap_distance()": [(c - w) / w for c, w in zip(close, vwap, strict=True)],
    }
    for text, values in expected.items():
        close_to(text, values, bars)


def test_regimes():
    bars = walk(400)
    high, low, close = (getattr(bars, name).tolist() for name in ("high", "low", "close"))
    plus, minus, adx = directional(high, low, close, 14)
    ranks = percent_rank(atr(high, low, close, 14), 100)
    trend = {
        "up": [a >= 25 and p > m for p, m, a in zip(plus, minus, adx, strict=True)],
        "down": [a >= 25 and p < m for p, m, a in zip(plus, minus, adx, strict=True)],
        "range": [a < 25 for a in adx],
    }
    volatility = {
        "low": [r < 100 / 3 for r in ranks],
        "high": [r > 200 / 3 for r in ranks],
        "normal": [100 / 3 <= r <= 200 / 3 for r in ranks],
    }
    for word, expected in trend.items():
        known = [TRUE if yes else FALSE if a == a else UNKNOWN for yes, a in zip(expected, adx, strict=True)]
        assert known == told(f"trend_regime() == '{word}'", bars).tolist()
        assert TRUE in known
    for word, expected in volatility.items():
        known = [TRUE if yes else FALSE if r == r else UNKNOWN for yes, r in zip(expected, ranks, strict=True)]
        assert known == told(f"volatility_regime() == '{word}'", bars).tolist()
        assert TRUE in known


def test_the_clock_of_an_expression():
    ts = START + np.array([0, 4 * HOUR, 6 * HOUR + 24 * 60_000, 6 * HOUR + 25 * 60_000, 4 * DAY])
    bars = candles(ts, *[np.full(5, 2.0)] * 5)
    clock = {
        "time >= 1330": [FALSE, TRUE, TRUE, TRUE, FALSE],
        "hour == 15 AND minute == 55": [FALSE, FALSE, FALSE, TRUE, FALSE],
        "intraday": [TRUE, TRUE, TRUE, FALSE, TRUE],
        "bar_of_day == 0": [TRUE, FALSE, FALSE, FALSE, TRUE],
        "is_friday()": [FALSE, FALSE, FALSE, FALSE, TRUE],
        "time_until_close() <= 6": [FALSE, FALSE, TRUE, TRUE, FALSE],
    }
    for text, expected in clock.items():
        assert expected == told(text, bars, 60_000).tolist(), text


def test_a_timeframe_is_that_of_the_last_complete_candle():
    bars = walk(200)
    hours = [i for i in range(200) if bars.ts[i] % HOUR == 0]
    means = {}  # by the candle at whose close it is known: the means of the closes of two hours
    ends = [i - 1 for i in hours if i]
    for one, other in itertools.pairwise(ends):
        means[other] = float(bars.close[one] + bars.close[other]) / 2
    expected, last = [], None
    for i in range(200):
        last = means.get(i, last)
        expected.append(last)

    close_to("sma(close, 2, '1h')", expected, bars)
    assert told("sma(close, 2, '60m') > close", bars).tolist() == told("sma(2, '1h') > close", bars).tolist()


def test_a_timeframe_of_the_candles_own_changes_nothing():
    bars = walk(100)

    assert told("rsi(14) > 50", bars).tolist() == told("rsi(14, '5m') > 50", bars).tolist()


def test_a_hole_completes_the_candle_before_it():
    ts = START + 60_000 * np.array([0, 1, 2, 7, 8, 9, 10])  # 9:30, ..., 9:40: 9:33 to 9:36 are missing
    close = np.arange(1.0, 8.0)
    bars = candles(ts, close, close, close, close, close)

    # The candle of 9:30 to 9:35 ends with 9:32, which nobody knows before 9:37; that of 9:35 with 9:39.
    assert [UNKNOWN] * 3 + [FALSE] * 2 + [TRUE] * 2 == told("sma(close, 1, '5m') > 5", bars, 60_000).tolist()
    assert [UNKNOWN] * 3 + [TRUE] * 2 + [FALSE] * 2 == told("sma(close, 1, '5m') == 3", bars, 60_000).tolist()


def test_what_cannot_be_a_coarser_candle():
    with pytest.raises(UsageError, match="timeframe 7m is no multiple of the candles' own, 5m"):
        told("rsi(14, '7m') > 50", walk(50))
    off = walk(50)
    with pytest.raises(DataError, match="candles off the 5m grid make none of 1h"):
        told("rsi(14, '1h') > 50", off._replace(ts=off.ts + 1))


def test_an_equal_term_is_made_once(monkeypatch):
    made = []
    from highwater.engine.traces import conditions

    compute = conditions._compute
    monkeypatch.setattr(conditions, "_compute", lambda term, scope: made.append(term) or compute(term, scope))
    told("sma(volume, 20) * 2 > close OR NOT sma(volume, 20) * 2 > close AND sma(volume, 20) * 2 < 7", SMALL)

    assert len(made) == len(set(made))
