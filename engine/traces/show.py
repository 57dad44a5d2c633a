"""A run of traces, and strategies of any runs, as text for a terminal and as JSON."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ..policy import describe, parse_policy
from ..show import console, defined, percent, plain, share, table
from .grammar import ITEM, LISTS
from .run import Traced

HEX = 12  # digits of a hash that are shown
TAIL = 6  # letters of a run's id that are shown
EARNED = ("sharpe", "return", "draw\ndown", "wins", "trades")
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
        out.print()
        ranking(f"Best of {traced.index.num_rows:,} by Sharpe ratio", rows, several=len(traced.config["symbols"]) > 1)
    _foot(traced)


def one(row: Mapping[str, Any]) -> list[str]:
    """Return what one strategy earned on one series, in lines."""
    sharpe, total, down, wins, trades = earned(row)
    factor, mean = (row[name] for name in ("profit_factor", "expectancy"))
    return [
        f"{row['strategy_id']:<10} {row['symbol']} {row['timeframe']}, {what(row)}",
        f"hash       {(row['strategy_hash'] or '-')[:HEX]}",
        f"trades     {trades}; wins {wins}; profit factor {'-' if factor is None else f'{factor:.2f}'}",
        f"return     {total} in all, {percent(mean, 3)} a trade after costs; deepest drawdown {down}",
        f"sharpe     {sharpe} (daily, a year of 252 days)",
    ]


def best(index: pa.Table, most: int) -> list[dict[str, Any]]:
    """Return the rows of an index with the highest Sharpe ratios, those without one last."""
    order = [("sharpe", "descending"), ("symbol", "ascending"), ("strategy", "ascending")]
    return index.sort_by(order).slice(0, most).to_pylist()


def ranking(title: str, rows: Sequence[Mapping[str, Any]], several: bool, hashes: bool = False) -> None:
    """Print strategies with what they earned; what they are stands below where it does not fit beside the numbers.

    ``several``: of several series, so each is named; ``hashes`` and runs instead of the ids that are of one run.
    """
    names = [(row["strategy_hash"] or "-")[:HEX] if hashes else row["strategy_id"] for row in rows]
    heads = ["hash" if hashes else "strategy", *(["series"] if several else [])]
    text = [
        [name, *([f"{row['symbol']} {row['timeframe']}"] if several else [])]
        for name, row in zip(names, rows, strict=True)
    ]
    numbers = [[*earned(row), *([row["run_id"][-TAIL:]] if hashes else [])] for row in rows]
    columns = [*EARNED, *(["run"] if hashes else [])]
    said, out = [what(row) for row in rows], console()
    beside = [[*left, each, *right] for left, each, right in zip(text, said, numbers, strict=True)]
    if _width([*heads, "what", *columns], beside) <= out.width:
        out.print(table(title, [*heads, "what", *columns], beside, len(heads) + 1))
        return
    out.print(table(title, [*heads, *columns], [[*a, *b] for a, b in zip(text, numbers, strict=True)], len(heads)))
    width = max(map(len, names))
    for name, each in dict(zip(names, said, strict=True)).items():
        indent = " " * (width + 2)
        out.print(
            textwrap.fill(f"{plain(name):<{width}}  {plain(each)}", out.width, subsequent_indent=indent), soft_wrap=True
        )


def _width(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    """Return how wide a table is where nothing in it is cut."""
    columns = zip(heads, *cells, strict=True)
    return sum(max(len(line) for cell in column for line in cell.split("\n")) + 2 for column in columns) - 2


def what(row: Mapping[str, Any]) -> str:
    """Return a strategy in words: bollinger_bands(20, 2), or the rules of an ensemble; its constraints and exits."""
    said = [_called(row["config"], row["strategy_type"])]
    if row["constraints"]:
        said.append(row["constraints"])
    if row["exits"]:
        said.append(describe(parse_policy(json.loads(row["exits"]))))
    return ", ".join(said)


def _called(config: str, strategy_type: str) -> str:
    form = json.loads(config) if config.startswith("{") else {}
    values, said = form.get(strategy_type), strategy_type
    if isinstance(values, Mapping):
        said = f"{strategy_type}({', '.join(map(_value, values.values()))})"
    elif "strategy" in form:
        said = f"{strategy_type} {_members(form['strategy'])}"
    threshold = form.get("threshold")
    if isinstance(threshold, Mapping):
        threshold = "; ".join(f"{side}: {text}" for side, text in threshold.items())
    return f"{said} if {threshold}" if threshold else said


def _members(items: Sequence[Any]) -> str:
    """Return the rules of a level: (sma_crossover + bollinger_bands)."""
    keys = [next((key for key in item if key not in ITEM), "") for item in items if isinstance(item, Mapping)]
    named = [_members(item[key]) if key in LISTS else key for item, key in zip(items, keys, strict=False)]
    return f"({' + '.join(named)})"


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
        out.print(f"           {number:,} skipped: run {run_id} has them")
    if traced.kept:
        out.print("           --force makes them anew")
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
