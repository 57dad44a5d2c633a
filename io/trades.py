"""Recorded trades of any backtester, as columns."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..kernels.arrays import Floats, Ints
from .alert_files import AlertTable, read_table
from .columns import NO_TIME, TOKEN, find, in_ms, numbers, text, times, unit_of
from .errors import DataError, SchemaError

_ROLES = {
    "entry_bar": ("entry_bar", "entry_time", "entry_ts"),
    "entry_price": ("entry_price", "entry_px"),
    "exit_bar": ("exit_bar", "exit_time", "exit_ts"),
    "exit_price": ("exit_price", "exit_px"),
}


class Trades(NamedTuple):
    """Trades, one row each, as recorded.

    ``entry_bar`` and ``exit_bar`` int64[N]: a time in the candle of the fill, ms UTC, NO_TIME where there is none;
    ``entry_price`` and ``exit_price`` float64[N], NaN likewise. ``token``: of each, None where the file does not say.
    """

    token: tuple[str, ...] | None
    entry_bar: Ints
    entry_price: Floats
    exit_bar: Ints
    exit_price: Floats


def read_trades(source: Path, time_unit: str | None = None) -> Trades:
    """Return the trades of a Parquet, Arrow, CSV or JSON-lines file.

    Raises SchemaError where a column is missing or of the wrong type, DataError where a cell is no number or time.
    """
    wanted = frozenset(name for names in (TOKEN, *_ROLES.values()) for name in names)
    found = read_table(source, None, None, wanted)
    named = {role: find(found.table.column_names, aliases) for role, aliases in _ROLES.items()}
    for role, name in named.items():
        if name is None:
            raise SchemaError(f"{source} has no column {role!r} (found: {', '.join(found.found)})")
    if not found.table.num_rows:
        raise DataError(f"{source} holds no trades")
    bars = [_bars(found, str(named[role]), time_unit) for role in ("entry_bar", "exit_bar")]
    prices = [numbers(found.table[str(named[r])], str(named[r]), found.place) for r in ("entry_price", "exit_price")]
    name = find(found.table.column_names, TOKEN)
    token = None if name is None else tuple(map(str, text(found.table[name], name, found.place).to_pylist()))
    return Trades(token, bars[0], prices[0], bars[1], prices[1])


def _bars(found: AlertTable, name: str, time_unit: str | None) -> Ints:
    stamps = times(found.table[name], name, found.place, time_unit)
    if not stamps.integer or not np.any(stamps.values != NO_TIME):
        return stamps.values
    unit = unit_of(stamps.values)
    if unit is None:
        raise SchemaError(f"{found.place.name}: {name} falls between 1980 and 2100 in no unit; say it with --time-unit")
    return in_ms(stamps.values, unit)
