"""From a search to its verdict: its trials by day, the evidence on the winner, and what the artifacts say of both."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np

from ..io.digest import canonical_json
from ..io.publish import Stage
from ..kernels.arrays import Ints, Policies
from .frontier import Frontier
from .guards import Evidence, evidence, ranked_columns, unseen_of
from .ledger import Ledger, ledger_of
from .luck import CHUNK, LEAST_DAYS, SAMPLE, Luck, luck_by_day, luck_of
from .neighbours import neighbourhood
from .objective import PLATEAU
from .policy import to_arrays
from .progress import progress
from .settings import Guards, Store
from .tallies import Calendar, Ground, by_day
from .verdict import Verdict, verdict_on


@dataclass(frozen=True)
class Tried:
    """The trials of a search: ``count``, some of them ``policies(first, count)``; a ``sample`` stands for all.

    The first ``blind`` (None: all) were chosen without a look at what any trial made.
    """

    count: int
    policies: Callable[[int, int], Policies]
    sample: Policies
    blind: int | None = None


@dataclass(frozen=True)
class Known:
    """What other runs had tried on the same alerts when a run was judged, and how often a holdout was looked at."""

    tried: int
    peeks: int


@dataclass(frozen=True)
class Judgement:
    """The verdict on a search, what it rests on, and columns for its frontier; all empty where none was asked for."""

    asked: Guards
    columns: Mapping[str, np.ndarray]
    verdict: Verdict | None = None
    evidence: Evidence | None = None
    ledger: Ledger | None = None
    luck: Luck | None = None

    @property
    def facts(self) -> dict[str, int]:
        """What the manifest says of it."""
        return {"trials_so_far": self.ledger.tried, "holdout_peeks": self.ledger.peeks} if self.ledger else {}

    def document(self) -> dict[str, Any]:
        """Return it as JSON values, null for what is undefined; nothing of it depends on when it was made."""
        luck, ledger = self.luck, self.ledger
        search = luck and search_of(luck) | {"distinct": luck.distinct, "refined": luck.trials - luck.blind}
        found = {
            **verdict_of(self.verdict, self.asked),
            "tried": ledger and ledger.tried,
            "holdout_peeks": ledger and ledger.peeks,
            "search": search,
            "winner": self.evidence and asdict(self.evidence),
        }
        return defined(found)


def verdict_of(verdict: Verdict | None, asked: Guards) -> dict[str, Any]:
    """Return what a document says of a verdict: its word, its checks, what they asked for."""
    return {
        "verdict": verdict and verdict.word,
        "failing": verdict and verdict.failing,
        "checks": verdict and [asdict(check) for check in verdict.checks],
        "thresholds": asdict(asked),
    }


def search_of(luck: Luck) -> dict[str, Any]:
    """Return what a document says of the search that a verdict rests on."""
    return {
        "trials": luck.trials,
        "days": luck.calendar.days,
        "mean_block_days": luck.length,
        "resamples": luck.highs.size,
        "sharpe_variance": luck.sharpe_variance,
    }


def judge(
    s: Stage,
    there: Ground,
    best: Frontier,
    trials: Tried,
    asked: Guards,
    store: Store,
    config: Mapping[str, Any],
    known: Known | None,
) -> Judgement:
    """Return the judgement on a search whose ranking is ``best``, and write ``results/guards.json``.

    ``config`` as it will stand in the manifest; ``known`` instead of what the runs in the store tried.
    """
    if not asked.guards:
        return Judgement(asked, {})
    with there.prepared.clock.phase("guards"), progress("trials by day", trials.count, store.quiet) as advance:
        space, ids = best.work.space, best.rows["trial_id"].astype(np.int64)
        luck = luck_of(there, trials.count, trials.policies, trials.sample, advance, trials.blind, ids)
        alerts = next(each.digest for each in there.prepared.inputs if each.kind == "alerts")
        ledger = ledger_of(store.runs, alerts, config, luck.distinct if luck else trials.count)
        if known is not None:
            ledger = Ledger(known.tried, ledger.searches, known.peeks)
        columns, unseen = ranked_columns(ids, luck, ledger.tried), luck and unseen_of(luck)
        columns[PLATEAU] = np.full(ids.size, np.nan)
        beside = None
        if space.varied:
            low, high = neighbourhood(there, best)
            columns[PLATEAU][: low.size], beside = low, (float(low[0]), float(high[0]))
        winner = best.policies()[0]
        sums = by_day(there, to_arrays([winner])) if luck is None else luck.watched[:1]
        found = evidence(there, winner, int(ids[0]), sums, luck, unseen, ledger.tried, beside)
        judged = Judgement(asked, columns, verdict_on(found, asked), found, ledger, luck)
    s.write_file("results/guards.json", canonical_json(judged.document()) + b"\n", "guards")
    return judged


def sample_rows(count: int) -> Ints:
    """Return the numbers of the trials that stand for all: evenly spread, at most SAMPLE."""
    few = min(count, SAMPLE)
    return np.arange(few) * count // few


def luck_of_days(sums: Ints, held: int, threads: int, first: int = 0) -> Luck | None:
    """Return the ``Luck`` of what was made by day, int64[N, D] from day ``first`` on, one observation a day.

    ``held``: the longest that what is earned on a day takes, ms. None for fewer than three days.
    """
    if sums.shape[1] < LEAST_DAYS:
        return None
    known = Calendar(first, np.ones(sums.shape[1], np.int64))
    blocks = (sums[s : s + CHUNK] for s in range(0, len(sums), CHUNK))
    return luck_by_day(known, held, sums[sample_rows(len(sums))], blocks, len(sums), threads)


def defined(value: Any) -> Any:
    """Return JSON values with null for every number that is not finite; integers that JSON cannot hold as floats."""
    if isinstance(value, dict):
        return {name: defined(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [defined(each) for each in value]
    if isinstance(value, int) and abs(value) >= 2**53:
        return float(value)
    return None if isinstance(value, float) and not isfinite(value) else value
