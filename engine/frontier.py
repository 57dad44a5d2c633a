"""What is kept of a search while it streams by: the ranked best, and mean returns over every pair of parameters."""

import itertools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..io.digest import canonical_json
from .objective import EXPECTANCY, names_of, score
from .policy import Policy
from .space import Space, cells, policy_at
from .sweep import FRONTIER, STATISTICS, Plan, parameter_columns

BINS = 24
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


class Frontier:
    """The best trials so far, by the plan's objective; those that keep every constraint come first.

    A trial that lost nothing has no profit factor and beats every trial that has one. An objective over columns that
    are not known of every trial waits: the best by their mean are kept for ``rank_again``.
    """

    def __init__(self, work: Plan):
        self.work = work
        self.rows: dict[str, np.ndarray] = {}

    def add(self, columns: dict[str, Any]) -> None:
        """Take in a block of trials."""
        block = scored(self.work, columns)
        merged = {name: np.concatenate([self.rows.get(name, values[:0]), values]) for name, values in block.items()}
        self._rank(merged)

    def rank_again(self, columns: dict[str, np.ndarray]) -> None:
        """Rank the first few again, of which more ``columns`` are known now; the rest go."""
        count = next(iter(columns.values())).size
        few = {name: values[:count] for name, values in self.rows.items()} | columns
        self._rank(few | {"objective_score": score(self.work.objective, few)})

    def _rank(self, rows: dict[str, np.ndarray]) -> None:
        best = np.lexsort((rows["trial_id"], -rows["objective_score"], -rows["meets"]))[:FRONTIER]
        self.rows = {name: values[best] for name, values in rows.items()}

    def policies(self) -> list[Policy]:
        """Return the policies, best first."""
        return [policy_at(self.work.space, self.drawn(), i) for i in range(self.rows["trial_id"].size)]

    def drawn(self) -> dict[str, np.ndarray]:
        """Return the parameters of the trials, best first."""
        return {name: self.rows[name] for name in self.work.space.named}

    def columns(self, exact: dict[str, np.ndarray]) -> dict[str, Any]:
        """Return the columns of ``schemas.frontier`` but ``run_id``; ``exact`` as ``tallies.exact`` returns it."""
        rows = {name: np.where(np.isinf(values), np.nan, values) for name, values in self.rows.items()} | exact
        policies = self.policies()
        whole = ("trial_id", "trades_count", "time_stop_ms")
        names = (*parameter_columns(self.work.space), *STATISTICS, *exact, "trial_id", "trades_count")
        return {
            **{n: rows[n].astype(np.int64) if n in whole or n.endswith("_frac_bps") else rows[n] for n in names},
            "caller_name": None,
            "policy_id": [policy.policy_id for policy in policies],
            "policy_params": [canonical_json(policy.canonical()).decode() for policy in policies],
            "meets_constraints": rows["meets"] == 1,
            "objective_score": rows["objective_score"],
            "rank": np.arange(1, rows["trial_id"].size + 1),
        }


def scored(work: Plan, columns: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return a block of trials as floats, with ``meets`` (1: every constraint) and ``objective_score``, NaN the worst.

    The score is the mean where the objective is over columns that are not known of every trial.
    """
    given = {name: np.ma.asarray(v).astype(float) for name, v in columns.items() if v is not None}
    block = {name: np.ma.filled(v, np.inf) for name, v in given.items()}  # no profit factor: nothing was lost
    block["meets"] = np.ones(block["trial_id"].size)
    for each in work.constraints:
        block["meets"] *= _COMPARE[each.sign](block[each.column], each.bound)
    known = names_of(work.objective) <= {*block, EXPECTANCY}
    return block | {"objective_score": score(work.objective if known else "avg_return_bps", block)}


class Landscape:
    """Mean return over every pair of varied parameters, in bins; filled block by block, sums in whole millionths."""

    def __init__(self, space: Space):
        self.space = space
        self.edges = {name: _edges(space, name) for name in space.varied}
        pairs = itertools.combinations(space.varied, 2)
        self.sums = {(a, b): np.zeros((2, self._bins(b), self._bins(a)), np.int64) for a, b in pairs}

    def _bins(self, name: str) -> int:
        return self.edges[name].size - 1

    def values(self, name: str) -> np.ndarray | None:
        """Return the one value of a grid that each bin of a parameter holds; None where they hold several."""
        each, bins = self.space.ranges[name], self._bins(name)
        return np.linspace(each.low, each.high, bins) if bins == cells(name, each) + 1 and not each.log else None

    def add(self, drawn: dict[str, np.ndarray], sums: np.ndarray) -> None:
        """Take in a block of trials and the sum of each."""
        bins = {
            name: np.clip(np.searchsorted(edges, drawn[name], "right") - 1, 0, edges.size - 2)
            for name, edges in self.edges.items()
        }
        for (a, b), grid in self.sums.items():
            np.add.at(grid[0], (bins[b], bins[a]), sums)
            np.add.at(grid[1], (bins[b], bins[a]), 1)

    def liveliest(self, trades: int) -> tuple[str, str, np.ndarray] | None:
        """Return the two parameters whose bins differ most, and float64[Y, X] of mean return in bps; NaN: no trial."""
        best, found = -1.0, None
        for (a, b), (sums, counts) in self.sums.items():
            with np.errstate(invalid="ignore", divide="ignore"):
                means = sums / counts / trades / 100
            filled = means[counts > 0]
            spread = float(np.average((filled - filled.mean()) ** 2)) if filled.size else 0.0
            if spread > best:
                best, found = spread, (a, b, means)
        return found


def _edges(space: Space, name: str) -> np.ndarray:
    """Return the bin edges of a parameter: BINS at most, never finer than its grid."""
    each = space.ranges[name]
    n = min(BINS, cells(name, each) + 1)
    return np.geomspace(each.low, each.high, n + 1) if each.log else np.linspace(each.low, each.high, n + 1)
