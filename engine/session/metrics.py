"""What trades come to: R-based and account-based metrics, each defined once. Undefined is None, never 0."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...kernels.arrays import Floats

Metric = float | int | None
DAYS_A_YEAR = 252


def metrics_of(trades: Mapping[str, Any], days: int, capital: float) -> dict[str, Metric]:
    """Return the metrics of trades in the order of their exits; ``days`` are the sessions they could be made on.

    win_rate: share with R > 0. expectancy = average_r: mean R. profit_factor: R won over R lost, None where none was.
    sharpe_ratio, sortino_ratio: of R summed by session, flat sessions as 0, times sqrt(252); over the deviation of the
    sample (ddof 1), for sortino over that below 0, of all sessions. sharpe_per_trade: mean R over its deviation.
    max_drawdown_r: the deepest fall of summed R below its peak, which starts at 0; max_drawdown_pct: of the account, a
    fraction; both <= 0.
    """
    r, pnl = np.asarray(trades["realized_r"]), np.asarray(trades["pnl"])
    won, lost = r[r > 0], r[r <= 0]
    daily = _by_day(trades["day"], r, days)
    curve = np.concatenate([[capital], capital + np.cumsum(pnl)])
    minutes = (np.asarray(trades["exit_timestamp"]) - np.asarray(trades["entry_timestamp"])) / 60_000
    return {
        "total_trades": int(r.size),
        "winning_trades": int(won.size),
        "losing_trades": int(lost.size),
        "win_rate": _mean(r > 0),
        "total_r": float(r.sum()),
        "average_r": _mean(r),
        "expectancy": _mean(r),
        "median_r": float(np.median(r)) if r.size else None,
        "profit_factor": float(won.sum() / -lost.sum()) if lost.size and lost.sum() < 0 else None,
        "sharpe_ratio": _ratio(daily, daily.std(ddof=1) if days > 1 else 0.0),
        "sharpe_per_trade": _ratio(r, r.std(ddof=1) if r.size > 1 else 0.0, 1),
        "sortino_ratio": _ratio(daily, np.sqrt((np.minimum(daily, 0) ** 2).mean()) if days else 0.0),
        "max_drawdown_r": float(drawdown(np.concatenate([[0.0], np.cumsum(r)])).min()),
        "max_drawdown_pct": float((drawdown(curve) / np.maximum.accumulate(curve)).min()),
        "average_winner_r": _mean(won),
        "average_loser_r": _mean(lost),
        "largest_winner_r": float(won.max()) if won.size else None,
        "largest_loser_r": float(lost.min()) if lost.size else None,
        "max_consecutive_wins": _longest(r > 0),
        "max_consecutive_losses": _longest(r <= 0),
        "average_duration_minutes": _mean(minutes),
        "worst_r": float(np.sum(trades["worst_r"])),
        "best_r": float(np.sum(trades["best_r"])),
        "ambiguous_rate": _mean(trades["ambiguous"]),
        "net_pnl": float(pnl.sum()),
        "return_on_capital": float(pnl.sum() / capital),
        "sessions": days,
    }


def drawdown(curve: Floats) -> Floats:
    """Return how far each point lies below the highest before it, <= 0."""
    return curve - np.maximum.accumulate(curve)


def equity_columns(trades: Mapping[str, Any], capital: float) -> dict[str, Any]:
    """Return the equity after each trade, one row a trade in the order of ``trades``; times as they are there."""
    r = np.asarray(trades["realized_r"], np.float64)
    summed, equity = np.cumsum(r), capital + np.cumsum(np.asarray(trades["pnl"], np.float64))
    peak = np.maximum.accumulate(np.concatenate([[0.0], summed]))[1:]
    high = np.maximum.accumulate(np.concatenate([[capital], equity]))[1:]
    return {
        "trade_number": np.arange(1, r.size + 1),
        **{name: trades[name] for name in ("symbol", "trade_id", "entry_timestamp", "exit_timestamp", "realized_r")},
        "cumulative_r": summed,
        "running_max": peak,
        "drawdown_r": summed - peak,
        "equity": equity,
        "drawdown_pct": equity / high - 1.0,
    }


def merged(many: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the rows of several symbols as one, by exit, then entry, then symbol."""
    whole = {name: _joined([each[name] for each in many]) for name in many[0]}
    order = np.lexsort([np.ma.getdata(whole[name]).astype(kind) for name, kind in _ORDER])
    return {name: column[order] for name, column in whole.items()}


_ORDER = (("symbol", str), ("entry_timestamp", int), ("exit_timestamp", int))


def _joined(parts: list[Any]) -> Any:
    """Return lists of texts as one array of them, arrays as one of their own type."""
    return np.ma.concatenate(
        [np.array(each, object) if isinstance(each, list) else np.ma.asarray(each) for each in parts]
    )


def attribution(trades: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what each factor was worth: trades with and without it, their win rates and mean R, the differences."""
    r, rows = np.asarray(trades["realized_r"]), []
    for name in sorted(each for each in trades if each.startswith("factor_")):
        flags = np.ma.asarray(trades[name])
        if np.ma.getmaskarray(flags).all():
            continue
        here, there = r[flags.data.astype(bool)], r[~flags.data.astype(bool)]
        row: dict[str, Any] = {"factor": name.removeprefix("factor_")}
        for word, some in (("present", here), ("absent", there)):
            row |= {f"{word}_count": some.size, f"{word}_win_rate": _mean(some > 0), f"{word}_avg_r": _mean(some)}
        both = here.size and there.size
        row["delta_win_rate"] = row["present_win_rate"] - row["absent_win_rate"] if both else None
        row["delta_avg_r"] = row["present_avg_r"] - row["absent_avg_r"] if both else None
        rows.append(row)
    return rows


def buckets(trades: Mapping[str, Any], by: np.ndarray) -> list[dict[str, Any]]:
    """Return count, mean R, win rate and sum of R of the trades of each value of ``by``, ascending."""
    r = np.asarray(trades["realized_r"])
    return [
        {"bucket": value, "count": int((by == value).sum()), "avg_r": _mean(r[by == value])}
        | {"win_rate": _mean(r[by == value] > 0), "total_r": float(r[by == value].sum())}
        for value in np.unique(by).tolist()
    ]


def concentration(trades: Mapping[str, Any], days: int) -> dict[str, Metric]:
    """Return how much of the result hangs on few: shares of the summed R (None unless it is above 0) and the rest."""
    r = np.asarray(trades["realized_r"])
    daily, total = np.sort(_by_day(trades["day"], r, days))[::-1], float(r.sum())
    best = np.sort(r)[::-1]
    share = {"best_day_share": daily[:1], "best_5_days_share": daily[:5], "best_5_trades_share": best[:5]}
    return {
        **{name: float(some.sum() / total) if total > 0 else None for name, some in share.items()},
        "total_r_without_best_day": float(total - daily[:1].sum()),
        "total_r_without_5_best_trades": float(best[5:].sum()),
        "median_day_r": float(np.median(daily)) if daily.size else None,
    }


def _by_day(day: Any, r: Floats, days: int) -> Floats:
    """Return R summed by day, of ``days`` days at least; those without a trade are 0."""
    _, number = np.unique(np.asarray(day), return_inverse=True)
    sums = np.zeros(max(days, int(number.max(initial=-1)) + 1))
    np.add.at(sums, number, r)
    return sums


def _ratio(values: Floats, deviation: float, periods: int = DAYS_A_YEAR) -> float | None:
    return float(values.mean() / deviation * np.sqrt(periods)) if values.size and deviation > 0 else None


def _mean(values: Any) -> float | None:
    array = np.asarray(values, np.float64)
    return float(array.mean()) if array.size else None


def _longest(flags: np.ndarray) -> int:
    """Return the length of the longest run of true flags."""
    longest = here = 0
    for flag in flags.tolist():
        here = here + 1 if flag else 0
        longest = max(longest, here)
    return longest
