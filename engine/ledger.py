"""How many sets of exit rules were ever tried on the same alerts, over all runs: what a winner is measured against."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from ..io.catalog_rows import configurations
from ..io.catalog_store import rows
from ..io.digest import config_digest
from ..io.errors import IntegrityError, MissingError
from ..io.manifest import COMPLETED
from ..io.runs import read_entry, run_folders

# What a search tells of its trials, and how they are judged: neither makes other trials of them.
_NOT_TRIED = ("objective", "constraints", "stake", "medians", "trades", "by", "guards", "multiples", "unsealed")
_TOLD = ("objective", "constraints")  # what decides beside them which trials refine a search
Kind = Literal["alerts", "candles"]  # the input that a search is tried on
_KNOWN = """
SELECT run_id, CASE WHEN {kind}_digest = $digest AND status = $status THEN config END, trials FROM catalog.runs
"""


@dataclass(frozen=True)
class Ledger:
    """``tried``: configurations on some alerts in all, in so many different ``searches``; ``peeks`` at a holdout."""

    tried: int
    searches: int
    peeks: int


def ledger_of(runs: Path, digest: str, config: Mapping[str, Any], trials: int, kind: Kind = "alerts") -> Ledger:
    """Return the ledger of some alerts, or of some sessions' candles, after a run with ``config`` of so many different
    ``trials``.

    Runs come from the catalog, and where it has not been synced since, from their manifests. A search done again, or
    further with the same seed, counts once; that other searches may hold the same policies is not allowed for.
    """
    most: dict[str, int] = {}
    more: dict[str, int] = {}
    peeks = 0
    for found, tried in chain([(config, trials)], _before(runs, digest, kind)):
        if "unsealed" in found:
            peeks += 1
        elif tried:
            asked = min(refining(found), tried)
            for known, key, count in ((most, attempt(found), tried - asked), (more, refinement(found), asked)):
                known[key] = max(known.get(key, 0), count)
    return Ledger(sum(most.values()) + sum(more.values()), len(most), peeks)


def peeks_at(runs: Path, digest: str, kind: Kind = "alerts") -> int:
    """Return how often a holdout of some alerts, or of some sessions' candles, was looked at."""
    return sum("unsealed" in config for config, _ in _before(runs, digest, kind))


def attempt(config: Mapping[str, Any]) -> str:
    """Return a digest of what a run tries: the same for a search with more trials of the same seed."""
    kept = {name: value for name, value in config.items() if name not in _NOT_TRIED}
    if "search" in kept:
        kept["search"] = {name: value for name, value in kept["search"].items() if name not in ("trials", "refine")}
    return config_digest(kept)


def refining(config: Mapping[str, Any]) -> int:
    """Return how many trials of a run refined a search; they are taken for different from all others."""
    return config.get("search", {}).get("refine", 0)


def refinement(config: Mapping[str, Any]) -> str:
    """Return a digest of what a run refines, and by what: the same for more trials asked after the same random ones."""
    told = {name: config.get(name) for name in _TOLD}
    trials, days = config.get("search", {}).get("trials"), config.get("guards", {}).get("holdout", 0.0)
    return config_digest({"of": attempt(config), "trials": trials, "holdout": days, **told})


def _before(runs: Path, digest: str, kind: Kind = "alerts") -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the config and the configurations of every completed run on some input."""
    try:
        known = rows(runs, _KNOWN.format(kind=kind), digest=digest, status=COMPLETED)
    except (MissingError, IntegrityError):
        known = []
    for _, config, trials in known:
        if config is not None:
            yield json.loads(config), trials or 0
    seen = {run_id for run_id, *_ in known}
    for folder in run_folders(runs):
        if folder.name.partition("=")[2] not in seen and (entry := read_entry(folder)) and entry.manifest:
            given = next((each.digest for each in entry.manifest.inputs if each.kind == kind), None)
            if given == digest and entry.status == COMPLETED:
                yield entry.manifest.config, configurations(entry.manifest)
