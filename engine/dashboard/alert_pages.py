"""What a run's trades add up to, what its callers are worth, and whether its winner is luck."""

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from .. import plots
from ..reopen import numbers
from ..service import results
from ..service.runs import Run
from ..service.tables import Page
from ..show import bps, plain
from .overview import equity_figure, verdict
from .parts import Forms, cards, chart, instant, paged, words

MOST = 40  # callers drawn
_STATUS = {"PASS": "✓", "WARN": "!", "FAIL": "✗"}


def equity(_: Path, run: Run) -> None:
    """Show the equity with its drawdown, of all together or of one symbol, and the spread of returns."""
    st.title("Equity and drawdown")
    symbol = None
    if results.is_session(run):
        names = [name for name in results.page(run, "symbols", limit=1000).table["symbol"].to_pylist() if name]
        symbol = st.selectbox("Symbol", names, index=None, placeholder="all together", format_func=plain)
    found = results.equity(run, symbol)
    if not found.table.num_rows:
        st.info("No trades.")
        return
    form = (lambda x: bps(x, 2)) if found.unit == "bps" else (lambda x: f"{x:+.2f} R")
    ends = found.table["entry_ts_ms" if found.unit == "bps" else "exit_timestamp"]
    numbers_ = ("Trades", f"{found.table.num_rows:,}"), ("Last trade", instant(ends[-1].as_py())[:10])
    cards([("In all", form(found.final)), ("Deepest fall", form(found.max_drawdown)), *numbers_])
    chart(equity_figure(found), "equity")
    each = "realized_return_bps" if found.unit == "bps" else "realized_r"
    values = numbers(found.table, each) / (100 if found.unit == "bps" else 1)
    chart(plots.histogram(values, "%" if found.unit == "bps" else "R", "Returns of the trades"), "returns")
    if found.unit == "bps":
        st.caption("Sums of returns in the order of entries, the same stake on each trade; nothing is reinvested.")


def callers(_: Path, run: Run) -> None:
    """Show the callers in an order that luck does not decide, with the interval of each."""
    st.title("Callers")
    left, middle, right = st.columns(3)
    multiple = left.selectbox("Reached", (2.0, 3.0, 4.0, 5.0, 10.0), format_func=lambda k: f"{k:g}x")
    orders = {
        "shrunk": "rate, shrunk to that of all",
        "low": "low end of the interval",
        "q": "q-value",
        "calls": "calls",
        "median": "median high",
        "score": "score",
    }
    sort = middle.selectbox("In the order of", orders, format_func=lambda each: orders[each])
    least = right.number_input("With at least this many calls", 1, value=1)
    found = results.callers(run, multiple, sort, int(least))
    if not found.rows.num_rows:
        st.info("No callers.")
        return
    k, some = found.k, found.rows.slice(0, MOST)
    names = [name[:28] or "(none)" for name in some["caller_name"].to_pylist()]
    rate, low, high = (numbers(some, f"hit_{k}_{end}") * 100 for end in ("rate", "low", "high"))
    line = None if np.isnan(found.pool.rate) else found.pool.rate * 100
    st.caption(f"Share of the calls that reached {k}, with 95% intervals; the dotted line is that of all calls")
    chart(plots.intervals(names, rate, low, high, "%", line), "intervals")
    forms: Forms = {
        "caller_name": ("caller", "text"),
        "calls": ("calls", "count"),
        f"hit_{k}_rate": (f"hit {k}", "share"),
        f"hit_{k}_shrunk": ("shrunk", "share"),
        f"hit_{k}_q": ("q-value", "number"),
        f"hit_{k}_needs": ("needs more", "count"),
        "median_ath_mult": ("median high", "times"),
        "median_dd_overall": ("median low", "share"),
        "avg_return_bps": ("mean trade", "bps"),
        "win_rate": ("wins", "share"),
        "caller_score": ("score", "ratio"),
    }
    paged(lambda n, at: Page(found.rows.slice(at, n), found.rows.num_rows), forms, "callers", "callers")


def guards(_: Path, run: Run) -> None:
    """Show the verdict on a search, check by check."""
    st.title("Is the winner luck?")
    found = results.guards(run)
    if not found or not found.get("verdict"):
        st.info("No verdict was asked for.")
        return
    verdict(found)
    lines = ["| check | status | found |", "|---|---|---|"]  # its text wraps, as that of a grid does not
    for check in found["checks"]:
        status = f"{_STATUS.get(check['status'], '')} {check['status']}"
        lines.append(f"| {words(check['name'])} | {words(status)} | {words('; '.join(check['found']))} |")
    st.markdown("\n".join(lines))
    st.caption("A winner of many trials is the luckiest of them too; each check asks in another way what it is worth.")
    st.subheader("What it rests on")
    for name in ("search", "winner", "thresholds"):
        if isinstance(found.get(name), dict):
            with st.expander(name.capitalize()):
                st.json(_printable(found[name]), expanded=1)
    if found.get("tried") is not None:
        st.text(f"Configurations tried on these data so far: {found['tried']:,}")


def _printable(value: Any) -> Any:
    if isinstance(value, dict):
        return {plain(name): _printable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_printable(each) for each in value]
    return plain(value) if isinstance(value, str) else value
