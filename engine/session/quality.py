"""How complete the candles of each session are, held against its calendar (SESSIONS section 7)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...kernels.arrays import Floats, Ints
from .ground import Ground
from .prepare import MINUTE, VERDICTS, Ready

RANGE_SHARE, DAY_SHARE, HOLE = 0.9, 0.95, 1  # what a range and a session need; candles that may miss side by side
REASONS = ("no_data", "first_missing", "range_incomplete", "range_hole", "day_incomplete")


@dataclass(frozen=True)
class Quality:
    """One row a session, S of them. ``expected`` and ``present`` candles of the session, ``or_expected`` and
    ``or_present`` of its opening range; ``first_missing_ms`` UTC, -1 for none; ``max_gap_ms`` the longest stretch
    without a candle; ``zero_volume`` candles; ``found`` bool[S, R]: which of REASONS apply."""

    expected: Ints
    present: Ints
    or_expected: Ints
    or_present: Ints
    first_missing_ms: Ints
    max_gap_ms: Ints
    zero_volume: Ints
    found: NDArray[np.bool_]

    @property
    def coverage(self) -> Floats:
        """The share of a session's candles that are there, float64[S]."""
        return self.present / self.expected

    @property
    def passes(self) -> NDArray[np.bool_]:
        """The sessions with nothing to complain of, bool[S]. Known at their close."""
        return np.logical_not(self.found.any(axis=1))

    @property
    def range_complete(self) -> NDArray[np.bool_]:
        """The sessions whose range is complete, bool[S]. Known when the range is."""
        return np.logical_not(self.found[:, :4].any(axis=1))

    @property
    def reasons(self) -> list[str]:
        """Why a session fails, joined by spaces; '' where it does not."""
        return [" ".join(name for name, is_so in zip(REASONS, row, strict=True) if is_so) for row in self.found]


def quality_of(ground: Ground, minutes: Ints) -> Quality:
    """Return the ``Quality`` of every session; ``minutes`` int64[S]: the length of its opening range."""
    hours, step, size = ground.hours, ground.step, ground.first.size
    expected = -(-(hours.close - hours.open) // step)
    or_expected = np.minimum(-(-minutes * MINUTE // step), expected)
    numbers = np.zeros((5, size), np.int64)
    found = np.zeros((size, len(REASONS)), np.bool_)
    for s in range(size):
        rows = slice(ground.first[s], ground.last[s])
        places = np.unique((ground.bars.ts[rows] - hours.open[s]) // step)
        early = places[places < or_expected[s]]
        holes = np.diff(places, prepend=-1, append=expected[s]) - 1
        or_holes = np.diff(early, prepend=-1, append=or_expected[s]) - 1
        first = int(np.argmax(holes > 0))
        missing = hours.open[s] + step * (places[first - 1] + 1 if first else 0) if holes.any() else -1
        silent = int((ground.bars.volume[rows] == 0).sum())
        numbers[:, s] = places.size, early.size, missing, holes.max() * step, silent
        found[s] = (
            places.size == 0,
            early.size == 0 or early[0] != 0,
            early.size < RANGE_SHARE * or_expected[s],
            or_holes.max() > HOLE,
            places.size < DAY_SHARE * expected[s],
        )
    present, or_present, missing, gap, silent = numbers
    return Quality(expected, present, or_expected, or_present, missing, gap, silent, found)


def skipped(found: Quality, policy: Literal["warn", "skip_day"]) -> NDArray[np.bool_] | None:
    """Return the sessions that ``prepare`` must skip, bool[S]: by their range alone, since no more is known by then."""
    return ~found.range_complete if policy == "skip_day" else None


def verdicts(ground: Ground, found: Quality, symbol: str) -> Mapping[str, Any]:
    """Return the columns of the verdict table of one symbol."""
    return {
        "symbol": [symbol] * found.expected.size,
        "day": [day.isoformat() for day in ground.hours.days],
        "open_ms": ground.hours.open,
        "close_ms": ground.hours.close,
        "expected": found.expected,
        "present": found.present,
        "coverage": found.coverage,
        "or_expected": found.or_expected,
        "or_present": found.or_present,
        "first_missing_ms": np.ma.masked_less(found.first_missing_ms, 0),
        "max_gap_ms": found.max_gap_ms,
        "zero_volume": found.zero_volume,
        "verdict": np.where(found.passes, "pass", "fail"),
        "reasons": found.reasons,
    }


def session_rows(ready: Ready, ground: Ground, found: Quality, symbol: str) -> Mapping[str, Any]:
    """Return the columns of the artifact ``sessions`` (``io.schemas.SESSIONS``) of one symbol, without ``run_id``."""
    ranges = ready.ranges
    return dict(verdicts(ground, found, symbol)) | {
        "or_minutes": ranges.minutes,
        "or_end_ms": ground.hours.open + ranges.minutes * MINUTE,
        "or_high": ranges.high,
        "or_low": ranges.low,
        "or_width": ranges.high - ranges.low,
        "upper": ready.sessions.upper,
        "lower": ready.sessions.lower,
        "unit": ranges.unit,
        "norm_vol": ranges.norm_vol,
        "or_verdict": [VERDICTS[verdict] for verdict in ranges.verdict],
    }
