"""Asking for strategies of all runs: by parameter, by hash, by what they earned; the catalog answers."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...io.catalog_store import columns, connected
from ...io.config import nearest
from ...io.errors import MissingError, UsageError
from ...io.sql import quoted_name
from ...io.trace_schemas import INDEX
from .where import Clause, clause, sql_of

_HEX = re.compile("[0-9a-f]{4,64}")
_ORDER = "run_id DESC, symbol, strategy_id"
_BY_DIGEST = f"""
SELECT * FROM catalog.strategies WHERE (starts_with(strategy_hash, $it) OR starts_with(trace_key, $it))
  AND ($kind IS NULL OR strategy_type = $kind) ORDER BY {_ORDER}
"""
_DUPLICATES = """
SELECT strategy_hash, any_value(strategy_type) AS strategy_type, count(DISTINCT run_id) AS runs,
  count(DISTINCT trace_key) AS traces, string_agg(DISTINCT symbol || ' ' || timeframe, ', ' ORDER BY symbol || ' ' ||
  timeframe) AS series, string_agg(DISTINCT run_id, ', ' ORDER BY run_id) AS run_ids, any_value(config) AS config
FROM catalog.strategies WHERE strategy_hash IS NOT NULL
GROUP BY strategy_hash HAVING count(DISTINCT run_id) > 1 ORDER BY runs DESC, strategy_hash LIMIT $most
"""
_SPREAD = """
SELECT count({name}), count(DISTINCT {name}), min({name}), max({name}), {mean}
FROM catalog.strategies WHERE strategy_type = $kind
"""
_COUNTS = """
SELECT {name}, count(*) FROM catalog.strategies WHERE strategy_type = $kind AND {name} IS NOT NULL
GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True)
class Spread:
    """The values of a parameter over the strategies of a type; ``mean`` is None where they are no numbers."""

    name: str
    strategies: int
    unique: int
    low: Any
    high: Any
    mean: float | None
    counts: tuple[tuple[Any, int], ...]


def list_strategies(
    runs: str | Path = "runs",
    strategy_type: str | None = None,
    where: Sequence[str] = (),
    sort: str | None = None,
    ascending: bool = False,
    limit: int | None = None,
) -> pa.Table:
    """Return the strategies of all runs in the catalog that fit every condition, those of the newest run first.

    ``where`` are conditions as ``where.clause`` reads them; ``sort`` is a column, the highest first unless
    ``ascending``, nulls last. Raises UsageError for a column that there is not, MissingError without a catalog.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit is {limit}; it must be at least 1")

    def ask(database: Any, kinds: Mapping[str, str]) -> pa.Table:
        if sort is not None and sort not in kinds:
            raise UsageError(f"--sort is '{sort}'{nearest(sort, kinds) or '; it must be a column of strategies'}")
        order = f"{quoted_name(sort)} {'ASC' if ascending else 'DESC'} NULLS LAST, {_ORDER}" if sort else _ORDER
        clauses = [clause(text, kinds) for text in where]
        clauses += [Clause("strategy_type", "=", strategy_type)] if strategy_type else []
        return _rows(database, clauses, order, limit)

    return _asked(runs, ask)


def find_strategy(
    runs: str | Path = "runs", strategy_hash: str | None = None, strategy_type: str | None = None, **parameters: Any
) -> pa.Table:
    """Return the strategies whose parameters are exactly these (those not named may be anything), newest run first.

    ``strategy_hash`` may be cut to four or more of its digits. Raises as ``list_strategies`` does.
    """
    words = [f"{name}={'null' if value is None else _word(value)}" for name, value in parameters.items()]
    if strategy_hash is not None:
        words.append(f"strategy_hash={digest(strategy_hash)}")
    return list_strategies(runs, strategy_type, words)


def find_by_digest(runs: str | Path, text: str, strategy_type: str | None = None) -> pa.Table:
    """Return the strategies of which the hash or the trace key begins with ``text``; raises as ``find_strategy``."""

    def ask(database: Any, _: Mapping[str, str]) -> pa.Table:
        return database.sql(_BY_DIGEST, params={"it": digest(text), "kind": strategy_type}).to_arrow_table()

    return _asked(runs, ask)


def find_duplicates(runs: str | Path = "runs", limit: int | None = None) -> pa.Table:
    """Return the strategies that several runs hold: hash, type, how many runs and traces, of which series, in which."""
    return _asked(runs, lambda database, _: database.sql(_DUPLICATES, params={"most": limit}).to_arrow_table())


def parameters(runs: str | Path, strategy_type: str) -> list[Spread]:
    """Return how each parameter of the strategies of a type varies over all runs. Raises MissingError without one."""

    def ask(database: Any, kinds: Mapping[str, str]) -> list[Spread]:
        known = [t for (t,) in database.execute("SELECT DISTINCT strategy_type FROM catalog.strategies").fetchall()]
        if strategy_type not in known:
            there = f"; there are {', '.join(sorted(known))}" if known else "; highwater catalog sync finds new runs"
            raise MissingError(
                f"no run has a strategy of type '{strategy_type}'{nearest(strategy_type, known) or there}"
            )
        found = [_spread(database, name, kind, strategy_type) for name, kind in kinds.items() if name not in INDEX]
        return [each for each in found if each.strategies]

    return _asked(runs, ask)


def _spread(database: Any, name: str, kind: str, strategy_type: str) -> Spread:
    column, given = quoted_name(name), {"kind": strategy_type}
    mean = f"avg({column})" if kind in ("BIGINT", "DOUBLE") else "NULL"
    (facts,) = database.execute(_SPREAD.format(name=column, mean=mean), given).fetchall()
    counts = database.execute(_COUNTS.format(name=column), given).fetchall()
    return Spread(name, *facts, counts=tuple(counts))


def digest(text: str) -> str:
    """Return the start of a digest as it is stored. Raises UsageError where it is none, or shorter than 4."""
    if not _HEX.fullmatch(text.lower()):
        raise UsageError(f"'{text:.70}' is no digest; it must be 4 to 64 of the digits 0-9 and a-f")
    return text.lower()


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rows(database: Any, clauses: Sequence[Clause], order: str, limit: int | None) -> pa.Table:
    condition, given = sql_of(clauses)
    sql = f"SELECT * FROM catalog.strategies WHERE {condition} ORDER BY {order} LIMIT $most"
    return database.sql(sql, params={**given, "most": limit}).to_arrow_table()


def _asked(runs: str | Path, ask: Callable[[Any, Mapping[str, str]], Any]) -> Any:
    """Return what ``ask`` finds, given a connection and the columns of the strategies with their types."""
    with connected(runs) as database:
        return ask(database, columns(database, "strategies"))
