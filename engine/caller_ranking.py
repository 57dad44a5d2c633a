"""The callers of a run in an order that luck does not decide, beside all of them together."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..io import schemas
from ..io.errors import MissingError, UsageError
from . import rates

_ASCENDING = ("q", "needs")


@dataclass(frozen=True)
class Pool:
    """The calls of all callers that were entered, and how many reached the multiple.

    ``low`` and ``high`` end the interval of the rate; ``strength`` is how many of these calls each caller's own are
    mixed with, inf where callers differ no more than chance has them differ.
    """

    calls: int
    reached: int
    rate: float
    low: float
    high: float
    strength: float


@dataclass(frozen=True)
class Ranking:
    """The rows of ``schemas.CALLERS``, first the first of the order; ``k`` is the multiple as it stands in columns."""

    k: str
    pool: Pool
    rows: pa.Table


def ranking(table: pa.Table, multiple: float, sort: str, least_calls: int, run_id: str) -> Ranking:
    """Return the callers with at least ``least_calls`` alerts; undefined figures last, equal ones by name.

    ``sort`` is shrunk, rate, low, q or needs of the multiple (the lowest q and needs first), or calls, median or
    score. Every caller of ``table`` counts in the pool. Raises UsageError for a multiple that the schema has not,
    MissingError where the run is of a version that did not judge its callers.
    """
    if multiple not in schemas.MULTIPLES:
        known = ", ".join(f"{each:g}" for each in schemas.MULTIPLES)
        raise UsageError(f"--multiple is {multiple:g}; it must be one of {known}")
    k = schemas.multiple_name(multiple)
    if f"hit_{k}_shrunk" not in table.column_names:
        raise MissingError(f"run {run_id} is of an earlier version and judged no caller; highwater runs rerun {run_id}")
    rows = [row for row in table.to_pylist() if row["calls"] >= least_calls]
    name = {"calls": "calls", "median": "median_ath_mult", "score": "caller_score"}.get(sort, f"hit_{k}_{sort}")
    sign = 1 if sort in _ASCENDING else -1
    rows.sort(key=lambda row: (row[name] is None, sign * (row[name] or 0), row["caller_name"]))
    return Ranking(k, _pool(table, k), pa.Table.from_pylist(rows, table.schema))


def _pool(table: pa.Table, k: str) -> Pool:
    hits = np.array([n or 0 for n in table[f"calls_reached_{k}"].to_pylist()], np.int64)
    calls = table["calls"].to_numpy() - table["calls_excluded"].to_numpy()
    reached, entered = int(hits.sum()), int(calls.sum())
    low, high = (float(end[0]) for end in rates.wilson(np.array([reached]), np.array([entered])))
    rate = reached / entered if entered else float("nan")
    return Pool(entered, reached, rate, low, high, rates.strength(hits, calls))
