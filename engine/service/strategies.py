"""Strategies of all runs, asked for by parameter and by what they earned, and their traces."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from ...io.catalog_store import columns
from ...io.config import nearest
from ...io.errors import UsageError
from ...io.sql import quoted_name
from .catalog import asking
from .runs import check_page
from .tables import Page

if TYPE_CHECKING:
    from ..traces.load import Loaded


@dataclass(frozen=True)
class TracePage:
    """A trace: its row of the index, and a page of its changes (``SIGNALS``)."""

    loaded: "Loaded"
    page: Page


def strategies(
    root: str | Path,
    where: Sequence[str] = (),
    sort: str | None = None,
    ascending: bool = False,
    fields: Sequence[str] = (),
    limit: int = 100,
    offset: int = 0,
) -> Page:
    """Return a page of the strategies that fit every condition (``period=20``, ``sharpe>1.5``), newest run first.

    ``sort`` is a column, the highest first unless ``ascending``, nulls last; ``fields`` the columns to return.
    """
    from ..traces.where import clause, sql_of

    check_page(limit, offset)
    with asking(root) as database:
        kinds = columns(database, "strategies")
        for name in [*fields, *([sort] if sort else [])]:
            if name not in kinds:
                raise UsageError(f"no strategy has '{name[:40]}'{nearest(name, kinds)}")
        condition, given = sql_of([clause(text, kinds, "where") for text in where])
        found = f"FROM catalog.strategies WHERE {condition}"
        by = f"{quoted_name(sort)} {'ASC' if ascending else 'DESC'} NULLS LAST, " if sort else ""
        names = ", ".join(map(quoted_name, dict.fromkeys(fields))) or "*"
        ((total,),) = database.execute(f"SELECT count(*) {found}", given).fetchall()
        order = f"{by}run_id DESC, symbol, strategy_id, strategy LIMIT {limit} OFFSET {offset}"
        return Page(database.sql(f"SELECT {names} {found} ORDER BY {order}", params=given).to_arrow_table(), total)


def trace(
    root: str | Path,
    strategy: str,
    run: str | None = None,
    symbol: str | None = None,
    limit: int = 1000,
    offset: int = 0,
) -> TracePage:
    """Return the trace of a hash or trace key (four or more digits), or of an id in ``run``; as ``load_trace`` does."""
    from ..traces.load import load_trace

    check_page(limit, offset)
    with asking(root):  # so that the catalog knows the newest runs
        pass
    loaded = load_trace(root, strategy, run, symbol)
    return TracePage(loaded, Page(loaded.table.slice(offset, limit), loaded.table.num_rows))


def series_table(root: str | Path, one: "Loaded") -> pa.Table:
    """Return the candles that a trace is of. Raises MissingError where they are gone."""
    from ...io.slices import candle_table
    from ..traces.load import series_of

    return candle_table(series_of(root, one).bars)
