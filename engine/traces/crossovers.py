"""Strategies that compare two lines: long while the quick one is above the slow one, short while it is below."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ...kernels.signals import Signal, crossed
from .rule import Parameter, Rule, Values

if TYPE_CHECKING:
    from .features import Features

_FAST = Parameter("fast_period", 10, 5, 50, "candles of the {}", ("fast",))
_SLOW = Parameter("slow_period", 20, 10, 200, "candles of the slow {}", ("slow",))


def _of_averages(name: str, quick: str, slow: str, one: Parameter, other: Parameter, *aliases: str) -> Rule:
    """Return the rule that compares a quick average of the close with a slow one; an alias for each period."""

    def signal(features: "Features", values: Values) -> Signal:
        return crossed(features[quick, "close", values["fast_period"]], features[slow, "close", values["slow_period"]])

    given = ((one, quick), (other, slow))
    parameters = tuple(
        replace(each, help=each.help.format(kind.upper()), aliases=each.aliases + aliases[i : i + 1])
        for i, (each, kind) in enumerate(given)
    )
    long = f"{quick.upper()} of the close above the slow {slow.upper()}"
    return Rule(name, "crossover", long, "below it", parameters, signal, ascending=(("fast_period", "slow_period"),))


def _of_lines(one: int, other: int, name: str, *arguments: str) -> Callable[["Features", Values], Signal]:
    """Return the signal of two lines of an indicator, by their places, with its parameters by name."""

    def signal(features: "Features", values: Values) -> Signal:
        lines = features[name, *(values[each] for each in arguments)]
        return crossed(lines[one], lines[other])

    return signal


def _macd(features: "Features", values: Values) -> Signal:
    line, average, _ = features["macd", "close", values["fast_ema"], values["slow_ema"], values["signal_ema"]]
    return crossed(line, average)


def _stochastic(features: "Features", values: Values) -> Signal:
    k, d = features["stochastic", values["k_period"], 1, values["d_period"]]
    return crossed(k, d)


_WIDE = replace(_FAST, default=5, low=2, high=200), replace(_SLOW, low=3, high=500)

RULES = (
    _of_averages("sma_crossover", "sma", "sma", _FAST, replace(_SLOW, low=20)),
    _of_averages("ma_crossover", "sma", "sma", *_WIDE),
    _of_averages("ema_crossover", "ema", "ema", _FAST, _SLOW, "fast_ema_period", "slow_ema_period"),
    _of_averages("ema_sma_crossover", "ema", "sma", _FAST, _SLOW, "ema_period", "sma_period"),
    _of_averages("dema_crossover", "dema", "dema", _FAST, _SLOW, "fast_dema_period", "slow_dema_period"),
    _of_averages("dema_sma_crossover", "dema", "sma", _FAST, _SLOW, "dema_period", "sma_period"),
    _of_averages("tema_sma_crossover", "tema", "sma", _FAST, _SLOW, "tema_period", "sma_period"),
    Rule(
        "macd_crossover",
        "crossover",
        "MACD line of the close above its signal line",
        "below it",
        (
            Parameter("fast_ema", 12, 8, 15, "candles of the fast EMA", ("fast_period", "fast")),
            Parameter("slow_ema", 26, 20, 30, "candles of the slow EMA", ("slow_period", "slow")),
            Parameter("signal_ema", 9, 5, 15, "candles of the signal line's EMA", ("signal_period", "signal")),
        ),
        _macd,
        ascending=(("fast_ema", "slow_ema"),),
    ),
    Rule(
        "stochastic_crossover",
        "crossover",
        "%K above %D",
        "below it",
        (
            Parameter("k_period", 14, 5, 20, "candles of %K, which is not smoothed", ("period",)),
            Parameter("d_period", 3, 3, 10, "candles of the average that is %D"),
        ),
        _stochastic,
    ),
    Rule(
        "vortex_crossover",
        "crossover",
        "VI+ above VI-",
        "below it",
        (Parameter("period", 14, 5, 50, "candles", ("vortex_period",)),),
        _of_lines(0, 1, "vortex", "period"),
    ),
    Rule(
        "aroon_crossover",
        "crossover",
        "Aroon up above Aroon down",
        "below it",
        (Parameter("period", 25, 5, 100, "candles", ("aroon_period",)),),
        _of_lines(0, 1, "aroon", "period"),
    ),
)
