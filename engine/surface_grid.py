"""The grid of a surface: every combination of some values of each parameter."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from ..io.errors import LimitError, UsageError
from ..kernels.arrays import Floats, Ints, column
from .space import GRID, Space, cells
from .values import DurationRange, Range, show, show_duration, show_number

MOVING = ("trail", "trail_activate", "breakeven", "breakeven_offset")
FINEST = 1e-10  # levels are decimals of ten places

Ranges = Mapping[str, tuple[Range, ...]]


@dataclass(frozen=True)
class Grid:
    """Every combination of the ``values`` of each parameter, float64 ascending, in the order of the schema.

    Cells are numbered with the last parameter fastest. ``ranges`` are those that were asked for.
    """

    ranges: Ranges
    space: Space
    values: Mapping[str, Floats]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each parameter has."""
        return tuple(each.size for each in self.values.values())

    @property
    def cells(self) -> int:
        """How many combinations there are."""
        return prod(self.shape)

    @property
    def stops(self) -> tuple[int, ...]:
        """How many values each parameter of a moving stop has."""
        return tuple(each.size for name, each in self.values.items() if name in MOVING)

    def drawn(self, first: int, count: int) -> dict[str, Floats]:
        """Return the parameters of cells ``first`` to ``first + count - 1``: name -> float64[count]."""
        return self.at(np.arange(first, first + count))

    def at(self, numbers: Ints) -> dict[str, Floats]:
        """Return the parameters of the cells of those numbers: name -> float64[count]."""
        places = np.unravel_index(numbers, self.shape)
        return {name: values[at] for (name, values), at in zip(self.values.items(), places, strict=True)}


def grid_of(ranges: Ranges, most: int) -> Grid:
    """Return the grid of every value from low to high by step; several ranges of a parameter are one list of values.

    A range without a step has that of ``space.GRID``. Raises UsageError where a value is no level or is named twice,
    LimitError where there are more than ``most`` cells.
    """
    if most < 1:
        raise UsageError(f"--max-cells is {most}; it must be at least 1")
    if not {"tp", "sl"} <= set(ranges):
        raise UsageError("a surface has targets and stops: give --tp and --sl")
    for name, parts in ranges.items():
        for each in parts:
            if each.log:
                raise UsageError(f"{flag_of(name)} {_text(name, each)}: a surface has even steps; write low:high:step")
            if _step(name, each) < FINEST:
                raise UsageError(f"{flag_of(name)} has the step {each.step}; it must be at least {FINEST:g}")
    ends = {name: Range(min(p.low for p in parts), max(p.high for p in parts)) for name, parts in ranges.items()}
    steps = {name: parts[0].step if len(parts) == 1 else None for name, parts in ranges.items()}
    space = Space({name: Range(each.low, each.high, steps[name]) for name, each in ends.items()})
    if (count := count_of(ranges)) > most:
        sizes = " x ".join(f"{count_of({name: parts}):,}" for name, parts in ranges.items())
        sizes += f" = {count:,} cells" if " x " in sizes else " cells"
        raise LimitError(
            f"{sizes}, above the limit of {most:,}; {coarser(ranges, most)} fits, or raise it with --max-cells"
        )
    return Grid(ranges, space, {name: _values(name, ranges[name]) for name in space.named})


def canonical(ranges: Ranges) -> dict[str, list[dict[str, str]]]:
    """Return the ranges as JSON values for a config: numbers as the shortest decimal strings."""
    return {
        name: [{"low": repr(p.low), "high": repr(p.high), "step": repr(_step(name, p))} for p in parts]
        for name, parts in ranges.items()
    }


def ranges_of(form: Mapping[str, list[dict[str, str]]]) -> Ranges:
    """Return the ranges that ``canonical`` wrote."""

    def number(text: str) -> float:
        return int(text) if text.isdigit() else float(text)  # whole milliseconds stay whole, to be written alike

    return {
        name: tuple(Range(number(p["low"]), number(p["high"]), number(p["step"])) for p in parts)
        for name, parts in form.items()
    }


def flag_of(name: str) -> str:
    """Return the flag that sets a parameter."""
    return "--" + name.removesuffix("_ms").replace("_", "-")


def count_of(ranges: Ranges) -> int:
    """Return how many combinations ranges have."""
    return prod(sum(cells(name, each) + 1 for each in parts) for name, parts in ranges.items())


def coarser(ranges: Ranges, most: int) -> str:
    """Return flags of the same ranges in longer steps, the longest list first, so that ``most`` cells remain.

    A step longer than its range leaves the low end alone.
    """
    longer, times = dict(ranges), dict.fromkeys(ranges, 1)
    while count_of(longer) > most:
        wide = [name for name, parts in longer.items() if any(p.low < p.high for p in parts)]
        if not wide:
            break
        name = max(wide, key=lambda name: count_of({name: longer[name]}))
        times[name] *= 5 if str(times[name]).startswith("2") else 2  # 2, 10, 20, 100, 200
        longer[name] = tuple(_longer(name, each, times[name]) for each in ranges[name])
    return " ".join(" ".join([flag_of(name), *(_text(name, p) for p in parts)]) for name, parts in longer.items())


def _step(name: str, each: Range) -> float:
    return each.step or GRID[name]


def _longer(name: str, each: Range, times: int) -> Range:
    step = round(times * _step(name, each), 10)
    return Range(each.low, each.high, step) if step <= each.high - each.low else Range(each.low, each.low)


def _text(name: str, each: Range) -> str:
    return show(DurationRange if name == "time_stop_ms" else Range, each)


def _values(name: str, parts: tuple[Range, ...]) -> Floats:
    found = [
        np.clip(np.round(p.low + _step(name, p) * np.arange(cells(name, p) + 1), 10), p.low, p.high) for p in parts
    ]
    values, times = np.unique(np.concatenate(found), return_counts=True)
    if times.max() > 1:
        twice = float(values[times > 1][0])
        word = show_duration(twice) if name == "time_stop_ms" else show_number(twice)
        raise UsageError(f"{flag_of(name)} has {word} twice; name each value once")
    return column(values)
