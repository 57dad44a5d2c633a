import re

import numpy as np
import pytest
from highwater.engine.report import axes, charts, heat, pairs
from highwater.engine.report.heat import Axis, Heat

DAY = 86_400_000


def shape(chart, style):
    """Return the path of a shape by its classes."""
    return next(each.path for each in chart.shapes if each.style == style)


def form(value):
    return f"{value:g}"


def test_a_line_keeps_its_value_until_the_next():
    chart = charts.by_time("equity", "equity", np.array([0, DAY, 2 * DAY]), np.array([0.0, 2.0, -1.0]), form)
    path = shape(chart, "line loss")

    assert [500.0, 1000.0] == [float(x) for x in re.findall(r"H([\d.]+)", path)]
    first, second = (float(y) for y in re.findall(r"V([\d.]+)", path))
    assert first < second
    assert ["1970-01-01T00:00Z: 0", "1970-01-02T00:00Z: 2", "1970-01-03T00:00Z: -1"] == chart.data["series"][0]["text"]


@pytest.mark.parametrize(("values", "tone"), [([0, 2, 1], "gain"), ([0, 2, -1], "loss"), ([0, -2, 0], "loss")])
def test_a_line_has_the_tone_of_its_end(values, tone):
    chart = charts.by_time("x", "x", np.arange(3) * DAY, np.array(values, float), form)

    assert {f"{tone}"} == {each.style.split()[1] for each in chart.shapes if each.style.startswith(("line", "area"))}


def test_bars_of_a_histogram_are_as_high_as_their_counts():
    edges, counts = np.array([-1.0, 0.0, 1.0, 2.0]), np.array([3, 0, 6])
    chart = charts.histogram("r", "r", edges, counts, form, 0.0)

    assert ["-1 to 0: 3 (33.3%)", "0 to 1: 0 (0.0%)", "1 to 2: 6 (66.7%)"] == chart.data["series"][0]["text"]
    (low,), (high,) = (re.findall(r"V([\d.]+)h", shape(chart, f"bar {tone}")) for tone in ("loss", "gain"))
    assert 2.0 == pytest.approx((1000 - float(high)) / (1000 - float(low)))


@pytest.mark.parametrize("values", [[-1.0, -1.0, -0.9, 0.1, 1.3], [5.0], [0.0], [-3.0], [-6_000.0, 90_000.0, 1.0]])
def test_bins_hold_every_value_and_have_an_edge_at_zero(values):
    edges, counts = charts.bins(np.array(values))

    assert len(values) == counts.sum()
    assert np.all(np.diff(edges) > 0)
    assert np.abs(edges).min() < 1e-9
    assert counts.size <= 60


def test_a_long_line_keeps_its_ends_and_its_extremes():
    values = np.random.default_rng(1).normal(size=50_000).cumsum()
    kept = charts.thinned(values, charts.MOST)

    assert kept.size <= charts.MOST + 2
    assert (0, values.size - 1) == (kept[0], kept[-1])
    assert {values.min(), values.max()} <= set(values[kept].tolist())
    assert np.all(np.diff(kept) > 0)


@pytest.mark.parametrize("value", [0.0, -1.0, 1.5])
def test_one_value_alone(value):
    one = np.array([value])
    for chart in (
        charts.histogram("r", "r", *charts.bins(one), form, 0.0),
        charts.by_time("r", "r", np.array([5]), one, form),
        charts.points("r", "r", one, one, np.array([True]), ["one"], form),
        charts.steps("r", "r", [("all", np.array([0, 5]), np.array([0.0, abs(value)]))], 10, form),
    ):
        text = repr(chart)
        assert not re.search(r"\b(nan|inf)\b", text)
        assert chart.left and chart.below


def test_points_lie_within_the_box_and_stand_by_tone():
    x, y = np.array([-1.0, -0.5, 0.0]), np.array([0.0, 3.0, 1.0])
    chart = charts.points("mfe", "mfe", x, y, np.array([False, True, True]), ["a", "b", "c"], form)
    places = re.findall(r"M([\d.]+) ([\d.]+)h0", shape(chart, "dots gain") + shape(chart, "dots loss"))

    assert 3 == len(places)
    assert all(0 <= float(each) <= 1000 for place in places for each in place)
    assert ["a", "b", "c"] == chart.data["series"][0]["text"]


def test_of_many_points_some_are_drawn_and_it_says_so():
    many = np.arange(10_000.0)
    chart = charts.points("x", "x", many, many, many > 3, [""] * 10_000, form, note="More.")

    assert charts.MOST_DOTS == len(chart.data["series"][0]["x"])
    assert "4,000 of 10,000 are drawn, evenly chosen. More." == chart.note


@pytest.mark.parametrize("span", [60_000, 3_600_000, DAY, 9 * DAY, 200 * DAY, 2_000 * DAY, 20_000 * DAY])
def test_ticks_of_time_are_few_ascending_and_different(span):
    found = axes.times(1_704_067_200_000, 1_704_067_200_000 + span)

    assert 1 <= len(found) <= 8
    assert [at for at, _ in found] == sorted(at for at, _ in found)
    assert len({text for _, text in found}) == len(found)
    assert all(0 <= at <= 1 for at, _ in found)


def test_a_heat_map_marks_the_winner_and_where_all_around_pays():
    x, y = Axis("tp", np.array([1.0, 2.0, 3.0])), Axis("sl", np.array([0.0, 1.0, 2.0]), np.array([0.5, 0.9]))
    safe = np.array([[False, True], [False, False]])
    chart = heat.heat("t", "l", Heat(x, y, np.array([[-1.0, 2.0], [np.nan, 1.0]]), "%", safe, (2.5, 0.1), [(1.2, 1.5)]))

    assert [(250, 250, "○"), (750, 750, "◎")] == [(each.x, each.y, each.text) for each in chart.marks]
    assert ["tp 1 to 2, sl 0.9\nempty", "tp 2 to 3, sl 0.9\n1%"] == chart.data["text"][:2]
    assert "tp 2 to 3, sl 0.5\n2%; all around it pays" == chart.data["text"][3]
    assert {"cell l4", "cell g8", "cell g4", "halo", "plateau"} == {each.style for each in chart.shapes}
    assert 4 == len(re.findall("M", shape(chart, "plateau")))


def test_maps_over_pairs_hold_the_means():
    columns = {"a": np.array([1.0, 1.0, 2.0, 2.0]), "b": np.array([5.0, 6.0, 5.0, 5.0]), "c": np.full(4, 7.0)}
    (chart,) = pairs.maps(columns, np.array([1.0, 2.0, 3.0, 5.0]), "sharpe", "", 3)

    assert ["a 1, b 6\n2", "a 2, b 6\nempty", "a 1, b 5\n1", "a 2, b 5\n4"] == chart.data["text"]
    assert [(750.0, 750.0)] == [(each.x, each.y) for each in chart.marks]


def test_only_numbers_are_axes():
    found = pairs.numeric({"a": [1, None], "b": ["x", "y"], "c": [True, False], "d": [None, None]})

    assert ["a"] == list(found)
    np.testing.assert_array_equal([1.0, np.nan], found["a"])


@pytest.mark.parametrize(
    ("name", "edges", "ticks"),
    [
        ("trail", np.linspace(0.03, 0.5, 25), ["0.1", "0.2", "0.3", "0.4", "0.5"]),
        ("tp", np.geomspace(1.1, 10, 25), ["2", "3", "5", "7", "10"]),
        ("time_stop_ms", np.linspace(600_000, 86_400_000, 25), ["6h", "12h", "18h", "24h"]),
        ("time_stop_ms", np.geomspace(60_000, 86_400_000, 7), ["1m", "3m", "11m", "38m", "2h8m", "7h9m", "24h"]),
    ],
)
def test_axes_of_bins_have_round_ticks_where_these_values_lie(name, edges, ticks):
    found = Axis(name, edges).ticks()

    assert ticks == [text for _, text in found]
    assert all(0 <= place <= 1 for place, _ in found)
    assert [place for place, _ in found] == sorted(place for place, _ in found)
    assert name == "time_stop_ms" or [
        pytest.approx(float(np.interp(place, np.linspace(0, 1, edges.size), edges))) for place, _ in found
    ] == [float(text) for text in ticks]
