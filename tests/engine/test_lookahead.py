import random
import re

import numpy as np
import pytest
from highwater.engine.lookahead import KNOWN_MS, Leak, check, cut_bars, first_leak
from highwater.io.errors import DataError, UsageError
from highwater.io.resample import resample
from highwater.kernels.arrays import column
from kernel_market import STEP, candles_of, long_bars
from shared_market import candle_set, document, ms, needs_data

BARS = candles_of(long_bars(random.Random(11), 900))
LONG = candles_of(long_bars(random.Random(12), 5_000))


def rolling_mean(values, width):
    """Return the mean of the last ``width`` values, NaN before there are as many; each sum by itself."""
    out = np.full(values.size, np.nan)
    for i in range(width - 1, values.size):
        out[i] = values[i - width + 1 : i + 1].mean()
    return out


def hours(bars):
    """Return the candles of five minutes as columns, labelled by their open."""
    return resample(bars, column([0, bars.ts.size], np.int64), 5 * STEP)[0]


def mean(bars):
    return rolling_mean(bars.close, 20)


def ema(bars):
    out = bars.close.copy()
    for i in range(1, out.size):
        out[i] = out[i - 1] + 0.1 * (bars.close[i] - out[i - 1])
    return out


def previous_close(bars):
    return np.append(np.nan, bars.close[:-1])


def breakout(bars):
    highest = np.maximum.accumulate(bars.high)
    return {"long": bars.close >= highest, "level": highest, "side": np.where(bars.close > bars.open, "up", "down")}


def gaps(bars):
    return bars.open - previous_close(bars)


def resampled(bars):
    coarse = hours(bars)
    return {KNOWN_MS: coarse.ts + 5 * STEP, **coarse._asdict()}


def used_when_over(bars):
    """Return, a candle, the close of the last five minutes that are over when it closes."""
    coarse = hours(bars)
    at = np.searchsorted(coarse.ts + 5 * STEP, bars.ts + STEP, "right") - 1
    return np.where(at < 0, np.nan, coarse.close[np.maximum(at, 0)])


@pytest.mark.parametrize("signal", [mean, ema, breakout, gaps, previous_close, resampled, used_when_over])
def test_what_knows_the_past_only_is_clean(signal):
    assert first_leak(signal, BARS) is None


@pytest.mark.parametrize("signal", [previous_close, gaps])
def test_what_is_known_at_the_open_is_clean(signal):
    assert first_leak(signal, BARS, known="open") is None


def centred_mean(bars):
    return np.convolve(bars.close, np.ones(5) / 5, "full")[2 : 2 + bars.close.size]


def of_the_whole_maximum(bars):
    return bars.close / bars.close.max()


def shifted_back(bars):
    return np.append(bars.close[1:], np.nan)


def seldom(bars):
    """Return True for the one candle in hundreds before a great rise."""
    return np.append(bars.close[1:] > bars.close[:-1] * 1.1, False)


def used_from_its_label(bars):
    """Return, a candle, the close of the five minutes it lies in: not over yet."""
    coarse = hours(bars)
    return coarse.close[np.searchsorted(coarse.ts, bars.ts, "right") - 1]


def labelled_by_its_open(bars):
    coarse = hours(bars)
    return {KNOWN_MS: coarse.ts, "close": coarse.close}


def next_time(bars):
    return np.append(np.diff(bars.ts), -1)


def backwards(bars):
    return np.minimum.accumulate(bars.low[::-1])[::-1]


def best_events(bars):
    """Return the ten best candles of all as events at their closes."""
    best = np.sort(np.argsort(bars.close - bars.open)[-10:])
    return {KNOWN_MS: bars.ts[best] + STEP, "price": bars.close[best]}


LEAKS = [centred_mean, of_the_whole_maximum, shifted_back, seldom, used_from_its_label, labelled_by_its_open]
LEAKS += [next_time, backwards, best_events]


@pytest.mark.parametrize("signal", LEAKS)
def test_what_looks_ahead_is_caught(signal):
    assert first_leak(signal, BARS) is not None
    assert first_leak(signal, LONG, cuts=32) is not None


@pytest.mark.parametrize("future", ["shuffled", "nan", "cut", "scaled"])
@pytest.mark.parametrize("signal", [centred_mean, shifted_back, used_from_its_label])
def test_each_future_alone_catches_it(signal, future):
    assert first_leak(signal, BARS, futures=[future]).future == future


@pytest.mark.parametrize("name", ["close", "high", "low", "volume"])
def test_an_entry_at_the_open_may_not_know_its_own_candle(name):
    def signal(bars):
        return getattr(bars, name) / bars.open

    assert first_leak(signal, BARS) is None
    assert first_leak(signal, BARS, known="open") is not None


def test_the_leak_says_where_and_what():
    bars = candles_of([(i * STEP, *[float(i + 1)] * 4, 1.0) for i in range(40)])
    found = first_leak(shifted_back, bars, futures=["cut"], warmup=7)

    assert Leak(7, 7 * STEP, "", 9.0, found.after, "cut", 7, False) == found
    assert "at bar 7 (1970-01-01T00:07Z) the value 9.0 becomes nan when the candles after it are cut off" == str(found)


def test_of_several_outputs_the_one_that_leaks_is_named():
    found = first_leak(lambda bars: {"good": bars.open, "bad": shifted_back(bars)}, BARS)

    assert ("bad", 0) == (found.name, found.bar)
    assert "output 1" == first_leak(lambda bars: (bars.open, shifted_back(bars)), BARS).name


def test_an_event_that_goes_or_comes_is_told():
    def late(bars):
        return {KNOWN_MS: bars.ts[:1] if bars.close[-1] == BARS.close[-1] else bars.ts[:0]}

    def early(bars):
        return {KNOWN_MS: bars.ts[:1] if bars.close[-1] != BARS.close[-1] else bars.ts[:0]}

    assert "an event is gone when all after the open of it is NaN" in str(first_leak(late, BARS, futures=["nan"]))
    assert "another event comes" in str(first_leak(early, BARS))


def test_zero_and_minus_zero_differ_in_a_bit():
    def signal(bars):
        return np.where(bars.ts == bars.ts[0], np.copysign(0.0, bars.close[-1] - BARS.close[-1]), 1.0)

    assert "the value 0.0 becomes -0.0" in str(first_leak(signal, BARS, seed=3))


def test_a_nan_with_other_bits_is_told():
    def signal(bars):
        bits = np.full(bars.ts.size, 0x7FF8 << 48, np.uint64)
        return (bits + np.uint64(bars.ts.size != BARS.ts.size)).view(np.float64)

    assert "the value nan changes its bits" in str(first_leak(signal, BARS))


def test_sums_in_another_order_are_called_a_rounding():
    def signal(bars):
        return np.where(bars.ts == bars.ts[0], 0.3 if bars.ts.size < BARS.ts.size else 0.1 + 0.2, 1.0)

    assert "cut off (a rounding" in str(first_leak(signal, BARS))
    assert "rounding" not in str(first_leak(shifted_back, BARS))


def test_integers_that_turn_into_floats_are_the_same_numbers():
    def signal(bars):
        values = np.arange(bars.ts.size)
        return values if bars.ts.size == BARS.ts.size else np.append(values[:-1].astype(float), values[-1])

    assert first_leak(signal, BARS) is None


def test_texts_and_objects_are_compared():
    def named(bars):
        return np.array(["up" if rise > 0 else None for rise in bars.close - bars.open], object)

    assert first_leak(named, BARS) is None
    assert "'None' becomes 'up'" in str(first_leak(lambda bars: np.append(named(bars)[1:], "up"), BARS, seed=5))


def test_a_mapping_is_given_as_one_and_other_columns_change_too():
    given = {"ts": BARS.ts, "close": BARS.close, "funding": np.arange(BARS.ts.size)}

    assert first_leak(lambda rows: rows["funding"] * rows["close"], given) is None
    assert first_leak(lambda rows: np.append(rows["funding"][1:], 0), given) is not None
    with pytest.raises(UsageError, match="the candles have no column ts \\(found: close\\)"):
        first_leak(lambda rows: rows["close"], {"close": BARS.close})


def test_it_is_the_same_every_time():
    assert check(seldom, LONG) == check(seldom, LONG)
    assert check(seldom, LONG).cuts != check(seldom, LONG, seed=8).cuts


def test_the_last_future_that_can_change_is_changed():
    assert BARS.ts.size - 2 == check(ema, BARS).cuts[-1]
    assert BARS.ts.size - 1 == check(previous_close, BARS, known="open").cuts[-1]


def test_cuts_are_edges_turns_and_a_spread():
    turn = np.zeros(5_000)
    turn[3_217:] = 1.0
    found = cut_bars({"": turn}, LONG.ts, 4_998, 64, 10, 7)

    assert 64 == len(found) == len(set(found))
    assert {10, 11, 3_217, 4_998} <= set(found)
    assert found == sorted(found)
    assert max(np.diff(found)) < 250
    assert 1 < len(set(np.diff(found) % 60))
    assert list(range(20)) == cut_bars({"": turn}, LONG.ts, 19, 64, 0, 7)


@pytest.mark.parametrize(
    ("signal", "says"),
    [
        (lambda bars: bars.close[5:], "returned 895 values for 900 candles; it must be one a candle"),
        (lambda bars: 1.0, "returned a single value for 900 candles"),
        (lambda bars: {}, "returned no values"),
        (lambda bars: None, "returned a single value"),
        (lambda bars: {"a": bars.close, "b": bars.close[1:]}, "returned 900 and 899 values"),
        (lambda bars: {KNOWN_MS: bars.ts[:3], "b": bars.close}, "returned 3 and 900 values"),
        (lambda bars: bars.adjusted, "asked about the whole series, it raised AttributeError: .*adjusted"),
        (lambda bars: bars.close.sort(), "it raised ValueError: .*read-only"),
        (lambda bars: np.full(bars.ts.size, random.random()), "gives another answer each time"),
        (lambda bars: np.zeros((bars.ts.size, bars.ts.size)), "another form with another future"),
    ],
)
def test_what_is_no_signal_is_refused(signal, says):
    with pytest.raises(UsageError, match=says):
        check(signal, BARS)


def test_a_future_that_it_cannot_bear_is_named_unless_there_is_a_leak():
    def strict(bars):
        if np.isnan(bars.close).any():
            raise ValueError("no NaN, please")
        return bars.close

    with pytest.raises(
        UsageError, match=re.escape("strict: asked about candles NaN after bar 0, it raised ValueError")
    ):
        check(strict, BARS)
    assert first_leak(strict, BARS, futures=["shuffled", "cut", "scaled"]) is None
    assert first_leak(lambda bars: shifted_back(bars._replace(close=strict(bars))), BARS) is not None


def test_too_few_candles_or_cuts_are_refused():
    with pytest.raises(DataError, match="1 candles are too few to change the future after bar 0"):
        check(mean, candles_of([(0, 1.0, 1.0, 1.0, 1.0, 1.0)]))
    with pytest.raises(DataError, match="after bar 899"):
        check(mean, BARS, warmup=899)
    with pytest.raises(UsageError, match="cuts is 3, warmup is 0; they must be at least 4 and 0"):
        check(mean, BARS, cuts=3)


def specimen():
    """Return (candles, times of the entry candles, cases) of the published list that is wrong by look-ahead."""
    cases = document("lookahead_specimen_spy5m")["cases"]
    return candle_set("spy_5m_2024").candles, np.array([ms(case["entry_bar"]) for case in cases]), cases


def levels_in_force(times, delay):
    """Return a signal: the stop and the target that hold while a candle trades, from ``delay`` after the entry on."""

    def signal(bars):
        close = np.full(bars.ts.size, np.nan)
        for row in np.searchsorted(bars.ts, times[times <= bars.ts[-1]]):
            close[row + delay :] = bars.close[row]
        return {"stop": close * (1 - 0.00075), "target": close * (1 + 0.001)}

    return signal


class TestSpecimen:
    pytestmark = needs_data

    def test_its_levels_hold_in_the_candle_at_whose_close_they_are_set(self):
        bars, times, cases = specimen()
        levels = levels_in_force(times, 0)(bars)
        sold = {name: [] for name in ("stop", "target")}
        for case in cases:
            if case["direction"] == "long" and case["exit_bar"] == case["entry_bar"]:
                row = int(np.searchsorted(bars.ts, ms(case["entry_bar"])))
                sold[case["exit_reason"]].append((case["exit_price"], float(levels[case["exit_reason"]][row])))

        assert len(sold["target"]) > 5
        for pairs in sold.values():
            assert [price for price, _ in pairs] == pytest.approx([level for _, level in pairs], rel=1e-12)

    def test_it_is_caught(self):
        bars, times, _ = specimen()
        found = first_leak(levels_in_force(times, 0), bars, known="open")
        first = int(np.searchsorted(bars.ts, times[0]))

        assert found.at_open
        assert found.bar >= first
        assert found.ts in set(times.tolist())

    def test_levels_that_hold_from_the_next_candle_on_are_clean(self):
        bars, times, _ = specimen()

        assert first_leak(levels_in_force(times, 1), bars, known="open") is None
