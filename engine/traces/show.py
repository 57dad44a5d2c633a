"""A run of traces, and strategies of any runs, as text for a terminal and as JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ..policy import describe, parse_policy
from ..show import console, defined, percent, plain, share, table
from .run import Traced

_HEX = 12  # digits of a hash that are shown
_MOST = 50  # strategies in a JSON document of a run


def run(traced: Traced, top: int) -> None:
    """Print what was asked, what single filters did, the best strategies and where the run lies."""
    out = console()
    out.print("\n".join(map(plain, traced.lines)), soft_wrap=True)
    for symbol, report in traced.reports.items():
        out.print(f"\nFilters on {plain(symbol)}, {report.bars:,} candles")
        for line in report.lines():
            out.print(plain(line))
    rows = best(traced.index, top)
    if traced.config["performance"] and traced.counts["strategies"] == 1:
        for row in rows:
            out.print("\n" + "\n".join(map(plain, one(row))), soft_wrap=True)
    elif traced.config["performance"]:
        title = f"Best of {traced.index.num_rows:,} by Sharpe ratio"
        out.print()
        out.print(table(title, *ranking(rows, several=len(traced.config["symbols"]) > 1)))
    _foot(traced)


def one(row: Mapping[str, Any]) -> list[str]:
    """Return what one strategy earned on one series, in lines."""
    sharpe, total, down, wins, trades = earned(row)
    factor, mean = (row[name] for name in ("profit_factor", "expectancy"))
    return [
        f"{row['strategy_id']:<10} {row['symbol']} {row['timeframe']}, {what(row)}",
        f"hash       {(row['strategy_hash'] or '-')[:_HEX]}",
        f"trades     {trades}; wins {wins}; profit factor {'-' if factor is None else f'{factor:.2f}'}",
        f"return     {total} in all, {percent(mean, 3)} a trade after costs; deepest drawdown {down}",
        f"sharpe     {sharpe} (daily, a year of 252 days)",
    ]


def best(index: pa.Table, most: int) -> list[dict[str, Any]]:
    """Return the rows of an index with the highest Sharpe ratios, those without one last."""
    order = [("sharpe", "descending"), ("symbol", "ascending"), ("strategy", "ascending")]
    return index.sort_by(order).slice(0, most).to_pylist()


def ranking(
    rows: Sequence[Mapping[str, Any]], several: bool = False, hashes: bool = False
) -> tuple[list[str], list[list[str]], int]:
    """Return the heads and cells of strategies with what they earned, and how many columns are text.

    ``several``: of several series, so each is named; ``hashes`` instead of the ids that are of one run.
    """
    heads = ["hash" if hashes else "strategy", *(["series"] if several else []), "what"]
    cells = []
    for row in rows:
        name = (row["strategy_hash"] or "-")[:_HEX] if hashes else row["strategy_id"]
        series = [f"{row['symbol']} {row['timeframe']}"] if several else []
        cells.append([name, *series, what(row), *earned(row)])
    return [*heads, "sharpe", "return", "draw\ndown", "wins", "trades"], cells, len(heads)


def what(row: Mapping[str, Any]) -> str:
    """Return a strategy in words: bollinger_bands(20, 2), its constraints and exits."""
    values = json.loads(row["config"]).get(row["strategy_type"]) if row["config"].startswith("{") else None
    numbers = f"({', '.join(map(_value, values.values()))})" if isinstance(values, Mapping) else ""
    said = [f"{row['strategy_type']}{numbers}"]
    if row["constraints"]:
        said.append(row["constraints"])
    if row["exits"]:
        said.append(describe(parse_policy(json.loads(row["exits"]))))
    return ", ".join(said)


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def earned(row: Mapping[str, Any]) -> list[str]:
    """Return the Sharpe ratio, total return, deepest drawdown, share of wins and count of trades as text."""
    sharpe = "-" if row["sharpe"] is None else f"{row['sharpe']:.2f}"
    trades = "-" if row["num_trades"] is None else f"{row['num_trades']:,}"
    return [sharpe, percent(row["total_return"]), percent(row["max_drawdown"]), share(row["win_rate"]), trades]


def _foot(traced: Traced) -> None:
    """Print how many traces there are and who holds them, and where the run lies; raises what kept it from that."""
    out, counts = console(), traced.counts
    made = counts["traces"] - counts["kept"]
    out.print(f"\ntraces     {counts['traces']:,}, {counts['changes']:,} changes; {made:,} made here")
    for run_id, number in traced.kept.items():
        out.print(f"           {number:,} skipped: run {run_id} has them (--force makes them anew)")
    work = ", ".join(f"{name} {ms / 1000:.2f}s" for name, ms in traced.clock.spent.items())
    out.print(f"\nslice {'found again' if traced.reused else 'cut'}; {work}")
    out.print(f"run {traced.run_id}\n    {traced.path}", soft_wrap=True)


def run_json(traced: Traced) -> None:
    """Print a run as one JSON document: its config, counts, filters and best strategies; raises as ``run`` does."""
    print(
        document(
            {
                "run_id": traced.run_id,
                "path": str(traced.saved) if not isinstance(traced.saved, Exception) else None,
                "config": traced.config,
                "counts": traced.counts,
                "kept": traced.kept,
                "filters": {
                    symbol: [vars(each) for each in report.clauses] for symbol, report in traced.reports.items()
                },
                "strategies": [rows_json(row) for row in best(traced.index, _MOST)],
            }
        )
    )
    _ = traced.path


def rows_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a strategy as JSON: what is null left out, its config as it is written."""
    found = {name: value for name, value in row.items() if value is not None}
    return found | {name: json.loads(row[name]) for name in ("config", "exits") if _is_json(row.get(name))}


def _is_json(text: str | None) -> bool:
    return text is not None and text.startswith("{")


def document(value: Any) -> str:
    """Return one JSON document; null for what is no finite number."""
    return json.dumps(defined(value), indent=2, allow_nan=False, default=str)
