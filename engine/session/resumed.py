"""An interrupted search over settings, taken up again from what it kept."""

from ...io.manifest import Input
from ...io.searches import Keeper
from ..recipe import Clock
from ..settings import Guards, Store
from .again import found_again, task_of
from .search import work_of
from .search_run import SearchRun, run_search


def resume(kept: Keeper, store: Store) -> SearchRun:
    """Do the rest of the search that ``kept`` holds, and publish it.

    Raises MissingError where no slice has its candles, UsageError where the settings or libraries are others now.
    """
    before = kept.about()
    config = before["config"]
    task = task_of(config, f"search {before['run_id']}")
    inputs = [Input(**each) for each in before["inputs"]]
    told = before["failed"], before["notes"]
    given = found_again(before["run_id"], inputs, task, config["source"], store, *told)
    work = work_of(task.config, config)
    return run_search(
        task, given, work, Guards(**config["guards"]), store, tuple(before["command"]), Clock(), kept=kept
    )
