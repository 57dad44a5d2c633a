"""Seeded random sessions on a coarse price grid, as the oracle of OR-1 takes them and as the kernel does."""

import random

import naive_session
import numpy as np
from highwater.kernels.arrays import INTRABAR, NEVER, REASONS, Rules, candles, column, costs
from highwater.kernels.exits import FILL
from highwater.kernels.session import EVENT, EVENTS, SESSION_TRADE, Known, Plan, Sessions, trade_sessions
from highwater.kernels.session_trade import STOPS

STEP = 60_000
NUMBERS = ("entry_px", "stop", "exit_px", "gross", "risk", "r", "worst_r", "best_r", "mae_r", "mfe_r", "day_r")
WHOLE = ("session", "direction", "entry_bar", "exit_bar", "exit_ts", "gap_entry", "gap_exit")


def random_market(seed):
    """Return (bars, sessions, passes, swings, plan): what ``naive_session.trade_all`` takes."""
    rng = random.Random(seed)
    tick = rng.choice([1.0, 0.01, 0.1, 0.25, 37.0])
    plan = random_plan(rng, tick)
    bars, sessions, close, begin = [], [], rng.choice([40, 100, 127, 129, 400]), 0
    for _ in range(rng.choice([1, 2, 3, 5])):
        count, held = rng.choice([1, 3, 12, 30, 60]), rng.choice([0, 1, 2, 5])
        first = len(bars)
        close += rng.choice([0, 0, 1, -1, 3, -3, 9, -9])
        for k in range(count):
            if rng.random() < 0.1:
                continue  # a hole
            bar, close = random_bar(rng, close, tick)
            bars.append((begin + k * STEP, *bar))
        sessions.append(random_session(rng, bars, first, begin, count, held, tick, plan))
        begin += (count + rng.choice([0, 3, 900])) * STEP
    passes = {side: [rng.random() < 0.8 for _ in bars] for side in (1, -1)}
    return bars, sessions, passes, naive_session.swings(bars, rng.choice([1, 2, 3])), plan


def random_bar(rng, close, tick):
    """Return ((o, h, l, c, v) in price, close in ticks) of a candle after ``close``."""
    open_ = max(20, close + rng.choice([0] * 12 + [-1, 1, -2, 2, -8, 8]))
    close = max(20, open_ + rng.choice([0, 0, 1, -1, 2, -2, 3, -3, 6, -6]))
    high = max(open_, close) + rng.choice([0, 0, 0, 1, 2, 5])
    low = min(open_, close) - rng.choice([0, 0, 0, 1, 2, 5])
    if rng.random() < 0.04:
        high, low = high + 9, max(8, low - 9)
    return (*(x * tick for x in (open_, high, low, close)), float(rng.choice([0, 1, 5]))), close


def random_session(rng, bars, first, begin, count, held, tick, plan):
    start = first
    while start < len(bars) and bars[start][0] < begin + held * STEP:
        start += 1
    found = {"start": start, "last": len(bars), "close_ms": begin + count * STEP, "ok": start > first}
    found["ok"] = found["ok"] and rng.random() < 0.95
    high, low = (
        (max(bar[2] for bar in bars[first:start]), min(bar[3] for bar in bars[first:start]))
        if start > first
        else (0.0, 0.0)
    )
    buffer = rng.choice([0.0, 0.0, tick, 0.3 * tick])
    found |= {
        "high": high,
        "low": low,
        "upper": high + buffer,
        "lower": low - buffer,
        "unit": rng.choice([1, 2, 5]) * tick,
    }
    moment = begin + rng.randint(0, count) * STEP
    found["flatten_ms"] = rng.choice([None, None, moment + rng.choice([0, 0, STEP // 2])])
    cutoffs = [rng.choice([None, None, None, begin + rng.randint(0, count) * STEP]), found["flatten_ms"]]
    found["cutoff_ms"] = min((moment for moment in cutoffs if moment is not None), default=None)
    found["second_ms"] = begin + held * STEP + rng.choice([0, 2, 5, 30, 120]) * STEP
    return found


def random_plan(rng, tick):
    targets = rng.choice([[1.0, 1.5, 2.0], [0.3, 2.0, 3.0], [1.5], [0.5], [1.0, 1.5], [2.0], [1.0, 2.0, 60.0]])
    bps = {1: [10_000], 2: [5000, 5000], 3: rng.choice([[5000, 2500, 2500], [3333, 3333, 3334]])}[len(targets)]
    return {
        "step": STEP,
        "sides": rng.choice([0, 0, 0, 1, -1]),
        "both_long": rng.random() < 0.3,
        "max_signals": rng.choice([1, 2, 3, 10]),
        "lockout": rng.choice([1, 2, 3, 10]),
        "max_loss_r": rng.choice([float("inf"), float("inf"), 0.0, 1.0, 2.5]),
        "carry": rng.random() < 0.3,
        "stop": rng.choice(["or_opposite", "or_opposite", "swing", "atr_capped"]),
        "extra": rng.choice([0.0, 0.0, tick, 0.7 * tick]),
        "atr_cap": rng.choice([0.0, 0.8, 1.0, 3.0]),
        "target_r": targets,
        "bps": bps,
        "from_range": rng.random() < 0.3,
        "be_r": rng.choice([None, 0.5, 1.0, 1.0, 2.0]),
        "be_buffer": rng.choice([0.0, 0.0, tick, 3 * tick, 0.3 * tick]),
        "entry_stops": rng.random() < 0.7,
        "flatten": rng.random() < 0.8,
        "intrabar": rng.choice(["pessimistic", "pessimistic", "optimistic", "ohlc_path"]),
        "fee_bps": rng.choice([0.0, 0.0, 30.0]),
        "slippage_bps": rng.choice([0.0, 0.0, 12.5]),
    }


def structs(bars, sessions, passes, swings, plan):
    """Return what ``trade_sessions`` takes but ``out``."""
    series = candles(*zip(*bars, strict=True)) if bars else candles(*([],) * 6)

    def each(name, kind=np.float64):
        return column([NEVER if session[name] is None else session[name] for session in sessions], kind)

    rows = Sessions(
        *(each(name, np.int64) for name in ("start", "last")),
        *(each(name) for name in ("high", "low", "upper", "lower", "unit")),
        each("ok", np.bool_),
        *(each(name, np.int64) for name in ("close_ms", "cutoff_ms", "flatten_ms", "second_ms")),
    )
    known = Known(
        *(column(passes[side], np.bool_) for side in (1, -1)),
        *(column([np.nan if x is None else x for x in swings[side]]) for side in (1, -1)),
    )
    how = Plan(
        **{name: plan[name] for name in Plan._fields if name in plan and name not in ("stop", "target_r", "be_r")},
        stop=STOPS[plan["stop"]],
        target_r=column(plan["target_r"]),
        frac_bps=column(plan["bps"], np.int64),
        be_r=np.inf if plan["be_r"] is None else plan["be_r"],
    )
    terms = Rules(INTRABAR[plan["intrabar"]]), costs(plan["fee_bps"], plan["slippage_bps"])
    return series, rows, known, how, terms


def passed(market, room=(400, 900)):
    """Return (trades, fills, events) of the kernel, as the oracle's dicts and tuples would be compared."""
    given = structs(*market)
    out = (
        np.zeros(room[0], SESSION_TRADE),
        np.zeros((room[0], len(market[4]["bps"]) + 1), FILL),
        np.zeros(room[1], EVENT),
    )
    n, m = trade_sessions(*given, out)
    return out[0][:n], out[1][:n], out[2][:m]


def told(trades, fills, events):
    """Return the kernel's rows in the oracle's words."""
    rows = [
        {name: row[name].item() for name in NUMBERS + WHOLE}
        | {"reason": REASONS[row["reason"]], "fills": [fill_of(fill) for fill in own[: row["n_fills"]]]}
        for row, own in zip(trades, fills, strict=True)
    ]
    return rows, [(s, bar, side, EVENTS[what]) for s, bar, side, what in events.tolist()]


def fill_of(fill):
    bar, price, bps, reason, gap = fill.item()
    return {"bar": bar, "bps": bps, "price": price, "reason": REASONS[reason], "gap": gap}


def wanted(market):
    """Return what the oracle says, cut to the columns of the kernel."""
    trades, events = naive_session.trade_all(*market)
    return [{name: row[name] for name in (*NUMBERS, *WHOLE, "reason", "fills")} for row in trades], events
