"""All backtests of a lab, analysed: a figure a column, the best first; by day; and the curve of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...io import lab_schemas, schemas
from ...io.config import nearest
from ...io.errors import DataError, LimitError, UsageError
from ...io.labs.parse import Lab, Tables
from ...kernels.arrays import Ints
from ..values import DAY
from .metrics import Closed, Span, by_day, curve, drawdowns, figures

MICRO = 1e6
MOST = 1e6  # times its balance in a day: no backtest that makes more is judged
ROOM = 2**30  # bytes for the days of all backtests
CENT = 0.005
BY = "return_on_balance_pct"


@dataclass(frozen=True)
class Analysis:
    """The backtests of a lab, analysed.

    ``figures``: a dict a backtest in the order of ``tables.backtests``, ``order`` int64[N] its rows, the best first.
    ``sums`` int64[K, D]: millionths of its starting balance that each of the backtests ``judged`` int64[K] realised on
    each day; ``closed`` are the closed positions of each backtest, None of one that is not complete. ``firsts``
    int64[N + 1]: where the positions of each begin.
    """

    tables: Tables
    span: Span
    figures: tuple[dict[str, Any], ...]
    order: Ints
    by: str
    closed: tuple[Closed | None, ...]
    judged: Ints
    sums: Ints
    notes: tuple[tuple[str, str], ...]
    firsts: Ints

    def rows(self, backtest: int) -> pa.Table:
        """Return the positions of a backtest, by its row."""
        first, last = self.firsts[backtest : backtest + 2].tolist()
        return self.tables.positions.slice(first, last - first)


def analyse(tables: Tables, by: str = BY, ascending: bool = False, capital: float | None = None) -> Analysis:
    """Return the analysis of a lab's backtests, best by ``by`` first; ``capital`` instead of each one's own balance.

    Raises DataError where no backtest has a runtime, UsageError where ``by`` is no figure.
    """
    check_by(by)
    if not any(tables.backtests["has_runtime"].to_pylist()):
        count = f"{tables.backtests.num_rows:,} backtests"
        raise DataError(f"lab {tables.lab.lab_id}: none of {count} has a runtime; fetch them with labs sync")
    notes, firsts, parts = list(tables.notes), _cuts(tables), _columns(tables)
    told, closed = tables.backtests.to_pylist(), []
    cuts = [{name: each[firsts[i] : firsts[i + 1]] for name, each in parts.items()} for i in range(len(told))]
    for row, some in zip(told, cuts, strict=True):
        one = _closed(row, some)
        closed.append(None if isinstance(one, str) else one)
        if isinstance(one, str) and one:
            notes.append((row["backtest_id"], f"{one}; what rests on them is missing"))
    span = span_of(tables.lab, closed)
    found = [_figures(*each, span, capital, notes) for each in zip(told, cuts, closed, strict=True)]
    order = _ranked([each[by] for each in found], ascending)
    judged, sums = _by_day(found, closed, span)
    return Analysis(tables, span, tuple(found), order, by, tuple(closed), judged, sums, tuple(notes), firsts)


def _by_day(found: Sequence[dict[str, Any]], closed: Sequence[Closed | None], span: Span) -> tuple[Ints, Ints]:
    """Return which backtests can be judged, and their days in millionths of the balance; LimitError where too many."""
    judged = [i for i, one in enumerate(closed) if one is not None and found[i]["starting_balance"]]
    if 8 * len(judged) * span.days > ROOM:
        days = f"{len(judged):,} backtests on {span.days:,} days"
        raise LimitError(f"{days} need more than {ROOM >> 20:,} MiB; is a position's time wrong?")
    sums, kept = np.zeros((len(judged), span.days), np.int64), np.zeros(len(judged), bool)
    for k, i in enumerate(judged):
        one = closed[i]
        assert one is not None
        made = by_day(one.exit, one.profit, span) / found[i]["starting_balance"]
        kept[k] = np.abs(made).max(initial=0.0) < MOST
        sums[k] = np.rint(np.where(kept[k], made, 0.0) * MICRO)
    return np.array(judged, np.int64)[kept], sums[kept]


def check_by(by: str) -> None:
    """Raise UsageError unless ``by`` is a figure that backtests can be sorted by."""
    numbers = [f.name for f in lab_schemas.ANALYTICS if not pa.types.is_string(f.type) and f.name != "rank"]
    if by not in numbers:
        raise UsageError(f"--by {by}: no such figure{nearest(by, numbers) or '; one is ' + BY}")


def span_of(lab: Lab, closed: Sequence[Closed | None]) -> Span:
    """Return the period of a lab, as its record has it, wider where positions of whole backtests lie outside of it."""
    some = [one for one in closed if one is not None and one.exit.size]
    starts, ends = [int(one.entry.min()) for one in some], [int(one.exit.max()) + 1 for one in some]
    starts += [] if lab.start_ms is None else [lab.start_ms]
    ends += [] if lab.end_ms is None else [lab.end_ms]
    start, end = min(starts, default=0), max(ends, default=0)
    return Span(start, max(start, end))


def _cuts(tables: Tables) -> Ints:
    """Return where the positions of each backtest begin, int64[N + 1]; both tables are in one order."""
    names = tables.positions["backtest_id"].combine_chunks()
    counts = {each["values"]: each["counts"] for each in pc.value_counts(names).to_pylist()}
    sizes = [counts.get(name, 0) for name in tables.backtests["backtest_id"].to_pylist()]
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)


def _columns(tables: Tables) -> dict[str, np.ndarray]:
    """Return what figures need of positions; times 0 and money NaN where null, ``currency`` None."""
    positions = tables.positions
    out = {"closed": positions["closed"].to_numpy(), "currency": np.array(positions["currency"].to_pylist(), object)}
    for name in ("entry_ts_ms", "exit_ts_ms"):
        out[name] = pc.fill_null(positions[name], 0).to_numpy()
    for name in ("realized_profit", "fees"):
        out[name] = positions[name].to_numpy()
    return out


def _closed(row: dict[str, Any], some: dict[str, np.ndarray]) -> Closed | str:
    """Return the closed positions of a backtest, or what keeps them from being all there; '' where none were read."""
    if not row["has_runtime"]:
        return ""
    done, said = some["closed"], row["reported_positions"]
    one = Closed(*(some[name][done] for name in ("entry_ts_ms", "exit_ts_ms", "realized_profit", "fees")))
    if said not in (None, one.profit.size):
        return f"{one.profit.size} of {said} closed positions are there"
    if others := sorted({each for each in some["currency"][done] if each not in (None, row["currency"])}):
        return f"closed positions are in {', '.join(others)} too, and its report is in {row['currency']}"
    if np.isnan(one.profit).any() or np.isnan(one.fees).any():
        return "a closed position has no profit or no fees"
    if not ((one.entry > 0) & (one.exit >= one.entry)).all():
        return "a closed position has no times, or ends before it begins"
    return one


def _figures(
    row: dict[str, Any],
    some: dict[str, np.ndarray],
    one: Closed | None,
    span: Span,
    capital: float | None,
    notes: list[tuple[str, str]],
) -> dict[str, Any]:
    """Return the figures of a backtest: of its closed positions, else what the server's sums tell."""
    done, balance = some["closed"], capital or row["starting_balance"]
    found = _reported(row, balance) if one is None else dict(figures(one, span, balance))
    if one is not None:
        _compare(row, found, notes)
    margin, change, usdt = row["reported_margin"], row["buy_hold_pct"], row["currency"] == "USDT"
    made, back = found["realized_profit"], found["return_on_balance_pct"]
    return found | {
        "start_time_ms": span.start,
        "end_time_ms": span.end,
        "days": span.days,
        "complete": one is not None,
        "orders": row["reported_orders"],
        "positions": done.size if row["has_runtime"] else None,
        "open_positions": int((~done).sum()) if row["has_runtime"] else None,
        "starting_balance": balance,
        "fees_usdt": found["fees"] if usdt else None,
        "realized_profits_usdt": made if usdt else None,
        "unrealized_profit": row["reported_unrealized_profit"],
        "margin": margin,
        "roi_on_margin_pct": 100 * made / margin if margin and made is not None else None,
        "buy_hold_pct": change,
        "beats_buy_hold": back > change if back is not None and change is not None else None,
    }


_OWN = [
    *("win_rate", "gross_profit", "fees", "realized_profit", "return_on_balance_pct", "max_drawdown_amount"),
    *("total_trades", "winning_trades", "losing_trades", "max_drawdown_pct", "sharpe_daily", "sharpe_annual"),
    *("profit_factor", "expectancy", "average_winner", "average_loser", "largest_winner", "largest_loser"),
    *("exposure", "average_holding_ms", "longest_holding_ms"),
]


def _reported(row: dict[str, Any], balance: float | None) -> dict[str, Any]:
    """Return the figures that the server's own sums tell; the others are None."""
    made, count, won = row["reported_realized_profit"], row["reported_positions"], row["reported_winning_positions"]
    told = {"gross_profit": row["reported_gross_profit"], "fees": row["reported_fees"], "realized_profit": made}
    told |= {"total_trades": count, "winning_trades": won}
    told["win_rate"] = won / count if count and won is not None else None
    told["return_on_balance_pct"] = 100 * made / balance if balance and made is not None else None
    return dict.fromkeys(_OWN) | told


def _compare(row: dict[str, Any], found: dict[str, Any], notes: list[tuple[str, str]]) -> None:
    """Note where the server's sums are not those of its positions."""
    for name, told in (
        *((name, f"reported_{name}") for name in ("gross_profit", "fees", "realized_profit")),
        ("winning_trades", "reported_winning_positions"),
    ):
        said, own = row[told], found[name]
        if said is not None and abs(said - own) > CENT + 1e-9 * abs(own):
            notes.append((row["backtest_id"], f"{name} of its positions is {own:.2f}, its report says {said:.2f}"))


def _ranked(values: Sequence[Any], ascending: bool) -> Ints:
    """Return the rows by value, those without one last, equals in their order."""
    keys = np.array([np.nan if each is None else float(each) for each in values])
    return np.argsort(keys if ascending else -keys, kind="stable").astype(np.int64)


def analytics_table(found: Analysis, run_id: str) -> pa.Table:
    """Return the artifact ``lab_analytics``, the best backtest first."""
    order, rows = found.order.tolist(), found.tables.backtests
    told = {name: rows[name].to_pylist() for name in rows.schema.names}
    columns: dict[str, Any] = {"rank": range(1, len(order) + 1)}
    for name in lab_schemas.ANALYTICS.names[2:]:
        own = name in found.figures[0] if found.figures else name not in told
        columns[name] = [found.figures[i][name] if own else told[name][i] for i in order]
    return schemas.table(lab_schemas.ANALYTICS, columns, run_id)


def day_table(found: Analysis, run_id: str) -> pa.Table:
    """Return the artifact ``lab_days``: what each complete backtest realised on the days it closed positions on."""
    names, out = found.tables.backtests["backtest_id"].to_pylist(), {name: [] for name in _DAY_COLUMNS}
    for i, one in enumerate(found.closed):
        if one is not None and one.exit.size:
            days, place, counts = np.unique(one.exit // DAY, return_inverse=True, return_counts=True)
            made, balance = np.bincount(place, one.profit), found.figures[i]["starting_balance"]
            rows = ([names[i]] * days.size, days, counts, made, made / balance if balance else made * np.nan)
            for name, values in zip(_DAY_COLUMNS, rows, strict=True):
                out[name].append(values)
    days = np.concatenate([[], *out["day"]]).astype("datetime64[D]").astype(str).tolist()
    return schemas.table(lab_schemas.DAYS, _joined(out, _DAY_COLUMNS[2:]) | {"day": days}, run_id)


_DAY_COLUMNS = ("backtest_id", "day", "trades", "realized_profit", "return_on_balance")


def equity_table(found: Analysis, run_id: str) -> pa.Table:
    """Return the artifact ``lab_equity``: the realised curve of each complete backtest."""
    names, out = found.tables.backtests["backtest_id"].to_pylist(), {name: [] for name in _CURVE_COLUMNS}
    for i, one in enumerate(found.closed):
        if one is not None and one.exit.size:
            balance = found.figures[i]["starting_balance"]
            at, made = curve(one)
            fall, share = drawdowns(made, balance)
            none = made * np.nan
            counts = np.diff(np.searchsorted(np.sort(one.exit), at, "right"), prepend=0)
            rows = (
                *([names[i]] * at.size, at, counts, np.diff(made, prepend=0.0), made, fall),
                *((balance + made, 100 * share) if balance and share is not None else (none, none)),
            )
            for name, values in zip(_CURVE_COLUMNS, rows, strict=True):
                out[name].append(values)
    return schemas.table(lab_schemas.EQUITY, _joined(out, _CURVE_COLUMNS[1:]), run_id)


_CURVE_COLUMNS = tuple(lab_schemas.EQUITY.names[1:])


def _joined(out: dict[str, list], numbers: Sequence[str]) -> dict[str, Any]:
    """Return parts of columns as whole columns: ``backtest_id`` as texts, ``numbers`` as arrays."""
    ids = [name for part in out["backtest_id"] for name in part]
    whole = {name: np.concatenate(out[name]) if out[name] else np.empty(0) for name in numbers}
    counts = {name: whole[name].astype(np.int64) for name in ("trades", "exit_ts_ms") if name in whole}
    return {"backtest_id": ids, **whole, **counts}
