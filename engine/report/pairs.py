"""Heat maps over the parameters of tried configurations: the mean of a measure over every pair that was varied."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from ...kernels.arrays import Floats
from .heat import Axis, Heat, heat, said
from .parts import Chart

BINS, MAPS = 24, 4


def maps(columns: Mapping[str, Floats], measure: Floats, what: str, unit: str, best: int | None) -> list[Chart]:
    """Return the heat maps of the pairs of parameters over which ``measure`` differs most, at most MAPS.

    ``columns`` are numbers, NaN where a configuration does not have the parameter; ``best`` is the row of the winner.
    """
    varied = [name for name, values in columns.items() if np.unique(values[~np.isnan(values)]).size > 1]
    axes = {name: axis_of(name, columns[name]) for name in varied}
    found = []
    for x, y in itertools.combinations(varied, 2):
        values = means(axes[x], axes[y], columns[x], columns[y], measure)
        if np.isfinite(values).any():
            found.append((float(np.nanvar(values)), x, y, values))
    found.sort(key=lambda each: (-each[0], each[1], each[2]))
    others = len(varied) > 2
    return [
        _map(axes, columns, (x, y, values), (what, unit), best, others, first=not k)
        for k, (_, x, y, values) in enumerate(found[:MAPS])
    ]


def _map(
    axes: Mapping[str, Axis],
    columns: Mapping[str, Floats],
    of: tuple[str, str, Floats],
    said_as: tuple[str, str],
    best: int | None,
    others: bool,
    first: bool,
) -> Chart:
    (x, y, values), (what, unit) = of, said_as
    ring = None if best is None else (float(columns[x][best]), float(columns[y][best]))
    ring = None if ring is None or np.isnan(ring).any() else ring
    top = float(np.nanmax(values))
    label = f"Heat map of the {what} over {said(x)} and {said(y)}; the highest cell has {top:.3g}{unit}"
    averaged = ", averaged over the other parameters" if others else ""
    note = f"{what[0].upper()}{what[1:]}{averaged}.{' ◎ the best.' if ring else ''}"
    drawn = Heat(axes[x], axes[y], values, unit, ring=ring)
    return heat(f"{said(x)} and {said(y)}", label, drawn, 360 if first else 250, note, wide=first)


def axis_of(name: str, values: Floats) -> Axis:
    """Return an axis of a cell a value, or of BINS stretches where the values are many."""
    every = np.unique(values[~np.isnan(values)])
    if every.size > BINS:
        return Axis(name, np.linspace(every[0], every[-1], BINS + 1))
    middles = (every[:-1] + every[1:]) / 2
    edges = np.concatenate([[2 * every[0] - middles[0]], middles, [2 * every[-1] - middles[-1]]])
    return Axis(name, edges, every)


def means(x: Axis, y: Axis, xs: Floats, ys: Floats, measure: Floats) -> Floats:
    """Return the mean of ``measure`` in each cell, float64[Y, X], NaN where none lies."""
    known = np.flatnonzero(~np.isnan(xs) & ~np.isnan(ys) & np.isfinite(measure))
    shape = (y.edges.size - 1, x.edges.size - 1)
    sums, counts = np.zeros(shape), np.zeros(shape)
    at = [np.array([axis.bin_of(v) for v in values[known].tolist()], np.int64) for axis, values in ((y, ys), (x, xs))]
    np.add.at(sums, tuple(at), measure[known])
    np.add.at(counts, tuple(at), 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums / counts


def numeric(columns: Mapping[str, Sequence[object]]) -> dict[str, Floats]:
    """Return the columns that are numbers, as such; None becomes NaN."""
    found = {}
    for name, values in columns.items():
        some = [value for value in values if value is not None]
        if some and all(isinstance(value, int | float) and not isinstance(value, bool) for value in some):
            found[name] = np.array([np.nan if value is None else value for value in values], float)
    return found
