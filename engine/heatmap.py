"""Heat maps of a surface, as a self-contained SVG and for the terminal: cells around zero, gains blue, losses orange.

Blue and orange stay apart in every common colour blindness, and darkness says how far from zero. Cells have one size
whatever the edges, so a logarithmic axis is drawn as one.
"""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..kernels.arrays import Floats
from .values import show_duration

if TYPE_CHECKING:
    from rich.text import Text

STEPS = 8  # shades on each side of zero
_GAIN = ((247, 247, 244), (198, 219, 239), (107, 174, 214), (33, 113, 181), (8, 48, 107))
_LOSS = ((247, 247, 244), (253, 217, 176), (253, 160, 80), (205, 80, 10), (110, 35, 5))
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 720, 92, 118, 86, 60
_INK, _FAINT = "#222", "#777"


class Scale(NamedTuple):
    """``limit``: the value of the darkest shade, > 0; ``clipped``: some values lie beyond it."""

    limit: float
    clipped: bool

    def shade(self, value: float) -> int:
        """Return the shade of a value, -STEPS to STEPS; 0 only near zero."""
        return int(np.clip(np.rint(value / self.limit * STEPS), -STEPS, STEPS))


def svg(values: Floats, x_edges: Floats, y_edges: Floats, x_name: str, y_name: str, title: str, unit: str) -> str:
    """Return an SVG 720 px wide of ``values`` float64[Y, X] (NaN: empty); edges are X + 1 and Y + 1 long, ascending.

    Row 0 is at the bottom. Empty cells are hatched and the highest one is outlined.
    """
    rows, columns = values.shape
    across, scale = (WIDTH - LEFT - RIGHT) / columns, scale_of(values)
    up = min(max(across, 240 / rows), 420 / rows)
    wide, high = across * columns, up * rows
    height = round(TOP + high + BOTTOM)
    best, share = _words(values, x_edges, y_edges, x_name, y_name, unit)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img" font-family="system-ui,sans-serif" font-size="12">',
        f"<title>{_text(title)}</title>",
        f"<desc>{_text(f'{title} in {unit} over {x_name} and {y_name}. {best} {share}')}</desc>",
        '<defs><pattern id="hw-empty" width="6" height="6" patternUnits="userSpaceOnUse">'
        '<path d="M0 6L6 0" stroke="#999" stroke-width="1"/></pattern></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{LEFT}" y="26" font-size="17" font-weight="600" fill="{_INK}">{_text(title)}</text>',
        f'<text x="{LEFT}" y="48" fill="{_FAINT}">{_text(best)}</text>',
        f'<text x="{LEFT}" y="66" fill="{_FAINT}">{_text(share)}</text>',
        f'<g transform="translate({LEFT} {TOP})">',
        *_cells(values, scale, across, up),
        f'<rect width="{wide:g}" height="{high:g}" fill="none" stroke="{_FAINT}"/>',
        *_x_axis(x_edges, x_name, across, high),
        *_y_axis(y_edges, y_name, up, high),
        "</g>",
        *_legend(scale, unit, high, bool(np.isnan(values).any())),
        "</svg>\n",
    ]
    return "\n".join(parts)


def terminal(
    values: Floats, x_edges: Floats, y_edges: Floats, x_name: str, y_name: str, title: str, unit: str
) -> "Text":
    """Return the heat map as text of at most 80 columns, for up to 32 cells across; arguments as for ``svg``.

    A cell is its sign and its shade, 1 to 8, so that it reads without colours too; ``..`` is empty.
    """
    from rich.text import Text

    scale, labels = scale_of(values), edge_labels(y_name, y_edges)
    margin = max(map(len, labels))
    out = Text(f"{_plain(title)}, {_plain(unit)}; a square is the mean of its policies\n", no_wrap=True)
    out.append(f"{' ' * margin}   {_plain(y_name)}\n", "dim")
    for y in reversed(range(values.shape[0])):
        shown = y % max(1, -(-values.shape[0] // 8)) == 0
        out.append(f"{labels[y] if shown else '':>{margin}} | ", "dim")
        for value in values[y]:
            if np.isnan(value):
                out.append("..", "dim")
                continue
            shade = scale.shade(value)
            out.append(f"{shade:+d}" if shade else " 0", f"{_ink(shade)} on {_hex(shade)}")
        out.append("\n")
    out.append(f"{'':>{margin}}   {_ruler(edge_labels(x_name, x_edges), 2)}  {_plain(x_name)}\n", "dim")
    end = f"{number(scale.limit)} {_plain(unit)}{' or more' if scale.clipped else ''}"
    best, share = _words(values, x_edges, y_edges, x_name, y_name, unit, "squares")
    out.append(f"+{STEPS} is {end}, -{STEPS} the same lost\n{_plain(best)}\n{share}")
    return out


def scale_of(values: Floats) -> Scale:
    """Return a round limit that all but the wildest hundredth of the cells keep."""
    sizes = np.abs(values[np.isfinite(values)])
    if not sizes.size or not sizes.max():
        return Scale(1.0, False)
    top = float(np.quantile(sizes, 0.99)) or float(sizes.max())
    unit = 10.0 ** np.floor(np.log10(top))
    limit = next(step * unit for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * unit >= top * (1 - 1e-12))
    return Scale(float(limit), bool(sizes.max() > limit))


def _colour(shade: int) -> tuple[int, ...]:
    anchors = _GAIN if shade >= 0 else _LOSS
    at = abs(shade) / STEPS * (len(anchors) - 1)
    k = min(int(at), len(anchors) - 2)
    return tuple(round(a + (b - a) * (at - k)) for a, b in zip(anchors[k], anchors[k + 1], strict=True))


def _hex(shade: int) -> str:
    return "#" + bytes(_colour(shade)).hex()


def _ink(shade: int) -> str:
    """Return black or white, whichever stands out more from a shade (WCAG 2 luminance, crossing over at 0.18)."""
    luminance = sum(part * (c / 255) ** 2.2 for part, c in zip((0.2126, 0.7152, 0.0722), _colour(shade), strict=True))
    return "#000000" if luminance > 0.18 else "#ffffff"


def outlines(values: Floats, scale: Scale, across: float, up: float) -> dict[int | None, str]:
    """Return the path of SVG around all cells of a shade, by shade as they come, row 0 lowest; None: the empty ones."""
    paths: dict[int | None, list[str]] = {}
    rows = values.shape[0]
    for (y, x), value in np.ndenumerate(values):
        cell = f"M{x * across:.5g} {(rows - 1 - y) * up:.5g}h{across:.5g}v{up:.5g}h-{across:.5g}z"
        paths.setdefault(None if np.isnan(value) else scale.shade(float(value)), []).append(cell)
    return {shade: "".join(cells) for shade, cells in paths.items()}


def _cells(values: Floats, scale: Scale, across: float, up: float) -> list[str]:
    """Return one path a shade, and the outline of the highest cell."""
    rows, found = values.shape[0], []
    for shade, d in outlines(values, scale, across, up).items():
        fill = "url(#hw-empty)" if shade is None else _hex(shade)
        edge = "" if shade is None else f' stroke="{fill}" stroke-width=".5"'
        found.append(f'<path fill="{fill}" d="{d}"{edge}/>')
    if np.isfinite(values).any():
        y, x = divmod(int(np.nanargmax(values)), values.shape[1])
        box = f'x="{x * across:.5g}" y="{(rows - 1 - y) * up:.5g}" width="{across:.5g}" height="{up:.5g}"'
        found.append(f'<rect {box} fill="none" stroke="#fff" stroke-width="4"/>')
        found.append(f'<rect {box} fill="none" stroke="{_INK}" stroke-width="2"/>')
    return found


def _x_axis(edges: Floats, name: str, across: float, high: float) -> list[str]:
    labels, every = edge_labels(name, edges), max(1, -(-(len(edges) - 1) // 8))
    found = [f'<g text-anchor="middle" fill="{_INK}">']
    for k in range(0, len(labels), every):
        found.append(f'<path d="M{k * across:.5g} {high:g}v5" stroke="{_FAINT}"/>')
        found.append(f'<text x="{k * across:.5g}" y="{high + 19:g}">{_text(labels[k])}</text>')
    middle = across * (len(edges) - 1) / 2
    return [*found, f'<text x="{middle:g}" y="{high + 44:g}" font-weight="600">{_text(name)}</text></g>']


def _y_axis(edges: Floats, name: str, up: float, high: float) -> list[str]:
    labels, every = edge_labels(name, edges), max(1, -(-(len(edges) - 1) // 8))
    found = [f'<g text-anchor="end" fill="{_INK}">']
    for k in range(0, len(labels), every):
        found.append(f'<path d="M0 {high - k * up:.5g}h-5" stroke="{_FAINT}"/>')
        found.append(f'<text x="-9" y="{high - k * up + 4:.5g}">{_text(labels[k])}</text>')
    turned = f'transform="translate({20 - LEFT} {high / 2:g}) rotate(-90)" text-anchor="middle" font-weight="600"'
    return [*found, f"<text {turned}>{_text(name)}</text></g>"]


def _legend(scale: Scale, unit: str, high: float, empty: bool) -> list[str]:
    """Return the colour bar, with its two ends marked where values lie beyond, and the hatched swatch."""
    tall = min(high - (44 if empty else 20), 260.0)
    step = tall / (2 * STEPS + 1)
    found = [f'<g transform="translate({WIDTH - RIGHT + 24} {TOP})" fill="{_INK}"><text y="8">{_text(unit)}</text>']
    for k, shade in enumerate(range(STEPS, -STEPS - 1, -1)):
        found.append(f'<rect y="{18 + k * step:.5g}" width="16" height="{step + 0.3:.4g}" fill="{_hex(shade)}"/>')
        if shade % (STEPS // 2) == 0:
            beyond = ("≥ " if shade > 0 else "≤ ") if scale.clipped and abs(shade) == STEPS else ""
            label = beyond + number(scale.limit * shade / STEPS)
            found.append(f'<text x="23" y="{18 + (k + 0.5) * step + 4:.5g}">{label}</text>')
    found.append(f'<rect y="18" width="16" height="{tall:.5g}" fill="none" stroke="{_FAINT}"/>')
    if empty:
        box = f'y="{tall + 30:.5g}" width="16" height="14"'
        found.append(
            f'<rect {box} fill="url(#hw-empty)" stroke="{_FAINT}"/><text x="23" y="{tall + 41:.5g}">empty</text>'
        )
    return [*found, "</g>"]


def _words(
    values: Floats, x_edges: Floats, y_edges: Floats, x_name: str, y_name: str, unit: str, cells: str = "cells"
) -> tuple[str, str]:
    """Return the highest cell and the share of gains, in words."""
    if not np.isfinite(values).any():
        return "Every cell is empty.", ""
    y, x = divmod(int(np.nanargmax(values)), values.shape[1])
    xs, ys = edge_labels(x_name, x_edges), edge_labels(y_name, y_edges)
    place = f"{x_name} {xs[x]} to {xs[x + 1]}, {y_name} {ys[y]} to {ys[y + 1]}"
    share = 100 * np.mean(values[np.isfinite(values)] > 0)
    return f"Highest: {number(float(values[y, x]))} {unit} at {place}.", f"{share:.0f} % of the {cells} are above zero."


def edge_labels(name: str, edges: Floats) -> list[str]:
    """Return the edges as durations where the name says ms, else with as few digits as tell them apart."""
    if name.endswith("_ms"):
        whole = 60_000 if edges[-1] >= 3_600_000 else 1_000
        return [show_duration(round(edge / whole) * whole) for edge in edges.tolist()]
    written = ([f"{edge:.{digits}g}" for edge in edges.tolist()] for digits in range(3, 18))
    return next(labels for labels in written if len(set(labels)) == len(set(edges.tolist())))


def _ruler(labels: Sequence[str], cell: int) -> str:
    """Return the labels under their edges, ``cell`` columns apart, leaving out those that would run into the last."""
    line = ""
    for k, label in enumerate(labels):
        if not line or len(line) + 2 <= k * cell:
            line = f"{line:<{k * cell}}{label}"
    return line


def number(value: float) -> str:
    """Return a number as a label of a scale has it: whole from 100 on, else three digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _text(text: str) -> str:
    return escape(_plain(text))


def _plain(text: str) -> str:
    """Return printable text: control characters, which neither XML nor a terminal may be given, as blanks."""
    return "".join(c if c.isprintable() else " " for c in text)
