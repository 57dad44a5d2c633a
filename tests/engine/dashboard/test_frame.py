"""Every page of the dashboard, as Streamlit's own test bench runs it: on runs of each kind, none, damaged ones."""

import re
import shutil

import pytest
import service_runs
from highwater.engine.dashboard_command import SCRIPT
from small_market import run, table_of

testing = pytest.importorskip("streamlit.testing.v1")
PAGES = {
    "runs": ("Runs", None),
    "compare": ("Compare two runs", None),
    "strategies": ("Strategies", None),
    "trace": ("Trace", None),
    "overview": ("Policy run", "policy"),
    "trades": ("Trades", "policy"),
    "equity": ("Equity and drawdown", "policy"),
    "callers": ("Callers", "path-only"),
    "surface": ("Surface", "surface"),
    "search": ("Search", "search"),
    "guards": ("Is the winner luck?", "search"),
    "ranges": ("Opening ranges", "session"),
    "attribution": ("Factor attribution", "session"),
    "governance": ("Governance", "session"),
    "artifacts": ("Artifacts", "traces"),
}


def view(runs, monkeypatch, place="runs", run_id=None, **state):
    """Return a page as it was run, which must be without an exception."""
    monkeypatch.setenv("HIGHWATER_RUNS", str(runs))
    page = testing.AppTest.from_file(str(SCRIPT), default_timeout=60)
    for name, value in (state | {"go": place} | ({"next_run": run_id} if run_id else {})).items():
        page.session_state[name] = value
    page.run()
    assert not page.exception, page.exception
    return page


def said(page):
    """Return all text that a page says outside tables."""
    parts = (page.title, page.subheader, page.caption, page.error, page.info, page.warning, page.text)
    return "\n".join(str(each.value) for part in parts for each in part)


@pytest.mark.parametrize("place", PAGES)
def test_every_page_shows_its_title_and_no_error(place, monkeypatch):
    made = service_runs.made()
    title, kind = PAGES[place]
    page = view(made.root, monkeypatch, place, made.ids.get(kind))

    assert [title] == [each.value for each in page.title]
    assert [] == [each.value for each in page.error]


def test_the_pages_of_a_run_of_sessions_have_its_numbers(monkeypatch):
    made = service_runs.made()
    page = view(made.root, monkeypatch, "overview", made.ids["session"])
    metrics = {each.label: each.value for each in page.metric}

    assert {"Total R", "Win rate", "Total trades", "Max drawdown R"} <= set(metrics)
    assert table_of(made.root, "session_trades", made.ids["session"]).num_rows == int(metrics["Total trades"]) > 0


def test_trades_are_filtered_and_names_are_never_markup(monkeypatch):
    made = service_runs.made()
    page = view(made.root, monkeypatch, "trades", made.ids["policy"])
    caller = next(each for each in page.selectbox if each.label == "Caller")
    total = int(next(each.value for each in page.caption if "trades" in each.value).split(" of ")[1].split()[0])
    caller.set_value(service_runs.HOSTILE).run()
    shown = page.dataframe[0].value
    left = int(next(each.value for each in page.caption if "trades" in each.value).split(" of ")[1].split()[0])

    assert 0 < left < total
    assert {service_runs.HOSTILE} == set(shown["caller"])
    assert not page.exception


def test_a_surface_of_three_parameters_is_cut_where_the_slider_stands(monkeypatch):
    made = service_runs.made()
    page = view(made.root, monkeypatch, "surface", made.ids["surface"])
    before = page.caption[0].value
    page.select_slider[0].set_value(0.2).run()

    assert "trail" in before and before != page.caption[0].value
    assert r"trail 0\.2" in page.caption[0].value


def test_a_directory_without_runs_says_so(tmp_path, monkeypatch):
    page = view(tmp_path, monkeypatch)

    assert ["No runs."] == [each.value for each in page.info]


def test_a_directory_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    page = view(tmp_path / "none", monkeypatch)

    assert 1 <= len(page.error)
    assert "is not a directory of runs" in page.error[0].value


def test_a_corrupt_run_is_named_and_not_shown(tmp_path, monkeypatch):
    runs = service_runs.copy(tmp_path)
    path = service_runs.path_of(runs, "policy")
    (path / "run.json").write_text("{}")
    listed = view(runs.root, monkeypatch)
    page = view(runs.root, monkeypatch, "overview", runs.ids["policy"])

    assert "corrupt" in set(listed.dataframe[0].value["status"])
    assert any("run.json" in str(each) for each in listed.dataframe[0].value["what is wrong"])
    assert "corrupt" in said(page) and "Policy run" not in said(page)


def test_a_run_that_is_deleted_while_it_is_looked_at_is_one_line(tmp_path, monkeypatch):
    runs = service_runs.copy(tmp_path)
    page = view(runs.root, monkeypatch, "trades", runs.ids["policy"])
    shutil.rmtree(service_runs.path_of(runs, "policy"))
    page.run()

    assert not page.exception
    assert "Trades" not in said(page)
    assert "deleted" in said(page) or "there is no run" in said(page)


def test_a_damaged_table_is_named_and_the_rest_of_the_run_is_shown(tmp_path, monkeypatch):
    runs = service_runs.copy(tmp_path)
    file = service_runs.path_of(runs, "policy") / "policy/trades.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    page = view(runs.root, monkeypatch, "trades", runs.ids["policy"])

    assert 1 == len(page.error) and "trades" in page.error[0].value
    assert not page.dataframe
    assert [] == [each.value for each in view(runs.root, monkeypatch, "callers", runs.ids["policy"]).error]


def test_a_run_without_trades_says_so(tmp_path, monkeypatch):
    market = service_runs.made().root.parent
    words = ["--alerts", market / "alerts.parquet", "--candles", market / "candles.parquet", "--runs", tmp_path]
    done = run("baseline", *words, "--quiet")
    page = view(tmp_path, monkeypatch, "overview")

    assert 0 == done.code
    assert ["Path-only run"] == [each.value for each in page.title]


@pytest.mark.parametrize("run_id", ["../../etc", "![<script>](http://evil.example/x)"])
def test_what_stands_in_the_address_for_a_run_is_looked_up_or_refused(run_id, monkeypatch):
    page = view(service_runs.made().root, monkeypatch, "overview", run_id)

    assert any("there is no run" in each.value for each in page.error)
    assert not re.search(r"(?<!\\)[<!]", said(page))
