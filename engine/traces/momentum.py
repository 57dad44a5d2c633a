"""Strategies that follow how far the price has come: long after a rise, short after a fall."""

from typing import TYPE_CHECKING

from ...kernels.signals import Signal, agreed, crossed, outside, past
from .rule import Parameter, Rule, Values

if TYPE_CHECKING:
    from .features import Features


def _momentum(features: "Features", values: Values) -> Signal:
    return crossed(features["close"], features["shift", "close", values["period"]])


def _breakout(features: "Features", values: Values) -> Signal:
    close = features["close"]
    return outside(close, features["shift", "close", values["momentum_period"]], close, values["threshold"], 1)


def _price(features: "Features", values: Values) -> Signal:
    before = features["shift", "close", values["period"]]
    return outside(features["close"], before, before, values["threshold"], 1)


def _dual(features: "Features", values: Values) -> Signal:
    fast, slow = (features["sma", "close", values[each]] for each in ("fast_period", "slow_period"))
    return agreed(crossed(fast, slow), crossed(features["close"], fast))


def _pullback(features: "Features", values: Values) -> Signal:
    trend = crossed(features["close"], features["sma", "close", values["sma_period"]])
    rsi = features["rsi", "close", values["rsi_period"]]
    return agreed(trend, past(rsi, values["oversold"], values["overbought"], -1))


RULES = (
    Rule(
        "momentum",
        "momentum",
        "close above that of period candles before",
        "below it",
        (Parameter("period", 14, 2, 200, "candles", ("momentum_period",)),),
        _momentum,
    ),
    Rule(
        "momentum_breakout",
        "momentum",
        "close has risen by more than the threshold, a fraction of the close",
        "fallen by more",
        (
            Parameter("momentum_period", 10, 2, 200, "candles", ("period",)),
            Parameter("threshold", 0.02, 0.0, 0.5, "fraction of the current close", ("breakout_threshold",)),
        ),
        _breakout,
    ),
    Rule(
        "price_momentum",
        "momentum",
        "return of period candles above the threshold",
        "below its negative",
        (
            Parameter("period", 20, 2, 200, "candles", ("momentum_period", "lookback")),
            Parameter("threshold", 0.02, 0.0, 0.5, "fraction of the close before"),
        ),
        _price,
    ),
    Rule(
        "momentum_strategy",
        "momentum",
        "close above its SMA and RSI below oversold",
        "close below its SMA and RSI above overbought",
        (
            Parameter("sma_period", 20, 5, 200, "candles of the SMA"),
            Parameter("rsi_period", 14, 2, 50, "candles of the RSI", ("period",)),
            Parameter("oversold", 30.0, 5.0, 50.0, "level of the RSI", ("rsi_oversold",)),
            Parameter("overbought", 70.0, 50.0, 95.0, "level of the RSI", ("rsi_overbought",)),
        ),
        _pullback,
        ascending=(("oversold", "overbought"),),
    ),
    Rule(
        "dual_momentum",
        "momentum",
        "fast SMA above the slow one and close above the fast",
        "fast below slow and close below the fast",
        (
            Parameter("fast_period", 10, 2, 100, "candles of the fast SMA", ("fast",)),
            Parameter("slow_period", 30, 3, 300, "candles of the slow SMA", ("slow",)),
        ),
        _dual,
        ascending=(("fast_period", "slow_period"),),
    ),
)
