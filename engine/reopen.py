"""A published run taken up again: its alerts and candles by digest, its windows, and the trades of its policy."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ..io.errors import UsageError
from ..io.manifest import Manifest
from ..io.runs import read_artifact
from ..kernels.arrays import Floats
from .policy import Policy, parse_policy
from .recipe import Prepared
from .rerun import prepared_again, seen
from .settings import Store


@dataclass(frozen=True)
class Traded:
    """What a run did with one policy: the rows of its trades and of its fills."""

    policy: Policy
    trades: pa.Table
    fills: pa.Table


def reopened(run: Path, store: Store) -> tuple[Manifest, Prepared]:
    """Return the manifest of the run in the directory ``run``, and the alerts it saw, ready for the kernels.

    Nothing is read but what the run kept and the slice with its digest, which is cut again where it is gone. Raises
    as ``rerun`` does: IntegrityError, MissingError, UsageError.
    """
    manifest, prepared = prepared_again(run, store)
    return manifest, seen(manifest.config, prepared)


def traded(run: Path, manifest: Manifest) -> Traded:
    """Return the policy of a run with its trades; of a search or a surface the winner's. UsageError without trades."""
    if manifest.artifact("trades") is None:
        raise UsageError(
            f"run {manifest.run_id} is of type {manifest.run_type} and traded nothing; "
            "name one of strategy, sweep or surface"
        )
    form = manifest.config.get("policy") or read_artifact(run, "frontier")["policy_params"][0].as_py()
    policy = parse_policy(form)
    tables = (read_artifact(run, kind) for kind in ("trades", "fills"))
    return Traded(policy, *(table.filter(pc.equal(table["policy_id"], policy.policy_id)) for table in tables))


def numbers(table: pa.Table, name: str) -> Floats:
    """Return a column of numbers, NaN where it is null."""
    return table[name].to_numpy(zero_copy_only=False).astype(float)
