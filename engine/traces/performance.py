"""What a trace would have earned: its trades under stated fills, and their metrics (SEMANTICS section 6, TS-1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ...io.config import nearest
from ...io.errors import DataError, UsageError
from ...kernels.arrays import INTRABAR, NEVER, Candles, Rules, column, costs, policy
from ..policy import Policy

if TYPE_CHECKING:
    from ...kernels.positions import Exits, Taking
    from .trace import Trace

Fill = Literal["next_open", "signal_close"]
TRADES = (
    *("direction", "entry_bar", "entry_ts", "entry_px", "exit_bar", "exit_ts", "exit_px", "reason"),
    *("ret", "ret_q", "worst", "best", "ambiguous", "mae", "mfe", "bars_held"),
)
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
    """The trades of one trace, oldest first, as columns TRADES, and METRICS by name, None where undefined.

    ``direction`` is 1 or -1; bars count from the first candle, times are ms UTC; ``exit_px`` is the price of the last
    fill; ``reason`` an index of ``kernels.arrays.REASONS``; ``ret`` is net, a fraction, ``ret_q`` in millionths;
    ``worst`` and ``best`` are its bounds over every path inside the candles; ``mae`` <= 0 and ``mfe`` >= 0, fractions.
    """

    trades: Mapping[str, NDArray[Any]]
    metrics: Mapping[str, float | int | None]


def performance_of(trace: "Trace", bars: Candles, step: int, how: Fills = Fills()) -> Performance:
    """Return the trades of one trace on its candles, ``step`` ms apart, and their metrics.

    Raises DataError where the trace is not one of these candles.
    """
    from ...kernels.equity import METRIC, measure
    from ...kernels.positions import AROUND, around, market_of, room_for, walk

    (idx, val), market, exits, taking = rows_of(trace, bars), market_of(bars), exits_of(how), taking_of(how, step)
    room = room_for(idx.size, market, exits, taking)
    positions = room.positions[: walk(idx, val, market, exits, taking, room)]
    bounds, metric = np.empty(positions.size, AROUND), np.empty(1, METRIC)
    around(positions, market, exits, taking, bounds)
    measure(positions, room.fills, market, taking, np.empty(market.day_ends.size), metric[0])
    found = {name: part[name] for part in (positions, bounds) for name in part.dtype.names or ()}
    values = zip(METRICS, metric[0].item(), strict=True)
    return Performance(
        {name: column(found[name], found[name].dtype) for name in TRADES},
        {name: None if value != value else value for name, value in values},
    )


def performances(
    traces: Sequence["Trace"], bars: Candles, step: int, how: Fills = Fills(), threads: int | None = None
) -> Mapping[str, NDArray[Any]]:
    """Return METRICS of many traces on the same candles, one row a trace: float64, NaN where undefined.

    ``num_trades`` is int64. Raises DataError where a trace is not one of these candles.
    """
    from ...kernels.equity import Traces, measure_all
    from ...kernels.jit import threads as on
    from ...kernels.positions import market_of

    rows = [rows_of(trace, bars) for trace in traces]
    starts = np.cumsum([0, *(idx.size for idx, _ in rows)])
    idx = np.concatenate([np.empty(0, np.int32), *(idx for idx, _ in rows)])
    val = np.concatenate([np.empty(0, np.int8), *(val for _, val in rows)])
    together = Traces(column(starts, np.int64), column(idx, np.int32), column(val, np.int8))
    with on(threads):
        found = measure_all(together, market_of(bars), exits_of(how), taking_of(how, step))
    return {name: column(found[name], found[name].dtype) for name in METRICS}


def rows_of(trace: "Trace", bars: Candles) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Return (idx, val) of a trace; raises DataError where they cannot be changes of a signal on ``bars``."""
    idx, val = column(trace.idx, np.int32), column(trace.val, np.int8)
    if trace.bars != bars.ts.size:
        raise DataError(f"the trace is of {trace.bars:,} candles and these are {bars.ts.size:,}; make it anew on these")
    if idx.shape != val.shape or idx.ndim != 1:
        raise DataError(f"the trace has {idx.size:,} candles and {val.size:,} values; each change has one of both")
    if idx.size and (idx[0] < 0 or idx[-1] >= bars.ts.size or np.any(idx[1:] <= idx[:-1])):
        raise DataError(
            f"the trace's idx must ascend within 0 to {bars.ts.size - 1}; it runs from {idx[0]} to {idx[-1]}"
        )
    if np.any(np.abs(val) > 1):
        raise DataError(f"the trace's val is {val[np.abs(val) > 1][0]}; it must be -1, 0 or 1")
    return idx, val


def exits_of(how: Fills) -> "Exits":
    """Return the exits of both sides for the kernels."""
    from ...kernels.mirror import reflected
    from ...kernels.positions import Exits

    rules = how.exits or Policy()
    long = policy(
        rules.sl or 0.0,
        [rung.mult for rung in rules.tp],
        [rung.frac_bps for rung in rules.tp],
        rules.trail_pct,
        rules.trail_activate or 1.0,
        rules.be_trigger or np.inf,
        rules.be_offset or 0.0,
        rules.time_ms or NEVER,
    )
    return Exits(long, reflected(long))


def taking_of(how: Fills, step: int) -> "Taking":
    """Return ``how`` for the kernels; ``step``: the candle interval, ms."""
    from ...kernels.positions import Taking

    at_open = how.exits is not None and how.exits.tp_gap_fill == "open"
    rules, paid = Rules(INTRABAR[how.intrabar], at_open, False), costs(how.fee_bps, how.slippage_bps)
    return Taking(how.fill == "signal_close", how.memory, how.exits is not None, step, rules, paid)
