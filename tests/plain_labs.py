"""What a backtest of a lab comes to, in plain Python from the server's own JSON: the oracle of engine/labs.

Written from METRICS.md alone. Slow, and obviously right. Times are s UTC, as the server has them.
"""

import math
from itertools import pairwise

DAY = 86_400


def figures(positions, start, end, capital):
    """Return the figures of closed positions (``FinishedPositions``) over the period from ``start`` to ``end``."""
    closed = sorted(positions, key=lambda each: each["ct"])
    net = [each["rp"] for each in closed]
    fees = [each["fe"] for each in closed]
    won, lost = [x for x in net if x > 0], [x for x in net if x < 0]
    days = [0.0] * (-(-end // DAY) - start // DAY)
    for each in closed:
        days[each["ct"] // DAY - start // DAY] += each["rp"]
    fall, share = drawdown(closed, capital)
    sharpe = ratio(days)
    held = [each["ct"] - each["ot"] for each in closed]
    return {
        "total_trades": len(net),
        "winning_trades": len(won),
        "losing_trades": len(lost),
        "win_rate": len(won) / len(net) if net else None,
        "gross_profit": sum(net) + sum(fees),
        "fees": sum(fees),
        "realized_profit": sum(net),
        "return_on_balance_pct": 100 * sum(net) / capital if capital else None,
        "max_drawdown_amount": fall,
        "max_drawdown_pct": 100 * share if capital else None,
        "sharpe_daily": sharpe,
        "sharpe_annual": None if sharpe is None else sharpe * math.sqrt(365),
        "profit_factor": sum(won) / -sum(lost) if lost else None,
        "expectancy": sum(net) / len(net) if net else None,
        "average_winner": sum(won) / len(won) if won else None,
        "average_loser": sum(lost) / len(lost) if lost else None,
        "largest_winner": max(won, default=None),
        "largest_loser": min(lost, default=None),
        "exposure": exposed(closed, start, end) / (end - start) if end > start else None,
        "average_holding_ms": round(1000 * sum(held) / len(held)) if held else None,
        "longest_holding_ms": 1000 * max(held) if held else None,
    }


def drawdown(closed, capital):
    """Return the deepest fall of the realised curve below its high water, and as a share of it, both <= 0.

    What closes at one instant is one step.
    """
    made = peak = 0.0
    fall = share = 0.0
    for at in sorted({each["ct"] for each in closed}):
        made += sum(each["rp"] for each in closed if each["ct"] == at)
        peak = max(peak, made)
        fall = min(fall, made - peak)
        share = min(share, (made - peak) / (capital + peak)) if capital else 0.0
    return fall, share


def ratio(days):
    """Return the mean of days over their deviation, that of a sample; None where they do not vary."""
    if len(days) < 2:
        return None
    mean = sum(days) / len(days)
    deviation = math.sqrt(sum((x - mean) ** 2 for x in days) / (len(days) - 1))
    return mean / deviation if deviation > 1e-9 * max(map(abs, days)) else None


def exposed(closed, start, end):
    """Return in how many seconds of the period at least one position was open, told second by second at its ends."""
    edges = sorted({start, end, *(t for each in closed for t in (each["ot"], each["ct"]) if start < t < end)})
    return sum(b - a for a, b in pairwise(edges) if any(each["ot"] <= a and b <= each["ct"] for each in closed))


def verdict(order, others, candles, step):
    """Return what candles, (ts, o, h, l, c) with times in s, say of an order filled at ``ct`` for ``ep``.

    ``others``: the orders of the other side of its position.
    """
    begins = [c for c in candles if c[0] <= order["ct"] < c[0] + step]
    ends = [c for c in candles if c[0] + step == order["ct"]]
    inside = [[c[3] * (1 - 1e-9) <= order["ep"] <= c[2] * (1 + 1e-9) for c in some] for some in (begins, ends)]
    if not begins and not ends:
        return "no_candle"
    if not any(inside[0]) and not any(inside[1]):
        return "impossible"
    if begins and ends and inside[0] != inside[1]:
        return "ambiguous"
    same = begins and any(begins[0][0] <= each["ct"] < begins[0][0] + step for each in others)
    return "ambiguous" if same else "possible"
