"""What a trace would have earned: its trades under stated fills, and their metrics (SEMANTICS section 6, TS-1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ...io.config import nearest
from ...io.errors import UsageError
from ...kernels.arrays import INTRABAR, Candles
from ..policy import Policy

if TYPE_CHECKING:
    from .trace import Trace

Fill = Literal["next_open", "signal_close"]
METRICS = (
    *("num_trades", "win_rate", "total_return", "total_pnl", "expectancy", "profit_factor", "max_drawdown"),
    *("sharpe", "sharpe_trade", "exposure_time", "avg_bars_held"),
)


@dataclass(frozen=True)
class Fills:
    """How the positions a trace wants are taken and left.

    ``fill``: at the open of the candle after the signal's (``next_open``), or at the close of its own
    (``signal_close``). Costs are basis points a side. ``exits`` may end a trade before its signal does: multiples of
    the entry price for longs, mirrored about 1 for shorts. ``memory``: after such an exit by a stop or a target there
    is no trade until the signal changes. Raises UsageError for what is outside its limits.
    """

    fill: Fill = "next_open"
    fee_bps: float = 0.0
    slippage_bps: float = 0.0
    exits: Policy | None = None
    memory: bool = True
    intrabar: str = "pessimistic"

    def __post_init__(self) -> None:
        for name, value, known in (("fill", self.fill, get_args(Fill)), ("intrabar", self.intrabar, INTRABAR)):
            if value not in known:
                near = nearest(str(value), known) or f"; it must be one of {', '.join(known)}"
                raise UsageError(f"{name} is {value!r:.60}{near}")
        for name, value in (("fee_bps", self.fee_bps), ("slippage_bps", self.slippage_bps)):
            if not 0 <= value < 5000:
                raise UsageError(f"{name} is {value:g}; it must be at least 0 and below 5000 basis points")

    def canonical(self) -> dict[str, Any]:
        """Return what is hashed of it: numbers as the shortest decimal strings, no key for exits that are unset."""
        form: dict[str, Any] = {"fill": self.fill, "intrabar": self.intrabar, "memory": self.memory}
        form |= {name: repr(float(getattr(self, name)) + 0.0) for name in ("fee_bps", "slippage_bps")}
        return form | ({"exits": self.exits.canonical()} if self.exits else {})


@dataclass(frozen=True)
class Performance:
    """The trades of one trace, oldest first, as columns of one length, and METRICS by name, None where undefined.

    Columns: ``direction`` (1, -1), ``entry_bar``, ``entry_ts``, ``entry_px``, ``exit_bar``, ``exit_ts``, ``exit_px``
    (of the last fill), ``reason`` (an index of ``kernels.arrays.REASONS``), ``ret`` (net, a fraction), ``ret_q`` (in
    millionths), ``worst`` and ``best`` (the bounds of ``ret`` over every path inside the candles), ``ambiguous``,
    ``mae`` (<= 0), ``mfe`` (>= 0), ``bars_held``. Bars count from the first candle, times are ms UTC.
    """

    trades: Mapping[str, NDArray[Any]]
    metrics: Mapping[str, float | int | None]


def performance_of(trace: "Trace", bars: Candles, step: int, how: Fills = Fills()) -> Performance:
    """Return the trades of one trace on its candles, ``step`` ms apart, and their metrics."""
    raise NotImplementedError


def performances(
    traces: Sequence["Trace"],
    bars: Candles,
    step: int,
    how: Fills = Fills(),
) -> Mapping[str, NDArray[np.float64]]:
    """Return METRICS of many traces on the same candles, float64[T] each, NaN where undefined."""
    raise NotImplementedError
