"""The tables of a session run's pages. Every cell is escaped: symbols and settings are whatever was typed."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

import numpy as np

from ... import __version__
from ...io.digest import config_digest
from ..show import plain
from .config import Config
from .files import leaves
from .given import asked_as, instrument_of
from .metrics import drawdown
from .prepare import NO_DATA, OK, VERDICTS
from .run import SessionRun, config_of, lines_of
from .walk import Walked

MOST = 2000  # trades and events of a page; the tables of the run hold all
_SHARES = ("win_rate", "max_drawdown_pct", "ambiguous_rate", "return_on_capital")


def cell(value: Any) -> str:
    """Return a value as text for HTML."""
    return escape(plain("–" if value is None else value))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """Return a table that scrolls sideways where it is wider than the page."""
    top = "<tr>" + "".join(f"<th>{cell(head)}</th>" for head in heads) + "</tr>" if any(heads) else ""
    lines = "".join("<tr>" + "".join(f"<td>{cell(each)}</td>" for each in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table{f" class={kind}" if kind else ""}>{top}{lines}</table></div>'


def metrics(row: Mapping[str, Any]) -> str:
    """Return all metrics, in two columns where there is room."""
    cells = [
        (name.replace("_", " "), _metric(name, value))
        for name, value in row.items()
        if name not in ("run_id", "symbol")
    ]
    half = -(-len(cells) // 2)
    return f'<div class="grid">{table(("", ""), cells[:half])}{table(("", ""), cells[half:])}</div>'


def _metric(name: str, value: Any) -> str:
    if value is None or isinstance(value, int):
        return "–" if value is None else f"{value:,}"
    return f"{value:.2%}" if name in _SHARES else f"{value:,.3f}"


def months(found: Mapping[str, Any]) -> str:
    """Return R by month of the session, a row a year, with trades and the deepest fall within each year."""
    r, days = np.asarray(found["realized_r"]), np.asarray(found["day"], dtype=str)
    rows = []
    for year in sorted({day[:4] for day in days.tolist()}):
        mine = np.array([day[:4] == year for day in days.tolist()])
        parts = [r[mine & np.array([day[5:7] == f"{m:02}" for day in days.tolist()])] for m in range(1, 13)]
        fall = float(drawdown(np.concatenate([[0.0], np.cumsum(r[mine])])).min())
        sums = [f"{part.sum():+.1f}" if part.size else "" for part in parts]
        rows.append((year, *sums, f"{r[mine].sum():+.1f}", f"{mine.sum():,}", f"{fall:.1f}"))
    names = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return table(("Year", *names, "Total", "Trades", "Deepest fall"), rows)


def _local(ts: int, one: Walked) -> datetime:
    return datetime.fromtimestamp(ts / 1000, UTC).astimezone(one.ready.hours.zone)


def ranges(run: SessionRun, one: Walked) -> str:
    """Return what the opening ranges were like: verdicts, lengths, widths; and how complete the candles of each day."""
    found = one.ready.ranges
    verdicts, some = Counter(VERDICTS[v] for v in found.verdict.tolist()), found.verdict != NO_DATA
    rows = [(name, f"{count:,}", f"{count / found.verdict.size:.1%}") for name, count in sorted(verdicts.items())]
    lengths = Counter(found.minutes[some].tolist())
    rows += [
        (f"{m} minutes", f"{count:,}", f"{count / max(1, some.sum()):.1%}") for m, count in sorted(lengths.items())
    ]
    wide = (found.high - found.low)[found.verdict == OK]
    of_unit = wide / found.unit[found.verdict == OK]
    widths = [
        (name, *(f"{np.quantile(values, q):.4g}" if values.size else "–" for q in (0.1, 0.5, 0.9)))
        for name, values in (("width, price", wide), ("width, true ranges", of_unit[~np.isnan(of_unit)]))
    ]
    parts = [table(("Sessions", "", ""), rows), table(("Valid ranges", "10 %", "median", "90 %"), widths)]
    if "sessions" in run.tables:
        parts.append(_quality(run, one.symbol))
    return f'<div class="grid">{"".join(parts)}</div>'


def _quality(run: SessionRun, symbol: str) -> str:
    """Return how many days had whole candles, and what the others lack."""
    rows = run.tables["sessions"].select(["symbol", "verdict", "reasons"]).to_pylist()
    mine = [each for each in rows if each["symbol"] == symbol]
    found = Counter(each["verdict"] for each in mine)
    found.update(f"lacking: {reason}" for each in mine for reason in each["reasons"].split())
    return table(
        ("Candles of days", ""), [(name.replace("_", " "), f"{count:,}") for name, count in sorted(found.items())]
    )


def events(one: Walked) -> str:
    """Return what governance refused or did: how often, and each."""
    found = Counter(zip(one.events["event"], one.events["direction"], strict=True))
    if not found:
        return "<p>No break was refused.</p>"
    counted = [(event, side, f"{count:,}") for (event, side), count in sorted(found.items())]
    ts = np.asarray(one.events["timestamp"]).tolist()
    rows = [
        (day, f"{_local(moment, one):%H:%M}", side, event)
        for day, moment, side, event in zip(
            one.events["day"], ts, one.events["direction"], one.events["event"], strict=True
        )
    ]
    every = table(("Day", "Time", "Side", "Event"), rows[:MOST], "words")
    return (
        table(("Event", "Side", "Times"), counted)
        + f"<details><summary>each of {len(rows):,}{_first(len(rows))}</summary>{every}</details>"
    )


def _first(count: int) -> str:
    return f", the first {MOST:,}" if count > MOST else ""


def identity(run: SessionRun, one: Walked) -> str:
    """Return what decides the results, by which they can be found again."""
    config, facts = config_of(run.task, run.given), run.given.piece.facts
    how, costs = instrument_of(one.symbol, run.task.config), run.task.config.backtest
    rows = [("run", run.run_id), ("version", __version__), ("settings, sha256", config_digest(config))]
    rows += [("candles, sha256", facts.content_sha256)]
    rows += [tuple(each.split(None, 1)) for each in lines_of(run.task, run.given)]
    rows += [("sessions", f"{one.ready.hours.place}; times are of {one.ready.hours.zone}")]
    if (asked := asked_as(one.symbol, run.task.config)) != one.symbol:
        rows += [("candles of", asked)]
    rows += [("a point is worth", f"{how.point_value:g}, times {costs.contracts_per_trade} a trade")]
    order = "stops before targets" if costs.conservative_fills else "open, high or low whichever is nearer, close"
    rows += [("fills", f"stops and targets at their price, at the open where it lies beyond; inside a candle {order}")]
    mine = [
        note for note in (*run.given.notes, *run.given.kept) if note.startswith((f"{one.symbol}:", f"{one.symbol} "))
    ]
    rows += [("note", note) for note in mine]
    rows += [("left out", f"{symbol}: {error}") for symbol, error in run.given.failed.items()]
    return table(("", ""), rows, "words")


def settings(config: Config) -> str:
    """Return every setting; those that differ from their default stand in bold."""
    known = dict(leaves(Config().model_dump(mode="json")))
    rows = []
    for name, value in leaves(config.model_dump(mode="json")):
        text = value if isinstance(value, str) else json.dumps(value)
        kind = ' class="other"' if known.get(name) != value else ""
        rows.append(f"<tr{kind}><td>{cell(name)}</td><td>{cell(text)}</td></tr>")
    inside = f'<div class="wide"><table class="words">{"".join(rows)}</table></div>'
    return f"<details><summary>{len(rows)} settings; in bold what is not the default</summary>{inside}</details>"


def trades(one: Walked) -> str:
    """Return the trades, oldest first."""
    found = {name: np.ma.getdata(np.ma.asarray(column)).tolist() for name, column in one.trades.items()}
    size = len(found["trade_id"])
    rows = [
        (
            found["day"][i],
            found["direction"][i],
            f"{_local(found['entry_timestamp'][i], one):%H:%M}",
            f"{_local(found['exit_timestamp'][i], one):%H:%M}",
            *(f"{found[name][i]:,.6g}" for name in ("entry_price", "stop_price_initial", "exit_price")),
            *(f"{found[name][i]:+.2f}" for name in ("realized_r", "max_favorable_r", "max_adverse_r")),
            found["exit_reason"][i],
            f"{found['confluence_score'][i]:g}",
            f"{found['or_low'][i]:,.6g}–{found['or_high'][i]:,.6g}",
            f"{found['or_minutes'][i]} min",
        )
        for i in range(min(size, MOST))
    ]
    heads = ("Day", "Side", "In", "Out", "Entry", "Stop", "Exit", "R", "MFE", "MAE", "Ended by", "Score", "Range", "")
    more = f"<p>The first {MOST:,} of {size:,}; all are in the run's tables.</p>" if size > MOST else ""
    return table(heads, rows) + more
