"""The space a search draws from: a range and a grid for each parameter, and the policy of trial i."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..io import schemas
from ..io.errors import UsageError
from ..kernels import arrays
from ..kernels.arrays import Policies
from .policy import Policy, Rung
from .policy_limits import check_rungs
from .values import Range, convert, show_duration

# The grid a parameter is rounded to where its range names none.
GRID = {
    **dict.fromkeys(("tp", "trail_activate", "breakeven", *(f"rung{i}" for i in range(1, 7))), 0.01),
    **dict.fromkeys(("sl", "trail", "breakeven_offset"), 0.005),
    "time_stop_ms": 60_000.0,
}
DEFAULT = {"tp": Range(1.1, 10.0, None, True), "sl": Range(0.3, 0.95)}
_DIMENSION = {name: i for i, name in enumerate(schemas.PARAMETERS)}  # the number in philox: never renumbered
_POLICY_STREAM = 0


@dataclass(frozen=True)
class Space:
    """What a search draws: ``ranges`` by parameter, and the basis points sold at each rung (a fixed share each).

    A range of one value is a fixed parameter. Parameters not named are unset in every trial.
    """

    ranges: Mapping[str, Range]
    shares: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, each in self.ranges.items():
            for end in (each.low, each.high):
                _example(self, name, end)
        offset, trigger = self.ranges.get("breakeven_offset"), self.ranges.get("breakeven")
        if offset and trigger and offset.high >= trigger.low - 1:
            raise UsageError(
                f"--breakeven-offset up to {offset.high:g} with --breakeven from {trigger.low:g}: "
                f"an offset must lie below its trigger; keep it below {trigger.low - 1:g}"
            )
        rungs = [self.ranges[f"rung{j + 1}"] for j in range(len(self.shares))]
        for below, above in itertools.pairwise(rungs):
            if above.high <= below.low:
                raise UsageError(f"rungs must ascend, each multiple once; got {above.high:g} after {below.low:g}")

    @property
    def varied(self) -> tuple[str, ...]:
        """The parameters that differ between trials, in the order of the schema."""
        return tuple(n for n in schemas.PARAMETERS if n in self.ranges and self.ranges[n].low < self.ranges[n].high)

    @property
    def named(self) -> tuple[str, ...]:
        """Every parameter of the space, in the order of the schema."""
        return tuple(name for name in schemas.PARAMETERS if name in self.ranges)

    @property
    def size(self) -> float:
        """How many different trials the grid holds."""
        return float(np.prod([float(cells(name, self.ranges[name]) + 1) for name in self.varied]))


def _example(space: Space, name: str, value: float) -> None:
    """Build a policy with ``value`` for ``name`` alone: its limits raise the message the user needs."""
    if name == "tp" or name.startswith("rung"):
        Policy(tp=(Rung(value),))
    elif name == "trail_activate":
        _needs(space, "trail", "--trail-activate", "--trail")
        Policy(trail_pct=0.5, trail_activate=value)
    elif name == "breakeven_offset":
        _needs(space, "breakeven", "--breakeven-offset", "--breakeven")
        Policy(be_trigger=max(value + 2, 1.5), be_offset=value)
    elif name == "time_stop_ms":
        Policy(time_ms=int(value))
    elif name == "sl":
        Policy(sl=value)
    elif name == "trail":
        Policy(trail_pct=value)
    elif name == "breakeven":
        Policy(be_trigger=value)


def _needs(space: Space, name: str, flag: str, other: str) -> None:
    if name not in space.ranges:
        raise UsageError(f"{flag} needs {other}")


def cells(name: str, each: Range) -> int:
    """Return how many whole grid steps lie between the ends of a range."""
    return int((each.high - each.low) / (each.step or GRID[name]) + 1e-6)


def draw(space: Space, seed: int, first: int, count: int) -> dict[str, np.ndarray]:
    """Return the parameters of trials ``first`` to ``first + count - 1``: name -> float64[count].

    Trial i is the same whatever ``first`` and ``count`` are, and whatever else is varied. Values lie on the grid;
    rungs ascend.
    """
    from ..kernels.philox import uniforms

    drawn = {}
    for name in space.named:
        each = space.ranges[name]
        u = uniforms(seed, first, count, _DIMENSION[name], _POLICY_STREAM)
        if each.log:
            drawn[name] = on_grid(name, each, each.low * (each.high / each.low) ** u)
        else:
            most = cells(name, each)
            drawn[name] = _at_cell(name, each, np.minimum(np.floor(u * (most + 1)), most))
    ascend(drawn, len(space.shares))
    return drawn


def on_grid(name: str, each: Range, value: np.ndarray) -> np.ndarray:
    """Return the nearest values on the grid of a range, inside it."""
    cell = np.rint((value - each.low) / (each.step or GRID[name]))
    return _at_cell(name, each, np.clip(cell, 0, cells(name, each)))


def _at_cell(name: str, each: Range, cell: np.ndarray) -> np.ndarray:
    return np.minimum(np.round(each.low + cell * (each.step or GRID[name]), 10), each.high)


def ascend(drawn: dict[str, np.ndarray], rungs: int) -> None:
    """Sort the rungs of each trial, and lift a rung that equals the one below by a grid step."""
    if rungs > 1:
        names = [f"rung{i + 1}" for i in range(rungs)]
        ladder = np.sort(np.column_stack([drawn[name] for name in names]), axis=1)
        for j in range(1, rungs):
            ladder[:, j] = np.maximum(ladder[:, j], np.round(ladder[:, j - 1] + GRID[names[j]], 10))
        for j, name in enumerate(names):
            drawn[name] = ladder[:, j]


def to_policies(space: Space, drawn: Mapping[str, np.ndarray]) -> Policies:
    """Return the drawn parameters as the kernels read them."""
    count = next(iter(drawn.values())).size

    def of(name: str, unset: float) -> np.ndarray:
        return drawn.get(name, np.full(count, unset))

    targets = [drawn[f"rung{i + 1}"] for i in range(len(space.shares))] or [drawn[n] for n in ("tp",) if n in drawn]
    shares = space.shares or (10_000,) * len(targets)
    time_ms = drawn["time_stop_ms"].astype(np.int64) if "time_stop_ms" in drawn else np.full(count, arrays.NEVER)
    parts = (
        of("sl", 0.0),
        np.column_stack(targets) if targets else np.empty((count, 0)),
        np.tile(np.array(shares, np.int64), (count, 1)),
        of("breakeven", np.inf),
        of("breakeven_offset", 0.0),
        of("trail", 0.0),
        of("trail_activate", 1.0 if "trail" in drawn else np.inf),
        time_ms,
    )
    return Policies(*(arrays.column(part, part.dtype) for part in parts))


def policy_at(space: Space, drawn: Mapping[str, Any], i: int) -> Policy:
    """Return trial number ``i`` of ``drawn`` as a policy."""
    value = {name: float(values[i]) for name, values in drawn.items()}
    rungs = tuple(Rung(value[f"rung{j + 1}"], share) for j, share in enumerate(space.shares))
    return Policy(
        sl=value.get("sl"),
        tp=rungs or tuple(Rung(value[name]) for name in ("tp",) if name in value),
        trail_pct=value.get("trail"),
        trail_activate=value.get("trail_activate"),
        be_trigger=value.get("breakeven"),
        be_offset=value.get("breakeven_offset"),
        time_ms=int(value["time_stop_ms"]) if "time_stop_ms" in value else None,
    )


def canonical(space: Space) -> dict[str, Any]:
    """Return the space as JSON values for a config: numbers as the shortest decimal strings."""
    ranges = {
        name: {
            "low": repr(each.low),
            "high": repr(each.high),
            "step": repr(each.step or GRID[name]),
            "scale": "log" if each.log else "linear",
        }
        for name, each in space.ranges.items()
    }
    return {"ranges": ranges, "shares_bps": list(space.shares)}


def space_in(form: Mapping[str, Any]) -> Space:
    """Return the space that ``canonical`` wrote."""
    ranges = {
        name: Range(*(_number(each[word]) for word in ("low", "high", "step")), log=each["scale"] == "log")
        for name, each in form["ranges"].items()
    }
    return Space(ranges, tuple(form["shares_bps"]))


def _number(text: str) -> float:
    """Return the number that ``repr`` wrote, whole ones (durations) as int, so that it is written alike again."""
    return int(text) if text.lstrip("-").isdigit() else float(text)


def describe(space: Space) -> str:
    """Return one line: "tp 1.1 to 10 (log), sl 0.3 to 0.95"."""
    words = []
    for name in space.named:
        each = space.ranges[name]
        low, high = ((show_duration(int(v)) if name == "time_stop_ms" else f"{v:g}") for v in (each.low, each.high))
        label = name.removesuffix("_ms")
        words.append(f"{label} {low}" + (f" to {high}" if low != high else "") + (" (log)" if each.log else ""))
    return ", ".join(words)


def space_of(ranges: Mapping[str, Range], ladder: str | None) -> Space:
    """Return the space of the ranges given on a command line; DEFAULT where there are none."""
    if ladder is None:
        return Space(ranges or DEFAULT)
    if "tp" in ranges:
        raise UsageError("--tp and --ladder exclude each other; write --tp as a rung: --ladder 2:5@100%")
    rungs, shares = rungs_of(ladder)
    return Space({**ranges, **rungs}, shares)


def rungs_of(text: str) -> tuple[dict[str, Range], tuple[int, ...]]:
    """Return the ranges and shares of a ladder written as range@percent: ``1.5:3@50%,3:10@30%``."""
    ranges: dict[str, Range] = {}
    shares = []
    for j, part in enumerate(text.split(",")):
        level, _, portion = part.strip().partition("@")
        if not portion.endswith("%"):
            raise UsageError(f"--ladder {part.strip()!r} must be a range and the share sold there: 1.5:3@50%")
        ranges[f"rung{j + 1}"] = convert(Range, level, "--ladder")
        shares.append(round(float(convert(float, portion[:-1], "--ladder")) * 100))
    if len(shares) > 6:
        raise UsageError(f"--ladder has {len(shares)} rungs; a search takes at most 6")
    check_rungs(tuple(Rung(2.0 + j, share) for j, share in enumerate(shares)))
    return ranges, tuple(shares)
