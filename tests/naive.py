"""FS-1 in plain Python: the oracle that the compiled kernels are held against. Slow, and obviously right.

Written from SEMANTICS alone; section marks (D1, E2, X3, ...) are its. A bar is a tuple (ts, o, h, l, c, v), an
index counts from the start of ``bars``, times are ms UTC. Statuses, reasons and flags are their names.
"""

import math
from collections import Counter
from copy import deepcopy
from itertools import accumulate, pairwise


def validate(bars, *, on_bad_bar="drop", on_unsorted="reject", on_dup_conflict="reject") -> dict:
    """Return ``error``, ``where`` (row of ``bars``), ``counters`` and the clean ``bars`` ([] after an error): D1-D4."""
    kinds = [bad_kind(*bar[1:5]) for bar in bars]
    bad = [row for row, kind in enumerate(kinds) if kind]
    rows = [(row, bar) for row, bar in enumerate(bars) if not kinds[row]]
    descents = [row for (_, before), (row, bar) in pairwise(rows) if bar[0] < before[0]]
    counters: dict = {"rows_in": len(bars), "bad_bars": len(bad), "bad_kinds": Counter(kinds[row] for row in bad)}
    counters |= {"unsorted": len(descents), "dup_identical": 0, "dup_conflict": 0, "bad_volume": 0}

    def result(error, where, kept):
        return {"error": error, "where": where, "counters": counters | {"rows_out": len(kept)}, "bars": kept}

    if bad and on_bad_bar == "error":
        return result("E_BAD_BAR", bad[0], [])
    if descents and on_unsorted == "reject":
        return result("E_UNSORTED", descents[0], [])
    rows.sort(key=lambda item: item[1][0])
    kept = []
    for row, bar in rows:
        if not kept or kept[-1][0] != bar[0]:
            kept.append(bar)
        elif kept[-1][1:5] == bar[1:5]:
            counters["dup_identical"] += 1
        else:
            counters["dup_conflict"] += 1
            if on_dup_conflict == "reject":
                return result("E_DUP_CONFLICT", row, [])
            if on_dup_conflict == "last":
                kept[-1] = bar

    for i, (*prices, volume) in enumerate(kept):
        if volume is None or not volume >= 0:
            counters["bad_volume"] += 1
            kept[i] = (*prices, 0.0)
    return result(None, None, kept)


def bad_kind(*prices):
    """Return what is wrong with a bar's o, h, l, c, or None: D1, in its order."""
    o, h, l, c = prices = [math.nan if x is None else x for x in prices]
    kinds = {
        "nan": any(math.isnan(x) for x in prices),
        "inf": any(math.isinf(x) for x in prices),
        "negative": any(x < 0 for x in prices),
        "zero": any(x == 0 for x in prices),
        "high_lt_low": h < l,
        "oc_outside_hl": h < max(o, c) or l > min(o, c),
    }
    return next((kind for kind, wrong in kinds.items() if wrong), None)


def enter(
    bars,
    alert_ts,
    *,
    mode="next_open",
    alert_price=None,
    latency_ms=0,
    horizon_ms,
    interval_ms,
    max_entry_delay_ms=None,
    coverage_end_ms=None,
) -> dict:
    """Return the entry of an alert: E1-E3. ``first``/``last`` bound the window W, half-open; empty unless OK."""
    entry = {"status": "OK", "entry_bar": None, "entry_ts": None, "price": None, "first": 0, "last": 0}
    entry |= {"fresh": mode == "next_open", "flags": set(), "end": None, "interval_ms": interval_ms}
    if coverage_end_ms is None and bars:
        coverage_end_ms = bars[-1][0] + interval_ms
    entry["coverage_end"] = coverage_end_ms
    max_delay = 10 * interval_ms if max_entry_delay_ms is None else max_entry_delay_ms
    t_req = alert_ts + latency_ms
    if mode == "alert_price":
        status = check_alert_price(bars, t_req, alert_price, interval_ms, entry["flags"])
        price, entry_ts = alert_price, t_req
        e = first = first_index(bars, lambda ts: ts >= t_req)
    else:
        e = first_index(bars, lambda ts: ts + interval_ms > t_req if mode == "bar_close" else ts >= t_req)
        if e == len(bars):
            return entry | {"status": "NO_ENTRY_BAR"}
        ts, o, h, _, c, _ = bars[e]
        price, entry_ts, first = {
            "next_open": (o, ts, e),
            "next_high": (h, ts + interval_ms, e + 1),
            "bar_close": (c, ts + interval_ms, e + 1),
        }[mode]
        delay = (entry_ts if mode == "bar_close" else ts) - t_req
        status = "ENTRY_TOO_LATE" if delay > max_delay else "OK"

    end = entry_ts + horizon_ms
    last = first_index(bars, lambda ts: ts >= end)
    if status != "OK" or first >= last:
        return entry | {"status": "NO_BARS" if status == "OK" else status}
    return entry | {"entry_bar": e, "entry_ts": entry_ts, "price": price, "first": first, "last": last, "end": end}


def first_index(bars, test):
    """Return the index of the first bar whose ts passes ``test``, or ``len(bars)``."""
    return next((i for i, bar in enumerate(bars) if test(bar[0])), len(bars))


def check_alert_price(bars, t_req, price, interval_ms, flags):
    """Return the status of an entry at the alert's own price, and add to ``flags``: E2."""
    if price is None or not math.isfinite(price) or price <= 0:
        return "BAD_ENTRY_PRICE"
    for ts, _, h, l, _, _ in bars:
        if ts <= t_req < ts + interval_ms:
            if ts < t_req:
                flags.add("PARTIAL_BAR_SKIPPED")
            if not l <= price <= h:
                flags.add("ALERT_PRICE_OFF_MARKET")
            if not l / 2 <= price <= 2 * h:
                return "BAD_ENTRY_PRICE"
    return "OK"


class Trade:
    """A position between entry and exit: its levels (L), what is left of it, its fills, the prices it has seen."""

    def __init__(self, entry, exits):
        price, breakeven, trail = entry["price"], exits.get("breakeven"), exits.get("trail")
        self.sl = price * exits["sl"] if exits.get("sl") else None
        self.rungs = [(price * rung["mult"], rung.get("frac_bps", 10000)) for rung in exits.get("tp") or []]
        self.bt = price * breakeven["trigger"] if breakeven else math.inf
        self.be = price * (1 + breakeven["offset"]) if breakeven else None
        self.act = price * trail.get("activate", 1.0) if trail else math.inf
        self.keep = 1 - trail["pct"] if trail else None
        self.entry, self.due = entry, entry["entry_ts"] + (exits.get("time_ms") or math.inf)
        self.tp_at_open = exits.get("tp_gap_fill", "level") == "open"
        self.x, self.rem, self.acc = price, 10000, 0.0
        self.fills, self.seen, self.flags, self.classes = [], [], set(), []

    def stop(self, x):
        """Return S(x) and its reason; -inf where there is no stop."""
        stops = [] if self.sl is None else [(self.sl, "SL")]
        if x >= self.bt:
            stops.append((self.be, "BE"))
        if x >= self.act:
            stops.append((x * self.keep, "TRAIL"))
        return max(stops, key=lambda item: item[0], default=(-math.inf, None))  # max keeps the first of equals

    def sell(self, bar, price, reason, *, bps=None, gap=False):
        bps = self.rem if bps is None else bps
        self.rem -= bps
        self.acc += bps * price
        self.fills.append({"bar": bar, "bps": bps, "price": price, "reason": reason, "gap": gap})

    def take(self, bar, reached, *, at=None, gap=False):
        """Fill every unfilled rung up to ``reached``, ascending, at its level or at ``at``."""
        while self.rem and self.rungs and self.rungs[0][0] <= reached:
            level, bps = self.rungs.pop(0)
            self.sell(bar, level if at is None else at, "TP", bps=bps, gap=gap)

    def turn(self, bar, x, floor=-math.inf):
        """The price turns down at ``x``: rungs up to it fill, the rest at S(x), or at ``floor`` if that is higher.

        Rungs up to the old peak X are filled already, so ``x = X`` sells all at S0, and ``max(X, h)`` stands for h.
        """
        self.take(bar, x)
        if self.rem:
            price, reason = self.stop(x)
            self.sell(bar, max(price, floor), reason)

    def survive(self, bar, h):
        self.take(bar, h)
        self.x = max(self.x, h)

    def open_bar(self, i, bar):
        """X1 and X2: the time stop, then what the open alone decides."""
        ts, o = bar[:2]
        price, reason = self.stop(self.x)
        self.seen.append(o)
        if ts >= self.due:
            self.flags |= {"TIME_LATE"} if ts > self.due else set()
            self.sell(i, o, "TIME")
        elif i == self.entry["first"] and self.entry["fresh"]:
            pass
        elif o <= price:
            self.sell(i, o, reason, gap=True)
        else:
            self.take(i, o, at=o if self.tp_at_open else None, gap=True)
            self.x = max(self.x, o)

    def classify(self, bar):
        """Return the class of the bar's range: X3."""
        _, _, h, l, c, _ = bar
        raised, _ = self.stop(max(self.x, h))
        if l <= self.stop(self.x)[0]:
            return "A"
        if l <= raised:
            return "Cc" if c <= raised else "Co"
        return "B"

    def close_window(self, bars):
        """X4: nothing sold the rest inside the window."""
        last = self.entry["last"] - 1
        self.sell(last, bars[last][4], "END_OF_DATA" if censored(self.entry) else "HORIZON")
        if stale(bars, self.entry):
            self.flags.add("STALE_EXIT")


def censored(entry):
    return entry["coverage_end"] < entry["end"]


def stale(bars, entry):
    return min(entry["end"], entry["coverage_end"]) - (bars[entry["last"] - 1][0] + entry["interval_ms"]) > 0


def high_first(bar):
    return bar[2] - bar[1] < bar[1] - bar[3]


def turning_point(intrabar, kind, trade, bar):
    """Return where a policy lets the price turn down into the stop, None where the trade survives: table X3."""
    known, top = trade.x, max(trade.x, bar[2])
    if intrabar == "ohlc_path":
        return ({"A": top, "Cc": top, "Co": top} if high_first(bar) else {"A": known, "Cc": top}).get(kind)
    return {"pessimistic": {"A": known, "Cc": top, "Co": top}, "optimistic": {"A": top, "Cc": top}}[intrabar].get(kind)


def simulate(bars, entry, exits, *, intrabar="pessimistic", **costs) -> dict:
    """Return the trade of an OK ``entry``: X and R. ``classes`` lists the class of each bar whose range was tested.

    ``costs`` are ``fee_bps`` and ``slippage_bps``, a side, and ``fixed_bps``. A turning point below the bar's high
    is the old peak X, seen before.
    """
    trade = Trade(entry, exits)
    for i in range(entry["first"], entry["last"]):
        _, _, h, l, c, _ = bar = bars[i]
        trade.open_bar(i, bar)
        if not trade.rem:
            break
        kind = trade.classify(bar)
        trade.classes.append(kind)
        x = turning_point(intrabar, kind, trade, bar)
        if x is None:
            trade.survive(i, h)
        else:
            trade.turn(i, x)
        if not trade.rem:
            low_first = {"pessimistic": True, "optimistic": False, "ohlc_path": not high_first(bar)}[intrabar]
            last = trade.fills[-1]
            trade.seen += [last["price"], *([x] if last["reason"] != "TP" else [l] if low_first else [])]
            break
        trade.seen += [h, l, c]
    else:
        trade.close_window(bars)
    return outcome(bars, entry, trade, costs)


def outcome(bars, entry, trade, costs):
    """Return a finished trade's columns: X5, R and the trade metrics of section 2."""
    fill, p = trade.fills[-1], entry["price"]
    at_open = fill["gap"] or fill["reason"] == "TIME"
    exit_ts = bars[fill["bar"]][0] + (0 if at_open else entry["interval_ms"])
    ret = net(trade.acc, p, **costs)
    ath_mult = max([p, *(bar[2] for bar in bars[entry["first"] : entry["last"]])]) / p
    row = {"exit_bar": fill["bar"], "exit_ts": exit_ts, "time_exposed_ms": exit_ts - entry["entry_ts"]}
    row |= {key: fill[key] for key in ("reason", "price", "gap")}
    row |= {"censored": fill["reason"] == "END_OF_DATA", "flags": entry["flags"] | trade.flags}
    row |= {"fills": trade.fills, "classes": trade.classes}
    row |= {"gross": trade.acc / 10000, "ret": ret, "ret_bps": ret * 10000, "ret_q": round(ret * 1e6)}
    row |= {"mae_bps": min(0.0, (min(trade.seen) / p - 1) * 10000)}
    row |= {"mfe_bps": max(0.0, (max(trade.seen) / p - 1) * 10000)}
    return row | {"tail_capture": (trade.acc / 10000 / p - 1) / (ath_mult - 1) if ath_mult > 1 else None}


def net(acc, p, *, fee_bps=0.0, slippage_bps=0.0, fixed_bps=0.0):
    """Return R, a fraction, of fills adding up to ``acc`` (basis points times price)."""
    k_in = (1 + slippage_bps / 10000) * (1 + fee_bps / 10000)
    k_out = (1 - slippage_bps / 10000) * (1 - fee_bps / 10000)
    return (acc / 10000) * k_out / (p * k_in) - 1 - fixed_bps / 10000


def bounds(bars, entry, exits, **costs) -> dict:
    """Return the worst and best return over every path inside the bars, and the bars that could go either way: B."""
    trade = Trade(entry, exits)
    ends, ambiguous_bars, survives = [], [], True
    for i in range(entry["first"], entry["last"]):
        _, _, h, l, _, _ = bar = bars[i]
        trade.open_bar(i, bar)
        if not trade.rem:
            break
        kind = trade.classify(bar)
        if kind != "B":
            worst, best = deepcopy(trade), deepcopy(trade)
            worst.turn(i, lowest_turn(trade, h, l), floor=l)
            best.turn(i, max(trade.x, h))
            ends += [worst.acc, best.acc]
        trade.survive(i, h)
        survives = kind in ("B", "Co")
        if kind != "B" and (ends[-2] != ends[-1] or (survives and trade.rem)):
            ambiguous_bars.append(i)
        if not survives or not trade.rem:
            break
    else:
        trade.close_window(bars)
    if survives:
        ends.append(trade.acc)
    returns = [net(acc, entry["price"], **costs) * 10000 for acc in ends]
    ambiguous = {"ambiguous": bool(ambiguous_bars), "ambiguous_bars": ambiguous_bars}
    return {"worst_bps": min(returns), "best_bps": max(returns), **ambiguous}


def lowest_turn(trade, h, l):
    """Return the lowest peak from which a fall to ``l`` meets the stop: X in class A, x* of section B in class C."""
    if l <= trade.stop(trade.x)[0]:
        return trade.x
    candidates = [h]
    if trade.x < trade.bt <= h and trade.be >= l:
        candidates.append(trade.bt)
    if trade.act <= h:
        candidates.append(max(trade.act, l / trade.keep))
    return min(candidates)


def paths(bars, entry, multiples, alert_ts, interval_ms) -> dict:
    """Return every path metric of section 2 of an OK ``entry``; ``k`` maps each multiple (> 1) to its own.

    The open of a next_open entry bar is P itself: never above P, it needs no exception anywhere below.
    """
    p, start = entry["price"], entry["entry_ts"]
    window = bars[entry["first"] : entry["last"]]
    seen_until = min(entry["end"], entry["coverage_end"])

    def first_print(test):
        """Return (position in W, at its open) of the first bar with a print that passes, or None."""
        return next(((j, test(o)) for j, (_, o, h, *_) in enumerate(window) if test(o) or test(h)), None)

    def elapsed(j, at_open):
        return window[j][0] - start + (0 if at_open else interval_ms)

    def drawdown_until(n):
        return min([p, *(bar[3] for bar in window[:n])]) / p - 1

    def drawdowns_before(hit):
        """Return (with, without) the bar of the hit; a bar hit at its open is not before it."""
        j, at_open = hit
        return drawdown_until(j if at_open else j + 1), drawdown_until(j)

    def drawdowns_after(hit, level):
        """Return (high first, low first) of what followed the hit, against its level."""
        j, at_open = hit
        _, _, _, l, c, _ = window[j]
        late = min([c, *(bar[3] for bar in window[j + 1 :])])
        return min(0.0, min(l, late) / level - 1), min(0.0, (min(l, late) if at_open else late) / level - 1)

    dd_overall = drawdown_until(len(window))
    top = max(bar[2] for bar in window)
    ath = first_print(lambda x: x >= top) if top > p else None
    recovery = first_print(lambda x: x > p)
    dd_initial, dd_initial_opt = drawdowns_before(recovery) if recovery else (dd_overall, dd_overall)
    dd_after_ath, dd_after_ath_opt = drawdowns_after(ath, top) if ath else (dd_overall, dd_overall)

    def multiple(k):
        level = p * k
        hit = first_print(lambda x: x >= level)
        dd_pre, dd_pre_opt = drawdowns_before(hit) if hit else (None, None)
        dd_after, dd_after_opt = drawdowns_after(hit, level) if hit else (None, None)
        row = {"hit": hit is not None, "bar": entry["first"] + hit[0] if hit else None}
        row |= {"t_ms": elapsed(*hit) if hit else None, "t_lo_ms": elapsed(hit[0], True) if hit else None}
        row |= {"dd_pre": dd_pre, "dd_pre_opt": dd_pre_opt, "dd_pre_or_horizon": dd_pre if hit else dd_overall}
        return row | {"dd_after": dd_after, "dd_after_opt": dd_after_opt}

    expected = -(-(seen_until - start) // interval_ms)
    stops = [start, *(bar[0] + interval_ms for bar in window)]
    starts = [*(bar[0] for bar in window), seen_until]
    activity = next((max(0, ts - alert_ts) for ts, *_, v in bars if v > 0 and ts + interval_ms > alert_ts), None)
    row = {"status": entry["status"], "entry_ts": start, "entry_price": p, "n_bars": len(window)}
    row |= {"alert_to_entry_ms": start - alert_ts, "alert_to_activity_ms": activity}
    row |= {"ath_mult": max(p, top) / p, "t_ath_ms": elapsed(*ath) if ath else 0}
    row |= {"peak_close_mult": max(bar[4] for bar in window) / p, "dd_overall": dd_overall}
    row |= {"recovered": recovery is not None, "t_recovery_ms": elapsed(*recovery) if recovery else None}
    row |= {"dd_initial": dd_initial, "dd_initial_opt": dd_initial_opt, "k": {k: multiple(k) for k in multiples}}
    row |= {"dd_after_ath": dd_after_ath, "dd_after_ath_opt": dd_after_ath_opt}
    row |= {"mdd": deepest_fall([p, *(x for _, o, h, l, c, _ in window for x in (o, h, l, c))])}
    row |= {"mdd_opt": deepest_fall([p, *(x for _, o, h, l, c, _ in window for x in (o, l, h, c))])}
    row |= {"ret_end_bps": (window[-1][4] / p - 1) * 10000, "censored": censored(entry), "stale": stale(bars, entry)}
    row |= {"coverage": min(1.0, len(window) / expected) if expected > 0 else None}
    return row | {"max_gap_ms": max(0, *(begin - stop for begin, stop in zip(starts, stops, strict=True)))}


def deepest_fall(prices):
    """Return the largest fall below a running peak, a fraction <= 0."""
    return min(x / peak - 1 for x, peak in zip(prices, accumulate(prices, max), strict=True))
