"""What each setting of the session runner is worth: the expectancy with it a tenth and a fifth lower and higher."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ...io import schemas, session_schemas
from ...io.errors import UsageError
from .axes import changed, value_of
from .config import Config
from .trials import Land, days_of, made_by_all

SHARES = (-0.2, -0.1, 0.1, 0.2)


@dataclass(frozen=True)
class Nudge:
    """How much the expectancy changes, in R, with a setting each of SHARES away from its ``value``.

    None where it cannot be. ``mean``: of the sizes of the others, None where there is none.
    """

    name: str
    value: float
    changes: tuple[float | None, ...]
    mean: float | None


def perturbed(config: Config, lands: Sequence[Land], names: Sequence[str], threads: int) -> list[Nudge]:
    """Return what each of ``names`` that is a number other than 0 is worth, the most first; whole numbers move by one
    at least."""
    values = numeric(config, names)
    asked = [(name, _nudged(value, share)) for name, value in values.items() for share in SHARES]
    configs = [_allowed(config, *each) for each in asked]
    some = [each for each in configs if each is not None]
    whole, *made = made_by_all(lands, days_of(lands), [config, *some], threads)
    base = whole.metrics["expectancy"] if whole is not None else None
    found = iter([each.metrics["expectancy"] if each is not None else None for each in made])
    changes = _less(base, (next(found) if each is not None else None for each in configs))
    nudges = []
    for name, value in values.items():
        own = tuple(next(changes) for _ in SHARES)
        sizes = [abs(each) for each in own if each is not None]
        nudges.append(Nudge(name, value, own, sum(sizes) / len(sizes) if sizes else None))
    return sorted(nudges, key=lambda each: (each.mean is None, -(each.mean or 0.0), each.name))


def numeric(config: Config, names: Sequence[str]) -> dict[str, float]:
    """Return the settings of ``names`` that are numbers other than 0."""
    found: dict[str, float] = {}
    for name in names:
        value = value_of(config, name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value:
            found[name] = value
    return found


def _nudged(value: float, share: float) -> float:
    if isinstance(value, float):
        return value * (1 + share)
    return value + (round(value * share) or (1 if share > 0 else -1))


def _allowed(config: Config, name: str, value: float) -> Config | None:
    try:
        return changed(config, {name: value})
    except UsageError:
        return None


def _less(base: float | None, found: Iterator[float | None]) -> Iterator[float | None]:
    for each in found:
        yield None if each is None or base is None else each - base


def table_of(found: Sequence[Nudge], run_id: str) -> pa.Table:
    """Return the artifact ``perturbation``, the most first."""
    names = ("minus_20_pct", "minus_10_pct", "plus_10_pct", "plus_20_pct")
    columns = {
        "setting": [each.name for each in found],
        "value": [float(each.value) for each in found],
        **{name: pa.array([each.changes[k] for each in found], pa.float64()) for k, name in enumerate(names)},
        "mean_abs_change": pa.array([each.mean for each in found], pa.float64()),
        "rank": list(range(1, len(found) + 1)),
    }
    return schemas.table(session_schemas.PERTURBATION, columns, run_id)
