"""The command ``highwater callers``, and what it prints."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from .settings import Guards, Store, takes
from .values import Range

if TYPE_CHECKING:
    from .caller_guards import CallerGuard
    from .caller_policies import CallerPolicies
    from .caller_ranking import Ranking
    from .caller_times import CallerTimes

Order = Literal["shrunk", "rate", "low", "q", "needs", "calls", "median", "score"]


@takes(store=Store)
def callers(
    run: str,
    *,
    multiple: float = 2.0,
    sort: Order = "shrunk",
    top: int = 20,
    min_calls: int = 1,
    times: bool = False,
    policies: bool = False,
    tp: Range = Range(1.1, 10.0, 0.1),  # noqa: B008
    sl: Range = Range(0.2, 0.95, 0.05),  # noqa: B008
    store: Store,
) -> int | None:
    """Say what a run's callers are worth as far as their calls prove it. Nothing is published.

    Args:
        run: Run id, the start or end of one (4 characters or more), a path, or "latest".
        multiple: The multiple of the entry price that makes a call a hit: 2, 3, 4, 5 or 10.
        sort: What ranks them: the rate shrunk to that of all, the raw rate, the low end of its interval, ...
        top: Callers to print.
        min_calls: Print only callers with at least this many alerts.
        times: How soon the multiple was reached, and why it was not (Kaplan-Meier); needs the run's slice.
        policies: The best fixed exits of each caller, whether they are more than luck, and those chosen without him;
            needs the run's slice.
        tp: Targets of these exits, as for a surface.
        sl: Their stops.
    """
    from ..io.runs import find_run, read_artifact
    from .caller_guards import caller_guards
    from .caller_policies import caller_policies
    from .caller_ranking import ranking
    from .caller_times import caller_times
    from .callers_show import guards_of, policies_of, rates_of, times_of
    from .fixed_exits import fixed_exits
    from .progress import progress
    from .reopen import numbers, reopened

    entry = find_run(store.runs, run)
    found = ranking(read_artifact(entry.path, "callers"), multiple, sort, min_calls, entry.run_id)
    timed = chosen = guarded = None
    if times or policies:
        paths, (_, prepared) = read_artifact(entry.path, "paths"), reopened(entry.path, store)
        timed = caller_times(prepared, paths, found.k) if times else None
        if policies:
            exits = fixed_exits(prepared, numbers(paths, "ath_mult"), tp, sl, store.threads)
            chosen = caller_policies(exits, min_calls)
            with progress("callers", len(chosen.rows), store.quiet) as advance:
                guarded = caller_guards(exits, chosen, Guards(), advance)
    if store.json:
        print(document(entry.run_id, found, timed, chosen, guarded))
        return None
    rates_of(found, top)
    if timed:
        times_of(timed, found, top)
    if chosen and guarded is not None:
        policies_of(chosen, found, top)
        guards_of(guarded, found, top)
    return None


def document(
    run_id: str,
    found: "Ranking",
    timed: "tuple[CallerTimes, ...] | None",
    chosen: "CallerPolicies | None",
    guarded: "tuple[CallerGuard, ...] | None",
) -> str:
    """Return one JSON document of everything that was asked for, every caller in it."""
    from .show import defined, rows_of

    form = {"run_id": run_id, "multiple": found.k, "pool": asdict(found.pool), "callers": rows_of(found.rows)}
    if timed:
        form["times"] = [asdict(each) for each in timed]
    if chosen:
        form["policies"] = asdict(chosen) | {"guards": [asdict(each) for each in guarded or ()]}
    return json.dumps(defined(form), indent=2, allow_nan=False)
