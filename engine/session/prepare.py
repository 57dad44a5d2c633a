"""From the candles of a symbol and its hours to what the kernel walks: ranges, their validity, factors, rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...io.errors import UsageError
from ...kernels import arrays
from ...kernels.arrays import Candles, Floats, Ints, column
from .calendar import Hours
from .config import Config
from .factors import Factors, factors_of
from .ground import Ground, ground_of, known_before

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
    traded: np.ndarray  # bool[S]: has candles and may be traded


def prepare(every: Candles, step: int, hours: Hours, config: Config, skip: np.ndarray | None = None) -> Ready:
    """Return what a pass over the sessions of one symbol needs. ``every``: all its candles; ``step``: interval, ms.

    ``skip`` bool[S] names sessions that must not be traded. Raises UsageError where a cutoff lies before the open or a
    range has no whole candle, DataError where candles are not in order.
    """
    return ready_on(ground_of(every, step, hours), config, skip)


def ready_on(ground: Ground, config: Config, skip: np.ndarray | None = None) -> Ready:
    """Return what ``prepare`` does. Many settings on one ``Ground`` share what does not differ between them."""
    ranges = ranges_of(ground, config, skip)
    factors = factors_of(ground, ranges.start, ranges.high, ranges.low, config)
    terms = arrays.Rules(), arrays.costs(config.backtest.fee_bps, config.backtest.slippage_bps)
    if not config.backtest.conservative_fills:
        terms = terms[0]._replace(intrabar=arrays.OHLC_PATH), terms[1]
    sessions = _sessions(ranges, ground.hours, config)
    known, plan = known_of(ground, factors, config), plan_of(config, ground.step)
    return Ready(ground.bars, ground.hours, ground.step, ranges, factors, sessions, known, plan, terms, ground.traded)


def ranges_of(ground: Ground, config: Config, skip: np.ndarray | None = None) -> Ranges:
    """Return the opening range of every session, and whether it may be traded."""
    how, first, last = config.orb, ground.first, ground.last
    norm = norm_vol(ground, config)
    minutes = np.full(first.size, how.base_minutes)
    if how.adaptive:
        minutes[norm < how.low_norm_vol] = how.short_or_minutes
        minutes[norm > how.high_norm_vol] = how.long_or_minutes
    if int(minutes.min(initial=60)) * MINUTE < ground.step:
        raise UsageError(
            f"an opening range of {minutes.min()} minutes has no whole candle of {ground.step / MINUTE:g} minutes; "
            "choose a shorter interval or a longer range"
        )
    start = np.searchsorted(ground.bars.ts, ground.hours.open + minutes * MINUTE)
    start = column(np.clip(start, first, last), np.int64)
    high, low = ground.extremes(start)
    if how.validity_atr == "daily":
        unit = known_before(_daily(ground, how.atr_period))
    else:
        unit = _own(ground, start, how.atr_period) * np.sqrt(minutes * MINUTE / ground.step)
    verdict = np.full(first.size, OK)
    if how.enable_validity_filter or config.buffers.use_atr or config.trade.stop_mode == "atr_capped":
        verdict[np.isnan(unit)] = INSUFFICIENT
    if how.enable_validity_filter:
        verdict[high - low < how.min_atr_mult * unit] = TOO_NARROW
        verdict[high - low > how.max_atr_mult * unit] = TOO_WIDE
    if skip is not None:
        verdict[skip] = SKIPPED
    verdict[: ground.since] = SKIPPED
    verdict[start == first] = NO_BARS
    verdict[last == first] = NO_DATA
    return Ranges(minutes, first, start, last, high, low, unit, norm, verdict)


def norm_vol(ground: Ground, config: Config) -> Floats:
    """Return the volatility within sessions against that of days, known before each session, float64[S]."""
    from ...kernels.confluence import coarse_atr

    how, hours = config.orb, ground.hours
    length = timeframe(how.intraday_atr_timeframe)

    def inside() -> Floats:
        opens = column(hours.open, np.int64)
        return coarse_atr(ground.bars, ground.first, ground.last, opens, (length, how.atr_period))

    within = ground.once(("coarse", length, how.atr_period), inside)
    if how.norm_vol == "scaled":
        within = within * np.sqrt((hours.close - hours.open) / length)
    return known_before(within / _daily(ground, how.atr_period))


def timeframe(name: str) -> int:
    """Return the length of ``5min``, ``15min`` or ``1hour`` in ms. Raises UsageError for anything else."""
    for unit, length in (("min", MINUTE), ("hour", 60 * MINUTE), ("m", MINUTE), ("h", 60 * MINUTE)):
        count = name.removesuffix(unit)
        if count != name and count.isdigit() and 0 < int(count) * length <= 240 * MINUTE:
            return int(count) * length
    raise UsageError(f"orb.intraday_atr_timeframe is '{name}'; it must be a length such as 5min, at most 240min")


def _daily(ground: Ground, n: int) -> Floats:
    """Return Wilder's ATR of whole sessions at the end of each, float64[S]; NaN where it has no candle."""
    from ...kernels.ranges import atr

    some = ground.some
    out = np.full(some.size, np.nan)
    if some.any():
        out[some] = atr(column(ground.high[some]), column(ground.low[some]), column(ground.close[some]), n)
    return out


def _own(ground: Ground, start: Ints, n: int) -> Floats:
    """Return the ATR of single candles at the close of the last of each range, float64[S]; NaN without a range."""
    from ...kernels.confluence import session_atr

    line = ground.once(("atr", n), lambda: session_atr(ground.bars, ground.first, n))
    some = start > ground.first
    out = np.full(start.size, np.nan)
    out[some] = line[start[some] - 1]
    return out


def known_of(ground: Ground, factors: Factors, config: Config) -> Any:
    """Return what is known at the close of every candle (``Known``)."""
    from ...kernels.confluence import looked_up, swings
    from ...kernels.session import Known

    enough = factors.scores >= factors.required
    long, short = (column(looked_up(enough, marks), np.bool_) for marks in factors.marks)
    n, bars = config.factors.price_action.pivot_len, ground.bars
    if config.trade.stop_mode == "swing":
        lows, highs = ground.once(("swings", n), lambda: swings(bars.high, bars.low, n))
    else:
        lows = highs = np.empty(0)
    return Known(long, short, column(lows), column(highs))


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
    flatten = np.full(ranges.high.size, arrays.NEVER)
    if before and config.governance.flatten_at_session_end:
        flatten = hours.close - before * MINUTE
    return Sessions(
        start=column(ranges.start, np.int64),
        last=column(ranges.last, np.int64),
        high=column(ranges.high),
        low=column(ranges.low),
        upper=column(ranges.high + buffer),
        lower=column(ranges.low - buffer),
        unit=column(ranges.unit),
        open=column(ranges.verdict == OK, np.bool_),
        end=column(hours.close, np.int64),
        cutoff=column(np.minimum(cutoff, flatten), np.int64),
        flatten=column(flatten, np.int64),
        second=column(hours.open + (ranges.minutes + config.governance.second_chance_minutes) * MINUTE, np.int64),
    )


def plan_of(config: Config, step: int) -> Any:
    """Return how breaks are traded (``Plan``)."""
    from ...kernels.session import Plan
    from ...kernels.session_trade import STOPS

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
