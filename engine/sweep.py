"""A random search: every trial on every alert, in blocks; the ranked best; the two liveliest parameters."""

import itertools
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ..io import schemas
from ..io.digest import canonical_json
from ..io.errors import LimitError, UsageError
from ..kernels.arrays import Windows, column
from .policy import Policy
from .recipe import Prepared
from .space import Space, cells, draw, policy_at, to_policies

BYTES_A_PAIR = 58  # three int64 matrices, a byte, and the columns a tally copies
SMALLEST_BLOCK, LARGEST_BLOCK = 8, 8192
FRONTIER = 1000
BINS = 24

STATISTICS = (
    *("avg_return_bps", "median_return_bps", "win_rate", "profit_factor", "stop_out_rate"),
    *("mean_worst_bps", "mean_best_bps", "ambiguous_rate"),
)
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True)
class Constraint:
    """A bound a trial must keep, such as ``stop_out_rate<=0.3``."""

    column: str
    sign: str
    bound: float


def constraint(text: str) -> Constraint:
    """Return the constraint written as COLUMN, a comparison and a number."""
    found = re.fullmatch(r"\s*([a-z_]+)\s*(<=|>=|<|>)\s*(-?[0-9]*\.?[0-9]+)\s*", text)
    if not found or found[1] not in (*STATISTICS, "trades_count"):
        names = ", ".join((*STATISTICS, "trades_count"))
        raise UsageError(f"--where {text!r} must be a column, <=, >=, < or >, and a number; columns: {names}")
    return Constraint(found[1], found[2], float(found[3]))


@dataclass(frozen=True)
class Plan:
    """A search, sized: ``block`` trials at a time over ``alerts`` alerts, ``pairs`` trades in all."""

    space: Space
    trials: int
    seed: int
    objective: str
    constraints: tuple[Constraint, ...]
    alerts: int
    block: int

    @property
    def pairs(self) -> int:
        """Trades to simulate."""
        return self.trials * self.alerts

    @property
    def bytes_on_disk(self) -> int:
        """A generous guess of the size of trials.parquet."""
        return self.trials * 8 * (len(self.space.named) + len(STATISTICS) + 3)


def plan(
    space: Space,
    trials: int,
    seed: int,
    objective: str,
    constraints: tuple[Constraint, ...],
    prepared: Prepared,
    memory: int,
    max_pairs: int,
) -> Plan:
    """Return the search cut into blocks that fit ``memory`` bytes. The blocks change no result.

    Raises LimitError where the smallest block needs more, where there are more than ``max_pairs`` trades, or where
    the sums of returns could pass 64 bits.
    """
    alerts = int(prepared.ok.sum())
    least = SMALLEST_BLOCK * alerts * BYTES_A_PAIR
    if memory < least:
        raise LimitError(
            f"a search over {alerts:,} alerts needs at least {_mib(least)}; "
            f"the budget is {_mib(memory)}: raise it with --mem"
        )
    found = Plan(
        space, trials, seed, objective, constraints, alerts, min(LARGEST_BLOCK, memory // (alerts * BYTES_A_PAIR))
    )
    if found.pairs > max_pairs:
        raise LimitError(
            f"{trials:,} trials on {alerts:,} alerts are {found.pairs:,} trades, above the limit of {max_pairs:,}; "
            f"raise it with --max-pairs, or ask for fewer --trials"
        )
    return found


def _mib(size: int) -> str:
    return f"{size / 2**20:.3g} MiB"


def guard_overflow(prepared: Prepared, highest: np.ndarray) -> None:
    """Raise LimitError where the sum of every alert's best possible return could pass the 64 bits it is kept in.

    ``highest`` float64[A] is the highest multiple each alert reached, NaN where it has no window.
    """
    multiples = np.nan_to_num(highest)
    if multiples.sum() * 1e6 >= 2.0**62:
        worst = int(np.argmax(multiples))
        raise LimitError(
            f"alert {prepared.alerts['call_id'][worst].as_py()} reaches {multiples[worst]:.3g} times its entry price; "
            "sums of such returns pass 64 bits: look at its candles, or leave its caller out"
        )


def search(
    prepared: Prepared, work: Plan, threads: int | None, advance: Callable[[int], None]
) -> Iterator[tuple[dict[str, np.ndarray], dict[str, Any], np.ndarray]]:
    """Yield each block of trials: its parameters, its columns of ``schemas.trials`` (but run_id), and its sums.

    The sums int64 are of ``ret_q``, one a trial.
    """
    from ..kernels.jit import threads as on
    from ..kernels.search import search_all, tally_all

    windows = Windows(*(column(part[prepared.ok], part.dtype) for part in prepared.windows))
    for first in range(0, work.trials, work.block):
        count = min(work.block, work.trials - first)
        drawn = draw(work.space, work.seed, first, count)
        policies = to_policies(work.space, drawn)
        with on(threads):
            ret_q, worst_q, best_q, outcome, _ = search_all(
                prepared.slice.candles, windows, prepared.step, policies, prepared.rules, prepared.costs
            )
            tally = tally_all(ret_q, worst_q, best_q, outcome)
        yield drawn, _trial_columns(work.space, drawn, tally, first), tally["sum_q"]
        advance(first + count)


def _trial_columns(space: Space, drawn: dict[str, np.ndarray], tally: np.ndarray, first: int) -> dict[str, Any]:
    n, lost = tally["trades"], tally["loss_q"]
    return {
        "trial_id": np.arange(first, first + n.size),
        "policy_id": None,
        **{name: values.astype(np.int64) if name == "time_stop_ms" else values for name, values in drawn.items()},
        **{f"rung{j + 1}_frac_bps": np.full(n.size, share) for j, share in enumerate(space.shares)},
        "trades_count": n,
        "avg_return_bps": tally["sum_q"] / n / 100,
        "median_return_bps": tally["median_q"] / 100,
        "win_rate": tally["wins"] / n,
        "profit_factor": np.ma.array(tally["gain_q"] / np.where(lost == 0, 1, lost), mask=lost == 0),
        "stop_out_rate": tally["stop_outs"] / n,
        "mean_worst_bps": tally["worst_q"] / n / 100,
        "mean_best_bps": tally["best_q"] / n / 100,
        "ambiguous_rate": tally["ambiguous"] / n,
        "sum_ret_q": tally["sum_q"],
    }


def parameter_columns(space: Space) -> tuple[str, ...]:
    """Return the parameter columns of the search's tables."""
    return (*space.named, *(f"rung{j + 1}_frac_bps" for j in range(len(space.shares))))


class Frontier:
    """The best trials so far, by the plan's objective; those that keep every constraint come first.

    A trial that lost nothing has no profit factor and beats every trial that has one.
    """

    def __init__(self, work: Plan):
        self.work = work
        self.rows: dict[str, np.ndarray] = {}

    def add(self, columns: dict[str, Any]) -> None:
        """Take in a block of trials."""
        given = {name: np.ma.asarray(v).astype(float) for name, v in columns.items() if v is not None}
        block = {name: np.ma.filled(v, np.inf) for name, v in given.items()}  # no profit factor: nothing was lost
        block["meets"] = np.ones(block["trial_id"].size)
        for each in self.work.constraints:
            block["meets"] *= _COMPARE[each.sign](block[each.column], each.bound)
        merged = {name: np.concatenate([self.rows.get(name, values[:0]), values]) for name, values in block.items()}
        best = np.lexsort((merged["trial_id"], -merged[self.work.objective], -merged["meets"]))[:FRONTIER]
        self.rows = {name: values[best] for name, values in merged.items()}

    def policies(self) -> list[Policy]:
        """Return the policies, best first."""
        drawn = {name: self.rows[name] for name in self.work.space.named}
        return [policy_at(self.work.space, drawn, i) for i in range(self.rows["trial_id"].size)]

    def columns(self) -> dict[str, Any]:
        """Return the columns of ``schemas.frontier`` but ``run_id``."""
        rows = {name: np.where(np.isinf(values), np.nan, values) for name, values in self.rows.items()}
        whole = ("trial_id", "trades_count", "time_stop_ms")
        names = (*parameter_columns(self.work.space), *STATISTICS, "trial_id", "trades_count")
        return {
            **{n: rows[n].astype(np.int64) if n in whole or n.endswith("_frac_bps") else rows[n] for n in names},
            "caller_name": None,
            "policy_params": [canonical_json(policy.canonical()).decode() for policy in self.policies()],
            "meets_constraints": rows["meets"] == 1,
            "objective_score": rows[self.work.objective],
            "rank": np.arange(1, rows["trial_id"].size + 1),
        }


class Landscape:
    """Mean return over every pair of varied parameters, in bins; filled block by block, sums in whole millionths."""

    def __init__(self, space: Space):
        self.space = space
        self.edges = {name: _edges(space, name) for name in space.varied}
        pairs = itertools.combinations(space.varied, 2)
        self.sums = {(a, b): np.zeros((2, self._bins(b), self._bins(a)), np.int64) for a, b in pairs}

    def _bins(self, name: str) -> int:
        return self.edges[name].size - 1

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


def trial_table(space: Space, columns: dict[str, Any], run_id: str) -> pa.Table:
    """Return a block as a table of ``schemas.trials``."""
    return schemas.table(schemas.trials(parameter_columns(space)), columns, run_id)
