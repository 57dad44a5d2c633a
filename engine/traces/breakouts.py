"""Strategies that follow the price out of a channel: long above it, short below it, flat inside."""

from typing import TYPE_CHECKING

from ...kernels.signals import Signal, beyond, outside
from .rule import Parameter, Rule, Values

if TYPE_CHECKING:
    from .features import Features


def _bollinger(features: "Features", values: Values) -> Signal:
    n, close = values["period"], features["close"]
    return outside(close, features["sma", "close", n], features["deviation", "close", n], values["std_dev"], 1)


def _keltner(features: "Features", values: Values) -> Signal:
    n = values["period"]
    return outside(features["close"], features["ema", "close", n], features["atr", n], values["multiplier"], 1)


def _donchian(features: "Features", values: Values) -> Signal:
    n = values["period"]
    lines = (features["shift", ("lowest", "low", n), 1], features["shift", ("highest", "high", n), 1])
    return beyond(features["close"], *lines)


def _ichimoku(features: "Features", values: Values) -> Signal:
    base = values["base_period"]
    *_, one, other = features["ichimoku", values["conversion_period"], base, 2 * base]
    return beyond(features["close"], one, other)


RULES = (
    Rule(
        "bollinger_breakout",
        "breakout",
        "close above the upper Bollinger band",
        "below the lower",
        (
            Parameter("period", 20, 10, 50, "candles of the mean and the deviation"),
            Parameter("std_dev", 2.0, 1.0, 3.0, "distance of the bands in deviations", ("std",)),
        ),
        _bollinger,
        note="The deviation is of the population.",
    ),
    Rule(
        "keltner_breakout",
        "breakout",
        "close above the upper Keltner channel",
        "below the lower",
        (
            Parameter("period", 20, 10, 50, "candles of the EMA and the ATR"),
            Parameter("multiplier", 2.0, 1.0, 4.0, "distance of the channel in ATRs"),
        ),
        _keltner,
        note="The ATR is Wilder's.",
    ),
    Rule(
        "donchian_breakout",
        "breakout",
        "close above the highest high of the candles before",
        "below the lowest low of the candles before",
        (Parameter("period", 20, 5, 200, "candles of the channel, the current one not among them"),),
        _donchian,
    ),
    Rule(
        "ichimoku_cloud_position",
        "breakout",
        "close above both lines of the Ichimoku cloud",
        "below both",
        (
            Parameter("conversion_period", 9, 5, 20, "candles of the conversion line", ("conversion",)),
            Parameter("base_period", 26, 20, 52, "candles of the base line, and of the cloud's delay", ("base",)),
        ),
        _ichimoku,
        ascending=(("conversion_period", "base_period"),),
        note="The cloud of a candle is that of base_period candles before; its second line spans 2 * base_period.",
    ),
)
