"""The pages of a run of sessions: its opening ranges, what each factor was worth, and what governance kept back."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import streamlit as st

from .. import plots
from ..reopen import numbers
from ..service import results
from ..service.limits import tables
from ..service.runs import Run
from ..service.tables import page, whole_of
from .parts import Forms, cards, chart, grid, paged

_WIDTHS = """
SELECT s.symbol, s.day, s.or_width, s.or_width / nullif(s.unit, 0) AS units, s.norm_vol, sum(t.realized_r) AS r
FROM sessions s LEFT JOIN trades t USING (symbol, day) WHERE s.or_width IS NOT NULL GROUP BY ALL ORDER BY ALL
"""
_VERDICTS = "SELECT or_verdict AS verdict, count(*) AS sessions FROM sessions GROUP BY ALL ORDER BY 2 DESC, 1"
_EVENTS = "SELECT event, direction, count(*) AS times FROM events GROUP BY ALL ORDER BY times DESC, event, direction"


def ranges(_: Path, run: Run) -> None:
    """Show how wide the opening ranges were, and whether their width told anything of the result."""
    st.title("Opening ranges")
    sessions = whole_of(run, "sessions")
    trades = whole_of(run, "session_trades")
    with tables(sessions=sessions, trades=trades) as database:
        found = database.sql(_WIDTHS).to_arrow_table()
        verdicts = database.sql(_VERDICTS).to_arrow_table()
    widths, r = numbers(found, "units"), numbers(found, "r")
    known, both = ~np.isnan(widths), ~np.isnan(widths) & ~np.isnan(r)
    told = (
        np.corrcoef(widths[both], r[both])[0, 1] if both.sum() > 2 and widths[both].std() and r[both].std() else np.nan
    )
    whole = numbers(sessions, "coverage")
    cards(
        [
            ("Sessions", f"{sessions.num_rows:,}"),
            ("With a range", f"{found.num_rows:,}"),
            ("Width with R, correlation", "-" if np.isnan(told) else f"{told:+.2f}"),
            ("Candles there", "-" if not whole.size else f"{np.nanmean(whole):.1%}"),
        ]
    )
    if known.any():
        left, right = st.columns(2)
        with left:
            chart(plots.histogram(widths[known], "of the usual range", "Width of the range"), "widths")
        with right:
            names = [f"{s} {d}" for s, d in zip(found["symbol"].to_pylist(), found["day"].to_pylist(), strict=True)]
            some = [name for name, there in zip(names, both.tolist(), strict=True) if there]
            labels = ("of the usual range", "R of the day")
            chart(plots.cloud(widths[both], r[both], r[both], some, labels, "Width and result"), "width-r")
    st.subheader("What became of them")
    grid(verdicts, {"verdict": ("verdict", "text"), "sessions": ("sessions", "count")}, "verdicts")
    paged(lambda limit, offset: page(run, "sessions", limit=limit, offset=offset), None, "sessions", "sessions")


def attribution(_: Path, run: Run) -> None:
    """Show what each factor was worth, with it and without it, and results by score."""
    st.title("Factor attribution")
    factors, buckets = results.attribution(run)
    if not factors:
        st.info("No trades.")
        return
    names = [each["factor"].replace("_", " ") for each in factors]
    sides = (("present", "with"), ("absent", "without"))
    pairs = [
        (word, np.array([np.nan if each[f"{side}_avg_r"] is None else each[f"{side}_avg_r"] for each in factors]))
        for side, word in sides
    ]
    chart(plots.bars(names, pairs, "R", "Mean R with each factor and without"), "factors")
    table = pa.Table.from_pylist([each | {"factor": name} for each, name in zip(factors, names, strict=True)])
    forms: dict[str, tuple[str, str]] = {"factor": ("factor", "text")}
    for side, word in sides:
        forms |= {f"{side}_count": (f"trades {word}", "count"), f"{side}_win_rate": (f"wins {word}", "share")}
        forms[f"{side}_avg_r"] = (f"mean R {word}", "r")
    grid(table, forms | {"delta_win_rate": ("more wins", "change"), "delta_avg_r": ("worth", "r")}, "attribution")
    st.subheader("By score")
    rows = pa.Table.from_pylist(buckets)
    named: Forms = {
        "bucket": ("score", "text"),
        "count": ("trades", "count"),
        "avg_r": ("mean R", "r"),
        "win_rate": ("wins", "share"),
        "total_r": ("sum of R", "r"),
    }
    chart(plots.bars(rows["bucket"].to_pylist(), [("mean R", numbers(rows, "avg_r"))], "R"), "scores")
    grid(rows, named, "buckets")


def governance(_: Path, run: Run) -> None:
    """Show what kept breaks from being traded."""
    st.title("Governance")
    events = whole_of(run, "governance")
    if not events.num_rows:
        st.info("Nothing was kept back.")
        return
    with tables(events=events) as database:
        counts = database.sql(_EVENTS).to_arrow_table()
    named = {"event": ("event", "text"), "direction": ("side", "text"), "times": ("times", "count")}
    grid(counts, named, "events")
    each: Forms = {"symbol": ("symbol", "text"), "day": ("day", "text"), "timestamp": ("time (UTC)", "time")}
    each = each | {"direction": ("side", "text"), "event": ("event", "text")}
    paged(lambda limit, offset: page(run, "governance", limit=limit, offset=offset), each, "governance", "events")
