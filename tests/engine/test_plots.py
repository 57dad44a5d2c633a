import numpy as np
import pytest
from highwater.engine import plots
from highwater.engine.plots import GAIN, LOSS, MOST
from highwater.kernels.arrays import candles

MINUTES = np.arange(4) * 60_000
BARS = candles(MINUTES, [100, 101, 150, 200], [100, 155, 210, 200], [100, 95, 140, 60], [100, 150, 200, 65])


def test_equity_falls_from_the_high_before_which_starts_at_zero():
    above, below = plots.equity(MINUTES, np.array([-1.0, 2.0, 5.0, 1.0]), "R").data

    assert [-1, 2, 5, 1] == list(above.y)
    assert [-1, 0, 0, -4] == list(below.y)


@pytest.mark.parametrize("size", [1, MOST, 3 * MOST + 1])
def test_a_thinned_line_keeps_its_ends_and_its_extremes(size):
    values = np.sin(np.arange(size) / 7) * np.arange(size)
    some = plots.thinned(values, MOST)

    assert some.size <= max(size, MOST) and some.size <= MOST + 2
    assert (0, size - 1) == (some[0], some[-1])
    assert (values.min(), values.max()) == (values[some].min(), values[some].max())


def test_a_heat_map_is_around_zero_and_leaves_out_what_is_not_there():
    (cells,) = plots.heat(np.array([[1.0, -4.0], [np.nan, 2.0]]), ["1.1", "2"], ["a", "b"], "tp", "sl", "bps").data

    assert -cells.zmin == cells.zmax > 0
    assert np.isnan(cells.z[1][0])


@pytest.mark.parametrize("values", [[], [0.0], [-1.0, 1.0], list(range(-50, 150)), [1e-9, -1e9]])
def test_a_histogram_counts_every_value_and_parts_gains_from_losses(values):
    (bars,) = plots.histogram(np.array(values, float), "%").data

    assert len(values) == sum(bars.y)
    assert {GAIN} >= {c for c, x in zip(bars.marker.color, bars.x, strict=True) if x > bars.width}
    assert {LOSS} >= {c for c, x in zip(bars.marker.color, bars.x, strict=True) if x < -bars.width}


def test_a_cloud_of_many_points_is_thinned_evenly():
    many = np.arange(3.0 * MOST)
    (dots,) = plots.cloud(many, many, many - 5, list(map(str, many)), ("x", "y"), "").data

    assert MOST == len(dots.x) == len(dots.customdata)
    assert {3.0} == set(np.diff(dots.x))
    assert [LOSS, LOSS, GAIN] == list(dots.marker.color[:3])


def test_names_are_no_markup():
    hostile = '<a href="http://evil.example">x</a>'
    one = np.ones(1)
    figures = [
        plots.intervals([hostile], one, one, one, "%", None),
        plots.bars([hostile], [("r", one)], "R"),
        plots.cloud(one, one, one, [hostile], ("x", "y"), ""),
        plots.candle_chart(BARS, [(0, 100.0, hostile, "")], [(100.0, hostile)]),
    ]

    for figure in figures:
        assert "&lt;a href" in str(figure) and "<a href" not in str(figure)


def test_marks_of_one_name_are_one_layer_and_levels_of_one_price_one_line():
    marks = [(0, 100.0, "long", "gain"), (60_000, 150.0, "flat", ""), (120_000, 200.0, "long", "gain")]
    figure = plots.candle_chart(BARS, marks, [(100.0, "OR high"), (100.0, "stop"), (95.0, "OR low")])
    layers = {layer.name: list(layer.y) for layer in figure.data if layer.name != "price"}
    lines = {note.text for note in figure.layout.annotations}

    assert {"long": [100.0, 200.0], "flat": [150.0]} == layers
    assert {"OR high, stop", "OR low"} <= lines
