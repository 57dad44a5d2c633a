"""Strategies that go with the trend while there is one."""

from typing import TYPE_CHECKING

from ...kernels.signals import Signal, crossed, gated, past
from .rule import Parameter, Rule, Values

if TYPE_CHECKING:
    from .features import Features


def _adx(features: "Features", values: Values) -> Signal:
    plus, minus, adx = features["directional", values["adx_period"]]
    return gated(crossed(plus, minus), adx, values["adx_threshold"])


def _supertrend(features: "Features", values: Values) -> Signal:
    _, direction = features["supertrend", values["period"], values["multiplier"]]
    return past(direction, 0.0, 0.0, 1)


def _sar(features: "Features", values: Values) -> Signal:
    return crossed(features["close"], features["parabolic_sar", values["af_start"], values["af_max"]])


RULES = (
    Rule(
        "adx_trend_strength",
        "trend",
        "ADX above adx_threshold and DI+ above DI-",
        "ADX above adx_threshold and DI- above DI+",
        (
            Parameter("adx_period", 14, 10, 50, "candles of the ADX and the DI", ("period", "di_period")),
            Parameter("adx_threshold", 25.0, 15.0, 40.0, "level of the ADX", ("threshold", "trend_strength_threshold")),
        ),
        _adx,
        note="All smoothed as Wilder did.",
    ),
    Rule(
        "supertrend",
        "trend",
        "Supertrend says up",
        "it says down",
        (
            Parameter("period", 10, 5, 50, "candles of the ATR"),
            Parameter("multiplier", 3.0, 1.0, 6.0, "distance of the line in ATRs"),
        ),
        _supertrend,
    ),
    Rule(
        "parabolic_sar",
        "trend",
        "close above the parabolic SAR",
        "below it",
        (
            Parameter("af_start", 0.02, 0.005, 0.1, "acceleration at first, and by which it grows", ("step",)),
            Parameter("af_max", 0.2, 0.1, 0.5, "most acceleration", ("most",)),
        ),
        _sar,
    ),
)
