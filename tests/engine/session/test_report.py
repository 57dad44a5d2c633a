import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import pytest
from highwater.engine.recipe import Clock
from highwater.engine.session.config import parse
from highwater.engine.session.given import Feed, Task, fetch
from highwater.engine.session.report import page, write_reports
from highwater.engine.session.run import run_sessions
from highwater.engine.settings import Store
from highwater.io.errors import StoreError

HOSTILE = "</style><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\"'\x1b[31m"
FEW = {"scoring": {"enabled": False}, "trade": {"t1_r": 0.75}}
VOID = {"meta"}


class Read(HTMLParser):
    """What a browser would make of a page: its tags and attributes, its text, and whether all is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def done(folder, settings=FEW, symbols=("SPY", "QQQ"), end=date(2024, 3, 1), **more):
    task = Task(symbols, date(2024, 1, 2), end, 60_000, parse(settings, "settings"), **more)
    store, clock = Store(runs=folder, quiet=True), Clock()
    given = fetch(task, Feed("synthetic"), store, None, clock)
    return run_sessions(task, given, store, ("backtest",), clock)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return done(tmp_path_factory.mktemp("runs"), validate="warn")


def test_a_page_for_each_symbol(run, tmp_path):
    found = write_reports(run, tmp_path)

    assert ["SPY_report.html", "QQQ_report.html"] == [each.name for each in found]
    assert all(each.stat().st_size > 20_000 for each in found)


def test_a_page_has_every_section_and_its_numbers(run):
    text = Read(page(run, run.walked[0])).text
    row = next(each for each in run.tables["symbols"].to_pylist() if each["symbol"] == "SPY")

    for name in (
        *("Metrics", "R by month", "What each factor was worth", "By score", "By time of entry", "What hangs on few"),
        *("Opening ranges", "Governance", "Run", "Settings", "Trades", "Equity", "How trades ended", "Trades by R"),
    ):
        assert name in text
    assert f"{row['total_r']:+.2f}" in text
    assert run.run_id in text
    assert run.given.piece.facts.content_sha256 in text
    assert "trade.t1_r0.75" in text
    assert all(trade["day"] in text for trade in run.tables["session_trades"].to_pylist() if trade["symbol"] == "SPY")


def test_a_page_is_whole_and_loads_nothing(run):
    found = Read(page(run, run.walked[0]))
    text = page(run, run.walked[0])

    assert [] == found.open
    assert not {"script", "img", "link", "iframe", "object", "embed", "form", "base"} & set(found.tags)
    assert not [name for name in found.attributes if name.startswith("on") or name in ("src", "href", "style")]
    assert not re.search(r"https?:|url\(|@import|javascript:", text)
    assert "default-src 'none'" in text
    assert not re.search(r"\b(nan|inf|None)\b", text)


def test_a_page_fits_light_and_dark_and_a_phone(run):
    text = page(run, run.walked[0])

    assert "prefers-color-scheme:dark" in text
    assert 'name="viewport" content="width=device-width' in text
    assert re.search(r"svg\{[^}]*width:100%", text)
    assert text.count('<div class="wide"><table') == text.count("<table")
    assert "#" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL).replace("&#", "")  # colours: CSS alone


def test_the_same_run_gives_the_same_bytes(run, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, two = (write_reports(run, tmp_path / name)[0].read_bytes() for name in "ab")

    assert one == two


def test_the_same_inputs_give_the_same_page_but_for_the_run(run, tmp_path):
    again = done(tmp_path, validate="warn")

    assert run.run_id != again.run_id
    assert page(run, run.walked[0]).replace(run.run_id, "") == page(again, again.walked[0]).replace(again.run_id, "")


def test_what_was_typed_is_text(tmp_path):
    run = done(tmp_path, {"name": HOSTILE, **FEW}, end=date(2024, 1, 20))
    one = replace(run.walked[0], symbol=HOSTILE)
    tables = {
        name: table.set_column(
            table.column_names.index(column),
            column,
            [[HOSTILE if each == "SPY" else each for each in table[column].to_pylist()]],
        )
        for name, column in (("symbols", "symbol"), ("equity", "scope"))
        for table in [run.tables[name]]
    }
    run = replace(
        run,
        tables={**run.tables, **tables},
        given=replace(run.given, notes=(f"{HOSTILE}: {HOSTILE}",), failed={HOSTILE: StoreError(HOSTILE)}),
    )
    text, found = page(run, one), Read(page(run, one))

    assert 1 == text.count("<style")
    assert not {"script", "img"} & set(found.tags)
    assert not [name for name in found.attributes if name.startswith("on")]
    assert found.text.count("<script>alert(1)</script>") >= 4
    assert "\x1b" not in text


def test_a_symbol_is_no_path(run, tmp_path):
    hostile = replace(run, walked=(replace(run.walked[0], symbol="../../SPY"),))
    tables = {
        name: table.set_column(
            table.column_names.index(column),
            column,
            [["../../SPY" if x == "SPY" else x for x in table[column].to_pylist()]],
        )
        for name, column in (("symbols", "symbol"), ("equity", "scope"))
        for table in [run.tables[name]]
    }
    (path,) = write_reports(replace(hostile, tables={**run.tables, **tables}), tmp_path)

    assert tmp_path == path.parent


def test_a_page_without_trades(tmp_path):
    run = done(tmp_path, {"governance": {"time_cutoff": "09:31"}}, end=date(2024, 1, 12))
    text = page(run, run.walked[0])

    assert 0 == run.tables["session_trades"].num_rows
    assert "No trades." in text
    assert "time_cutoff" in Read(text).text
    assert [] == Read(text).open
    assert not re.search(r"\b(nan|inf|None)\b", text)


def test_what_the_disk_refuses_is_said(run, tmp_path):
    with pytest.raises((StoreError, OSError)):
        write_reports(run, tmp_path / "missing")
