"""How fast are indicators, and TA-Lib's beside them? One core, as many candles as SPY has minutes in eight months."""

import importlib.util

import numpy as np
import pytest
from highwater import kernels

CANDLES, TIMES = 67_555, 10
NAMES = {
    "sma": (20,),
    "sma of 200": (200,),
    "ema": (20,),
    "wma": (20,),
    "deviation": (20,),
    "linear slope": (14,),
    "highest": (20,),
    "highest of 200": (200,),
    "percent rank": (100,),
    "rsi": (14,),
    "bollinger": (20, 2.0),
    "macd": (12, 26, 9),
    "mama": (0.5, 0.05),
    "atr": (14,),
    "cci": (20,),
    "stochastic": (14, 3, 3),
    "williams r": (14,),
    "directional": (14,),
    "keltner": (20, 2.0),
    "supertrend": (10, 3.0),
    "parabolic sar": (0.02, 0.2),
    "donchian": (20,),
    "aroon": (25,),
    "ichimoku": (9, 26, 52),
    "mfi": (14,),
    "vwap": (20,),
    "obv": (),
}
CLOSE = {"sma", "ema", "wma", "deviation", "linear", "percent", "rsi", "bollinger", "macd", "mama"}
COLUMNS = {"highest": "h", "obv": "cv", "vwap": "cv", "mfi": "hlcv"} | dict.fromkeys(CLOSE, "c")
COLUMNS |= dict.fromkeys(("parabolic", "donchian", "aroon", "ichimoku"), "hl")


def candles():
    """Return high, low, close and volume of a walk in hundredths, by their letters."""
    rng = np.random.default_rng(1)
    close = 500 + np.cumsum(rng.integers(-5, 6, CANDLES)) / 100
    reach = rng.integers(0, 6, (2, CANDLES)) / 100
    return {"h": close + reach[0], "l": close - reach[1], "c": close, "v": rng.integers(1, 9_999, CANDLES) * 1.0}


def repeated(way, arguments):
    def run():
        for _ in range(TIMES):
            way(*arguments)

    return run


def ours(b):
    ways = {}
    for name, numbers in NAMES.items():
        way = getattr(kernels, name.split(" of ")[0].replace(" ", "_"))
        columns = COLUMNS.get(name.split(" ")[0], "hlc")
        ways[name] = repeated(way, [*(b[letter] for letter in columns), *numbers])
    return ways


def theirs(b):
    """Return TA-Lib's ways for what it has; its +DI, -DI and ADX are three calls."""
    import talib

    high, low, close, volume = b.values()

    def directional():
        for way in (talib.PLUS_DI, talib.MINUS_DI, talib.ADX):
            way(high, low, close, 14)

    def donchian():
        return talib.MAX(high, 20), talib.MIN(low, 20)

    return {
        "sma": repeated(talib.SMA, (close, 20)),
        "sma of 200": repeated(talib.SMA, (close, 200)),
        "ema": repeated(talib.EMA, (close, 20)),
        "wma": repeated(talib.WMA, (close, 20)),
        "deviation": repeated(talib.STDDEV, (close, 20, 1.0)),
        "linear slope": repeated(talib.LINEARREG_SLOPE, (close, 14)),
        "highest": repeated(talib.MAX, (high, 20)),
        "highest of 200": repeated(talib.MAX, (high, 200)),
        "rsi": repeated(talib.RSI, (close, 14)),
        "bollinger": repeated(talib.BBANDS, (close, 20, 2.0, 2.0)),
        "macd": repeated(talib.MACD, (close, 12, 26, 9)),
        "mama": repeated(talib.MAMA, (close, 0.5, 0.05)),
        "atr": repeated(talib.ATR, (high, low, close, 14)),
        "cci": repeated(talib.CCI, (high, low, close, 20)),
        "stochastic": repeated(talib.STOCH, (high, low, close, 14, 3, 0, 3, 0)),
        "williams r": repeated(talib.WILLR, (high, low, close, 14)),
        "directional": repeated(directional, ()),
        "parabolic sar": repeated(talib.SAR, (high, low, 0.02, 0.2)),
        "donchian": repeated(donchian, ()),
        "aroon": repeated(talib.AROON, (high, low, 25)),
        "mfi": repeated(talib.MFI, (high, low, close, volume, 14)),
        "obv": repeated(talib.OBV, (close, volume)),
    }


def millions(took):
    return f"{TIMES * CANDLES / took.cpu / 1e6:,.0f} M candles/s"


def test_indicators(bench):
    for name, took in bench.compare(ours(candles())).items():
        bench.say(name, took, millions(took))


def test_indicators_beside_talib(bench):
    if not importlib.util.find_spec("talib"):
        pytest.skip("TA-Lib not installed: make bench PEERS=1")
    b = candles()
    others = theirs(b)
    ways = {(name, who): way for who, all_ in (("ours", ours(b)), ("TA-Lib", others)) for name, way in all_.items()}
    ways = {f"{name}, {who}": ways[name, who] for name in others for who in ("ours", "TA-Lib")}

    times = bench.compare(ways)
    for way, took in times.items():
        own = times[f"{way.split(',')[0]}, ours"]
        bench.say(way, took, f"{millions(took)}, {took.cpu / own.cpu:.2f}x ours")
