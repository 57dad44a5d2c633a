"""The plots of a run: which it has, and of what."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..io.config import nearest
from ..io.errors import UsageError
from . import glance, heatmap, plots
from .reopen import numbers

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from .result import Result


def plot(result: "Result", what: str) -> "Figure":
    """Return a plot of a run by its name, or the first it has; raises as ``Result.plot`` does."""
    if what and what not in PLOTS:
        raise UsageError(f"there is no plot {what!r}{nearest(what, PLOTS)}; there are {', '.join(PLOTS)}")
    for name in (what,) if what else PLOTS:
        found = PLOTS[name](result)
        if found is not None:
            return found
    asked = f"{what} " if what else ""
    raise UsageError(f"run {result.run_id} is of type {result.manifest.run_type} and has no {asked}plot")


def _map(result: "Result") -> "Figure | None":
    found = glance.landscape(result.path, result.manifest)
    if found is None or not result.table("summary").num_rows:
        return None
    lively = found.liveliest(result.table("summary")["trades_count"][0].as_py())
    if lively is None:
        return None
    x, y, means = lively
    labels = {name: heatmap.edge_labels(name, found.edges[name])[:-1] for name in (x, y)}
    return plots.heat(means, labels[x], labels[y], x, y, "bps", "Mean return per trade, bps, from each level on")


def _equity(result: "Result") -> "Figure | None":
    found = glance.equity(result.path, result.manifest)
    if found is None:
        return None
    scale, unit = (100.0, "%") if found.unit == "bps" else (1.0, found.unit)
    return plots.equity(found.ts, found.sums / scale, unit, "Sum of returns, the same stake on each trade")


def _returns(result: "Result") -> "Figure | None":
    table = _first(result, "policy/trades.parquet")
    if table is None:
        return None
    bps = "realized_return_bps" in table.column_names
    values = numbers(table, "realized_return_bps" if bps else "realized_r")
    values = values[~np.isnan(values)] / (100 if bps else 1)
    return plots.histogram(values, "%" if bps else "R", "Returns of the trades") if values.size else None


def _callers(result: "Result") -> "Figure | None":
    table = _first(result, "callers")
    if table is None or not table.num_rows:
        return None
    table = table.filter(pc.is_valid(table["hit_2x_km"])).slice(0, 30)
    names = [name or "(none)" for name in table["caller_name"].to_pylist()]
    value, low, high = (numbers(table, f"hit_2x_km{end}") * 100 for end in ("", "_low", "_high"))
    return plots.intervals(names, value, low, high, "%", None, "Calls that reached 2x, with 95% intervals")


def _strategies(result: "Result") -> "Figure | None":
    table = _first(result, "strategy_index")
    if table is None:
        return None
    table = table.filter(pc.is_valid(table["total_return"])).sort_by([("total_return", "descending")]).slice(0, 20)
    names = [f"{row['strategy_id']} {row['symbol'][:8]}" for row in table.to_pylist()]
    return plots.bars(names, [("return", numbers(table, "total_return") * 100)], "%", "Best strategies, total return")


def _first(result: "Result", name: str) -> "pa.Table | None":
    return result.table(name) if result.manifest.artifact(name) is not None else None


PLOTS: dict[str, Callable[["Result"], "Figure | None"]] = {
    "map": _map,
    "equity": _equity,
    "returns": _returns,
    "callers": _callers,
    "strategies": _strategies,
}
