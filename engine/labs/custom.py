"""A user's own analytics: functions of a backtest's positions, named by path or found by entry point."""

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any

import pyarrow as pa

from ...io import lab_schemas, schemas
from ...io.config import nearest
from ...io.errors import MissingError, UsageError
from ..user_code import function_named
from .analysis import Analysis

GROUP = "highwater.lab_analytics"

Function = Callable[[pa.Table], Mapping[str, Any]]


def functions(names: Sequence[str]) -> dict[str, Function]:
    """Return the functions that names stand for: ``file.py:function``, ``module:function``, or a registered name.

    Raises MissingError where there is none of that name, UsageError where it cannot be had.
    """
    return {name: function_named(name, "positions") if ":" in name else _registered(name) for name in names}


def _registered(name: str) -> Function:
    """Return the function that an installed package registered under a name of the group GROUP."""
    known = {each.name: each for each in entry_points(group=GROUP)}
    if name not in known:
        hint = nearest(name, known) or (f"; registered: {', '.join(sorted(known))}" if known else "; none is")
        raise MissingError(f"no analytics '{name}' is registered under {GROUP}{hint}, or name it file.py:function")
    try:
        return known[name].load()
    except Exception as error:
        raise UsageError(f"analytics '{name}': loading it raised {type(error).__name__}: {error}") from error


def measured(found: Analysis, given: Mapping[str, Function]) -> tuple[pa.Table, tuple[tuple[str, str], ...]]:
    """Return ``lab_custom`` without ``run_id``, and a note for each backtest on which a function failed.

    A function gets the positions of one backtest (``lab_schemas.POSITIONS`` without ``run_id``, in the order they were
    opened) and returns names with numbers, texts, truths or None. Raises UsageError where it returns anything else, or
    fails on every backtest.
    """
    ids, rows, notes = found.tables.backtests["backtest_id"].to_pylist(), [], []
    for name, function in given.items():
        failed = []
        for i, backtest in enumerate(ids):
            try:
                told = function(found.rows(i))
            except Exception as error:
                failed.append((backtest, f"{name} raised {type(error).__name__}: {str(error)[:200]}"))
                continue
            if not isinstance(told, Mapping):
                raise UsageError(f"{name} returned a {type(told).__name__}; it must be a dict of names with values")
            rows += [(backtest, name, *_cell(name, *each)) for each in told.items()]
        if ids and len(failed) == len(ids):
            raise UsageError(f"{name} failed on every backtest: {failed[0][1]}")
        notes += failed
    columns = list(zip(*rows, strict=True)) if rows else [[]] * 5
    names = lab_schemas.CUSTOM.names[1:]
    table = schemas.table(schemas.without_run(lab_schemas.CUSTOM), dict(zip(names, columns, strict=True)))
    return table, tuple(notes)


def _cell(function: str, metric: Any, value: Any) -> tuple[str, float | None, str | None]:
    """Return a name, and its value as a number or as a text."""
    if isinstance(metric, str) and (value is None or isinstance(value, str)):
        return metric, None, value
    try:
        if isinstance(metric, str):
            return metric, float(value), None
    except (TypeError, ValueError):
        pass
    raise UsageError(f"{function} returned {metric!r}: {value!r:.60}; it must be a text with a number, text or None")
