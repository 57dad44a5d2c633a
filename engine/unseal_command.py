"""The command that opens the sealed holdout of a search."""

import sys

from .report_command import Page
from .settings import Store, takes


@takes(store=Store, page=Page)
def sweep_unseal(run: str, *, store: Store, page: Page) -> int | None:
    """Open the holdout of a sweep or a surface: its winner on the days that were kept from it. Every look is counted.

    A search with --holdout 20% never sees the last 20% of its days. This trades them with the winner, as a run of its
    own. A second look at the same alerts is worth less than the first: the number of looks stands in the manifest.

    Args:
        run: Run id, the start or end of one (4 characters or more), a path, or "latest".
    """
    import json

    from ..io.runs import find_run, read_manifest
    from . import show
    from .policy import describe
    from .unseal import unseal

    path = find_run(store.runs, run).path
    if read_manifest(path).run_type == "session":
        from .session.unseal_show import show_opened

        return show_opened(path, store, tuple(sys.argv[1:]))
    found = unseal(path, store, tuple(sys.argv[1:]))
    numbers = {
        "search": found.search,
        "found_bps": found.found_bps,
        "mean_bps": found.mean_bps,
        "low_bps": found.low_bps,
        "high_bps": found.high_bps,
        "days": found.days,
        "days_alerted": found.days_alerted,
        "peeks": found.peeks,
    }
    if store.json:
        kept = {name: None if value != value else value for name, value in numbers.items()}
        print(json.dumps({"run_id": found.outcome.run_id, "path": str(found.outcome.path), **kept}, indent=2))
        page.write(found.outcome.path, store)
        return None
    out, some = show.console(), found.outcome.prepared.ok.sum()
    show.head(found.outcome)
    out.print(f"policy           {describe(found.policy)}")
    show.summary(found.outcome)
    spread = "too few days for an interval"
    if found.low_bps == found.low_bps:
        spread = f"95% [{show.bps(found.low_bps)}, {show.bps(found.high_bps)}]"
    look = look_of(found.peeks)
    out.print(
        f"\nholdout  {show.bps(found.mean_bps)} an alert, {spread}; {show.bps(found.found_bps)} where it was found"
    )
    out.print(f"         {some:,} alerts on {found.days_alerted:,} of {found.days:,} days; {look}")
    show.foot(found.outcome)
    page.write(found.outcome.path, store)
    return None


def look_of(peeks: int) -> str:
    """Return which look at a holdout it is, in words."""
    return "the first look" if peeks == 1 else f"look {peeks}: no longer unseen"
