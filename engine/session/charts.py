"""Charts of trades as inline SVG that takes its colours from the page: lines by time, bars, points."""

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10

import numpy as np

from ...kernels.arrays import Floats, Ints

WIDTH, HEIGHT = 480, 240
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 12, 28
_ACROSS, _UP = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM


def line(ts: Ints, values: Floats, what: str, unit: str = "R") -> str:
    """Return a line that stays until the next value, filled down to zero; times ms UTC."""
    low, high, ticks = _scale(min(0.0, float(values.min())), max(0.0, float(values.max())))
    first, span = int(ts[0]), max(1, int(ts[-1] - ts[0]))
    xs, ys = LEFT + (ts - first) / span * _ACROSS, _y(values, low, high)
    steps = "".join(f"H{x:.4g}V{y:.4g}" for x, y in zip(xs[1:].tolist(), ys[1:].tolist(), strict=True))
    zero = float(_y(np.zeros(1), low, high)[0])
    path = f"M{xs[0]:.4g} {ys[0]:.4g}{steps}"
    tone = "loss" if values[-1] < 0 or float(values.max()) <= 0 else "gain"
    return _svg(
        what,
        _rules(ticks, low, high, unit),
        f'<path class="{tone} area" d="{path}V{zero:.4g}H{xs[0]:.4g}z"/><path class="{tone} line" d="{path}"/>',
        _dates(first, span),
    )


def histogram(values: Floats, what: str, width: float = 0.25, most: int = 48) -> str:
    """Return how many of ``values`` lie in each stretch of ``width`` R, or of a wider round one where they are many."""
    low, high = floor(float(values.min()) / width), floor(float(values.max()) / width) + 1
    while high - low > most:
        width *= 2
        low, high = floor(float(values.min()) / width), floor(float(values.max()) / width) + 1
    counts = np.bincount(np.clip(np.floor(values / width).astype(int) - low, 0, high - low - 1), minlength=high - low)
    _, top, ticks = _scale(0.0, float(counts.max()))
    each = _ACROSS / counts.size
    bars = []
    for k, count in enumerate(counts.tolist()):
        tall = count / top * _UP
        tone = "gain" if (low + k) * width >= 0 else "loss"
        place = f'x="{LEFT + k * each + 0.5:.4g}" y="{TOP + _UP - tall:.4g}" width="{max(each - 1, 0.5):.4g}"'
        words = f"{(low + k) * width:g} to {(low + k + 1) * width:g} R: {count}"
        bars.append(f'<rect class="{tone} bar" {place} height="{tall:.4g}"><title>{words}</title></rect>')
    marks = [(LEFT + k * each, f"{(low + k) * width:g}") for k in _few(counts.size)]
    return _svg(what, _rules(ticks, 0.0, top, ""), "".join(bars), _labels(marks))


def bars(names: Sequence[str], counts: Sequence[int], notes: Sequence[str], tones: Sequence[bool], what: str) -> str:
    """Return horizontal bars, one a name, with a note behind each; ``tones``: it made money."""
    tall, room = min(26, (HEIGHT - TOP) / max(1, len(names))), 150
    most, parts = max(counts, default=1), []
    for k, (name, count, note, gains) in enumerate(zip(names, counts, notes, tones, strict=True)):
        y, long = TOP + k * tall, count / most * (WIDTH - 2 * room)
        parts.append(
            f'<text x="{room - 8}" y="{y + tall * 0.62:.4g}" text-anchor="end">{escape(name)}</text>'
            f'<rect class="{"gain" if gains else "loss"} bar" x="{room}" y="{y + 3:.4g}" width="{max(long, 1):.4g}" '
            f'height="{tall - 6:.4g}"/>'
            f'<text x="{room + long + 7:.4g}" y="{y + tall * 0.62:.4g}">{escape(note)}</text>'
        )
    return _svg(what, "", "".join(parts), "", height=round(2 * TOP + tall * len(names)))


def points(x: Floats, y: Floats, gains: np.ndarray, what: str, x_name: str, y_name: str) -> str:
    """Return one point a trade; ``gains`` bool: it made money."""
    left, right, below = _scale(min(0.0, float(x.min())), max(0.0, float(x.max())))
    low, high, ticks = _scale(min(0.0, float(y.min())), max(0.0, float(y.max())))
    xs, ys = LEFT + (x - left) / (right - left) * _ACROSS, _y(y, low, high)
    drawn = ""
    for tone, some in (("loss", ~gains), ("gain", gains)):
        dots = "".join(f"M{a:.4g} {b:.4g}h0" for a, b in zip(xs[some].tolist(), ys[some].tolist(), strict=True))
        drawn += f'<path class="{tone} dots" d="{dots}"/>' if dots else ""
    marks = [(LEFT + (value - left) / (right - left) * _ACROSS, f"{value:g}") for value in below]
    named = (
        f'<text x="{WIDTH - RIGHT}" y="{TOP + _UP - 6}" text-anchor="end">{escape(x_name)}</text>'
        f'<text x="{LEFT + 6}" y="{TOP + 10}">{escape(y_name)}</text>'
    )
    return _svg(what, _rules(ticks, low, high, ""), drawn, _labels(marks) + named)


def _svg(what: str, rules: str, drawn: str, labels: str, height: int = HEIGHT) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(what)}">{rules}{drawn}{labels}</svg>'


def _scale(low: float, high: float) -> tuple[float, float, list[float]]:
    """Return round ends around two values, and the ticks between them, about five."""
    span = (high - low) or 1.0
    unit = 10.0 ** floor(log10(span / 5))
    step = next(each * unit for each in (1, 2, 2.5, 5, 10) if each * unit * 5 >= span * (1 - 1e-9))
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    last = max(last, first + 1)
    ticks = [round(k * step, 10) + 0.0 for k in range(first, last + 1)]
    return ticks[0], ticks[-1], ticks


def _y(values: Floats, low: float, high: float) -> Floats:
    return TOP + (high - values) / (high - low) * _UP


def _rules(ticks: Sequence[float], low: float, high: float, unit: str) -> str:
    """Return lines across at the ticks, that of zero stronger, with their numbers."""
    parts = []
    for value in ticks:
        y = float(_y(np.array([value]), low, high)[0])
        kind = "zero" if value == 0 else "rule"
        parts.append(f'<path class="{kind}" d="M{LEFT} {y:.4g}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.4g}" text-anchor="end">{value:g}{unit}</text>')
    return "".join(parts)


def _labels(marks: Sequence[tuple[float, str]]) -> str:
    """Return words below the chart."""
    return "".join(
        f'<text x="{x:.4g}" y="{HEIGHT - 9}" text-anchor="middle">{escape(text)}</text>' for x, text in marks
    )


def _dates(first: int, span: int) -> str:
    """Return four days below a chart by time."""
    marks = []
    for k in range(4):
        day = str(np.datetime64(first + span * k // 3, "ms").astype("datetime64[D]"))
        anchor = ("start", "middle", "middle", "end")[k]
        x = LEFT + _ACROSS * k / 3
        marks.append(f'<text x="{x:.4g}" y="{HEIGHT - 9}" text-anchor="{anchor}">{day}</text>')
    return "".join(marks)


def _few(count: int) -> range:
    """Return which of ``count`` bars get a label: eight at most."""
    return range(0, count, max(1, -(-count // 8)))
