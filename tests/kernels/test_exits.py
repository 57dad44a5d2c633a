from fractions import Fraction

import naive
import numba
import numpy as np
import pytest
from golden_cases import cases, expected, same
from highwater.kernels.arrays import (
    FLAGS,
    INTRABAR,
    NEVER,
    PESSIMISTIC,
    STATUSES,
    Candles,
    Costs,
    Entry,
    Policy,
    Rules,
    candles,
    column,
    costs,
)
from highwater.kernels.bounds import NOTE, bracket
from highwater.kernels.exits import FILL, micro, net_return, simulate, simulate_all
from highwater.kernels.walk import blocks_for, no_blocks, policy_of
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_market import enter_each, frozen, long_trades, market_of, opened, random_trades, trade_each, trade_row
from random_market import random_case

EXITS = cases("x")
GOLDEN = {"exit_ts_ms": "exit_ts", "exit_reason": "reason", "exit_gap": "gap", "exit_price": "price"}
seeds = st.integers(0, 2**63)
examples = settings(max_examples=100 if not numba.config.DISABLE_JIT else 30, deadline=None)


def case_id(case):
    return case["id"]


def golden_trade(case, intrabar):
    """Return the trade of a golden case by ``simulate_all``, named as the golden files name its fields."""
    market = market_of([case])
    windows = frozen(enter_each(market))
    row = {"status": STATUSES[windows.status[0]]}
    if row["status"] != "OK":
        return row
    rules = Rules(INTRABAR[intrabar], bool(market.tp_at_open[0]))
    policy = policy_of(market.policies, 0)
    trades, fills = simulate_all(market.candles, windows, case["interval_ms"], policy, rules, Costs())
    row |= trade_row(trades[0], fills[0], int(windows.first[0]), int(windows.ts[0]))
    row |= {name: row[ours] for name, ours in GOLDEN.items()}
    row |= {"flags": [flag for flag in FLAGS if flag in row["flags"]]}
    row |= {"fills": [fill | {"frac_bps": fill["bps"]} for fill in row["fills"]]}
    return row | {"entry_ts_ms": int(windows.ts[0]), "entry_price": float(windows.price[0])}


@pytest.mark.parametrize("case", EXITS, ids=case_id)
def test_golden_trade(case):
    of_other_rooms = {"entry_bar", "tail_capture"}
    wanted = {k: v for k, v in expected(case["expect"]["trade"]).items() if k not in of_other_rooms}
    actual = golden_trade(case, case["policy"])

    assert same(actual, wanted), actual


@pytest.mark.parametrize("case", [case for case in EXITS if "by_policy" in case["expect"]], ids=case_id)
def test_golden_policies(case):
    actual = {intrabar: golden_trade(case, intrabar) for intrabar in INTRABAR}

    assert same(actual, expected(case["expect"]["by_policy"])), actual


def differences(population, intrabar):
    """Yield (case number, actual, expected) of every trade that is not the oracle's to the last bit."""
    all_cases, market, windows, entries = population
    trades, fills, _ = trade_each(market, windows, INTRABAR[intrabar])
    for a, (case, entry) in enumerate(zip(all_cases, entries, strict=True)):
        if entry["status"] == "OK":
            actual = trade_row(trades[a], fills[a], entry["first"], entry["entry_ts"])
            wanted = naive.simulate(case["bars"], entry, case["exits"], intrabar=intrabar, **case["costs"])
            if actual != {name: wanted[name] for name in actual}:
                yield a, actual, wanted


@pytest.mark.parametrize("intrabar", INTRABAR)
def test_random_trades_equal_the_oracle(intrabar):
    assert None is next(differences(random_trades(), intrabar), None)


def test_there_are_twenty_thousand_of_them():
    _, _, windows, _ = random_trades()

    assert (windows.status == 0).sum() > (20_000 if not numba.config.DISABLE_JIT else 2_000)


@pytest.mark.parametrize("intrabar", INTRABAR)
def test_long_trades_equal_the_oracle(intrabar):
    assert None is next(differences(long_trades(), intrabar), None)


def test_a_changed_trade_is_seen():
    population = random_trades()
    case = population[0][int(np.flatnonzero(population[2].status == 0)[0])]
    before, case["costs"] = case["costs"], {"fixed_bps": 1.0}
    found = next(differences(population, "pessimistic"), None)
    case["costs"] = before

    assert found is not None


def one(case):
    """Return (TRADE row per intrabar policy, market, windows) of one case, or None where it is not entered."""
    market, windows, _ = opened([case])
    if windows.status[0]:
        return None
    return [trade_each(market, windows, intrabar)[0][0] for intrabar in INTRABAR.values()]


@examples
@given(seeds)
def test_no_exit_is_above_the_high(seed):
    case = random_case(seed)
    market, windows, _ = opened([case])
    if not windows.status[0]:
        top = max(windows.price[0], *market.candles.high[windows.first[0] : windows.last[0]])

        assert all(trade["price"] <= top and trade["gross"] <= top * (1 + 1e-12) for trade in one(case))


@examples
@given(seeds, st.integers(-40, 40))
def test_scaling_prices_by_a_power_of_two_changes_nothing(seed, n):
    case, scale = random_case(seed), 2.0**n
    price = case["alert"]["alert_price"]
    alert = case["alert"] | {"alert_price": None if price is None else price * scale}
    bars = [(ts, *(x * scale for x in prices), v) for ts, *prices, v in case["bars"]]
    before, after = one(case), one(case | {"bars": bars, "alert": alert})
    same_names = [name for name in before[0].dtype.names if name not in ("price", "gross")] if before else []

    assert (before is None) == (after is None)
    for old, new in zip(before or [], after or [], strict=True):
        assert old[same_names] == new[same_names]
        assert (old["price"] * scale, old["gross"] * scale) == (new["price"], new["gross"])


@examples
@given(seeds)
def test_bars_after_the_window_change_nothing(seed):
    case = random_case(seed)
    end = case["bars"][-1][0] + case["interval_ms"]
    case["alert"] = {"coverage_end_ms": end} | {k: v for k, v in case["alert"].items() if v is not None}
    case["alert"].setdefault("alert_price", None)
    windows = opened([case])[1]
    more = [*case["bars"], (max(end, int(windows.end[0])), 1e9, 1e9, 1e-9, 1e-9, 0.0)]
    if not windows.status[0]:
        assert one(case) == one(case | {"bars": more})


@examples
@given(seeds)
def test_costs_never_raise_a_return(seed):
    case = random_case(seed)
    charged, free = one(case), one(case | {"costs": {}})

    assert all(a["ret"] >= b["ret"] for a, b in zip(free or [], charged or [], strict=True))


ONE = Entry(100.0, 0, 600_000, 600_000, 60_000, True, True, 0, 0.0)


def policy(sl=0.0, tp=np.inf, **rest):
    unset = {"be_trigger": np.inf, "be_offset": 0.0, "trail_pct": 0.0, "activate": np.inf, "time_ms": NEVER}
    return Policy(sl, column([tp]), column([10000], np.int64), **(unset | rest))


def bars(*rows):
    """Return candles a minute apart from rows of (open, high, low, close)."""
    return candles(np.arange(len(rows)) * 60_000, *np.array(rows, float).T)


CALM = (100, 100, 100, 100)
KEPT = Fraction("0.995") * Fraction("0.997") / (Fraction("1.005") * Fraction("1.003"))


@pytest.mark.parametrize(
    ("exits", "rows", "legacy", "ret"),
    [
        (policy(tp=2.0), [CALM, (100, 250, 100, 200)], True, 0.9741293532338311),
        (policy(sl=0.5), [CALM, (100, 100, 40, 60)], True, -0.5064676616915422),
        (policy(tp=2.0), [CALM, (100, 250, 100, 200)], False, 2 * KEPT - 1),
        (policy(sl=0.5), [CALM, (100, 100, 40, 60)], False, KEPT / 2 - 1),
    ],
)
def test_costs_of_thirty_and_fifty_bps(exits, rows, legacy, ret):
    done = simulate(bars(*rows), ONE, exits, Rules(PESSIMISTIC, False, legacy), np.empty(0, FILL), no_blocks())

    assert net_return(done.gross, 100.0, costs(30, 50, legacy=legacy)) == pytest.approx(float(ret), rel=1e-15)


@pytest.mark.parametrize(
    ("exits", "last", "price", "gap"),
    [
        (policy(sl=0.5), (40, 45, 30, 40), {True: 50.0, False: 40.0}, {True: False, False: True}),
        (policy(tp=2.0), (300, 310, 290, 300), {True: 200.0, False: 200.0}, {True: False, False: True}),
    ],
)
@pytest.mark.parametrize("legacy", [True, False])
def test_a_gap_fills_at_its_level_under_legacy(exits, last, price, gap, legacy):
    done = simulate(bars(CALM, last), ONE, exits, Rules(PESSIMISTIC, False, legacy), np.empty(0, FILL), no_blocks())

    assert (price[legacy], gap[legacy]) == (done.price, done.gap)


def test_fills_beyond_the_room_given_are_counted_only():
    rungs = Policy(0.0, column([1.5, 2.0]), column([4000, 6000], np.int64), np.inf, 0.0, 0.0, np.inf, NEVER)
    market, fills = bars(CALM, (100, 300, 100, 300)), np.zeros(1, FILL)
    done = simulate(market, ONE, rungs, Rules(), fills, no_blocks())

    assert (2, 180.0, 150.0) == (done.n_fills, done.gross, fills[0]["price"])


@pytest.mark.parametrize("offset", range(20))
def test_no_candle_hides_in_a_block(offset):
    """The one low that reaches the stop is found wherever it lies in the blocks."""
    rows = [CALM] * 40
    rows[offset + 10] = (100, 100, 70, 100)
    market = bars(*rows)
    done = simulate(market, ONE, policy(sl=0.7), Rules(), np.empty(0, FILL), blocks_for(market))

    assert (offset + 10, 70.0) == (done.bar, done.price)


def test_returns_are_rounded_to_even_millionths():
    assert [0, 2, -2, 1] == [micro(ret) for ret in (0.5e-6, 1.5e-6, -1.5e-6, 1.2e-6)]


@numba.njit
def mine(bars, price, exits):
    """A user's own loop: an entry at every candle; the sum of what was sold for, and of what is unknown about it."""
    sold, unknown = 0.0, 0.0
    for i in range(bars.ts.size):
        rest = Candles(bars.ts[i:], bars.open[i:], bars.high[i:], bars.low[i:], bars.close[i:], bars.volume[i:])
        entry = Entry(price, rest.ts[0], rest.ts[0] + NEVER, NEVER, 60_000, True, True, 0, 0.0)
        rules = Rules(PESSIMISTIC, False, False)
        sold += simulate(rest, entry, exits, rules, np.empty(0, FILL), no_blocks()).gross
        found = bracket(rest, entry, exits, rules, np.empty(0, NOTE), no_blocks())
        unknown += found.best - found.worst
    return sold, unknown


@pytest.mark.parametrize("writeable", [True, False])
def test_a_user_calls_the_kernels_from_a_loop_of_their_own(writeable):
    plain = Candles(*(np.array(each) for each in bars(CALM, (100, 210, 40, 200), CALM)))
    exits = policy(sl=0.5, tp=2.0)
    for each in plain:
        each.flags.writeable = writeable

    assert (50.0 + 50.0 + 100.0, 150.0 + 150.0) == mine(plain, 100.0, exits)
