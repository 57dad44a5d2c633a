"""How large a search is: what each engine covers, how long it takes, and how many trials it holds in memory."""

import shutil
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Literal

from ..io.errors import LimitError, UsageError
from .policy_limits import WHOLE
from .settings import Trading
from .space import Space, cells

Engine = Literal["auto", "tables", "bars"]
Medians = Literal["top", "all"]

BYTES_A_PAIR = 58  # of the bars engine: three int64 matrices, a byte, and the columns a tally copies
SMALLEST_BLOCK, LARGEST_BLOCK = 8, 8192

# What the tables engine holds. Measured: 188 bytes a trial beside its policy (64) and its drawn parameters (56 at
# most); 115 bytes a moving stop and alert where paths part in 15 % of them.
TOGETHER = 248  # alerts in one block of tables
SCRATCH, BYTES_A_CANDLE = 64 << 20, 112  # records of a block's paths
BYTES_A_LEVEL, BYTES_A_MOVING_STOP, BYTES_A_TRIAL = 8, 120, 320
MOST_MOVING_STOPS = 20_000
FEWEST_TRIALS = 16

# Nanoseconds, measured on two threads: of a trade, and in tables of each level and moving stop of an alert. A median
# takes all returns once more.
BARS_NS, TABLES_NS, MEDIAN_NS, LEVEL_NS, MOVING_NS = 350.0, 0.4, 12.0, 6.0, 300.0
TRIAL_NS = 2500.0  # of a trial beside its trades: it is drawn, ranked and written


@dataclass(frozen=True)
class Levels:
    """The most different levels that ``trials`` of a space can hold: ``moving`` stops, and all ``others``.

    A trailing stop that is armed at the entry moves, but counts among the others: its exits are read off an index.
    """

    others: int
    moving: int


@dataclass(frozen=True)
class Size:
    """A search: ``alerts`` of at most ``longest`` candles, and ``medians`` of every trial or not."""

    alerts: int
    longest: int
    trials: int
    medians: bool
    levels: Levels


def inner(engine: Literal["auto", "tables", "bars", "dask"]) -> Engine:
    """Return the engine that does the work, wherever it is done."""
    return "auto" if engine == "dask" else engine


def levels_of(space: Space, trials: int) -> Levels:
    """Return the ``Levels`` of a search, by its grids."""

    def different(name: str) -> int:
        return cells(name, space.ranges[name]) + 1 if name in space.ranges else 1

    others = sum(min(trials, different(name)) for name in ("sl", "rung1" if space.shares else "tp", "time_stop_ms"))
    widths, starts = different("trail"), different("trail_activate")
    if "breakeven" in space.ranges:
        moving = widths * starts * different("breakeven") * different("breakeven_offset")
        return Levels(others, min(trials, moving))
    if "trail" not in space.ranges:
        return Levels(others + 1, 0)
    at_once = "trail_activate" not in space.ranges or space.ranges["trail_activate"].low == 1.0
    return Levels(others + min(trials, widths) * at_once, min(trials, widths * (starts - at_once)))


def uncovered(space: Space, trading: Trading) -> str:
    """Return the flag of a search that the tables engine does not cover, with its value; "" where it covers all."""
    if trading.intrabar != "pessimistic":
        return f"--intrabar {trading.intrabar}"
    if trading.costs == "legacy":
        return "--costs legacy"
    if space.shares not in ((), (WHOLE,)):
        return "a --ladder of several rungs" if len(space.shares) > 1 else "a --ladder that keeps a part"
    return ""


def check_engine(engine: Engine, space: Space, trading: Trading) -> None:
    """Raise UsageError where the tables engine is asked for what it does not cover."""
    if engine == "tables" and (what := uncovered(space, trading)):
        raise UsageError(f"--engine tables does not cover {what}; use --engine bars, or auto to have it chosen")


def engine_for(engine: Engine, size: Size, memory: int, covered: bool) -> tuple[Literal["tables", "bars"], int]:
    """Return the engine of a search, and how many trials it takes at a time within ``memory`` bytes.

    ``auto`` is the faster of those that can. Raises LimitError where the engine asked for (or, for ``auto``, the bars
    engine) needs more memory.
    """
    if engine == "tables" or (engine == "auto" and covered and _pays(size, memory)):
        return "tables", tables_block(size, memory)
    least = SMALLEST_BLOCK * size.alerts * BYTES_A_PAIR
    if memory < least:
        raise LimitError(
            f"a search over {size.alerts:,} alerts needs at least {mib(least)}; "
            f"the budget is {mib(memory)}: raise it with --mem {flag(least)}"
        )
    return "bars", min(LARGEST_BLOCK, memory // (size.alerts * BYTES_A_PAIR))


def _pays(size: Size, memory: int) -> bool:
    """Return whether tables fit and are faster."""
    room = memory - tables_bytes(size)
    if size.trials < FEWEST_TRIALS or size.levels.moving >= MOST_MOVING_STOPS or room < trial_bytes(size):
        return False
    again = ceil(size.trials / (room // trial_bytes(size))) * (1 + size.medians)
    each = TABLES_NS + MEDIAN_NS * size.medians
    tables = size.trials * each + again * (LEVEL_NS * size.levels.others + MOVING_NS * size.levels.moving)
    return tables < size.trials * BARS_NS


def tables_block(size: Size, memory: int) -> int:
    """Return how many trials the tables engine takes at a time; raises LimitError where not one, or too many stops."""
    if size.levels.moving >= MOST_MOVING_STOPS:
        raise LimitError(
            f"up to {size.levels.moving:,} different moving stops, and --engine tables takes fewer than "
            f"{MOST_MOVING_STOPS:,}; give --trail and --breakeven a longer step, or use --engine bars"
        )
    least = tables_bytes(size) + SMALLEST_BLOCK * trial_bytes(size)
    if memory < least:
        raise LimitError(
            f"tables over {size.alerts:,} alerts need at least {mib(least)}; "
            f"the budget is {mib(memory)}: raise it with --mem {flag(least)}, or use --engine bars"
        )
    return min(size.trials, (memory - tables_bytes(size)) // trial_bytes(size))


def paying_block(engine: Literal["tables", "bars"], size: Size) -> int:
    """Return the fewest trials at a time that cost little time: ten times that of what tables find anew for each."""
    anew = LEVEL_NS * size.levels.others + MOVING_NS * size.levels.moving
    return ceil(10 * anew / TABLES_NS) if engine == "tables" else 1


def trials_in(seconds: float, engine: Literal["tables", "bars"], alerts: int, medians: bool) -> int:
    """Return how many trials such a time is enough for, once there are tables; at least 1."""
    each = TABLES_NS + MEDIAN_NS * medians if engine == "tables" else BARS_NS
    return max(1, int(seconds * 1e9 / (alerts * each + TRIAL_NS)))


def tables_bytes(size: Size) -> int:
    """Return what the tables of a block of alerts take."""
    alerts = min(size.alerts, TOGETHER)
    records = max(size.longest * BYTES_A_CANDLE, min(SCRATCH, alerts * size.longest * BYTES_A_CANDLE))
    return records + alerts * (BYTES_A_LEVEL * size.levels.others + BYTES_A_MOVING_STOP * size.levels.moving)


def trial_bytes(size: Size) -> int:
    """Return what a trial takes: its sums, and twice its returns where its median is wanted."""
    return BYTES_A_TRIAL + 16 * size.alerts * size.medians


def mib(size: int) -> str:
    """Return bytes in MiB, three digits."""
    return f"{size / 2**20:.3g} MiB"


def flag(size: int) -> str:
    """Return at least ``size`` bytes as ``--mem`` takes them."""
    return f"{ceil(size / 2**10)}K" if size < 2**20 else f"{ceil(size / 2**20)}M"


def check_room(size: int, root: Path, remedy: str, spare: float = 1.2) -> None:
    """Raise LimitError, ending with ``remedy``, unless the disk of ``root`` has ``spare`` times ``size`` bytes free."""
    free = shutil.disk_usage(root).free
    if free < spare * size:
        from . import show

        raise LimitError(f"needs about {show.size(size)} in {root}, {show.size(free)} free; free space, {remedy}")
