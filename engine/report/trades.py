"""What trades came to: sums by time, the spread of returns, excursions, how they ended, months."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ...kernels.arrays import Floats, Ints
from .. import reopen
from ..policy import Policy, describe
from ..reopen import Traded
from ..show import plain, share, span
from ..values import show_instant
from .charts import bins, by_time, histogram, points
from .parts import Bar, Card, Cards, Cell, Section, Table, Words, bps, cell, signed, tone_of
from .read import Read, numbers, rows

MOST = 1000  # trades of the table
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Done:
    """Trades in the order of their entries: ``call`` (or a name), ``mint``, ``caller``, entry and exit, ms UTC and
    prices, ``ret`` in basis points, ``mae`` and ``mfe`` too, why each ended."""

    call: list[str]
    mint: list[str]
    caller: list[str]
    entry_ts: Ints
    exit_ts: Ints
    entry_px: Floats
    exit_px: Floats
    ret: Floats
    mae: Floats
    mfe: Floats
    reason: list[str]


def traded(run: Read) -> tuple[Traded, Done]:
    """Return what a run did with its policy, of a search the winner: as its tables say, and in the order of entries."""
    found = reopen.traded(run.path, run.manifest)
    trades = found.trades.filter(pa.compute.is_valid(found.trades["realized_return_bps"]))
    alerts = run.table("alerts").select(["call_id", "mint", "caller_name"]).to_pylist()
    of = {row["call_id"]: row for row in alerts}
    trades = trades.take(
        np.lexsort((np.array(trades["call_id"].to_pylist(), object).astype(str), trades["entry_ts_ms"].to_numpy()))
    )
    calls = trades["call_id"].to_pylist()
    return (
        found,
        Done(
            call=calls,
            mint=[of[call]["mint"] for call in calls],
            caller=[of[call]["caller_name"] for call in calls],
            entry_ts=trades["entry_ts_ms"].to_numpy(),
            exit_ts=trades["exit_ts_ms"].to_numpy(),
            entry_px=numbers(trades, "entry_px"),
            exit_px=numbers(trades, "exit_px"),
            ret=numbers(trades, "realized_return_bps"),
            mae=numbers(trades, "max_adverse_excursion_bps"),
            mfe=numbers(trades, "max_favorable_excursion_bps"),
            reason=trades["exit_reason"].to_pylist(),
        ),
    )


def summary(run: Read, policy: Policy) -> Section:
    """Return what the artifact ``summary`` says."""
    row = next(rows(run.table("summary")))
    factor = None if row["profit_factor"] is None else f"{row['profit_factor']:.2f}"
    mean, median = row["avg_return_bps"], row["median_return_bps"]
    between = f"{bps(row['mean_worst_bps'])} … {bps(row['mean_best_bps'])}"
    cards = [
        Card("Mean return", bps(mean, 2), tone_of(mean), "a trade, after costs"),
        Card(
            "Median return",
            bps(median, 2),
            tone_of(median),
            f"half between {bps(row['p25_return_bps'])} and {bps(row['p75_return_bps'])}",
        ),
        Card("Trades", f"{row['trades_count']:,}", note=f"{row['calls_excluded']:,} alerts excluded"),
        Card("Wins", share(row["win_rate"]), note=f"stopped out {share(row['stop_out_rate'])}"),
        Card("Profit factor", factor or "–", note="gains over losses"),
        Card("Time in a trade", span(row["avg_time_exposed_ms"]), note="mean"),
        Card("Kept of the gain", share(row["median_tail_capture"]), note="of that at the high, median"),
        Card(
            "Candle bounds",
            between,
            note=f"{row['verdict'] or '–'}: {share(row['ambiguous_rate'])} hang on the order inside candles",
        ),
    ]
    return Section("summary", "Summary", [Cards(cards), Words(f"Exits: {describe(policy)}")])


def results(run: Read, done: Done) -> Section:
    """Return the charts of trades."""
    if not done.call:
        return Section("trades", "Trades", [Words("No trade was made.")])
    summed = np.cumsum(done.ret)
    peak = np.maximum(np.maximum.accumulate(summed), 0.0)
    fall = summed - peak
    deep = float(fall.min())
    wins = int((done.ret > 0).sum())
    equity = by_time(
        "Sum of returns, by time of entry",
        f"Line of the summed returns of {summed.size:,} trades by time of entry; it ends at {bps(float(summed[-1]))}",
        done.entry_ts,
        summed,
        pct,
        note="Of one stake on each trade, after costs. Drag to look closer.",
    )
    down = by_time(
        "Fall below the highest sum before",
        f"Line of the drawdown of summed returns; the deepest is {bps(deep)} of one stake",
        done.entry_ts,
        fall,
        pct,
        note=f"Deepest: {bps(deep)} of one stake.",
    )
    edges, counts = bins(done.ret)
    spread = histogram(
        "Returns of trades",
        f"Histogram of {done.ret.size:,} returns; {wins:,} above zero, median {bps(float(np.median(done.ret)))}",
        edges,
        counts,
        pct,
        0.0,
        note="After costs; the outermost bars hold the wildest hundredth too.",
    )
    dots = points(
        "Worst and best price on the way (MAE, MFE)",
        f"Scatter of the worst against the best price of {done.ret.size:,} trades before they ended",
        *_clipped(done.mae, done.mfe),
        done.ret > 0,
        _said(done),
        pct,
        x_name="worst, of the entry price",
        y_name="best",
        note="Blue trades made money, orange ones lost. The wildest hundredth lies on the edge.",
    )
    return Section(
        "trades", "Trades", [equity, down, spread, dots, exits(done), months(done.entry_ts, done.ret), listed(done)]
    )


def pct(value: float) -> str:
    """Return basis points as a percentage for an axis."""
    return f"{value / 100:,.0f}%" if abs(value) >= 10_000 else f"{value / 100:.3g}%"


def _clipped(mae: Floats, mfe: Floats) -> tuple[Floats, Floats]:
    return np.clip(mae, np.quantile(mae, 0.01), 0.0), np.clip(mfe, 0.0, np.quantile(mfe, 0.99))


def _said(done: Done) -> list[str]:
    cells = zip(
        done.caller,
        done.mint,
        done.entry_ts.tolist(),
        done.ret.tolist(),
        done.mae.tolist(),
        done.mfe.tolist(),
        done.reason,
        strict=True,
    )
    return [
        f"{plain(caller[:40])} · {mint[:12]} · {show_instant(ts)}\n{bps(ret)}, {why}; worst {bps(mae)}, best {bps(mfe)}"
        for caller, mint, ts, ret, mae, mfe, why in cells
    ]


def fine(value: float, among: Floats) -> Cell:
    """Return basis points as a cell, with as many digits as tell apart the values ``among`` which it stands."""
    return signed(bps(value, 2 if np.abs(among).max(initial=0.0) >= 100 else 3), value)


def exits(done: Done) -> Table:
    """Return how trades ended, the most frequent first."""
    reasons = np.array(done.reason, object)
    names, counts = np.unique(reasons.astype(str), return_counts=True)
    most = counts.max()
    cells = []
    for k in np.lexsort((names, -counts)).tolist():
        mine = done.ret[reasons == names[k]]
        mean = float(mine.mean())
        held = float((done.exit_ts - done.entry_ts)[reasons == names[k]].mean())
        count = Cell(f"{counts[k]:,}", int(counts[k]), bar=Bar(0.0, counts[k] / most, tone=tone_of(mean)))
        cells.append(
            [
                cell(names[k]),
                count,
                cell(f"{counts[k] / reasons.size:.1%}", float(counts[k])),
                fine(mean, done.ret),
                cell(f"{(mine > 0).mean():.0%}", float((mine > 0).mean())),
                cell(span(held), held),
            ]
        )
    return Table(
        "How trades ended",
        ("exit", "trades", "share", "mean", "wins", "held"),
        cells,
        note="Bars are blue where such trades made money on the whole.",
    )


def months(ts: Ints, ret: Floats) -> Table:
    """Return mean and sum of returns by month of entry, UTC: a row a month, or where they are many a row a year."""
    stamps = ts.astype("datetime64[ms]").astype("datetime64[M]").astype(int)
    every = np.unique(stamps).tolist()
    note = "Returns after costs, of one stake on each trade."
    if len(every) <= 8:
        cells = [_month(f"{1970 + m // 12}-{m % 12 + 1:02}", ret[stamps == m]) for m in every]
        return Table("By month of entry (UTC)", ("month", "trades", "mean", "median", "wins", "sum"), cells, note=note)
    cells = []
    for year in sorted({1970 + m // 12 for m in every}):
        parts = [ret[stamps == (year - 1970) * 12 + m] for m in range(12)] + [ret[stamps // 12 + 1970 == year]]
        means = [float(part.mean()) if part.size else None for part in parts]
        cells.append([cell(f"{year} mean"), *(cell("") if x is None else fine(x, ret) for x in means)])
        cells.append([cell("trades"), *(cell(f"{part.size:,}" if part.size else "") for part in parts)])
    return Table("Mean return by month of entry (UTC)", ("", *_MONTHS, "year"), cells, wide=True, note=note)


def _month(name: str, ret: Floats) -> list[Cell]:
    mean, median, total, wins = float(ret.mean()), float(np.median(ret)), float(ret.sum()), float((ret > 0).mean())
    return [
        cell(name),
        cell(f"{ret.size:,}", ret.size),
        fine(mean, ret),
        fine(median, ret),
        cell(share(wins), wins),
        fine(total, ret),
    ]


def listed(done: Done) -> Table:
    """Return the trades, oldest first."""
    size = len(done.call)
    cells = [
        [
            cell(show_instant(int(done.entry_ts[i])), int(done.entry_ts[i])),
            cell(done.caller[i]),
            cell(done.mint[i]),
            cell(f"{done.entry_px[i]:.6g}", float(done.entry_px[i])),
            cell(f"{done.exit_px[i]:.6g}", float(done.exit_px[i])),
            cell(span(float(done.exit_ts[i] - done.entry_ts[i])), int(done.exit_ts[i] - done.entry_ts[i])),
            cell(done.reason[i]),
            fine(float(done.ret[i]), done.ret),
            cell(bps(float(done.mae[i])), float(done.mae[i])),
            cell(bps(float(done.mfe[i])), float(done.mfe[i])),
        ]
        for i in range(min(size, MOST))
    ]
    heads = ("entered", "caller", "token", "entry", "exit", "held", "ended by", "return", "low", "high")
    first = f", the first {MOST:,}; policy/trades.parquet has all" if size > MOST else ""
    return Table("Trades", heads, cells, left=3, fold=f"{size:,} trades{first}", find=True)
