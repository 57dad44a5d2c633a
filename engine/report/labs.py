"""What the backtests of a lab are worth: the verdict, their returns, the first of them, settings, fills and replay."""

import json
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from ..labs.exits import totals
from . import lab_best, pairs, search
from .charts import bins, histogram
from .parts import Card, Cards, Part, Section, Table, cell, number, signed, text, tone_of
from .read import Read, known, numbers, rows
from .trades import pct

TOP = 25


def sections(run: Read) -> list[Section | None]:
    """Return the sections of a lab's run."""
    found = run.table("lab_analytics")
    return [
        search.verdict(run),
        _summary(run, found),
        _ranking(run, found),
        _maps(run, found),
        lab_best.best(run, found),
        lab_best.examples(run, found),
        _fills(run),
        _custom(run),
    ]


def _summary(run: Read, found: pa.Table) -> Section:
    counts, returns = run.manifest.counts, known(numbers(found, "return_on_balance_pct"))
    beats = [each for each in found["beats_buy_hold"].to_pylist() if each is not None]
    change = next((each for each in found["buy_hold_pct"].to_pylist() if each is not None), None)
    lab = run.manifest.config["lab"]
    cards = [
        Card("Backtests", f"{counts.get('backtests', 0):,}", note=f"{counts.get('complete', 0):,} of them whole"),
        Card("Positions", f"{counts.get('positions', 0):,}", note=f"{counts.get('orders', 0):,} orders"),
    ]
    parts: list[Part] = []
    if returns.size:
        best, middle = float(returns.max()), float(np.median(returns))
        cards += [
            Card("Best return", percent(best), tone_of(best), "of the balance"),
            Card("Median return", percent(middle), tone_of(middle), f"{(returns > 0).mean():.0%} of backtests gain"),
            Card("Buy and hold", percent(change), tone_of(change)),
            Card("Beat it", f"{np.mean(beats):.0%}" if beats else "–", note="of the backtests"),
        ]
        edges, bars = bins(returns * 100)
        label = f"Histogram of the returns of {returns.size:,} backtests, median {percent(middle)} of the balance"
        parts.append(histogram("Returns of backtests, of the balance", label, edges, bars, pct, 0.0))
    return Section("summary", "Summary", [Cards(cards), *parts], f"{lab.get('name') or lab.get('lab_id') or 'Lab'}")


def percent(value: float | None) -> str:
    """Return percent with its sign; a dash where undefined."""
    return "–" if value is None or value != value else f"{value:+.1f}%"


def _ranking(run: Read, found: pa.Table) -> Section:
    named = [name for name in ("script_name", "market_tag") if len(set(found[name].to_pylist())) > 1]
    heads = ("#", "backtest", *(name.partition("_")[0] for name in named), "trades", "wins", "profit", "on balance")
    heads = (*heads, "on margin", "deepest fall", "Sharpe", "profit factor", "settings")
    cells = [
        [
            cell(row["rank"], row["rank"]),
            cell(row["backtest_id"][:8]),
            *(cell(row[name]) for name in named),
            number(row["total_trades"], ","),
            number(row["win_rate"], ".0%"),
            signed(text(row["realized_profit"], "+,.2f"), row["realized_profit"]),
            *(signed(percent(row[n]), row[n]) for n in ("return_on_balance_pct", "roi_on_margin_pct")),
            cell(percent(row["max_drawdown_pct"]), row["max_drawdown_pct"]),
            number(row["sharpe_annual"], ".2f"),
            number(row["profit_factor"], ".2f"),
            cell(", ".join(f"{name} {value}" for name, value in _parameters(row).items()), None, "wrap"),
        ]
        for row in rows(found.slice(0, TOP))
    ]
    by = search.measured(run.manifest.config["by"])
    table = Table(f"Best of {found.num_rows:,} backtests, by {by}", heads, cells, left=2 + len(named), wide=True)
    return Section("ranking", "Backtests", [table])


def _parameters(row: dict[str, Any]) -> dict[str, Any]:
    return json.loads(row["parameters"]) if row["parameters"] else {}


def _maps(run: Read, found: pa.Table) -> Section | None:
    every = [_parameters(row) for row in rows(found, ("parameters",))]
    names = sorted({name for each in every for name in each})
    columns = pairs.numeric({name: [_number(each.get(name)) for each in every] for name in names})
    drawn = pairs.maps(columns, numbers(found, "return_on_balance_pct"), "return on the balance", "%", 0)
    return Section("maps", "Parameters", drawn, "Over the settings that are numbers and differ.") if drawn else None


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _fills(run: Read) -> Section | None:
    """Return how the orders were filled on our candles; None where they were not replayed."""
    if not run.has("lab_fills"):
        return None
    found = Counter(run.table("lab_fills")["verdict"].to_pylist())
    total = max(1, sum(found.values()))
    cells = [
        [cell(name.replace("_", " ")), number(n, ","), number(n / total, ".1%")] for name, n in found.most_common()
    ]
    parts: list[Part] = [Table("Orders on our candles", ("fill", "orders", "share"), cells)]
    if run.has("lab_replay"):
        replay = run.table("lab_replay")
        theirs, ours = (known(numbers(replay, name)) for name in ("realized_profit", "fs1_profit"))
        cards = [
            Card("The lab says", f"{theirs.sum():+,.2f}", tone_of(float(theirs.sum())), f"{theirs.size:,} positions"),
            Card("FS-1 makes", f"{ours.sum():+,.2f}", tone_of(float(ours.sum())), f"{ours.size:,} of them replayed"),
        ]
        parts.insert(0, Cards(cards))
    if run.has("lab_exits"):
        parts.append(_exits(run.table("lab_exits")))
    return Section("replay", "Replay", parts, "Were the lab's fills possible, and what do the same trades make here?")


def _exits(found: pa.Table) -> Table:
    cells = [
        [
            cell(each.policy),
            cell(each.currency),
            number(each.positions, ","),
            *(signed(f"{value:+,.2f}", value) for value in (each.realized, each.fs1, each.worst, each.best)),
        ]
        for each in totals(found)
    ]
    heads = ("exits", "currency", "positions", "lab", "FS-1", "worst", "best")
    return Table("The same entries left by FS-1", heads, cells, left=2)


def _custom(run: Read) -> Section | None:
    if not run.has("lab_custom"):
        return None
    cells = [
        [
            *(cell(row[name]) for name in ("backtest_id", "function", "metric")),
            cell(row["text"] or text(row["number"], ".6g")),
        ]
        for row in rows(run.table("lab_custom").slice(0, 500))
    ]
    table = Table(
        "Your own analytics", ("backtest", "function", "metric", "value"), cells, left=3, find=True, wide=True
    )
    return Section("custom", "Own analytics", [table])
