"""The runs of a directory, new ones as they come, and two of them beside each other."""

from pathlib import Path

import pyarrow as pa
import streamlit as st

from ..diff_trades import Metrics, Trades
from ..service import results
from ..service.runs import Filter, RunPage, list_runs, open_run
from ..service.tables import Page
from ..show import plain
from .parts import forms_of, grid, paged, pc, told

EVERY_S = 5  # a new run is seen after this time
TYPES = ("policy", "search", "surface", "path-only", "session", "traces", "lab", "rerun")
STATUSES = ("completed", "failed", "corrupt", "unverified", "newer")
_FORMS = {
    "run_type": ("type", "text"),
    "status": ("status", "text"),
    "reason": ("what is wrong", "text"),
    "created_at": ("created (UTC)", "text"),
    "calls": ("alerts", "count"),
    "trials": ("tried", "count"),
    "total_trades": ("trades", "count"),
    "total_ms": ("took", "span"),
    "run_id": ("run", "text"),
    "command": ("command", "text"),
}


def show(folder: Path) -> None:
    """List the runs, and look again every few seconds."""
    st.title("Runs")
    left, right = st.columns(2)
    run_type = left.selectbox("Type", TYPES, index=None, placeholder="all types")
    status = right.selectbox("Status", STATUSES, index=None, placeholder="any status")

    @st.fragment(run_every=EVERY_S)
    def listed() -> None:
        def ask(limit: int, offset: int) -> Page:
            found: RunPage = list_runs(folder, Filter(run_type, status), limit=limit, offset=offset)
            when = [None if t is None else f"{t:%Y-%m-%d %H:%M:%S}" for t in found.table["created_at"].to_pylist()]
            table = found.table.drop_columns("created_at").append_column("created_at", pa.array(when, pa.string()))
            empty = not any(table["reason"].to_pylist())
            return Page(table.drop_columns("reason") if empty else table, found.total)

        row = None
        with told():
            row = paged(ask, _FORMS, "runs", "runs", choose="its run")
        if row is None:
            st.caption("New runs appear by themselves.")
        elif row["status"] not in ("completed", "failed"):
            st.warning(f"This run is {row['status']} and is not shown.")
            st.text(plain(row["reason"]))
        else:
            st.session_state["next_run"], st.session_state["go"] = row["run_id"], "overview"
            st.rerun(scope="app")

    listed()


def compare(folder: Path) -> None:
    """Show what differs between two runs, and their trades pair by pair."""
    st.title("Compare two runs")
    runs = [row for row in list_runs(folder).table.to_pylist() if row["status"] == "completed"]
    if len(runs) < 2:
        st.info("There are no two runs to compare.")
        return
    ids = {
        row["run_id"]: f"{row['run_type']} · {row['created_at']:%Y-%m-%d %H:%M} · {row['run_id'][-6:]}" for row in runs
    }
    left, right = st.columns(2)
    kinds = [row["run_type"] for row in runs]  # the newest two of one type, where there are two
    second = next((k for k, kind in enumerate(kinds) if kind in kinds[k + 1 :]), 0)
    first = kinds.index(kinds[second], second + 1) if kinds.count(kinds[second]) > 1 else 1
    one = left.selectbox("First", ids, index=first, format_func=lambda each: ids[each])
    other = right.selectbox("Second", ids, index=second, format_func=lambda each: ids[each])
    if one == other:
        st.info("Choose two different runs.")
        return
    found = results.compare(open_run(folder, one), open_run(folder, other))
    st.subheader("What is not the same around them")
    if found.changes:
        changes = [{k: v if v is None else plain(v) for k, v in vars(each).items()} for each in found.changes]
        table = pa.Table.from_pylist(changes)
        grid(table, forms_of(table.schema), "changes")
    else:
        st.text("Data, config, code and environment are the same.")
    if found.trades is not None:
        _pairs(found.trades)
    if found.metrics is not None:
        _metrics(found.metrics)
    st.subheader("Where their artifacts part")
    if found.differences:
        rows = [{k: plain("" if v is None else v) for k, v in vars(each).items()} for each in found.differences]
        table = pa.Table.from_pylist(rows)
        grid(table, forms_of(table.schema), "differences")
    else:
        st.text("Every artifact is the same, value by value.")


def _pairs(found: Trades) -> None:
    """Show why pairs of trades are not the same, and those that differ most."""
    st.subheader("Their trades, pair by pair")
    forms = {"reason": ("reason", "text"), "trades": ("trades", "count")}
    sums = {f"{side}_q": (f"{side} sum", "bps") for side in ("first", "second", "change")}
    totals = found.totals
    for name in sums:
        totals = totals.set_column(totals.column_names.index(name), name, pc.divide(totals[name], 100))
    grid(totals, forms | sums, "reasons")
    if found.rows.num_rows:
        st.caption("The pairs that differ most")
        grid(found.rows, forms_of(found.rows.schema, ("change_q",)), "pairs")


def _metrics(found: Metrics) -> None:
    """Show which path metrics differ, and where each moved most."""
    st.subheader("Their path metrics")
    st.text(
        f"{found.alerts:,} alerts are in both; {found.only[0]:,} only in the first, {found.only[1]:,} in the second."
    )
    rows = [{k: plain("" if v is None else v) for k, v in vars(each).items()} for each in found.metrics]
    if rows:
        table = pa.Table.from_pylist(rows)
        grid(table, forms_of(table.schema), "metrics")
