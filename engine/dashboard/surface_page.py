"""A surface, cut through any two of its parameters, and the best of a search."""

from pathlib import Path

import numpy as np
import streamlit as st

from ...io.schemas import PARAMETERS
from .. import glance, heatmap, plots
from ..policy import describe, parse_policy
from ..reopen import numbers
from ..service import results
from ..service.runs import Run
from ..service.tables import page
from ..show import bps, span
from .parts import chart, forms_of, paged, words

_VALUES = {
    "avg_return_bps": "mean return",
    "plateau_bps": "plateau: the worst mean around",
    "mean_worst_bps": "mean, worst order in candles",
    "mean_best_bps": "mean, best order in candles",
    "median_return_bps": "median return",
    "win_rate": "wins",
    "stop_out_rate": "stopped out",
    "ambiguous_rate": "ambiguous",
}
_RANKED = (
    *("rank", "avg_return_bps", "mean_worst_bps", "mean_best_bps", "plateau_bps", "median_return_bps", "win_rate"),
    *("expectancy", "total_r", "total_trades", "stop_out_rate", *PARAMETERS),
)
_LATE = ("policy_params", "caller_name")
_MOST = 160  # cells on a side that a screen tells apart


def show(_: Path, run: Run) -> None:
    """Show the cells over two parameters; the others are held at values to choose, first at those of the best cell."""
    st.title("Surface")
    first = results.surface(run)
    names = list(first.values)
    varied = [name for name in names if len(first.values[name]) > 1] or names
    left, middle, right = st.columns(3)
    x = left.selectbox("Across", varied, index=min(len(varied) - 1, varied.index(first.x) if first.x in varied else 0))
    others = [name for name in varied if name != x] or [x]
    y = middle.selectbox("Up", others)
    value = right.selectbox("Value", _VALUES, format_func=lambda each: _VALUES[each])
    held = {
        name: st.select_slider(
            _words(name),
            options=first.values[name],
            value=first.held.get(name, first.values[name][0]),
            format_func=lambda level, name=name: _level(name, level),
        )
        for name in varied
        if name not in (x, y)
    }
    _draw(results.surface(run, x, y, held, value), value)


def _draw(found: results.Slice, value: str) -> None:
    """Show a cut as a heat map, and its best cell in words."""
    if found.x == found.y or not found.table.num_rows:
        st.info("This surface has no two parameters that vary.")
        return
    scale = 100.0 if value.endswith("_bps") else 0.01  # either becomes percent
    xs, ys = (np.array(found.values[name]) for name in (found.x, found.y))
    cells = np.full((ys.size, xs.size), np.nan)
    rows = np.searchsorted(ys, numbers(found.table, found.y))
    cells[rows, np.searchsorted(xs, numbers(found.table, found.x))] = numbers(found.table, value) / scale
    if np.isnan(cells).all():
        st.info("This value was not asked for when the surface was made.")
        return
    best_y, best_x = divmod(int(np.nanargmax(cells)), xs.size)
    place = f"{_words(found.x)} {_level(found.x, xs[best_x])}, {_words(found.y)} {_level(found.y, ys[best_y])}"
    best = float(cells[best_y, best_x])
    said = bps(best * 100, 2) if value.endswith("_bps") else f"{best:.1f}%"
    held = "".join(f", {_words(name)} {_level(name, level)}" for name, level in found.held.items())
    st.caption(
        words(f"Highest of this cut: {said} at {place}{held}. {np.nanmean(cells > 0):.0%} of its cells are above 0.")
    )
    thin_x, thin_y = (np.unique(np.linspace(0, a.size - 1, min(a.size, _MOST)).round().astype(int)) for a in (xs, ys))
    figure = plots.heat(
        cells[np.ix_(thin_y, thin_x)],
        [_level(found.x, level) for level in xs[thin_x].tolist()],
        [_level(found.y, level) for level in ys[thin_y].tolist()],
        _words(found.x),
        _words(found.y),
        "%",
    )
    figure.update_layout(height=520)
    chart(figure, "surface")
    if max(xs.size, ys.size) > _MOST:
        st.caption(
            f"{thin_x.size} of {xs.size:,} columns and {thin_y.size} of {ys.size:,} rows are drawn, evenly chosen."
        )


def search(_: Path, run: Run) -> None:
    """Show the ranked best of a search, and the map of its two parameters that move the mean most."""
    st.title("Search")
    kind = "frontier" if run.manifest.artifact("frontier") else "session_trials"
    if kind == "frontier":
        top = page(run, "frontier", limit=1).table.to_pylist()
        if top:
            st.caption(words(f"The winner: {describe(parse_policy(top[0]['policy_params']))}"))
        _map(run)
    schema = page(run, kind, limit=1).table.schema
    forms = forms_of(schema)
    first = [name for name in _RANKED if name in forms]
    forms = {name: forms[name] for name in (*first, *(each for each in forms if each not in (*first, *_LATE)))}
    choose = "its policy" if kind == "frontier" else ""
    row = paged(lambda limit, offset: page(run, kind, limit=limit, offset=offset), forms, kind, "ranked", choose)
    if row is not None and "policy_params" in row:
        st.code(row["policy_params"], language="json", wrap_lines=True)


def _map(run: Run) -> None:
    """Show the mean return of a search over two of its parameters."""
    found = glance.landscape(run.path, run.manifest)
    if found is None:
        return
    pairs = list(found.sums)
    lively = found.liveliest(1)
    at = pairs.index(lively[:2]) if lively else 0
    named = [f"{_words(a)} and {_words(b)}" for a, b in pairs]
    i = named.index(st.selectbox("Over", named, index=at)) if len(pairs) > 1 else at
    (x, y), (sums, counts) = pairs[i], found.sums[pairs[i]]
    alerts = results.metrics(run).values["trades_count"]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / counts / alerts / 10_000
    labels = {}
    for name in (x, y):
        values = found.values(name)
        labels[name] = heatmap.edge_labels(name, found.edges[name][:-1] if values is None else values)
    title = "Mean return of the trials, at or from each level on"
    chart(plots.heat(means, labels[x], labels[y], _words(x), _words(y), "%", title), "map")


def _words(name: str) -> str:
    return name.removesuffix("_ms").replace("_", " ")


def _level(name: str, level: float) -> str:
    return span(level) if name.endswith("_ms") else f"{level:.6g}"
