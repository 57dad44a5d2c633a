"""Configurations that a sampler asks for, told of those before: optuna's Parzen estimators, as in ``refine``."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .axes import Axis, Row, Trials, combined, random_rows, trials_of
from .config import Config
from .trials import Made

if TYPE_CHECKING:
    from optuna import Study

FIRST = 32  # random configurations that it is told of first
BATCH = 16  # asked for before the first of them is told
REFUSED = -2e9  # below all that can be tried: what the settings refuse


def asked(
    config: Config,
    axes: Sequence[Axis],
    count: int,
    seed: int,
    tries: Callable[[Sequence[Config]], list[Made | None]],
    score: Callable[[Made | None], float],
) -> tuple[Trials, list[Made | None]]:
    """Return ``count`` configurations and what each makes, those that are refused or repeated only counted.

    The same seed gives the same ones with one version of optuna, whatever the threads; the first of more are the same.
    """
    from ..refine import study_of

    study = study_of(seed)
    rows, ids, made = random_rows(axes, min(count, FIRST), seed), [], []
    seen: dict[Row, Config | None] = {}
    number = 0
    while True:
        fresh = [(number + i, row) for i, row in enumerate(rows) if row not in seen and row not in rows[:i]]
        seen |= {row: combined(config, axes, row) for _, row in fresh}
        able = [(i, row) for i, row in fresh if seen[row] is not None]
        found = tries([each for _, row in able if (each := seen[row]) is not None])
        scores = dict(zip((row for _, row in able), map(score, found), strict=True))
        ids += able
        made += found
        _tell(study, axes, {row: scores.get(row, REFUSED) for _, row in fresh})
        number += len(rows)
        if number >= count:
            return trials_of(axes, ids, seen, number), made
        rows = _ask(study, axes, min(BATCH, count - number))


def _ask(study: "Study", axes: Sequence[Axis], count: int) -> list[Row]:
    """Return the next rows: which value of each axis each configuration has."""
    from optuna.trial import TrialState

    found = [study.ask(_places(axes)) for _ in range(count)]
    for each in found:  # what is told of is what was tried
        study.tell(each, state=TrialState.FAIL)
    return [tuple(int(order[each.params[axis.name]]) for axis, order in _orders(axes)) for each in found]


def _tell(study: "Study", axes: Sequence[Axis], scores: Mapping[Row, float]) -> None:
    from optuna.trial import create_trial

    for row, score in scores.items():
        where = {axis.name: int(np.argsort(order)[k]) for (axis, order), k in zip(_orders(axes), row, strict=True)}
        study.add_trial(create_trial(params=where, distributions=_places(axes), value=score))


def _places(axes: Sequence[Axis]) -> dict[str, Any]:
    """Return the distribution of each axis: the place of a number among its values, any of those that are none."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    return {
        each.name: IntDistribution(0, len(each.values) - 1)
        if _are_numbers(each)
        else CategoricalDistribution(tuple(range(len(each.values))))
        for each in axes
    }


def _orders(axes: Sequence[Axis]) -> list[tuple[Axis, np.ndarray]]:
    """Return for each axis which of its values stands at each place: numbers ascend."""
    return [
        (each, np.argsort(np.array(each.values, np.float64), kind="stable") if _are_numbers(each) else _as_given(each))
        for each in axes
    ]


def _as_given(axis: Axis) -> np.ndarray:
    return np.arange(len(axis.values))


def _are_numbers(axis: Axis) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in axis.values)
