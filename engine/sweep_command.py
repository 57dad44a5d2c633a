"""The command ``sweep``: a random search, one that goes on, and the holdout of one opened."""

import sys
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal

from ..io.errors import UsageError
from .report_command import Page
from .session_search_command import Sessions, only_beside_strategy, sweep_sessions
from .settings import MEMORY, Guards, Sources, Store, Trading, takes
from .unseal_command import sweep_unseal
from .values import DurationRange, Range, Share, Size

if TYPE_CHECKING:
    from .run import Outcome
    from .session.search_run import SearchRun


def _resumed(*, places: Mapping[str, str], resume: str, top: int = 10, **given: Any) -> int | None:
    """Go on with an interrupted search; whatever else decides what it finds is refused."""
    from .resume import resume as go_on

    how = {field.name: given.pop(field.name) for field in fields(Store) if field.name in given}
    memory, engine = given.pop("mem", None), given.pop("engine", "auto")
    page = Page(report=given.pop("report", False))
    for name in given:
        if places[name].startswith("--"):
            raise UsageError(
                f"{places[name]} beside --resume: a search goes on with the settings it began with; leave it out"
            )
    store = Store(**how)
    return _searched(go_on(resume, store, memory, engine), store, page, top)


_resumed.takes_places = True  # type: ignore[attr-defined]


def _searched(outcome: "Outcome | SearchRun", store: Store, page: Page, top: int) -> int | None:
    """Print what a search found."""
    from . import show
    from .run import Outcome
    from .session_search_command import show_search
    from .space import describe

    if not isinstance(outcome, Outcome):
        return show_search(outcome, store, page, top)

    if store.json:
        show.as_json(outcome, ["frontier", "summary"])
        page.write(outcome.path, store)
        return None
    work = outcome.notes["work"]
    show.head(outcome)
    more = f" and {work.refine:,} around the best" if work.refine else ""
    show.console().print(f"search   {work.trials:,} trials{more}, seed {work.seed}: {describe(work.space)}\n")
    show.frontier(outcome, top)
    show.summary(outcome)
    show.judgement(outcome)
    show.map_of(outcome)
    show.foot(outcome)
    page.write(outcome.path, store)
    return None


@takes(
    {"resume": _resumed, "strategy": sweep_sessions},
    guards=Guards,
    sources=Sources,
    trading=Trading,
    store=Store,
    sessions=Sessions,
    page=Page,
)
def sweep(
    *,
    tp: Range | None = None,
    sl: Range | None = None,
    trail: Range | None = None,
    trail_activate: Range | None = None,
    breakeven: Range | None = None,
    breakeven_offset: Range | None = None,
    time_stop: DurationRange | None = None,
    ladder: str | None = None,
    trials: int = 10_000,
    seed: int = 1,
    objective: str = "avg_return_bps",
    stake: Share = 0.01,
    where: list[str] | None = None,
    refine: int = 0,
    engine: Literal["auto", "tables", "bars"] = "auto",
    medians: Literal["top", "all"] = "top",
    trades: int = 1,
    top: int = 10,
    mem: Size = MEMORY,
    max_pairs: int = 10**11,
    resume: str | None = None,
    guards: Guards,
    sources: Sources,
    trading: Trading,
    store: Store,
    sessions: Sessions,
    page: Page,
) -> int | None:
    """Search for exits: random policies over ranges of any parameter, each tried on every alert.

    A range is low:high, low:high:step, log:low:high, or one value. Without any, tp log:1.1:10 and sl 0.3:0.95.

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
        engine: Exits found once in tables, or candle by candle (changes no result; default: the faster).
        medians: Median returns of the best 1,000 policies, or of all: dearer.
        trades: Best policies whose trades are written.
        top: Policies to print.
        mem: Memory for the work on a block of trials.
        max_pairs: Refuse more trades than this (trials times alerts).
        resume: Go on with the interrupted search of this run id; it needs no other flag.
    """
    from .objective import GROWTH, PLATEAU, check_objective
    from .recipe import prepare
    from .refine import check_refine
    from .sizing import check_engine
    from .space import space_of
    from .sweep import STATISTICS, Choices, constraint, parameter_columns, plan
    from .sweep_run import run_sweep

    only_beside_strategy(sessions)
    ranges = {
        "tp": tp,
        "sl": sl,
        "trail": trail,
        "trail_activate": trail_activate,
        "breakeven": breakeven,
        "breakeven_offset": breakeven_offset,
        "time_stop_ms": time_stop,
    }
    space = space_of({name: each for name, each in ranges.items() if each is not None}, ladder)
    limits = tuple(constraint(text) for text in where or ())
    if trials < 1:
        raise UsageError(f"--trials is {trials}; it must be at least 1")
    check_objective(objective, (*STATISTICS, *parameter_columns(space), PLATEAU, GROWTH))
    check_refine(refine, trials, space, objective)
    choices = Choices(engine, medians, trades, stake, refine)
    check_engine(engine, space, trading)
    outcome = run_sweep(
        prepare(sources, trading, store),
        store,
        space,
        lambda prepared: plan(space, trials, seed, objective, limits, prepared, mem, max_pairs, choices),
        guards,
        tuple(sys.argv[1:]),
    )
    return _searched(outcome, store, page, top)


sweep.words = {"unseal": sweep_unseal}  # type: ignore[attr-defined]
