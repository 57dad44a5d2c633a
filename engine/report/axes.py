"""Ticks: round numbers and round times, with as few letters as tell them apart."""

from datetime import UTC, datetime
from math import ceil, floor, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels.arrays import Floats
from ..values import DAY, HOUR, MINUTE, show_duration
from .parts import Tick

_STEPS_MS = [
    *(n * MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * HOUR for n in (1, 2, 3, 6, 12)),
    *(n * DAY for n in (1, 2, 7, 14)),
]
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600)


def scale(low: float, high: float, about: int = 5) -> tuple[float, float, list[float]]:
    """Return round ends around two values, and the ticks between them, ``about`` as many."""
    span = (high - low) or abs(high) or 1.0
    unit = 10.0 ** floor(log10(span / about))
    step = next(each * unit for each in (1, 2, 2.5, 5, 10) if each * unit * about >= span * (1 - 1e-9))
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    last = max(last, first + 1)
    found = [round(k * step, 10) + 0.0 for k in range(first, last + 1)]
    return found[0], found[-1], found


def shares(values: NDArray[Any], low: float, high: float) -> Floats:
    """Return how far along values lie from ``low`` to ``high``."""
    return (np.asarray(values, float) - low) / (high - low)


def times(first: int, last: int, about: int = 5) -> list[Tick]:
    """Return ticks at round times (UTC) from ``first`` to ``last``, ms."""
    span = max(1, last - first)
    step = next((step for step in _STEPS_MS if span <= about * step), None)
    if step is None:
        return [((ms - first) / span, text) for ms, text in _months(first, last, about)]
    start = -(-first // step) * step
    found = [((ms - first) / span, _named(ms, step)) for ms in range(start, last + 1, step)]
    return found or [(0.0, _named(first, 0))]


def _named(ms: int, step: int) -> str:
    """Return a time as one of ticks ``step`` apart: the day where it begins, else the hour."""
    form = "%d %b" if step >= DAY or (step and ms % DAY == 0) else "%H:%M"
    return f"{datetime.fromtimestamp(ms / 1000, UTC):{form}}"


def _months(first: int, last: int, about: int) -> list[tuple[int, str]]:
    """Return the first days of months between two times, far enough apart."""
    begin, end = (np.datetime64(ms, "ms").astype("datetime64[M]").astype(int) for ms in (first, last))
    step = next(step for step in _MONTHS if end - begin <= about * step or step == _MONTHS[-1])
    found = []
    for month in range(-(-int(begin) // step) * step, int(end) + 1, step):
        ms = int(np.datetime64(month, "M").astype("datetime64[ms]").astype(int))
        if first <= ms <= last:
            found.append(
                (ms, f"{1970 + month // 12}" if step >= 12 else f"{datetime.fromtimestamp(ms / 1000, UTC):%b %Y}")
            )
    return found


def spans(last: int, about: int = 5) -> list[Tick]:
    """Return ticks of time since the start: 0, 6h, 12h, ...; ``last`` in ms."""
    steps = (*_STEPS_MS, *(n * DAY for n in (30, 90, 365)))
    step = next((step for step in steps if last <= about * step), steps[-1])
    return [(ms / last, show_duration(ms) if ms else "0") for ms in range(0, last + 1, step)]
