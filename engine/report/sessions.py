"""What a run of opening ranges came to, of all symbols or of one: metrics in R, equity, factors, ranges, events."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from ..session.config import parse
from ..session.metrics import buckets, concentration
from ..show import plain
from .charts import bins, by_time, histogram, points
from .examples import EACH, Example, chart, gone
from .parts import Bar, Card, Cards, Cell, Part, Section, Table, Words, cell, number, signed, text, tone_of
from .read import Read, numbers, rows
from .session_facts import Sessions, columns_of, in_r, words

_SHARES = ("win_rate", "max_drawdown_pct", "ambiguous_rate", "return_on_capital")


def sections(run: Read, only: str | None) -> list[Section | None]:
    """Return the sections of a run of sessions."""
    from . import session_days, session_search

    config = parse(run.manifest.config["settings"], f"run {run.manifest.run_id}")
    if run.has("session_trials"):
        config = session_search.winner(run, config)
    found = run.table("session_trades")
    found = found if only is None else found.filter(pc.equal(found["symbol"], only))
    of = Sessions(run, config, only, found, columns_of(found))
    made = [session_search.verdict(run), _summary(of), session_search.ranking(run), *session_search.maps(run)]
    if found.num_rows:
        made += [_trades(of), _examples(of), _factors(of)]
    return [*made, *session_days.sections(of)]


def _summary(of: Sessions) -> Section:
    row = of.row()
    fall, grown = text(row["max_drawdown_pct"], ".2%"), row["return_on_capital"]
    best = f"{in_r(row['worst_r'], 1)} … {in_r(row['best_r'], 1)}"
    cards = [
        Card("Total", in_r(row["total_r"]), tone_of(row["total_r"]), f"{best} by the order in candles"),
        Card("Expectancy", in_r(row["expectancy"], 3), tone_of(row["expectancy"]), "a trade, after costs"),
        Card("Trades", f"{row['total_trades']:,}", note=f"on {row['sessions']:,} sessions"),
        Card("Wins", text(row["win_rate"], ".1%"), note=f"longest run of losses {row['max_consecutive_losses']}"),
        Card("Profit factor", text(row["profit_factor"], ".2f"), note="R won over R lost"),
        Card("Sharpe", text(row["sharpe_ratio"], ".2f"), note="of days, a year of 252"),
        Card("Deepest fall", in_r(row["max_drawdown_r"]), note=f"{fall} of the account"),
        Card("On capital", text(grown, "+.2%"), tone_of(grown), "of the account at the start"),
    ]
    parts: list[Part] = [Cards(cards)]
    if not row["total_trades"]:
        parts.append(Words("No trades."))
    if of.only is None and of.run.table("symbols").num_rows > 2:  # of one symbol and of all: the same twice
        parts.append(_symbols(of))
    names = [name for name in row if name not in ("run_id", "symbol")]
    every = [[cell(words(name)), cell(_metric(name, row[name]))] for name in names]
    return Section("summary", "Summary", [*parts, Table("Metrics", (), every, left=1, fold=f"{len(every)} metrics")])


def _metric(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, int):
        return None if value is None else f"{value:,}"
    return f"{value:.2%}" if name in _SHARES else f"{value:,.3f}"


def _symbols(of: Sessions) -> Table:
    heads = ("symbol", "trades", "wins", "total", "expectancy", "profit factor", "Sharpe", "deepest fall")
    cells = [
        [
            cell(row["symbol"] or "all"),
            cell(f"{row['total_trades']:,}", row["total_trades"]),
            number(row["win_rate"], ".1%"),
            signed(in_r(row["total_r"]), row["total_r"]),
            signed(in_r(row["expectancy"], 3), row["expectancy"]),
            number(row["profit_factor"], ".2f"),
            number(row["sharpe_ratio"], ".2f"),
            cell(in_r(row["max_drawdown_r"]), row["max_drawdown_r"]),
        ]
        for row in rows(of.run.table("symbols"))
    ]
    return Table("By symbol", heads, cells)


def _trades(of: Sessions) -> Section:
    equity = of.run.table("equity")
    equity = equity.filter(pc.equal(equity["scope"], of.scope))
    ts, summed, fallen = (
        equity["exit_timestamp"].to_numpy(),
        *(numbers(equity, n) for n in ("cumulative_r", "drawdown_r")),
    )
    r = np.asarray(of.columns["realized_r"])
    mae, mfe = (np.asarray(of.columns[name]) for name in ("max_adverse_r", "max_favorable_r"))
    said = [
        f"{plain(trade['symbol'])} {trade['day']} {trade['direction']}\n"
        f"{in_r(trade['realized_r'])}, {trade['exit_reason']}; "
        f"worst {in_r(trade['max_adverse_r'])}, best {in_r(trade['max_favorable_r'])}"
        for trade in rows(of.table, _SAID)
    ]

    def form(value: float) -> str:
        return f"{value:g} R"

    edges, counts = bins(r)
    label = f"{r.size:,} trades"
    parts: list[Part] = [
        by_time(
            "Equity, summed R by exit",
            f"Line of the summed R of {label}; it ends at {in_r(float(summed[-1]))}",
            ts,
            summed,
            form,
            note="Drag to look closer.",
        ),
        by_time(
            "Fall below the highest before",
            f"Line of the drawdown in R; deepest {in_r(float(fallen.min()))}",
            ts,
            fallen,
            form,
            note=f"Deepest: {in_r(float(fallen.min()))}.",
        ),
        histogram(
            "Trades by R",
            f"Histogram of the R of {label}; median {in_r(float(np.median(r)))}",
            edges,
            counts,
            lambda x: f"{x:.3g}",
            0.0,
        ),
        points(
            "Worst and best price on the way (MAE, MFE)",
            f"Scatter of the worst against the best R of {label}",
            mae,
            mfe,
            r > 0,
            said,
            form,
            x_name="worst",
            y_name="best",
            note="Blue trades made money, orange ones lost.",
        ),
        _exits(of, r),
        _months(of),
    ]
    return Section("trades", "Trades", parts)


_SAID = ("symbol", "day", "direction", "realized_r", "exit_reason", "max_adverse_r", "max_favorable_r")


def _exits(of: Sessions, r: np.ndarray) -> Table:
    mix = sorted(buckets(of.columns, of.columns["exit_reason"]), key=lambda each: (-each["count"], each["bucket"]))
    most = max(each["count"] for each in mix)
    cells = [
        [
            cell(each["bucket"]),
            Cell(f"{each['count']:,}", each["count"], bar=Bar(0, each["count"] / most, tone=tone_of(each["avg_r"]))),
            number(each["count"] / r.size, ".1%"),
            signed(in_r(each["avg_r"]), each["avg_r"]),
            number(each["win_rate"], ".0%"),
        ]
        for each in mix
    ]
    return Table("How trades ended", ("exit", "trades", "share", "R each", "wins"), cells)


def _months(of: Sessions) -> Table:
    r = np.asarray(of.columns["realized_r"])
    months = np.array([day[:7] for day in of.columns["day"]])
    cells = []
    for name in np.unique(months).tolist():
        mine = r[months == name]
        fall = np.concatenate([[0.0], np.cumsum(mine)])
        cells.append(
            [
                cell(name),
                cell(f"{mine.size:,}", mine.size),
                signed(in_r(float(mine.sum())), float(mine.sum())),
                signed(in_r(float(mine.mean()), 3), float(mine.mean())),
                number(float((mine > 0).mean()), ".0%"),
                cell(
                    in_r(float((fall - np.maximum.accumulate(fall)).min())),
                    float((fall - np.maximum.accumulate(fall)).min()),
                ),
            ]
        )
    return Table("R by month", ("month", "trades", "total", "each", "wins", "deepest fall"), cells)


def _examples(of: Sessions) -> Section:
    if of.run.piece is None:
        return gone()
    found = list(rows(of.table))
    order = sorted(range(len(found)), key=lambda i: (-found[i]["realized_r"], found[i]["trade_id"]))
    fills: dict[str, list[dict[str, Any]]] = {}
    for row in rows(of.of("session_fills")):
        fills.setdefault(row["trade_id"], []).append(row)
    chosen = [("Best", i) for i in order[:EACH]] + [("Worst", i) for i in order[:EACH:-1][:EACH]]
    parts: list[Part] = []
    for word, i in chosen:
        trade = found[i]
        bars = of.run.bars(trade["symbol"])
        if bars is None:
            continue
        levels = [
            ("stop", "stop", trade["stop_price_initial"]),
            ("range", "OR high", trade["or_high"]),
            ("range", "OR low", trade["or_low"]),
            ("entry", "", trade["entry_price"]),
        ]
        made = fills.get(trade["trade_id"], [])
        parts.append(
            chart(
                Example(
                    f"{word}: {in_r(trade['realized_r'])}, {trade['exit_reason']}",
                    f"{trade['symbol']} {trade['direction']} on {trade['day']}, score {trade['confluence_score']:g}",
                    bars,
                    of.run.manifest.config["interval_ms"],
                    (trade["entry_timestamp"], trade["entry_price"]),
                    (trade["exit_timestamp"], trade["exit_price"]),
                    levels,
                    [(each["timestamp"], each["price"], each["reason"]) for each in made],
                    trade["direction"] == "short",
                )
            )
        )
    return Section(
        "examples",
        "Best and worst trades",
        parts,
        "On their candles, found by the slice's digest: triangles for entries and exits, lines for stop and range.",
    )


def _factors(of: Sessions) -> Section | None:
    """Return where the R comes from, as the artifact ``attribution`` has it, and what hangs on few."""
    if not of.run.has("attribution"):
        return None
    by: dict[str, list[dict[str, Any]]] = {}
    for row in rows(of.run.table("attribution")):
        if row["symbol"] == of.only:
            by.setdefault(row["kind"], []).append(row)
    few = [
        [cell(words(name)), number(value, ".0%" if "share" in name else "+.2f")]
        for name, value in concentration(of.columns, of.row()["sessions"]).items()
    ]
    heads = ("factor", "with", "wins", "R each", "without", "wins", "R each", "worth")
    lines = [
        [
            cell(row["bucket"]),
            *(
                number(row[f"{word}{name}"], form)
                for word in ("", "absent_")
                for name, form in (("count", ","), ("win_rate", ".0%"), ("avg_r", "+.3f"))
            ),
            signed(text(row["delta_avg_r"], "+.3f"), row["delta_avg_r"]),
        ]
        for row in by.get("factor", ())
    ]
    parts = [
        Table("What each factor was worth", heads, lines, wide=True),
        _bucketed("By score", "score from", by.get("score", ())),
        _bucketed("By time of entry, local", "from", by.get("entry_time", ())),
        _bucketed("By side", "side", by.get("direction", ())),
        Table("What hangs on few", ("", ""), few),
    ]
    lead = "Trades with a factor beside those without it; scores, hours, and how much hangs on few days and trades."
    return Section("factors", "Factors", parts, lead)


def _bucketed(title: str, head: str, found: Sequence[Mapping[str, Any]]) -> Table:
    cells = [
        [
            cell(each["bucket"]),
            cell(f"{each['count']:,}", each["count"]),
            number(each["win_rate"], ".0%"),
            signed(in_r(each["avg_r"], 3), each["avg_r"]),
            signed(in_r(each["total_r"]), each["total_r"]),
        ]
        for each in found
    ]
    return Table(title, (head, "trades", "wins", "R each", "total"), cells)
