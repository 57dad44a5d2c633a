"""Exit regret: what a run's exits left on the table and saved, beside the best that fixed exits would have done."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..kernels.arrays import Floats, Ints
from ..kernels.stats import mean, quantile
from .fixed_exits import Cell
from .recipe import Prepared
from .reopen import Traded, numbers
from .values import HOUR, MINUTE

WITHIN = (5 * MINUTE, 30 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR, 24 * HOUR)
STOPS, UNSOLD = ("SL", "BE", "TRAIL"), ("HORIZON", "END_OF_DATA")
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True)
class Moved:
    """How far prices went within ``within_ms`` of the exits, in fractions of the entry price.

    ``share`` of the trades moved at all; mean, median and p90 are of all trades, 0 where the price did not move so.
    """

    within_ms: int
    share: float
    mean: float
    median: float
    p90: float


@dataclass(frozen=True)
class Regret:
    """A policy's trades in hindsight; returns in basis points after costs, all else fractions of the entry price.

    ``peak_bps``: every trade sold at its high. ``capture`` are QUANTILES of ``tail_capture``, ``capture_of_all`` all
    gains over all highs. ``left`` is how much higher the price went after the ``sold`` trades, ``saved`` how much lower
    after those ``stopped``; ``kept`` is the mean of exit less end of the window, of those stopped, before costs, and
    ``right`` the share where the exit was above the end.
    """

    trades: int
    avg_return_bps: float
    peak_bps: float
    hindsight: Cell | None
    peaks: int
    capture: tuple[float, ...]
    capture_of_all: float
    sold: int
    left: tuple[Moved, ...]
    stopped: int
    saved: tuple[Moved, ...]
    kept: float
    right: float


def regret(prepared: Prepared, done: Traded, paths: pa.Table, hindsight: Cell | None) -> Regret:
    """Return what hindsight says of a run's trades; ``paths`` holds ``ath_mult``, null without a window."""
    ok, price = prepared.ok, prepared.windows.price[prepared.ok]
    highs = numbers(paths, "ath_mult")[ok]
    gained = numbers(done.trades, "gross")[ok] / price - 1.0
    captured = numbers(done.trades, "tail_capture")[ok]
    within, rise, fall, kept, stop, sold = after(prepared, done)
    costs, rising = prepared.costs, float((highs - 1.0).sum())
    return Regret(
        trades=int(ok.sum()),
        avg_return_bps=mean(numbers(done.trades, "realized_return_bps")[ok]),
        peak_bps=mean((highs * costs.k_out) / costs.k_in - 1.0 - costs.fixed) * 10000,
        hindsight=hindsight,
        peaks=int((highs > 1.0).sum()),
        capture=tuple(quantile(captured, q) for q in QUANTILES),
        capture_of_all=float(gained.sum()) / rising if rising else float("nan"),
        sold=int(sold.sum()),
        left=_moves(within, rise[:, sold]),
        stopped=int(stop.sum()),
        saved=_moves(within, fall[:, stop]),
        kept=mean(kept[stop]),
        right=mean((kept[stop] > 0).astype(float)),
    )


def after(prepared: Prepared, done: Traded) -> tuple[Ints, Floats, Floats, Floats, np.ndarray, np.ndarray]:
    """Return what prices did after each trade's exits, one column an alert, weighted by the fraction that each sold.

    (within int64[T], rise float64[T, A], fall float64[T, A], kept float64[A], stopped bool[A], sold bool[A]). Rise is
    of all that was sold before the window ended, fall and kept of what a stop sold. A candle counts after an exit that
    it does not contain; an exit at an open is before its candle. Nothing is read beyond the window; the last of
    ``within`` is the horizon.
    """
    horizon, windows, candles = prepared.trading.horizon, prepared.windows, prepared.slice.candles
    within = np.array([*(t for t in WITHIN if prepared.step <= t < horizon), horizon], np.int64)
    place = {call: row for row, call in enumerate(prepared.alerts["call_id"].to_pylist())}
    alerts = len(place)
    rise, fall, kept = np.zeros((within.size, alerts)), np.zeros((within.size, alerts)), np.zeros(alerts)
    stopped, sold = np.zeros(alerts, np.bool_), np.zeros(alerts, np.bool_)
    for fill in done.fills.to_pylist():
        if fill["reason"] in UNSOLD:
            continue
        row, price = place[fill["call_id"]], fill["price"]
        bars = slice(windows.first[row], windows.last[row])
        part = fill["frac_bps"] / 10000 / windows.price[row]
        ends = np.searchsorted(candles.ts[bars], [fill["ts_ms"], *(fill["ts_ms"] + within)])
        highest, lowest = _extremes(candles.high[bars], candles.low[bars], ends, price)
        sold[row] = True
        rise[:, row] += part * (highest - price)
        if fill["reason"] in STOPS:
            stopped[row] = True
            fall[:, row] += part * (price - lowest)
            kept[row] += part * (price - candles.close[bars][-1])
    return within, rise, fall, kept, stopped, sold


def _extremes(high: Floats, low: Floats, ends: Ints, price: float) -> tuple[Floats, Floats]:
    """Return the highest and lowest price of candles ``ends[0]`` up to each later end, ``price`` among them."""
    first, last = ends[0], ends[-1]
    tops = np.maximum.accumulate(np.concatenate(([price], high[first:last])))
    bottoms = np.minimum.accumulate(np.concatenate(([price], low[first:last])))
    return tops[ends[1:] - first], bottoms[ends[1:] - first]


def _moves(within: Ints, moved: Floats) -> tuple[Moved, ...]:
    """Return a row for each time of ``within``; nothing but NaN where there is no trade."""
    return tuple(
        Moved(int(t), mean((row > 0).astype(float)), mean(row), quantile(row, 0.5), quantile(row, 0.9))
        for t, row in zip(within, moved, strict=True)
    )
