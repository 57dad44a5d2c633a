"""The days of a run of sessions: their opening ranges, what governance did, what settings are worth, each trade."""

from collections import Counter
from datetime import UTC, datetime

import numpy as np

from .charts import bins, histogram
from .parts import Part, Section, Table, cell, number, signed, text
from .read import numbers, rows
from .session_facts import Sessions, in_r

MOST = 2000  # trades and events of a page; the tables of the run hold all


def sections(of: Sessions) -> list[Section | None]:
    """Return the sections; None for those that the run has nothing for."""
    return [_ranges(of), _governance(of), _perturbation(of), _listed(of)]


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
        label = f"Histogram of the width of {known.size:,} valid ranges in true ranges, median {np.median(known):.2f}"
        parts.append(
            histogram("Width of valid ranges, in true ranges", label, edges, counts, lambda x: f"{x:.3g}", 0.0)
        )
    parts += [
        Table("Valid ranges", ("", "10%", "median", "90%"), spread),
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
            *(signed(text(row[name], "+.3f"), row[name]) for name in names),
            number(row["mean_abs_change"], ".3f"),
        ]
        for row in found
    ]
    heads = ("setting", "value", "-20%", "-10%", "+10%", "+20%", "mean change")
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
    heads = ("day", "symbol", "side", "in", "out", "entry", "stop", "exit", "R", "high", "low", "ended by", "score")
    size = of.table.num_rows
    more = f", the first {MOST:,}; the run's tables have all" if size > MOST else ""
    return Section(
        "list", "Every trade", [Table("Trades", heads, cells, left=3, fold=f"{size:,} trades{more}", find=True)]
    )
