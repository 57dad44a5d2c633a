"""What a run came to: trades, equity, metrics, callers, surface, guards, factors; and two runs beside each other."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from ...io.errors import MissingError, UsageError
from ...io.patience import check
from ...io.schemas import PARAMETERS
from .limits import tables
from .runs import Run, completed
from .tables import MOST_CELLS, Page, ask, file_of, opened, page, small_enough, whole_of

if TYPE_CHECKING:
    from ..caller_ranking import Ranking
    from ..diff import Change, Difference
    from ..diff_trades import Metrics, Trades

pc: Any = pyarrow.compute
BUCKETS = ("Very Low", "Low", "Medium", "High", "Very High")
_OF_ALERTS = ("mint", "caller_name", "alert_ts_ms")
_OF_EQUITY = ("policy_id", "call_id", "entry_ts_ms", "ret_q", "realized_return_bps")
_BY_ENTRY = [("entry_ts_ms", "ascending"), ("call_id", "ascending")]
_COMPARED = 24  # columns of trades and paths, roughly
_SAMPLE = """
SELECT * FROM (SELECT * EXCLUDE (_row), row_number() OVER (PARTITION BY symbol ORDER BY timestamp) - 1 AS bar_number,
    row_number() OVER (ORDER BY symbol, timestamp) - 1 AS place, count(*) OVER () AS total
  FROM rows_ WHERE $symbol IS NULL OR symbol = $symbol)
WHERE place = 0 OR total <= $most OR (place * $most) // total <> ((place - 1) * $most) // total
ORDER BY place LIMIT $most
"""


@dataclass(frozen=True)
class Equity:
    """The running sum of a run's returns, one row a trade; ``unit`` is R, or bps of one stake a trade.

    Columns end in it: cumulative_r and drawdown_r, or cumulative_return_bps and drawdown_bps; falls are <= 0.
    """

    table: pa.Table
    unit: str
    final: float
    max_drawdown: float


@dataclass(frozen=True)
class Metrics_:
    """The figures of a run by name, None where undefined; ``undefined`` says why."""

    values: Mapping[str, Any]
    undefined: Mapping[str, str]


@dataclass(frozen=True)
class Slice:
    """Cells of a surface over two of its parameters: ``values`` of every parameter, and what the others are held at.

    ``total`` cells there are in all, of which ``table`` has a page.
    """

    x: str
    y: str
    values: Mapping[str, tuple[float, ...]]
    held: Mapping[str, float]
    table: pa.Table
    total: int


@dataclass(frozen=True)
class Comparison:
    """Two runs: what changed around them, where artifacts part, and their trades or metrics pair by pair."""

    changes: "tuple[Change, ...]"
    differences: "tuple[Difference, ...]"
    trades: "Trades | None"
    metrics: "Metrics | None"


def is_session(run: Run) -> bool:
    """Return whether a run's trades are those of sessions, in R; else they are those of alerts, in bps."""
    return run.manifest.artifact("session_trades") is not None


def trades(run: Run, symbol: str | None = None, direction: str | None = None, **asked: Any) -> Page:
    """Return a page of a run's trades; those of alerts with mint, caller_name and alert_ts_ms.

    ``symbol`` is a symbol of sessions, a mint of alerts; ``direction`` long or short (alerts are long). ``asked`` as
    for ``tables.page``.
    """
    completed(run)
    where = list(asked.pop("where", ()))
    if is_session(run):
        where += [f"symbol='{symbol}'"] if symbol else []
        return page(run, "session_trades", [*where, *([f"direction={direction}"] if direction else [])], **asked)
    where += [f"mint='{symbol}'"] if symbol else []
    where += ["status=''"] if direction == "short" else []  # no trade of an alert is one
    names = ["call_id", *_OF_ALERTS]
    if any(name in text for text in (*where, asked.get("sort") or "", *asked.get("columns", ())) for name in names[1:]):
        return page(run, "trades", where, joined=whole_of(run, "alerts", names), **asked)
    found = page(run, "trades", where, **asked)
    return Page(_beside(run, found.table, names), found.total)


def _beside(run: Run, rows: pa.Table, names: list[str]) -> pa.Table:
    """Return a page of trades with what is known of their alerts."""
    calls = pc.unique(rows["call_id"])
    with opened(run, "alerts") as file:
        kept = [file.schema_arrow.empty_table().select(names)]
        for batch in file.iter_batches(columns=names):
            check()
            kept.append(pa.table(batch.filter(pc.is_in(batch["call_id"], calls))))
            if sum(map(len, kept)) >= len(calls):
                break
    alerts = pa.concat_tables(kept)
    at = pc.index_in(rows["call_id"], alerts["call_id"].combine_chunks())
    for name in names[1:]:
        rows = rows.append_column(name, alerts[name].take(at))
    return rows


def equity(run: Run, symbol: str | None = None, policy: str | None = None) -> Equity:
    """Return a run's equity: of a symbol or of all together; of trades on alerts by their entry, of one policy.

    A symbol of alerts is a mint; their policy is the first of the run unless one is named.

    Raises MissingError where the run traded nothing, or has no such symbol or policy.
    """
    completed(run)
    if is_session(run):
        if policy is not None:
            raise UsageError(f"run {run.run_id} is of sessions and has no policies; name a symbol")
        table = whole_of(run, "equity")
        table = table.filter(pc.equal(table["scope"], symbol or "combined"))
        _some(table, symbol, run, "symbol")
        falls = table["drawdown_r"]
        return Equity(table, "R", _last(table["cumulative_r"]), float(pc.min(falls).as_py() or 0.0))
    rows = whole_of(run, "trades", _OF_EQUITY)
    if policy is not None or rows.num_rows:
        chosen = policy or rows["policy_id"][0].as_py()
        rows = rows if chosen is None else rows.filter(pc.equal(rows["policy_id"], chosen))
    _some(rows, policy, run, "policy")
    if symbol is not None:
        alerts = whole_of(run, "alerts", ("mint", "call_id"))
        calls = alerts.filter(pc.equal(alerts["mint"], symbol))["call_id"].combine_chunks()
        rows = rows.filter(pc.is_in(rows["call_id"], calls))
        _some(rows, symbol, run, "symbol")
    rows = rows.filter(pc.is_valid(rows["ret_q"])).sort_by(_BY_ENTRY)
    sums = np.cumsum(rows["ret_q"].to_numpy()) / 100
    falls = sums - np.maximum.accumulate(np.maximum(sums, 0.0)) if sums.size else sums
    table = rows.select(["call_id", "entry_ts_ms", "realized_return_bps"]).replace_schema_metadata(None)
    table = table.add_column(0, "trade_number", pa.array(np.arange(1, sums.size + 1)))
    table = table.append_column("cumulative_return_bps", pa.array(sums, pa.float64()))
    table = table.append_column("drawdown_bps", pa.array(falls, pa.float64()))
    return Equity(table, "bps", _last(table["cumulative_return_bps"]), float(falls.min(initial=0.0)))


def _some(table: pa.Table, asked: str | None, run: Run, what: str) -> None:
    if asked is not None and not table.num_rows:
        raise MissingError(f"run {run.run_id} has no trade of {what} '{asked[:60]}'")


def _last(column: pa.ChunkedArray) -> float:
    return float(column[-1].as_py()) if len(column) else 0.0


def metrics(run: Run, symbol: str | None = None) -> Metrics_:
    """Return a run's figures: those of a symbol, or of all together. Raises MissingError where it has none."""
    completed(run)
    if run.manifest.artifact("symbols") is not None:
        rows = [row for row in whole_of(run, "symbols").to_pylist() if row["symbol"] == symbol]
        row = rows[0] if rows else None
    else:
        row = whole_of(run, "summary").to_pylist()[0] if symbol is None else None
    if row is None:
        raise MissingError(f"run {run.run_id} has no figures of symbol '{str(symbol)[:60]}'")
    values = {k: _finite(v) for k, v in row.items() if k not in ("run_id", "symbol")}
    return Metrics_(values, {name: _why(name, values) for name, value in values.items() if value is None})


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not isfinite(value) else value


def _why(name: str, values: Mapping[str, Any]) -> str:
    """Return why a figure is undefined."""
    count = values.get("total_trades", values.get("trades_count"))
    if not count:
        return "no trades"
    reasons = {
        "profit_factor": "no losing trade",
        "average_winner_r": "no winning trade",
        "largest_winner_r": "no winning trade",
        "average_loser_r": "no losing trade",
        "largest_loser_r": "no losing trade",
        "sharpe_ratio": "no spread between sessions",
        "sortino_ratio": "no losing session",
        "sharpe_per_trade": "no spread between trades",
        "avg_tail_capture": "no trade has one",
        "median_tail_capture": "no trade has one",
        "verdict": "no search was judged",
    }
    return reasons.get(name, "undefined on these trades")


def attribution(run: Run, symbol: str | None = None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what each factor was worth, and fifths of the range of scores, lowest first, with their trades.

    Raises MissingError unless it is a run of sessions.
    """
    from ..session.metrics import attribution as by_factor
    from ..session.metrics import buckets

    completed(run)
    table = whole_of(run, "session_trades")
    table = table if symbol is None else table.filter(pc.equal(table["symbol"], symbol))
    _some(table, symbol, run, "symbol")
    columns = {name: _masked(table[name]) for name in table.column_names if name.startswith("factor_")}
    columns["realized_r"] = table["realized_r"].to_numpy()
    score = table["confluence_score"].to_numpy()
    if not score.size:
        return [], []
    low, high = float(score.min()), float(score.max())
    fifth = np.clip(np.floor((score - low) / ((high - low) or 1.0) * 5), 0, 4).astype(int)
    named = [each | {"bucket": BUCKETS[int(each["bucket"])]} for each in buckets(columns, fifth)]
    return by_factor(columns), named


def _masked(column: pa.ChunkedArray) -> np.ma.MaskedArray:
    values = pc.fill_null(column, False).to_numpy(zero_copy_only=False)
    return np.ma.array(values, mask=pc.is_null(column).to_numpy(zero_copy_only=False))


def factors(run: Run, symbol: str | None = None, limit: int = 100) -> pa.Table:
    """Return at most ``limit`` rows of what was known at the closes of candles, evenly spread, with ``bar_number``."""
    completed(run)
    with opened(run, "factors") as file:
        table = ask(file, file.schema_arrow.names, _SAMPLE, symbol=symbol, most=limit)
    _some(table, symbol, run, "symbol")
    return table.drop_columns(["place", "total"])


def callers(run: Run, multiple: float = 2.0, sort: str = "shrunk", least_calls: int = 1) -> "Ranking":
    """Return the callers of a run in order, as ``caller_ranking.ranking`` does."""
    from ..caller_ranking import ranking

    completed(run)
    return ranking(whole_of(run, "callers"), multiple, sort, least_calls, run.run_id)


def guards(run: Run) -> dict[str, Any] | None:
    """Return the verdict on a search and what it rests on (``results/guards.json``), None where none was asked for."""
    return json.loads(file_of(run, "guards")) if run.manifest.artifact("guards") else None


def surface(
    run: Run,
    x: str | None = None,
    y: str | None = None,
    held: Mapping[str, float] = {},
    value: str = "avg_return_bps",
    limit: int = MOST_CELLS,
    offset: int = 0,
) -> Slice:
    """Return the cells of a surface over parameters ``x`` and ``y``, others ``held`` at a value (else the winner's).

    Raises MissingError where the run is no surface, UsageError for a parameter or value that it has not.
    """
    completed(run)
    with opened(run, "surface") as file:
        names = [name for name in file.schema_arrow.names if name in PARAMETERS]
        x, y = x or names[0], y or next((name for name in names if name != (x or names[0])), names[0])
        figures = [name for name in file.schema_arrow.names if name not in (*names, "run_id", "trial_id")]
        for word, name, known in (("x", x, names), ("y", y, names), ("value", value, figures)):
            if name not in known:
                raise UsageError(f"{word} is '{name[:40]}'; it must be one of {', '.join(known)}")
        if unknown := [name for name in held if name not in names]:
            raise UsageError(f"'{unknown[0][:40]}' is held, and is no parameter; they are {', '.join(names)}")
        values, best = _levels(file, names)
        asked = {name: float(held.get(name, best[name])) for name in names if name not in (x, y)}
        fixed = {name: _level(name, level, values[name]) for name, level in asked.items()}
        fit = " AND ".join(["true", *(f"{name} = ${name}" for name in fixed)])
        ((total,),) = ask(file, fixed, f"SELECT count(*) AS n FROM rows_ WHERE {fit}", **fixed).to_pydict().values()
        kept = list(dict.fromkeys(["trial_id", x, y, value, "plateau_bps", "trades_count"]))
        sql = f"SELECT {', '.join(kept)} FROM rows_ WHERE {fit} ORDER BY _row LIMIT {limit} OFFSET {offset}"
        small_enough("surface", min(total, limit), len(kept))
        return Slice(x, y, values, fixed, ask(file, {*kept, *fixed}, sql, **fixed), total)


def _levels(file: pq.ParquetFile, names: list[str]) -> tuple[dict[str, tuple[float, ...]], dict[str, Any]]:
    """Return the values of every parameter of a surface, ascending, and the winner."""
    lists = ", ".join(f"list_sort(list(DISTINCT {name}::DOUBLE)) AS {name}" for name in names)
    (values,) = ask(file, names, f"SELECT {lists} FROM rows_").to_pylist()
    known = "CASE WHEN NOT isnan(avg_return_bps) THEN avg_return_bps END"
    winner = f"SELECT {', '.join(names)} FROM rows_ ORDER BY {known} DESC NULLS LAST, _row LIMIT 1"
    found = ask(file, [*names, "avg_return_bps"], winner).to_pylist()
    if not found:
        raise MissingError("this surface has no cells")
    return {name: tuple(levels) for name, levels in values.items()}, found[0]


def _level(name: str, level: float, known: tuple[float, ...]) -> float:
    """Return the value of a parameter that is meant. Raises UsageError where a surface has none."""
    near = min(known, key=lambda each: abs(each - level))
    if abs(near - level) > 1e-9:
        raise UsageError(f"{name} is {level:g}; the nearest value of the surface is {near:g}")
    return near


def compare(one: Run, other: Run, top: int = 100) -> Comparison:
    """Return what differs between two runs; their trades where both have some on alerts, else their path metrics."""
    from ..diff import changes, differences
    from ..diff_trades import metrics as metrics_of
    from ..diff_trades import trades as pairs_of

    found = changes(one.manifest, other.manifest)
    parts = differences(one.path, one.manifest, other.path, other.manifest)
    paths = one.path, other.path
    for run in (one, other):
        for kind in ("trades", "paths"):
            if artifact := run.manifest.artifact(kind):
                small_enough(kind, artifact.rows or 0, _COMPARED)
    both = {kind for kind in ("trades", "paths") if all(run.manifest.artifact(kind) for run in (one, other))}
    if both == {"trades", "paths"}:
        return Comparison(found, parts, pairs_of(paths, found, top, tables), None)
    return Comparison(found, parts, None, metrics_of(paths, tables) if "paths" in both else None)
