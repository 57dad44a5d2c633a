"""Every indicator by name: the kernel that makes it, what that reads, its numbers and its lines."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, Literal

Number = Literal["n", "k"]  # a count of candles, or any number above 0


@dataclass(frozen=True)
class Indicator:
    """An indicator: the ``room`` of kernels that makes it, '' where features do; ``reads``, the columns it is of, none
    where it is of the series given first; the kind of each number that follows; its ``lines`` where it has several.
    """

    room: str
    reads: tuple[str, ...] = ()
    numbers: tuple[Number, ...] = ()
    lines: tuple[str, ...] = ()

    @property
    def of_series(self) -> bool:
        """Whether the first argument is a series."""
        return not self.reads

    def kernel(self, name: str) -> Any:
        """Return the compiled function, imported now."""
        return getattr(import_module(f"...kernels.{self.room}", __package__), name)


_HL, _HLC, _HLCV = ("high", "low"), ("high", "low", "close"), ("high", "low", "close", "volume")
_PRICED = ("typical", "volume")
_BANDS = ("lower", "middle", "upper")

INDICATORS: Mapping[str, Indicator] = MappingProxyType(
    {
        "shift": Indicator("", (), ("n",)),
        "sma": Indicator("averages", (), ("n",)),
        "ema": Indicator("averages", (), ("n",)),
        "wma": Indicator("averages", (), ("n",)),
        "rma": Indicator("averages", (), ("n",)),
        "dema": Indicator("averages", (), ("n",)),
        "tema": Indicator("averages", (), ("n",)),
        "highest": Indicator("averages", (), ("n",)),
        "lowest": Indicator("averages", (), ("n",)),
        "deviation": Indicator("averages", (), ("n",)),
        "percent_rank": Indicator("averages", (), ("n",)),
        "linear_slope": Indicator("averages", (), ("n",)),
        "true_range": Indicator("ranges", _HLC),
        "atr": Indicator("ranges", _HLC, ("n",)),
        "rsi": Indicator("oscillators", (), ("n",)),
        "stochastic": Indicator("oscillators", _HLC, ("n", "n", "n"), ("k", "d")),
        "stochastic_rsi": Indicator("oscillators", (), ("n", "n", "n", "n"), ("k", "d")),
        "cci": Indicator("oscillators", _HLC, ("n",)),
        "williams_r": Indicator("oscillators", _HLC, ("n",)),
        "mfi": Indicator("oscillators", _HLCV, ("n",)),
        "roc": Indicator("oscillators", (), ("n",)),
        "momentum": Indicator("oscillators", (), ("n",)),
        "macd": Indicator("oscillators", (), ("n", "n", "n"), ("line", "signal", "histogram")),
        "aroon": Indicator("oscillators", _HL, ("n",), ("up", "down")),
        "bollinger": Indicator("channels", (), ("n", "k"), _BANDS),
        "keltner": Indicator("channels", _HLC, ("n", "k"), _BANDS),
        "donchian": Indicator("channels", _HL, ("n",), _BANDS),
        "ichimoku": Indicator("channels", _HL, ("n", "n", "n"), ("conversion", "base", "span_a", "span_b")),
        "supertrend": Indicator("channels", _HLC, ("n", "k"), ("line", "direction")),
        "parabolic_sar": Indicator("channels", _HL, ("k", "k")),
        "directional": Indicator("trends", _HLC, ("n",), ("plus", "minus", "adx")),
        "vortex": Indicator("trends", _HLC, ("n",), ("plus", "minus")),
        "obv": Indicator("volumes", ("close", "volume")),
        "vwap": Indicator("volumes", _PRICED, ("n",)),
        "session_vwap": Indicator("volumes", (*_PRICED, "session_starts")),
        "volume_ratio": Indicator("volumes", ("volume",), ("n",)),
        "accumulation_distribution": Indicator("volumes", _HLCV),
        "chaikin_money_flow": Indicator("volumes", _HLCV, ("n",)),
    }
)
