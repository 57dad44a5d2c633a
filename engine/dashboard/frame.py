"""The frame around every page: which runs there are, which one is looked at, and what is said where it cannot be."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from ...io.manifest import made_at
from ..service.runs import Run, list_runs, open_run
from . import alert_pages, overview, runs_pages, session_pages, strategy_pages, surface_page, trade_page
from .parts import instant, told, words

NEWEST = 100  # runs in the list beside the pages; the page of runs has all
Show = Callable[[Path, Run], None]
# Pages of a run: title, place, the artifact it is of, and what shows it.
OF_A_RUN: tuple[tuple[str, str, tuple[str, ...], Show], ...] = (
    ("Overview", "overview", (), overview.show),
    ("Trades", "trades", ("trades", "session_trades"), trade_page.show),
    ("Equity", "equity", ("trades", "equity"), alert_pages.equity),
    ("Callers", "callers", ("callers",), alert_pages.callers),
    ("Surface", "surface", ("surface",), surface_page.show),
    ("Search", "search", ("frontier", "session_trials"), surface_page.search),
    ("Guards", "guards", ("guards",), alert_pages.guards),
    ("Opening ranges", "ranges", ("sessions",), session_pages.ranges),
    ("Attribution", "attribution", ("factors",), session_pages.attribution),
    ("Governance", "governance", ("governance",), session_pages.governance),
    ("Artifacts", "artifacts", (), overview.artifacts),
)
OF_ALL = (
    ("Runs", "runs", runs_pages.show),
    ("Compare", "compare", runs_pages.compare),
    ("Strategies", "strategies", strategy_pages.show),
    ("Trace", "trace", strategy_pages.trace),
)


# Streamlit's own room around a page is a third of a screen, and a phone has one figure a row.
_STYLE = """<style>
[data-testid=stMainBlockContainer] { padding: 3.5rem clamp(1rem, 3vw, 3rem) 3rem; }
@media (max-width: 640px) {
  h1 { font-size: 1.75rem !important; }
  [data-testid=stColumn]:has(> * > * > [data-testid=stMetric]) { min-width: calc(50% - 1rem); flex: 1 1 0; }
}
</style>"""


def root() -> Path:
    """Return the directory of runs."""
    return Path(os.environ.get("HIGHWATER_RUNS") or "runs")


def show() -> None:
    """Show the page that is asked for."""
    stay_here()
    st.set_page_config("Highwater", layout="wide")
    st.html(_STYLE)
    folder = root()
    run = None
    with told():
        run = _chosen(folder)
    has = {each.type for each in run.manifest.artifacts} if run else set()
    pages = {"All runs": [_page(title, place, partial(show, folder)) for title, place, show in OF_ALL]}
    if run is not None:
        some = [each for each in OF_A_RUN if not each[2] or has & set(each[2])]
        pages["This run"] = [_page(title, place, partial(show, folder, run)) for title, place, _, show in some]
    chosen = st.navigation(pages)
    go = st.session_state.pop("go", None)
    if go is not None:
        target = next((page for some in pages.values() for page in some if page.url_path == go), None)
        if target is not None:
            st.switch_page(target)
    st.sidebar.caption(f"Runs in {words(folder)}. Nothing leaves this machine.")
    with told():
        chosen.run()


def _page(title: str, place: str, call: Callable[[], None]) -> Any:
    return st.Page(call, title=title, url_path=place, default=place == "runs")


def stay_here() -> None:
    """Keep Streamlit from asking a server for this machine's address where a stranger's page knocks."""
    from streamlit import net_util

    net_util._external_ip = net_util._internal_ip = "127.0.0.1"


def _chosen(folder: Path) -> Run | None:
    """Show the newest runs to choose from, and return the one that is chosen, by its id in the address too."""
    state = st.session_state
    if "next_run" in state:
        state["run"] = state.pop("next_run")
    elif "run" not in state and "run" in st.query_params:
        state["run"] = st.query_params["run"]
    found = list_runs(folder, limit=NEWEST).table.select(["run_id", "run_type", "status"]).to_pylist()
    sound = {row["run_id"]: row["run_type"] for row in found if row["status"] == "completed"}
    options = [*sound]
    if state.get("run") and state["run"] not in sound:
        options.insert(0, state["run"])
    if not options:
        return None

    def label(run_id: str) -> str:
        kind = sound.get(run_id)
        return f"{kind} · {instant(made_at(run_id))[5:16]} · {run_id[-6:]}" if kind else words(run_id)

    run_id = str(st.sidebar.selectbox("Run", options, format_func=label, key="run"))
    if st.query_params.get("run") != run_id:
        st.query_params["run"] = run_id
    return open_run(folder, run_id)
