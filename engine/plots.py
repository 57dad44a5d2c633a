"""Interactive charts of results as plotly figures: for notebooks, and for the dashboard."""

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..io.errors import UsageError
from ..kernels.arrays import Candles, Floats, Ints
from .show import plain

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

GAIN, LOSS, FAINT = "#3987c9", "#d9722b", "#888888"  # apart in every common colour blindness, on white and on black
SHADES = [[0, "#a4400a"], [0.25, "#f0974a"], [0.5, "#f4f4f1"], [0.75, "#6baed6"], [1, "#1a5a9c"]]
MOST = 4000  # points of a line or a cloud


def _go() -> Any:
    """Return plotly's figures. Raises UsageError where plotly is missing."""
    if importlib.util.find_spec("plotly") is None:
        raise UsageError("a plot needs plotly, which is not installed; pip install 'highwater[report]'")
    import plotly.graph_objects as go

    return go


def _figure(traces: Sequence[Any], title: str, x: str, y: str, **layout: Any) -> "Figure":
    figure = _go().Figure(list(traces))
    plain = {"margin": {"l": 8, "r": 8, "t": 40 if title else 8, "b": 8}, "hovermode": "closest", "showlegend": False}
    figure.update_layout(title={"text": title, "x": 0} if title else None, **(plain | layout))
    figure.update_xaxes(title=x, automargin=True)
    figure.update_yaxes(title=y, automargin=True)
    return figure


def name_of(text: str) -> str:
    """Return text of whoever as a label shows it: plotly reads tags, links among them."""
    return plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def moments(ts: Ints) -> np.ndarray:
    """Return ms UTC as plotly's dates."""
    return np.asarray(ts).astype("datetime64[ms]")


def equity(ts: Ints, sums: Floats, unit: str, title: str = "") -> "Figure":
    """Return running sums by time, and below them how far each lies under the high before it, which starts at 0."""
    go = _go()
    fell = sums - np.maximum.accumulate(np.maximum(sums, 0.0))
    some = thinned(sums, MOST)
    at = moments(ts)[some]
    line: dict[str, Any] = {"mode": "lines", "x": at}
    figure = _figure(
        [
            go.Scatter(**line, y=sums[some], name="equity", line={"color": GAIN, "shape": "hv", "width": 2}),
            go.Scatter(
                **line,
                y=fell[some],
                name="drawdown",
                yaxis="y2",
                fill="tozeroy",
                line={"color": LOSS, "shape": "hv", "width": 1},
            ),
        ],
        title,
        "",
        f"sum, {unit}",
        hovermode="x unified",
        xaxis={"anchor": "y2"},
        yaxis={"domain": [0.34, 1]},
        yaxis2={"domain": [0, 0.28]},
    )
    return figure.update_layout(yaxis2={"title": {"text": f"drawdown, {unit}"}})


def thinned(values: Floats, most: int) -> Ints:
    """Return which of many values to draw: both ends, and the lowest and highest of each stretch."""
    if values.size <= most:
        return np.arange(values.size)
    pieces = np.array_split(np.arange(values.size), most // 2)
    picked = [int(piece[k]) for piece in pieces for k in (values[piece].argmin(), values[piece].argmax())]
    return np.unique([0, values.size - 1, *picked])


def heat(
    values: Floats, x: Sequence[Any], y: Sequence[Any], x_name: str, y_name: str, unit: str, title: str = ""
) -> "Figure":
    """Return a heat map of ``values`` float64[Y, X] around zero, gains blue and losses orange, NaN empty.

    ``x`` and ``y`` name the columns and the rows, in order.
    """
    go = _go()
    finite = np.abs(values[np.isfinite(values)])
    limit = float(np.quantile(finite, 0.99)) if finite.size and finite.max() > 0 else 1.0
    hover = f"{x_name} %{{x}}<br>{y_name} %{{y}}<br>%{{z:,.4g}} {unit}<extra></extra>"
    cells = go.Heatmap(
        z=values,
        x=[str(each) for each in x],
        y=[str(each) for each in y],
        zmin=-(limit or 1.0),
        zmax=limit or 1.0,
        colorscale=SHADES,
        hovertemplate=hover,
        colorbar={"title": unit, "thickness": 12},
    )
    category: dict[str, Any] = {"type": "category", "nticks": 12}
    return _figure([cells], title, x_name, y_name, xaxis=category, yaxis=category)


def histogram(values: Floats, unit: str, title: str = "") -> "Figure":
    """Return how many values lie where, gains and losses apart; the wildest hundredth at each end in its last bar."""
    bins = int(np.clip(2 * np.sqrt(values.size), 10, 60))
    low, high = (float(each) for each in np.quantile(values, [0.01, 0.99])) if values.size else (-1.0, 1.0)
    wide = 10.0 ** np.floor(np.log10(max(high - low, 1e-9) / bins))
    wide = next(k * wide for k in (1, 2, 2.5, 5, 10) if k * wide * bins >= high - low)
    first, last = np.floor(low / wide), np.floor(high / wide) + 1
    edges = np.arange(first, last + 1) * wide
    counts, _ = np.histogram(np.clip(values, edges[0], np.nextafter(edges[-1], edges[0])), edges)
    colours = [GAIN if edge >= -wide / 1e6 else LOSS for edge in edges[:-1].tolist()]
    spans = [f"{a:,.6g} to {b:,.6g} {unit}" for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]
    bars = _go().Bar(
        x=(edges[:-1] + edges[1:]) / 2,
        y=counts,
        width=wide * 0.9,
        marker={"color": colours},
        customdata=spans,
        hovertemplate="%{customdata}: %{y:,}<extra></extra>",
    )
    return _figure([bars], title, unit, "count")


def cloud(x: Floats, y: Floats, gains: Floats, names: Sequence[str], labels: tuple[str, str], title: str) -> "Figure":
    """Return a dot for each (x, y), those of ``gains`` above 0 blue; beyond MOST an even choice of them."""
    if x.size > MOST:
        some = np.arange(MOST) * x.size // MOST
        x, y, gains, names = x[some], y[some], gains[some], [names[i] for i in some.tolist()]
    dots = _go().Scattergl if x.size > 1000 else _go().Scatter
    marks = dots(
        x=x,
        y=y,
        mode="markers",
        marker={"color": np.where(gains > 0, GAIN, LOSS).tolist(), "size": 6, "opacity": 0.65},
        customdata=[name_of(name) for name in names],
        hovertemplate=f"%{{customdata}}<br>{labels[0]} %{{x:,.5g}}<br>{labels[1]} %{{y:,.5g}}<extra></extra>",
    )
    return _figure([marks], title, *labels)


def intervals(
    names: Sequence[str], values: Floats, low: Floats, high: Floats, unit: str, line: float | None, title: str = ""
) -> "Figure":
    """Return a dot with its interval for each name, first at the top; ``line`` marks what all come to."""
    errors = {"array": high - values, "arrayminus": values - low, "type": "data", "symmetric": False}
    dots = _go().Scatter(
        x=values,
        y=[name_of(name) for name in names],
        mode="markers",
        error_x=errors | {"color": FAINT, "thickness": 1.5, "width": 3},
        marker={"color": GAIN, "size": 9},
        hovertemplate=f"%{{y}}: %{{x:.4g}} {unit}<extra></extra>",
    )
    height = 90 + 24 * len(names)
    figure = _figure([dots], title, unit, "", height=height, yaxis={"autorange": "reversed", "type": "category"})
    if line is not None:
        figure.add_vline(x=line, line={"color": FAINT, "dash": "dot"})
    return figure


def bars(names: Sequence[str], series: Sequence[tuple[str, Floats]], unit: str, title: str = "") -> "Figure":
    """Return bars beside one another, one group a name; of a single series gains blue and losses orange."""
    found, shades = [], (GAIN, FAINT, LOSS)
    for k, (name, values) in enumerate(series):
        colour = shades[k % 3] if len(series) > 1 else [GAIN if each >= 0 else LOSS for each in values.tolist()]
        label = f"%{{x}} {name}: %{{y:.4g}} {unit}<extra></extra>"
        found.append(
            _go().Bar(
                x=[name_of(each) for each in names], y=values, name=name, marker={"color": colour}, hovertemplate=label
            )
        )
    legend = {"orientation": "h", "y": -0.2}
    return _figure(found, title, "", unit, barmode="group", showlegend=len(series) > 1, legend=legend)


def candle_chart(
    bars_: Candles, marks: Sequence[tuple[int, float, str, str]], levels: Sequence[tuple[float, str]]
) -> "Figure":
    """Return candles with marks (ms UTC, price, name, gain or loss or '') and levels (price, name)."""
    go = _go()
    made = go.Candlestick(
        x=moments(bars_.ts),
        **{name: getattr(bars_, name) for name in ("open", "high", "low", "close")},
        increasing={"line": {"color": GAIN, "width": 1}},
        decreasing={"line": {"color": LOSS, "width": 1}},
        name="price",
    )
    colours, named = {"gain": GAIN, "loss": LOSS}, {}
    for ts, price, name, tone in marks:
        named.setdefault((name, tone), []).append((ts, price))
    signs = [
        go.Scatter(
            x=moments(np.array([ts for ts, _ in places])),
            y=[price for _, price in places],
            mode="markers",
            marker={"size": 11, "symbol": "diamond", "color": colours.get(tone, FAINT)},
            name=name_of(name),
            hovertemplate=f"{name_of(name)}: %{{y:.8g}}<extra></extra>",
        )
        for (name, tone), places in named.items()
    ]
    figure = _figure([made, *signs], "", "", "price", xaxis={"rangeslider": {"visible": False}})
    figure.update_yaxes(exponentformat="none")  # 0.0000315, not 31.5µ
    at: dict[float, list[str]] = {}
    for price, name in levels:
        at.setdefault(price, []).append(name_of(name))
    for price, names in at.items():
        line = {"color": FAINT, "dash": "dot", "width": 1}
        figure.add_hline(y=price, line=line, annotation_text=", ".join(names))
    for ts, price, name, _ in marks if len(marks) <= 4 else ():
        figure.add_annotation(
            x=moments(np.array([ts]))[0],
            y=price,
            text=name_of(name),
            ay=-44,
            ax=0,
            arrowcolor=FAINT,
            bgcolor="#444444",
            font={"color": "#ffffff"},
            borderpad=3,
        )
    return figure
