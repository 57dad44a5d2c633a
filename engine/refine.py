"""The best region of a search, searched on: further trials, each asked of a sampler that was told of those before it.

The sampler is optuna's tree of Parzen estimators (Bergstra, Bardenet, Bengio and Kégl, "Algorithms for
hyper-parameter optimization", NIPS 2011), which reads nothing of a result but its order.
"""

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..io.account import tell
from ..io.errors import UsageError
from ..kernels.arrays import Floats
from .frontier import Frontier, scored
from .objective import GROWTH, PLATEAU, names_of
from .space import Space, ascend, on_grid
from .sweep import Plan, Trials, tallied
from .tallies import Ground

if TYPE_CHECKING:
    from optuna import Study

BATCH = 32  # trials asked for before the first of them is told
BEST = 300  # random trials that it is told of first; as many more, and the worse for it, changed nothing that was seen
MOST = 1000  # trials: no more are ranked, and the best random one is wanted among them; the last takes 10 ms to ask for


def check_refine(count: int, trials: int, space: Space, objective: str) -> None:
    """Raise UsageError where a search of ``trials`` cannot be refined by ``count`` more, or optuna is missing."""
    if not count:
        return
    if not 1 <= count <= min(MOST, trials):
        most = f"{MOST:,}" if trials >= MOST else f"{trials:,}, as many as --trials"
        raise UsageError(f"--refine is {count}; it must be from 0 (none) to {most}")
    if not space.varied:
        raise UsageError("--refine needs a parameter to vary; give one a range, such as --tp 1.5:4")
    if waits := names_of(objective) & {PLATEAU, GROWTH}:
        raise UsageError(
            f"--refine needs an objective that is known of every trial; {min(waits)} is found for the hundred best only"
        )
    need_optuna()


def need_optuna(flag: str = "--refine") -> None:
    """Raise UsageError where optuna is not installed."""
    if importlib.util.find_spec("optuna") is None:
        raise UsageError(f"{flag} needs optuna, which is not installed; pip install 'highwater[optuna]'")


def version() -> str:
    """Return the version of optuna: another may ask for other trials."""
    from optuna import __version__

    return __version__


def refined(there: Ground, work: Plan, best: Frontier, advance: Callable[[int], None]) -> Iterator[Trials]:
    """Yield the trials that refine a search, as ``sweep.search`` does, numbered on from the random ones.

    ``best`` holds the ranking of the random trials; ``advance`` is told the trades done here. The same seed gives the
    same trials with one version of optuna, whatever the threads and the memory.
    """
    study = study_of(work.seed)
    rows = {name: values[:BEST] for name, values in best.rows.items()}
    _tell(study, work, {name: rows[name] for name in work.space.named}, rows)
    for first in range(0, work.refine, BATCH):
        count, number = min(BATCH, work.refine - first), work.trials + first
        tell(doing=f"trials {number:,} to {number + count - 1:,}, around the best")
        drawn = _asked(study, work.space, count)
        for s in range(0, count, work.block):
            some = {name: values[s : s + work.block] for name, values in drawn.items()}
            for found in tallied(there, work, some, number + s, lambda done: None):
                _tell(study, work, *found[:2])
                yield found
        advance((first + count) * work.alerts)


def study_of(seed: int) -> "Study":
    """Return a study of its own for a search of this seed, nothing told yet."""
    from optuna import create_study, logging
    from optuna.samplers import TPESampler

    sampler = TPESampler(seed=seed % 2**32, n_startup_trials=0, multivariate=True, constant_liar=True)
    before = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)  # it would say on stderr that there is a study
    try:
        return create_study(direction="maximize", sampler=sampler)
    finally:
        logging.set_verbosity(before)


def _asked(study: "Study", space: Space, count: int) -> dict[str, Floats]:
    """Return the parameters of the next trials, on the grid, rungs ascending."""
    from optuna.trial import TrialState

    ranges = _ranges(space)
    asked = [study.ask(ranges) for _ in range(count)]
    for each in asked:  # what is told of are the values that were tried
        study.tell(each, state=TrialState.FAIL)
    drawn = {name: np.full(count, float(space.ranges[name].low)) for name in space.named}
    for name in ranges:
        drawn[name] = on_grid(name, space.ranges[name], np.array([each.params[name] for each in asked]))
    ascend(drawn, len(space.shares))
    return drawn


def _ranges(space: Space) -> dict[str, Any]:
    from optuna.distributions import FloatDistribution

    ranges = {name: space.ranges[name] for name in space.varied}
    return {name: FloatDistribution(float(each.low), float(each.high), log=each.log) for name, each in ranges.items()}


def _tell(study: "Study", work: Plan, drawn: Mapping[str, Floats], columns: dict[str, Any]) -> None:
    """Tell of trials: where they lie, their score, and by how much they break the constraints, 0 for not at all."""
    from optuna.trial import create_trial

    ranges, rows = _ranges(work.space), scored(work, columns)
    scores = np.nan_to_num(rows["objective_score"], nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    given = {name: np.clip(drawn[name], each.low, each.high) for name, each in ranges.items()}
    for i, (value, broken) in enumerate(zip(scores.tolist(), _broken(work, rows).tolist(), strict=True)):
        where = {name: values[i].item() for name, values in given.items()}
        constraints = {"where": broken} if work.constraints else None
        study.add_trial(create_trial(params=where, distributions=ranges, value=value, constraints=constraints))


def _broken(work: Plan, rows: Mapping[str, Floats]) -> Floats:
    """Return by how much each trial breaks the constraints, each measured by its bound; 0 where it keeps all."""
    total = np.zeros(rows["meets"].size)
    for each in work.constraints:
        over = rows[each.column] - each.bound if each.sign[0] == "<" else each.bound - rows[each.column]
        total += np.maximum(over, 0) / (abs(each.bound) or 1.0)
    total = np.nan_to_num(total, nan=np.inf, posinf=np.inf)
    return np.where(rows["meets"] == 1, 0.0, np.maximum(total, np.finfo(float).tiny))
