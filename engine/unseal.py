"""The sealed holdout of a search, opened: what its winner makes of the days that the search did not see."""

from dataclasses import dataclass
from pathlib import Path

from ..io.errors import UsageError
from ..io.runs import read_artifact, read_manifest
from .guards import MICRO_BPS, interval_of
from .holdout import only_held_out
from .ledger import peeks_at
from .policy import Policy, parse_policy, to_arrays
from .rerun import prepared_again
from .run import Outcome, run_strategy
from .settings import MEMORY, Store
from .tallies import by_day, calendar, ground


@dataclass(frozen=True)
class Unsealed:
    """What a search's winner made of its holdout, in bps an alert, beside what it made where it was found.

    ``low_bps`` to ``high_bps``: 95 % of resamples of the days, NaN for too few. ``peeks``: how often a holdout of these
    alerts has been looked at, this time included.
    """

    outcome: Outcome
    policy: Policy
    search: str
    found_bps: float
    mean_bps: float
    low_bps: float
    high_bps: float
    days: int
    days_alerted: int
    peeks: int


def unseal(run: Path, store: Store, command: tuple[str, ...]) -> Unsealed:
    """Trade the holdout of a search with its winner, as a run of its own; every look is counted.

    Raises UsageError where the run is no search or held nothing out, and what ``rerun`` raises.
    """
    manifest = read_manifest(run)
    share = manifest.config.get("guards", {}).get("holdout", 0.0)
    if manifest.run_type not in ("search", "surface") or not share:
        raise UsageError(f"run {manifest.run_id} held no days out; sweep and surface do with --holdout 20%")
    best = read_artifact(run, "frontier").slice(0, 1).to_pylist()[0]
    policy = parse_policy(best["policy_params"])
    _, prepared = prepared_again(run, store)
    prepared = only_held_out(prepared, share)
    alerts = next(one.digest for one in manifest.inputs if one.kind == "alerts")
    peeks = peeks_at(store.runs, alerts) + 1
    facts = {"holdout_peeks": peeks, "trials_so_far": manifest.trials_so_far}
    about = {"unsealed": manifest.run_id, "holdout": share}
    outcome = run_strategy(prepared, store, policy, (), command, about, facts)
    there = ground(prepared, "bars", MEMORY, store.threads)
    sums, known = by_day(there, to_arrays([policy]))[0], calendar(there)[0]
    low, high = interval_of(sums, known.alerts, prepared.trading.horizon)
    mean = float(sums.sum()) / int(known.alerts.sum()) / MICRO_BPS
    found = best["avg_return_bps"]
    return Unsealed(
        outcome, policy, manifest.run_id, found, mean, low, high, known.days, int((known.alerts > 0).sum()), peeks
    )
