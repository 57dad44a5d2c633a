"""What is known for and against the winner of a search: luck, selection, unseen days, spread, and the data themselves.

Means are per alert at a fixed stake, in basis points; the unit of observation is the UTC day of entry.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, nan

import numpy as np
import pyarrow as pa

from ..kernels import arrays
from ..kernels.arrays import Floats, Ints
from .best import SEED, block_days, standing
from .luck import LEAST_DAYS, Fold, Halving, Luck
from .policy import Policy
from .recipe import Prepared, enter
from .strategy import bracketed, simulated
from .tallies import Ground

INTERVALS = 2000  # resamples of an interval
MICRO_BPS = 100.0  # millionths in a basis point


@dataclass(frozen=True)
class Chance:
    """The winner against luck: its statistic, ``p`` allowing for all trials, and the mean that luck alone may show."""

    statistic: float
    p: float
    line_bps: float
    p_spa: tuple[float, float, float]


@dataclass(frozen=True)
class Ratio:
    """The winner's daily Sharpe ratio; its deflated probabilities for as many trials as they are worth, and for all.

    ``needed_days``: how long a record tells it from the luckiest of the independent trials.
    """

    sharpe: float
    skew: float
    kurtosis: float
    probability: float
    independent: float
    deflated_independent: float
    tried: int
    deflated_tried: float
    needed_days: float


@dataclass(frozen=True)
class Unseen:
    """What choosing anew before each fold made of the fold, and how sure that is."""

    mean_bps: float
    low_bps: float
    high_bps: float
    folds: tuple[Fold, ...]

    @property
    def winning(self) -> int:
        """Folds that made money."""
        return sum(fold.sum_q > 0 for fold in self.folds)


@dataclass(frozen=True)
class Part:
    """A month, or what is left without a caller or a token: its name, its alerts and their mean."""

    name: str
    alerts: int
    mean_bps: float


@dataclass(frozen=True)
class Spread:
    """Where the winner's mean comes from: 95 % of resamples of days, and the mean without its best parts.

    ``top_share``: what the best hundredth of trades made of all that winning trades made.
    """

    low_bps: float
    high_bps: float
    without_best: float
    without_best_5: float
    without_caller: Part
    without_token: Part
    top_share: float
    months: tuple[Part, ...]


@dataclass(frozen=True)
class Lane:
    """The winner, replayed under worse conditions."""

    name: str
    mean_bps: float


@dataclass(frozen=True)
class Quality:
    """What hangs on the data: order inside candles, alerts left out, and worse conditions."""

    worst_bps: float
    best_bps: float
    ambiguous_rate: float
    excluded: int
    excluded_rate: float
    excluded_lost_bps: float
    lanes: tuple[Lane, ...]


@dataclass(frozen=True)
class Evidence:
    """All that is known of a winner; what cannot be told of so few days is None.

    ``neighbours``: the lowest and the highest mean among policies one step away. ``trials``: how many policies were
    compared; 0 where that is not known.
    """

    trial_id: int
    mean_bps: float
    median_bps: float
    win_rate: float
    alerts: int
    days: int
    chance: Chance | None
    halving: Halving | None
    ratio: Ratio | None
    unseen: Unseen | None
    spread: Spread
    quality: Quality
    neighbours: tuple[float, float] | None
    trials: int = 0


def evidence(
    there: Ground,
    policy: Policy,
    trial: int,
    sums: Ints,
    luck: Luck | None,
    unseen: Unseen | None,
    tried: int,
    neighbours: tuple[float, float] | None,
) -> Evidence:
    """Return what is known of the winner ``trial`` with ``policy``, ``tried`` configurations ever on these alerts.

    ``sums`` int64[1, D] are its days, as ``by_day`` returns them.
    """
    prepared, ok = there.prepared, np.flatnonzero(there.prepared.ok)
    returns = simulated(prepared, policy, there.threads)[0]["ret_q"][ok]
    chance = ratio = None
    if luck is not None:
        chance, ratio = chance_of(sums, trial, luck), ratio_of(sums[0], luck, tried)
    return Evidence(
        trial,
        mean_bps(returns),
        float(np.median(returns)) / MICRO_BPS,
        float((returns > 0).mean()),
        returns.size,
        sums.shape[1],
        chance,
        luck.halving if luck else None,
        ratio,
        unseen,
        spread_of(there, returns, sums[0], luck),
        quality_of(prepared, policy, returns, there.threads),
        neighbours,
        luck.trials if luck else 0,
    )


def chance_of(sums: Ints, trial: int, luck: Luck) -> Chance:
    """Return how the winner, its sums int64[1, D], stands against the best of all trials without skill."""
    scale, statistic = (float(each[0]) for each in standing(sums, luck.length))
    line = float(luck.highs[min(luck.highs.size - 1, ceil(0.95 * (luck.highs.size + 1)) - 1)])
    line_bps = line / scale / luck.calendar.alerts.sum() / MICRO_BPS if scale else nan
    return Chance(statistic, p_of(statistic, trial, luck), line_bps, luck.p_spa)


def p_of(statistic: float, trial: int, luck: Luck) -> float:
    """Return the p-value of a trial, allowing for all trials: step-down for the ranked, single-step for the others.

    One that is not blind has that of the best blind trial at least: no resample of the days knows which others would
    have been chosen on them.
    """
    from ..kernels.luck import p_value

    at = np.flatnonzero(luck.ranked == trial)
    own = float(luck.p[at[0]]) if at.size else p_value(luck.highs, statistic)
    return own if trial < luck.blind else max(own, luck.p_blind)


def ratio_of(sums: Ints, luck: Luck, tried: int) -> Ratio:
    """Return the Sharpe ratio of a trial's days, int64[D], deflated."""
    from ..kernels.sharpe import deflated, expected_highest, probabilistic, record_of, shortest_record

    record, variance = record_of(sums), luck.sharpe_variance
    benchmark = variance**0.5 * expected_highest(luck.independent)
    return Ratio(
        record.sharpe,
        record.skew,
        record.kurt,
        probabilistic(record),
        luck.independent,
        deflated(record, variance, luck.independent),
        tried,
        deflated(record, variance, max(tried, luck.distinct)),
        shortest_record(record, benchmark),
    )


def ranked_columns(trials: Ints, luck: Luck | None, tried: int) -> dict[str, Floats]:
    """Return what the frontier says of its trials, those that ``luck`` watched; NaN where there is none.

    Statistic, p-value, what the Sharpe ratio is worth.
    """
    names = ("t_stat", "p_luck", "psr", "dsr_independent", "dsr_tried")
    if luck is None:
        return {name: np.full(trials.size, nan) for name in names}
    statistics = standing(luck.watched, luck.length)[1]
    p = [p_of(*each, luck) for each in zip(statistics.tolist(), trials.tolist(), strict=True)]
    ratios = [ratio_of(row, luck, tried) for row in luck.watched]
    worth = (
        [r.probability for r in ratios],
        [r.deflated_independent for r in ratios],
        [r.deflated_tried for r in ratios],
    )
    return dict(zip(names, map(np.array, (statistics, p, *worth)), strict=True))


def unseen_of(luck: Luck) -> Unseen | None:
    """Return what the folds' trials made of their folds; None where there are none."""
    if not luck.folds:
        return None
    alerts = luck.calendar.alerts
    days = [slice(fold.first, fold.last) for fold in luck.folds]
    made = np.concatenate([row[part] for row, part in zip(luck.raced, days, strict=True)])
    entered = np.concatenate([alerts[part] for part in days])
    return Unseen(made.sum() / entered.sum() / MICRO_BPS, *interval(made, entered, luck.length), luck.folds)


def interval_of(sums: Ints, alerts: Ints, held_ms: int) -> tuple[float, float]:
    """Return the ``interval`` of days in which a trade is held for so long at most; NaN for too few days."""
    if sums.size < LEAST_DAYS:
        return nan, nan
    return interval(sums, alerts, block_days(sums, held_ms))


def interval(sums: Ints, alerts: Ints, length: float) -> tuple[float, float]:
    """Return between which means an alert 95 % of resamples of the days lie, in bps."""
    from ..kernels.bootstrap import resamples

    drawn = resamples(SEED, sums.size, length, INTERVALS)
    entered = drawn @ alerts
    means = (drawn @ sums)[entered > 0] / entered[entered > 0] / MICRO_BPS
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def spread_of(there: Ground, returns: Ints, sums: Ints, luck: Luck | None) -> Spread:
    """Return where the mean of ``returns`` int64[A], one an alert with a window, comes from."""
    prepared, ok = there.prepared, np.flatnonzero(there.prepared.ok)
    months = prepared.windows.ts[ok].astype("datetime64[ms]").astype("datetime64[M]")
    by_month = [(str(each), returns[months == each]) for each in np.unique(months)]
    best, gain = np.sort(returns)[::-1], returns[returns > 0].sum()
    low = high = nan
    if luck is not None:
        low, high = interval(sums, luck.calendar.alerts, luck.length)
    return Spread(
        low,
        high,
        mean_bps(best[1:]),
        mean_bps(best[5:]),
        _without(prepared.alerts["caller_name"].take(ok), returns),
        _without(prepared.alerts["mint"].take(ok), returns),
        float(np.maximum(best[: ceil(best.size / 100)], 0).sum() / gain) if gain else nan,
        tuple(Part(name, some.size, mean_bps(some)) for name, some in by_month),
    )


def _without(names: pa.ChunkedArray, returns: Ints) -> Part:
    """Return what is left without the name that made most; of equals the first in the order of names."""
    told = names.combine_chunks().dictionary_encode()
    number, different = told.indices.to_numpy(), told.dictionary.to_pylist()
    sums = np.zeros(len(different), np.int64)
    np.add.at(sums, number, returns)
    best = min(range(len(different)), key=lambda i: (-sums[i], different[i]))
    rest = returns[number != best]
    return Part(different[best], rest.size, mean_bps(rest))


def quality_of(prepared: Prepared, policy: Policy, returns: Ints, threads: int | None) -> Quality:
    """Return what hangs on the data, given the winner's ``returns`` int64[A], one an alert with a window."""
    bounds = bracketed(prepared, policy, threads)[prepared.ok]
    out = int((~np.isin(prepared.windows.status, (arrays.OK, arrays.SEALED, arrays.PURGED))).sum())
    lost = float((returns.sum() - out * 10**6) / (returns.size + out) / MICRO_BPS)
    worst, best = (float((bounds[name] * 10000).mean()) for name in ("worst", "best"))
    lanes = (*stressed(prepared, policy, threads), Lane("worst order inside candles", worst))
    rate = float((bounds["n_ambiguous"] > 0).mean())
    return Quality(worst, best, rate, out, out / (returns.size + out), lost, lanes)


def stressed(prepared: Prepared, policy: Policy, threads: int | None) -> Sequence[Lane]:
    """Return the same policy at twice the costs, and entered one candle later."""
    how = prepared.trading
    dear = arrays.costs(2 * how.fee_bps, 2 * how.slippage_bps, legacy=how.costs == "legacy")
    _, windows = enter(prepared.batch, prepared.slice, replace(how, latency=how.latency + prepared.step))
    kept = np.where(prepared.ok, windows.status, prepared.windows.status)
    if prepared.sealed_ms is not None:
        kept = np.where((kept == arrays.OK) & (windows.end > prepared.sealed_ms), arrays.PURGED, kept)
    late = windows._replace(status=kept, last=np.where(kept == arrays.OK, windows.last, windows.first))
    lanes = (
        ("twice the costs", replace(prepared, costs=dear)),
        ("entered a candle later", replace(prepared, windows=late)),
    )
    found = []
    for name, changed in lanes:
        trades, _ = simulated(changed, policy, threads)
        found.append(Lane(name, mean_bps(trades["ret_q"][changed.ok])))
    return found


def mean_bps(returns: Ints) -> float:
    """Return the mean of returns in millionths, in basis points; NaN of none."""
    return float(returns.mean()) / MICRO_BPS if returns.size else nan
