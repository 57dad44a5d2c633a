"""Two runs trade by trade, each pair with the reason why it is not the same; and two runs' path metrics."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ..io.runs import read_artifact
from .diff import Change

if TYPE_CHECKING:
    import duckdb

    Ask = Callable[..., AbstractContextManager[Any]]

SHOWN = (
    *("status", "entry_ts_ms", "entry_px", "exit_ts_ms", "exit_px", "exit_reason", "realized_return_bps"),
    *("worst_bps", "best_bps", "ambiguous"),
)

# The first that applies names a pair's reason. ``=`` stands for IS NOT DISTINCT FROM: null is a value here.
_REASONS = {
    "only in the first": "b.call_id IS NULL",
    "only in the second": "a.call_id IS NULL",
    "same": "{same}",
    "data changed": "a.call_id IN (SELECT call_id FROM changed)",
    "status changed": "NOT {status}",
    "entry moved": "NOT ({entry_ts_ms} AND {entry_px})",
    "ambiguity flipped": "CASE WHEN {exit} THEN NOT {ambiguous} ELSE a.ambiguous AND {worst_bps} AND {best_bps} END",
    "exit reason changed": "NOT {exit_reason}",
    "price or time moved": "NOT {exit}",
    "costs only": "NOT {ret_q}",
    "bounds moved": "NOT ({worst_bps} AND {best_bps})",
}
REASONS = (*_REASONS, "other columns")
# What a trade's path hangs on beside the candles, and so all that must be equal for a path to prove their change.
_WINDOW = ("horizon_ms", "entry", "latency_ms", "max_entry_delay_ms", "interval_ms")
_PAIRS = """
CREATE TEMP TABLE pairs AS
SELECT coalesce(a.call_id, b.call_id) AS call_id, coalesce(b.ret_q, 0) - coalesce(a.ret_q, 0) AS change_q,
  CASE {cases} ELSE 'other columns' END AS reason, a, b
FROM a FULL JOIN b ON a.call_id = b.call_id {policy}
WHERE a.ret_q IS NOT NULL OR b.ret_q IS NOT NULL
"""
_TOTALS = """
SELECT reason, count(*)::BIGINT AS trades, coalesce(sum(a.ret_q), 0)::BIGINT AS first_q,
  coalesce(sum(b.ret_q), 0)::BIGINT AS second_q, sum(change_q)::BIGINT AS change_q
FROM pairs GROUP BY reason ORDER BY list_position($reasons, reason)
"""
_ROWS = """
SELECT call_id, reason, a.policy_id AS first_policy_id, b.policy_id AS second_policy_id, change_q, {shown}
FROM pairs WHERE reason <> 'same' ORDER BY abs(change_q) DESC, call_id, first_policy_id, second_policy_id LIMIT $top
"""


@dataclass(frozen=True)
class Trades:
    """Two runs' trades paired by call and policy.

    ``totals``: a row a reason with its trades and the sums of their returns, in millionths of a stake. ``rows``: the
    pairs that differ most, with the columns SHOWN as ``first_...`` and ``second_...``. A trade that only one run has
    counts as 0 in the other, so the changes add up to the change of the whole.
    """

    totals: pa.Table
    rows: pa.Table


def trades(runs: tuple[Path, Path], changed: tuple[Change, ...], top: int, ask: "Ask | None" = None) -> Trades:
    """Return the trades of two runs side by side; where both have one policy, whatever it is, these are compared.

    ``changed``: what ``diff.changes`` says of the runs. "data changed" is said of pairs whose path metrics differ
    though they were measured alike, and of every pair where nothing but the candles changed. ``ask`` yields a database
    that knows some tables by name; by default one without limits.
    """
    ask = ask or _database
    sides = [read_artifact(run, "trades") for run in runs]
    policies = [set(side["policy_id"].unique().to_pylist()) for side in sides]
    alike = "" if all(len(found) == 1 for found in policies) else "AND a.policy_id IS NOT DISTINCT FROM b.policy_id"
    names = [name for name in sides[0].schema.names if name in sides[1].schema.names and name not in _UNCOMPARED]
    equal = {name: f"a.{name} IS NOT DISTINCT FROM b.{name}" for name in names}
    equal |= {word: f"({' AND '.join(equal[name] for name in of)})" for word, of in (("same", names), ("exit", _EXIT))}
    cases = " ".join(f"WHEN {test.format(**equal)} THEN '{reason}'" for reason, test in _REASONS.items())
    shown = ", ".join(f"{side}.{name} AS {label}_{name}" for name in SHOWN for side, label in _SIDES.items())
    with ask(a=sides[0], b=sides[1], changed=_moved(runs, changed, ask)) as database:
        database.execute(_PAIRS.format(cases=cases, policy=alike))
        totals = database.sql(_TOTALS, params={"reasons": list(REASONS)}).to_arrow_table()
        return Trades(totals, database.sql(_ROWS.format(shown=shown), params={"top": top}).to_arrow_table())


_UNCOMPARED = ("run_id", "policy_id", "call_id")
_EXIT = ("exit_reason", "exit_ts_ms", "exit_px", "gross", "n_fills")
_SIDES = {"a": "first", "b": "second"}


def _moved(runs: tuple[Path, Path], changed: tuple[Change, ...], ask: "Ask") -> pa.Table:
    """Return the calls whose candles are known to have changed, as a table of ``call_id``."""
    what = {(change.kind, change.what) for change in changed}
    known = [(kind, name) for kind, name in what if kind in ("data", "config") or name in ("version", "kernels_digest")]
    sides = [read_artifact(run, "paths") for run in runs]
    if ("data", "candles") not in what or any(("config", name) in what for name in _WINDOW):
        return sides[0].select(["call_id"]).slice(0, 0)
    if known == [("data", "candles")]:
        return sides[0].select(["call_id"])
    names = [name for name in sides[0].schema.names if name in sides[1].schema.names and name != "run_id"]
    unlike = " OR ".join(f'a."{name}" IS DISTINCT FROM b."{name}"' for name in names)
    with ask(a=sides[0], b=sides[1]) as database:
        return database.sql(f"SELECT call_id FROM a JOIN b USING (call_id) WHERE {unlike}").to_arrow_table()


@dataclass(frozen=True)
class Metric:
    """A path metric that is not the same: for how many alerts, and where it moved most."""

    name: str
    alerts: int
    call_id: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Metrics:
    """The metrics that differ between two runs, in the order of the table, over the ``alerts`` both have.

    ``only`` counts the alerts that one run has and the other has not; ``columns`` are those that only one has.
    """

    alerts: int
    only: tuple[int, int]
    columns: tuple[str, ...]
    metrics: tuple[Metric, ...]


def metrics(runs: tuple[Path, Path], ask: "Ask | None" = None) -> Metrics:
    """Return which path metrics of two runs differ, alert by alert; ``ask`` as for ``trades``."""
    a, b = (read_artifact(run, "paths") for run in runs)
    names = [name for name in a.schema.names if name in b.schema.names and name not in ("run_id", "call_id")]
    lone = tuple(
        name for name in dict.fromkeys([*a.schema.names, *b.schema.names]) if name not in ("run_id", "call_id", *names)
    )
    with (ask or _database)(a=a, b=b) as database:
        database.execute("CREATE TEMP TABLE pairs AS SELECT a.call_id, a, b FROM a JOIN b USING (call_id)")
        (both,) = database.execute("SELECT count(*) FROM pairs").fetchall()[0]
        found = [
            _metric(database, name, a.schema.field(name).type == b.schema.field(name).type == pa.string())
            for name in names
        ]
    return Metrics(both, (len(a) - both, len(b) - both), lone, tuple(metric for metric in found if metric))


def _metric(database: "duckdb.DuckDBPyConnection", name: str, text: bool) -> Metric | None:
    distance = "" if text else f'abs(b."{name}"::DOUBLE - a."{name}"::DOUBLE) DESC NULLS LAST, '
    found = database.execute(
        f'SELECT count(*) OVER (), call_id, a."{name}", b."{name}" FROM pairs '
        f'WHERE a."{name}" IS DISTINCT FROM b."{name}" ORDER BY {distance}call_id LIMIT 1'
    ).fetchall()
    return Metric(name, *found[0]) if found else None


@contextmanager
def _database(**tables: pa.Table) -> Iterator["duckdb.DuckDBPyConnection"]:
    """Yield a database in memory that knows these tables by name, and no file."""
    import duckdb

    with closing(duckdb.connect(config={"enable_external_access": "false"})) as database:
        for name, table in tables.items():
            database.register(name, table)
        yield database
