"""Cases of the naive oracle as the kernels' structs, and what the kernels return in the oracle's words.

A case is what ``random_case`` and ``golden_cases`` make: bars, interval_ms, alert, and perhaps exits and costs.
"""

import functools
import math
import random
from typing import NamedTuple

import naive
import numba
import numpy as np
from highwater.kernels.arrays import (
    ENTRY,
    FLAGS,
    NEVER,
    OK,
    REASONS,
    Alerts,
    Candles,
    Costs,
    Policies,
    Rules,
    Windows,
    candles,
    column,
    costs,
    of_rows,
)
from highwater.kernels.bounds import BOUND, NOTE, bracket
from highwater.kernels.entries import EntryRule, enter, entry_rule
from highwater.kernels.exits import FILL, TRADE, excursions, micro, net_return, simulate
from highwater.kernels.jit import compiled
from highwater.kernels.paths import PATH, TOUCH, first_activity, measure
from highwater.kernels.walk import entry_of, no_blocks, policy_of, window_of
from random_market import exits_like, random_case, random_exits, saw_bars, tied_bars

STEP = 60_000
COMPILED = not numba.config.DISABLE_JIT  # pyright: ignore[reportAttributeAccessIssue]


class Market(NamedTuple):
    """Many cases, their bars one behind the other; arrays with one row a case in all but ``candles``."""

    candles: Candles
    alerts: Alerts
    entering: EntryRule
    policies: Policies
    costs: Costs
    tp_at_open: np.ndarray


def frozen(struct):
    """Return the struct with read-only arrays, the form that kernels are compiled for."""
    return type(struct)(*(column(array, array.dtype) for array in struct))


def table(kind, rows):
    """Return a struct of read-only arrays from a list of rows."""
    return frozen(kind(*map(np.array, zip(*rows, strict=True))))


def candles_of(bars):
    ts, *prices = zip(*bars, strict=True)
    return candles(ts, *prices)


def alert_of(case, first):
    bars, price, end = case["bars"], case["alert"]["alert_price"], case["alert"]["coverage_end_ms"]
    on_grid = all((bar[0] - bars[0][0]) % case["interval_ms"] == 0 for bar in bars)
    price = math.nan if price is None else price
    end = bars[-1][0] + case["interval_ms"] if end is None else end
    return Alerts(first, first + len(bars), case["alert"]["alert_ts"], price, end, on_grid)


def rule_of(case):
    alert = case["alert"]
    times = alert["horizon_ms"], alert["interval_ms"], alert["latency_ms"], alert.get("max_entry_delay_ms")
    return entry_rule(ENTRY[alert["mode"]], *times)


def policies_of(exits):
    """Return the ``Policies`` of many exit rules, one row each."""
    rungs = [each.get("tp") or [] for each in exits]
    breakevens = [each.get("breakeven") or {"trigger": math.inf, "offset": 0.0} for each in exits]
    trails = [{"activate": 1.0} | (each.get("trail") or {"pct": 0.0, "activate": math.inf}) for each in exits]
    tp = np.full((len(exits), max([1, *map(len, rungs)])), math.inf)
    frac_bps = np.zeros(tp.shape, np.int64)
    for t, row in enumerate(rungs):
        tp[t, : len(row)] = [rung["mult"] for rung in row]
        frac_bps[t, : len(row)] = [rung.get("frac_bps", 10000) for rung in row]
    return Policies(
        column([each.get("sl") or 0.0 for each in exits]),
        column(tp),
        column(frac_bps, np.int64),
        column([each["trigger"] for each in breakevens]),
        column([each["offset"] for each in breakevens]),
        column([each["pct"] for each in trails]),
        column([each["activate"] for each in trails]),
        column([each.get("time_ms") or NEVER for each in exits], np.int64),
    )


def market_of(cases):
    """Return the ``Market`` of many cases."""
    lengths = [len(case["bars"]) for case in cases]
    firsts = np.cumsum([0, *lengths[:-1]])
    exits = [case.get("exits", {}) for case in cases]
    return Market(
        candles_of([bar for case in cases for bar in case["bars"]]),
        table(Alerts, [alert_of(case, first) for case, first in zip(cases, firsts, strict=True)]),
        table(EntryRule, [rule_of(case) for case in cases]),
        policies_of(exits),
        table(Costs, [costs(**case.get("costs", {})) for case in cases]),
        column([each.get("tp_gap_fill") == "open" for each in exits], np.bool_),
    )


@compiled
def enter_each(market):
    """Return the ``Windows`` of a market, each alert by its own entry rule."""
    alerts, rule = market.alerts, market.entering
    n = alerts.ts.size
    whole, price, fresh = np.zeros((6, n), np.int64), np.empty(n), np.empty(n, np.bool_)
    for a in range(n):
        s = alerts.first[a]
        own = EntryRule(rule.mode[a], rule.horizon[a], rule.step[a], rule.latency[a], rule.max_delay[a])
        found = enter(window_of(market.candles, alerts, a), alerts.ts[a], alerts.price[a], own)
        whole[0, a], whole[1, a], whole[2, a] = s + found.first, s + found.last, found.ts
        whole[3, a], whole[4, a], whole[5, a] = found.ts + own.horizon, found.status, found.flags
        price[a], fresh[a] = found.price, found.fresh
    grid = alerts.on_grid
    return Windows(whole[0], whole[1], price, whole[2], whole[3], alerts.coverage_end, grid, fresh, whole[4], whole[5])


@compiled
def trade_each(market, windows, intrabar):
    """Return (TRADE[A], FILL[A, R + 1], BOUND[A]) of a market, each case with its own policy, rules and costs."""
    n = windows.first.size
    trades, bounds = np.zeros(n, TRADE), np.zeros(n, BOUND)
    fills = np.zeros((n, market.policies.tp.shape[1] + 1), FILL)
    for a in range(n):
        if windows.status[a] == OK:
            bars, entry = window_of(market.candles, windows, a), entry_of(windows, a, market.entering.step[a])
            policy, rules = policy_of(market.policies, a), Rules(intrabar, market.tp_at_open[a], False)
            paid = Costs(market.costs.k_in[a], market.costs.k_out[a], market.costs.fixed[a])
            done = simulate(bars, entry, policy, rules, fills[a], no_blocks())
            found = bracket(bars, entry, policy, rules, np.empty(0, NOTE), no_blocks())
            trade, bound = trades[a], bounds[a]
            trade["bar"], trade["reason"], trade["price"], trade["ts"] = done.bar, done.reason, done.price, done.ts
            trade["gross"], trade["ret"] = done.gross, net_return(done.gross, entry.price, paid)
            trade["flags"], trade["gap"], trade["n_fills"] = done.flags | windows.flags[a], done.gap, done.n_fills
            trade["ret_q"] = micro(trade["ret"])
            trade["mae"], trade["mfe"] = excursions(bars, entry, done)
            bound["worst"] = net_return(found.worst, entry.price, paid)
            bound["best"] = net_return(found.best, entry.price, paid)
            bound["n_ambiguous"], bound["first_ambiguous"] = found.n_ambiguous, found.first_ambiguous
    return trades, fills, bounds


@compiled
def measure_each(market, windows, multiples):
    """Return (PATH[A], TOUCH[A, K]) of a market."""
    n = windows.first.size
    paths, touches = np.zeros(n, PATH), np.zeros((n, multiples.size), TOUCH)
    for a in range(n):
        if windows.status[a] == OK:
            step, alert_ts = market.entering.step[a], market.alerts.ts[a]
            bars, entry = window_of(market.candles, windows, a), entry_of(windows, a, step)
            measure(bars, entry, multiples, paths[a], touches[a])
            paths[a]["alert_to_activity_ms"] = first_activity(
                market.candles, market.alerts.first[a], windows.last[a], alert_ts, step
            )
    return paths, touches


def opened(cases):
    """Return (market, windows, entries) of the cases: the last as the oracle sees them."""
    market = market_of(cases)
    return market, frozen(enter_each(market)), [naive.enter(case["bars"], **case["alert"]) for case in cases]


@functools.cache
def random_trades():
    """Return (cases, market, windows, entries): 30,000 random cases, two thirds of which trade."""
    cases = [random_case(seed) for seed in range(30_000 if COMPILED else 3_000)]
    return cases, *opened(cases)


def long_bars(rng, count):
    """Return ``count`` bars of whole prices, with frequent ties and a few holes."""
    size, ts, close, bars = rng.choice([1, 4, 16, 60]), 0, 400, []
    for _ in range(count):
        open_ = max(1, close + rng.choice([0] * 8 + [-size, size]))
        close = max(1, open_ + rng.randint(-size, size))
        high = max(open_, close) + rng.choice([0, 0, 1, size, 0, 4 * size])
        low = max(1, min(open_, close) - rng.choice([0, 0, 1, size, 0, 4 * size]))
        bars.append((ts, *map(float, (open_, high, low, close)), 1.0))
        ts += STEP * rng.choice([1] * 60 + [2, 5])
    return bars


def long_case(seed, count):
    """Return a case whose window holds nearly all of ``count`` bars, many blocks of them."""
    rng = random.Random(seed)
    bars, exits = long_bars(rng, count), random_exits(rng, STEP)
    if seed % 2:
        exits["trail"] = {"pct": rng.choice([0.1, 0.25, 0.5]), "activate": rng.choice([1.0, 1.25, 2.0])}
    if "time_ms" in exits:
        exits["time_ms"] = rng.randint(1, count) * STEP
    alert = {"alert_ts": bars[rng.randrange(40)][0], "mode": rng.choice([*ENTRY][:3]), "alert_price": None}
    alert |= {"latency_ms": 0, "horizon_ms": rng.choice([count - count // 10, 2 * count]) * STEP}
    alert |= {"interval_ms": STEP, "coverage_end_ms": None}
    return {"bars": bars, "interval_ms": STEP, "alert": alert, "exits": exits, "costs": {"fee_bps": 30.0}}


@functools.cache
def long_trades():
    """Return (cases, market, windows, entries) of random walks of 50 to 3,000 candles."""
    lengths = (50, 64, 300, 1000, 3000) * 6 if COMPILED else (50, 64, 300) * 10
    cases = [long_case(seed, count) for seed, count in enumerate(lengths)]
    return cases, *opened(cases)


def windows_of(walks):
    """Return (candles, windows) of (bars, price, fresh), one window each over all of its bars."""
    lengths = [len(bars) for bars, *_ in walks]
    last = np.cumsum(lengths)
    rows = []
    for (bars, price, fresh), e in zip(walks, last.tolist(), strict=True):
        end = bars[-1][0] + STEP
        rows.append((e - len(bars), e, price, bars[0][0], end, end, True, fresh, OK, 0))
    return candles_of([bar for bars, *_ in walks for bar in bars]), table(Windows, rows)


@functools.cache
def walks(name):
    """Return (candles, windows), all OK, of a population: random, long, tied (levels exactly met) or saw."""
    if name in ("random", "long"):
        _, market, windows, _ = random_trades() if name == "random" else long_trades()
        some = np.flatnonzero(windows.status == OK)
        return market.candles, of_rows(windows, some[: 2500 if COMPILED else 40])
    rng, made = random.Random(name), []
    for _ in range({"tied": 2500, "saw": 600}[name] if COMPILED else 40):
        price, fresh = rng.choice([1e-12, 2.0**-20, 0.1, 1.0, 3.7, 100.0, 1e12]), rng.random() < 0.5
        made.append(
            (tied_bars(rng, price, fresh, STEP) if name == "tied" else saw_bars(rng, price, STEP), price, fresh)
        )
    return windows_of(made)


def policies_like(kind, count, step=STEP):
    """Return ``Policies`` of ``exits_like``, drawn the same way each time."""
    rng = random.Random(kind)
    return policies_of([exits_like(kind, rng, step) for _ in range(count)])


def flag_names(bits):
    return {name for k, name in enumerate(FLAGS) if bits >> k & 1}


def trade_row(trade, fills, first, entry_ts):
    """Return a TRADE row and its fills as ``naive.simulate`` would, without classes and tail_capture."""
    row = dict(zip(TRADE.names, trade.item(), strict=True))
    listed = [
        {"bar": first + bar, "bps": bps, "price": price, "reason": REASONS[reason], "gap": gap}
        for bar, price, bps, reason, gap in fills[: row["n_fills"]].tolist()
    ]
    return {
        "exit_bar": first + row["bar"],
        "exit_ts": row["ts"],
        "time_exposed_ms": row["ts"] - entry_ts,
        "reason": REASONS[row["reason"]],
        "price": row["price"],
        "gap": row["gap"],
        "censored": REASONS[row["reason"]] == "END_OF_DATA",
        "flags": flag_names(row["flags"]),
        "fills": listed,
        "gross": row["gross"],
        "ret": row["ret"],
        "ret_bps": row["ret"] * 10000,
        "ret_q": row["ret_q"],
        "mae_bps": row["mae"] * 10000,
        "mfe_bps": row["mfe"] * 10000,
    }


def path_row(path, touches, multiples, first):
    """Return a PATH row and its TOUCH rows as ``naive.paths`` would, without what the entry says already."""
    row = defined(path)
    row["ret_end_bps"] = row.pop("ret_end") * 10000
    row["k"] = {}
    for k, touch in zip(multiples, touches, strict=True):
        found = defined(touch)
        found["bar"] = None if found["bar"] is None else first + found["bar"]
        found["dd_pre_or_horizon"] = found["dd_pre"] if found["hit"] else row["dd_overall"]
        row["k"][k] = found
    return row


def defined(record):
    """Return a record as a dict, None where a field says undefined: -1 in an integer, NaN in a float."""
    row = dict(zip(record.dtype.names, record.item(), strict=True))
    undefined = {name for name, value in row.items() if value != value or (type(value) is int and value == -1)}
    return row | dict.fromkeys(undefined)
