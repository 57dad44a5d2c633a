"""A published run taken up again: its alerts and candles by digest, its windows, and the trades of its policy."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..io.errors import UsageError
from ..io.manifest import Manifest
from ..io.runs import read_artifact
from ..io.slices import Slice
from ..kernels import arrays
from ..kernels.arrays import Floats, Windows, column
from .policy import Policy, parse_policy
from .recipe import Clock, Prepared, asked_of, prepared_with
from .rerun import kept_alerts, places_of, prepared_again, seen, settings_of
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


def as_entered(run: Path, manifest: Manifest, piece: Slice) -> Prepared:
    """Return the alerts a run saw on its slice, each in the window that the run's paths tell of.

    No kernel is asked, so nothing is compiled.
    """
    sources, trading = settings_of(manifest.config, *places_of(manifest))
    batch, paths = kept_alerts(run, manifest), read_artifact(run, "paths")
    asked = asked_of(batch, piece)
    status = np.array([arrays.STATUSES.index(text) for text in paths["status"].to_pylist()], np.int64)
    ok = status == arrays.OK
    ts, bars = (np.where(ok, numbers(paths, name), 0).astype(np.int64) for name in ("entry_ts_ms", "n_bars"))
    opens = piece.candles.ts
    spans = zip(asked.first.tolist(), asked.last.tolist(), ts.tolist(), ok.tolist(), strict=True)
    first = np.array([s + np.searchsorted(opens[s:e], t) if known else 0 for s, e, t, known in spans], np.int64)
    nothing = np.zeros(status.size, np.int64)
    windows = Windows(
        column(first, np.int64),
        column(first + bars, np.int64),
        column(numbers(paths, "p0")),
        column(ts, np.int64),
        column(ts + trading.horizon * ok, np.int64),
        asked.coverage_end,
        asked.on_grid,
        column(nothing == 1, np.bool_),
        column(status, np.int64),
        column(nothing, np.int64),
    )
    return prepared_with(batch, piece, True, (asked, windows), (sources, trading), Clock())


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
