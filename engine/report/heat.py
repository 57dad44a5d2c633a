"""Heat maps on a page: cells in shades around zero, the winner, and where everything around pays too."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...kernels.arrays import Floats
from ..heatmap import STEPS, edge_labels, number, outlines, scale_of
from .axes import scale, spans
from .charts import BOX
from .parts import Chart, Mark, Shape, Tick


@dataclass(frozen=True)
class Axis:
    """A parameter in bins: ``edges`` ascending, and the one value that each bin holds where it is a grid of few."""

    name: str
    edges: Floats
    values: Floats | None = None

    def bin_of(self, value: float) -> int:
        """Return the number of the bin that holds a value."""
        return int(np.clip(np.searchsorted(self.edges, value, "right") - 1, 0, self.edges.size - 2))

    def words(self) -> list[str]:
        """Return what each bin holds, in words."""
        if self.values is not None:
            return edge_labels(self.name, self.values)
        ends = edge_labels(self.name, self.edges)
        return [f"{low} to {high}" for low, high in itertools.pairwise(ends)]

    def ticks(self, most: int = 6) -> list[Tick]:
        """Return ticks at round values, or in the middle of bins of one value."""
        count = self.edges.size - 1
        if self.values is None:
            low, high = float(self.edges[0]), float(self.edges[-1])
            every = np.array([tick for tick in _round(self, low, high, most) if low <= tick <= high])
            places = np.interp(every, self.edges, np.arange(count + 1) / count)
            return list(zip(places.tolist(), edge_labels(self.name, every), strict=True)) if every.size else []
        found = [((k + 0.5) / count, text) for k, text in enumerate(edge_labels(self.name, self.values))]
        return found[:: max(1, -(-(len(found) - 1) // most))]


def _round(axis: Axis, low: float, high: float, most: int) -> Sequence[float]:
    """Return round values from ``low`` to ``high``, or edges where bins of durations grow."""
    steps = np.diff(axis.edges)
    if steps[-1] > 1.5 * steps[0] and low > 0 and high > 5 * low:
        if axis.name.endswith("_ms"):
            return axis.edges[:: max(1, -(-steps.size // most))].tolist()
        tens = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
        digits = (1, 2, 3, 5, 7) if high < 20 * low else (1, 2, 5)
        return [float(f"{digit}e{ten}") for ten in tens for digit in digits]
    if axis.name.endswith("_ms"):
        return [share * high for share, _ in spans(int(high), most)]
    return scale(low, high, most)[2]


@dataclass(frozen=True)
class Heat:
    """Values float64[Y, X] over two parameters (NaN: none), row 0 lowest.

    ``safe`` bool[Y, X]: cells that with all their neighbours pay. ``ring``: (x, y) of the winner, and ``rings``: of
    others worth a look.
    """

    x: Axis
    y: Axis
    values: Floats
    unit: str
    safe: np.ndarray | None = None
    ring: tuple[float, float] | None = None
    rings: Sequence[tuple[float, float]] = ()


def heat(title: str, label: str, of: Heat, height: int = 380, note: str = "", wide: bool = True) -> Chart:
    """Return a heat map with one size of cell whatever the edges, so that a logarithmic axis is drawn as one."""
    rows, columns = of.values.shape
    scale = scale_of(of.values)
    across, up = BOX / columns, BOX / rows
    paths = {_style(shade): d for shade, d in outlines(of.values, scale, across, up).items() if shade is not None}
    shapes = [Shape(f"cell {style}", d) for style, d in sorted(paths.items())]
    if of.safe is not None and of.safe.any():
        outline = _outline(of.safe, across, up)
        shapes += [Shape("halo", outline), Shape("plateau", outline)]
    end = f"{number(scale.limit)}{of.unit}{' or more' if scale.clipped else ''}"
    return Chart(
        title,
        label,
        shapes,
        [(1 - at, text) for at, text in of.y.ticks()],
        of.x.ticks(),
        height=height,
        x_name=said(of.x.name),
        y_name=said(of.y.name),
        marks=_rings(of, across, up),
        legend=(f"-{end}", f"+{end}"),
        shades=[_style(shade) for shade in range(-STEPS, STEPS + 1)],
        note=note,
        wide=wide,
        data={"mode": "cell", "columns": columns, "rows": rows, "text": _texts(of)},
    )


def _style(shade: int) -> str:
    return f"{'g' if shade > 0 else 'l' if shade < 0 else 'n'}{abs(shade)}"


def _rings(of: Heat, across: float, up: float) -> list[Mark]:
    """Return the signs of the winner and of others, each in the middle of its cell."""
    rows, best = of.values.shape[0], (of.x.bin_of(of.ring[0]), of.y.bin_of(of.ring[1])) if of.ring else None
    places = {(of.x.bin_of(x), of.y.bin_of(y)) for x, y in of.rings} - {best}
    signs = [(*place, "○", "other") for place in sorted(places)] + ([(*best, "◎", "winner")] if best else [])
    return [Mark((x + 0.5) * across, (rows - 0.5 - y) * up, text, style) for x, y, text, style in signs]


def said(name: str) -> str:
    """Return a parameter in words."""
    return name if "." in name else name.removesuffix("_ms").replace("_", " ")


def _texts(of: Heat) -> list[str]:
    """Return what each cell says, the top row first."""
    xs, ys, found = of.x.words(), of.y.words(), []
    for y in reversed(range(of.values.shape[0])):
        for x, value in enumerate(of.values[y].tolist()):
            what = "empty" if value != value else f"{number(value)}{of.unit}"
            more = "; all around it pays" if of.safe is not None and of.safe[y, x] else ""
            found.append(f"{said(of.x.name)} {xs[x]}, {said(of.y.name)} {ys[y]}\n{what}{more}")
    return found


def _outline(inside: np.ndarray, across: float, up: float) -> str:
    """Return the border of the cells that are ``inside``."""
    rows = inside.shape[0]
    padded = np.pad(inside, 1)
    parts = []
    for y, x in np.argwhere(inside).tolist():
        top, left = (rows - 1 - y) * up, x * across
        if not padded[y + 1, x]:
            parts.append(f"M{left:.5g} {top:.5g}v{up:.5g}")
        if not padded[y + 1, x + 2]:
            parts.append(f"M{left + across:.5g} {top:.5g}v{up:.5g}")
        if not padded[y, x + 1]:
            parts.append(f"M{left:.5g} {top + up:.5g}h{across:.5g}")
        if not padded[y + 2, x + 1]:
            parts.append(f"M{left:.5g} {top:.5g}h{across:.5g}")
    return "".join(parts)
