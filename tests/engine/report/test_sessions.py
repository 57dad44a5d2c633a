import re
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from highwater.engine.recipe import Clock
from highwater.engine.report.page import page
from highwater.engine.report.write import write_symbols
from highwater.engine.session.config import parse
from highwater.engine.session.given import Feed, Task, fetch
from highwater.engine.session.run import run_sessions
from highwater.engine.settings import Store
from highwater.io.errors import HighwaterError
from highwater.io.runs import read_artifact
from report_runs import Taken

HOSTILE = "</style><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\"'\x1b[31m"
FEW = {"scoring": {"enabled": False}, "trade": {"t1_r": 0.75}}


def done(folder, settings=FEW, symbols=("SPY", "QQQ"), end=date(2024, 3, 1), **more):
    task = Task(symbols, date(2024, 1, 2), end, 60_000, parse(settings, "settings"), **more)
    store, clock = Store(runs=folder, quiet=True), Clock()
    given = fetch(task, Feed("synthetic"), store, None, clock)
    return run_sessions(task, given, store, ("backtest",), clock)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return done(tmp_path_factory.mktemp("runs"), validate="warn")


def drawn(run, only=None):
    return page(run.path, run.path.parents[1] / ".slices", only)


def test_a_page_for_each_symbol(run, tmp_path):
    found = write_symbols(run.path, run.path.parents[1] / ".slices", ("SPY", "QQQ"), tmp_path)

    assert ["SPY_report.html", "QQQ_report.html"] == [each.name for each in found]
    assert all(each.stat().st_size > 20_000 for each in found)
    assert drawn(run, "SPY") == found[0].read_text()


@pytest.mark.parametrize("only", [None, "SPY"])
def test_a_page_has_every_section_and_its_numbers(run, only):
    text = drawn(run, only)
    taken = Taken(text)
    row = next(each for each in run.tables["symbols"].to_pylist() if each["symbol"] == only)

    for name in (
        *("metrics", "R by month", "What each factor was worth", "By score", "By time of entry", "What hangs on few"),
        *("Opening ranges", "Governance", "Run", "Config", "Trades", "Equity", "How trades ended", "Trades by R"),
    ):
        assert name in taken.text
    assert f"{row['total_r']:+.2f} R" in taken.text
    assert f"{row['expectancy']:+.3f} R" in taken.text
    assert run.run_id in taken.text
    assert run.given.piece.facts.content_sha256 in taken.text
    assert ["settings.trade.t1_r", "0.75"] in taken.rows["Config"]
    days = [each["day"] for each in run.tables["session_trades"].to_pylist() if only in (None, each["symbol"])]
    assert all(day in taken.text for day in days)
    listed = next(lines for lines in taken.rows.values() if lines[0][:3] == ["day", "symbol", "side"])
    assert len(days) == len(listed) - 1


def test_the_equity_is_that_of_the_artifact(run):
    found = read_artifact(run.path, "equity")
    mine = found.filter(pc.equal(found["scope"], "QQQ"))
    equity, fall = (data["series"][0] for data in Taken(drawn(run, "QQQ")).data[:2])

    for name, series in (("cumulative_r", equity), ("drawdown_r", fall)):
        said = [float(text.split(": ")[1].removesuffix(" R")) for text in series["text"]]
        np.testing.assert_allclose(said, mine[name].to_numpy(), rtol=1e-4, atol=1e-6)


def test_ranges_and_events_are_counted(run):
    taken = Taken(drawn(run))
    verdicts = run.tables["sessions"]["or_verdict"].to_pylist()
    events = pa.TableGroupBy(run.tables["governance"], ["event", "direction"]).aggregate([([], "count_all")])
    told = {tuple(line[:2]): line[2] for line in taken.rows["What governance refused or did"][1:] if len(line) == 3}

    scores = [row for row in run.tables["attribution"].to_pylist() if row["symbol"] is None and row["kind"] == "score"]
    assert [[row["bucket"], f"{row['count']:,}"] for row in scores] == [line[:2] for line in taken.rows["By score"][1:]]
    assert f"{verdicts.count('ok'):,}" == dict(line[:2] for line in taken.rows["Sessions"][1:])["ok"]
    assert {(row["event"], row["direction"]): f"{row['count_all']:,}" for row in events.to_pylist()} == told


def test_the_same_inputs_give_the_same_page_but_for_the_run(run, tmp_path):
    again = done(tmp_path, validate="warn")
    pages = [
        re.sub(f"{one.run_id}|2026[^<&]*", "", drawn(one).partition('<section id="run"')[0]) for one in (run, again)
    ]

    assert run.run_id != again.run_id
    assert pages[0] == pages[1]


def test_what_was_typed_is_text(tmp_path):
    text = drawn(done(tmp_path, {"name": HOSTILE, **FEW}, end=date(2024, 1, 20)))
    taken = Taken(text)

    assert 1 == text.count("<style")
    assert "img" not in taken.tags
    assert not [name for name, _ in taken.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in taken.text
    assert "\x1b" not in text


def test_a_symbol_is_no_path(run, tmp_path):
    with pytest.raises((HighwaterError, StopIteration)):
        write_symbols(run.path, tmp_path, ("../../SPY",), tmp_path)
    assert [] == list(tmp_path.iterdir())


def test_a_page_without_trades(tmp_path):
    run = done(tmp_path, {"governance": {"time_cutoff": "09:31"}}, end=date(2024, 1, 12))
    text = drawn(run)
    taken = Taken(text)

    assert 0 == run.tables["session_trades"].num_rows
    assert "No trades." in text
    assert "time_cutoff" in taken.text
    assert [] == taken.open
    assert not re.search(r"\b(nan|inf|None)\b", taken.text)
