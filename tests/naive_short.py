"""FS-1 for shorts in plain Python: an oracle of its own, written from SEMANTICS section 5 with every rule spelt out.

Bars, entries and rows as in ``naive``, from which only what knows no direction is taken. Prices are positive, levels
are on their own side: a stop above the entry, targets below it, descending.
"""

import math

import naive


def enter(bars, alert_ts, **alert):
    """Return the entry of a short; the stress entry takes the low of its candle."""
    entry = naive.enter(bars, alert_ts, **alert)
    if entry["status"] == "OK" and alert["mode"] == "next_high":
        entry["price"] = bars[entry["entry_bar"]][3]
    return entry


class Short:
    """A short position: its levels, what of it is still owed, its fills, and ``lowest``, the lowest price seen."""

    def __init__(self, entry, exits):
        self.entry, price = entry, entry["price"]
        self.lowest, self.owed, self.paid, self.fills, self.flags, self.seen = price, 10000, 0.0, [], set(), []
        self.sl = price * exits["sl"] if exits.get("sl") else math.inf
        self.targets = [(price * rung["mult"], rung.get("frac_bps", 10000)) for rung in exits.get("tp") or []]
        self.trigger, self.breakeven, self.active, self.keep = None, None, None, None
        if exits.get("breakeven"):
            self.trigger = price * exits["breakeven"]["trigger"]
            self.breakeven = price * (1 + exits["breakeven"]["offset"])
        if exits.get("trail"):
            self.active, self.keep = price * exits["trail"].get("activate", 1.0), 1 + exits["trail"]["pct"]
        self.at_open = exits.get("tp_gap_fill") == "open"
        self.due = entry["entry_ts"] + exits["time_ms"] if exits.get("time_ms") else None

    def copy(self):
        other = Short(self.entry, {})
        other.__dict__ |= self.__dict__ | {"fills": list(self.fills), "targets": list(self.targets)}
        return other

    def stop(self, lowest):
        """Return (price, rule) of the lowest stop in force once the price has been down to ``lowest``."""
        price, rule = self.sl, "SL"
        if self.trigger is not None and lowest <= self.trigger and self.breakeven < price:
            price, rule = self.breakeven, "BE"
        if self.active is not None and lowest <= self.active and lowest * self.keep < price:
            price, rule = lowest * self.keep, "TRAIL"
        return price, rule

    def buy(self, bar, price, reason, bps, gap=False):
        self.owed -= bps
        self.paid += bps * price
        self.fills.append({"bar": bar, "bps": bps, "price": price, "reason": reason, "gap": gap})

    def buy_rest(self, bar, price, reason, gap=False):
        if self.owed:
            self.buy(bar, price, reason, self.owed, gap)

    def buy_targets(self, bar, down_to, gap=False):
        while self.owed and self.targets and down_to <= self.targets[0][0]:
            level, bps = self.targets.pop(0)
            self.buy(bar, down_to if gap and self.at_open else level, "TP", bps, gap)

    def at_the_open(self, i, bar):
        """X1 and X2."""
        o = bar[1]
        self.seen.append(o)
        if self.due is not None and bar[0] >= self.due:
            if bar[0] > self.due:
                self.flags.add("TIME_LATE")
            self.buy_rest(i, o, "TIME")
        elif not (self.entry["fresh"] and i == self.entry["first"]):
            price, rule = self.stop(self.lowest)
            if o >= price:
                self.buy_rest(i, o, rule, gap=True)
            else:
                self.buy_targets(i, o, gap=True)
                self.lowest = min(self.lowest, o)

    def fall_then_stop(self, i, low):
        """The price falls to ``low``, its targets on the way, and then rises into the stop it has lowered."""
        self.buy_targets(i, low)
        price, rule = self.stop(min(self.lowest, low))
        self.buy_rest(i, price, rule)

    def last_close(self, bars):
        """X4."""
        i, entry = self.entry["last"] - 1, self.entry
        self.buy_rest(i, bars[i][4], "END_OF_DATA" if naive.censored(entry) else "HORIZON")
        if naive.stale(bars, entry):
            self.flags.add("STALE_EXIT")


def kind_of(short, bar):
    """Return the class of a candle: is its high at a stop known at the open, or at one its own low would set?"""
    _, _, h, l, c, _ = bar
    lowered = short.stop(min(short.lowest, l))[0]
    if h >= short.stop(short.lowest)[0]:
        return "A"
    return "B" if h < lowered else "Cc" if c >= lowered else "Co"


def low_comes_first(bar):
    _, o, h, l, _, _ = bar
    return o - l < h - o


def cover(short, i, bar, intrabar):
    """X3: what a candle's range does to the position; adds to ``seen`` what the path visited."""
    _, _, h, l, c, _ = bar
    kind = kind_of(short, bar)
    low_first = {"pessimistic": False, "optimistic": True, "ohlc_path": low_comes_first(bar)}[intrabar]
    if kind == "A" and not low_first:
        price, rule = short.stop(short.lowest)
        short.buy_rest(i, price, rule)
        short.seen.append(price)
        return
    gives_back = {"pessimistic": True, "optimistic": False, "ohlc_path": low_first}[intrabar]
    if kind in ("A", "Cc") or (kind == "Co" and gives_back):
        short.fall_then_stop(i, l)
    else:
        short.buy_targets(i, l)
        short.lowest = min(short.lowest, l)
    if short.owed:
        short.seen += [h, l, c]
    elif short.fills[-1]["reason"] == "TP":
        short.seen += [short.fills[-1]["price"], *([] if low_first else [h])]
    else:
        short.seen += [short.fills[-1]["price"], l]


def simulate(bars, entry, exits, *, intrabar="pessimistic", **costs) -> dict:
    """Return the short trade of an OK ``entry``, its columns named as ``naive.simulate`` names them."""
    short = Short(entry, exits)
    for i in range(entry["first"], entry["last"]):
        short.at_the_open(i, bars[i])
        if short.owed:
            cover(short, i, bars[i], intrabar)
        if not short.owed:
            break
    if short.owed:
        short.last_close(bars)
    fill, p = short.fills[-1], entry["price"]
    exit_ts = bars[fill["bar"]][0] + (0 if fill["gap"] or fill["reason"] == "TIME" else entry["interval_ms"])
    ret = net(short.paid, p, **costs)
    row = {"exit_bar": fill["bar"], "exit_ts": exit_ts, "time_exposed_ms": exit_ts - entry["entry_ts"]}
    row |= {key: fill[key] for key in ("reason", "price", "gap")}
    row |= {"censored": fill["reason"] == "END_OF_DATA", "flags": entry["flags"] | short.flags, "fills": short.fills}
    row |= {"gross": short.paid / 10000, "ret": ret, "ret_bps": ret * 10000, "ret_q": round(ret * 1e6)}
    row |= {"mae_bps": min(0.0, 1 - max(short.seen) / p) * 10000}
    return row | {"mfe_bps": max(0.0, 1 - min(short.seen) / p) * 10000}


def net(paid, p, *, fee_bps=0.0, slippage_bps=0.0, fixed_bps=0.0):
    """Return what is left of the proceeds of selling at ``p`` after buying back, as a fraction of them."""
    proceeds = p * ((1 - slippage_bps / 10000) * (1 - fee_bps / 10000))
    spent = (paid / 10000) * ((1 + slippage_bps / 10000) * (1 + fee_bps / 10000))
    return 1 - spent / proceeds - fixed_bps / 10000


def bounds(bars, entry, exits, **costs) -> dict:
    """Return the worst and best return over every path inside the bars, and the bars that could go either way: B."""
    short = Short(entry, exits)
    paid, ambiguous_bars = [], []
    for i in range(entry["first"], entry["last"]):
        _, _, h, l, _, _ = bar = bars[i]
        short.at_the_open(i, bar)
        kind = kind_of(short, bar) if short.owed else "B"
        if kind != "B":
            late, early = short.copy(), short.copy()
            late.fall_then_stop(i, l)
            turn = shallowest_turn(short, h, l) if kind != "A" else short.lowest
            early.buy_targets(i, turn)
            price, rule = early.stop(turn)
            early.buy_rest(i, min(price, h), rule)
            paid += [late.paid, early.paid]
        if short.owed:
            short.buy_targets(i, l)
            short.lowest = min(short.lowest, l)
        if kind != "B" and (paid[-1] != paid[-2] or (kind == "Co" and short.owed)):
            ambiguous_bars.append(i)
        if kind in ("A", "Cc"):
            break
        if not short.owed:
            paid.append(short.paid)
            break
    else:
        short.last_close(bars)
        paid.append(short.paid)
    returns = [net(each, entry["price"], **costs) * 10000 for each in paid]
    return {"worst_bps": min(returns), "best_bps": max(returns), "ambiguous_bars": ambiguous_bars}


def shallowest_turn(short, h, l):
    """Return the highest new low from which a rise to ``h`` meets the stop that this low has set."""
    turns = [l]
    if short.trigger is not None and l <= short.trigger < short.lowest and short.breakeven <= h:
        turns.append(short.trigger)
    if short.active is not None and l <= short.active:
        turns.append(min(short.active, h / short.keep))
    return max(turns)
