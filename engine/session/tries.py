"""What the configurations of a search make, in the order in which they are asked for, kept for when it is stopped."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...io.searches import Keeper
from ..kept import FILE_S, sound_blocks
from .config import Config
from .trials import Days, Land, Made, made_by_all

CHUNK = 64  # configurations between two looks at the clock


class Tries:
    """Call it with configurations to know what each makes; what an interrupted search has kept is not made again.

    Nothing is written before a search is FILE_S old. ``advance`` is told how many there are by now.
    """

    def __init__(
        self,
        lands: Sequence[Land],
        days: Days,
        threads: int,
        advance: Callable[[int], None],
        kept: Keeper | None = None,
    ):
        self._given, self._threads, self._advance, self._kept = (lands, days), threads, advance, kept
        self._known = known_of(kept) if kept is not None else {}
        self._new: dict[int, Made | None] = {}
        self._at, self._written = 0, time.monotonic()

    def __call__(self, configs: Sequence[Config]) -> list[Made | None]:
        """Return what each makes, without its trades; None where the candles do not allow it."""
        return [each for s in range(0, len(configs), CHUNK) for each in self._some(configs[s : s + CHUNK])]

    def _some(self, configs: Sequence[Config]) -> list[Made | None]:
        first, self._at = self._at, self._at + len(configs)
        missing = [k for k in range(first, self._at) if k not in self._known]
        some = [configs[k - first] for k in missing]
        made = made_by_all(*self._given, some, self._threads, lambda done: self._advance(first + done))
        new = dict(zip(missing, made, strict=True))
        if self._kept is not None:
            self._keep(self._kept, new)
        self._advance(self._at)
        return [new[k] if k in new else self._known[k] for k in range(first, self._at)]

    def _keep(self, kept: Keeper, new: Mapping[int, Made | None]) -> None:
        self._new |= new
        if self._new and time.monotonic() - self._written >= FILE_S:
            places = np.array(list(self._new))
            for run in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1):
                kept.add(int(run[0]), columns_of([self._new[k] for k in run.tolist()]))
                kept.keep()
            self._new, self._written = {}, time.monotonic()


def columns_of(made: Sequence[Made | None]) -> dict[str, Any]:
    """Return what configurations make as columns, one row each; ``known_of`` is the way back."""
    some = next((each for each in made if each is not None), None)
    columns: dict[str, Any] = {"tried": np.array([each is not None for each in made])}
    if some is None:
        return columns
    for name in some.metrics:
        values = [each.metrics[name] if each is not None else None for each in made]
        kind = np.float64 if any(isinstance(value, float) for value in values) else np.int64
        none = np.array([value is None for value in values])
        columns[name] = np.ma.array([0 if value is None else value for value in values], kind, mask=none)
    columns["held"] = np.array([each.held if each is not None else 0 for each in made])
    columns["sums"] = np.array([each.sums.tobytes() if each is not None else b"" for each in made], object)
    return columns


def known_of(kept: Keeper) -> dict[int, Made | None]:
    """Return what a search has kept, by the place of each configuration in it."""
    found: dict[int, Made | None] = {}
    for block in sound_blocks(kept):
        at = block.first
        for columns in block.columns():
            lists = {name: values.tolist() for name, values in columns.items()}
            for i, tried in enumerate(lists.pop("tried")):
                found[at + i] = _made(lists, i) if tried else None
            at += len(columns["tried"])
    return found


def _made(lists: Mapping[str, list[Any]], i: int) -> Made:
    row = {name: values[i] for name, values in lists.items()}
    sums, held = np.frombuffer(row.pop("sums"), np.int64), row.pop("held")
    return Made({}, row, sums, held)
