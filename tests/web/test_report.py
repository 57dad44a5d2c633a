"""Reports in a real browser: nothing is fetched, nothing fails, everything can be read, by hand and by keyboard."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import chromium
from highwater.engine.report.page import page
from report_runs import KINDS, make

SIZES = {"wide": (1280, 900), "phone": (390, 844)}
ROLES = {"serious", "critical"}
# Cells and cards that hide a part of their text, and texts of a chart that run into each other.
CUT_OR_MET = """() => {
  const seen = [...document.querySelectorAll("dd, td, th, p, summary")].filter(e => e.offsetParent)
  const cut = seen.filter(e => getComputedStyle(e).overflow === "hidden" && e.scrollWidth > e.clientWidth + 1)
  const met = []
  for (const part of document.querySelectorAll(".chart > svg")) {
    const texts = [...part.querySelectorAll("text:not(.sign)")].map(e => [e.textContent, e.getBoundingClientRect()])
    texts.filter(([, a]) => a.width).forEach(([text, a], i, all) => all.slice(i + 1).forEach(([other, b]) => {
      const across = a.left < b.right && b.left < a.right
      if (across && a.top < b.bottom - 3 && b.top < a.bottom - 3) met.push(text + " / " + other)
    }))
  }
  return [...cut.map(e => e.textContent), ...met]
}"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("pages"), {}

    def of(kind):
        if kind not in found:
            run, slices = make(folder / kind, kind)
            found[kind] = folder / f"{kind}.html"
            found[kind].write_text(page(run, slices))
        return found[kind]

    return of


@pytest.fixture
def opened(browser, files):
    tabs, faults = [], []

    def of(kind, size="wide", scheme="light", **more):
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **more)
        tab = context.new_page()
        tab.on("console", lambda message: faults.append(message.text))
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.on("request", lambda request: request.url.startswith(("file:", "data:")) or faults.append(request.url))
        tab.goto(files(kind).as_uri())
        tabs.append(context)
        return tab

    yield of
    for each in tabs:
        each.close()
    assert [] == faults


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_fits_and_is_accessible(opened, kind, size, scheme):
    tab = opened(kind, size, scheme)

    assert SIZES[size][0] == tab.evaluate("document.documentElement.scrollWidth")
    assert tab.locator("section").count() > 3
    assert [] == tab.evaluate(CUT_OR_MET)
    found = Axe().run(tab).response["violations"]
    assert [] == [
        (each["id"], each["nodes"][0]["html"][:200], each["nodes"][0].get("failureSummary", "")[:300])
        for each in found
        if each["impact"] in ROLES
    ]


@pytest.mark.parametrize("kind", ["search", "session"])
def test_values_are_read_by_hand_and_by_keyboard(opened, kind):
    tab = opened(kind)
    tip = tab.locator(".tip")
    for chart in tab.locator("figure .chart").all():
        chart.scroll_into_view_if_needed()
        box = chart.locator(".plot").first.bounding_box()
        tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert tip.is_visible()
        assert tip.inner_text()
        seen = tip.bounding_box()
        assert seen["x"] >= 0
        assert seen["x"] + seen["width"] <= 1280
    tab.locator("figure .chart").first.focus()
    tab.keyboard.press("ArrowRight")
    first = tip.inner_text()
    tab.keyboard.press("ArrowRight")
    assert first != tip.inner_text()
    tab.keyboard.press("Escape")
    assert tip.is_hidden()


def test_time_is_looked_at_closer_and_whole_again(opened):
    tab = opened("session")
    chart = tab.locator("figure .chart").first
    plots = [tab.locator("figure .chart .box").nth(i) for i in (0, 1)]
    chart.scroll_into_view_if_needed()
    box = chart.locator(".plot").first.bounding_box()
    tab.mouse.move(box["x"] + 100, box["y"] + 50)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 200, box["y"] + 60)
    tab.mouse.up()

    assert all(plot.get_attribute("viewBox") != "0 0 1000 1000" for plot in plots)
    assert plots[0].get_attribute("viewBox") == plots[1].get_attribute("viewBox")
    assert chart.locator(".x text").count() > 0
    tab.get_by_role("button", name="show all").first.click()
    assert ["0 0 1000 1000"] * 2 == [plot.get_attribute("viewBox") for plot in plots]


def test_curves_are_hidden_by_their_names(opened):
    tab = opened("path-only")
    button = tab.locator(".legend button").first
    curve = tab.locator("figure:has(.legend button) .box path[data-s='0']").first
    button.click()

    assert "false" == button.get_attribute("aria-pressed")
    assert curve.is_hidden()
    button.click()
    assert "true" == button.get_attribute("aria-pressed")


def test_tables_are_sorted_and_searched(opened):
    tab = opened("path-only")
    table = tab.locator("#callers table")
    table.get_by_role("button", name="calls").click()
    calls = [int(text.replace(",", "")) for text in table.locator("tbody td:nth-child(2)").all_inner_texts()]

    assert sorted(calls, reverse=True) == calls
    assert "descending" == table.locator("th:nth-child(2)").get_attribute("aria-sort")
    tab.locator("#excluded summary").first.click()
    field = tab.locator("#excluded .find")
    rows = tab.locator("#excluded details").first.locator("tbody tr")
    count = rows.count()
    field.fill("no such thing")
    assert 0 == sum(row.is_visible() for row in rows.all())
    field.fill("")
    assert count == sum(row.is_visible() for row in rows.all())


def test_a_page_prints_whole_and_needs_no_script(opened, tmp_path):
    tab = opened("search", java_script_enabled=False)

    assert tab.locator("figure svg path").count() > 20
    tab.emulate_media(media="print")
    tab.pdf(path=tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").stat().st_size > 50_000
    assert tab.locator("nav").is_hidden()
    assert tab.locator("#config details table").is_visible()


def test_hostile_names_stay_text(opened):
    tab = opened("search")

    assert 0 == tab.locator("main img, main script:not([type='application/json'])").count()
    assert tab.locator("#callers td", has_text="<script>alert(1)</script>").count()
