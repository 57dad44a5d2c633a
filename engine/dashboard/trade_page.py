"""The trades of a run with filters, and the candles around one of them."""

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from ...io.errors import HighwaterError
from ...kernels.arrays import candles
from .. import plots
from ..reopen import numbers
from ..service import results
from ..service.candles import Span, around
from ..service.runs import Run
from ..service.tables import page
from ..show import bps, plain, span
from .parts import Forms, chart, grid, instant, paged, words

_ALERTS: Forms = {
    "caller_name": ("caller", "text"),
    "realized_return_bps": ("return", "bps"),
    "exit_reason": ("ended by", "text"),
    "entry_ts_ms": ("entered (UTC)", "time"),
    "time_exposed_ms": ("held", "span"),
    "entry_px": ("entry", "number"),
    "exit_px": ("exit", "number"),
    "worst_bps": ("worst", "bps"),
    "best_bps": ("best", "bps"),
    "max_favorable_excursion_bps": ("high", "bps"),
    "max_adverse_excursion_bps": ("low", "bps"),
    "tail_capture": ("kept of the high", "share"),
    "mint": ("token", "text"),
    "status": ("status", "text"),
}
_SESSIONS: Forms = {
    "symbol": ("symbol", "text"),
    "direction": ("side", "text"),
    "realized_r": ("R", "r"),
    "exit_reason": ("ended by", "text"),
    "entry_timestamp": ("entered (UTC)", "time"),
    "entry_price": ("entry", "number"),
    "exit_price": ("exit", "number"),
    "worst_r": ("worst", "r"),
    "best_r": ("best", "r"),
    "max_favorable_r": ("high", "r"),
    "max_adverse_r": ("low", "r"),
    "confluence_score": ("score", "number"),
}
_SORTS = {"": "as they were made", "best": "best first", "worst": "worst first", "newest": "newest first"}


def show(_: Path, run: Run) -> None:
    """Show the trades that fit the filters, and the candles of the one that is chosen."""
    st.title("Trades")
    sessions = results.is_session(run)
    result, entry = ("realized_r", "entry_timestamp") if sessions else ("realized_return_bps", "entry_ts_ms")
    where = _filters(run, sessions, result)
    sort = st.session_state.get("sort", "")
    asked: dict[str, Any] = {"where": where}
    if sort:
        asked |= {"sort": entry if sort == "newest" else result, "ascending": sort == "worst"}
    row = paged(
        lambda limit, offset: results.trades(run, limit=limit, offset=offset, **asked),
        _SESSIONS if sessions else _ALERTS,
        "trades",
        "trades",
        choose="its candles",
        rows=12,
    )
    if row is None:
        _spread(run, asked, result)
        return
    name = row["trade_id" if sessions else "call_id"]
    try:
        _candles(run, around(run, name), sessions)
    except HighwaterError as error:
        st.info(words(error))


def _filters(run: Run, sessions: bool, result: str) -> list[str]:
    """Show the filters, and return what they ask for."""
    who = "symbol" if sessions else "caller_name"
    named = "symbols" if sessions else "callers"
    rows = page(run, named, columns=[who], limit=1000).table[who] if run.manifest.artifact(named) else ()
    names = sorted({str(name) for name in rows if name.as_py()})
    kind = "session_trades" if sessions else "trades"
    some = page(run, kind, columns=["exit_reason"], limit=1000).table["exit_reason"].to_pylist()
    first, second, third, fourth = st.columns(4)
    chosen = first.selectbox(
        "Symbol" if sessions else "Caller", names, index=None, placeholder="all", format_func=plain
    )
    reason = second.selectbox("Ended by", sorted({r for r in some if r}), index=None, placeholder="all")
    outcome = third.selectbox("Outcome", ("won", "lost"), index=None, placeholder="all")
    fourth.selectbox("Order", _SORTS, format_func=lambda each: _SORTS[each], key="sort")
    where = [f"{who}='{chosen}'"] if chosen else []
    where += [f"exit_reason='{reason}'"] if reason else []
    where += [f"{result}{'>' if outcome == 'won' else '<='}0"] if outcome else []
    if sessions:
        side = st.segmented_control("Side", ("long", "short"))
        where += [f"direction={side}"] if side else []
    return where


def _spread(run: Run, asked: dict[str, Any], result: str) -> None:
    """Show how the first thousand of the trades are spread, and how far each went either way."""
    scale, unit = (1, "R") if result == "realized_r" else (100, "%")
    table = results.trades(run, limit=1000, **asked).table
    values = numbers(table, result) / scale
    known = ~np.isnan(values)
    if not known.any():
        return
    ends = ("r", "r") if unit == "R" else ("excursion_bps", "excursion_bps")
    low, high = (numbers(table, f"max_{w}_{e}") / scale for w, e in zip(("adverse", "favorable"), ends, strict=True))
    names = [
        plain(f"{a}: {b}") for a, b in zip(table["exit_reason"].to_pylist(), values.round(2).tolist(), strict=True)
    ]
    some = [name for name, there in zip(names, known.tolist(), strict=True) if there]
    first, second = st.columns(2)
    with first:
        chart(plots.histogram(values[known], unit, "Returns"), "spread")
    with second:
        labels = (f"lowest, {unit}", f"highest, {unit}")
        chart(plots.cloud(low[known], high[known], values[known], some, labels, "How far each went"), "excursions")


def _candles(run: Run, found: Span, sessions: bool) -> None:
    """Show the candles around a trade, with its entry, its exit and its levels."""
    row = found.trade or {}
    table = found.table
    if not table.num_rows:
        st.info("There are no candles around this trade.")
        return
    ts = table["timestamp"].cast("timestamp[ms]").cast("int64").to_numpy()
    bars = candles(ts, *(table[name].to_numpy() for name in ("open", "high", "low", "close", "volume")))
    names = (
        ("entry_timestamp", "entry_price", "exit_timestamp", "exit_price", "realized_r")
        if sessions
        else ("entry_ts_ms", "entry_px", "exit_ts_ms", "exit_px", "realized_return_bps")
    )
    entered, price, left, sold, result = (row[name] for name in names)
    tone = "gain" if (result or 0) > 0 else "loss"
    marks = [(entered, price, "entry", ""), (left, sold, f"exit {row['exit_reason']}", tone)]
    levels = []
    if sessions:
        levels = [(row["or_high"], "OR high"), (row["or_low"], "OR low"), (row["stop_price_initial"], "stop")]
    said = f"{result:+.2f} R" if sessions else bps(result, 2)
    held = span(left - entered)
    st.subheader(words(f"{row['symbol'] if sessions else row['mint']}: {said}, {row['exit_reason']} after {held}"))
    st.caption(words(f"{instant(entered)} to {instant(left)} UTC · candles of {span(found.interval_ms)}"))
    chart(plots.candle_chart(bars, marks, levels), "candles")
    if found.total > table.num_rows:
        st.caption(f"The first {table.num_rows:,} of {found.total:,} candles.")
    if not sessions:
        fills = page(run, "fills", where=[f"call_id='{row['call_id']}'", f"policy_id='{row['policy_id']}'"]).table
        grid(
            fills,
            {
                "ts_ms": ("sold (UTC)", "time"),
                "price": ("price", "number"),
                "frac_bps": ("share", "part"),
                "reason": ("ended by", "text"),
                "gap": ("gap", "bool"),
            },
            "fills",
        )
