"""What speaks for a break, known at the close of each candle (SESSIONS section 3)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...kernels.arrays import Candles, Floats, Ints, column
from .config import Config

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Ground:
    """The candles of sessions, and what a factor needs of those: rows are of ``bars``, N candles in S sessions.

    ``first`` int64[S]: the first row; ``start``: that after the opening range; ``session`` int64[N]: whose candle each
    is; ``high``, ``low`` float64[S]: the opening range; ``day_high``, ``day_low``: the whole session.
    """

    bars: Candles
    first: Ints
    start: Ints
    session: Ints
    high: Floats
    low: Floats
    day_high: Floats
    day_low: Floats


@dataclass(frozen=True)
class Factors:
    """The factors of N candles: ``long`` and ``short`` flags by name, the ``numbers`` behind them (float64[N]), the
    scores, and whether the trend is weak (so that a break needs more)."""

    long: Mapping[str, Flags]
    short: Mapping[str, Flags]
    numbers: Mapping[str, Floats]
    score_long: Floats
    score_short: Floats
    weak: Flags


def factors_of(ground: Ground, config: Config) -> Factors:
    """Return the enabled factors of every candle, and their scores."""
    makers = {
        "rel_volume": _rel_volume,
        "price_action": _price_action,
        "profile_proxy": _profile,
        "vwap": _vwap,
        "adx": _adx,
    }
    long, short, numbers = {}, {}, {}
    size = ground.bars.ts.size
    scores = np.zeros(size), np.zeros(size)
    for name in config.factors.enabled:
        long[name], short[name], number = makers[name](ground, config)
        numbers |= number
        for score, flags in zip(scores, (long[name], short[name]), strict=True):
            score += config.scoring.weights.of(name) * flags
    weak = ~long["adx"] if "adx" in long else np.zeros(size, np.bool_)
    return Factors(long, short, numbers, *scores, weak)


def _rel_volume(ground: Ground, config: Config) -> tuple[Flags, Flags, dict[str, Floats]]:
    from ...kernels.volumes import volume_ratio

    ratio = volume_ratio(ground.bars.volume, config.factors.rel_volume.lookback)
    spike = ratio >= config.factors.rel_volume.spike_mult
    return spike, spike, {"rel_vol": ratio}


def _price_action(ground: Ground, config: Config) -> tuple[Flags, Flags, dict[str, Floats]]:
    how, bars = config.factors.price_action, ground.bars
    high, low, close = (_before(each) for each in (bars.high, bars.low, bars.close))
    up = down = np.zeros(bars.ts.size, np.bool_)
    if how.enable_engulfing:
        up = (bars.close > high) & (bars.open <= close)
        down = (bars.close < low) & (bars.open >= close)
    if how.enable_structure:
        top, bottom = extremes_before(bars, how.pivot_len)
        up = up | ((bars.high > top) & (bars.low > bottom))
        down = down | ((bars.low < bottom) & (bars.high < top))
    return up, down, {}


def _profile(ground: Ground, config: Config) -> tuple[Flags, Flags, dict[str, Floats]]:
    how, close, s = config.factors.profile_proxy, ground.bars.close, ground.session
    low, width = _before(ground.day_low)[s], _before(ground.day_high - ground.day_low)[s]
    val, vah, mid = (low + share * width for share in (how.val_pct, how.vah_pct, 0.5))
    known = np.arange(close.size) >= ground.start[s]  # the range itself is final
    up = (close > vah) | (known & (ground.high[s] > vah) & (close > mid))
    down = (close < val) | (known & (ground.low[s] < val) & (close < mid))
    return up, down, {"val": val, "vah": vah}


def _vwap(ground: Ground, config: Config) -> tuple[Flags, Flags, dict[str, Floats]]:
    from ...kernels.volumes import session_vwap

    bars = ground.bars
    starts = np.zeros(bars.ts.size, np.bool_)
    rows = ground.first if config.factors.vwap.reset_mode == "session" else ground.start
    starts[rows[rows < starts.size]] = True
    line = session_vwap(column((bars.high + bars.low + bars.close) / 3), bars.volume, column(starts, np.bool_))
    if config.factors.vwap.reset_mode == "or_end":
        line = np.where(np.arange(line.size) >= ground.start[ground.session], line, np.nan)
    return bars.close > line, bars.close < line, {"vwap": line}


def _adx(ground: Ground, config: Config) -> tuple[Flags, Flags, dict[str, Floats]]:
    from ...kernels.trends import directional

    bars = ground.bars
    adx = directional(bars.high, bars.low, bars.close, config.factors.adx.period)[2]
    strong = adx >= config.factors.adx.threshold
    return strong, strong, {"adx": adx}


def extremes_before(bars: Candles, n: int) -> tuple[Floats, Floats]:
    """Return the highest high and lowest low of the ``n`` candles before each; NaN where there are fewer."""
    from ...kernels.averages import highest, lowest

    return _before(highest(bars.high, n)), _before(lowest(bars.low, n))


def swings(bars: Candles, n: int) -> tuple[Floats, Floats]:
    """Return the last swing low and swing high known at the close of each candle, float64[N]; NaN before the first.

    A swing low is lower than the ``n`` lows on both of its sides, so it is known ``n`` candles later.
    """
    top, bottom = extremes_before(bars, n)
    return _last(bars.low, bottom, n), -_last(-bars.high, -top, n)


def _last(low: Floats, before: Floats, n: int) -> Floats:
    from ...kernels.averages import lowest

    after = lowest(column(low), n)[n:]  # at the candle where it is known: the lowest of the n candles since
    there = low[:-n]
    found = np.full(low.size, np.nan)
    found[n:] = np.where((there < before[:-n]) & (there < after), there, np.nan)
    rows = np.maximum.accumulate(np.where(np.isnan(found), 0, np.arange(low.size)))
    return found[rows]


def _before(values: Floats) -> Floats:
    """Return the value before each, NaN before the first."""
    return np.concatenate([[np.nan], values[:-1]])
