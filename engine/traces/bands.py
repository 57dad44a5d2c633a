"""Strategies that bet on a return: long while the price is low against a band, short while it is high."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...kernels.signals import Signal, kept, near, outside, past, reached
from .rule import Parameter, Rule, Values

if TYPE_CHECKING:
    from .features import Features


def _bollinger(features: "Features", values: Values) -> Signal:
    n, close = values["period"], features["close"]
    return reached(close, features["sma", "close", n], features["deviation", "close", n], values["std_dev"])


def _keltner(features: "Features", values: Values) -> Signal:
    n = values["period"]
    return reached(features["close"], features["ema", "close", n], features["atr", n], values["multiplier"])


def _donchian(features: "Features", values: Values) -> Signal:
    lower, middle, upper = features["donchian", values["period"]]
    signal = near(features["close"], lower, upper, values["buffer_pct"])
    return kept(signal, features["close"], middle) if values["use_middle_exit"] else signal


def _oscillator(name: str, *arguments: str | float, line: int | None = None) -> Callable[["Features", Values], Signal]:
    """Return the signal of an oscillator, or of one line of it; arguments are features or names of parameters."""

    def signal(features: "Features", values: Values) -> Signal:
        found = features[name, *(values.get(str(each), each) for each in arguments)]
        return past(found if line is None else found[line], values["oversold"], values["overbought"], -1)

    return signal


def _vwap(*key: str) -> Callable[["Features", Values], Signal]:
    """Return the signal of the close against a VWAP, a feature and its parameters by name."""

    def signal(features: "Features", values: Values) -> Signal:
        middle, times = features[key[0], *(values[each] for each in key[1:])], values["atr_multiplier"]
        if times > 0:
            return outside(features["close"], middle, features["atr", values["atr_period"]], times, -1)
        return outside(features["close"], middle, middle, values["band_pct"], -1)

    return signal


def _levels(oversold: tuple[float, float, float], overbought: tuple[float, float, float], *more: str):
    low = Parameter("oversold", *oversold, "long below it", (*(f"{each}_oversold" for each in more),))
    return low, Parameter("overbought", *overbought, "short above it", (*(f"{each}_overbought" for each in more),))


_BAND = (
    Parameter("band_pct", 0.005, 0.0005, 0.05, "distance of the bands, a fraction of the VWAP"),
    Parameter("atr_multiplier", 0.0, 0.0, 10.0, "above 0: distance of the bands in ATRs, instead of band_pct"),
    Parameter("atr_period", 14, 5, 50, "candles of the ATR, where it is used"),
)
_RISING = (("oversold", "overbought"),)

RULES = (
    Rule(
        "bollinger_bands",
        "bands",
        "close on or below the lower Bollinger band",
        "on or above the upper",
        (
            Parameter("period", 20, 10, 50, "candles of the mean and the deviation"),
            Parameter("std_dev", 2.0, 1.5, 3.0, "distance of the bands in deviations", ("std",)),
        ),
        _bollinger,
        note="The deviation is of the population. Flat where the bands meet.",
    ),
    Rule(
        "keltner_bands",
        "bands",
        "close on or below the lower Keltner channel",
        "on or above the upper",
        (
            Parameter("period", 20, 10, 50, "candles of the EMA and the ATR"),
            Parameter("multiplier", 2.0, 1.0, 4.0, "distance of the channel in ATRs"),
        ),
        _keltner,
        note="The ATR is Wilder's. Flat where the bands meet.",
    ),
    Rule(
        "donchian_bands",
        "bands",
        "close within buffer_pct of the lowest low, the current candle's among them",
        "within buffer_pct of the highest high",
        (
            Parameter("period", 20, 10, 50, "candles of the channel"),
            Parameter("buffer_pct", 0.002, 0.0, 0.01, "nearness, a fraction of the price", ("buffer",)),
            Parameter("use_middle_exit", False, 0, 1, "hold until the close reaches the middle of the channel"),
        ),
        _donchian,
        note="Flat where both hold, in a channel narrower than its buffers.",
    ),
    Rule(
        "rsi_bands",
        "bands",
        "RSI of the close below oversold",
        "above overbought",
        (
            Parameter("rsi_period", 14, 7, 30, "candles of Wilder's RSI", ("period",)),
            *_levels((30.0, 10.0, 40.0), (70.0, 60.0, 90.0), "rsi"),
        ),
        _oscillator("rsi", "close", "rsi_period"),
        aliases=("rsi_extreme",),
        ascending=_RISING,
    ),
    Rule(
        "cci_bands",
        "bands",
        "CCI below oversold",
        "above overbought",
        (
            Parameter("cci_period", 20, 5, 100, "candles of the CCI", ("period",)),
            *_levels((-100.0, -300.0, 0.0), (100.0, 0.0, 300.0), "cci"),
        ),
        _oscillator("cci", "cci_period"),
        ascending=_RISING,
    ),
    Rule(
        "stochastic_rsi",
        "bands",
        "%K of the stochastic of the RSI below oversold",
        "above overbought",
        (
            Parameter("rsi_period", 14, 5, 50, "candles of the RSI", ("period",)),
            Parameter("stoch_period", 14, 5, 50, "candles of the stochastic", ("stochastic_period",)),
            Parameter("k_period", 3, 1, 10, "candles that smooth %K", ("smooth",)),
            *_levels((20.0, 5.0, 40.0), (80.0, 60.0, 95.0)),
        ),
        _oscillator("stochastic_rsi", "close", "rsi_period", "stoch_period", "k_period", 1, line=0),
        ascending=_RISING,
    ),
    Rule(
        "williams_r",
        "bands",
        "Williams %R, from -100 to 0, below oversold",
        "above overbought",
        (
            Parameter("williams_period", 14, 5, 50, "candles", ("period",)),
            *_levels((-80.0, -95.0, -60.0), (-20.0, -40.0, -5.0)),
        ),
        _oscillator("williams_r", "williams_period"),
        ascending=_RISING,
    ),
    Rule(
        "mfi_bands",
        "bands",
        "money flow index below oversold",
        "above overbought",
        (
            Parameter("mfi_period", 14, 5, 50, "candles", ("period",)),
            *_levels((20.0, 5.0, 40.0), (80.0, 60.0, 95.0), "mfi"),
        ),
        _oscillator("mfi", "mfi_period"),
        ascending=_RISING,
    ),
    Rule(
        "vwap_deviation",
        "bands",
        "close below the rolling VWAP by more than the band",
        "above it by more",
        (Parameter("period", 100, 10, 2000, "candles of the VWAP"), *_BAND),
        _vwap("vwap", "period"),
        note="A VWAP since the first candle of the data would depend on where they begin.",
    ),
    Rule(
        "session_vwap_deviation",
        "bands",
        "close below the session's VWAP by more than the band",
        "above it by more",
        _BAND,
        _vwap("session_vwap"),
        note="A session begins with a new day of the exchange, or after an hour without candles.",
    ),
)
