"""OR-1 in plain Python: sessions, breaks, trades and governance, candle by candle. Slow, and obviously right.

Written from SESSIONS alone; what happens to an open trade is FS-1 as ``naive`` has it, of a short as ``naive_short``,
with levels that are prices. A bar is a tuple (ts, o, h, l, c, v), an index is of ``bars``, which hold session candles
only. A session is a dict: ``start`` and ``last`` (the candles after its range), ``ok``, ``high``, ``low``, ``upper``,
``lower``, ``unit``, ``close_ms``, ``cutoff_ms``, ``flatten_ms`` and ``second_ms`` (None: never).
"""

import math
from copy import deepcopy

import naive
import naive_short

LONG, SHORT = 1, -1


def trade_all(bars, sessions, passes, swings, plan):
    """Return (trades, events) of all sessions; ``passes[side][i]`` and ``swings[side][i]`` are known at close i."""
    trades, events, losses, free = [], [], 0, 0
    for s, session in enumerate(sessions):
        losses = losses if plan["carry"] else 0
        signals, made, locked, broke = 0, 0.0, False, set()
        allowed = [side for side in (LONG, SHORT) if plan["sides"] in (0, side)]
        armed = set(allowed)
        i = max(session["start"], free) if session["ok"] else session["last"]
        while i < session["last"]:
            touched = breaks(bars[i], session, armed)
            trade, end = None, i
            if touched:
                side = LONG if LONG in touched else SHORT
                if len(touched) == 2 and not plan["both_long"]:
                    what, side = "both_sides", 0
                elif locked:
                    what = "locked"
                elif signals >= plan["max_signals"]:
                    what = "max_signals"
                elif session["cutoff_ms"] is not None and bars[i][0] >= session["cutoff_ms"]:
                    what = "time_cutoff"
                elif side in broke and bars[i][0] >= session["second_ms"]:
                    what = "second_chance_over"
                elif not passes[side][i - 1]:
                    what = "no_confluence"
                else:
                    trade = traded(bars, session, i, side, swings[side][i - 1], plan)
                    what = None if trade else "no_risk"
                if what:
                    events.append((s, i, side, what))
                broke |= touched
                armed -= touched
            if trade:
                end = trade["exit_bar"]
                signals, made = signals + 1, made + trade["r"]
                if trade["r"] > 0:
                    losses = 0
                elif [fill["reason"] for fill in trade["fills"]] == ["SL"]:
                    losses += 1
                if made <= -plan["max_loss_r"]:
                    locked = True
                    events.append((s, end, side, "daily_loss_halt"))
                elif losses >= plan["lockout"]:
                    locked = True
                    events.append((s, end, side, "lockout"))
                trades.append({"session": s, "day_r": made, **trade})
            close = bars[end][4]
            armed |= {side for side in allowed if inside(close, session, side)}
            i = free = end + 1
    return trades, events


def breaks(bar, session, armed):
    """Return the armed sides that a candle breaks; of two only the one it opens beyond, if it does."""
    _, o, h, l, *_ = bar
    touched = {side for side in armed if (h >= session["upper"] if side == LONG else l <= session["lower"])}
    if len(touched) == 2:
        touched = {LONG} if o >= session["upper"] else {SHORT} if o <= session["lower"] else touched
    return touched


def inside(close, session, side):
    return close < session["upper"] if side == LONG else close > session["lower"]


def stop_of(session, price, side, swing, plan):
    far = session["low"] - plan["extra"] if side == LONG else session["high"] + plan["extra"]
    if plan["stop"] == "atr_capped":
        near = price - side * plan["atr_cap"] * session["unit"]
        return max(far, near) if side == LONG else min(far, near)
    if plan["stop"] == "swing" and swing is not None:
        stop = swing - side * plan["extra"]
        return stop if side * (price - stop) > 0 else far
    return far


def traded(bars, session, i, side, swing, plan):
    """Return the trade that a break in candle ``i`` becomes, or None without risk or with a target passed already."""
    ts, o, h, l, c, v = bars[i]
    broken = session["upper"] if side == LONG else session["lower"]
    gap = o >= broken if side == LONG else o <= broken
    price = o if gap else broken
    stop = stop_of(session, price, side, swing, plan)
    risk = side * (price - stop)
    if not risk > 0:
        return None
    flatten = plan["flatten"]
    entry = {"price": price, "entry_ts": ts, "fresh": True, "first": 0, "flags": set(), "interval_ms": plan["step"]}
    entry |= {
        "end": session["close_ms"] if flatten else math.inf,
        "coverage_end": session["close_ms"] if flatten else 0,
    }
    window = bars[i : session["last"] if flatten else len(bars)]
    entry["last"] = len(window)
    base = broken if plan["from_range"] else price
    at = {"stop": stop, "due": session["flatten_ms"] if flatten and session["flatten_ms"] is not None else math.inf}
    at["targets"] = [
        (base + side * r * (side * (base - stop)), bps) for r, bps in zip(plan["target_r"], plan["bps"], strict=True)
    ]
    if not all(side * (target - price) > 0 for target, _ in at["targets"]):
        return None
    at["be"] = price + side * plan["be_buffer"]
    at["trigger"] = None
    if plan["be_r"] is not None:
        trigger = price + side * plan["be_r"] * risk
        at["trigger"] = max(trigger, at["be"]) if side == LONG else min(trigger, at["be"])
    ways = {"late": (ts, o if gap else price, h, l, c, v)}
    if not gap and side == LONG:
        ways["early"] = (ts, price, h, min(price, c), c, v)
        ways["never"] = (ts, price, h, math.inf, c, v)
    elif not gap:
        ways["early"] = (ts, price, max(price, c), l, c, v)
        ways["never"] = (ts, price, -math.inf, l, c, v)
    far_first = h - o < o - l if side == LONG else o - l < h - o  # the way of the trade before the other
    way = "late"
    if not gap:
        late = plan["intrabar"] == "pessimistic" or (plan["intrabar"] == "ohlc_path" and far_first)
        way = ("late" if late else "early") if plan["entry_stops"] else "never"
    row = walked(side, [ways[way], *window[1:]], entry, at, plan["intrabar"])
    held = ("late",) if gap else ("late", "early") if plan["entry_stops"] else ("never",)
    ends = [end for each in held for end in ends_of(side, [ways[each], *window[1:]], entry, at)]
    made = sorted(made_of(side, gross, price, plan) / risk for gross in ends)
    row |= {"direction": side, "entry_bar": i, "entry_px": price, "stop": stop, "risk": risk, "gap_entry": gap}
    row["exit_bar"] += i
    row["fills"] = [fill | {"bar": fill["bar"] + i} for fill in row["fills"]]
    row |= {"r": made_of(side, row["gross"], price, plan) / risk, "worst_r": made[0], "best_r": made[-1]}
    seen = [side * (each - price) for each in row["seen"] if math.isfinite(each)]
    row |= {"mae_r": min(0.0, *seen) / risk, "mfe_r": max(0.0, *seen) / risk}
    return row


def made_of(side, gross, price, plan):
    """Return what a unit made after costs: what is bought costs more, what is sold brings less."""
    slip, fee = plan["slippage_bps"] / 10000, plan["fee_bps"] / 10000
    bought, sold = (1 + slip) * (1 + fee), (1 - slip) * (1 - fee)
    return gross * sold - price * bought if side == LONG else price * sold - gross * bought


class Long(naive.Trade):
    """A position of ``naive`` with levels that are prices."""

    def __init__(self, entry, at):
        super().__init__(entry, {})
        self.sl, self.rungs, self.due = at["stop"], list(at["targets"]), at["due"]
        if at["trigger"] is not None:
            self.bt, self.be = at["trigger"], at["be"]


class Short(naive_short.Short):
    """A position of ``naive_short`` with levels that are prices."""

    def __init__(self, entry, at):
        super().__init__(entry, {})
        if at:
            self.sl, self.targets, self.due = at["stop"], list(at["targets"]), at["due"]
            self.trigger, self.breakeven = at["trigger"], at["be"]


def walked(side, bars, entry, at, intrabar):
    """Return the fills of one trade and what it saw: X of FS-1."""
    trade = Long(entry, at) if side == LONG else Short(entry, at)
    for i, bar in enumerate(bars):
        (trade.open_bar if side == LONG else trade.at_the_open)(i, bar)
        if left(trade) and side == SHORT:
            naive_short.cover(trade, i, bar, intrabar)
        elif left(trade):
            rise(trade, i, bar, intrabar)
        if not left(trade):
            break
    if left(trade):
        trade.close_window(bars) if side == LONG else trade.last_close(bars)
    fill = trade.fills[-1]
    at_open = fill["gap"] or fill["reason"] == "TIME"
    row = {"exit_bar": fill["bar"], "exit_ts": bars[fill["bar"]][0] + (0 if at_open else entry["interval_ms"])}
    row |= {"reason": fill["reason"], "exit_px": fill["price"], "gap_exit": fill["gap"], "fills": trade.fills}
    return row | {"gross": (trade.acc if side == LONG else trade.paid) / 10000, "seen": trade.seen}


def left(trade):
    return trade.rem if isinstance(trade, Long) else trade.owed


def rise(trade, i, bar, intrabar):
    """X3 of a long, as ``naive.simulate`` has it."""
    _, _, h, l, c, _ = bar
    x = naive.turning_point(intrabar, trade.classify(bar), trade, bar)
    if x is None:
        trade.survive(i, h)
    else:
        trade.turn(i, x)
    if trade.rem:
        trade.seen += [h, l, c]
        return
    low_first = {"pessimistic": True, "optimistic": False, "ohlc_path": not naive.high_first(bar)}[intrabar]
    last = trade.fills[-1]
    trade.seen += [last["price"], *([x] if last["reason"] != "TP" else [l] if low_first else [])]


def ends_of(side, bars, entry, at):
    """Return the gross of every way a trade could have ended: B of FS-1."""
    trade, ends, survives = (Long(entry, at) if side == LONG else Short(entry, at)), [], True
    for i, bar in enumerate(bars):
        _, _, h, l, _, _ = bar
        (trade.open_bar if side == LONG else trade.at_the_open)(i, bar)
        if not left(trade):
            break
        kind = trade.classify(bar) if side == LONG else naive_short.kind_of(trade, bar)
        worst, best = deepcopy(trade), deepcopy(trade)
        if kind != "B" and side == LONG:
            worst.turn(i, naive.lowest_turn(trade, h, l), floor=l)
            best.turn(i, max(trade.x, h))
            ends += [worst.acc, best.acc]
        elif kind != "B":
            turn = naive_short.shallowest_turn(trade, h, l) if kind != "A" else trade.lowest
            worst.buy_targets(i, turn)
            worst.buy_rest(i, min(worst.stop(turn)[0], h), "")
            best.fall_then_stop(i, l)
            ends += [worst.paid, best.paid]
        if side == LONG:
            trade.survive(i, h)
        else:
            trade.buy_targets(i, l)
            trade.lowest = min(trade.lowest, l)
        survives = kind in ("B", "Co")
        if not survives or not left(trade):
            break
    else:
        trade.close_window(bars) if side == LONG else trade.last_close(bars)
    if survives:
        ends.append(trade.acc if side == LONG else trade.paid)
    return [end / 10000 for end in ends]


def swings(bars, n):
    """Return {side: the last swing low (long) or high (short) known at each close}, None before the first."""
    found = {LONG: [], SHORT: []}
    last = {LONG: None, SHORT: None}
    for i in range(len(bars)):
        j = i - n  # what the candles up to i confirm
        if j >= n:
            around = [*bars[j - n : j], *bars[j + 1 : i + 1]]
            if all(bars[j][3] < bar[3] for bar in around):
                last[LONG] = bars[j][3]
            if all(bars[j][2] > bar[2] for bar in around):
                last[SHORT] = bars[j][2]
        for side, values in found.items():
            values.append(last[side])
    return found
