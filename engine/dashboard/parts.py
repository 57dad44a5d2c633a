"""What pages are made of: text that is only text, cards, charts, and tables of which a page at a time is read."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute
import streamlit as st

from ...io.errors import HighwaterError
from ..service.tables import Page
from ..show import bps, plain, share, size, span
from ..values import show_instant

pc: Any = pyarrow.compute
ROWS = 25
_MARKS = re.compile(r"([!-/:-@\[-`{-~])")


@contextmanager
def told() -> Iterator[None]:
    """Say what is wrong with a run or a question in one line, and show the rest of the page."""
    try:
        yield
    except HighwaterError as error:
        st.error(words(error))


def words(value: Any) -> str:
    """Return text of whoever as Markdown that shows it as it is: no link, image, directive or formula comes of it."""
    return _MARKS.sub(r"\\\1", plain(value))


def cards(values: Sequence[tuple[str, str]], wide: int = 4) -> None:
    """Show numbers that matter, each below its name."""
    for first in range(0, len(values), wide):
        for column, (name, value) in zip(st.columns(wide), values[first : first + wide], strict=False):
            column.metric(name, value)


def chart(figure: Any, key: str) -> None:
    """Show a plotly figure in the colours of the page."""
    st.plotly_chart(figure, key=key, config={"displaylogo": False, "responsive": True})


def facts(what: str, rows: Sequence[tuple[str, Any]], key: str) -> None:
    """Show names, which are of ``what``, with their values, as plain text."""
    if not rows:
        return
    table = pa.table({what: [plain(name) for name, _ in rows], "value": [plain(value) for _, value in rows]})
    st.dataframe(table, hide_index=True, key=key)


# How a column is shown: what becomes of its values, and what Streamlit is told of it.
_FORMS: Mapping[str, tuple[Callable[[Any], Any], Callable[[str], Any]]] = {
    "bps": (lambda c: pc.divide(pc.cast(c, pa.float64()), 100.0), lambda n: _number(n, "%+.2f%%")),
    "part": (lambda c: pc.divide(pc.cast(c, pa.float64()), 100.0), lambda n: _number(n, "%.0f%%")),
    "share": (lambda c: pc.multiply(pc.cast(c, pa.float64()), 100.0), lambda n: _number(n, "%.1f%%")),
    "change": (lambda c: pc.multiply(pc.cast(c, pa.float64()), 100.0), lambda n: _number(n, "%+.1f%%")),
    "times": (lambda c: c, lambda n: _number(n, "%.2fx")),
    "r": (lambda c: c, lambda n: _number(n, "%+.2f R")),
    "ratio": (lambda c: c, lambda n: _number(n, "%.2f")),
    "number": (lambda c: c, lambda n: _number(n, "%.5g")),
    "count": (lambda c: c, lambda n: _number(n, "localized")),
    "time": (
        lambda c: pc.cast(c, pa.timestamp("ms", "UTC")),
        lambda n: st.column_config.DatetimeColumn(n, format="YYYY-MM-DD HH:mm:ss", timezone="UTC"),
    ),
    "span": (lambda c: pa.array([span(ms) for ms in c.to_pylist()]), st.column_config.TextColumn),
    "bytes": (lambda c: pa.array([size(n) for n in c.to_pylist()]), st.column_config.TextColumn),
    "text": (
        lambda c: pa.array([None if v is None else plain(v) for v in c.to_pylist()], pa.string()),
        st.column_config.TextColumn,
    ),
    "bool": (lambda c: c, st.column_config.CheckboxColumn),
}
Forms = Mapping[str, tuple[str, str]]  # column -> what it is called, and which of _FORMS it has
STRATEGIES: Forms = {
    "strategy_id": ("strategy", "text"),
    "total_return": ("return", "change"),
    "sharpe": ("Sharpe", "ratio"),
    "max_drawdown": ("deepest fall", "share"),
    "win_rate": ("wins", "share"),
    "num_trades": ("trades", "count"),
    "symbol": ("symbol", "text"),
    "timeframe": ("candles", "text"),
    "changes": ("changes", "count"),
    "strategy_type": ("type", "text"),
    "config": ("settings", "text"),
    "strategy_hash": ("hash", "text"),
    "run_id": ("run", "text"),
}


def _number(name: str, form: str) -> Any:
    return st.column_config.NumberColumn(name, format=form)


_WORDS = {"r": "R", "or": "OR", "avg": "mean", "sharpe": "Sharpe"}
_MOMENTS = ("open_ms", "close_ms", "or_end_ms", "first_missing_ms", "ts_ms", "first_ts_ms", "last_ts_ms")


def label(name: str) -> str:
    """Return a column's name in words; that of a setting as it is."""
    return name if "." in name else " ".join(_WORDS.get(word, word) for word in name.split("_"))


def forms_of(schema: pa.Schema, leave: Sequence[str] = ("run_id",)) -> dict[str, tuple[str, str]]:
    """Return how the columns of any artifact are shown, by the unit at the end of their names."""
    found = {}
    for field in schema:
        if field.name in leave:
            continue
        named = label(field.name)
        units = {"_bps": "bps", "_ts_ms": "time", "_ms": "span", "_rate": "share", "_r": "r", "timestamp": "time"}
        units |= {"_ratio": "ratio", "_factor": "ratio", "sharpe": "ratio"}
        unit = next((form for end, form in units.items() if field.name.endswith(end)), None)
        if field.name in _MOMENTS:
            unit = "time"
        if pa.types.is_boolean(field.type):
            unit = "bool"
        elif not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
            unit = "text"
        elif unit is None:
            unit = "count" if pa.types.is_integer(field.type) else "number"
        short = named.removesuffix(" bps").removesuffix(" ms")
        found[field.name] = (named if short in {name for name, _ in found.values()} else short, unit)
    return found


def grid(table: pa.Table, forms: Forms, key: str, choose: bool = False) -> int | None:
    """Show the columns of a table that ``forms`` names; return the row that was chosen, where one may be."""
    names = [name for name in forms if name in table.column_names]
    columns, config = {}, {}
    for name in names:
        label, form = forms[name]
        value, told = _FORMS[form]
        columns[label], config[label] = value(table[name]), told(label)
    shown = pa.table(columns)
    height = min(38 + 35 * max(1, table.num_rows), 38 + 35 * ROWS)
    how: dict[str, Any] = {"column_config": config, "key": key, "height": height, "placeholder": "–"}
    if not choose:
        st.dataframe(shown, hide_index=True, **how)
        return None
    event = st.dataframe(shown, hide_index=True, on_select="rerun", selection_mode="single-row", **how)
    rows = event.selection.rows
    return rows[0] if rows and rows[0] < table.num_rows else None


def paged(
    ask: Callable[[int, int], Page], forms: Forms | None, key: str, what: str, choose: str = "", rows: int = ROWS
) -> dict[str, Any] | None:
    """Show a page of what ``ask(limit, offset)`` returns, with its number to choose; return the row that was chosen.

    ``choose`` says what a row may be chosen for; without it none may.
    """
    number = int(st.session_state.get(f"{key}-page", 1))
    found = ask(rows, (number - 1) * rows)
    if number > 1 and (number - 1) * rows >= found.total:  # a filter leaves fewer pages
        number = st.session_state[f"{key}-page"] = 1
        found = ask(rows, 0)
    if not found.total:
        st.info(f"No {what}.")
        return None
    pages = -(-found.total // rows)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    first = (number - 1) * rows
    left.caption(f"{first + 1:,} to {first + found.table.num_rows:,} of {found.total:,} {what}")
    if pages > 1:
        right.number_input(f"Page of {pages:,}", 1, pages, key=f"{key}-page")
    chosen = grid(found.table, forms or forms_of(found.table.schema), f"{key}-{number}", bool(choose))
    if chosen is not None:
        return found.table.slice(chosen, 1).to_pylist()[0]
    if choose:
        st.caption(f"Choose a row to see {choose}.")
    return None


def instant(ms: int | None) -> str:
    """Return a time in ms UTC as text, a dash where there is none."""
    return "-" if ms is None else show_instant(ms).replace("T", " ").removesuffix("Z")


def figure_text(name: str, value: Any) -> str:
    """Return a figure of a run by the unit in its name, a dash where it is undefined."""
    if value is None:
        return "-"
    if name.endswith("_bps"):
        return bps(value, 2)
    if name.endswith("_rate"):
        return share(value)
    if name.endswith("_ms"):
        return span(value)
    if name.endswith("_r") or name == "expectancy":
        return f"{value:+.2f} R"
    if isinstance(value, float):
        return f"{value:.2f}" if name in ("sharpe", "sharpe_ratio", "profit_factor") else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
