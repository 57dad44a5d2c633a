"""A search over the settings of the session runner: what every configuration makes, and which are the best."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from ...io import schemas, session_schemas
from ...io.errors import UsageError
from ...io.searches import Keeper
from ...kernels.arrays import Ints
from ..refine import version
from .asked import asked
from .axes import RANDOM, Axis, Trials, Value, drawn
from .config import Config
from .metrics import Metric
from .trials import Days, Land, Made, days_of
from .tries import Tries

OBJECTIVES = {
    "expectancy": "expectancy",
    "sharpe": "sharpe_ratio",
    "profit_factor": "profit_factor",
    "win_rate": "win_rate",
    "total_r": "total_r",
}
Method = Literal["random", "grid", "optuna"]
Objective = Literal["expectancy", "sharpe", "profit_factor", "win_rate", "total_r"]
ASKED, MOST_ASKED = 100, 3_000  # of optuna; the last of these takes 30 ms to ask for
FEWEST = 30  # trades below which a configuration stands behind all others


@dataclass(frozen=True)
class Work:
    """What is searched, and by what measure: ``axes`` ascend by name.

    ``count`` None: every combination of a grid, RANDOM random ones, ASKED of optuna.
    """

    config: Config
    axes: tuple[Axis, ...]
    method: Method = "random"
    count: int | None = None
    seed: int = 1
    objective: Objective = "expectancy"
    fewest: int = FEWEST

    @property
    def size(self) -> int:
        """How many configurations are drawn."""
        if self.method == "grid":
            return math.prod(len(each.values) for each in self.axes)
        default = ASKED if self.method == "optuna" else RANDOM
        return default if self.count is None else self.count

    def described(self) -> dict[str, Any]:
        """Return what the manifest says of it; ``trials`` apart from what decides which configuration trial i is."""
        params = {each.name: [_plain(value) for value in each.values] for each in self.axes}
        asked: dict[str, Any] = {
            "method": self.method,
            "params": params,
            "seed": self.seed,
            "trials": self.size,
        }
        if self.method == "optuna":  # which configurations it asks for hangs on these too
            asked["sampler"] = f"optuna {version()}, by {self.objective} of {self.fewest} trades"
        return {"search": asked, "objective": self.objective, "constraints": [f"total_trades>={self.fewest}"]}


@dataclass(frozen=True)
class Searched:
    """The N different configurations that could be tried, their metrics, and millionths of R by day, ``sums`` int64
    [N, D]; ``order`` int64[N]: the best first; ``held``: the most days that any trade took to end."""

    work: Work
    trials: Trials
    days: Days
    metrics: tuple[Mapping[str, Metric], ...]
    sums: Ints
    order: Ints
    held: int

    def winner(self) -> Config:
        """Return the settings of the best configuration."""
        return self.trials.configs[int(self.order[0])]


def work_of(config: Config, told: Mapping[str, Any]) -> Work:
    """Return the search that a manifest tells of; ``config`` as it was before any setting was varied."""
    asked = told["search"]
    axes = tuple(Axis(name, tuple(values)) for name, values in sorted(asked["params"].items()))
    fewest = int(told["constraints"][0].partition(">=")[2])
    return Work(config, axes, asked["method"], asked["trials"], asked["seed"], told["objective"], fewest)


def search(
    work: Work, lands: Sequence[Land], threads: int, advance: Callable[[int], None], kept: Keeper | None = None
) -> Searched:
    """Return what every configuration makes, ``kept`` as it is found. Raises UsageError where none can be tried."""
    days = days_of(lands)
    tries = Tries(lands, days, threads, advance, kept)
    if work.method == "optuna":
        trials, made = asked(work.config, work.axes, work.size, work.seed, tries, lambda each: score_of(each, work))
    else:
        trials = drawn(work.config, work.axes, work.method, work.count, work.seed)
        made = tries(trials.configs)
    some = [(i, each) for i, each in enumerate(made) if each is not None]
    if not some:
        raise UsageError(f"none of {len(made):,} configurations can be tried on these candles; choose other values")
    rows = [i for i, _ in some]
    able = Trials(
        tuple(trials.ids[i] for i in rows),
        tuple(trials.settings[i] for i in rows),
        tuple(trials.configs[i] for i in rows),
        trials.asked,
        trials.refused + len(made) - len(rows),
        trials.repeated,
    )
    metrics = tuple(each.metrics for _, each in some)
    sums = np.stack([each.sums for _, each in some])
    held = max(each.held for _, each in some)
    return Searched(work, able, days, metrics, sums, _ranked(metrics, work), held)


def score_of(made: Made | None, work: Work) -> float:
    """Return one number that orders configurations as their ranks do."""
    if made is None or made.metrics["total_trades"] is None:
        return -1e9
    if made.metrics["total_trades"] < work.fewest:
        return made.metrics["total_trades"] - 1e9
    value = made.metrics[OBJECTIVES[work.objective]]
    return -1e8 if value is None else float(value)


def _ranked(metrics: Sequence[Mapping[str, Metric]], work: Work) -> Ints:
    """Return the configurations, best first: those with enough trades, by the objective; of equals the first drawn.

    Where the objective is undefined is last.
    """
    found = [each[OBJECTIVES[work.objective]] for each in metrics]
    scores = np.array([np.nan if score is None else score for score in found], np.float64)
    few = np.array([(each["total_trades"] or 0) < work.fewest for each in metrics])
    return np.lexsort((-np.nan_to_num(scores), np.isnan(scores), few))


def trials_table(found: Searched, run_id: str) -> pa.Table:
    """Return the artifact ``session_trials``: every configuration, its settings and its metrics, best first."""
    rows, trials, axes = found.order.tolist(), found.trials, found.work.axes
    columns: dict[str, Any] = {
        "trial_id": [trials.ids[i] for i in rows],
        "rank": np.arange(1, len(rows) + 1),
        "enough_trades": [(found.metrics[i]["total_trades"] or 0) >= found.work.fewest for i in rows],
    }
    kinds = {}
    for k, each in enumerate(axes):
        columns[each.name] = [_plain(trials.settings[i][k]) for i in rows]
        kinds[each.name] = _kind(columns[each.name])
        if kinds[each.name] == pa.string():
            columns[each.name] = [None if value is None else str(value) for value in columns[each.name]]
        elif kinds[each.name] == pa.float64():
            columns[each.name] = pa.array(columns[each.name], pa.float64())
    for name in session_schemas.TRIAL_METRICS:
        columns[name] = pa.array([found.metrics[i][name] for i in rows])
    return schemas.table(session_schemas.trials(kinds), columns, run_id)


def _plain(value: Value) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else f"{value:%H:%M}"


def _kind(values: Sequence[Any]) -> pa.DataType:
    """Return the type of a column that holds all values."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {bool}:
        return pa.bool_()
    if kinds <= {int}:
        return pa.int64()
    return pa.float64() if kinds <= {int, float} else pa.string()
