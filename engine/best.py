"""The best of many trials without skill: how high it stands by chance alone, from resamples of the days in blocks.

Sums are whole millionths, so nothing here depends on how the trials are cut or on how many threads there are.
"""

from math import ceil, log, sqrt

import numpy as np

from ..kernels.arrays import Floats, Ints
from .values import DAY

SEED = 0x4C75636B  # of all resamples: the same luck for every search
RESAMPLES, RANKED = 1000, 1000


def block_days(series: Floats | Ints, horizon: int) -> float:
    """Return the mean length of the blocks of days of a resample: what the series asks for, longer than a trade.

    And 0.75 T^(1/3) days at least, the rate that suits a variance: a few days seldom show that they hang together.
    """
    from ..kernels.bootstrap import block_length

    found = block_length(np.asarray(series, np.float64))
    return max(found, ceil(horizon / DAY) + 1.0, 0.75 * len(series) ** (1 / 3))


class Best:
    """The highest statistic of any trial in every resample, and apart from them the resamples of the RANKED best.

    The deviation is that of the resample: held fixed, one that is low by chance makes a winner of noise. What blocks
    add to it is not measured again in every resample; ``to_resampled`` allows for how little it is known. Statistics
    in resamples are kept squared, with their signs. A trial whose own is not above ``floor`` is not among the best.
    """

    def __init__(self, days: int, length: float, floor: float = -np.inf):
        from ..kernels.bootstrap import resamples

        self.drawn, self.length, self.floor = resamples(SEED, days, length, RESAMPLES), length, floor
        self.highs = np.full((3, RESAMPLES), -np.inf)
        self.trials, self.statistics = np.empty(0, np.int64), np.empty(0)
        self.resampled = np.empty((0, RESAMPLES))

    @property
    def days(self) -> int:
        """How many days there are."""
        return self.drawn.shape[1]

    @property
    def least(self) -> float:
        """What the statistic of a later trial must be above for it to be among the best."""
        return max(self.floor, self.statistics[-1]) if self.trials.size == RANKED else self.floor

    def told(self) -> dict[str, np.ndarray]:
        """Return what was gathered, as arrays for ``take``."""
        best = {"trials": self.trials, "statistics": self.statistics, "resampled": self.resampled}
        return {"highs": self.highs, **best}

    def take(self, told: dict[str, np.ndarray]) -> None:
        """Take in later trials from what another gathered of them, its floor being no higher than ``least``."""
        np.maximum(self.highs, told["highs"], out=self.highs)
        self._keep(told["statistics"], told["trials"], told["resampled"])

    def add(self, sums: Ints, first: int) -> None:
        """Take in the trials from ``first`` on, int64[N, D], N small: their sums over all resamples are held."""
        from ..kernels.bootstrap import squares_of
        from ..kernels.jit import share
        from ..kernels.luck import Standings, fill_statistics, raise_highest

        squares, variance = squares_of(sums)
        trials = standings(sums, squares, variance, self.length)
        given = whole(sums) @ self.drawn.T, squares @ self.drawn.T.astype(squares.dtype)
        own = trials.centres[0]
        enters = np.argsort(-own, kind="stable")[:RANKED]
        enters = enters[own[enters] > self.least]
        apart = np.isin(np.arange(own.size), enters)
        share(raise_highest, RESAMPLES, *given, trials, apart, self.highs)
        if enters.size:
            few, entering = np.empty((enters.size, RESAMPLES)), (each[enters] for each in given)
            share(fill_statistics, enters.size, *entering, Standings(*(part[..., enters] for part in trials)), few)
            self._keep(own[enters], first + enters, few)

    def _keep(self, statistics: Floats, trials: Ints, resampled: Floats) -> None:
        """Rank some trials; those that fall out of the RANKED best raise the highest of all others."""
        statistics = np.concatenate([self.statistics, statistics])
        trials = np.concatenate([self.trials, trials])
        resampled = np.concatenate([self.resampled, resampled])
        order = np.lexsort((trials, -statistics))
        best, rest = order[:RANKED], order[RANKED:]
        self.trials, self.statistics, self.resampled = trials[best], statistics[best], resampled[best]
        if rest.size:
            np.maximum(self.highs[0], resampled[rest].max(axis=0), out=self.highs[0])

    def found(self) -> tuple[Floats, Ints, Floats, tuple[float, float, float]]:
        """Return the highest of all trials in each resample, the best trials, their p-values, and Hansen's three."""
        from ..kernels.luck import p_value, step_down

        statistics = to_resampled(self.statistics, self.days, self.length)
        statistics *= np.abs(statistics)
        p = step_down(statistics, self.resampled, self.highs[0])
        highs = np.maximum(self.highs[0], self.resampled.max(axis=0))
        best = max(float(statistics[0]), 0.0)
        consistent, lower, upper = (
            p_value(np.maximum(each, 0), best) for each in (self.highs[1], self.highs[2], highs)
        )
        roots = np.sign(highs) * np.sqrt(np.abs(highs))
        return np.sort(from_resampled(roots, self.days, self.length)), self.trials, p, (consistent, lower, upper)


def standings(sums: Ints, squares: np.ndarray, variance: Floats, length: float):
    """Return the ``kernels.luck.Standings`` of trials, their sums by day int64[N, D] and ``squares_of`` them."""
    from ..kernels.luck import Standings

    scale, own = standing(sums, length)
    least = -sqrt(2 * log(log(sums.shape[1])))
    pull = _over((sums.shape[1] * scale) ** 2 * variance)
    centres = np.stack([own, np.where(own >= least, own, 0.0), np.maximum(own, 0.0)])
    return Standings(scale, _over(squares.sum(axis=1, dtype=np.float64)), pull, centres)


def _over(values: Floats) -> Floats:
    """Return 1 over each value, 0 for 0."""
    return np.where(values > 0, 1 / np.where(values > 0, values, 1.0), 0.0)


def standing(sums: Ints, length: float) -> tuple[Floats, Floats]:
    """Return what makes a sum over T resampled days a statistic, and each trial's own statistic, float64[N].

    The statistic is √T times the mean of a day over its deviation; 0 for a trial whose days do not vary.
    """
    from ..kernels.bootstrap import deviations_of

    days, deviation = sums.shape[1], deviations_of(sums, length)
    varies = deviation > 1e-9 * np.abs(sums).max(axis=1, initial=1)
    scale = np.where(varies, 1 / np.where(varies, deviation, 1.0) / sqrt(days), 0.0)
    return scale, sums.sum(axis=1) * scale


def to_resampled(statistics: Floats, days: int, length: float) -> Floats:
    """Return what ``standing`` says of trials as it would be, as likely, if only the variance of a day were unknown."""
    from ..kernels.bootstrap import certainty, normal_of, student_of

    share, freedom = certainty(days, length)
    return student_of(normal_of(statistics * sqrt(share), freedom), days - 1) / sqrt(1 - 1 / days)


def from_resampled(values: Floats, days: int, length: float) -> Floats:
    """Return the statistics of which ``to_resampled`` makes ``values``."""
    from ..kernels.bootstrap import certainty, normal_of, student_of

    share, freedom = certainty(days, length)
    return student_of(normal_of(values * sqrt(1 - 1 / days), days - 1), freedom) / sqrt(share)


def whole(sums: Ints) -> Floats:
    """Return sums int64[N, D] as floats whose sums over any resample are exact, coarser where they would not be."""
    from ..kernels.bootstrap import EXACT

    most = np.abs(sums).max(axis=1, initial=1) / (EXACT // sums.shape[1])
    if most.max(initial=0) <= 1:
        return sums.astype(np.float64)
    unit = 2.0 ** np.ceil(np.log2(np.maximum(most, 1.0)))[:, None]
    return np.rint(sums / unit) * unit
