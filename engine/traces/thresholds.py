"""Strategies that compare an indicator with a level: long above it, short below it or below its negative."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...kernels.signals import Signal, past
from .rule import Parameter, Rule, Values

if TYPE_CHECKING:
    from .features import Features


def _above(*key: str, mirrored: bool) -> Callable[["Features", Values], Signal]:
    """Return the signal of a feature against ``threshold``, below which it is short; ``mirrored``: its negative.

    ``key`` is that of the feature, with names of parameters for their values.
    """

    def signal(features: "Features", values: Values) -> Signal:
        name, *arguments = key
        level = values["threshold"]
        x = features[name, *(values.get(each, each) for each in arguments)]
        return past(x, -level if mirrored else level, level, 1)

    return signal


def _period(name: str, default: int, low: int, high: int, help: str = "candles") -> Parameter:  # noqa: A002
    return Parameter(name, default, low, high, help, ("period",))


_MORE = ("trend_threshold", "roc_threshold")

RULES = (
    Rule(
        "rsi_threshold",
        "threshold",
        "RSI of the close above the threshold",
        "below it",
        (_period("rsi_period", 14, 5, 50), Parameter("threshold", 50.0, 10.0, 90.0, "level of the RSI")),
        _above("rsi", "close", "rsi_period", mirrored=False),
    ),
    Rule(
        "cci_threshold",
        "threshold",
        "CCI above the threshold",
        "below it",
        (_period("cci_period", 20, 5, 100), Parameter("threshold", 0.0, -200.0, 200.0, "level of the CCI")),
        _above("cci", "cci_period", mirrored=False),
    ),
    Rule(
        "roc_threshold",
        "threshold",
        "rate of change of the close above the threshold",
        "below its negative",
        (_period("roc_period", 10, 2, 200), Parameter("threshold", 2.0, 0.0, 20.0, "per cent", _MORE)),
        _above("roc", "close", "roc_period", mirrored=True),
    ),
    Rule(
        "roc_trend",
        "threshold",
        "rate of change of the close above the threshold",
        "below its negative",
        (_period("roc_period", 12, 2, 200), Parameter("threshold", 1.0, 0.0, 20.0, "per cent", _MORE)),
        _above("roc", "close", "roc_period", mirrored=True),
        note="What roc_threshold does, with other defaults.",
    ),
    Rule(
        "linear_regression_slope",
        "threshold",
        "slope of the line fitted to the closes above the threshold",
        "below its negative",
        (
            Parameter("period", 20, 5, 200, "candles of the line"),
            Parameter("threshold", 0.0, 0.0, 1e6, "price a candle", ("slope_threshold",)),
        ),
        _above("linear_slope", "close", "period", mirrored=True),
    ),
    Rule(
        "obv_trend",
        "threshold",
        "on-balance volume above the threshold",
        "below its negative",
        (Parameter("threshold", 0.0, 0.0, 1e15, "volume"),),
        _above("obv", mirrored=True),
        note="It is counted from the first candle of the data: other data, another signal.",
    ),
    Rule(
        "accumulation_distribution",
        "threshold",
        "accumulation/distribution line above the threshold",
        "below its negative",
        (Parameter("threshold", 0.0, 0.0, 1e15, "volume"),),
        _above("accumulation_distribution", mirrored=True),
        note="It is counted from the first candle of the data: other data, another signal.",
    ),
    Rule(
        "chaikin_money_flow",
        "threshold",
        "Chaikin money flow above the threshold",
        "below its negative",
        (
            Parameter("period", 20, 5, 100, "candles", ("cmf_period",)),
            Parameter("threshold", 0.05, 0.0, 0.2, "money flow, from -1 to 1"),
        ),
        _above("chaikin_money_flow", "period", mirrored=True),
    ),
)
