import re

import numpy as np
import pytest
from highwater.io.digest import arrays_sha256
from highwater.io.errors import UsageError
from highwater.io.sources.sessions import REGIMES, Walk, make
from hypothesis import given, settings
from hypothesis import strategies as st

DAY, MINUTE = 86_400_000, 60_000
OPEN = 1_704_205_800_000  # 2024-01-02 14:30 UTC
HALF = np.array([390, 390, 210, 390])  # minutes; the third is a half day


def four_days(symbol="SPY", walk=None, interval=MINUTE, first=OPEN):
    opens = first + DAY * np.arange(4)
    return make(symbol, opens, opens + HALF * MINUTE, interval, walk or Walk())


def test_the_same_on_every_machine():
    assert "93ef3180f31599378107032fd0e785441f850260c593be76b2cae6c3fdba5bc2" == arrays_sha256(four_days())
    assert "f2360921fd2e68cc50b08e0d5dc6512bc8a1bb478f63bd454a3ec58b6e870d7d" == arrays_sha256(
        four_days("BTCUSDT", Walk(seed=3, tick=0.25), 300_000)
    )


def test_every_minute_of_a_session_has_its_candle_and_no_other_has():
    expected = [OPEN + day * DAY + i * MINUTE for day in range(4) for i in range(HALF[day])]

    assert expected == four_days().ts.tolist()


def test_a_session_that_is_no_whole_number_of_candles_ends_within_the_last():
    found = make("SPY", np.array([OPEN]), np.array([OPEN + 31 * MINUTE]), 10 * MINUTE, Walk())

    assert [OPEN + i * 10 * MINUTE for i in range(4)] == found.ts.tolist()


def test_symbols_days_and_seeds_differ():
    spy, qqq, other = (four_days(*args) for args in (("SPY",), ("QQQ",), ("SPY", Walk(seed=8))))
    moves = [np.diff(bars.close) for bars in (spy, qqq, other)]

    assert all(np.mean(moves[0] == each) < 0.1 for each in moves[1:])
    assert np.mean(np.diff(spy.close[:390]) == np.diff(spy.close[390:780])) < 0.1
    assert np.mean(spy.volume[:390] == spy.volume[390:780]) < 0.1


def test_a_day_moves_as_it_does_whatever_day_came_first():
    later = make("SPY", np.array([OPEN + DAY]), np.array([OPEN + DAY + 390 * MINUTE]), MINUTE, Walk())
    all_days = four_days()

    assert np.array_equal(later.volume, all_days.volume[390:780])
    np.testing.assert_allclose(later.close / later.open[0], all_days.close[390:780] / all_days.open[390], rtol=2e-4)


@settings(deadline=None)
@given(
    symbol=st.text(max_size=8),
    seed=st.integers(0, 2**70),
    tick=st.sampled_from([0.01, 0.25, 1.0, 0.0001, 5.0]),
    sigma=st.sampled_from([0.0, 0.0015, 0.05]),
    regimes=st.lists(st.sampled_from(REGIMES), min_size=1, max_size=4),
    interval=st.sampled_from([MINUTE, 5 * MINUTE, 60 * MINUTE]),
)
def test_candles_are_valid_whatever_is_asked(symbol, seed, tick, sigma, regimes, interval):
    walk = Walk(seed=seed, tick=tick, sigma=sigma, regimes=tuple(regimes))
    bars = four_days(symbol, walk, interval)
    ticks = np.array(bars[1:5]) / tick

    assert np.all(bars.low > 0) and np.all(np.isfinite(bars[1:]))
    assert np.all(bars.low <= np.minimum(bars.open, bars.close))
    assert np.all(bars.high >= np.maximum(bars.open, bars.close))
    assert np.all(bars.volume >= 1)
    np.testing.assert_allclose(ticks, np.rint(ticks), rtol=1e-12)
    assert bars.open[1 : 1 + 3].tolist() == bars.close[:3].tolist()


def test_prices_are_the_decimal_numbers_a_reader_would_write():
    prices = np.concatenate(four_days()[1:5])

    assert all(re.fullmatch(r"\d+\.\d{1,2}", repr(price)) for price in prices.tolist())


def test_a_day_opens_where_the_day_before_closed_but_for_a_gap():
    firsts = np.array([390, 780, 990])
    plain, gap = four_days(walk=Walk(gap=0.0)), four_days()

    assert plain.close[firsts - 1].tolist() == plain.open[firsts].tolist()
    assert np.all(gap.close[firsts - 1] != gap.open[firsts])


def many(regime, **walk):
    opens = OPEN + DAY * np.arange(60)
    return make("SPY", opens, opens + 390 * MINUTE, MINUTE, Walk(regimes=(regime,), gap=0.0, **walk))


def day_returns(bars):
    return np.log(bars.close[389::390] / bars.open[::390])


def test_regimes_are_what_they_are_called():
    up, down, back, choppy = (many(regime) for regime in REGIMES)

    assert day_returns(up).mean() > 0.04 and day_returns(down).mean() < -0.04
    assert day_returns(back).std() < 0.8 * day_returns(choppy).std()
    steps = [np.std(np.diff(np.log(bars.close))) for bars in (back, choppy)]
    assert steps[1] == pytest.approx(1.5 * 0.0015, rel=0.03) and steps[0] == pytest.approx(0.0015, rel=0.03)


def test_regimes_alternate_by_day():
    opens = OPEN + DAY * np.arange(40)
    walk = Walk(sigma=0.0, gap=0.0, regimes=("trend_up", "trend_down"))
    returns = day_returns(make("SPY", opens, opens + 390 * MINUTE, MINUTE, walk))

    assert np.all(returns[:-1] * returns[1:] < 0)


def test_volume_is_u_shaped():
    volume = many("choppy").volume.reshape(60, 390)
    middle = np.median(volume[:, 180:210])

    assert np.median(volume[:, :10]) / middle == pytest.approx(1.5 / 1.25, rel=0.06)
    assert np.median(volume[:, -10:]) / middle == pytest.approx(1.5 / 1.25, rel=0.06)
    assert middle == pytest.approx(12_500, rel=0.05)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"seed": -1}, "seed must be >= 0"),
        ({"regimes": ()}, "one regime named"),
        ({"regimes": ("trend",)}, "unknown regime 'trend'; trend_up, trend_down"),
        ({"tick": 0.0}, "tick is 0.0; it must be positive"),
        ({"price": float("inf")}, "price is inf"),
        ({"sigma": 0.5}, "sigma is 0.5; it must be from 0 to 0.05"),
        ({"gap": float("nan")}, "gap is nan"),
    ],
)
def test_walks_that_are_none_are_refused(wrong, says):
    with pytest.raises(UsageError, match=re.escape(says)):
        Walk(**wrong)
