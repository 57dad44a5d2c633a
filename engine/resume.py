"""An interrupted search taken up again, from what it kept."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..io.errors import MissingError, UsageError
from ..io.searches import SESSIONS, find_unfinished, hold
from .cluster.place import Place, called
from .kept import check_version
from .places import candle_place
from .recipe import prepare
from .rerun import settings_of
from .run import Outcome
from .settings import Guards, Store
from .sizing import Engine
from .space import space_in
from .sweep import planned
from .sweep_run import run_sweep

if TYPE_CHECKING:
    from .session.search_run import SearchRun


def resume(
    run: str, store: Store, memory: int | None = None, engine: Engine = "auto", place: Place | None = None
) -> "Outcome | SearchRun":
    """Do the rest of the search ``run`` (its id, or four or more characters that begin or end it), and publish it.

    It has ``memory`` bytes, or as many as when it began, and the workers at ``place``, if any. Raises MissingError
    where there is none, UsageError where it is complete or this is another version, BusyError where a process is at
    work on it, IntegrityError where its alerts or candles changed.
    """
    run_id = find_unfinished(store.runs, run)
    with hold(store.runs, run_id) as kept:
        if not kept.blocks:
            raise MissingError(f"the search {run_id} has kept nothing; start it anew")
        before = kept.about()
        check_version(before)
        if before.get("of") == SESSIONS:
            from .session.resumed import resume as go_on

            if place is not None:
                raise UsageError(
                    "--workers and --scheduler: a search of sessions is done by one process; leave them out"
                )
            return go_on(kept, store)
        config = before["config"]
        sources, trading = settings_of(before["settings"], Path(before["alerts"]), candle_place(before["candles"]))
        with called(place) as place:
            return run_sweep(
                prepare(sources, trading, store),
                store,
                space_in(config["search"]["space"]),
                lambda prepared: planned(config, prepared, memory or before["memory"], engine),
                Guards(**config["guards"]),
                tuple(before["command"]),
                resumed=kept,
                place=place,
            )
