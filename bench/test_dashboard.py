"""How long does a page of the dashboard take with 10,000 runs? What a browser then draws is not counted."""

import shutil

import pytest
from highwater.bench.many_runs import RUNS, TABLES, made
from highwater.io.catalog import sync
from highwater.io.schemas import ALERTS, CALLERS

MOST_S = 1.5


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dashboard")
    root = made(folder, (*TABLES, ("alerts", ALERTS, 1), ("callers", CALLERS, 1)))
    sync(root)
    yield root
    shutil.rmtree(folder)


def test_pages_with_10000_runs(bench, runs, monkeypatch):
    testing = pytest.importorskip("streamlit.testing.v1")
    from highwater.engine.dashboard_command import SCRIPT

    monkeypatch.setenv("HIGHWATER_RUNS", str(runs))

    def page(place):
        def view():
            found = testing.AppTest.from_file(str(SCRIPT), default_timeout=60)
            found.session_state["go"] = place
            found.run()
            assert not found.exception and not found.error
            return found

        return view

    ways = {f"the page {place}": page(place) for place in ("runs", "overview", "trades", "callers")}
    for way, took in bench.compare(ways, rounds=3).items():
        bench.say(way, took, f"{RUNS:,} runs")
        assert took.best < MOST_S
