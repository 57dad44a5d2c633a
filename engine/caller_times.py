"""How soon a caller's alerts reached a multiple, and why the others did not."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from . import rates
from .callers import watches
from .recipe import Prepared
from .values import HOUR, MINUTE

TIMES = (15 * MINUTE, HOUR, 6 * HOUR)


@dataclass(frozen=True)
class Chance:
    """The chance of a multiple within a time of the entry, and the ends of its interval; NaN where undefined."""

    within_ms: int
    chance: float
    low: float
    high: float


@dataclass(frozen=True)
class CallerTimes:
    """The entered calls of a caller (None: of all) by what became of them, and the chance within each time.

    ``not_reached`` calls were followed to the horizon by a token that was traded until then. The last chance is that
    within the horizon.
    """

    caller_name: str | None
    calls: int
    reached: int
    not_reached: int
    data_ended: int
    died: int
    chances: tuple[Chance, ...]


def caller_times(prepared: Prepared, paths: pa.Table, k: str) -> tuple[CallerTimes, ...]:
    """Return the times of all callers together, then of each by name, for a multiple such as ``2x``.

    Kaplan and Meier's estimate: a call whose data ended leaves when they do, one whose token died stays to the horizon
    and is not reached. ``paths`` is the run's artifact.
    """
    ok = np.flatnonzero(prepared.ok)
    known = paths.take(ok)
    names = np.array(known["caller_name"].to_pylist(), object)
    hit = known[f"hit_{k}"].to_numpy(zero_copy_only=False).astype(bool)
    watched, ended, died = watches(prepared, ok)
    times = np.where(hit, known[f"t_{k}_ms"].fill_null(0).to_numpy(), watched)
    within = (*(t for t in TIMES if t < prepared.trading.horizon), prepared.trading.horizon)

    def of(name: str | None, rows: np.ndarray) -> CallerTimes:
        reached, cut, dead = (int(each[rows].sum()) for each in (hit, ended & ~hit, died & ~hit))
        chances = (Chance(t, *rates.reached_by(times[rows], hit[rows], t)) for t in within)
        return CallerTimes(name, rows.size, reached, rows.size - reached - cut - dead, cut, dead, tuple(chances))

    each = (of(name, np.flatnonzero(names == name)) for name in sorted(set(names.tolist())))
    return (of(None, np.arange(ok.size)), *each)
