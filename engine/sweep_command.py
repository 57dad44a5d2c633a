"""The command ``sweep``: a random search, one that goes on, and the holdout of one opened."""

import sys
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ..io.errors import UsageError
from .report_command import Page
from .searching import Search, searched
from .session_search_command import Sessions, only_beside_strategy, sweep_sessions
from .settings import Guards, Machines, Sources, Store, Trading, takes
from .unseal_command import sweep_unseal

if TYPE_CHECKING:
    from .run import Outcome
    from .session.search_run import SearchRun


def _resumed(*, places: Mapping[str, str], resume: str, top: int = 10, **given: Any) -> int | None:
    """Go on with an interrupted search; whatever else decides what it finds is refused."""
    from .cluster.place import place_of
    from .resume import resume as go_on
    from .sizing import inner

    how = {field.name: given.pop(field.name) for field in fields(Store) if field.name in given}
    memory, engine = given.pop("mem", None), given.pop("engine", "auto")
    place = place_of(engine == "dask", given.pop("workers", None), given.pop("scheduler", None))
    page = Page(report=given.pop("report", False))
    for name in given:
        if places[name].startswith("--"):
            raise UsageError(
                f"{places[name]} beside --resume: a search goes on with the settings it began with; leave it out"
            )
    store = Store(**how)
    return _searched(go_on(resume, store, memory, inner(engine), place), store, page, top)


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
    asked=Search,
    guards=Guards,
    sources=Sources,
    trading=Trading,
    store=Store,
    machines=Machines,
    sessions=Sessions,
    page=Page,
)
def sweep(
    *,
    top: int = 10,
    resume: str | None = None,
    asked: Search,
    guards: Guards,
    sources: Sources,
    trading: Trading,
    store: Store,
    machines: Machines,
    sessions: Sessions,
    page: Page,
) -> int | None:
    """Search for exits: random policies over ranges of any parameter, each tried on every alert.

    A range is low:high, low:high:step, log:low:high, or one value. Without any, tp log:1.1:10 and sl 0.3:0.95.

    Args:
        top: Policies to print.
        resume: Go on with the interrupted search of this run id; it needs no other flag.
    """
    from .cluster.place import place_of

    only_beside_strategy(sessions)
    place = place_of(asked.engine == "dask", machines.workers, machines.scheduler)
    found = searched(asked, guards, sources, trading, store, tuple(sys.argv[1:]), place)
    return _searched(found, store, page, top)


sweep.words = {"unseal": sweep_unseal}  # type: ignore[attr-defined]
