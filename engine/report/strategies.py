"""What a run of traces found: its strategies ranked, maps over their parameters, filters, and the best one's trades."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...io.errors import HighwaterError
from ..policy import parse_policy
from ..show import percent, plain, share
from . import pairs
from .charts import bins, by_time, histogram, points
from .examples import EACH, Example, chart, gone, levels_of
from .parts import Card, Cards, Part, Section, Table, Words, bps, cell, signed, tone_of
from .read import Read, numbers
from .trades import Done, exits, months, pct

TOP, TYPES = 25, 4


@dataclass(frozen=True)
class Best:
    """The strategy with the highest Sharpe ratio, its candles, and its trades as columns."""

    row: Mapping[str, Any]
    series: Any
    how: Any
    trades: Mapping[str, Any]


def sections(run: Read) -> list[Section | None]:
    """Return the sections of a run of traces."""
    from ..traces.show import best

    index = run.table("strategy_index")
    ranked = best(index, TOP)
    made = [_summary(run, ranked), _ranking(run, ranked, index.num_rows), _maps(run)]
    if run.piece is None:
        lost = "The filters and trades of single strategies need the run's slice, and that is gone."
        return [*made, Section("best", "Best strategy", [Words(lost, "faint")])]
    made.append(_filters(run))
    first = ranked[0] if ranked and ranked[0]["num_trades"] else None
    return [*made, *(_best(run, first) if first else [])]


def _summary(run: Read, ranked: list[dict[str, Any]]) -> Section:
    from ..traces.show import earned, what

    counts, parts = run.manifest.counts, []
    cards = [
        Card("Strategies", f"{counts.get('strategies', 0):,}", note=f"on {counts.get('series', 0):,} series"),
        Card("Traces", f"{counts.get('traces', 0):,}", note=f"{counts.get('changes', 0):,} changes"),
    ]
    if ranked and ranked[0]["sharpe"] is not None:
        row = ranked[0]
        sharpe, total, down, wins, trades = earned(row)
        profits = numbers(run.table("strategy_index"), "total_return")
        paid = int((profits > 0).sum())
        cards += [
            Card("Best Sharpe", sharpe, tone_of(row["sharpe"]), row["strategy_id"]),
            Card("Its return", total, tone_of(row["total_return"]), f"deepest fall {down}"),
            Card("Its trades", trades, note=f"wins {wins}"),
            Card("Strategies that paid", f"{paid:,}", note=f"of {profits.size:,} that were traded"),
        ]
        parts.append(Words(f"Best: {what(row)}, {row['symbol']} {row['timeframe']}"))
        tried = f"The best of {profits.size:,} is above the others by luck too; nothing here says how much."
        parts.append(Words(tried, "faint") if profits.size > 1 else Words("One strategy.", "faint"))
    return Section("summary", "Summary", [Cards(cards), *parts])


def _ranking(run: Read, ranked: list[dict[str, Any]], count: int) -> Section:
    from ..traces.show import HEX, earned, what

    heads = ("strategy", "series", "what", "hash", "Sharpe", "return", "deepest fall", "wins", "trades", "a trade")
    cells = []
    for row in ranked:
        sharpe, total, down, wins, trades = earned(row)
        cells.append(
            [
                cell(row["strategy_id"]),
                cell(f"{row['symbol']} {row['timeframe']}"),
                cell(what(row), None, "wrap"),
                cell((row["strategy_hash"] or "–")[:HEX]),
                cell(sharpe, row["sharpe"]),
                signed(total, row["total_return"]),
                cell(down, row["max_drawdown"]),
                cell(wins, row["win_rate"]),
                cell(trades, row["num_trades"]),
                signed(percent(row["expectancy"], 3), row["expectancy"]),
            ]
        )
    title = f"The {len(cells)} best of {count:,} by Sharpe ratio" if count > len(cells) else "By Sharpe ratio"
    note = "Sharpe: of days, a year of 252. Returns are compounded, after costs."
    return Section("ranking", "Strategies", [Table(title, heads, cells, left=4, note=note, wide=True)])


def _maps(run: Read) -> Section | None:
    """Return heat maps of the Sharpe ratio over the parameters of each type of strategy that was swept."""
    index = run.table("strategy_index")
    parts: list[Part] = []
    kinds = np.array(index["strategy_type"].to_pylist(), object)
    for kind in sorted(set(kinds.tolist()))[:TYPES]:
        mine = index.filter(kinds == kind)
        columns = pairs.numeric({name: mine[name].to_pylist() for name in _parameters(run)})
        sharpe = numbers(mine, "sharpe")
        best = int(np.nanargmax(sharpe)) if np.isfinite(sharpe).any() else None
        drawn = pairs.maps(columns, sharpe, "Sharpe ratio", "", best) if best is not None else []
        parts += [replace(each, title=f"{kind}: {each.title}") for each in drawn]
    return (
        Section("maps", "Parameters", parts, "Sharpe ratios over the parameters that were varied.") if parts else None
    )


def _parameters(run: Read) -> list[str]:
    from ...io.trace_schemas import INDEX

    return [name for name in run.table("strategy_index").column_names if name not in (*INDEX, "run_id")]


def _filters(run: Read) -> Section | None:
    """Return what the filters of a single strategy did; None of several, or where this version reads it otherwise."""
    from ..traces.again import strategies_again
    from ..traces.run import reports_of
    from ..traces.series import market_of, series_in

    if run.manifest.counts.get("strategies") != 1 or run.piece is None or not run.has("document"):
        return None
    try:
        expansion, _ = strategies_again(run.path, run.manifest)
    except HighwaterError as error:
        return Section("filters", "Filters", [Words(str(error), "faint")])
    zone = market_of(run.manifest, run.path).zone
    series = series_in(run.piece, run.manifest.config["symbols"])
    found = reports_of(expansion.strategies, series, zone, run.manifest.execution["memory"])
    parts: list[Part] = []
    for symbol, report in found.items():
        cells = [
            [
                cell(each.level),
                cell(each.rules),
                cell(each.text),
                cell(f"{each.before:,}", each.before),
                cell(f"{each.after:,}", each.after),
                cell(_verdict(each.before, each.after)),
            ]
            for each in report.clauses
        ]
        heads = ("level", "rules", "signals pass only where", "before", "after", "kept")
        parts.append(Table(f"{symbol}, {report.bars:,} candles", heads, cells, left=3, wide=True))
    return (
        Section("filters", "Filters", parts, "Candles with a signal before and after each clause.") if parts else None
    )


def _verdict(before: int, after: int) -> str:
    if not before:
        return "no signals"
    return "passes all" if after == before else "passes none" if not after else share(after / before)


def _best(run: Read, row: dict[str, Any]) -> list[Section | None]:
    found = _traded(run, row)
    if found is None:
        return []
    from ...kernels.arrays import REASONS

    trades = found.trades
    ret, ts = trades["ret"] * 10_000, trades["entry_ts"]
    grown = np.cumprod(1 + trades["ret"])
    peak = np.maximum(np.maximum.accumulate(grown), 1.0)
    names = [f"{plain(row['symbol'])}-{i}" for i in range(1, ret.size + 1)]
    done = Done(
        names,
        [row["symbol"]] * ret.size,
        ["long" if side > 0 else "short" for side in trades["direction"].tolist()],
        ts,
        trades["exit_ts"],
        trades["entry_px"],
        trades["exit_px"],
        ret,
        trades["mae"] * 10_000,
        trades["mfe"] * 10_000,
        [REASONS[k] for k in trades["reason"].tolist()],
    )
    edges, counts = bins(ret)
    label = f"{ret.size:,} trades of {row['strategy_id']}"
    end, deep = float(grown[-1] - 1), float((grown / peak - 1).min())
    lines = [
        by_time(
            "Return by trade, compounded",
            f"Line of the compounded return of {label}; it ends at {percent(end)}",
            trades["exit_ts"],
            (grown - 1) * 10_000,
            pct,
            note="After costs, at exits. Drag to look closer.",
        ),
        by_time(
            "Fall below the highest before",
            f"Line of the drawdown at exits; deepest {percent(deep)}",
            trades["exit_ts"],
            (grown / peak - 1) * 10_000,
            pct,
            note="At exits; that of days in the table may be deeper.",
        ),
        histogram("Returns of trades", f"Histogram of the returns of {label}", edges, counts, pct, 0.0),
        points(
            "Worst and best price on the way (MAE, MFE)",
            f"Scatter of the worst against the best price of {label}",
            done.mae,
            done.mfe,
            ret > 0,
            [f"{name}: {bps(r, 2)}, {why}" for name, r, why in zip(names, ret.tolist(), done.reason, strict=True)],
            pct,
            x_name="worst, of the entry price",
            y_name="best",
        ),
        exits(done),
        months(ts, ret),
    ]
    from ..traces.show import what

    lead = f"{row['strategy_id']}, {what(row)}, traded again on its candles."
    return [Section("best", "Best strategy", lines, lead), _examples(run, found, done)]


def _traded(run: Read, row: dict[str, Any]) -> Best | None:
    """Return the trades of a strategy; None where the run that holds its trace is gone, or its candles are others."""
    from ..traces.again import fills_of
    from ..traces.kept import Kept, read_kept
    from ..traces.load import folders, where_of
    from ..traces.performance import performance_of
    from ..traces.series import series_in
    from ..traces.trace import Trace

    if run.piece is None:
        return None
    holder = run.path if row["trace_run"] == run.manifest.run_id else None
    holder = holder or folders(run.path.parents[1], [row["trace_run"]]).get(row["trace_run"])
    series = next((each for each in series_in(run.piece, [row["symbol"]])), None)
    if holder is None or series is None or series.digest != row["data_digest"]:
        return None
    ((idx, val),) = read_kept([Kept(holder, where_of(row))])
    how = fills_of(run.manifest)
    if row["exits"]:
        how = replace(how, exits=parse_policy(json.loads(row["exits"])))
    trades = performance_of(Trace(idx, val, series.bars.ts.size), series.bars, series.step, how).trades
    return Best(row, series, how, trades) if trades["ret"].size else None


def _examples(run: Read, found: Best, done: Done) -> Section:
    if run.piece is None:
        return gone()
    order = np.lexsort((done.entry_ts, -done.ret)).tolist()
    chosen = [("Best", i) for i in order[:EACH]] + [("Worst", i) for i in order[:EACH:-1][:EACH]]
    parts: list[Part] = []
    for word, i in chosen:
        price, side = float(done.entry_px[i]), done.caller[i]
        levels = levels_of(found.how.exits, price) if found.how.exits and side == "long" else [("entry", "", price)]
        parts.append(
            chart(
                Example(
                    f"{word}: {bps(float(done.ret[i]), 2)}, {done.reason[i]}",
                    f"{done.mint[i]} {side}, {found.trades['bars_held'][i]:,} candles",
                    found.series.bars,
                    found.series.step,
                    (int(done.entry_ts[i]), price),
                    (int(done.exit_ts[i]), float(done.exit_px[i])),
                    levels,
                    [(int(done.exit_ts[i]), float(done.exit_px[i]), done.reason[i])],
                    side == "short",
                )
            )
        )
    return Section("examples", "Its best and worst trades", parts, "Entries and exits as triangles.")
