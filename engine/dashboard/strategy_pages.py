"""Indicator strategies of all runs, found by parameter, and a trace on its prices."""

from pathlib import Path

import numpy as np
import streamlit as st

from ...io.errors import HighwaterError
from ...kernels.arrays import candles
from .. import plots
from ..reopen import numbers
from ..service import strategies as service
from ..service.tables import Page
from ..show import percent, plain
from .parts import STRATEGIES, Forms, cards, chart, figure_text, paged, words

_MOST = 1500  # candles drawn
_SORTS = ("sharpe", "total_return", "win_rate", "max_drawdown", "num_trades", "profit_factor")


def show(folder: Path) -> None:
    """Show the strategies that fit, the best first; a chosen one is looked at on its prices."""
    st.title("Strategies")
    left, right = st.columns([3, 1])
    typed = left.text_input(
        "Where", placeholder="fast_period=10 sharpe>1 symbol=SPY", help="Conditions, one after the other"
    )
    sort = right.selectbox("Best by", _SORTS)

    def ask(limit: int, offset: int) -> Page:
        return service.strategies(folder, typed.split(), sort, limit=limit, offset=offset)

    row = paged(ask, STRATEGIES, "strategies", "strategies", choose="its signals on the price")
    if row is None:
        return
    st.session_state["trace"] = (row["strategy_id"], row["run_id"], row["symbol"])
    st.session_state["go"] = "trace"
    st.rerun()


def trace(folder: Path) -> None:
    """Show a trace by its hash, or the one that was chosen: its signals on the closes, and its changes."""
    st.title("Trace")
    typed = st.text_input("Hash or trace key", placeholder="four or more digits; or choose one among the strategies")
    strategy, run, symbol = (typed.strip(), None, None) if typed else st.session_state.get("trace", ("", None, None))
    if not strategy:
        st.info("Choose a strategy first, or type its hash.")
        return
    found = service.trace(folder, strategy, run, symbol)
    row = found.loaded.row
    st.subheader(words(f"{row['strategy_id']} on {row['symbol']}, {row['timeframe']}"))
    shares = (("Return", "total_return"), ("Deepest fall", "max_drawdown"))
    figures = (("Sharpe", "sharpe"), ("Trades", "num_trades"))
    cards(
        [(title, percent(row.get(name))) for title, name in shares]
        + [(title, figure_text(name, row.get(name))) for title, name in figures]
    )
    st.code(plain(row["config"]), language="json", wrap_lines=True)
    try:
        _draw(folder, found)
    except HighwaterError as error:
        st.info(words(error))
    forms: Forms = {
        "ts": ("time (UTC)", "time"),
        "val": ("signal", "count"),
        "px": ("close", "number"),
        "idx": ("candle", "count"),
    }
    rows = found.loaded.table
    paged(lambda limit, offset: Page(rows.slice(offset, limit), rows.num_rows), forms, "changes", "changes")


def _draw(folder: Path, found: service.TracePage) -> None:
    """Show the candles of a trace, some of them to choose, and where its signal turned."""
    table = service.series_table(folder, found.loaded)
    size = table.num_rows
    first = 0
    if size > _MOST:
        first = st.slider("From candle", 0, size - _MOST, size - _MOST, step=_MOST // 4)
    some = table.slice(first, _MOST)
    ts = some["timestamp"].cast("timestamp[ms]").cast("int64").to_numpy()
    bars = candles(ts, *(some[name].to_numpy() for name in ("open", "high", "low", "close", "volume")))
    turns = found.loaded.table
    at = numbers(turns, "idx").astype(np.int64) - first
    there = (at >= 0) & (at < bars.ts.size)
    values = numbers(turns, "val").astype(np.int64)
    names = {1: ("long", "gain"), 0: ("flat", ""), -1: ("short", "loss")}
    marks = [
        (int(bars.ts[i]), float(bars.close[i]), *names[v])
        for i, v in zip(at[there].tolist(), values[there].tolist(), strict=True)
    ]
    chart(plots.candle_chart(bars, marks[:300], []), "trace")
    if len(marks) > 300:
        st.caption(f"The first 300 of {len(marks):,} changes among these candles are marked.")
