"""What a session run prints: the guide's screens, in 80 columns."""

import json
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..show import console, plain
from .perturb_show import perturbation
from .prepare import shares
from .run import SessionRun, lines_of

TITLE = "ORB Confluence Strategy - Backtest Runner"


def banner() -> None:
    """Print what is about to run."""
    console().print(Panel(Text(TITLE), expand=False))


def result(run: SessionRun, folder: Path, verbose: bool) -> None:
    """Print the results, and where they lie; raises what kept the run from being saved."""
    out = console()
    for line in lines_of(run.task, run.given) if verbose else ():
        out.print(plain(line), soft_wrap=True)
    for each in run.walked if verbose else ():
        of = ", ".join(f"{share:.0%} {what}" for what, share in shares(each.ready).items())
        out.print(plain(f"ranges   {each.symbol}: {of}"), soft_wrap=True)
    for note in (*run.given.kept, *run.given.notes) if verbose else run.given.kept:
        out.print(plain(note), soft_wrap=True)
    if run.task.validate:
        _incomplete(run)
    summary(run)
    if "perturbation" in run.tables:
        out.print(*perturbation(run.tables["perturbation"]), sep="\n")
    if verbose:
        out.print(", ".join(f"{name} {ms / 1000:.2f}s" for name, ms in run.clock.spent.items()))
    lines = Text(f"✓ Results saved to: {plain(str(folder))}\n✓ Run ID: {run.run_id}")
    fits = max(map(len, lines.plain.splitlines())) <= out.width - 4
    out.print(Panel(lines, title="Backtest Complete", expand=False) if fits else lines, soft_wrap=not fits)
    out.print(f"run {run.run_id}\n    {run.path}", soft_wrap=True)


def _incomplete(run: SessionRun) -> None:
    """Print the sessions whose candles are not complete, ten at most."""
    rows = [row for row in run.tables["sessions"].to_pylist() if row["verdict"] == "fail"]
    out, count = console(), run.tables["sessions"].num_rows
    skipped = sum(row["or_verdict"] == "skipped" for row in rows)
    done = f", {skipped:,} skipped" if run.task.validate == "skip_day" else ""
    out.print(f"{len(rows):,} of {count:,} sessions are not complete{done}; results/sessions.parquet has all")
    for row in rows[:10]:
        found = f"{row['present']}/{row['expected']} candles, range {row['or_present']}/{row['or_expected']}"
        out.print(f"  {plain(row['symbol'])} {row['day']}  {found}: {row['reasons'].replace(' ', ', ')}")


def summary(run: SessionRun) -> None:
    """Print the results of each symbol, and of all together."""
    rows = run.tables["symbols"].to_pylist()
    heads = ("Symbol", "Trades", "Win Rate", "Total R", "Expectancy", "Sharpe", "Max DD")
    out = console()
    whole = next(row for row in rows if row["symbol"] is None)
    lines = [
        ("Total Symbols", str(len(run.walked))),
        ("Total Trades", f"{whole['total_trades']:,}"),
        ("Total R", _r(whole["total_r"])),
        ("Average R per Trade", _r(whole["average_r"], 3)),
        ("Worst and best order in candles", f"{_r(whole['worst_r'])} to {_r(whole['best_r'])}"),
    ]
    each = _table("Per-Symbol Results", heads, [_cells(row) for row in rows if row["symbol"] is not None])
    both = Group(each, _table("Aggregated Results", ("", ""), lines))
    out.print(Panel(both, title="Backtest Summary", expand=False))
    if not whole["total_trades"]:
        out.print(f"No trades generated: {_why_none(run)}", soft_wrap=True)
    for symbol, error in run.given.failed.items():
        out.print(f"No data fetched for {plain(symbol)}: {plain(error)}", soft_wrap=True)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    rate = "-" if row["win_rate"] is None else f"{row['win_rate']:.1%}"
    sharpe = "-" if row["sharpe_ratio"] is None else f"{row['sharpe_ratio']:.2f}"
    totals = _r(row["total_r"]), _r(row["expectancy"], 3)
    return row["symbol"], f"{row['total_trades']:,}", rate, *totals, sharpe, _r(row["max_drawdown_r"])


def _why_none(run: SessionRun) -> str:
    """Return what kept breaks from being traded, most often first."""
    events: dict[str, int] = {}
    for name in run.tables["governance"]["event"].to_pylist():
        events[name] = events.get(name, 0) + 1
    found = sorted(events.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{name} {count:,}" for name, count in found) or "no session had a valid range that was broken"


def _r(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:+.{digits}f}R"


def _table(title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    made = Table(title=title, title_justify="left", show_header=any(heads))
    for i, head in enumerate(heads):
        made.add_column(Text(head), justify="left" if i == 0 else "right", no_wrap=True)
    for row in rows:
        made.add_row(*(Text(plain(cell)) for cell in row))
    return made


def as_json(run: SessionRun, folder: str | None) -> None:
    """Print the run as one JSON document."""
    document = {
        "run_id": run.run_id,
        "path": str(run.path),
        "files": folder,
        "symbols": run.tables["symbols"].drop_columns("run_id").to_pylist(),
        "failed": {symbol: str(error) for symbol, error in run.given.failed.items()},
        "notes": list(run.given.notes),
    }
    if "perturbation" in run.tables:
        document["perturbation"] = run.tables["perturbation"].drop_columns("run_id").to_pylist()
    print(json.dumps(document, indent=2, allow_nan=False))
