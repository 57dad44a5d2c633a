"""A registered strategy: its parameters with their ranges, and the signal it makes of a series."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...kernels.signals import Signal

if TYPE_CHECKING:
    from .features import Features

Value = int | float | bool
Values = Mapping[str, Value]


@dataclass(frozen=True)
class Parameter:
    """A parameter of a rule: its type is that of ``default``; ``low`` and ``high`` are both allowed."""

    name: str
    default: Value
    low: float
    high: float
    help: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A strategy by name. ``long`` and ``short`` say in words when it wants to be so; else it wants to be flat.

    ``signal(features, values)`` is given every parameter, typed and within range, and returns int8[N]: what the rule
    wants after each candle's close, sustained while it holds; ``NONE`` until its indicators are warm. ``ascending``
    names pairs of parameters of which the first must be below the second. ``note`` says what else one must know.
    """

    name: str
    category: str
    long: str
    short: str
    parameters: tuple[Parameter, ...]
    signal: Callable[["Features", Values], Signal]
    aliases: tuple[str, ...] = ()
    ascending: tuple[tuple[str, str], ...] = ()
    note: str = ""
