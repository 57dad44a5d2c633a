"""A random search as it is asked for, by flags of a command or by a call from a program."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..io.errors import UsageError
from .settings import MEMORY, Guards, Sources, Store, Trading
from .values import DurationRange, Range, Share, Size

if TYPE_CHECKING:
    from .cluster.place import Place
    from .run import Outcome


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is tried.

    Args:
        tp: Take profit, a multiple of the entry price.
        sl: Stop loss, a multiple of the entry price.
        trail: Trailing stop, a fraction below the high.
        trail_activate: The multiple that arms the trailing stop.
        breakeven: The multiple that moves the stop to the entry price.
        breakeven_offset: Where it moves, a fraction above the entry price.
        time_stop: Time after which what is left is sold: 5m:48h.
        ladder: Rungs, range@percent: 1.5:3@50%,3:10@30%; drawn levels are sorted, equal ones parted by 0.01.
        trials: Policies to try.
        seed: Seed of the random numbers; trial i of a seed is always the same policy.
        objective: What makes a policy better: a column of trials.parquet, expectancy_r, or of the hundred best by mean
            plateau_bps or log_growth_bps; or an expression, such as avg_return_bps-50*stop_out_rate.
        stake: Share of the equity on each trade, for log_growth_bps.
        where: Constraints on a policy, such as stop_out_rate<=0.4.
        refine: Trials more, around the best of the random ones, chosen by optuna (the extra of that name).
        engine: Exits found once in tables, or candle by candle (changes no result; default: the faster); dask: the
            faster, on workers. The others may stand beside --workers or --scheduler too.
        medians: Median returns of the best 1,000 policies, or of all: dearer.
        trades: Best policies whose trades are written.
        mem: Memory for the work on a block of trials.
        max_pairs: Refuse more trades than this (trials times alerts).
    """

    tp: Range | None = None
    sl: Range | None = None
    trail: Range | None = None
    trail_activate: Range | None = None
    breakeven: Range | None = None
    breakeven_offset: Range | None = None
    time_stop: DurationRange | None = None
    ladder: str | None = None
    trials: int = 10_000
    seed: int = 1
    objective: str = "avg_return_bps"
    stake: Share = 0.01
    where: list[str] | None = None
    refine: int = 0
    engine: Literal["auto", "tables", "bars", "dask"] = "auto"
    medians: Literal["top", "all"] = "top"
    trades: int = 1
    mem: Size = MEMORY
    max_pairs: int = 10**11

    @property
    def ranges(self) -> dict[str, Range]:
        """The parameters that were given, by their names in the tables."""
        names = ("tp", "sl", "trail", "trail_activate", "breakeven", "breakeven_offset")
        found = {name: getattr(self, name) for name in names} | {"time_stop_ms": self.time_stop}
        return {name: each for name, each in found.items() if each is not None}


def searched(
    asked: Search,
    guards: Guards,
    sources: Sources,
    trading: Trading,
    store: Store,
    command: tuple[str, ...],
    place: "Place | None" = None,
) -> "Outcome":
    """Return what a search found, published. Raises UsageError before anything is read where it cannot be done."""
    from .cluster.place import called
    from .objective import GROWTH, PLATEAU, check_objective
    from .recipe import prepare
    from .refine import check_refine
    from .sizing import check_engine, inner
    from .space import space_of
    from .sweep import STATISTICS, Choices, constraint, parameter_columns, plan
    from .sweep_run import run_sweep

    space, engine, trials = space_of(asked.ranges, asked.ladder), inner(asked.engine), asked.trials
    limits = tuple(constraint(text) for text in asked.where or ())
    if trials < 1:
        raise UsageError(f"--trials is {trials}; it must be at least 1")
    check_objective(asked.objective, (*STATISTICS, *parameter_columns(space), PLATEAU, GROWTH))
    check_refine(asked.refine, trials, space, asked.objective)
    choices = Choices(engine, asked.medians, asked.trades, asked.stake, asked.refine)
    check_engine(engine, space, trading)
    wanted = trials, asked.seed, asked.objective, limits
    with called(place) as place:
        return run_sweep(
            prepare(sources, trading, store),
            store,
            space,
            lambda prepared: plan(space, *wanted, prepared, asked.mem, asked.max_pairs, choices),
            guards,
            command,
            place=place,
        )
