"""The page of each symbol of a session run: one file that needs no network, no script and no other file."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...io.durable import disk_errors
from . import charts
from .attribution import entry_minutes, kinds_of
from .files import safe
from .metrics import attribution, buckets, concentration
from .report_tables import cell, events, identity, metrics, months, ranges, settings, table, trades
from .run import SessionRun
from .tables import sessions_of
from .walk import Walked

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # what a browser may load and run for it: nothing
_STYLE = """
:root{color-scheme:light dark;--ink:#1c1e21;--faint:#6a7178;--rule:#d9dcdf;--page:#fff;--card:#f4f5f6;
--gain:#2166ac;--loss:#b9480a}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8ea;--faint:#9aa2aa;--rule:#363b41;--page:#131517;--card:#1d2023;
--gain:#6fb1e4;--loss:#f4a259}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:72rem;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.5rem;margin:.5rem 0 0}h2{font-size:1.1rem;margin:2rem 0 .5rem}
p{margin:.25rem 0}.faint{color:var(--faint)}
.cards{display:grid;gap:.5rem;grid-template-columns:repeat(2,1fr);margin:1rem 0}
@media(min-width:40rem){.cards{grid-template-columns:repeat(4,1fr)}}
.cards div{background:var(--card);border-radius:.4rem;padding:.5rem .75rem}
.cards b{display:block;font-size:1.25rem;font-weight:600;white-space:nowrap}
.grid{display:grid;gap:1rem 1.5rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,27rem),1fr))}
.grid>*{min-width:0}h3{font-size:.95rem;margin:.75rem 0 .25rem}
svg{display:block;width:100%;height:auto;font:12px system-ui,sans-serif;font-variant-numeric:tabular-nums}
svg text{fill:var(--faint)}.rule{stroke:var(--rule)}.zero{stroke:var(--faint)}
.gain{color:var(--gain)}.loss{color:var(--loss)}.bar{fill:currentColor}.line{fill:none;stroke:currentColor;stroke-width:1.6}
.area{fill:currentColor;fill-opacity:.14}
.dots{fill:none;stroke:currentColor;stroke-width:5;stroke-linecap:round;stroke-opacity:.55}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.875rem}
th,td{padding:.2rem .6rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--rule)}
.grid th,.grid td{padding:.2rem .4rem}
th{font-weight:600;color:var(--faint)}th:first-child,td:first-child,.words td{text-align:left}
.words td{white-space:normal}.words td:first-child{color:var(--faint);white-space:nowrap}tr.other td{font-weight:600}
summary{cursor:pointer;color:var(--faint)}code{font:.85em ui-monospace,monospace}
@media print{details>*{display:block}}
"""


def write_reports(run: SessionRun, folder: Path) -> list[Path]:
    """Write ``SYMBOL_report.html`` of every symbol into ``folder``, and return where. Raises StoreError."""
    found = []
    with disk_errors(f"writing to {folder}", "the run itself is saved; free space and repeat"):
        for each in run.walked:
            path = folder / f"{safe(each.symbol)}_report.html"
            path.write_text(page(run, each), encoding="utf-8")
            found.append(path)
    return found


def page(run: SessionRun, one: Walked) -> str:
    """Return the page of a symbol; the same run gives the same bytes."""
    symbol, rows = one.symbol, _of(run.tables["symbols"], "symbol", one.symbol).to_pylist()[0]
    body = [
        f"<h1>{cell(symbol)}</h1>",
        f'<p class="faint">{cell(run.task.config.name)}: opening ranges from {run.task.first} to before '
        f"{run.task.end}, {run.task.interval_ms // 60_000}-minute candles</p>",
        _cards(rows),
        *(_pictures(run, one) if rows["total_trades"] else ["<p>No trades.</p>"]),
        *_sections(run, one, rows),
        '<p class="faint">Trades simulated on past prices. They are not a promise, and no advice.</p>',
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><title>{cell(symbol)}: opening ranges</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _of(found: pa.Table, column: str, value: str) -> pa.Table:
    return found.filter(pc.equal(found[column], value))


def _cards(row: Mapping[str, Any]) -> str:
    drawn = []
    for name, value, signed in (
        ("Total R", _number(row["total_r"], "+.2f"), row["total_r"]),
        ("Expectancy, R", _number(row["expectancy"], "+.3f"), row["expectancy"]),
        ("Trades", f"{row['total_trades']:,}", None),
        ("Win rate", _number(row["win_rate"], ".1%"), None),
        ("Profit factor", _number(row["profit_factor"], ".2f"), None),
        ("Sharpe of days", _number(row["sharpe_ratio"], ".2f"), None),
        ("Deepest fall, R", _number(row["max_drawdown_r"], ".2f"), None),
        ("Worst to best order", f"{row['worst_r']:+.1f} to {row['best_r']:+.1f}", None),
    ):
        tone = "" if not signed else ' class="gain"' if signed > 0 else ' class="loss"'
        drawn.append(f'<div><span class="faint">{name}</span><b{tone}>{value}</b></div>')
    return f'<div class="cards">{"".join(drawn)}</div>'


def _pictures(run: SessionRun, one: Walked) -> list[str]:
    equity = _of(run.tables["equity"], "scope", one.symbol)
    first = one.ready.hours.open[0]
    ts = np.concatenate([[first], equity["exit_timestamp"].to_numpy()])
    summed, fallen = (np.concatenate([[0.0], equity[name].to_numpy()]) for name in ("cumulative_r", "drawdown_r"))
    r, reasons = np.asarray(one.trades["realized_r"]), np.asarray(one.trades["exit_reason"])
    mae, mfe = (np.asarray(one.trades[name]) for name in ("max_adverse_r", "max_favorable_r"))
    mix = sorted(buckets(one.trades, reasons), key=lambda each: (-each["count"], each["bucket"]))
    notes = [f"{each['count']:,}, {each['avg_r']:+.2f} R each" for each in mix]
    names, counts, gains = zip(*((each["bucket"], each["count"], each["avg_r"] > 0) for each in mix), strict=True)
    drawn = {
        "Equity, summed R by exit": charts.line(ts, summed, "Equity in R by time"),
        "Fall below the highest before, R": charts.line(ts, fallen, "Drawdown in R by time"),
        "Trades by R": charts.histogram(r, "Trades by R"),
        "Best and worst price on the way, R": charts.points(mae, mfe, r > 0, "MFE and MAE", "worst", "best"),
        "How trades ended": charts.bars(names, counts, notes, gains, "Exits by reason"),
    }
    parts = [f"<div><h3>{escape(title)}</h3>{svg}</div>" for title, svg in drawn.items()]
    return ['<div class="grid">', *parts, "</div>"]


def _sections(run: SessionRun, one: Walked, row: Mapping[str, Any]) -> list[str]:
    """Return the tables of a page."""
    found = one.trades
    kinds = kinds_of(dict(found) | {"minute": entry_minutes(one)})
    scores, hours = buckets(found, kinds["score"]), buckets(found, kinds["entry_time"])
    held = concentration(found, sessions_of([one]))
    quiet = not row["total_trades"]
    return [
        "<h2>Metrics</h2>" + metrics(row),
        *([] if quiet else ["<h2>R by month</h2>" + months(found)]),
        *([] if quiet else ['<div class="grid">']),
        *([] if quiet else [_block("What each factor was worth", _factors(attribution(found)))]),
        *([] if quiet else [_block("By score", _bucketed("Score from", scores))]),
        *([] if quiet else [_block("By time of entry, local", _bucketed("From", hours))]),
        *([] if quiet else [_block("What hangs on few", _plain(held))]),
        *([] if quiet else ["</div>"]),
        "<h2>Opening ranges</h2>" + ranges(run, one),
        "<h2>Governance</h2>" + events(one),
        "<h2>Run</h2>" + identity(run, one),
        "<h2>Settings</h2>" + settings(run.task.config),
        f"<h2>Trades</h2><details><summary>{row['total_trades']:,} trades</summary>{trades(one)}</details>",
    ]


def _block(title: str, inside: str) -> str:
    return f"<div><h3>{escape(title)}</h3>{inside}</div>"


def _factors(rows: Sequence[Mapping[str, Any]]) -> str:
    heads = ("Factor", "With", "win", "R each", "Without", "win", "R each", "Worth")
    names = ("present_count", "present_win_rate", "present_avg_r", "absent_count", "absent_win_rate", "absent_avg_r")
    forms = (",", ".0%", "+.3f", ",", ".0%", "+.3f")
    return table(
        heads,
        [
            (
                each["factor"],
                *(_number(each[name], form) for name, form in zip(names, forms, strict=True)),
                _number(each["delta_avg_r"], "+.3f"),
            )
            for each in rows
        ],
    )


def _bucketed(head: str, rows: Sequence[Mapping[str, Any]]) -> str:
    return table(
        (head, "Trades", "Win", "R each", "Total R"),
        [
            (
                each["bucket"],
                f"{each['count']:,}",
                _number(each["win_rate"], ".0%"),
                _number(each["avg_r"], "+.3f"),
                _number(each["total_r"], "+.2f"),
            )
            for each in rows
        ],
    )


def _plain(values: Mapping[str, Any]) -> str:
    return table(
        ("", ""),
        [
            (name.replace("_", " "), _number(value, ".0%" if "share" in name else "+.2f"))
            for name, value in values.items()
        ],
    )


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
