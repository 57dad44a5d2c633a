"""The best backtest of a lab: its equity, its positions, and the best and the worst of them on our candles."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..show import span
from .charts import bins, by_time, histogram, points
from .examples import EACH, Example, chart, gone
from .parts import Bar, Cell, Part, Section, Table, cell, number, signed, text, tone_of
from .read import Read, numbers, rows


def best(run: Read, found: pa.Table) -> Section | None:
    """Return the equity and the positions of the first backtest; None where it closed nothing."""
    first = found["backtest_id"][0].as_py() if found.num_rows else ""
    equity, held = run.table("lab_equity"), closed_of(run, first)
    equity = equity.filter(pc.equal(equity["backtest_id"], first))
    if not equity.num_rows:
        return None
    money = found["currency"][0].as_py() or ""

    def form(value: float) -> str:
        return f"{value:,.6g}"

    ts, summed, fall = equity["exit_ts_ms"].to_numpy(), *(numbers(equity, n) for n in ("cumulative_profit", "drawdown"))
    profit = numbers(held, "realized_profit")
    hours = (numbers(held, "exit_ts_ms") - numbers(held, "entry_ts_ms")) / 3_600_000
    said = [f"#{row['number']} {row['direction'] or ''}: {row['realized_profit']:+,.2f} {money}" for row in rows(held)]
    edges, counts = bins(profit)
    whole = f"{profit.size:,} positions"
    parts: list[Part] = [
        by_time(
            "Realised profit",
            f"Line of the summed profit of {whole}; it ends at {summed[-1]:,.2f} {money}",
            ts,
            summed,
            form,
            note=f"In {money}, at exits. Drag to look closer.",
        ),
        by_time(
            "Fall below the highest before",
            f"Line of the drawdown, deepest {fall.min():,.2f} {money}",
            ts,
            fall,
            form,
            note=f"Deepest: {fall.min():,.2f} {money}.",
        ),
        histogram(f"Profit of positions, {money}", f"Histogram of the profit of {whole}", edges, counts, form, 0.0),
        points(
            "Profit by time held",
            f"Scatter of the profit of {whole} against the hours they were held",
            hours,
            profit,
            profit > 0,
            said,
            form,
            x_name="hours held",
            y_name=money,
        ),
        _sides(held, profit),
        _listed(held),
    ]
    return Section("best", "Best backtest", parts, f"Backtest {first}.")


def _sides(held: pa.Table, profit: np.ndarray) -> Table:
    sides = np.array([side or "–" for side in held["direction"].to_pylist()], object)
    cells = []
    for side, count in sorted(Counter(sides.tolist()).items()):
        mine = profit[sides == side]
        bar = Bar(0, count / sides.size, tone=tone_of(float(mine.sum())))
        wins = float((mine > 0).mean())
        cells.append(
            [
                cell(side),
                Cell(f"{count:,}", count, bar=bar),
                number(wins, ".0%"),
                signed(f"{mine.mean():+,.2f}", float(mine.mean())),
                signed(f"{mine.sum():+,.2f}", float(mine.sum())),
            ]
        )
    return Table("By side", ("side", "positions", "wins", "mean", "sum"), cells)


def _listed(held: pa.Table) -> Table:
    cells = [
        [
            cell(f"{row['number']}", row["number"]),
            cell(row["direction"]),
            *(number(row[name], ",.6g") for name in ("entry_price", "exit_price", "amount")),
            cell(span((row["exit_ts_ms"] or 0) - (row["entry_ts_ms"] or 0)), row["exit_ts_ms"]),
            number(row["fees"], ",.2f"),
            signed(text(row["realized_profit"], "+,.2f"), row["realized_profit"]),
        ]
        for row in rows(held.slice(0, 1000))
    ]
    heads = ("#", "side", "entry", "exit", "amount", "held", "fees", "profit")
    return Table("Positions", heads, cells, left=2, fold=f"{held.num_rows:,} positions", find=True)


def examples(run: Read, found: pa.Table) -> Section | None:
    """Return the best and the worst positions of the first backtest; None where no candles were given."""
    markets = run.manifest.config.get("markets") or {}
    held = list(rows(closed_of(run, found["backtest_id"][0].as_py()))) if found.num_rows else []
    if not markets or not held:
        return None
    if run.piece is None:
        return gone()
    held.sort(key=lambda row: -(row["realized_profit"] or 0.0))
    chosen = [("Best", row) for row in held[:EACH]] + [("Worst", row) for row in held[:EACH:-1][:EACH]]
    parts: list[Part] = []
    for word, row in chosen:
        bars = run.bars(markets.get(row["market_tag"], ""))
        if bars is None or None in (row["entry_price"], row["exit_price"], row["entry_ts_ms"], row["exit_ts_ms"]):
            continue
        out = (row["exit_ts_ms"], row["exit_price"])
        parts.append(
            chart(
                Example(
                    f"{word}: {text(row['realized_profit'], '+,.2f')} {row['currency'] or ''}",
                    f"{row['market_tag']} {row['direction'] or ''}, position {row['number']}",
                    bars,
                    run.piece.facts.interval_ms,
                    (row["entry_ts_ms"], row["entry_price"]),
                    out,
                    [("entry", "", row["entry_price"])],
                    [(*out, "")],
                    row["direction"] == "short",
                )
            )
        )
    return Section("examples", "Its best and worst positions", parts, "Entries and exits as triangles, on our candles.")


def closed_of(run: Read, backtest: str) -> pa.Table:
    """Return the closed positions of a backtest."""
    held = run.table("lab_positions")
    return held.filter(pc.and_(pc.equal(held["backtest_id"], backtest), held["closed"]))
