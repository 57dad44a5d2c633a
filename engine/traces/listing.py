"""What a run says of its strategies: one row a strategy and series, every parameter a column of its own."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ...io.schemas import table
from ...io.trace_schemas import strategy_index
from .rule import Value


@dataclass(frozen=True)
class Named:
    """A strategy of a run. ``config`` is JSON as it is written; ``parameters`` are those of its only rule.

    ``strategy_hash`` is None where what it is is not known.
    """

    strategy_id: str
    strategy_hash: str | None
    strategy_type: str
    config: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    constraints: str | None = None


@dataclass(frozen=True)
class Where:
    """Where a trace lies: ``changes`` rows of the file ``trace_path`` of ``trace_run`` from ``trace_row`` on.

    ``strategy`` is its number there; ``first_idx`` the candle of its first row, None where it has none.
    """

    trace_run: str
    trace_path: str
    strategy: int
    trace_row: int
    changes: int
    first_idx: int | None


@dataclass(frozen=True)
class Of:
    """The candles a trace is of; None where it is not known. Times are their opens."""

    symbol: str
    timeframe: str
    data_digest: str | None
    bars: int | None
    first_ts_ms: int | None
    last_ts_ms: int | None


@dataclass(frozen=True)
class Listed:
    """A row of the index. ``fills`` says how it was traded, ``earned`` what came of it; None where it was not."""

    named: Named
    of: Of
    where: Where
    trace_key: str | None
    signals_path: str | None = None
    fills: Mapping[str, Any] | None = None
    earned: Mapping[str, float | None] | None = None


def index_table(rows: Iterable[Listed], run_id: str) -> pa.Table:
    """Return the index of a run, its rows in the order given."""
    rows = list(rows)
    kinds = parameter_kinds(row.named.parameters for row in rows)
    schema = strategy_index(kinds)
    cells = [_cells(row) for row in rows]
    columns = {name: [each.get(name) for each in cells] for name in schema.names if name != "run_id"}
    for name, kind in kinds.items():
        values = [row.named.parameters.get(name) for row in rows]
        columns[name] = [None if v is None else str(v) for v in values] if kind == pa.string() else values
    return table(schema, columns, run_id)


def _cells(row: Listed) -> dict[str, Any]:
    earned = {name: value for name, value in (row.earned or {}).items() if value is not None and not math.isnan(value)}
    if "num_trades" in earned:
        earned["num_trades"] = int(earned["num_trades"])
    return {
        **vars(row.named),
        **vars(row.of),
        **vars(row.where),
        **(row.fills or {}),
        **earned,
        "sharpe_ratio": earned.get("sharpe"),
        "trace_key": row.trace_key,
        "signals_path": row.signals_path,
    }


def parameter_kinds(every: Iterable[Mapping[str, Value]]) -> dict[str, pa.DataType]:
    """Return the type of each parameter's column: whole numbers, numbers or truths; text where these are mixed."""
    seen: dict[str, set[type]] = {}
    for parameters in every:
        for name, value in parameters.items():
            seen.setdefault(name, set()).add(type(value))
    return {name: _kind(types) for name, types in seen.items()}


def _kind(types: set[type]) -> pa.DataType:
    if types == {bool}:
        return pa.bool_()
    if types == {int}:
        return pa.int64()
    return pa.float64() if types <= {int, float} else pa.string()
