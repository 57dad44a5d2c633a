"""What a trace comes to, candle by candle in plain Python: the oracle of kernels/positions and kernels/equity.

Written from SEMANTICS section 6. What the exits alone would do with a position is asked of ``naive`` and
``naive_short`` once, when it is entered, to the end of the data; then the candles are walked and whatever comes first
ends it. A bar is (ts, o, h, l, c, v); ``signal`` has one value a bar, None while it is not known.
"""

import datetime
import math
import statistics
from decimal import Decimal

import naive
import naive_short

FOREVER = 2**62


def for_shorts(exits):
    """Return the exits of a long mirrored about 1, each number subtracted in decimal."""

    def turned(multiple):
        return float(2 - Decimal(str(multiple)))

    other = dict(exits)
    if exits.get("sl"):
        other["sl"] = turned(exits["sl"])
    if exits.get("tp"):
        other["tp"] = [rung | {"mult": turned(rung["mult"])} for rung in exits["tp"]]
    if exits.get("trail"):
        other["trail"] = exits["trail"] | {"activate": turned(exits["trail"].get("activate", 1.0))}
    if exits.get("breakeven"):
        trigger, offset = exits["breakeven"]["trigger"], exits["breakeven"]["offset"]
        other["breakeven"] = {"trigger": turned(trigger), "offset": -offset}
    return other


class Held:
    """A position: where it was entered, and what its exits alone would make of it."""

    def __init__(self, bars, signal, t, direction, how):
        step, self.at_close = how["interval_ms"], how["fill"] == "signal_close"
        ts, o, _, _, c, _ = bars[t]
        self.bars, self.t, self.direction, self.how = bars, t, direction, how
        self.price, self.ts = (c, ts + step) if self.at_close else (o, ts)
        self.oracle = naive if direction > 0 else naive_short
        self.exits = how["exits"] if direction > 0 else for_shorts(how["exits"])
        first, end = t + self.at_close, bars[-1][0] + step
        self.entry = {"status": "OK", "entry_bar": t, "entry_ts": self.ts, "price": self.price, "first": first}
        self.entry |= {"last": len(bars), "fresh": not self.at_close, "flags": set(), "end": FOREVER}
        self.entry |= {"interval_ms": step, "coverage_end": end}
        self.planned = self.oracle.simulate(bars, self.entry, self.exits, intrabar=how["intrabar"])
        self.bars_held, delay = 0, 0 if self.at_close else 1
        others = [s + delay for s in range(t, len(bars) - delay) if signal[s] not in (None, direction)]
        self.given_up = others[0] if others else None

    def due(self, t):
        """Return (at the open, reason) of the exit that falls into candle ``t``, or None."""
        plan = self.planned
        if plan["exit_bar"] != t or plan["reason"] == "END_OF_DATA":
            return None
        return plan["exit_ts"] == self.bars[t][0], plan["reason"]

    def acc(self, upto, price):
        """Return basis points times price of what was sold in candles up to ``upto``, the rest at ``price``."""
        acc, left = 0.0, 10000
        for fill in self.planned["fills"]:
            if fill["bar"] <= upto and fill["reason"] == "TP":
                acc += fill["bps"] * fill["price"]
                left -= fill["bps"]
        return acc + left * price

    def net(self, acc):
        return self.oracle.net(acc, self.price, **self.how["costs"])

    def sold(self, t, at_open, reason, price=None):
        """Return the trade: left in candle ``t`` at ``price``, or as planned where there is none."""
        costs, intrabar, exits = self.how["costs"], self.how["intrabar"], dict(self.exits)
        if price is not None and at_open:
            exits["time_ms"] = min(exits.get("time_ms") or FOREVER, self.bars[t][0] - self.ts)
        upto = self.entry | {"last": t + 1}
        again = self.oracle.simulate(self.bars, upto, exits, intrabar=intrabar, **costs)
        bound = self.bounds(self.given_up)
        gross = self.planned["gross"] if price is None else self.acc(t - at_open, price) / 10000
        ret = self.oracle.simulate(self.bars, self.entry, self.exits, intrabar=intrabar, **costs)["ret"]
        ret = ret if price is None else self.net(self.acc(t - at_open, price))
        row = {"direction": self.direction, "entry_bar": self.t, "entry_ts": self.ts, "entry_px": self.price}
        row |= {"exit_bar": t, "exit_ts": self.bars[t][0] + (0 if at_open else self.how["interval_ms"])}
        row |= {"exit_px": self.planned["price"] if price is None else price, "reason": reason}
        row |= {"ret": ret, "ret_q": round(ret * 1e6), "bars_held": self.bars_held}
        row |= {"worst_bps": bound["worst_bps"], "best_bps": bound["best_bps"]}
        row |= {"ambiguous": bool(bound["ambiguous_bars"]), "pnl": self.points(gross)}
        return row | {"mae_bps": again["mae_bps"], "mfe_bps": again["mfe_bps"]}

    def bounds(self, given_up):
        """Return the bounds of what happens until the signal ends it in candle ``given_up`` (None: never)."""
        exits, last = dict(self.exits), len(self.bars) if given_up is None else given_up + 1
        if given_up is not None and not self.at_close:
            exits["time_ms"] = min(exits.get("time_ms") or FOREVER, self.bars[given_up][0] - self.ts)
        return self.oracle.bounds(self.bars, self.entry | {"last": last}, exits, **self.how["costs"])

    def points(self, gross):
        """Return what one unit earned: money got less money paid."""
        fee, slip = (self.how["costs"].get(name, 0.0) / 10000 for name in ("fee_bps", "slippage_bps"))
        buys, sells = (1 + slip) * (1 + fee), (1 - slip) * (1 - fee)
        return gross * sells - self.price * buys if self.direction > 0 else self.price * sells - gross * buys


def perform(bars, signal, how):
    """Return (trades, metrics, daily returns) of a signal.

    ``how``: fill, exits, memory, intrabar, interval_ms, costs.
    """
    account, trades, marks = [1.0], [], []
    held, blocked, wanted = None, None, 0
    at_close = how["fill"] == "signal_close"

    def leave(t, at_open, reason, price=None):
        nonlocal held, blocked
        trade = held.sold(t, at_open, reason, price)
        trades.append(trade)
        account[0] = max(account[0] * (1 + trade["ret"]), 0.0)
        blocked = held.direction if how["memory"] and reason in ("SL", "BE", "TRAIL", "TP") else None
        held = None

    def obey(t, price, at_open):
        """Take the position that is wanted, at one fill."""
        nonlocal held, blocked
        if held and wanted != held.direction:
            leave(t, at_open, "SIGNAL", price)
        if wanted != blocked:
            blocked = None
        if not held and wanted and blocked is None and (at_open or t + 1 < len(bars)):
            held = Held(bars, signal, t, wanted, how)

    for t, (_, o, _, _, c, _) in enumerate(bars):
        if not at_close:
            obey(t, o, True)
        due = held.due(t) if held else None
        if held and not (due and due[0]):
            held.bars_held += 1
        if due:
            leave(t, due[0], due[1])
        wanted = wanted if signal[t] is None else signal[t]
        if at_close:
            obey(t, c, False)
        if held and t == len(bars) - 1:
            leave(t, False, "END_OF_DATA", c)
        marks.append(account[0] * (1 + held.net(held.acc(t, c))) if held else account[0])
    return trades, *metrics(bars, trades, [max(mark, 0.0) for mark in marks], account[0])


def metrics(bars, trades, marks, final):
    """Return (metrics, daily returns) of trades and of the equity at each close."""
    rets = [trade["ret"] for trade in trades]
    lost, peak, drawdown = -sum(min(ret, 0.0) for ret in rets), 1.0, 0.0
    for mark in marks:
        peak = max(peak, mark)
        drawdown = min(drawdown, mark / peak - 1)
    closes = {}
    for bar, mark in zip(bars, marks, strict=True):
        closes[datetime.datetime.fromtimestamp(bar[0] / 1000, datetime.UTC).date()] = mark
    before, daily = 1.0, []
    for mark in closes.values():
        daily.append(mark / before - 1 if before else math.nan)
        before = mark
    some = len(rets) or None
    return {
        "num_trades": len(rets),
        "win_rate": some and sum(ret > 0 for ret in rets) / some,
        "total_return": final - 1,
        "total_pnl": sum(trade["pnl"] for trade in trades),
        "expectancy": some and sum(rets) / some,
        "profit_factor": sum(max(ret, 0.0) for ret in rets) / lost if lost else None,
        "max_drawdown": drawdown,
        "sharpe": annual(daily),
        "sharpe_trade": ratio(rets),
        "exposure_time": sum(trade["bars_held"] for trade in trades) / len(bars),
        "avg_bars_held": some and sum(trade["bars_held"] for trade in trades) / some,
    }, daily


def ratio(values):
    if len(values) < 2 or any(map(math.isnan, values)) or statistics.stdev(values) < 1e-12:
        return None
    return statistics.fmean(values) / statistics.stdev(values)


def annual(daily):
    found = ratio(daily)
    return None if found is None else found * math.sqrt(252)
