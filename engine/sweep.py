"""A random search: what is asked for, how it is cut, and every trial on every alert, in blocks."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from ..io import schemas
from ..io.account import tell
from ..io.errors import LimitError, UsageError
from .objective import names_of
from .recipe import Prepared
from .sizing import Engine, Medians, Size, check_engine, engine_for, levels_of, paying_block, uncovered
from .space import Space, draw, space_in, to_policies
from .tallies import Ground, tally

FRONTIER = 1000  # trials that are ranked
PIECE = 65_536  # trials made columns at a time

STATISTICS = (
    *("avg_return_bps", "median_return_bps", "win_rate", "profit_factor", "stop_out_rate"),
    *("mean_worst_bps", "mean_best_bps", "ambiguous_rate"),
)


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
    bound = float(found[3])
    if found[1].endswith("_rate") and bound > 1:
        raise UsageError(f"--where {text!r}: a rate is a share of the trades, 40% is 0.4")
    return Constraint(found[1], found[2], bound)


@dataclass(frozen=True)
class Choices:
    """How a search is done, and what is told of it.

    ``medians``: of every trial, or of the ranked ones; ``trades``: of how many of the best trials they are written;
    ``stake``: what an objective over ``log_growth_bps`` puts on each trade; ``refine``: trials that follow the random
    ones, around the best of them.
    """

    engine: Engine = "auto"
    medians: Medians = "top"
    trades: int = 1
    stake: float = 0.01
    refine: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.trades <= FRONTIER:
            raise UsageError(f"--trades is {self.trades}; it must be from 1 to {FRONTIER:,}, the ranked ones")


@dataclass(frozen=True)
class Plan:
    """A search, sized: up to ``block`` trials at a time over ``alerts`` alerts, ``pairs`` trades in all.

    ``trials`` are drawn at random, numbered from 0; ``refine`` more follow them.
    Fewer than ``paying`` trials at a time cost more time for each.
    """

    space: Space
    trials: int
    seed: int
    objective: str
    constraints: tuple[Constraint, ...]
    alerts: int
    block: int
    memory: int
    engine: Literal["tables", "bars"] = "bars"
    medians: Medians = "top"
    trades: int = 1
    paying: int = 1
    stake: float = 0.01
    refine: int = 0

    @property
    def count(self) -> int:
        """Trials in all."""
        return self.trials + self.refine

    @property
    def pairs(self) -> int:
        """Trades to simulate."""
        return self.count * self.alerts

    @property
    def bytes_on_disk(self) -> int:
        """A generous guess of what all trials take: eight bytes a value where they are kept, four in trials.parquet."""
        return self.count * 12 * (len(self.space.named) + len(STATISTICS) + 3)


def plan(
    space: Space,
    trials: int,
    seed: int,
    objective: str,
    constraints: tuple[Constraint, ...],
    prepared: Prepared,
    memory: int,
    max_pairs: int,
    choices: Choices = Choices(),
) -> Plan:
    """Return the search, its engine, and blocks that fit ``memory`` bytes. Neither engine nor blocks change a result.

    Who ranks or bounds trials by their median wants it of all. Raises UsageError where the engine asked for does not
    cover the search, and LimitError where the smallest block needs more memory or there are more than ``max_pairs``
    trades.
    """
    windows, ok = prepared.windows, prepared.ok
    alerts = int(ok.sum())
    count = trials + choices.refine
    if count * alerts > max_pairs:
        fewer = f", or ask for at most {max_pairs // alerts:,} --trials" if max_pairs >= alerts else ""
        raise LimitError(
            f"{count:,} trials on {alerts:,} alerts are {count * alerts:,} trades, above the limit of {max_pairs:,}; "
            f"raise it with --max-pairs{fewer}"
        )
    check_engine(choices.engine, space, prepared.trading)
    wanted = "median_return_bps" in {*names_of(objective), *(each.column for each in constraints)}
    medians = "all" if wanted else choices.medians
    longest = int((windows.last - windows.first)[ok].max())
    size = Size(alerts, longest, trials, medians == "all", levels_of(space, trials))
    engine, block = engine_for(choices.engine, size, memory, not uncovered(space, prepared.trading))
    chosen = engine, medians, choices.trades, paying_block(engine, size), choices.stake, choices.refine
    return Plan(space, trials, seed, objective, constraints, alerts, block, memory, *chosen)


def planned(config: Mapping[str, Any], prepared: Prepared, memory: int, engine: Engine = "auto") -> Plan:
    """Return the plan of the search that a run's config describes; no limit but ``memory`` bytes is set."""
    asked, objective = config["search"], config["objective"]
    limits = tuple(_constraint(text) for text in config["constraints"])
    told = config.get("medians", "all"), config.get("trades", 1), config.get("stake", 0.01)
    choices, space, seed = Choices(engine, *told, asked.get("refine", 0)), space_in(asked["space"]), int(asked["seed"])
    return plan(space, asked["trials"], seed, objective, limits, prepared, memory, 2**62, choices)


def _constraint(text: str) -> Constraint:
    """Return the constraint of a config, whose bound is any float's shortest text: ``stop_out_rate<=1e-05``."""
    column, sign, bound = re.split("([<>]=?)", text)
    return Constraint(column, sign, float(bound))


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


Trials = tuple[dict[str, np.ndarray], dict[str, Any], np.ndarray]


def search(
    there: Ground, work: Plan, advance: Callable[[int], None], begin: int = 0, end: int | None = None
) -> Iterator[Trials]:
    """Yield some trials after others: their parameters, their columns of ``schemas.trials`` (but run_id), their sums.

    The sums int64 are of ``ret_q``, one a trial. ``advance`` is told the trades done. All trials, or those from
    ``begin`` to ``end - 1``.
    """
    end = work.trials if end is None else end
    for first in range(begin, end, work.block):
        before, last = (first - begin) * work.alerts, min(first + work.block, end) - 1
        tell(doing=f"trials {first:,} to {last:,}")
        drawn = draw(work.space, work.seed, first, min(work.block, end - first))
        yield from tallied(there, work, drawn, first, lambda done: advance(before + done))  # noqa: B023


def tallied(
    there: Ground, work: Plan, drawn: dict[str, np.ndarray], first: int, advance: Callable[[int], None]
) -> Iterator[Trials]:
    """Yield some trials of a search as ``search`` does, given their parameters and the number of the first."""
    yield from told(work, drawn, first, tally(there, to_policies(work.space, drawn), work.medians == "all", advance))


def told(work: Plan, drawn: dict[str, np.ndarray], first: int, sums: np.ndarray) -> Iterator[Trials]:
    """Yield some trials of a search as ``search`` does, given what they came to, TALLY[N]."""
    medians = work.medians == "all"
    for s in range(0, sums.size, PIECE):
        some, part = {name: values[s : s + PIECE] for name, values in drawn.items()}, sums[s : s + PIECE]
        columns = trial_columns(work.space, some, part, first + s)
        yield some, columns if medians else columns | {"median_return_bps": None}, part["sum_q"]


def trial_columns(space: Space, drawn: dict[str, np.ndarray], tally: np.ndarray, first: int) -> dict[str, Any]:
    """Return the columns of ``schemas.trials`` but ``run_id`` of some trials, the number of the first being ``first``.

    ``drawn`` holds their parameters, ``tally`` TALLY[n] what they came to.
    """
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


def trial_table(space: Space, columns: dict[str, Any], run_id: str) -> pa.Table:
    """Return a block as a table of ``schemas.trials``."""
    return schemas.table(schemas.trials(parameter_columns(space)), columns, run_id)
