import random

import naive_short
import numba
import numpy as np
import pytest
from golden_cases import cases, expected, same
from highwater.kernels.arrays import FLAGS, INTRABAR, NEVER, STATUSES, column, policy
from highwater.kernels.mirror import mirrored, reflected, short_policy
from highwater.kernels.walk import policy_of
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_market import candles_of, opened, policies_of, trade_each, trade_row
from short_market import opened_short, random_shorts, short_each, short_policies_of

SHORTS = cases("s")
STEP = 60_000
seeds = st.integers(0, 2**63)
examples = settings(max_examples=100 if not numba.config.DISABLE_JIT else 30, deadline=None)


def ids(case):
    return case["id"]


def golden_short(case, intrabar):
    """Return the trade of a golden case, named as the golden files name its fields."""
    market, windows, _ = opened_short([case])
    trades, fills, _ = short_each(market, windows, INTRABAR[intrabar])
    row = trade_row(trades[0], fills[0], int(windows.first[0]), int(windows.ts[0]))
    row |= {"status": STATUSES[windows.status[0]], "entry_ts_ms": int(windows.ts[0])}
    row |= {"entry_price": float(windows.price[0]), "exit_ts_ms": row["exit_ts"], "exit_reason": row["reason"]}
    row |= {"exit_gap": row["gap"], "exit_price": row["price"], "flags": [f for f in FLAGS if f in row["flags"]]}
    return row | {"fills": [fill | {"frac_bps": fill["bps"]} for fill in row["fills"]]}


@pytest.mark.parametrize("case", SHORTS, ids=ids)
def test_golden_trade(case):
    actual = golden_short(case, case["policy"])
    wanted = {name: value for name, value in expected(case["expect"]["trade"]).items() if name != "entry_bar"}

    assert same(actual, wanted), actual


@pytest.mark.parametrize("case", [case for case in SHORTS if "by_policy" in case["expect"]], ids=ids)
def test_golden_policies(case):
    actual = {intrabar: golden_short(case, intrabar) for intrabar in INTRABAR}

    assert same(actual, expected(case["expect"]["by_policy"])), actual


@pytest.mark.parametrize("case", SHORTS, ids=ids)
def test_golden_bounds(case):
    market, windows, _ = opened_short([case])
    found = short_each(market, windows, INTRABAR[case["policy"]])[2][0]
    wanted = expected(case["expect"]["bounds"])
    bars = [bar - int(windows.first[0]) for bar in wanted["ambiguous_bars"]]

    assert same(found["worst"] * 10000, wanted["worst_bps"])
    assert same(found["best"] * 10000, wanted["best_bps"])
    assert (len(bars), bars[0] if bars else -1) == (found["n_ambiguous"], found["first_ambiguous"])


def differences(population, intrabar):
    """Yield (case number, actual, expected) of every short that is not the oracle's to the last bit."""
    cases, market, windows, entries = population
    trades, fills, _ = short_each(market, windows, INTRABAR[intrabar])
    for a, (case, entry) in enumerate(zip(cases, entries, strict=True)):
        if entry["status"] == "OK":
            actual = trade_row(trades[a], fills[a], entry["first"], entry["entry_ts"])
            wanted = naive_short.simulate(case["bars"], entry, case["exits"], intrabar=intrabar, **case["costs"])
            if actual != {name: wanted[name] for name in actual}:
                yield a, actual, wanted


@pytest.mark.parametrize("intrabar", INTRABAR)
def test_random_shorts_equal_the_oracle(intrabar):
    assert None is next(differences(random_shorts(), intrabar), None)


def test_bounds_equal_the_oracle():
    cases, market, windows, entries = random_shorts()
    bounds = short_each(market, windows, 0)[2]
    ambiguous = 0
    for a, (case, entry) in enumerate(zip(cases, entries, strict=True)):
        if entry["status"] == "OK":
            wanted = naive_short.bounds(case["bars"], entry, case["exits"], **case["costs"])
            bars = wanted["ambiguous_bars"]
            ambiguous += len(bars)
            worst, best, n, first = bounds[a].item()

            assert (wanted["worst_bps"], wanted["best_bps"]) == (worst * 10000, best * 10000), a
            assert (len(bars), bars[0] - entry["first"] if bars else -1) == (n, first), a
    assert ambiguous


@pytest.mark.parametrize("intrabar", INTRABAR)
def test_every_policy_lies_between_worst_and_best(intrabar):
    _, market, windows, _ = random_shorts()
    trades, _, bounds = short_each(market, windows, INTRABAR[intrabar])
    certain = (bounds["n_ambiguous"] == 0) & (windows.status == 0)

    assert (bounds["worst"] <= trades["ret"]).all()
    assert (trades["ret"] <= bounds["best"]).all()
    assert (bounds["worst"] == bounds["best"])[certain].all()


def test_enough_shorts_are_traded():
    """20,000, but for the plain interpreter; and a changed one is seen."""
    population = random_shorts()
    cases, _, windows, _ = population
    traded = int(np.count_nonzero(windows.status == 0))
    case = cases[int(np.flatnonzero(windows.status == 0)[0])]
    before, case["costs"] = case["costs"], {"fixed_bps": 1.0}
    found = next(differences(population, "pessimistic"), None)
    case["costs"] = before

    assert traded >= len(cases) * 5 // 8
    assert found is not None


def flat_case(bars, exits):
    """Return a case entered at the open of the first bar, without costs."""
    alert = {"alert_ts": 0, "mode": "next_open", "alert_price": None, "latency_ms": 0, "horizon_ms": NEVER // 2}
    alert |= {"interval_ms": STEP, "coverage_end_ms": None}
    return {"bars": bars, "interval_ms": STEP, "alert": alert, "exits": exits}


def dyadic_bars(rng):
    """Return 1 to 40 bars of whole prices around 64, all below 128; the first opens at 64."""
    price, bars = 64, []
    for i in range(rng.randint(1, 40)):
        open_ = min(120, max(8, price + rng.choice([0, 0, 0, -1, 1, -9, 9]))) if i else 64
        price = min(120, max(8, open_ + rng.randint(-4, 4)))
        high = min(127, max(open_, price) + rng.choice([0, 0, 1, 3, 9]))
        low = max(1, min(open_, price) - rng.choice([0, 0, 1, 3, 9]))
        bars.append((i * STEP, *map(float, (open_, high, low, price)), 1.0))
    return bars


def around(bars, turn):
    """Return the bars with every price p turned into ``turn(p)``, which exchanges high and low."""
    return [(ts, turn(o), turn(l), turn(h), turn(c), v) for ts, o, h, l, c, v in bars]


def level_exits(rng):
    """Return fixed exits of a long; every multiple a whole number of 64ths, so that all levels are exact."""
    exits = {"sl": rng.choice([0.75, 0.875, 0.9375])} if rng.random() < 0.7 else {}
    targets = sorted(rng.sample([1.0625, 1.125, 1.25, 1.5], rng.choice([0, 1, 2])))
    if targets:
        exits["tp"] = [{"mult": m, "frac_bps": 10_000 // len(targets)} for m in targets]
    if rng.random() < 0.5:
        exits["breakeven"] = {"trigger": rng.choice([1.0625, 1.125, 1.25]), "offset": rng.choice([0.0, 0.03125, -0.25])}
    if rng.random() < 0.3:
        exits["time_ms"] = rng.choice([1, 2, 5, 12]) * STEP
    return exits | {"tp_gap_fill": rng.choice(["open", "level"])}


EVENTS = ["bar", "reason", "ts", "flags", "n_fills", "gap"]


@examples
@given(seeds)
def test_fixed_exits_are_symmetric_about_the_entry_price(seed):
    """Prices p and 128 - p around 64, all arithmetic exact: long and short meet the same events and earn the same."""
    rng = random.Random(seed)
    bars, exits = dyadic_bars(rng), level_exits(rng)
    market, windows, _ = opened([flat_case(bars, exits)])
    other, their_windows, _ = opened_short([flat_case(around(bars, lambda p: 128.0 - p), exits)])
    about = reflected(policy_of(policies_of([exits]), 0))
    rows = zip(other.policies._fields, other.policies, about, strict=True)
    other = other._replace(policies=type(other.policies)(*(column([own], old.dtype) for _, old, own in rows)))
    names = [*EVENTS, "ret", "ret_q", "mae", "mfe"]
    for intrabar in INTRABAR.values():
        long, short = trade_each(market, windows, intrabar), short_each(other, their_windows, intrabar)

        assert long[0][0][names] == short[0][0][names]
        assert 128.0 - long[0][0]["price"] == short[0][0]["price"]
        assert long[2][0] == short[2][0]


@examples
@given(seeds)
def test_every_exit_is_symmetric_by_ratio(seed):
    """Prices p and 4096 / p, all powers of two: a stop at half the highest is one at twice the lowest price."""
    rng = random.Random(seed)
    turns = [(rng.sample(range(-3, 4), 4), i * STEP) for i in range(rng.randint(1, 12))]
    bars = [(ts, *(64.0 * 2.0**k for k in (mid[0], max(mid), min(mid), mid[3])), 1.0) for mid, ts in turns]
    bars = [(0, 64.0, 64.0, 64.0, 64.0, 1.0), *((ts + STEP, *rest) for ts, *rest in bars)]
    exits = {"trail": {"pct": 0.5, "activate": rng.choice([1.0, 2.0, 4.0])}, "sl": rng.choice([0.25, 0.5])}
    exits |= {"breakeven": {"trigger": rng.choice([2.0, 4.0]), "offset": rng.choice([0.0, -0.5])}}
    exits |= {"tp": [{"mult": rng.choice([2.0, 4.0, 8.0])}]} if rng.random() < 0.5 else {}
    upside_down = {"trail": {"pct": 1.0, "activate": 1 / exits["trail"]["activate"]}, "sl": 1 / exits["sl"]}
    upside_down["breakeven"] = {"trigger": 1 / exits["breakeven"]["trigger"]}
    upside_down["breakeven"]["offset"] = 1 / (1 + exits["breakeven"]["offset"]) - 1
    upside_down |= {"tp": [{"mult": 1 / exits["tp"][0]["mult"]}]} if "tp" in exits else {}
    market, windows, _ = opened([flat_case(bars, exits)])
    other, their_windows, _ = opened_short([flat_case(around(bars, lambda p: 4096.0 / p), upside_down)])
    for intrabar in (INTRABAR["pessimistic"], INTRABAR["optimistic"]):  # a path asks which of two distances is less
        long, short = trade_each(market, windows, intrabar), short_each(other, their_windows, intrabar)

        assert long[0][0][EVENTS] == short[0][0][EVENTS]
        assert 4096.0 / long[0][0]["price"] == short[0][0]["price"]
        assert long[2][0][["n_ambiguous", "first_ambiguous"]] == short[2][0][["n_ambiguous", "first_ambiguous"]]


def test_a_mirror_of_a_mirror_is_the_market():
    market = candles_of(dyadic_bars(random.Random(1)))

    assert all(map(np.array_equal, market, mirrored(mirrored(market))))
    assert (mirrored(market).high == -market.low).all()


def test_multiples_are_reflected_in_decimal():
    long = policy(0.99, [1.1, 1.5, 3.0], [2000, 3000, 5000], 0.05, 1.2, 1.07, -0.01, 60_000)
    short = reflected(long)

    assert (1.01, [0.9, 0.5, -1.0], 0.8, 0.93, 0.01) == (
        *(short.sl, short.tp.tolist(), short.activate, short.be_trigger),
        short.be_offset,
    )
    assert (-0.05, 60_000, [2000, 3000, 5000]) == (short.trail_pct, short.time_ms, short.frac_bps.tolist())


def test_what_is_unset_is_out_of_reach_in_the_mirror():
    unset = [np.array(each).tolist() for each in policy_of(short_policies_of([{}]), 0)]

    for short in (reflected(policy(tp=[np.inf], frac_bps=[0])), short_policy(tp=[-np.inf], frac_bps=[0])):
        assert unset == [np.array(each).tolist() for each in short]
