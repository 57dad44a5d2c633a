"""Trials on alerts by either engine, to the same integers: sums of returns, by day too; returns, and quantiles."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from ..io.columns import pc
from ..kernels.arrays import Candles, Costs, Ints, Policies, Rules, Windows, column, of_rows
from .recipe import Prepared
from .sizing import BYTES_A_PAIR, LARGEST_BLOCK
from .values import DAY

if TYPE_CHECKING:
    from .cluster.crew import Crew

QUANTILES = {"p25": 0.25, "median": 0.5, "p75": 0.75, "p90": 0.9}


class Market(NamedTuple):
    """What every kernel takes beside windows and policies; ``step``: the candle interval, ms."""

    candles: Candles
    step: int
    rules: Rules
    costs: Costs


@dataclass(frozen=True)
class Ground:
    """The alerts of a search that have a window, and which of them the tables engine takes, ``fits`` bool[A].

    ``order`` int64[A] is that of their entries, then of their ``call_id``. ``memory`` bytes bound the blocks of work.
    ``source``: what they come of, which a worker of a cluster does not have; ``crew``: that does the work, if not us.
    """

    market: Market
    windows: Windows
    fits: np.ndarray
    order: np.ndarray
    memory: int
    threads: int | None
    source: Prepared | None = None
    crew: "Crew | None" = None

    @property
    def prepared(self) -> Prepared:
        """The alerts and candles of the run. Raises ValueError on a worker."""
        if self.source is None:
            raise ValueError("a worker has windows and candles, and no alerts")
        return self.source

    @property
    def bars(self) -> int:
        """How many alerts go candle by candle."""
        return int((~self.fits).sum())


def ground(prepared: Prepared, engine: Literal["tables", "bars"], memory: int, threads: int | None) -> Ground:
    """Return the ``Ground`` of a search; an alert whose returns are too large for tables goes candle by candle."""
    windows = of_rows(prepared.windows, prepared.ok)
    fits = np.zeros(windows.first.size, np.bool_)
    if engine == "tables":
        from ..kernels.jit import threads as on
        from ..kernels.tables import fits_all

        with on(threads):
            fits = fits_all(prepared.slice.candles, windows, prepared.step, prepared.costs)
    market = Market(prepared.slice.candles, prepared.step, prepared.rules, prepared.costs)
    entries = pa.table({"ts": windows.ts, "call": prepared.alerts["call_id"].filter(prepared.ok)})
    order = pc.sort_indices(entries, sort_keys=[("ts", "ascending"), ("call", "ascending")]).to_numpy()
    return Ground(market, windows, fits, order.astype(np.int64), memory, threads, prepared)


def tally(there: Ground, policies: Policies, medians: bool, advance: Callable[[int], None]) -> np.ndarray:
    """Return TALLY[T] of every trial on every alert; medians only where asked for. ``advance`` is told trades done."""
    from ..kernels.jit import threads as on
    from ..kernels.search import TALLY, search_all, tally_all

    candles, step, rules, costs = there.market
    trials, out, done = policies.sl.size, np.zeros(policies.sl.size, TALLY), 0
    if there.fits.any():
        from ..kernels.tables import tally_tables

        some = of_rows(there.windows, there.fits)
        with on(there.threads):
            out = tally_tables(candles, some, step, policies, rules, costs, lambda alerts: advance(alerts * trials))
        done = some.first.size * trials
    for rows, some, windows in _by_candle(there, policies):
        with on(there.threads):
            found = tally_all(*search_all(candles, windows, step, some, rules, costs)[:4])
        for name in TALLY.names or ():
            out[name][rows] += found[name]
        advance(done + rows.stop * windows.first.size)
    if medians and there.fits.any():
        out["median_q"] = np.median(returns(there, policies), axis=1, overwrite_input=True)
    return out


def returns(there: Ground, policies: Policies) -> Ints:
    """Return ``ret_q`` int64[T, A] of every trial on every alert."""
    from ..kernels.days import returns_bars
    from ..kernels.jit import threads as on

    candles, step, rules, costs = there.market
    out = np.empty((policies.sl.size, there.fits.size if there.bars else 0), np.int64)
    if there.fits.any():
        from ..kernels.tables import returns_tables

        with on(there.threads):
            found = returns_tables(candles, of_rows(there.windows, there.fits), step, policies, rules, costs)
        if not there.bars:
            return found
        out[:, there.fits] = found
    for rows, some, windows in _by_candle(there, policies):
        with on(there.threads):
            out[rows, ~there.fits] = returns_bars(candles, windows, step, some, rules, costs).T
    return out


@dataclass(frozen=True)
class Calendar:
    """The UTC days from the first entry to the last: ``first`` since 1970, ``alerts`` int64[D] entered on each."""

    first: int
    alerts: Ints

    @property
    def days(self) -> int:
        """How many days there are."""
        return self.alerts.size


def calendar(there: Ground) -> tuple[Calendar, Ints]:
    """Return the ``Calendar`` of a search, and the number of each alert's day in it, int64[A]."""
    days = there.windows.ts // DAY
    first = int(days.min())
    return Calendar(first, np.bincount(days - first)), days - first


def by_day(there: Ground, policies: Policies) -> Ints:
    """Return the sum of ``ret_q`` of every trial on the alerts entered on each day of ``calendar``, int64[T, D]."""
    from ..kernels.days import by_day_tables, returns_bars
    from ..kernels.jit import threads as on

    candles, step, rules, costs = there.market
    known, days = calendar(there)
    out = np.zeros((policies.sl.size, known.days), np.int64)
    if there.fits.any():
        some = of_rows(there.windows, there.fits)
        with on(there.threads):
            out = by_day_tables(candles, some, step, days[there.fits], known.days, policies, rules, costs)
    for rows, some, windows in _by_candle(there, policies):
        with on(there.threads):
            found = returns_bars(candles, windows, step, some, rules, costs)
        np.add.at(out[rows].T, days[~there.fits], found)
    return out


def exact(there: Ground, policies: Policies) -> dict[str, np.ndarray]:
    """Return what only all returns of a trial can tell, name -> float64[T] in bps: its quantiles and its drawdown.

    Quantiles are those of ``kernels.stats.quantile``. The equity curve stakes the same on every trade, begins at 0 and
    adds each return in the order of entries; ``max_drawdown_bps`` is its deepest fall below its own high water, <= 0.
    Half the memory holds returns, of as many trials as fit.
    """
    found = {f"{name}_return_bps": np.empty(policies.sl.size) for name in QUANTILES}
    found["max_drawdown_bps"] = np.empty(policies.sl.size)
    block = max(1, there.memory // 2 // (there.fits.size * (16 if there.bars else 8)))
    for rows, some in _cut(policies, block):
        for i, ret_q in enumerate(returns(there, some), rows.start):
            values = np.quantile(ret_q.astype(float), tuple(QUANTILES.values()))
            for name, each in zip(QUANTILES, values, strict=True):
                found[f"{name}_return_bps"][i] = each / 100
            found["max_drawdown_bps"][i] = max_drawdown(ret_q[None, there.order])[0] / 100
    return found


def max_drawdown(steps: Ints) -> Ints:
    """Return the deepest fall of each row's running sum below its own high water, which begins at 0; int64[T], <= 0."""
    curve = np.cumsum(steps, axis=1)
    return (curve - np.maximum(np.maximum.accumulate(curve, axis=1), 0)).min(axis=1, initial=0)


def only(there: Ground, rows: np.ndarray | slice) -> Ground:
    """Return some alerts of ``there``, for this process to work on."""
    windows = of_rows(there.windows, rows)
    return replace(there, windows=windows, fits=there.fits[rows], order=np.arange(windows.first.size), crew=None)


def _by_candle(there: Ground, policies: Policies) -> Iterator[tuple[slice, Policies, Windows]]:
    """Yield blocks of trials and the windows to walk: none if all fit tables, else in an eighth of the memory."""
    if there.bars:
        windows, room = of_rows(there.windows, ~there.fits), there.memory // (8 if there.fits.any() else 1)
        block = min(LARGEST_BLOCK, max(1, room // (there.bars * BYTES_A_PAIR)))
        for rows, some in _cut(policies, block):
            yield rows, some, windows


def _cut(policies: Policies, block: int) -> Iterator[tuple[slice, Policies]]:
    """Yield the rows and the policies of each block of trials."""
    trials = policies.sl.size
    for first in range(0, trials, block):
        rows = slice(first, min(trials, first + block))
        yield rows, Policies(*(column(part[rows], part.dtype) for part in policies))
