"""What a lab run says, in 80 columns: its figures, its best backtests, the verdict on the best, and its fills."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ...io.errors import UsageError
from ...io.manifest import Manifest
from ...io.runs import read_artifact, read_manifest
from ..judgement_show import check_lines, counted, headline, indented
from ..show import console, plain, table
from ..verdict import Check, Verdict
from .exits import totals
from .proof import a_day
from .replay import VERDICTS
from .run import LabRun

pc: Any = pyarrow.compute  # it makes most of its functions at run time
_HEADS = ("#", "backtest", "trades", "win\nrate", "profit", "on\nbalance", "on\nmargin", "max\nDD", "Sharpe", "factor")
_EXIT_HEADS = ("exits", "positions", "lab says", "FS-1", "worst", "best", "in")


@dataclass(frozen=True)
class View:
    """What is shown of a lab run: its config and counts, the table of figures, the verdict's document or None.

    ``amiss``: notes on the lab as a whole.
    """

    run_id: str
    path: Path
    config: Mapping[str, Any]
    counts: Mapping[str, int]
    analytics: pa.Table
    exits: pa.Table | None
    guards: Mapping[str, Any] | None
    amiss: tuple[str, ...]


def view_of(run: LabRun) -> View:
    """Return the view of a run that was just made; raises what kept it from being saved."""
    guards = run.proved and run.proved.document()
    amiss = tuple(said for name, said in run.found.notes if not name)
    made = run.tables
    exits = made.get("lab_exits")
    return View(run.run_id, run.path, run.config, run.counts, made["lab_analytics"], exits, guards, amiss)


def view_in(path: Path) -> View:
    """Return the view of a published run. Raises UsageError where it is none of a lab."""
    manifest = read_manifest(path)
    if manifest.run_type != "lab" or manifest.artifact("lab_analytics") is None:
        raise UsageError(f"run {manifest.run_id} is a {manifest.run_type} run, {manifest.status}; name one of a lab")
    analytics = read_artifact(path, "lab_analytics")
    notes = read_artifact(path, "errors")
    amiss = tuple(notes["message"].filter(pc.is_null(notes["call_id"])).to_pylist())
    guards = guards_in(path, manifest)
    exits = read_artifact(path, "lab_exits") if manifest.artifact("lab_exits") else None
    return View(manifest.run_id, path, manifest.config, manifest.counts, analytics, exits, guards, amiss)


def guards_in(path: Path, manifest: Manifest) -> dict[str, Any] | None:
    """Return the document of the verdict in a run, None where it has none."""
    kept = manifest.artifact("guards")
    return None if kept is None else json.loads((path / kept.path).read_bytes())


def show(view: View, top: int) -> None:
    """Print a run."""
    out, rows = console(), view.analytics.to_pylist()
    for line in (*head(view, rows), ""):
        out.print(line)
    by = view.config["by"]
    out.print(table(f"Backtests, by {by}", _HEADS, [_cells(row) for row in rows[:top]], left=2))
    if len(rows) > top:
        out.print(f"and {len(rows) - top:,} more in results/analytics.parquet")
    below = [*verdict_lines(view.guards), *fill_lines(view.counts), *(plain(said) for said in view.amiss)]
    for line in ("", *below) if below else ():
        out.print(line)
    if cells := list(_exit_cells(view)):
        out.print()
        out.print(table("The same entries left by FS-1, after the lab's fees", _EXIT_HEADS, cells))
    if view.counts["notes"]:
        out.print(f"{counted(view.counts['notes'], 'note')} on what is amiss: errors/errors.parquet")
    out.print(f"\nrun {view.run_id}\n    {view.path}", soft_wrap=True)


def head(view: View, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what the lab is and how its backtests are spread, a line each."""
    lab, counts = view.config["lab"], view.counts
    days = [str(np.datetime64(rows[0][name], "ms"))[:10] for name in ("start_time_ms", "end_time_ms")] if rows else []
    markets = sorted({row["market_tag"] for row in rows if row["market_tag"]})
    lines = [
        f"lab      {plain(lab['name'] or lab['lab_id'])[:71]}",
        f"market   {plain(', '.join(markets[:2]))[:60]}{' and more' if len(markets) > 2 else ''}",
        f"period   {' to '.join(days)} (UTC)",
        f"read     {counted(counts['backtests'], 'backtest')}, {counts['complete']:,} whole, "
        f"{counted(counts['positions'], 'position')}",
    ]
    returns = np.array([row["return_on_balance_pct"] for row in rows if row["return_on_balance_pct"] is not None])
    if returns.size:
        low, middle, high = np.quantile(returns, (0.05, 0.5, 0.95))
        gained = (returns > 0).mean()
        lines.append(
            f"returns  median {middle:+.1f}%, 5% {low:+.1f}%, 95% {high:+.1f}% of the balance; {gained:.0%} gain"
        )
    beat = [row["beats_buy_hold"] for row in rows if row["beats_buy_hold"] is not None]
    change = next((row["buy_hold_pct"] for row in rows if row["buy_hold_pct"] is not None), None)
    if beat and change is not None:
        lines.append(f"market   {change:+.1f}% to buy and hold; {sum(beat) / len(beat):.0%} of the backtests beat that")
    return lines


def _cells(row: Mapping[str, Any]) -> list[str]:
    def as_text(name: str, form: str) -> str:
        return "-" if row[name] is None else format(row[name], form)

    rate = "-" if row["win_rate"] is None else f"{row['win_rate']:.0%}"
    shares = (
        f"{as_text(name, '+,.1f')}%" for name in ("return_on_balance_pct", "roi_on_margin_pct", "max_drawdown_pct")
    )
    trades = as_text("total_trades", ",")
    money, ratios = as_text("realized_profit", "+,.2f"), (as_text(n, ".2f") for n in ("sharpe_annual", "profit_factor"))
    return [f"{row['rank']}", row["backtest_id"], trades, rate, money, *(s.replace("-%", "-") for s in shares), *ratios]


def verdict_lines(guards: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield the verdict on the best backtest, a line each; none without guards."""
    if guards is None:
        return
    best = guards["winner"]
    checks = tuple(Check(each["name"], tuple(each["found"]), each["status"]) for each in guards["checks"])
    yield headline(Verdict(guards["verdict"], checks))
    mean = float("nan") if best["mean_bps"] is None else best["mean_bps"]
    yield from indented(
        (
            f"best {plain(guards['backtest_id'])[:36]}",
            f"mean {a_day(mean)} of the balance a day, wins {best['win_rate']:.0%};",
            f"{counted(best['alerts'], 'trade')}, {counted(best['days'], 'day')}",
        ),
        0,
    )
    for number, check in enumerate(checks, 1):
        yield from check_lines(number, check)
    lane = min(best["quality"]["lanes"], key=lambda each: each["mean_bps"])
    part = best["spread"]["without_caller"]
    below = (f"worst lane {a_day(lane['mean_bps'])} ({lane['name']});", f"without its best day, {part['name']}:")
    rest = float("nan") if part["mean_bps"] is None else part["mean_bps"]
    yield from indented((*below, a_day(rest)), 3)
    yield from indented((f"tried: {counted(guards['tried'], 'configuration')}",), 3)


def fill_lines(counts: Mapping[str, int]) -> Iterator[str]:
    """Yield how the orders were filled on our candles; none where they were not replayed."""
    if "fills_possible" not in counts:
        return
    parts = [f"{counts[f'fills_{name}']:,} {name.replace('_', ' ')}" for name in VERDICTS]
    yield from indented((f"fills    {parts[0]},", *(f"{part}," for part in parts[1:-1]), parts[-1]), 0)


def _exit_cells(view: View) -> Iterator[list[str]]:
    """Yield what the entries of the lab, and those of its first backtest, make under each set of exits."""
    if view.exits is None:
        return
    first = view.analytics["backtest_id"][0].as_py()
    best = {(each.exits, each.currency): each for each in totals(view.exits, first)}
    for total in totals(view.exits):
        for name, each in ((total.policy, total), ("  the first backtest", best.get((total.exits, total.currency)))):
            if each is not None:
                money = (f"{value:+,.0f}" for value in (each.realized, each.fs1, each.worst, each.best))
                yield [name, f"{each.positions:,} of {each.among:,}", *money, each.currency or "-"]


def as_json(view: View, top: int) -> None:
    """Print a run as one JSON document."""
    document = {
        "run_id": view.run_id,
        "path": str(view.path),
        "lab": view.config["lab"],
        "counts": dict(view.counts),
        "by": view.config["by"],
        "backtests": view.analytics.drop_columns("run_id").slice(0, top).to_pylist(),
        "exits": [] if view.exits is None else [asdict(each) for each in totals(view.exits)],
        "guards": view.guards,
    }
    print(json.dumps(document, indent=2, allow_nan=False))
