"""Random shorts: cases of ``naive_short`` as the kernels' structs in the mirror, and what the kernels return."""

import functools
import math
import random

import naive_short
import numpy as np
from highwater.kernels.arrays import NEVER, NEXT_HIGH, OK, Costs, Policies, Rules, column
from highwater.kernels.bounds import BOUND, NOTE, bracket
from highwater.kernels.exits import FILL, TRADE, micro, simulate
from highwater.kernels.jit import compiled
from highwater.kernels.mirror import mirrored, opposite, short_excursions, short_return
from highwater.kernels.walk import entry_of, no_blocks, policy_of, window_of
from kernel_market import COMPILED, enter_each, frozen, market_of
from random_market import random_case

STOPS, TARGETS = (1.03, 1.1, 1.2, 1.25, 1.5, 2.0), (0.95, 0.9, 0.8, 0.75, 0.5, 0.25)


def short_exits(rng, step):
    """Return an exit rule of a short, 0 to 3 rungs with any of the stops; multiples that a coarse price grid meets."""
    exits = {}
    if rng.random() < 0.5:
        exits["sl"] = rng.choice(STOPS)
    multiples = sorted(rng.sample(TARGETS, rng.choice([0, 1, 1, 2, 3])), reverse=True)
    if len(multiples) == 1 and rng.random() < 0.5:
        exits["tp"] = [{"mult": multiples[0]}]
    elif multiples:
        parts = rng.choice([[10_000], [9_000], [5000, 5000], [2000, 3000, 5000], [1111, 3333, 2222]])
        exits["tp"] = [{"mult": m, "frac_bps": bps} for m, bps in zip(multiples, parts, strict=False)]
    if rng.random() < 0.4:
        exits["trail"] = {"pct": rng.choice([0.05, 0.1, 0.25, 0.5, 1.0])}
        if rng.random() < 0.6:
            exits["trail"]["activate"] = rng.choice([1.0, *TARGETS])
    if rng.random() < 0.4:
        trigger = rng.choice(TARGETS)
        offset = rng.choice([0.0, 0.0, -0.02, 0.1, 0.25, (trigger - 1) / 2])
        exits["breakeven"] = {"trigger": trigger, "offset": offset}
    if rng.random() < 0.3:
        exits["time_ms"] = rng.choice([1, 2, 5, 12]) * step - rng.choice([0, 0, 1])
    if rng.random() < 0.5:
        exits["tp_gap_fill"] = rng.choice(["open", "level"])
    return exits


def short_case(seed):
    """Return a random case with the exits of a short."""
    case = random_case(seed)
    return case | {"exits": short_exits(random.Random(-seed - 1), case["interval_ms"])}


def short_policies_of(exits):
    """Return the ``Policies`` of many exit rules of shorts, what is unset being out of reach in the mirror."""
    rungs = [each.get("tp") or [] for each in exits]
    breakevens = [each.get("breakeven") or {"trigger": -math.inf, "offset": 0.0} for each in exits]
    trails = [{"activate": 1.0} | (each.get("trail") or {"pct": 0.0, "activate": -math.inf}) for each in exits]
    tp = np.full((len(exits), max([1, *map(len, rungs)])), -math.inf)
    frac_bps = np.zeros(tp.shape, np.int64)
    for t, row in enumerate(rungs):
        tp[t, : len(row)] = [rung["mult"] for rung in row]
        frac_bps[t, : len(row)] = [rung.get("frac_bps", 10000) for rung in row]
    return Policies(
        column([each.get("sl") or math.inf for each in exits]),
        column(tp),
        column(frac_bps, np.int64),
        column([each["trigger"] for each in breakevens]),
        column([each["offset"] for each in breakevens]),
        column([-each["pct"] for each in trails]),
        column([each["activate"] for each in trails]),
        column([each.get("time_ms") or NEVER for each in exits], np.int64),
    )


def opened_short(cases):
    """Return (market in the mirror, windows, entries) of cases: prices of the windows are positive."""
    market = market_of(cases)
    windows = enter_each(market)
    low = market.candles.low[np.maximum(windows.first - 1, 0)]
    windows = frozen(windows._replace(price=np.where(market.entering.mode == NEXT_HIGH, low, windows.price)))
    exits = short_policies_of([case["exits"] for case in cases])
    entries = [naive_short.enter(case["bars"], **case["alert"]) for case in cases]
    return market._replace(candles=mirrored(market.candles), policies=exits), windows, entries


@functools.cache
def random_shorts():
    """Return (cases, market, windows, entries): 32,000 random cases, two thirds of which trade."""
    cases = [short_case(seed) for seed in range(32_000 if COMPILED else 3_000)]
    return cases, *opened_short(cases)


@compiled
def short_each(market, windows, intrabar):
    """Return (TRADE[A], FILL[A, R + 1], BOUND[A]) of a market in the mirror, prices as they were traded."""
    n = windows.first.size
    trades, bounds = np.zeros(n, TRADE), np.zeros(n, BOUND)
    fills = np.zeros((n, market.policies.tp.shape[1] + 1), FILL)
    for a in range(n):
        if windows.status[a] == OK:
            bars = window_of(market.candles, windows, a)
            entry = opposite(entry_of(windows, a, market.entering.step[a]))
            policy, rules = policy_of(market.policies, a), Rules(intrabar, market.tp_at_open[a], False)
            paid = Costs(market.costs.k_in[a], market.costs.k_out[a], market.costs.fixed[a])
            done = simulate(bars, entry, policy, rules, fills[a], no_blocks())
            found = bracket(bars, entry, policy, rules, np.empty(0, NOTE), no_blocks())
            trade, bound = trades[a], bounds[a]
            trade["bar"], trade["reason"], trade["price"], trade["ts"] = done.bar, done.reason, -done.price, done.ts
            trade["gross"], trade["ret"] = -done.gross, short_return(done.gross, entry.price, paid)
            trade["flags"], trade["gap"], trade["n_fills"] = done.flags | windows.flags[a], done.gap, done.n_fills
            trade["ret_q"] = micro(trade["ret"])
            trade["mae"], trade["mfe"] = short_excursions(bars, entry, done)
            bound["worst"] = short_return(found.worst, entry.price, paid)
            bound["best"] = short_return(found.best, entry.price, paid)
            bound["n_ambiguous"], bound["first_ambiguous"] = found.n_ambiguous, found.first_ambiguous
            for k in range(done.n_fills):
                fills[a, k]["price"] = -fills[a, k]["price"]
    return trades, fills, bounds
