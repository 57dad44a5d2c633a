"""A published run as its page reads it: the manifest, its tables by digest, and its candles where a slice has them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...io.durable import open_plain
from ...io.errors import IntegrityError, UsageError
from ...io.manifest import COMPLETED, Manifest
from ...io.runs import read_artifact, read_manifest, verify
from ...io.slices import Slice, holding
from ...io.slices import verify as verify_slice
from ...kernels.arrays import Candles, Floats, of_rows
from ..recipe import Prepared
from ..reopen import as_entered


@dataclass(frozen=True)
class Read:
    """A run in the directory ``path``, proved to be as published, and where slices may lie."""

    path: Path
    manifest: Manifest
    slices: Path

    @property
    def kind(self) -> str:
        """The type of the run."""
        return self.manifest.run_type

    def has(self, artifact: str) -> bool:
        """Return whether the run has this artifact."""
        return self.manifest.artifact(artifact) is not None

    def table(self, artifact: str) -> pa.Table:
        """Return the table of an artifact; its bytes were proved when the run was opened."""
        return _table(self.path, artifact)

    def text(self, artifact: str) -> str:
        """Return an artifact that is no table, as text; '' where the run has none."""
        found = self.manifest.artifact(artifact)
        if found is None:
            return ""
        with open(open_plain(self.path, found.path), encoding="utf-8") as file:  # noqa: PTH123
            return file.read()

    def document(self, artifact: str) -> Any:
        """Return an artifact in JSON; None where the run has none."""
        text = self.text(artifact)
        return json.loads(text) if text else None

    @cached_property
    def piece(self) -> Slice | None:
        """The slice with the digest of the run's candles, its content proved; None where there is none."""
        one = next((each for each in self.manifest.inputs if each.kind == "candles"), None)
        step = self.manifest.config.get("interval_ms", self.manifest.config.get("interval"))
        held = holding(self.slices, one.digest, step) if one is not None and isinstance(step, int) else []
        if not held:
            return None
        verify_slice(held[0])
        return held[0]

    @cached_property
    def entered(self) -> Prepared | None:
        """The alerts as the run entered them, on its slice; None where that is gone."""
        return as_entered(self.path, self.manifest, self.piece) if self.piece is not None else None

    def bars(self, token: str) -> Candles | None:
        """Return the candles of a token, views of the mapped file; None where they are gone."""
        piece = self.piece
        if piece is None or token not in piece.facts.tokens:
            return None
        i = piece.facts.tokens.index(token)
        some = slice(piece.facts.offsets[i], piece.facts.offsets[i + 1])
        return of_rows(piece.candles, some)


def opened(path: Path, slices: Path) -> Read:
    """Return the run in the directory ``path``, every byte of it as published.

    Raises IntegrityError naming the first file that is not, UsageError where the run failed, MissingError where it is
    gone.
    """
    manifest = read_manifest(path)
    broken = [finding.problem for finding in verify(path) if finding.level == "error"]
    if broken:
        raise IntegrityError(f"run {manifest.run_id} is corrupt, so there is no report of it: {broken[0]}")
    if manifest.status != COMPLETED:
        raise UsageError(f"run {manifest.run_id} failed ({manifest.error}); it has no result to report")
    return Read(path, manifest, slices)


@cache
def _table(path: Path, artifact: str) -> pa.Table:
    return read_artifact(path, artifact, check=False)


def forget() -> None:
    """Let go of the tables that were read."""
    _table.cache_clear()


def numbers(table: pa.Table, name: str) -> Floats:
    """Return a column of numbers or flags, NaN where it is null."""
    return pc.cast(table[name], pa.float64()).to_numpy(zero_copy_only=False).astype(float)


def rows(table: pa.Table, names: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Yield rows of a table, of some columns where they are named."""
    yield from (table.select(list(names)) if names else table).to_pylist()


def known(values: Floats) -> Floats:
    """Return the values that are not NaN."""
    return values[~np.isnan(values)]
