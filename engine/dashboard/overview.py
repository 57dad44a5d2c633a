"""What a run is and what it came to; and its artifacts as they lie there."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import streamlit as st

from ...io.manifest import COMPLETED
from .. import plots
from ..service import results
from ..service.runs import Run, verify_run
from ..service.strategies import strategies
from ..service.tables import page
from ..show import share, size
from .parts import STRATEGIES, Forms, cards, chart, facts, figure_text, grid, label, paged, words

_FIRST = {
    "summary": ("avg_return_bps", "median_return_bps", "win_rate", "profit_factor", "trades_count", "stop_out_rate"),
    "symbols": ("total_r", "win_rate", "total_trades", "sharpe_ratio", "profit_factor", "max_drawdown_r"),
}
_INPUTS = ("input", "rows", "digest", "from")
_LAB: Forms = {
    "rank": ("#", "count"),
    "total_trades": ("trades", "count"),
    "win_rate": ("wins", "share"),
    "realized_profit": ("profit", "ratio"),
    "sharpe_annual": ("Sharpe", "ratio"),
    "profit_factor": ("profit factor", "ratio"),
    "backtest_id": ("backtest", "text"),
    "parameters": ("settings", "text"),
}
_BOUNDS = {"summary": ("mean_worst_bps", "mean_best_bps"), "symbols": ("worst_r", "best_r")}


def show(folder: Path, run: Run) -> None:
    """Show the numbers that matter, the equity, and what the run was made of."""
    told = run.manifest
    st.title(f"{told.run_type.capitalize()} run")
    st.caption(words(f"{run.run_id} · {told.created_at[:19].replace('T', ' ')} UTC · {told.status}"))
    if told.status != COMPLETED:
        st.error(words(f"This run failed: {told.error}"))
    else:
        _numbers(run)
        _else(folder, run)
    st.subheader("What it was made of")
    grid(_inputs(run), {name: (name, "count" if name == "rows" else "text") for name in _INPUTS}, "inputs")
    left, right = st.columns(2)
    with left:
        facts("counted", [(name, f"{n:,}") for name, n in told.counts.items() if n], "counts")
    with right:
        settings = [(name, value) for name, value in told.config.items() if value is not None]
        facts("setting", [(a, b if isinstance(b, str) else json.dumps(b)) for a, b in settings], "config")
    st.code(f"highwater {' '.join(told.command)}", language=None, wrap_lines=True)
    if st.button("Verify every file of this run"):
        found = verify_run(folder, run.run_id)
        bad = [each for each in found if each.level == "error"]
        if bad:
            st.error(words(f"Not as published: {bad[0].path}: {bad[0].problem}"))
        else:
            st.success(f"{len(told.artifacts)} files are as published, byte for byte.")


def _numbers(run: Run) -> None:
    """Show the key figures of a run that traded, its verdict, and its equity in small."""
    kind = next((each for each in _FIRST if run.manifest.artifact(each)), None)
    if kind is not None:
        values = results.metrics(run).values
        named = [(name, values.get(name)) for name in (*_FIRST[kind], *_BOUNDS[kind])]
        cards([(_title(name), figure_text(name, value)) for name, value in named])
    judged = results.guards(run)
    if judged and judged.get("verdict"):
        verdict(judged)
    if run.manifest.artifact("trades") or run.manifest.artifact("equity"):
        drawn = results.equity(run)
        if drawn.table.num_rows:
            chart(equity_figure(drawn), "equity")
        else:
            st.info("No trades.")


def verdict(judged: dict[str, Any]) -> None:
    """Show the verdict on a winner, and which checks fail."""
    failing = ", ".join(judged.get("failing") or [])
    tone = {"PROVEN": st.success, "REFUTED": st.error}.get(judged["verdict"], st.warning)
    tone(words(f"{judged['verdict']}{f'; failing: {failing}' if failing else ''}"))


def _else(folder: Path, run: Run) -> None:
    """Show what a run that traded nothing came to: how many calls reached 2x, or its best strategies."""
    if run.manifest.run_type == "path-only":
        pool = results.callers(run).pool
        rate, low, high = (share(each) for each in (pool.rate, pool.low, pool.high))
        cards([("Calls", f"{pool.calls:,}"), ("Reached 2x", rate), ("95% interval", f"{low} to {high}")])
    elif run.manifest.run_type == "traces":
        st.subheader("Its best strategies")
        best = strategies(folder, [f"run_id={run.run_id}"], "sharpe", limit=10).table
        grid(best, STRATEGIES, "best")
    elif run.manifest.artifact("lab_analytics"):
        st.subheader("Its best backtests")
        grid(page(run, "lab_analytics", limit=10).table, _LAB, "best")


def _title(name: str) -> str:
    named = {"trades_count": "Trades", "stop_out_rate": "Stopped out"}
    named |= dict.fromkeys(("mean_worst_bps", "worst_r"), "Worst order in candles")
    named |= dict.fromkeys(("mean_best_bps", "best_r"), "Best order in candles")
    words_ = label(name.removesuffix("_bps"))
    return named.get(name, words_[:1].upper() + words_[1:])


def equity_figure(found: results.Equity) -> Any:
    """Return the equity of a run by the time of its entries, of sessions by that of their exits, drawdown below."""
    bps = found.unit == "bps"
    ts = found.table["entry_ts_ms" if bps else "exit_timestamp"].to_numpy()
    sums = found.table["cumulative_return_bps" if bps else "cumulative_r"].to_numpy() / (100 if bps else 1)
    return plots.equity(ts, sums, "%" if bps else "R")


def _inputs(run: Run) -> pa.Table:
    code = run.manifest.code
    rows = [(one.kind, one.rows, one.digest[:12], one.source) for one in run.manifest.inputs]
    rows.append(("code", None, (code.git_commit or "")[:12], f"Highwater {code.version}"))
    return pa.table(dict(zip(_INPUTS, map(list, zip(*rows, strict=True)), strict=True)))


def artifacts(_: Path, run: Run) -> None:
    """Show any table of the run, a page at a time."""
    st.title("Artifacts")
    tables = [each for each in run.manifest.artifacts if each.rows is not None]
    kinds = list(dict.fromkeys(each.type for each in tables))
    kind = st.selectbox("Artifact", kinds)
    if kind is None:
        st.info("This run has no tables.")
        return
    one = next(each for each in tables if each.type == kind)
    st.caption(words(f"{one.path} · {one.rows:,} rows · {size(one.bytes)} · sha256 {one.sha256[:12]}"))
    paged(lambda limit, offset: page(run, kind, limit=limit, offset=offset), None, f"artifact-{kind}", "rows")
