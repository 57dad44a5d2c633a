"""From a search to its verdict: its trials by day, the evidence on the winner, and what the artifacts say of both."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from ..kernels.arrays import Ints, Policies, column
from .frontier import Frontier
from .guards import Evidence, Guards, evidence, ranked_columns, unseen_of
from .ledger import Ledger, ledger_of
from .luck import SAMPLE, Luck, luck_of
from .neighbours import around
from .space import to_policies
from .tallies import Ground
from .verdict import Verdict, verdict_on


@dataclass(frozen=True)
class Trials:
    """The trials of a search: ``count``, some of them ``policies(first, count)``; a ``sample`` stands for all."""

    count: int
    policies: Callable[[int, int], Policies]
    sample: Policies


@dataclass(frozen=True)
class Judgement:
    """The verdict on a search, what it rests on, and columns for its frontier."""

    verdict: Verdict
    evidence: Evidence
    ledger: Ledger
    asked: Guards
    luck: Luck | None
    columns: Mapping[str, np.ndarray]

    def document(self) -> bytes:
        """Return ``results/guards.json``; null for what is undefined."""
        luck = self.luck
        search = None if luck is None else {
            "trials": luck.trials, "distinct": luck.distinct, "days": luck.calendar.days,
            "mean_block_days": luck.length, "resamples": luck.highs.size, "sharpe_variance": luck.sharpe_variance,
        }  # fmt: skip
        found = {
            "verdict": self.verdict.word,
            "failing": self.verdict.failing,
            "checks": [asdict(check) for check in self.verdict.checks],
            "thresholds": asdict(self.asked),
            "ledger": asdict(self.ledger),
            "search": search,
            "winner": asdict(self.evidence),
        }
        return (json.dumps(_defined(found), indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def judge(
    there: Ground,
    best: Frontier,
    trials: Trials,
    asked: Guards,
    runs: Path,
    config: Mapping[str, Any],
    advance: Callable[[int], None],
) -> Judgement:
    """Return the judgement on a search whose ranking is ``best``; ``config`` as it will stand in the manifest."""
    luck = luck_of(there, trials.count, trials.policies, trials.sample, advance)
    alerts = next(each.digest for each in there.prepared.inputs if each.kind == "alerts")
    ledger = ledger_of(runs, alerts, config, luck.distinct if luck else trials.count)
    space, drawn, ids = best.work.space, best.drawn(), best.rows["trial_id"].astype(np.int64)
    columns, unseen = {}, None
    if luck is not None:
        columns = ranked_columns(there, to_policies(space, drawn), ids, luck, ledger.tried)
        unseen = unseen_of(there, luck, _at(trials, [fold.trial for fold in luck.folds]))
    beside = None
    if space.varied:
        low, high = around(there, space, {name: values[:1] for name, values in drawn.items()})
        beside = float(low[0]) / there.fits.size / 100, float(high[0]) / there.fits.size / 100
    found = evidence(there, best.policies()[0], int(ids[0]), luck, unseen, ledger.tried, beside)
    return Judgement(verdict_on(found, asked), found, ledger, asked, luck, columns)


def sample_rows(count: int) -> Ints:
    """Return the numbers of the trials that stand for all: evenly spread, at most SAMPLE."""
    few = min(count, SAMPLE)
    return np.arange(few) * count // few


def _at(trials: Trials, numbers: list[int]) -> Policies:
    some = [trials.policies(number, 1) for number in numbers]
    return Policies(*(column(np.concatenate(parts), parts[0].dtype) for parts in zip(*some, strict=True)))


def _defined(value: Any) -> Any:
    """Return JSON values with null for every number that is not finite."""
    if isinstance(value, dict):
        return {name: _defined(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_defined(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value
