"""Every trial of a search by day of entry, while blocks of them stream by: what the luck of a winner is told from.

Sums are whole millionths, so nothing here depends on how the trials are cut or on how many threads there are.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ..kernels.arrays import Floats, Ints, Policies
from .best import Best, block_days
from .tallies import Calendar, Ground, by_day, calendar
from .values import DAY

SAMPLE = 2000
HALVES, FOLDS = 10, 8
CHUNK = 4096  # trials whose means over all resamples are held at once
PIECE = 65_536  # trials told apart at a time
LEAST_DAYS = 3
_LEAST = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Fold:
    """A stretch of days, and the trial that was best on the days well before it.

    ``first`` and ``last``: days of the calendar; ``trained`` and ``alerts``: alerts of the days before, and of these;
    ``trial``, and ``sum_q`` what it made of these.
    """

    first: int
    last: int
    trained: int
    alerts: int
    trial: int
    sum_q: int


@dataclass(frozen=True)
class Halving:
    """What choosing the best of all trials on one half of the days gives on the other, over every choice of halves.

    ``overfit``: share of the halves whose best is in the worse half of all trials on the other days (PBO); ``losing``:
    whose best loses there; ``slope`` of its mean there on its mean here; ``blocks`` of days, ``purged`` days left out.
    """

    overfit: float
    losing: float
    slope: float
    blocks: int
    purged: int


@dataclass(frozen=True)
class Luck:
    """What all trials of a search tell of its winner.

    ``highs`` float64[B]: the highest statistic of any trial in each resample, no trial having skill, ascending;
    ``ranked`` int64[K]: the trials of highest statistic, best first, and their ``p`` float64[K] that allow for all
    trials; ``p_spa``: of the best of all, by Hansen's consistent, lower and upper choice. ``sharpe_variance`` is that
    of the trials' daily Sharpe ratios, ``independent`` how many independent trials a sample of them is worth. Halves
    and folds are missing where there are too few days for them. ``raced`` int64[F, D] are the days of each fold's
    trial, ``watched`` int64[W, D] those of the trials that were asked for.
    """

    calendar: Calendar
    trials: int
    distinct: int
    length: float
    highs: Floats
    ranked: Ints
    p: Floats
    p_spa: tuple[float, float, float]
    sharpe_variance: float
    independent: float
    halving: Halving | None
    folds: tuple[Fold, ...]
    blind: int
    raced: Ints
    watched: Ints

    @property
    def p_blind(self) -> float:
        """The p-value of the best of the blind trials, 1 where so many others are ranked before it that it is not."""
        ranked = np.flatnonzero(self.ranked < self.blind)
        return float(self.p[ranked[0]]) if ranked.size else 1.0


def luck_of(
    there: Ground,
    trials: int,
    policies: Callable[[int, int], Policies],
    sample: Policies,
    advance: Callable[[int], None] = lambda done: None,
    blind: int | None = None,
    watched: Ints | None = None,
) -> Luck | None:
    """Return the ``Luck`` of a search; None where all alerts were entered on one or two days.

    ``policies(first, count)`` are some of its trials, ``sample`` a few that stand for all, or all of them in order.
    Only the first ``blind`` (None: all) are halved, run through the folds and measured by their spread: the others
    were chosen with a look at all days. ``watched`` are numbers of trials whose days are wanted.
    O(trials * alerts) for the sums by day, and O(trials * days * resamples).
    """
    blind = trials if blind is None else blind
    known, _ = calendar(there)
    if known.days < LEAST_DAYS:
        return None
    room, keys = max(64, there.memory // (2 * 8 * known.days)), np.empty(trials, np.uint64)
    begun = policies(0, min(room, sample.sl.size if there.crew else trials))
    sums = by_day(there, begun)
    few = sums[: sample.sl.size].copy() if _begin(begun, sample) else by_day(there, sample)
    horizon = there.prepared.trading.horizon
    daily = Daily(known, horizon, block_days(few.mean(axis=0), horizon), blind, there.threads, watched)
    if there.crew is not None:
        from .cluster.spread import days

        for first, told in days(there, daily, blind):
            keys[first : first + told["keys"].size] = told["keys"]
            daily.take(told)
            advance(daily.trials)
    for first in range(daily.trials, trials, room):
        some = policies(first, min(room, trials - first)) if first or there.crew else begun
        keys[first : first + room] = keys_of(some)
        daily.add(sums if some is begun else by_day(there, some))
        advance(daily.trials)
    return replace(luck_from(daily, few), distinct=int(np.unique(keys).size))


def luck_by_day(
    known: Calendar,
    horizon: int,
    few: Ints,
    blocks: Iterable[Ints],
    blind: int,
    threads: int | None,
) -> Luck:
    """Return the ``Luck`` of trials that come as ``blocks`` of their days, int64[N, D], all of them distinct.

    ``few`` int64[T, D] stand for all; ``horizon``: the longest that what is earned on a day takes, ms.
    """
    daily = Daily(known, horizon, block_days(few.mean(axis=0), horizon), blind, threads)
    for sums in blocks:
        daily.add(sums)
    return luck_from(daily, few)


def luck_from(daily: "Daily", few: Ints) -> Luck:
    """Return the ``Luck`` of all trials that were gathered, of which ``few`` int64[T, D] stand for all."""
    from ..kernels.jit import threads as on

    known, split = daily.known, daily.split
    with on(daily.threads):
        halves = np.concatenate(daily.halves, axis=1) if split and daily.blind > 1 else None
        halving = halving_of(halves, known, split[1]) if halves is not None and split else None
        independent = independent_of(few)
    sharpes = np.concatenate([np.empty(0), *daily.sharpes])
    spread = sharpes[~np.isnan(sharpes)]
    variance = float(spread.var()) if spread.size else float("nan")
    found = *daily.best.found(), variance, independent, halving, daily.race.found()
    count = daily.trials
    return Luck(known, count, count, daily.best.length, *found, daily.blind, daily.race.rows, daily.seen)


class Daily:
    """What is told from the days of trials, gathered while they stream by, the first being number ``first``.

    ``length``: of a block of days in a resample; ``watched`` as in ``Luck``. A trial whose own statistic is not above
    ``floor`` is not among the best of all.
    """

    def __init__(
        self,
        known: Calendar,
        horizon: int,
        length: float,
        blind: int,
        threads: int | None,
        watched: Ints | None = None,
        first: int = 0,
        floor: float = -np.inf,
    ):
        self.known, self.horizon, self.blind, self.threads, self.trials = known, horizon, blind, threads, first
        self.watched = np.empty(0, np.int64) if watched is None else watched
        self.best, self.race = Best(known.days, length, floor), _Race(known, folds_of(known, horizon))
        self.seen, self.split = np.zeros((self.watched.size, known.days), np.int64), split_of(known, horizon)
        self.sharpes: list[Floats] = []
        self.halves: list[Ints] = []

    def add(self, sums: Ints) -> None:
        """Take in the next trials, int64[N, D]."""
        from ..kernels.jit import threads as on
        from ..kernels.luck import grouped
        from ..kernels.sharpe import sharpes_of

        here = (self.trials <= self.watched) & (self.watched < self.trials + len(sums))
        self.seen[here] = sums[self.watched[here] - self.trials]
        with on(self.threads):
            for s in range(0, len(sums), CHUNK):
                part, begin = sums[s : s + CHUNK], self.trials + s
                self.best.add(part, begin)
                part = part[: max(0, self.blind - begin)]
                if len(part):
                    self.race.add(part, begin)
                    self.sharpes.append(sharpes_of(part))
                    if self.split:
                        self.halves.append(grouped(part, self.split[1], self.split[0]))
        self.trials += len(sums)

    def told(self) -> dict[str, np.ndarray]:
        """Return what was gathered of trials, all of them blind, as arrays for ``take``."""
        halves = {"halves": np.concatenate(self.halves, axis=1)} if self.split else {}
        raced = {"raced": self.race.best, "rows": self.race.rows}
        return {**self.best.told(), **raced, **halves, "sharpes": np.concatenate(self.sharpes), "seen": self.seen}

    def take(self, told: dict[str, np.ndarray]) -> None:
        """Take in the next trials from what another gathered of them."""
        self.best.take(told)
        self.race.take(told["raced"], told["rows"])
        self.sharpes.append(told["sharpes"])
        self.halves += [told["halves"]] if "halves" in told else []
        self.seen += told["seen"]
        self.trials += told["sharpes"].size


def _begin(some: Policies, few: Policies) -> bool:
    """Return whether some policies begin with a few."""
    return all(np.array_equal(part[: few.sl.size], each) for part, each in zip(some, few, strict=True))


class _Race:
    """The trial that is best on the days before each fold, as trials stream by; of equals the first."""

    def __init__(self, known: Calendar, folds: list[tuple[int, int, int]]):
        self.known, self.folds = known, folds
        self.best = np.full((len(folds), 3), _LEAST)
        self.rows = np.zeros((len(folds), known.days), np.int64)

    def add(self, sums: Ints, first: int) -> None:
        """Take in the trials from ``first`` on, int64[N, D]."""
        for fold, row, (trained, begin, end) in zip(self.best, self.rows, self.folds, strict=True):
            before = sums[:, :trained].sum(axis=1)
            k = int(np.argmax(before))
            if before[k] > fold[0]:
                fold[:], row[:] = (before[k], first + k, sums[k, begin:end].sum()), sums[k]

    def take(self, best: Ints, rows: Ints) -> None:
        """Take in later trials, of which the best are known."""
        higher = best[:, 0] > self.best[:, 0]
        self.best[higher], self.rows[higher] = best[higher], rows[higher]

    def found(self) -> tuple[Fold, ...]:
        """Return the folds."""
        alerts = self.known.alerts
        return tuple(
            Fold(begin, end, int(alerts[:trained].sum()), int(alerts[begin:end].sum()), int(trial), int(sum_q))
            for (trained, begin, end), (_, trial, sum_q) in zip(self.folds, self.best.tolist(), strict=True)
        )


def folds_of(known: Calendar, horizon: int) -> list[tuple[int, int, int]]:
    """Return (days to train on, first day, last day) of each fold of a purged walk-forward, FOLDS at most.

    The days are cut evenly; the first stretch is only trained on. Every trade of the days trained on is over a day
    before its fold begins. None where fewer than two folds have alerts on both sides.
    """
    gap = horizon / DAY + 1
    for folds in range(FOLDS, 1, -1):
        edges = [known.days * i // (folds + 1) for i in range(folds + 2)]
        found = [(max(0, int(begin - gap)), begin, end) for begin, end in pairwise(edges[1:])]
        if all(known.alerts[:trained].any() and known.alerts[begin:end].any() for trained, begin, end in found):
            return found
    return []


def split_of(known: Calendar, horizon: int) -> tuple[int, Ints] | None:
    """Return into how many blocks the days are cut for halving, and the block of each day, -1 where purged.

    A day is purged whose trades may reach over the end of its block. HALVES blocks, or fewer but four at least, so
    that each has alerts left; None where there are too few days for that.
    """
    for blocks in range(HALVES, 3, -2):
        edges = np.array([known.days * (i + 1) // blocks for i in range(blocks)])
        block = np.searchsorted(edges, np.arange(known.days), "right")
        over = np.arange(known.days) + 1 + horizon / DAY > edges[block]
        block[over & (block < blocks - 1)] = -1
        if all(known.alerts[block == b].any() for b in range(blocks)):
            return blocks, block
    return None


def halving_of(sums: Ints, known: Calendar, block: Ints) -> Halving:
    """Return the ``Halving`` of the trials' sums in each block, int64[S, N]."""
    from ..kernels.luck import halves_of

    halves = halves_of(sums)
    alerts = np.bincount(block[block >= 0], known.alerts[block >= 0], len(sums))
    here = halves.inside / (halves.blocks @ alerts)
    there = halves.outside / (~halves.blocks @ alerts)
    spread = here - here.mean()
    slope = float((spread * there).sum() / (spread**2).sum()) if spread.any() else float("nan")
    overfit = float((2 * halves.rank <= sums.shape[1] + 1).mean())
    return Halving(overfit, float((halves.outside < 0).mean()), slope, len(sums), int((block < 0).sum()))


def independent_of(sums: Ints) -> float:
    """Return how many independent trials some are worth, by the correlations of their days, int64[N, D]."""
    from ..kernels.luck import gram_of
    from ..kernels.sharpe import effective_trials

    return effective_trials(gram_of(sums))


def distinct_of(trials: int, policies: Callable[[int, int], Policies]) -> int:
    """Return how many different policies there are among some trials; 16 bytes each are held."""
    keys = [keys_of(policies(first, min(PIECE, trials - first))) for first in range(0, trials, PIECE)]
    return int(np.unique(np.concatenate(keys)).size)


def keys_of(policies: Policies) -> np.ndarray:
    """Return a number for each policy, uint64[T]: equal ones have the same, different ones hardly ever."""
    columns = [np.reshape(part, (policies.sl.size, -1)).T.astype(np.float64) for part in policies]
    keys = np.zeros(policies.sl.size, np.uint64)
    for column in np.concatenate(columns):
        keys = (keys ^ np.ascontiguousarray(column + 0.0).view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    return keys
