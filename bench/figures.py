"""Scale curves as one SVG: a panel for each axis, both scales logarithmic, a line for each way."""

import math
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT, LEFT, TOP = 480, 300, 64, 36  # a panel, and the room for its labels
PLOT_WIDTH, PLOT_HEIGHT = WIDTH - LEFT - 170, HEIGHT - TOP - 48
COLOURS = ("#1f6feb", "#bf5700", "#2da44e", "#8250df")
STYLE = "text{font:12px sans-serif;fill:#59636e}.title{font-weight:bold}.grid{stroke:#8c959f;stroke-opacity:.3}"


class Point(NamedTuple):
    """One measurement: the time of ``way`` at ``size`` on ``axis``."""

    axis: str
    size: float
    way: str
    ms: float


def curves(points: list[Point]) -> str:
    """Return the SVG of all points, two panels a row."""
    axes = list(dict.fromkeys(point.axis for point in points))
    ways = dict.fromkeys(point.way for point in points)
    colours = {way: COLOURS[i % len(COLOURS)] for i, way in enumerate(ways)}
    panels = [_panel([point for point in points if point.axis == axis], i, colours) for i, axis in enumerate(axes)]
    size = f'width="{2 * WIDTH}" height="{HEIGHT * -(-len(axes) // 2)}"'
    return "\n".join(
        [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', f"<style>{STYLE}</style>", *panels, "</svg>\n"]
    )


def _panel(points: list[Point], number: int, colours: dict[str, str]) -> str:
    sizes, times = sorted({point.size for point in points}), [point.ms for point in points]
    decades = range(math.floor(math.log10(min(times))), math.ceil(math.log10(max(times))) + 1)

    def across(size: float) -> float:
        return LEFT + PLOT_WIDTH * _part(size, sizes[0], sizes[-1])

    def down(ms: float) -> float:
        return TOP + PLOT_HEIGHT * (1 - _part(ms, 10.0 ** decades[0], 10.0 ** decades[-1]))

    parts = [f'<g transform="translate({WIDTH * (number % 2)},{HEIGHT * (number // 2)})">']
    parts.append(_text(LEFT, TOP - 14, f"ms over {points[0].axis}", "start", "title"))
    for decade in decades:
        y = down(10.0**decade)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{LEFT + PLOT_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{10.0**decade:g}", "end"))
    parts += [_text(across(size), TOP + PLOT_HEIGHT + 18, f"{size:,g}", "middle") for size in sizes]
    lines = {
        way: sorted((p.size, p.ms) for p in points if p.way == way) for way in dict.fromkeys(p.way for p in points)
    }
    floor = -math.inf  # no label above this, or two would overlap
    for way, line in sorted(lines.items(), key=lambda each: -each[1][-1][1]):
        colour = colours[way]
        at = [(across(size), down(ms)) for size, ms in line]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in at]
        floor = max(at[-1][1] + 4, floor + 14)
        parts.append(_text(at[-1][0] + 8, floor, way, "start", colour=colour))
    return "\n".join([*parts, "</g>"])


def _part(value: float, low: float, high: float) -> float:
    """Return how far ``value`` lies on the way from ``low`` to ``high``, 0 to 1, on a logarithmic scale."""
    return math.log(value / low) / math.log(high / low) if high > low else 0.5


def _text(x: float, y: float, text: str, anchor: str, kind: str = "", colour: str = "") -> str:
    more = f' class="{kind}"' if kind else f' style="fill:{colour}"' if colour else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'
