"""What an expression may name: the variables of a candle and the functions of a series, each with what it means."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .clock import MARKET_HOURS
from .terms import Kind

if TYPE_CHECKING:
    from .features import Key

VOLATILITY_REGIMES = ("low", "normal", "high")
TREND_REGIMES = ("down", "range", "up")

Takes = Literal["series", "period", "number"]


@dataclass(frozen=True)
class Variable:
    """A value of every candle: the feature ``key`` it is, a number or a truth (1.0 or 0.0, NaN unknown)."""

    key: "Key"
    help: str
    kind: Kind = "number"


@dataclass(frozen=True)
class Function:
    """A function of an expression. ``takes`` its arguments: a series, a period (a whole number), or any number.

    ``key`` makes the feature that it is of its arguments, themselves features and whole numbers; ``each`` makes it of
    numbers, one by one. ``defaults`` are the arguments that may be left out, all or none, by place. ``words``: those of
    kind "text" give one of them, by its place in there, -1 where it is unknown. ``framed``: a last argument such as
    '1h' takes it from coarser candles, the last complete one at each candle.
    """

    takes: tuple[Takes, ...]
    help: str
    key: Callable[..., "Key"] | None = None
    each: Callable[..., Any] | None = None
    kind: Kind = "number"
    defaults: Mapping[int, str | int] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    framed: bool = False


def signature(name: str) -> str:
    """Return how a function is called: "sma([series,] n)"."""
    made = FUNCTIONS[name]
    names = {"series": "series", "period": "n", "number": "x"}
    words = [names[each] for each in made.takes]
    words = ["m" if word == "n" and "n" in words[:i] else word for i, word in enumerate(words)]
    words = ["y" if word == "x" and "x" in words[:i] else word for i, word in enumerate(words)]
    parts = [f"[{word}]" if i in made.defaults else word for i, word in enumerate(words)]
    return f"{name}({', '.join([*parts, *(['[timeframe]'] if made.framed else [])])})"


def _average(name: str, help: str) -> Function:  # noqa: A002
    """Return an average of any series, of the close where none is given."""
    return Function(("series", "period"), help, lambda of, n: (name, of, n), defaults={0: "close"}, framed=True)


VARIABLES: Mapping[str, Variable] = MappingProxyType(
    {
        "open": Variable("open", "the candle's open"),
        "high": Variable("high", "its high"),
        "low": Variable("low", "its low"),
        "close": Variable("close", "its close; also price"),
        "volume": Variable("volume", "its volume"),
        "hour": Variable("hour", "the hour of its open, 0 to 23, in the market's zone"),
        "minute": Variable("minute", "the minute of its open, 0 to 59"),
        "time": Variable("hhmm", "the time of its open as HHMM in the market's zone: 930 for 09:30"),
        "bar_of_day": Variable("bar_of_day", "which candle of its day it is, from 0"),
        "intraday": Variable(("intraday",), "whether it opens from 09:30 on and before 15:55 in the zone", "truth"),
    }
)

ALIASES: Mapping[str, str] = MappingProxyType({"price": "close", "ma": "sma", "session_vwap": "vwap"})

FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "sma": _average("sma", "mean of the last n values, this one included; also ma"),
        "ema": _average("ema", "exponential average, alpha 2 / (n + 1), seeded with the mean of the first n"),
        "wma": _average("wma", "mean of the last n values weighted 1 to n, most for the newest"),
        "rsi": Function(
            ("period",), "relative strength index of the close, 0 to 100", lambda n: ("rsi", "close", n), framed=True
        ),
        "atr": Function(("period",), "average true range, Wilder's, in price", lambda n: ("atr", n), framed=True),
        "adx": Function(
            ("period",),
            "average directional index, Wilder's, 0 to 100",
            lambda n: ("directional.adx", n),
            framed=True,
        ),
        "atr_sma": Function(
            ("period", "period"),
            "mean of the last m values of atr(n)",
            lambda n, m: ("sma", ("atr", n), m),
            framed=True,
        ),
        "vwap": Function(
            (), "mean of (high + low + close) / 3 weighted by volume, of the session so far", lambda: ("session_vwap",)
        ),
        "vwap_distance": Function(
            (), "how far the close is above vwap(), a fraction of it", lambda: ("distance", "close", ("session_vwap",))
        ),
        "volume_ratio": Function(
            ("period",),
            "volume over the mean of the last n, this one included",
            lambda n: ("ratio", "volume", ("sma", "volume", n)),
            framed=True,
        ),
        "relative_volume": Function(
            ("period",),
            "volume over the mean of the n before it",
            lambda n: ("ratio", "volume", ("shift", ("sma", "volume", n), 1)),
            framed=True,
        ),
        "volatility_percentile": Function(
            ("period", "period"),
            "how many of the m values before are below the deviation of the last n changes of the close, per cent",
            lambda n, m: ("percent_rank", ("deviation", ("roc", "close", 1), n), m),
            defaults={1: 100},
            framed=True,
        ),
        "atr_percentile": Function(
            ("period", "period"),
            "how many of the m values before are below atr(n), per cent",
            lambda n, m: ("percent_rank", ("atr", n), m),
            defaults={1: 100},
            framed=True,
        ),
        "trend_strength": Function(
            ("period",),
            "how far the close came in n candles over how far it went, 0 to 1: Kaufman's efficiency ratio",
            lambda n: ("efficiency", "close", n),
            framed=True,
        ),
        "market_hours": Function(
            (),
            "on weekdays 'pre_market' from 04:00, 'regular' from 09:30, 'extended' from 16:00 to 20:00; else 'closed'",
            lambda: "market_hours",
            kind="text",
            words=MARKET_HOURS,
        ),
        "time_until_close": Function(
            (), "minutes from the candle's open to 16:00 in the zone; below 0 after it", lambda: "time_until_close"
        ),
        "is_friday": Function(
            (), "whether the candle opens on a Friday in the zone", lambda: ("is_friday",), kind="truth"
        ),
        "volatility_regime": Function(
            (),
            "'low' where atr_percentile(14, 100) is below 100/3, 'high' above 200/3, else 'normal'",
            lambda: ("volatility_regime",),
            kind="text",
            words=VOLATILITY_REGIMES,
            framed=True,
        ),
        "trend_regime": Function(
            (),
            "where adx(14) is 25 or more, 'up' if DI+ is above DI- and 'down' if below; else 'range'",
            lambda: ("trend_regime",),
            kind="text",
            words=TREND_REGIMES,
            framed=True,
        ),
        "abs": Function(("number",), "the number without its sign", each=np.abs),
        "min": Function(("number", "number"), "the lower of two numbers", each=np.minimum),
        "max": Function(("number", "number"), "the higher of two numbers", each=np.maximum),
        "round": Function(("number",), "the nearest whole number, of two the even one", each=np.rint),
    }
)
