"""Jesse's published values of its last candle, to the digits published; what has no kernel is made of those that have.

Ten of its 56 indicators are none of ours and made of none: they are named, with what they are.
"""

import functools

import numpy as np
import pytest
from highwater.kernels.averages import dema, ema, highest, linear_slope, lowest, rma, sma, tema, wma
from highwater.kernels.channels import bollinger, donchian, parabolic_sar, shifted, supertrend
from highwater.kernels.oscillators import aroon, cci, macd, momentum, roc, rsi, stochastic
from highwater.kernels.ranges import atr, true_range
from highwater.kernels.sliding import sums
from highwater.kernels.trends import directional, heikin_ashi, vortex
from highwater.kernels.volumes import accumulation_distribution, obv, session_vwap, vwap
from shared_market import document, needs_data

pytestmark = needs_data
DAY = 86_400_000
NOT_OURS = {
    "alma": "a mean with Gaussian weights",
    "bop": "(close - open) / (high - low) of one candle",
    "jma": "Jurik's average, unpublished",
    "kama": "Kaufman's adaptive average",
    "lrsi": "RSI of a Laguerre filter",
    "minmax": "the last extreme among its neighbours, those after it included",
    "pwma": "a mean with Pascal's weights",
    "skew": "a third moment",
    "wad": "Williams' accumulation, a sum over all candles",
    "wclprice": "(high + low + 2 close) / 4 of one candle",
}


class Bars:
    """Candles by letter, ``o`` to ``v``, and their times; of closing prices only, where a case has no more."""

    def __init__(self, case, sets):
        if case["close_prices"]:
            self.c = np.array(case["close_prices"])
        else:
            found = np.array(sets[case["candles"]])
            self.ts, self.o, self.c, self.h, self.l, self.v = (np.ascontiguousarray(column) for column in found.T)

    @property
    def hlc(self):
        return self.h, self.l, self.c


def line_at(x, n, ahead):
    """Return the least squares line of the last ``n`` values, ``ahead`` of the last one."""
    return sma(x, n) + linear_slope(x, n) * ((n - 1) / 2 + ahead)


def acosc(b):
    middle = (b.h + b.l) / 2
    awesome = sma(middle, 5) - sma(middle, 34)
    found = awesome - sma(awesome, 5)
    return found, momentum(found, 1)


def heikin_ashi_candles(b):
    """Jesse opens a candle at the middle of the one before as it was, which ours does for the second only."""
    two = [column[-2:] for column in (b.o, b.h, b.l, b.c)]
    first = heikin_ashi(*two)[0][:1]
    _, high, low, close = (line[-1:] for line in heikin_ashi(*(column[1:] for column in two)))
    return first, close, np.maximum(high, first), np.minimum(low, first)


def mass(b):
    reach = ema(b.h - b.l, 9)
    return sums(reach / ema(reach, 9), 5)


def choppiness(b):
    travelled, apart = sums(true_range(*b.hlc), 14), highest(b.h, 14) - lowest(b.l, 14)
    return 100 * np.log10(travelled / apart) / np.log10(14)


def efficiency(b):
    """Jesse divides by the sum of the sums of all windows."""
    return np.abs(momentum(b.c, 5)) / np.nansum(sums(np.abs(momentum(b.c, 1)), 5))


def squeeze_momentum(b):
    return line_at(b.c - (donchian(b.h, b.l, 20)[1] + sma(b.c, 20)) / 2, 20, 0)


def trix(b):
    triple = ema(ema(ema(np.log(b.c), 18), 18), 18)
    return 10_000 * momentum(triple, 1)


def ultosc(b):
    pressure, reach = b.c - np.minimum(b.l, shifted(b.c, 1)), true_range(*b.hlc)
    quick, middle, slow = (sums(pressure, n) / sums(reach, n) for n in (7, 14, 28))
    return 100 * (4 * quick + 2 * middle + slow) / 7


def daily_vwap(b):
    return session_vwap(sum(b.hlc) / 3, b.v, np.diff(b.ts // DAY, prepend=-1) > 0)


OURS = {
    "acosc": acosc,
    "ad": lambda b: accumulation_distribution(*b.hlc, b.v),
    "adx": lambda b: directional(*b.hlc, 14)[2],
    "apo": lambda b: macd(b.c, 12, 26, 9)[0],
    "aroon": lambda b: aroon(b.h, b.l, 14)[::-1],
    "avgprice": lambda b: heikin_ashi(b.o, *b.hlc)[3],
    "bollinger_bands": lambda b: bollinger(b.c, 20, 2.0)[::-1],
    "cci": lambda b: cci(*b.hlc, 14),
    "chop": choppiness,
    "cmo": lambda b: 2 * rsi(b.c, 9) - 100,
    "dema": lambda b: dema(b.c, 9),
    "di": lambda b: directional(*b.hlc, 14)[:2],
    "donchian": lambda b: donchian(b.h, b.l, 20)[::-1],
    "dpo": lambda b: shifted(b.c, 3) - sma(b.c, 5),
    "efi": lambda b: ema(momentum(b.c, 1) * b.v, 13),
    "ema": lambda b: ema(b.c, 8),
    "er": efficiency,
    "eri": lambda b: (b.h - ema(b.c, 13), b.l - ema(b.c, 13)),
    "heikin_ashi_candles": heikin_ashi_candles,
    "hma": lambda b: wma(2 * wma(b.c, 2) - wma(b.c, 5), 2),
    "linearreg": lambda b: line_at(b.c, 14, 0),
    "mass": mass,
    "medprice": lambda b: donchian(b.h, b.l, 1)[1],
    "mom": lambda b: momentum(b.c, 9),
    "natr": lambda b: 100 * atr(*b.hlc, 14) / b.c,
    "obv": lambda b: obv(b.c, b.v),
    "qstick": lambda b: sma(b.c - b.o, 5),
    "rocr": lambda b: 1 + roc(b.c, 14) / 100,
    "rsi": lambda b: rsi(b.c, 14),
    "sar": lambda b: parabolic_sar(b.h, b.l, 0.02, 0.2),
    "smma": lambda b: rma(b.c, 5),
    "squeeze_momentum": squeeze_momentum,
    "stochf": lambda b: stochastic(*b.hlc, 5, 1, 3),
    "supertrend": lambda b: supertrend(*b.hlc, 10, 3.0)[0],
    "tema": lambda b: tema(b.c, 9),
    "trange": lambda b: true_range(*b.hlc),
    "trix": trix,
    "tsf": lambda b: line_at(b.c, 14, 1),
    "typprice": lambda b: sum(b.hlc) / 3,
    "ultosc": ultosc,
    "vi": lambda b: vortex(*b.hlc, 14),
    "vosc": lambda b: 100 * (sma(b.v, 2) / sma(b.v, 5) - 1),
    "vwap": daily_vwap,
    "vwma": lambda b: vwap(b.c, b.v, 20),
    "wma": lambda b: wma(b.c, 9),
    "zlema": lambda b: ema(2 * b.c - shifted(b.c, 9), 20),
}


@functools.cache
def cases():
    return {case["indicator"]: case for case in document("indicators_jesse")["cases"]}


@pytest.mark.parametrize("name", OURS)
def test_the_last_candle(name):
    case = cases()[name]
    found = OURS[name](Bars(case, document("indicators_jesse")["candle_sets"]))
    lines = found if isinstance(found, tuple) else (found,)

    for wanted, line in zip(case["expected_last_bar"], lines, strict=True):
        value = float(line[-1]) / wanted.get("after_dividing_by", 1)
        assert wanted["expected"] == round(value, wanted["decimals"]), (wanted["output"], value)


def test_no_case_is_left_out():
    assert 56 == document("indicators_jesse")["n_cases"] == len(document("indicators_jesse")["cases"]) == len(cases())
    assert set(cases()) == {*OURS, *NOT_OURS}
    assert not set(OURS) & set(NOT_OURS)
