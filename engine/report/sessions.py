"""What a run of opening ranges came to: metrics in R, equity, factors, ranges, governance; of all symbols, or of one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...io.errors import MissingError
from ..session.calendar import hours
from ..session.config import Config, parse
from ..session.metrics import attribution, buckets, concentration
from ..session.run import instrument_of
from .charts import bins, by_time, histogram, points
from .examples import EACH, Example, chart, gone
from .parts import Bar, Card, Cards, Cell, Part, Section, Table, Words, cell, signed, tone_of
from .read import Read, numbers, rows

MOST = 2000  # trades and events of a page; the tables of the run hold all
_SHARES = ("win_rate", "max_drawdown_pct", "ambiguous_rate", "return_on_capital")


@dataclass(frozen=True)
class Sessions:
    """The trades of a run of sessions, of all symbols or of ``only`` one, as columns, oldest exit first."""

    run: Read
    config: Config
    only: str | None
    table: pa.Table
    columns: Mapping[str, Any]

    @property
    def scope(self) -> str:
        """What the equity is of."""
        return self.only or "combined"

    def row(self) -> dict[str, Any]:
        """Return the metrics of what is reported."""
        return next(row for row in rows(self.run.table("symbols")) if row["symbol"] == self.only)

    def of(self, artifact: str) -> pa.Table:
        """Return an artifact's rows of what is reported."""
        found = self.run.table(artifact)
        return found if self.only is None else found.filter(pc.equal(found["symbol"], self.only))

    def zone(self, symbol: str) -> tzinfo:
        """Return the time zone of a symbol's exchange; UTC where its calendar is not installed."""
        form = self.run.manifest.config
        instrument = instrument_of(symbol, self.config, form["source"] == "binance")
        try:
            return hours(instrument, date.fromisoformat(form["start"]), date.fromisoformat(form["end"])).zone
        except MissingError:
            return UTC


def sections(run: Read, only: str | None) -> list[Section | None]:
    """Return the sections of a run of sessions."""
    from . import session_search

    config = parse(run.manifest.config["settings"], f"run {run.manifest.run_id}")
    if run.has("session_trials"):
        config = session_search.winner(run, config)
    found = run.table("session_trades")
    found = found if only is None else found.filter(pc.equal(found["symbol"], only))
    of = Sessions(run, config, only, found, columns_of(found))
    made = [session_search.verdict(run), _summary(of), session_search.ranking(run), *session_search.maps(run)]
    if found.num_rows:
        made += [_trades(of), _examples(of), _factors(of)]
    return [*made, _ranges(of), _governance(of), _perturbation(of), _listed(of)]


def columns_of(found: pa.Table) -> dict[str, Any]:
    """Return a table as columns: numbers as arrays, texts as arrays of them, flags masked where they are null."""
    made: dict[str, Any] = {}
    for field in found.schema:
        values = found[field.name]
        if pa.types.is_boolean(field.type):
            mask = pc.is_null(values).to_numpy(zero_copy_only=False)
            made[field.name] = np.ma.array(pc.fill_null(values, False).to_numpy(zero_copy_only=False), mask=mask)
        elif pa.types.is_string(field.type):
            made[field.name] = np.array(values.to_pylist(), object)
        else:
            made[field.name] = values.to_numpy(zero_copy_only=False)
    return made


def number(value: float | None, form: str) -> Cell:
    """Return a number, sorted by itself; a dash where it is undefined."""
    return cell(None if value is None else format(value, form), value)


def in_r(value: float | None, digits: int = 2) -> str:
    """Return R with its sign."""
    return "–" if value is None else f"{value:+.{digits}f} R"


def _summary(of: Sessions) -> Section:
    row = of.row()
    best = f"{in_r(row['worst_r'], 1)} … {in_r(row['best_r'], 1)}"
    cards = [
        Card("Total", in_r(row["total_r"]), tone_of(row["total_r"]), f"{best} by the order in candles"),
        Card("Expectancy", in_r(row["expectancy"], 3), tone_of(row["expectancy"]), "a trade, after costs"),
        Card("Trades", f"{row['total_trades']:,}", note=f"on {row['sessions']:,} sessions"),
        Card("Wins", _text(row["win_rate"], ".1%"), note=f"longest run of losses {row['max_consecutive_losses']}"),
        Card("Profit factor", _text(row["profit_factor"], ".2f"), note="R won over R lost"),
        Card("Sharpe", _text(row["sharpe_ratio"], ".2f"), note="of days, a year of 252"),
        Card("Deepest fall", in_r(row["max_drawdown_r"]), note=_text(row["max_drawdown_pct"], ".2%")),
        Card("On capital", _text(row["return_on_capital"], "+.2%"), tone_of(row["return_on_capital"])),
    ]
    parts: list[Part] = [Cards(cards)]
    if not row["total_trades"]:
        parts.append(Words("No trades."))
    if of.only is None:
        parts.append(_symbols(of))
    names = [name for name in row if name not in ("run_id", "symbol")]
    every = [[cell(name.replace("_", " ")), cell(_metric(name, row[name]))] for name in names]
    return Section("summary", "Summary", [*parts, Table("Metrics", (), every, left=1, fold=f"{len(every)} metrics")])


def _text(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _metric(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, int):
        return None if value is None else f"{value:,}"
    return f"{value:.2%}" if name in _SHARES else f"{value:,.3f}"


def _symbols(of: Sessions) -> Table:
    heads = ("Symbol", "Trades", "Win Rate", "Total R", "Expectancy", "Profit factor", "Sharpe", "Max DD")
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
        f"{trade['symbol']} {trade['day']} {trade['direction']}\n{in_r(trade['realized_r'])}, {trade['exit_reason']}; "
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
        "On their candles, found by the slice's digest: entries and exits as triangles; the stop and the opening range as lines.",
    )


def _factors(of: Sessions) -> Section:
    score = np.floor(np.asarray(of.columns["confluence_score"], np.float64) * 2) / 2
    zones = {symbol: of.zone(symbol) for symbol in sorted(set(of.columns["symbol"]))}
    local = [
        datetime.fromtimestamp(ts / 1000, UTC).astimezone(zones[symbol])
        for ts, symbol in zip(of.columns["entry_timestamp"].tolist(), of.columns["symbol"], strict=True)
    ]
    clock = np.array([f"{at.hour:02}:{at.minute // 30 * 30:02}" for at in local])
    days = of.row()["sessions"]
    held = concentration(of.columns, days)
    few = [
        [
            cell(name.replace("_", " ")),
            cell(None if value is None else format(value, ".0%" if "share" in name else "+.2f"), value),
        ]
        for name, value in held.items()
    ]
    heads = ("factor", "with", "win", "R each", "without", "win", "R each", "worth")
    lines = [
        [
            cell(each["factor"]),
            *(
                number(each[f"{word}_{name}"], form)
                for word in ("present", "absent")
                for name, form in (("count", ","), ("win_rate", ".0%"), ("avg_r", "+.3f"))
            ),
            signed(_text(each["delta_avg_r"], "+.3f"), each["delta_avg_r"]),
        ]
        for each in attribution(of.columns)
    ]
    parts = [
        Table("What each factor was worth", heads, lines, wide=True),
        _bucketed("By score", "score from", buckets(of.columns, score)),
        _bucketed("By time of entry, local", "from", buckets(of.columns, clock)),
        Table("What hangs on few", ("", ""), few),
    ]
    return Section(
        "factors",
        "Factors",
        parts,
        "Trades with a factor beside those without it; scores, hours, and how much hangs on a few days and trades.",
    )


def _bucketed(title: str, head: str, found: Sequence[Mapping[str, Any]]) -> Table:
    cells = [
        [
            cell(each["bucket"] if isinstance(each["bucket"], str) else f"{each['bucket']:g}"),
            cell(f"{each['count']:,}", each["count"]),
            number(each["win_rate"], ".0%"),
            signed(in_r(each["avg_r"], 3), each["avg_r"]),
            signed(in_r(each["total_r"]), each["total_r"]),
        ]
        for each in found
    ]
    return Table(title, (head, "trades", "win", "R each", "total"), cells)


def _ranges(of: Sessions) -> Section | None:
    """Return what the opening ranges were like, and how complete the candles of each day."""
    if not of.run.has("sessions"):
        return None
    found = of.of("sessions")
    verdicts = np.array(found["or_verdict"].to_pylist(), object)
    minutes, width, unit = (numbers(found, name) for name in ("or_minutes", "or_width", "unit"))
    some = verdicts != "no_data"
    counted = [(name, count) for name, count in sorted(Counter(verdicts.tolist()).items())]
    lengths = sorted(Counter(minutes[some].astype(int).tolist()).items())
    cells = [
        [cell(name.replace("_", " ")), cell(f"{n:,}", n), number(n / max(1, verdicts.size), ".1%")]
        for name, n in counted
    ]
    cells += [[cell(f"{m} minutes"), cell(f"{n:,}", n), number(n / max(1, int(some.sum())), ".1%")] for m, n in lengths]
    good = (verdicts == "ok") & ~np.isnan(width)
    units = width[good] / unit[good]
    spread = [
        [cell(name), *(cell(f"{np.quantile(values, q):.4g}" if values.size else None) for q in (0.1, 0.5, 0.9))]
        for name, values in (("width, price", width[good]), ("width, true ranges", units[~np.isnan(units)]))
    ]
    whole = Counter(found["verdict"].to_pylist())
    whole.update(f"lacking: {reason}" for text in found["reasons"].to_pylist() for reason in text.split())
    quality = [[cell(name.replace("_", " ")), cell(f"{n:,}", n)] for name, n in sorted(whole.items())]
    parts: list[Part] = [Table("Sessions", ("", "sessions", "share"), cells)]
    known = units[~np.isnan(units)]
    if known.size:
        edges, counts = bins(known, 24)
        label = f"Histogram of the width of {known.size:,} valid opening ranges in true ranges, median {np.median(known):.2f}"
        parts.append(
            histogram("Width of valid ranges, in true ranges", label, edges, counts, lambda x: f"{x:.3g}", 0.0)
        )
    parts += [
        Table("Valid ranges", ("", "10 %", "median", "90 %"), spread),
        Table("Candles of days", ("", "days"), quality),
    ]
    return Section("ranges", "Opening ranges", parts)


def _governance(of: Sessions) -> Section | None:
    found = list(rows(of.of("governance")))
    if not found:
        return None
    counted = Counter((row["event"], row["direction"]) for row in found)
    cells = [[cell(event), cell(side), cell(f"{n:,}", n)] for (event, side), n in sorted(counted.items())]
    zones = {symbol: of.zone(symbol) for symbol in {row["symbol"] for row in found}}
    each = [
        [
            cell(row["day"]),
            cell(f"{datetime.fromtimestamp(row['timestamp'] / 1000, UTC).astimezone(zones[row['symbol']]):%H:%M}"),
            cell(row["symbol"]),
            cell(row["direction"]),
            cell(row["event"]),
        ]
        for row in found[:MOST]
    ]
    fold = f"each of {len(found):,}{f', the first {MOST:,}' if len(found) > MOST else ''}"
    parts = [
        Table("What governance refused or did", ("event", "side", "times"), cells, left=2),
        Table("Events", ("day", "local", "symbol", "side", "event"), each, left=5, fold=fold, find=True),
    ]
    return Section("governance", "Governance", parts)


def _perturbation(of: Sessions) -> Section | None:
    if not of.run.has("perturbation"):
        return None
    names = ("minus_20_pct", "minus_10_pct", "plus_10_pct", "plus_20_pct")
    found = [row for row in rows(of.run.table("perturbation")) if row["mean_abs_change"]]
    cells = [
        [
            cell(row["setting"]),
            cell(f"{row['value']:g}", row["value"]),
            *(signed(_text(row[name], "+.3f"), row[name]) for name in names),
            number(row["mean_abs_change"], ".3f"),
        ]
        for row in found
    ]
    heads = ("setting", "value", "−20 %", "−10 %", "+10 %", "+20 %", "mean change")
    return Section(
        "perturbation",
        "Settings",
        [Table("Change of the expectancy, in R, with a setting lower or higher", heads, cells, wide=True)],
        "Settings not listed have no effect here.",
    )


def _listed(of: Sessions) -> Section | None:
    found = list(rows(of.table.slice(0, MOST)))
    if not found:
        return None
    zones = {symbol: of.zone(symbol) for symbol in {row["symbol"] for row in found}}
    cells = []
    for row in found:
        times = [
            datetime.fromtimestamp(row[name] / 1000, UTC).astimezone(zones[row["symbol"]])
            for name in ("entry_timestamp", "exit_timestamp")
        ]
        cells.append(
            [
                *(cell(row[name]) for name in ("day", "symbol", "direction")),
                *(cell(f"{at:%H:%M}") for at in times),
                *(cell(f"{row[name]:,.6g}", row[name]) for name in ("entry_price", "stop_price_initial", "exit_price")),
                signed(in_r(row["realized_r"]), row["realized_r"]),
                *(cell(in_r(row[name]), row[name]) for name in ("max_favorable_r", "max_adverse_r")),
                cell(row["exit_reason"]),
                cell(f"{row['confluence_score']:g}", row["confluence_score"]),
            ]
        )
    heads = ("day", "symbol", "side", "in", "out", "entry", "stop", "exit", "R", "best", "worst", "ended by", "score")
    size = of.table.num_rows
    more = f", the first {MOST:,}; the run's tables have all" if size > MOST else ""
    return Section(
        "list", "Trades, each", [Table("Trades", heads, cells, left=3, fold=f"{size:,} trades{more}", find=True)]
    )
