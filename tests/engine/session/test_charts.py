import re
from xml.etree import ElementTree

import numpy as np
import pytest
from highwater.engine.session import charts

DAY = 86_400_000


def drawn(svg):
    """Return the chart's elements; it must be well-formed XML."""
    return ElementTree.fromstring(svg)


def heights(svg):
    return [float(each.get("height")) for each in drawn(svg).iter("rect")]


def test_a_line_keeps_its_value_until_the_next():
    svg = charts.line(np.array([0, DAY, 2 * DAY]), np.array([0.0, 2.0, -1.0]), "equity")
    path = next(each for each in drawn(svg).iter("path") if "line" in each.get("class"))
    xs = [float(x) for x in re.findall(r"H([\d.]+)", path.get("d"))]
    ys = [float(y) for y in re.findall(r"V([\d.]+)", path.get("d"))]

    assert [charts.LEFT + (charts.WIDTH - charts.LEFT - charts.RIGHT) / 2, charts.WIDTH - charts.RIGHT] == xs
    assert ys[0] < ys[1]
    assert ["1970-01-01", "1970-01-01", "1970-01-02", "1970-01-03"] == [
        each.text for each in drawn(svg).iter("text") if each.text.startswith("1970")
    ]


@pytest.mark.parametrize(("values", "tone"), [([0, 2, 1], "gain"), ([0, 2, -1], "loss"), ([0, -2, 0], "loss")])
def test_a_line_has_the_tone_of_its_end(values, tone):
    svg = charts.line(np.arange(3) * DAY, np.array(values, float), "x")

    assert {f"{tone} line", f"{tone} area"} == {
        each.get("class") for each in drawn(svg).iter("path") if "rule" not in each.get("class")
    } - {"zero"}


def test_bars_of_a_histogram_are_as_high_as_their_counts():
    values = np.array([-1.0, -1.0, -0.9, 0.1, 1.3])
    svg = charts.histogram(values, "r")
    titles = [each.text for each in drawn(svg).iter("title")]
    counts = [int(title.split(": ")[1]) for title in titles]

    assert 5 == sum(counts)
    assert "-1 to -0.75 R: 3" == titles[0]
    assert "1.25 to 1.5 R: 1" == titles[-1]
    np.testing.assert_allclose(np.array(heights(svg)) / max(heights(svg)), np.array(counts) / 3, atol=1e-3)


def test_a_wide_histogram_has_few_bars():
    svg = charts.histogram(np.array([-1.0, 500.0]), "r")

    assert len(heights(svg)) <= 48
    assert 2 == sum(int(each.text.split(": ")[1]) for each in drawn(svg).iter("title"))


@pytest.mark.parametrize("value", [0.0, -1.0, 1.5])
def test_one_value_alone(value):
    for svg in (
        charts.histogram(np.array([value]), "r"),
        charts.line(np.array([5]), np.array([value]), "r"),
        charts.points(np.array([value]), np.array([value]), np.array([True]), "r", "a", "b"),
    ):
        drawn(svg)
        assert not re.search("nan|inf", svg)


def test_points_lie_within_the_chart_and_stand_by_tone():
    x, y = np.array([-1.0, -0.5, 0.0]), np.array([0.0, 3.0, 1.0])
    svg = charts.points(x, y, np.array([False, True, True]), "mfe", "worst", "best")
    found = {each.get("class"): each.get("d") for each in drawn(svg).iter("path") if "dots" in each.get("class")}
    places = [tuple(map(float, each)) for d in found.values() for each in re.findall(r"M([\d.]+) ([\d.]+)h0", d)]

    assert {"loss dots": 1, "gain dots": 2} == {kind: d.count("h0") for kind, d in found.items()}
    assert all(charts.LEFT <= a <= charts.WIDTH and charts.TOP <= b <= charts.HEIGHT for a, b in places)


def test_names_are_text():
    svg = charts.bars(["<script>", 'a"&'], [2, 1], ["<b>", "&"], [True, False], '"><script>')
    texts = [each.text for each in drawn(svg).iter("text")]

    assert ["<script>", "<b>", 'a"&', "&"] == texts
    assert "<script" not in svg
