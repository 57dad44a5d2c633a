"""The work of a search cut into items, and what the workers found put together in the order of the trials.

An item is a range of trials on a block of alerts. Sums are of whole numbers, so no cut and no order changes a bit.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np

from ..luck import Daily
from ..sizing import trials_in
from ..space import draw
from ..surface import Work
from ..sweep import Plan, Trials, told
from ..tallies import Ground
from .crew import Crew, Item

ITEM_S = 1.0  # seconds that an item should take two threads, by the figures of sizing
ALERTS = 16_384  # of an item, where what is summed adds up over alerts
FEWEST = 4  # items a worker, so that none waits long for the last
RESAMPLED_NS = 200.0  # of a trial's day in a thousand resamples


def search(there: Ground, work: Plan, advance: Callable[[int], None], begin: int, end: int) -> Iterator[Trials]:
    """Yield the trials from ``begin`` to ``end - 1`` as ``sweep.search`` does, found by the crew."""
    crew, whole, before = _crew(there), work.medians == "all", 0
    blocks = _blocks(work.alerts, whole)
    size = _size(work, blocks, end - begin, crew.workers) if begin < end else 1
    spans = [(first, min(size, end - first)) for first in range(begin, end, size)]
    items = (
        Item("tally", {"first": first, "count": count, "rows": rows}, count * (rows[1] - rows[0]))
        for first, count in spans
        for rows in blocks
    )
    found = crew.each(items, lambda done: advance(before + done))
    for first, count in spans:
        sums = _summed(found, len(blocks))
        drawn = draw(work.space, work.seed, first, count)
        yield from told(work, drawn, first, sums)


def cells(there: Ground, work: Work, low: int, high: int) -> np.ndarray:
    """Return TALLY of targets ``low`` to ``high - 1`` as ``surface.tallies`` does, found by the crew."""
    crew, blocks = _crew(there), _blocks(there.fits.size, work.medians)
    cuts = min(high - low, ceil(_wanted(crew) / len(blocks)))
    edges = [low + (high - low) * i // cuts for i in range(cuts + 1)]
    spans = list(pairwise(edges))
    items = (Item("cells", {"targets": span, "rows": rows}, rows[1] - rows[0]) for span in spans for rows in blocks)
    found = crew.each(items, lambda done: None)
    parts = [_summed(found, len(blocks)) for _ in spans]
    return np.concatenate(parts).reshape(high - low, *work.grid.shape[1:])


def days(there: Ground, daily: Daily, trials: int) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Yield what ``Daily.told`` says of some trials after others, found by the crew, with the first of each.

    The one that is yielded must have been taken in by ``daily`` before the next is asked for.
    """
    crew = _crew(there)
    each = there.fits.size * 1.0 + RESAMPLED_NS * daily.known.days
    size = max(1, min(int(2e9 * ITEM_S / each), ceil(trials / _wanted(crew))))
    given = {"blind": daily.blind, "length": daily.best.length, "watched": daily.watched.tolist()}

    def items() -> Iterator[Item]:
        for first in range(0, trials, size):
            least = daily.best.least
            more = {"first": first, "count": min(size, trials - first), "floor": None if least == -np.inf else least}
            yield Item("days", given | more, more["count"] * there.fits.size)

    found = crew.each(items(), lambda done: None)
    for first in range(0, trials, size):
        yield first, next(found)


def _size(work: Plan, blocks: list[tuple[int, int]], trials: int, workers: int) -> int:
    """Return how many trials are done at a time: as many in every item, about, and as many items as workers at least.

    Few trials are dear where tables are found anew for them, unless a worker would have none.
    """
    some, each = blocks[0][1] - blocks[0][0], max(1, workers)
    fair = ceil(trials * len(blocks) / (FEWEST * each))
    least = min(work.paying, ceil(trials * len(blocks) / each))
    size = max(1, min(work.block, max(least, min(fair, trials_in(ITEM_S, work.engine, some, work.medians == "all")))))
    return ceil(trials / ceil(trials / size))


def _crew(there: Ground) -> Crew:
    if there.crew is None:
        raise ValueError("nobody is there to work")
    return there.crew


def _wanted(crew: Crew) -> int:
    return FEWEST * max(1, crew.workers)


def _blocks(alerts: int, whole: bool) -> list[tuple[int, int]]:
    """Return blocks of alerts, first and behind the last; one of all where what is asked for does not add up."""
    size = alerts if whole else ALERTS
    return [(first, min(alerts, first + size)) for first in range(0, alerts, size)]


def _summed(found: Iterator[dict[str, Any]], blocks: int) -> np.ndarray:
    """Return TALLY of the next trials, the sum over all blocks of alerts."""
    from ...kernels.search import TALLY

    total = np.frombuffer(next(found)["tally"], TALLY).copy()
    for _ in range(blocks - 1):
        more = np.frombuffer(next(found)["tally"], TALLY)
        for name in TALLY.names or ():
            total[name] += more[name]
    return total
