"""A surface: every cell of a grid on every alert, in stripes that fit memory, and the ground around each cell."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, prod
from typing import Literal

import numpy as np
import pyarrow as pa

from ..io.account import tell
from ..io.errors import LimitError
from ..kernels.arrays import NEVER, Floats, Ints, Policies, Windows, column, of_rows
from .objective import names_of
from .recipe import Prepared
from .sizing import BYTES_A_CANDLE, BYTES_A_MOVING_STOP, SCRATCH, TOGETHER, flag, mib
from .space import to_policies
from .surface_grid import MOVING, Grid, coarser
from .tallies import Ground, only, returns, tally
from .values import DAY

By = Literal["caller", "day"]

PIECE = 65_536  # cells made columns at a time
BYTES_A_CELL = 200  # measured: a TALLY, its copy in the order of the grid, its neighbours
BYTES_A_PATH = 336  # measured: records and runs of an alert, for each square root of a candle


@dataclass(frozen=True)
class Work:
    """A surface, cut to fit its memory; the cut changes no result.

    ``height`` targets, ``widths`` moving stops and ``block`` alerts are done at a time; ``most``: the limit of cells.
    """

    grid: Grid
    objective: str
    medians: bool
    by: By | None
    most: int
    alerts: int
    height: int
    widths: int
    block: int
    memory: int

    @property
    def trades(self) -> int:
        """Trades of the surface."""
        return self.grid.cells * self.alerts


def plan(grid: Grid, prepared: Prepared, objective: str, medians: bool, by: By | None, memory: int, most: int) -> Work:
    """Return the surface cut so that it fits ``memory`` bytes: a half for what is known of alerts, a half for cells.

    Ranking by the median wants medians. Raises LimitError where the fewest alerts or one target do not fit.
    """
    windows, ok = prepared.windows, prepared.ok
    alerts, longest = int(ok.sum()), int((windows.last - windows.first)[ok].max())
    medians, stops = medians or "median_return_bps" in names_of(objective), prod(grid.stops)
    room, block = memory // 2, alerts
    fewest = alerts if medians else min(alerts, TOGETHER)  # medians do not add up
    while block > fewest and _alert_bytes(block, longest, 1) > room:
        block = max(fewest, block // 2)
    least = _alert_bytes(fewest, longest, 1)
    if least > room:
        raise LimitError(
            f"a surface {'with medians ' * medians}over {alerts:,} alerts needs at least {mib(2 * least)}; "
            f"the budget is {mib(memory)}: raise it with --mem {flag(2 * least)}"
        )
    widths = 1 + (room - _alert_bytes(block, longest, 1)) // (block * BYTES_A_MOVING_STOP)
    targets, slab = grid.shape[0], grid.cells // grid.shape[0] * BYTES_A_CELL
    height = targets if targets * slab <= room else room // slab - 2  # but for all, with a target on either side
    if height < 1:
        raise LimitError(
            f"a surface of {grid.cells // targets:,} combinations with each target needs at least {mib(6 * slab)}; "
            f"the budget is {mib(memory)}: raise it with --mem {flag(6 * slab)}, or take longer steps"
        )
    return Work(grid, objective, medians, by, most, alerts, height, min(widths, stops), block, memory)


def _alert_bytes(alerts: int, longest: int, stops: int) -> int:
    """Return what is held of ``alerts`` alerts of at most ``longest`` candles, and of each one's moving stops."""
    scratch = max(longest * BYTES_A_CANDLE, min(SCRATCH, alerts * longest * BYTES_A_CANDLE))
    return scratch + alerts * (BYTES_A_PATH * ceil(longest**0.5) + stops * BYTES_A_MOVING_STOP)


def stripes(
    there: Ground, work: Work, phase: Literal["surface", "groups"], advance: Callable[[int], None]
) -> Iterator[tuple[int, np.ndarray, Ints]]:
    """Yield some cells after others: the number of the first, TALLY[n], and ``lowest_around`` their sums, int64[n].

    On the alerts of ``there``. ``advance`` is told how many cells are done.
    """
    targets, slab, found_by = work.grid.shape[0], work.grid.cells // work.grid.shape[0], tallies
    if there.crew is not None:
        from .cluster.spread import cells as found_by
    for first in range(0, targets, work.height):
        last = min(targets, first + work.height)
        low, high = max(0, first - 1), min(targets, last + 1)
        with there.prepared.clock.phase(phase):
            tell(doing=f"cells {first * slab:,} to {last * slab - 1:,}")
            found = found_by(there, work, low, high)
            around = lowest_around(found["sum_q"])
        kept = slice(first - low, last - low)
        yield first * slab, found[kept].ravel(), around[kept].ravel()
        advance(last * slab)


def lowest_around(sums: Ints) -> Ints:
    """Return the lowest of each cell and all its neighbours, one step away in every direction, diagonals included."""
    low = sums
    for axis in range(sums.ndim):
        before = np.moveaxis(low, axis, 0)
        found = before.copy()
        np.minimum(found[1:], before[:-1], out=found[1:])
        np.minimum(found[:-1], before[1:], out=found[:-1])
        low = np.moveaxis(found, 0, axis)
    return low


def tallies(there: Ground, work: Work, first: int, last: int) -> np.ndarray:
    """Return TALLY of targets ``first`` to ``last - 1`` with all else, in the shape of the grid.

    Alerts whose returns are too large for whole numbers of 32 bits go candle by candle, at 350 ns a trade.
    O(candles) an alert, O(records) an alert and plane of stops and targets, and O(cells), measured at 20 ns a cell.
    """
    from ..kernels.search import TALLY

    grid = work.grid
    shape = (last - first, *grid.shape[1:])
    out = np.zeros(shape, TALLY)
    fixed = out.reshape(shape[0], grid.values["sl"].size, prod(grid.stops), -1)
    at_once = work.medians and there.bars == 0
    rows = np.flatnonzero(there.fits)
    for s in range(0, rows.size, work.block):
        windows = of_rows(there.windows, rows[s : s + work.block])
        for v in range(0, fixed.shape[2], work.widths):
            found = _kernel(there, grid, windows, slice(first, last), slice(v, v + work.widths), at_once)
            part = fixed[:, :, v : v + work.widths]
            if s == 0:
                part[...] = found
            else:
                _add(part, found)
    if there.bars:
        _by_candle(there, work, first, out.reshape(-1))
    return out


def _kernel(there: Ground, grid: Grid, windows: Windows, targets: slice, stops: slice, medians: bool) -> np.ndarray:
    """Return TALLY[K, M, N, D] of some targets and some moving stops; M and N as in the grid."""
    from ..kernels.jit import threads as on
    from ..kernels.surface import surface_all

    candles, step, rules, costs = there.market
    times = column(grid.values.get("time_stop_ms", np.array([NEVER])), np.int64)
    sl, tp = column(grid.values["sl"][::-1]), column(grid.values["tp"][targets])
    with on(there.threads):
        found = surface_all(
            *(candles, windows, step, sl, tp, moving_stops(grid, stops), times, rules, costs, medians),
        )
    return found[:, :, :, ::-1].transpose(2, 3, 0, 1)


def moving_stops(grid: Grid, rows: slice) -> Policies:
    """Return the moving stops of a grid numbered ``rows``: policies of nothing else; one that never moves if none."""
    axes = {name: values for name, values in grid.values.items() if name in MOVING}
    meshed = (each.ravel()[rows] for each in np.meshgrid(*axes.values(), indexing="ij"))
    return to_policies(grid.space, dict(zip(axes, meshed, strict=True)) or {"sl": np.zeros(1)})


def _by_candle(there: Ground, work: Work, first: int, out: np.ndarray) -> None:
    """Add the alerts that do not fit to the cells from target ``first`` on; and write medians, which do not add up."""
    alone = only(there, np.flatnonzero(~there.fits))
    begin = first * (work.grid.cells // work.grid.shape[0])
    for s in range(0, out.size, PIECE):
        count = min(PIECE, out.size - s)
        policies = to_policies(work.grid.space, work.grid.drawn(begin + s, count))
        _add(out[s : s + count], tally(alone, policies, False, lambda done: None))
        if work.medians:
            out["median_q"][s : s + count] = _medians(there, policies, work.memory)


def _add(out: np.ndarray, found: np.ndarray) -> None:
    for name in out.dtype.names or ():
        out[name] += found[name]


def _medians(there: Ground, policies: Policies, memory: int) -> Floats:
    """Return the median return of each policy, from all its returns."""
    found, some = np.empty(policies.sl.size), max(1, memory // (32 * there.fits.size))
    for s in range(0, found.size, some):
        part = Policies(*(column(each[s : s + some], each.dtype) for each in policies))
        found[s : s + some] = np.median(returns(there, part), axis=1)
    return found


def groups(there: Ground, work: Work) -> list[tuple[pa.Scalar, Ground]]:
    """Return each caller in the order of names, or each UTC day of entry, with its alerts; none without ``work.by``.

    Raises LimitError where their cells are more than ``work.most``.
    """
    names = there.prepared.alerts["caller_name"].to_pylist()
    keys = {
        None: [],
        "caller": [name for name, ok in zip(names, there.prepared.ok, strict=True) if ok],
        "day": (there.windows.ts // DAY).tolist(),
    }[work.by]
    rows: dict[str | int, list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    if (count := len(rows) * work.grid.cells) > work.most:
        fits = coarser(work.grid.ranges, max(1, work.most // len(rows)))
        raise LimitError(
            f"{work.grid.cells:,} cells for each of {len(rows):,} {work.by}s are {count:,}, above the limit of "
            f"{work.most:,}; {fits} fits, or raise it with --max-cells"
        )
    kind = pa.date32() if work.by == "day" else pa.string()
    return [(pa.scalar(key, kind), only(there, np.array(rows[key]))) for key in sorted(rows)]
