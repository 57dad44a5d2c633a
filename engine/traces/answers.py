"""What the catalog knows of strategies, as text for a terminal, as JSON and as files."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...io.errors import UsageError
from ...io.exports import check, csv_bytes, write_parquet
from ..show import console, plain, table
from ..values import show_instant
from .index import Spread
from .load import Loaded
from .migrate import Brought, Fate
from .show import EARNED, HEX, TAIL, document, earned, ranking, rows_json, what

_COMMON = 5  # values of a parameter that are named with their counts
_SHOWN = ("idx", "ts", "val", "px")


def strategies(found: pa.Table, json: bool, more: str = "") -> int | None:
    """Print strategies of any runs with what they earned; exit code 2 where there is none."""
    rows = found.to_pylist()
    if json:
        print(document([rows_json(row) for row in rows]))
    elif rows:
        ranking("", rows, several=True, hashes=True)
        fills = dict.fromkeys(_fills(row) for row in rows if row["fill"])
        console().print("\n".join([f"filled at {each}" for each in fills]), soft_wrap=True)
    if more:
        print(f"highwater: {more}", file=sys.stderr)
    return _any(rows)


def _fills(row: dict[str, Any]) -> str:
    return f"{row['fill']}, fee {row['fee_bps']:g} bps and slippage {row['slippage_bps']:g} bps a side"


def _any(rows: Sequence[Any]) -> int | None:
    if not rows:
        print("highwater: no such strategy in the catalog; highwater catalog sync finds new runs", file=sys.stderr)
    return None if rows else 2


def duplicates(found: pa.Table, json: bool) -> int | None:
    """Print the strategies that several runs hold."""
    rows = found.to_pylist()
    if json:
        told = [row | {"run_ids": row["run_ids"].split(", ")} for row in rows]
        print(document([row | rows_json({"config": row["config"]}) for row in told]))
        return None
    if not rows:
        print("no strategy is in two runs")
        return None
    cells = []
    for row in rows:
        said = what(row | {"constraints": None, "exits": None})
        cells.append([row["strategy_hash"][:HEX], row["series"], said, f"{row['runs']:,}", f"{row['traces']:,}"])
    console().print(table("Strategies of several runs", ["hash", "series", "what", "runs", "traces"], cells, 3))
    return None


def parameters(strategy_type: str, found: Sequence[Spread], json: bool) -> int | None:
    """Print how the parameters of the strategies of a type vary."""
    if json:
        print(document([vars(each) | {"counts": [list(pair) for pair in each.counts]} for each in found]))
        return None
    out, width = console(), max((len(each.name) for each in found), default=0)
    heads = ["parameter", "strategies", "unique", "min", "max", "mean"]
    cells = [
        [each.name, f"{each.strategies:,}", f"{each.unique:,}", *map(_short, (each.low, each.high, each.mean))]
        for each in found
    ]
    out.print(table(f"Parameters of {strategy_type}", heads, cells))
    out.print("\nMost often")
    for each in found:
        common = sorted(each.counts, key=lambda pair: -pair[1])[:_COMMON]
        said = [f"{_short(value)} ({n:,})" for value, n in common] + ["..."] * (len(each.counts) > _COMMON)
        out.print(f"{each.name:<{width}}  {plain(', '.join(said))}", soft_wrap=True)
    return None


def _short(value: Any) -> str:
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def comparison(found: Sequence[pa.Table], json: bool) -> int | None:
    """Print what strategies earned, those of one hash together, on every series and in every run."""
    tables = [each.to_pylist() for each in found]
    every = [row for rows in tables for row in rows]
    if json:
        print(document([rows_json(row) for row in every]))
        return _any(every)
    heads = ["series", "run", "fill", "costs", *EARNED]
    for rows in filter(None, tables):
        cells = [
            [
                f"{row['symbol']} {row['timeframe']}",
                row["run_id"][-TAIL:],
                row["fill"] or "-",
                _costs(row),
                *earned(row),
            ]
            for row in rows
        ]
        title = f"{(rows[0]['strategy_hash'] or '-')[:HEX]}  {plain(what(rows[0]))}"
        console().print(table(title, heads, cells, 3))
        print()
    return _any(every)


def _costs(row: dict[str, Any]) -> str:
    return "-" if row["fill"] is None else f"{row['fee_bps']:g}+{row['slippage_bps']:g} bps"


def loaded(one: Loaded, form: str, output: Path | None, limit: int) -> int | None:
    """Print a trace, or write it as the file of one strategy."""
    if output is not None:
        _write(one, form, output)
        print(f"{output}: {one.table.num_rows:,} rows")
    elif form == "csv":
        rows = one.table.select(["idx", "ts", "sym", "val", "strat", "px", "strat_hash"])
        sys.stdout.write(csv_bytes(rows).decode())
    else:
        print_trace(one.about.metadata(), one.table, limit)
    return None


def _write(one: Loaded, form: str, output: Path) -> None:
    from ...io import exports

    remedy = "name another file with --output"
    check(output, folder=False)
    if form == "csv":
        with exports.placed(output, remedy) as draft:
            exports.write_csv(draft, exports.NEW, one.table, remedy)
    else:
        write_parquet(output, one.table, one.about.metadata(), remedy)


def print_trace(told: dict[str, str], rows: pa.Table, limit: int) -> None:
    """Print what a trace says of itself, and its first rows."""
    out = console()
    for name in _TOLD:
        if name in told:
            value = show_instant(int(told[name])) if name.endswith("_ts_ms") else told[name]
            out.print(f"{name.removesuffix('_ms'):<16} {plain(value)}", soft_wrap=True)
    cells = [
        [f"{row['idx']:,}", str(row["ts"])[:19], str(row["val"]), f"{row['px']:g}"]
        for row in rows.slice(0, limit).select(list(_SHOWN)).to_pylist()
    ]
    out.print()
    out.print(table(f"{rows.num_rows:,} changes", ["idx", "ts (UTC)", "val", "px"], cells, 2))
    if rows.num_rows > limit:
        out.print(f"and {rows.num_rows - limit:,} more; --limit raises that")


_TOLD = (
    *("strategy_id", "strategy_type", "strategy_hash", "strategy_config", "symbol", "timeframe", "bars", "first_ts_ms"),
    *("last_ts_ms", "trace_key", "data_digest", "data_source", "engine_semantics", "run_id"),
)


def checked(form: str, output: Path | None) -> str:
    """Return the form to write a trace in: that asked for, else that of the file's name. Raises UsageError."""
    suffix = output.suffix.lower().lstrip(".") if output else ""
    if form == "table" and output is not None:
        if suffix not in ("csv", "parquet"):
            raise UsageError(f"--output {output} must end in .csv or .parquet, or say --format csv or parquet")
        return suffix
    if form == "parquet" and output is None:
        raise UsageError("--format parquet needs a file: --output trace.parquet")
    return form


def migration(brought: Brought, limit: int, json: bool) -> None:
    """Print what becomes, or became, of each file of an older workspace."""
    fates, out = brought.fates, console()
    if json:
        files = [
            {"file": fate.path, "series": fate.series, "rows": fate.rows, "reason": fate.reason}
            | ({} if fate.strategy is None else {**vars(fate.strategy), "parameters": dict(fate.strategy.parameters)})
            for fate in fates
        ]
        print(document({"run_id": brought.run_id, "path": brought.path, "digest": brought.digest, "files": files}))
        return
    for fate in fates[:limit]:
        out.print(plain(fate.path), soft_wrap=True)
        for line in _fate(fate):
            out.print(f"  {plain(line)}", soft_wrap=True)
    if len(fates) > limit:
        out.print(f"and {len(fates) - limit:,} more files; --limit raises that")
    made = [fate for fate in fates if fate.strategy is not None]
    known = sum(fate.strategy.strategy_hash is not None for fate in made if fate.strategy)
    verb = "brought over" if brought.run_id else "can be brought over"
    out.print(f"\n{len(made):,} of {len(fates):,} files {verb}, {known:,} with their parameters known to us")
    if brought.run_id:
        out.print(f"run {brought.run_id}\n    {brought.path}", soft_wrap=True)
    else:
        out.print("nothing was written; --apply makes the run, and leaves the workspace as it is")


def _fate(fate: Fate) -> list[str]:
    """Return what becomes of a file, in lines."""
    if fate.strategy is None:
        return [f"left: {fate.reason}"]
    named = fate.strategy
    row = {"config": named.config, "strategy_type": named.strategy_type, "constraints": named.constraints}
    lines = [f"{named.strategy_id}, {fate.series}, {fate.rows:,} changes: {what(row | {'exits': None})}"]
    if named.strategy_hash is None:
        return [*lines, f"without a hash: {fate.reason}"]
    return [*lines, f"hash {named.strategy_hash[:HEX]}"]
