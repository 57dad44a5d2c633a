import hashlib
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from highwater.engine.heatmap import svg, terminal
from rich.console import Console

SVG = "{http://www.w3.org/2000/svg}"
NAMES = ("tp", "sl", "Mean return", "bps")


def surface(rows=3, columns=4, seed=1):
    """Return values, and edges of 1 to 2 along x and 0 to 1 along y."""
    values = np.random.Generator(np.random.PCG64(seed)).normal(0, 100, (rows, columns))
    return values, np.linspace(1, 2, columns + 1), np.linspace(0, 1, rows + 1)


def drawn(values, x_edges, y_edges, *names):
    return ElementTree.fromstring(svg(values, x_edges, y_edges, *(names or NAMES)))


def texts(root):
    return ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]


def cells(root):
    """Return fill -> number of cells."""
    paths = [each for each in root.iter(f"{SVG}path") if each.get("fill")]
    return {each.get("fill"): each.get("d").count("M") for each in paths}


def printed(text):
    console = Console(width=80, no_color=True, highlight=False)
    with console.capture() as found:
        console.print(text)
    return found.get()


def rgb(colour):
    return [int(colour[k : k + 2], 16) for k in (1, 3, 5)]


def test_an_svg_says_what_it_shows():
    values, x, y = surface()
    values[2, 1] = 321.4
    root = drawn(values, x, y)
    title, description = root.find(f"{SVG}title").text, root.find(f"{SVG}desc").text

    assert "720" == root.get("width")
    assert "img" == root.get("role")
    assert "Mean return" == title
    assert "Mean return in bps over tp and sl." in description
    assert "Highest: 321 bps at tp 1.25 to 1.5, sl 0.667 to 1." in description
    assert {"tp", "sl", "bps", "Mean return"} <= set(texts(root))


def test_every_cell_is_drawn_once_in_the_colour_of_its_sign():
    values = np.array([[-100.0, -50.0, 0.0], [50.0, 100.0, np.nan]])
    found = cells(drawn(values, np.arange(4.0), np.arange(3.0)))
    empty = found.pop("url(#hw-empty)")
    red_minus_blue = sorted(rgb(fill)[0] - rgb(fill)[2] for fill in found)

    assert 1 == empty
    assert [1] * 5 == list(found.values())
    assert [-1, -1, 0, 1, 1] == [int(np.sign(d)) if abs(d) > 5 else 0 for d in red_minus_blue]


def test_gains_and_losses_of_one_size_are_equally_dark():
    found = list(cells(drawn(np.array([[-100.0, 100.0]]), np.arange(3.0), np.arange(2.0))))
    weights = [sum(part * weight for part, weight in zip(rgb(fill), (2, 5, 1), strict=True)) / 8 for fill in found]

    assert abs(weights[0] - weights[1]) < 25


def test_one_wild_cell_does_not_drown_the_rest():
    values, x, y = surface(20, 20)
    values[0, 0] = 1e9
    root = drawn(values, x, y)

    assert len(cells(root)) > 10
    assert "≥ 300" in texts(root)
    assert "≤ -300" in texts(root)


@pytest.mark.parametrize("value", [0.0, np.nan, -5.0, 1e-300, 1e300])
def test_a_surface_of_one_value_is_drawn(value):
    root = drawn(np.full((2, 3), value), np.arange(4.0), np.arange(3.0))

    assert [6] == list(cells(root).values())
    assert "nan" not in svg(np.full((2, 3), value), np.arange(4.0), np.arange(3.0), *NAMES)


def test_bytes_are_those_that_old_runs_were_saved_with():
    values, x, y = surface(7, 9)
    values[2, 3] = np.nan
    found = svg(values, x, y, "trail", "time_stop_ms", "Mean return per trade", "bps").encode()

    assert "e1de5160fb523c264edd0a569d55364588a535580d9cf391e33c3fb7fe76d2ce" == hashlib.sha256(found).hexdigest()


def test_an_empty_surface_says_so():
    values, x, y = np.full((2, 3), np.nan), np.arange(4.0), np.arange(3.0)

    assert "Every cell is empty." in drawn(values, x, y).find(f"{SVG}desc").text
    assert "Every cell is empty." in printed(terminal(values, x, y, *NAMES))


def test_ticks_are_few_and_durations_are_readable():
    values, _, y = surface(24, 24)
    root = drawn(values, np.geomspace(60_000, 172_800_000, 25), y, "time_stop_ms", "sl", "Mean return", "bps")
    ticks = [text for text in texts(root) if re.fullmatch(r"(\d+[hm])+", text)]

    assert ("1m", "48h") == (ticks[0], ticks[-1])
    assert len(ticks) <= 9
    assert len(ticks) == len(set(ticks))


def test_labels_have_the_digits_that_tell_them_apart():
    values, _, y = surface(1, 2)

    assert {"1.0001", "1.0002", "1.0003"} <= set(texts(drawn(values, np.array([1.0001, 1.0002, 1.0003]), y)))


def test_one_cell_with_equal_edges_is_drawn():
    root = drawn(np.array([[5.0]]), np.array([0.5, 0.5]), np.array([1.0, 1.0]))

    assert [1] == list(cells(root).values())


HOSTILE = '<script>alert(1)</script> & "x" \x00\x1b[31m \ud800]]>'


def test_text_is_escaped():
    root = drawn(*surface(), *[HOSTILE] * 4)

    assert not list(root.iter(f"{SVG}script"))
    assert any("<script>alert(1)</script>" in text for text in texts(root))
    svg(*surface(), *[HOSTILE] * 4).encode()
    assert "\x1b" not in printed(terminal(*surface(), *[HOSTILE] * 4))


def test_an_svg_is_small_and_loads_nothing():
    picture = svg(*surface(24, 24), *NAMES)

    assert len(picture) < 30_000
    assert ["http://www.w3.org/2000/svg"] == re.findall(r"https?://[^\"]+", picture)


@pytest.mark.parametrize("size", [(1, 1), (3, 4), (24, 24)])
def test_the_terminal_gets_80_columns_and_a_line_a_row(size):
    lines = printed(terminal(*surface(*size), *NAMES)).splitlines()

    assert size[0] == sum(" | " in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_the_terminal_shows_sign_and_shade_without_colours():
    values = np.array([[-100.0, -50.0, 0.0], [50.0, 100.0, np.nan]])
    rows = [
        line.split(" | ")[1]
        for line in printed(terminal(values, np.arange(4.0), np.arange(3.0), *NAMES)).splitlines()
        if " | " in line
    ]

    assert ["+4+8..", "-8-4 0"] == rows


def test_the_terminal_shows_colours_that_can_be_read():
    text = terminal(*surface(20, 20), *NAMES)
    pairs = {tuple(str(span.style).split(" on ")) for span in text.spans if " on " in str(span.style)}

    def light(colour):
        parts = [((c / 255 + 0.055) / 1.055) ** 2.4 if c > 10 else c / 3295 for c in rgb(colour)]
        return float(np.dot(parts, (0.2126, 0.7152, 0.0722)))

    assert len(pairs) > 8
    for ink, ground in pairs:
        high, low = sorted((light(ink), light(ground)), reverse=True)
        assert (high + 0.05) / (low + 0.05) > 4.5
