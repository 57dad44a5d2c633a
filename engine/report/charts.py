"""Charts as shapes in a box, with the points that a reader can ask of: lines by time, steps, bars, dots, heat."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels.arrays import Floats, Ints
from ..values import show_instant
from .axes import scale, shares, spans, times
from .parts import Chart, Shape

BOX = 1000  # the box is as wide and as high
MOST = 1200  # points of a line: more than a screen has columns
MOST_DOTS = 4000
Form = Callable[[float], str]


def by_time(title: str, label: str, ts: Ints, values: Floats, form: Form, **how: Any) -> Chart:
    """Return a line that keeps each value until the next, filled down to zero; ``ts`` ms UTC, ascending."""
    kept = thinned(values, MOST)
    ts, values = ts[kept], values[kept]
    low, high, ticks = scale(min(0.0, float(values.min())), max(0.0, float(values.max())))
    first, last = int(ts[0]), max(int(ts[-1]), int(ts[0]) + 1)
    xs, ys = shares(ts, first, last) * BOX, (1 - shares(values, low, high)) * BOX
    zero = (1 - shares(np.zeros(1), low, high)[0]) * BOX
    line = _stairs(xs, ys)
    tone = "loss" if values[-1] < 0 or float(values.max()) <= 0 else "gain"
    texts = [f"{show_instant(t)}: {form(v)}" for t, v in zip(ts.tolist(), values.tolist(), strict=True)]
    return Chart(
        title,
        label,
        [
            Shape(f"area {tone}", f"{line}V{zero:.4g}H{xs[0]:.4g}z"),
            *rules(ticks, low, high),
            Shape(f"line {tone}", line),
        ],
        [(1 - share, form(value)) for value, share in zip(ticks, shares(np.array(ticks), low, high), strict=True)],
        times(first, last),
        data={"mode": "x", "span": [first, last], "series": [_series("", xs, ys, texts)]},
        **how,
    )


def steps(
    title: str, label: str, series: Sequence[tuple[str, Ints, Floats]], last: int, form: Form, **how: Any
) -> Chart:
    """Return curves of shares that rise from 0 by steps, each over times since the start; ``last`` ms."""
    high = max((float(values.max(initial=0.0)) for _, _, values in series), default=0.0)
    low, high, ticks = scale(0.0, high or 1.0)
    shapes, data = rules(ticks, low, high), []
    for k, (name, ts, values) in enumerate(series):
        kept = thinned(values, 400)
        ts, values = ts[kept], values[kept]
        xs, ys = shares(ts, 0, last) * BOX, (1 - shares(values, low, high)) * BOX
        shapes.append(Shape(f"line s{k}", f"{_stairs(xs, ys)}H{BOX}", k))
        texts = [f"{form(v)} within {_span(t)}" for t, v in zip(ts.tolist(), values.tolist(), strict=True)]
        data.append(_series(name, xs, ys, texts))
    left = [(1 - share, form(value)) for value, share in zip(ticks, shares(np.array(ticks), low, high), strict=True)]
    names = [name for name, _, _ in series]
    return Chart(title, label, shapes, left, spans(last), names=names, data={"mode": "x", "series": data}, **how)


def _span(ms: float) -> str:
    from ..show import span

    return span(ms)


def histogram(title: str, label: str, edges: Floats, counts: Ints, form: Form, zero: float, **how: Any) -> Chart:
    """Return a bar for each count, between ``edges`` drawn at equal distances; those from ``zero`` on are gains."""
    _, top, ticks = scale(0.0, max(1.0, float(counts.max(initial=0))), 4)
    wide, shapes = BOX / counts.size, rules(ticks, 0.0, top)
    xs, ys = (np.arange(counts.size) + 0.5) * wide, (1 - counts / top) * BOX
    for tone, some in (("loss", edges[:-1] < zero), ("gain", edges[:-1] >= zero)):
        bars = "".join(
            f"M{x - wide * 0.44:.4g} {BOX}V{y:.4g}h{wide * 0.88:.4g}V{BOX}z"
            for x, y in zip(xs[some].tolist(), ys[some].tolist(), strict=True)
            if y < BOX
        )
        shapes.append(Shape(f"bar {tone}", bars))
    names = [form(edge) for edge in edges.tolist()]
    total = max(1, int(counts.sum()))
    texts = [f"{names[k]} to {names[k + 1]}: {n:,} ({n / total:.1%})" for k, n in enumerate(counts.tolist())]
    every = max(1, -(-counts.size // 8))
    at = int(np.argmin(np.abs(edges - zero))) % every
    below = [(k / counts.size, names[k]) for k in range(at, counts.size + 1, every)]
    left = [(1 - value / top, f"{value:,.0f}") for value in ticks]
    return Chart(title, label, shapes, left, below, data={"mode": "x", "series": [_series("", xs, ys, texts)]}, **how)


def bins(values: Floats, most: int = 40) -> tuple[Floats, Ints]:
    """Return round edges around all values (basis points) but the wildest hundredth at each end, and counts between.

    The first and the last bin hold what lies beyond too; 0 is an edge. Where some more than double, a bin is a quarter
    of a doubling of what was paid.
    """
    low, high = (float(each) for each in np.quantile(values, [0.01, 0.99]))
    low, high = min(low, 0.0), max(high, 0.0)
    if high > 10_000:
        first, last = (np.log2(max(each / 10_000 + 1, 0.02)) * 4 for each in (low, high))
        edges = (2.0 ** (np.arange(np.floor(first), np.ceil(last) + 1) / 4) - 1) * 10_000
    else:
        _, _, ticks = scale(low, high, most)
        edges = np.array(ticks)
    kept = np.clip(values, edges[0], np.nextafter(edges[-1], edges[0]))
    return edges, np.histogram(kept, edges)[0].astype(np.int64)


def points(
    title: str, label: str, x: Floats, y: Floats, gains: NDArray[np.bool_], texts: Sequence[str], form: Form, **how: Any
) -> Chart:
    """Return a dot for each (x, y), in two colours; beyond MOST_DOTS an even choice of them, which the note says."""
    if x.size > MOST_DOTS:
        kept = np.arange(MOST_DOTS) * x.size // MOST_DOTS
        how["note"] = f"{MOST_DOTS:,} of {x.size:,} are drawn, evenly chosen. {how.get('note', '')}".strip()
        x, y, gains, texts = x[kept], y[kept], gains[kept], [str(texts[k]) for k in kept.tolist()]
    left, right, below = scale(min(0.0, float(x.min())), max(0.0, float(x.max())))
    low, high, ticks = scale(min(0.0, float(y.min())), max(0.0, float(y.max())))
    xs, ys = shares(x, left, right) * BOX, (1 - shares(y, low, high)) * BOX
    shapes = [*rules(ticks, low, high), *uprights(below, left, right)]
    for tone, some in (("loss", ~gains), ("gain", gains)):
        dots = "".join(f"M{a:.4g} {b:.4g}h0" for a, b in zip(xs[some].tolist(), ys[some].tolist(), strict=True))
        shapes.append(Shape(f"dots {tone}", dots))
    order = np.argsort(xs, kind="stable")
    data = _series("", xs[order], ys[order], [str(texts[k]) for k in order.tolist()])
    return Chart(
        title,
        label,
        [shape for shape in shapes if shape.path],
        [(1 - s, form(v)) for v, s in zip(ticks, shares(np.array(ticks), low, high), strict=True)],
        [(float(s), form(v)) for v, s in zip(below, shares(np.array(below), left, right), strict=True)],
        data={"mode": "xy", "series": [data]},
        **how,
    )


def rules(ticks: Sequence[float], low: float, high: float) -> list[Shape]:
    """Return lines across at the ticks, that of zero stronger."""
    found = []
    for style, some in (("rule", [t for t in ticks if t != 0]), ("zero", [t for t in ticks if t == 0])):
        ys = (1 - shares(np.array(some), low, high)) * BOX if some else ()
        if len(some):
            found.append(Shape(style, "".join(f"M0 {y:.4g}H{BOX}" for y in ys)))
    return found


def uprights(ticks: Sequence[float], low: float, high: float) -> list[Shape]:
    """Return lines upwards at the ticks, that of zero stronger."""
    found = []
    for style, some in (("rule", [t for t in ticks if t != 0]), ("zero", [t for t in ticks if t == 0])):
        xs = shares(np.array(some), low, high) * BOX if some else ()
        if len(some):
            found.append(Shape(style, "".join(f"M{x:.4g} 0V{BOX}" for x in xs)))
    return found


def thinned(values: Floats, most: int) -> Ints:
    """Return which of many values to draw: the first, the last, and the lowest and highest of each stretch."""
    size = values.size
    if size <= most:
        return np.arange(size)
    starts = np.arange(most // 2) * size // (most // 2)
    ends = np.append(starts[1:], size)
    found = [0, size - 1]
    for first, last in zip(starts.tolist(), ends.tolist(), strict=True):
        piece = values[first:last]
        found += [first + int(piece.argmin()), first + int(piece.argmax())]
    return np.unique(found)


def _stairs(xs: Floats, ys: Floats) -> str:
    rest = "".join(f"H{x:.5g}V{y:.4g}" for x, y in zip(xs[1:].tolist(), ys[1:].tolist(), strict=True))
    return f"M{xs[0]:.4g} {ys[0]:.4g}{rest}"


def _series(name: str, xs: NDArray[Any], ys: NDArray[Any], texts: Sequence[str]) -> dict[str, Any]:
    return {"name": name, "x": np.round(xs, 1).tolist(), "y": np.round(ys, 1).tolist(), "text": list(texts)}
