"""What speaks for a break, known at the close of each candle (SESSIONS section 3)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...kernels.arrays import Floats, Ints, column
from .config import Config
from .ground import Ground

Flags = NDArray[np.bool_]
Marks = NDArray[np.uint8]
Made = tuple[Marks, Mapping[str, Callable[[], Floats]]]


@dataclass(frozen=True)
class Factors:
    """The factors of N candles. ``marks`` uint8[N] for long and for short: bit k is the k-th of ``names``; of these 2
    to the K ``scores`` and ``required`` float64 give what a candle has and needs."""

    names: tuple[str, ...]
    marks: tuple[Marks, Marks]
    scores: Floats
    required: Floats
    lines: Mapping[str, Callable[[], Floats]]

    @cached_property
    def long(self) -> Mapping[str, Flags]:
        """What speaks for a break up, bool[N] by name."""
        return {name: (self.marks[0] >> k & 1).astype(np.bool_) for k, name in enumerate(self.names)}

    @cached_property
    def short(self) -> Mapping[str, Flags]:
        """What speaks for a break down, bool[N] by name."""
        return {name: (self.marks[1] >> k & 1).astype(np.bool_) for k, name in enumerate(self.names)}

    @cached_property
    def numbers(self) -> Mapping[str, Floats]:
        """The numbers behind them, float64[N] by name: rel_vol, val, vah, vwap, adx."""
        return {name: line() for name, line in self.lines.items()}

    @cached_property
    def score_long(self) -> Floats:
        """The score of a break up, float64[N]."""
        return self.scores[self.marks[0]]

    @cached_property
    def score_short(self) -> Floats:
        """The score of a break down, float64[N]."""
        return self.scores[self.marks[1]]

    @cached_property
    def needed(self) -> Floats:
        """The score that a break needs, float64[N]."""
        return self.required[self.marks[0]]


def factors_of(ground: Ground, start: Ints, high: Floats, low: Floats, config: Config) -> Factors:
    """Return the enabled factors of every candle. ``start``: the rows after the opening ranges; ``high``, ``low``:
    those ranges."""
    from ...kernels.confluence import gather

    made: dict[str, Made] = {}
    for name in config.factors.enabled:
        if name == "profile_proxy":
            made[name] = _profile(ground, start, high, low, config)
        elif name == "vwap":
            made[name] = _vwap(ground, start, config)
        else:
            made[name] = {"rel_volume": _rel_volume, "price_action": _price_action, "adx": _adx}[name](ground, config)
    names = tuple(made)
    marks = np.zeros(ground.bars.ts.size, np.uint8), np.zeros(ground.bars.ts.size, np.uint8)
    for k, (flags, _) in enumerate(made.values()):
        gather(flags, k, *marks)
    lines = {name: line for _, found in made.values() for name, line in found.items()}
    return Factors(names, marks, *_scores(names, config), lines)


def _scores(names: tuple[str, ...], config: Config) -> tuple[Floats, Floats]:
    """Return (score, required) of every set of factors, float64 by their bits."""
    scoring, sets = config.scoring, np.arange(1 << len(names))
    scores = np.zeros(sets.size)
    for k, name in enumerate(names):
        scores += scoring.weights.of(name) * (sets >> k & 1)
    weak = (sets >> names.index("adx") & 1) == 0 if "adx" in names else np.zeros(sets.size, np.bool_)
    needed = np.where(weak, scoring.weak_trend_required, scoring.base_required).astype(np.float64)
    return scores, needed if scoring.enabled else np.zeros(sets.size)


def _both(flags: Flags) -> Marks:
    return flags.view(np.uint8) * np.uint8(3)


def _rel_volume(ground: Ground, config: Config) -> Made:
    from ...kernels.volumes import slot_ratio, volume_ratio

    how, bars = config.factors.rel_volume, ground.bars

    def made() -> Floats:
        if how.by_time_of_day:
            return slot_ratio(bars.volume, ground.slots, how.lookback)
        return volume_ratio(bars.volume, how.lookback)

    def ratio() -> Floats:
        return ground.once(("ratio", how.lookback, how.by_time_of_day), made)

    return _both(ratio() >= how.spike_mult), {"rel_vol": ratio}


def _price_action(ground: Ground, config: Config) -> Made:
    from ...kernels.confluence import price_action

    how = config.factors.price_action
    asked = how.pivot_len, how.enable_engulfing, how.enable_structure
    return ground.once(("action", *asked), lambda: price_action(ground.bars, *asked)), {}


def _profile(ground: Ground, start: Ints, high: Floats, low: Floats, config: Config) -> Made:
    from ...kernels.confluence import profile

    how, first, last = config.factors.profile_proxy, ground.first, ground.last
    bottom, top = (np.concatenate([[np.nan], each[:-1]]) for each in (ground.low, ground.high))
    levels = tuple(column(bottom + share * (top - bottom)) for share in (how.val_pct, how.vah_pct, 0.5))
    marks = profile(ground.bars.close, first, start, last, levels, (column(high), column(low)))
    return marks, {
        "val": lambda: np.repeat(levels[0], last - first),
        "vah": lambda: np.repeat(levels[1], last - first),
    }


def _vwap(ground: Ground, start: Ints, config: Config) -> Made:
    from ...kernels.confluence import session_line, sides_of

    bars, first = ground.bars, ground.first
    if config.factors.vwap.reset_mode == "session":
        line = ground.once(("vwap",), lambda: session_line(bars, first, first))
    else:
        line = session_line(bars, start, first)
    return sides_of(bars.close, line), {"vwap": lambda: line}


def _adx(ground: Ground, config: Config) -> Made:
    from ...kernels.trends import adx

    bars, how = ground.bars, config.factors.adx

    def line() -> Floats:
        return ground.once(("adx", how.period), lambda: adx(bars.high, bars.low, how.period))

    return _both(line() >= how.threshold), {"adx": line}
