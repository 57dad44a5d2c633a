"""What opening the holdout of a search over settings prints."""

import json
from pathlib import Path

from ...io.runs import read_manifest
from ..settings import Store
from ..show import console
from ..unseal_command import look_of
from . import show
from .unseal import unseal


def show_opened(run: Path, store: Store, command: tuple[str, ...]) -> int | None:
    """Open the holdout of the search in the directory ``run``, and print what its winner made of it."""
    found = unseal(run, read_manifest(run), store, command)
    numbers = {
        name: getattr(found, name) for name in ("search", "found_r", "mean_r", "low_r", "high_r", "days", "peeks")
    }
    if store.json:
        kept = {name: None if value != value else value for name, value in numbers.items()}
        print(json.dumps({"run_id": found.run.run_id, "path": str(found.run.path), **kept}, indent=2))
        return None
    out = console()
    show.summary(found.run)
    spread = "too few days for an interval"
    if found.low_r == found.low_r:
        spread = f"95% [{found.low_r:+.3f}R, {found.high_r:+.3f}R]"
    out.print(f"holdout  {found.mean_r:+.3f}R a session day, {spread}; {found.days:,} days")
    out.print(f"         {found.found_r:+.3f}R where it was found; {look_of(found.peeks)}")
    out.print(f"run {found.run.run_id}\n    {found.run.path}", soft_wrap=True)
    return None
