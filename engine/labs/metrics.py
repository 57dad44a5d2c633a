"""What one backtest comes to, from its closed positions; each figure defined once (METRICS.md). Undefined is None."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...kernels.arrays import Floats, Ints
from ..values import DAY

DAYS_A_YEAR = 365  # these markets have no weekend

Figure = float | int | bool | None


@dataclass(frozen=True)
class Span:
    """The period that all backtests of a lab test, ms UTC: [``start``, ``end``), and the UTC days it touches."""

    start: int
    end: int

    @property
    def first(self) -> int:
        """Its first day, since 1970."""
        return self.start // DAY

    @property
    def days(self) -> int:
        """How many days it touches."""
        return -(-self.end // DAY) - self.first


@dataclass(frozen=True)
class Closed:
    """The closed positions of one backtest: int64[P] ms UTC and float64[P] in its currency, ``profit`` net of fees."""

    entry: Ints
    exit: Ints
    profit: Floats
    fees: Floats


def figures(closed: Closed, span: Span, capital: float | None) -> dict[str, Figure]:
    """Return the figures of a backtest whose balance before the run was ``capital``.

    Money is in its currency; drawdowns are <= 0, measured on the realised curve from its beginning on; daily ratios
    are of what was realised on each UTC day of the period, 0 where nothing was, over the deviation of a sample.
    """
    profit = closed.profit
    won, lost = profit[profit > 0], profit[profit < 0]
    total, held = float(profit.sum()), closed.exit - closed.entry
    daily = by_day(closed.exit, profit, span)
    _, made = curve(closed)
    fall, share = drawdowns(made, capital)
    sharpe = _ratio(daily)
    return {
        "total_trades": profit.size,
        "winning_trades": won.size,
        "losing_trades": lost.size,
        "win_rate": _mean(profit > 0),
        "gross_profit": total + float(closed.fees.sum()),
        "fees": float(closed.fees.sum()),
        "realized_profit": total,
        "return_on_balance_pct": 100 * total / capital if capital else None,
        "max_drawdown_amount": float(fall.min(initial=0.0)),
        "max_drawdown_pct": None if share is None else 100 * float(share.min(initial=0.0)),
        "sharpe_daily": sharpe,
        "sharpe_annual": None if sharpe is None else sharpe * DAYS_A_YEAR**0.5,
        "profit_factor": float(won.sum() / -lost.sum()) if lost.size else None,
        "expectancy": _mean(profit),
        "average_winner": _mean(won),
        "average_loser": _mean(lost),
        "largest_winner": float(won.max()) if won.size else None,
        "largest_loser": float(lost.min()) if lost.size else None,
        "exposure": covered(closed.entry, closed.exit, span) / (span.end - span.start)
        if span.end > span.start
        else None,
        "average_holding_ms": round(float(held.mean())) if held.size else None,
        "longest_holding_ms": int(held.max()) if held.size else None,
    }


def by_day(exit_ms: Ints, profit: Floats, span: Span) -> Floats:
    """Return what was realised on each day of ``span``, float64[D], by the day of the exit."""
    return np.bincount(exit_ms // DAY - span.first, profit, span.days).astype(np.float64)


def curve(closed: Closed) -> tuple[Ints, Floats]:
    """Return the instants at which positions closed, ascending, and what was realised by then; one point an instant."""
    order = np.argsort(closed.exit, kind="stable")
    at, made = closed.exit[order], np.cumsum(closed.profit[order])
    last = np.append(at[1:] != at[:-1], True)[: at.size]
    return at[last], made[last]


def drawdowns(made: Floats, capital: float | None) -> tuple[Floats, Floats | None]:
    """Return how far each point of a realised curve lies below its high water, in money and as a fraction of it, <= 0.

    The high water begins at ``capital``; no fraction where that is not known.
    """
    peak = np.maximum(np.maximum.accumulate(made), 0.0)
    return made - peak, (made - peak) / (capital + peak) if capital else None


def covered(entry: Ints, exit_: Ints, span: Span) -> int:
    """Return for how much of a period, ms, at least one position was open."""
    first = np.clip(entry, span.start, span.end)
    order = np.argsort(first, kind="stable")
    first, last = first[order], np.maximum.accumulate(np.clip(exit_, span.start, span.end)[order])
    begun = np.maximum(first[1:], last[:-1])
    return int((last[:1] - first[:1]).sum() + np.maximum(last[1:] - begun, 0).sum())


def _ratio(daily: Floats) -> float | None:
    deviation = float(daily.std(ddof=1)) if daily.size > 1 else 0.0
    varies = deviation > 1e-9 * float(np.abs(daily).max(initial=0.0))  # less is what sums of decimals leave behind
    return float(daily.mean()) / deviation if varies else None


def _mean(values: Any) -> float | None:
    return float(values.mean()) if values.size else None
