"""Every stop with every target on the trades of one trace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...io.errors import UsageError
from ...kernels.arrays import Candles, Floats, column, policy
from ..policy import Policy, Rung
from .performance import Fills, exits_of, rows_of, taking_of

if TYPE_CHECKING:
    from ...kernels.trace_surface import Levels
    from .trace import Trace


@dataclass(frozen=True)
class TraceSurface:
    """``stops`` float64[M] and ``targets`` float64[K], multiples for longs, NaN where there is none; and each cell.

    ``cells`` by name, [M, K]: ``trades``, ``win_rate``, ``mean`` return and its exact bounds ``mean_worst`` and
    ``mean_best``, ``total_return`` (compounded), ``stopped`` and ``targets`` (trades so ended), ``ambiguous`` (trades),
    ``saved`` and ``given_up``: the sums of what trades returned more, and less, than by their signal alone. Means are
    NaN where there are no trades.
    """

    stops: Floats
    targets: Floats
    cells: Mapping[str, NDArray[Any]]


def trace_surface(
    trace: "Trace",
    bars: Candles,
    step: int,
    how: Fills,
    stops: Sequence[float | None],
    targets: Sequence[float | None],
    threads: int | None = None,
) -> TraceSurface:
    """Return every combination of ``stops`` and ``targets`` (None: none) on a trace, each signal entered once.

    ``how.exits`` may add a trailing stop, a breakeven stop or a time limit. Raises UsageError where a level is outside
    its limits, a list is empty, ``how`` sets a stop or a target itself or is without exit memory.
    """
    from ...kernels.jit import threads as on
    from ...kernels.positions import market_of, room_for, walk
    from ...kernels.trace_surface import cells_all

    levels, (idx, val), market = _levels(how, stops, targets), rows_of(trace, bars), market_of(bars)
    alone = taking_of(replace(how, exits=None), step)
    room = room_for(idx.size, market, levels.rest, alone)
    n = walk(idx, val, market, levels.rest, alone, room)
    with on(threads):
        found = cells_all(room.positions[:n], market, levels, taking_of(how, step))
    columns = {name: column(found[name], found[name].dtype) for name in found.dtype.names or () if name != "wins"}
    share = found["wins"] / found["trades"] if n else np.full(found.shape, np.nan)
    axes = [column([np.nan if each is None else each for each in some]) for some in (stops, targets)]
    return TraceSurface(axes[0], axes[1], columns | {"win_rate": column(share)})


def _levels(how: Fills, stops: Sequence[float | None], targets: Sequence[float | None]) -> "Levels":
    """Return both sides' levels for the kernels, each checked as a policy's."""
    from ...kernels.mirror import reflected
    from ...kernels.trace_surface import Levels

    if not how.memory:
        raise UsageError("memory is False; a surface enters each signal once, so it needs exit memory")
    if how.exits and (how.exits.sl is not None or how.exits.tp):
        raise UsageError(f"exits set {'tp' if how.exits.tp else 'sl'}; on a surface stops and targets are its axes")
    for name, some in (("stops", stops), ("targets", targets)):
        if not len(some):
            raise UsageError(f"{name} is empty; give at least one, None for none")
    for stop in stops:
        Policy(sl=stop)
    for target in targets:
        Policy(tp=() if target is None else (Rung(target),))
    each = [policy(sl=0.0 if stop is None else stop) for stop in stops]
    at = policy(tp=[np.inf if target is None else target for target in targets])
    short_sl = column([reflected(one).sl for one in each])
    whole = column([10_000], np.int64)
    return Levels(column([one.sl for one in each]), at.tp, short_sl, reflected(at).tp, whole, exits_of(how))
