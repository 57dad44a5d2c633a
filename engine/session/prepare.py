"""From the candles of a symbol and its hours to what the kernel walks: ranges, their validity, factors, rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...io.errors import UsageError
from ...kernels import arrays
from ...kernels.arrays import Candles, Floats, Ints, candles, column
from .calendar import Hours
from .config import Config
from .factors import Factors, Ground, factors_of, swings

MINUTE = 60_000
OK, NO_DATA, NO_BARS, INSUFFICIENT, TOO_NARROW, TOO_WIDE, SKIPPED = range(7)
VERDICTS = ("ok", "no_data", "no_bars", "insufficient_data", "too_narrow", "too_wide", "skipped")


@dataclass(frozen=True)
class Ranges:
    """The opening range of each session, S rows: ``minutes`` of it, its first and last rows and those of the session,
    ``high`` and ``low``, its own ``unit`` (NaN: not known), the ``norm_vol`` it was chosen by, and its ``verdict``."""

    minutes: Ints
    first: Ints
    start: Ints
    last: Ints
    high: Floats
    low: Floats
    unit: Floats
    norm_vol: Floats
    verdict: Ints


@dataclass(frozen=True)
class Ready:
    """What the kernel takes of one symbol, and what was found on the way."""

    bars: Candles
    hours: Hours
    step: int
    ranges: Ranges
    factors: Factors
    sessions: Any
    known: Any
    plan: Any
    terms: tuple[arrays.Rules, arrays.Costs]


def prepare(every: Candles, step: int, hours: Hours, config: Config, skip: np.ndarray | None = None) -> Ready:
    """Return what a pass over the sessions of one symbol needs. ``every``: all its candles; ``step``: interval, ms.

    ``skip`` bool[S] names sessions that must not be traded. Raises UsageError where a cutoff lies before the open or a
    range has no whole candle.
    """
    bars, first, last = session_candles(every, hours)
    ranges = ranges_of(bars, first, last, step, hours, config, skip)
    session = np.repeat(np.arange(first.size), last - first)
    day_high, day_low = _extremes(bars, first, last)
    ground = Ground(bars, first, ranges.start, session, ranges.high, ranges.low, day_high, day_low)
    factors = factors_of(ground, config)
    terms = arrays.Rules(), arrays.costs(config.backtest.fee_bps, config.backtest.slippage_bps)
    if not config.backtest.conservative_fills:
        terms = terms[0]._replace(intrabar=arrays.OHLC_PATH), terms[1]
    known = known_of(bars, factors, config)
    return Ready(
        bars, hours, step, ranges, factors, _sessions(ranges, hours, config), known, plan_of(config, step), terms
    )


def session_candles(every: Candles, hours: Hours) -> tuple[Candles, Ints, Ints]:
    """Return the candles that open within a session, and the half-open rows of each session, int64[S]."""
    begin, end = np.searchsorted(every.ts, hours.open), np.searchsorted(every.ts, hours.close)
    counts = end - begin
    last = np.cumsum(counts)
    rows = np.arange(last[-1]) + np.repeat(begin - (last - counts), counts)
    return candles(*(part[rows] for part in every)), last - counts, last


def ranges_of(
    bars: Candles, first: Ints, last: Ints, step: int, hours: Hours, config: Config, skip: np.ndarray | None
) -> Ranges:
    """Return the opening range of every session, and whether it may be traded."""
    how = config.orb
    norm = norm_vol(bars, first, last, step, hours, config)
    minutes = np.full(first.size, how.base_minutes)
    if how.adaptive:
        minutes[norm < how.low_norm_vol] = how.short_or_minutes
        minutes[norm > how.high_norm_vol] = how.long_or_minutes
    start = np.searchsorted(bars.ts, hours.open + minutes * MINUTE)
    start = np.clip(start, first, last)
    high, low = _extremes(bars, first, start)
    unit = (
        _daily(bars, first, last, how.atr_period) if how.validity_atr == "daily" else _own(bars, first, start, config)
    )
    if how.validity_atr == "range":
        unit = unit * np.sqrt(minutes * MINUTE / step)
    verdict = np.full(first.size, OK)
    if how.enable_validity_filter:
        verdict[np.isnan(unit)] = INSUFFICIENT
        verdict[high - low < how.min_atr_mult * unit] = TOO_NARROW
        verdict[high - low > how.max_atr_mult * unit] = TOO_WIDE
    if skip is not None:
        verdict[skip] = SKIPPED
    verdict[start == first] = NO_BARS
    verdict[last == first] = NO_DATA
    return Ranges(minutes, first, start, last, high, low, unit, norm, verdict)


def norm_vol(bars: Candles, first: Ints, last: Ints, step: int, hours: Hours, config: Config) -> Floats:
    """Return the volatility within sessions against that of days, known before each session, float64[S]."""
    length = timeframe(config.orb.intraday_atr_timeframe)
    some = last > first
    group = np.repeat(np.arange(first.size), last - first) * (1 << 32) + _within(bars, first, last, hours) // length
    begin = np.flatnonzero(np.diff(group, prepend=-1))
    coarse = candles(
        bars.ts[begin],
        bars.open[begin],
        np.maximum.reduceat(bars.high, begin),
        np.minimum.reduceat(bars.low, begin),
        bars.close[np.append(begin[1:], bars.ts.size) - 1],
    )
    starts = np.searchsorted(begin, first[some])
    inside = _atr(coarse, starts, config.orb.atr_period)
    ends = np.append(starts[1:], begin.size) - 1
    within, daily = np.full(first.size, np.nan), _daily(bars, first, last, config.orb.atr_period, itself=True)
    within[some] = inside[ends]
    if config.orb.norm_vol == "scaled":
        within = within * np.sqrt((hours.close - hours.open) / length)
    return _known_before(within / daily)


def timeframe(name: str) -> int:
    """Return the length of ``5min``, ``15min`` or ``1hour`` in ms. Raises UsageError for anything else."""
    for unit, length in (("min", MINUTE), ("hour", 60 * MINUTE), ("m", MINUTE), ("h", 60 * MINUTE)):
        count = name.removesuffix(unit)
        if count != name and count.isdigit() and 0 < int(count) * length <= 240 * MINUTE:
            return int(count) * length
    raise UsageError(f"orb.intraday_atr_timeframe is '{name}'; it must be a length such as 5min, at most 240min")


def _daily(bars: Candles, first: Ints, last: Ints, n: int, itself: bool = False) -> Floats:
    """Return Wilder's ATR of whole sessions, float64[S], known before each; or with ``itself`` at its end."""
    from ...kernels.ranges import atr

    some = last > first
    high, low = _extremes(bars, first, last)
    out = np.full(first.size, np.nan)
    if some.any():
        out[some] = atr(column(high[some]), column(low[some]), column(bars.close[last[some] - 1]), n)
    return out if itself else _known_before(out)


def _own(bars: Candles, first: Ints, start: Ints, config: Config) -> Floats:
    """Return the ATR of single candles at the close of the last of each range, float64[S]; NaN without a range."""
    found = _atr(bars, first[start > first], config.orb.atr_period)
    out = np.full(first.size, np.nan)
    out[start > first] = found[start[start > first] - 1]
    return out


def _atr(bars: Candles, starts: Ints, n: int) -> Floats:
    """Return Wilder's ATR of candles, float64[N]; of a session's first (``starts``) the true range is high - low."""
    from ...kernels.averages import rma

    before = np.concatenate([[np.nan], bars.close[:-1]])
    before[starts] = np.nan
    return rma(column(np.fmax(bars.high, before) - np.fmin(bars.low, before)), n)


def _known_before(values: Floats) -> Floats:
    """Return the last value of an earlier session that is not NaN, float64[S]."""
    rows = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(values.size)))
    rows = np.concatenate([[-1], rows[:-1]])
    return np.where(rows < 0, np.nan, values[rows])


def _extremes(bars: Candles, first: Ints, last: Ints) -> tuple[Floats, Floats]:
    """Return the highest high and lowest low of the rows of each session, float64[S]; NaN where it has none."""
    high, low = np.full(first.size, np.nan), np.full(first.size, np.nan)
    some = last > first
    if some.any():
        edges = np.stack([first[some], last[some]], axis=1).ravel()
        edges = edges[:-1] if edges[-1] == bars.ts.size else edges
        high[some] = np.maximum.reduceat(bars.high, edges)[::2]
        low[some] = np.minimum.reduceat(bars.low, edges)[::2]
    return high, low


def _within(bars: Candles, first: Ints, last: Ints, hours: Hours) -> Ints:
    return bars.ts - np.repeat(hours.open, last - first)


def known_of(bars: Candles, factors: Factors, config: Config) -> Any:
    """Return what is known at the close of every candle (``Known``)."""
    from ...kernels.session import Known

    scoring = config.scoring
    required = np.where(factors.weak, scoring.weak_trend_required, scoring.base_required)
    passes = [
        score >= required if scoring.enabled else np.ones(score.size, np.bool_)
        for score in (factors.score_long, factors.score_short)
    ]
    lows = highs = np.full(bars.ts.size, np.nan)
    if config.trade.stop_mode == "swing":
        lows, highs = swings(bars, config.factors.price_action.pivot_len)
    return Known(column(passes[0], np.bool_), column(passes[1], np.bool_), column(lows), column(highs))


def _sessions(ranges: Ranges, hours: Hours, config: Config) -> Any:
    from ...kernels.session import Sessions

    buffer = np.full(ranges.high.size, config.buffers.fixed)
    if config.buffers.use_atr:
        buffer = buffer + config.buffers.atr_mult * ranges.unit
    cutoff = np.full(ranges.high.size, arrays.NEVER)
    if config.governance.time_cutoff is not None:
        cutoff = hours.at(config.governance.time_cutoff)
        early = np.flatnonzero(cutoff <= hours.open)
        if early.size:
            raise UsageError(
                f"governance.time_cutoff {config.governance.time_cutoff:%H:%M} is not after the open of "
                f"{hours.days[early[0]]} ({hours.place})"
            )
    before = config.governance.flatten_minutes_before
    flatten = hours.close - before * MINUTE if before else np.full(ranges.high.size, arrays.NEVER)
    return Sessions(
        start=column(ranges.start, np.int64),
        last=column(ranges.last, np.int64),
        high=column(ranges.high),
        low=column(ranges.low),
        upper=column(ranges.high + buffer),
        lower=column(ranges.low - buffer),
        unit=column(ranges.unit),
        open=column((ranges.verdict == OK) & ~np.isnan(buffer), np.bool_),
        end=column(hours.close, np.int64),
        cutoff=column(np.minimum(cutoff, flatten), np.int64),
        flatten=column(flatten, np.int64),
    )


def plan_of(config: Config, step: int) -> Any:
    """Return how breaks are traded (``Plan``)."""
    from ...kernels.session import STOPS, Plan

    trade, governance = config.trade, config.governance
    targets, shares = [trade.primary_r], [10_000]
    if trade.partials:
        first, second = round(trade.t1_pct * 10_000), round(trade.t2_pct * 10_000)
        targets, shares = [trade.t1_r, trade.t2_r, trade.runner_r], [first, second, 10_000 - first - second]
        targets, shares = targets[: 2 + (shares[2] > 0)], shares[: 2 + (shares[2] > 0)]
    return Plan(
        step=step,
        sides={"both": 0, "long": 1, "short": -1}[trade.sides],
        both_long=trade.both_sides == "long",
        second_chance=governance.second_chance_minutes * MINUTE,
        max_signals=governance.max_signals_per_day,
        lockout=governance.lockout_after_losses,
        max_loss_r=np.inf if governance.max_daily_loss_r is None else float(governance.max_daily_loss_r),
        carry=not governance.reset_daily,
        stop=STOPS[trade.stop_mode],
        extra=float(trade.extra_stop_buffer),
        atr_cap=float(trade.atr_stop_cap_mult),
        target_r=column(targets),
        frac_bps=column(shares, np.int64),
        from_range=trade.target_from == "range",
        be_r=np.inf if trade.move_be_at_r is None else float(trade.move_be_at_r),
        be_buffer=float(trade.be_buffer),
        entry_stops=trade.entry_bar == "fs1",
        flatten=governance.flatten_at_session_end,
    )


def shares(ready: Ready) -> Mapping[str, float]:
    """Return how many of the sessions with data have which length of range, and which are valid, as fractions."""
    some = ready.ranges.verdict != NO_DATA
    lengths = ready.ranges.minutes[some]
    found = {f"{m}min": float((lengths == m).mean()) for m in np.unique(lengths).tolist()}
    return found | {"valid": float((ready.ranges.verdict[some] == OK).mean())}
