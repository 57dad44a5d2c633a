"""Our indicators beside TA-Lib's, live: on made-up candles and on real minutes.

What we do otherwise is said in its row, with the candles after which the difference has faded; and at the end, where
nothing moved.
"""

from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
import talib
from highwater.kernels import averages, channels, oscillators, ranges, trends, volumes
from highwater.kernels.adaptive import mama
from shared_market import DATA, needs_data


class Case(NamedTuple):
    """Theirs and ours, as functions of candles; ``since``: the first candle held against each other, None for their
    first; ``within``: how near in all digits of a price, or in points of an index."""

    theirs: object
    ours: object
    since: int | None = None
    within: float = 1e-13


INDEX = 1e-9  # of an index from 0 to 100
CASES = {
    "sma": Case(lambda b: talib.SMA(b.c, 20), lambda b: averages.sma(b.c, 20)),
    "ema": Case(lambda b: talib.EMA(b.c, 20), lambda b: averages.ema(b.c, 20)),
    "wma": Case(lambda b: talib.WMA(b.c, 20), lambda b: averages.wma(b.c, 20)),
    "dema": Case(lambda b: talib.DEMA(b.c, 20), lambda b: averages.dema(b.c, 20)),
    "tema": Case(lambda b: talib.TEMA(b.c, 20), lambda b: averages.tema(b.c, 20)),
    "highest": Case(lambda b: talib.MAX(b.h, 20), lambda b: averages.highest(b.h, 20)),
    "lowest": Case(lambda b: talib.MIN(b.l, 20), lambda b: averages.lowest(b.l, 20)),
    "linear_slope": Case(lambda b: talib.LINEARREG_SLOPE(b.c, 14), lambda b: averages.linear_slope(b.c, 14)),
    "true_range": Case(lambda b: talib.TRANGE(b.h, b.l, b.c), lambda b: ranges.true_range(b.h, b.l, b.c)),
    "atr": Case(lambda b: talib.ATR(b.h, b.l, b.c, 14), lambda b: ranges.atr(b.h, b.l, b.c, 14)),
    "rsi": Case(lambda b: talib.RSI(b.c, 14), lambda b: oscillators.rsi(b.c, 14), None, INDEX),
    "stochastic": Case(
        lambda b: talib.STOCH(b.h, b.l, b.c, 14, 3, 0, 3, 0),
        lambda b: oscillators.stochastic(b.h, b.l, b.c, 14, 3, 3),
        None,
        INDEX,
    ),
    "stochastic_rsi": Case(
        lambda b: talib.STOCHRSI(b.c, 14, 5, 3, 0), lambda b: oscillators.stochastic_rsi(b.c, 14, 5, 1, 3), None, INDEX
    ),
    "cci": Case(lambda b: talib.CCI(b.h, b.l, b.c, 20), lambda b: oscillators.cci(b.h, b.l, b.c, 20), None, INDEX),
    "williams_r": Case(
        lambda b: talib.WILLR(b.h, b.l, b.c, 14), lambda b: oscillators.williams_r(b.h, b.l, b.c, 14), None, INDEX
    ),
    "mfi": Case(
        lambda b: talib.MFI(b.h, b.l, b.c, b.v, 14), lambda b: oscillators.mfi(b.h, b.l, b.c, b.v, 14), None, INDEX
    ),
    "roc": Case(lambda b: talib.ROC(b.c, 10), lambda b: oscillators.roc(b.c, 10), None, INDEX),
    "momentum": Case(lambda b: talib.MOM(b.c, 10), lambda b: oscillators.momentum(b.c, 10)),
    # Theirs seeds the fast average where the slow one is warm.
    "macd": Case(lambda b: talib.MACD(b.c, 12, 26, 9), lambda b: oscillators.macd(b.c, 12, 26, 9), 300),
    "aroon": Case(lambda b: talib.AROON(b.h, b.l, 25)[::-1], lambda b: oscillators.aroon(b.h, b.l, 25), None, INDEX),
    "bollinger": Case(lambda b: talib.BBANDS(b.c, 20, 2.0, 2.0)[::-1], lambda b: channels.bollinger(b.c, 20, 2.0)),
    "parabolic_sar": Case(
        lambda b: talib.SAR(b.h, b.l, 0.02, 0.2), lambda b: channels.parabolic_sar(b.h, b.l, 0.02, 0.2)
    ),
    # Theirs seeds the first averages with 13 moves and one step, and keeps the ADX of before where there is no DX.
    "directional": Case(
        lambda b: (talib.PLUS_DI(b.h, b.l, b.c, 14), talib.MINUS_DI(b.h, b.l, b.c, 14), talib.ADX(b.h, b.l, b.c, 14)),
        lambda b: trends.directional(b.h, b.l, b.c, 14),
        700,
        INDEX,
    ),
    "obv": Case(lambda b: talib.OBV(b.c, b.v), lambda b: volumes.obv(b.c, b.v)),
    "accumulation_distribution": Case(
        lambda b: talib.AD(b.h, b.l, b.c, b.v),
        lambda b: volumes.accumulation_distribution(b.h, b.l, b.c, b.v),
    ),
    # Theirs begins at 0, ours at the first price.
    "mama": Case(lambda b: talib.MAMA(b.c, 0.5, 0.05)[0], lambda b: mama(b.c, 0.5, 0.05), 900, 1e-10),
}


class Bars(NamedTuple):
    h: np.ndarray
    l: np.ndarray
    c: np.ndarray
    v: np.ndarray


def made_up(seed, price=100.0, step=0.3):
    """Return candles of a walk, every one with a range and a volume of its own."""
    rng = np.random.default_rng(seed)
    close = price + np.cumsum(rng.normal(0, step, 4000)) % (price / 2)
    reach = rng.uniform(0.01, 1, (2, 4000)) * step
    return Bars(close + reach[0], close - reach[1], close, rng.uniform(1, 1000, 4000))


def real(name, symbol):
    table = pq.read_table(DATA / "candles" / f"{name}.parquet")
    table = table.filter(np.array(table["symbol"].to_pylist()) == symbol).sort_by("ts").slice(0, 20_000)
    return Bars(*(table[column].to_numpy().copy() for column in ("high", "low", "close", "volume")))


def agree(case, bars):
    theirs, ours = case.theirs(bars), case.ours(bars)
    pairs = zip(theirs, ours, strict=True) if isinstance(theirs, tuple) else [(theirs, ours)]
    for wanted, found in pairs:
        known = ~np.isnan(wanted)
        if case.since is not None:
            known[: case.since] = False
        scale = 1.0 if case.within == INDEX else np.abs(bars.h).max()
        np.testing.assert_allclose(found[known], wanted[known], rtol=1e-10, atol=case.within * scale)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", range(4))
def test_made_up_candles(name, seed):
    agree(CASES[name], made_up(seed))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("file", "symbol"), [("btc_perp_1m_2022jan", "BTC-PERP"), ("spy_1m_2024", "SPY")])
@pytest.mark.shared_data
@pytest.mark.skipif(needs_data[1].args[0], reason="the market data are not beside this checkout")
def test_real_minutes(name, file, symbol):
    agree(CASES[name], real(file, symbol))


def last(*lines):
    return [float(line[-1]) for line in lines]


def test_where_nothing_moved_theirs_is_at_an_end_of_the_scale():
    """And ours in its middle."""
    x, v = np.full(60, 7.3), np.ones(60)

    assert [0.0, 50.0] == last(talib.RSI(x, 14), oscillators.rsi(x, 14))
    assert [0.0, 50.0] == last(talib.STOCH(x, x, x)[0], oscillators.stochastic(x, x, x, 5, 3, 3)[0])
    assert [0.0, -50.0] == last(talib.WILLR(x, x, x, 14), oscillators.williams_r(x, x, x, 14))
    assert [0.0, 50.0] == last(talib.MFI(x, x, x, v, 14), oscillators.mfi(x, x, x, v, 14))
    assert [0.0, 0.0] == last(talib.CCI(x, x, x, 20), oscillators.cci(x, x, x, 20))
    assert [0.0, 0.0] == last(talib.ADX(x, x, x, 14), trends.directional(x, x, x, 14)[2])


@pytest.mark.parametrize("rises", [True, False])
def test_rsi_without_losses_or_without_gains(rises):
    x = np.arange(1.0, 40.0)[:: 1 if rises else -1].copy()

    assert [100.0 if rises else 0.0] * 2 == last(talib.RSI(x, 14), oscillators.rsi(x, 14))
