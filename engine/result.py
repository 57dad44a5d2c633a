"""A published run in the hands of Python: its tables as Arrow, pandas or polars, a plot, and notebooks' HTML."""

import importlib.util
import sys
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..io import schemas
from ..io.config import nearest
from ..io.errors import UsageError
from ..io.manifest import Manifest
from ..io.runs import find_run, read_artifact, read_manifest
from ..kernels.arrays import Floats
from . import glance, show

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# The table that a run is about, by its type, the first there is.
MAIN = ("session_trials", "session_trades", "frontier", "strategy_index", "trades", "paths", "alerts")
_PIXELS = (560, 72)


@dataclass(frozen=True)
class Result:
    """A run in the directory ``path``; every table is checked against its digest as it is read."""

    path: Path
    manifest: Manifest = field(repr=False)

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.manifest.run_id

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of its tables."""
        return tuple(dict.fromkeys(each.type for each in self.manifest.artifacts if each.rows is not None))

    def table(self, name: str = "") -> pa.Table:
        """Return a table by the name of its artifact, or the one the run is about.

        Raises UsageError where there is none of that name, IntegrityError where its bytes are not those published.
        """
        name = name or next((each for each in MAIN if each in self.tables), self.tables[0])
        found = self.manifest.artifact(name) or self.manifest.artifact(schemas.PATHS.get(name, ""))
        if found is None or found.rows is None:
            known = ", ".join(self.tables)
            raise UsageError(f"run {self.run_id} has no table {name!r}{nearest(name, self.tables)}; it has {known}")
        return read_artifact(self.path, found.path)

    def to_pandas(self, name: str = "") -> Any:
        """Return a table as a pandas DataFrame."""
        _need("pandas")
        return self.table(name).to_pandas()

    def to_polars(self, name: str = "") -> Any:
        """Return a table as a polars DataFrame."""
        _need("polars")
        import polars  # pyright: ignore[reportMissingImports]

        return polars.from_arrow(self.table(name))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the table the run is about as an Arrow stream, for whatever reads one."""
        return self.table().__arrow_c_stream__(requested_schema)

    def plot(self, what: str = "") -> "Figure":
        """Return a plotly figure: equity, map, returns, callers or strategies; by default the first that the run has.

        Raises UsageError where the run has nothing of the kind, or plotly is missing.
        """
        from .result_plots import plot

        return plot(self, what)

    def _repr_html_(self) -> str:
        """Return the run as a small piece of HTML that loads and runs nothing."""
        found = glance.equity(self.path, self.manifest)
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th><td style='text-align:left'>{escape(value)}</td></tr>"
            for name, value in self._facts()
        )
        line = "" if found is None or found.sums.size < 2 else _spark(found.sums)
        title = f"{self.manifest.run_type} run {self.run_id}, {self.manifest.status}"
        return f"<div><strong>{escape(title)}</strong>{line}<table>{rows}</table></div>"

    def _facts(self) -> list[tuple[str, str]]:
        """Return what the run came to, in words, and its tables."""
        said = [line for line in glance.lines(self.path, self.manifest, drawn=False) if isinstance(line, str)]
        facts = [tuple(part.strip() for part in line.partition(" ")[::2]) for line in said if line.strip()]
        sizes = ", ".join(
            f"{each.type} ({each.rows:,})" for each in self.manifest.artifacts if each.rows and each.type in self.tables
        )
        return [(name, show.plain(value)) for name, value in facts] + [("tables", sizes), ("at", str(self.path))]


def opened(run: str | Path = "latest", runs: str | Path = "runs") -> Result:
    """Return a published run: its id, the start or end of it, its directory, or latest. Raises as ``io.runs`` does."""
    entry = find_run(runs, str(run))
    return Result(entry.path, read_manifest(entry.path))


def _need(library: str) -> None:
    if library not in sys.modules and importlib.util.find_spec(library) is None:
        raise UsageError(f"to_{library} needs {library}, which is not installed; pip install {library}")


def _spark(values: Floats) -> str:
    """Return running sums as a line in the colour of the text around it, with a line at zero."""
    wide, high = _PIXELS
    some = np.unique(np.linspace(0, values.size - 1, min(values.size, 400)).round().astype(int))
    low, top = min(0.0, float(values.min())), max(0.0, float(values.max()))
    xs = some / (values.size - 1) * wide
    scale = (high - 4) / ((top - low) or 1.0)
    ys, zero = (top - values[some]) * scale + 2, top * scale + 2
    points = " ".join(f"{x:.4g},{y:.4g}" for x, y in zip(xs.tolist(), ys.tolist(), strict=True))
    return (
        f'<svg viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" role="img" aria-label="equity" '
        'style="display:block;max-width:100%">'
        f'<path d="M0 {zero:.4g}H{wide}" stroke="currentColor" stroke-opacity=".35" stroke-dasharray="3"/>'
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5"/></svg>'
    )
