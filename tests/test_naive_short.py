"""The oracle for shorts against the worked cases, and what SEMANTICS section 5 promises of it."""

import naive
import naive_short
import pytest
from golden_cases import cases, expected, same
from highwater.kernels.arrays import FLAGS, INTRABAR, REASONS
from random_market import MODES
from short_market import short_case

SHORTS = cases("s")


def ids(case):
    return case["id"]


def test_every_golden_case_is_read():
    assert (26, {"short"}) == (len(SHORTS), {case["direction"] for case in SHORTS})


def golden_trade(case, policy):
    """Return the trade of a case, named as the golden files name its fields."""
    entry = naive_short.enter(case["bars"], **case["alert"])
    trade = naive_short.simulate(case["bars"], entry, case["exits"], intrabar=policy, **case["costs"])
    return trade | {
        "status": entry["status"],
        "entry_bar": entry["entry_bar"],
        "entry_ts_ms": entry["entry_ts"],
        "entry_price": entry["price"],
        "exit_ts_ms": trade["exit_ts"],
        "exit_reason": trade["reason"],
        "exit_gap": trade["gap"],
        "exit_price": trade["price"],
        "flags": [flag for flag in FLAGS if flag in trade["flags"]],
        "fills": [fill | {"frac_bps": fill["bps"]} for fill in trade["fills"]],
    }


@pytest.mark.parametrize("case", SHORTS, ids=ids)
def test_golden_trade(case):
    actual = golden_trade(case, case["policy"])

    assert same(actual, expected(case["expect"]["trade"])), actual


@pytest.mark.parametrize("case", SHORTS, ids=ids)
def test_golden_bounds(case):
    entry = naive_short.enter(case["bars"], **case["alert"])
    actual = naive_short.bounds(case["bars"], entry, case["exits"], **case["costs"])
    actual |= {"ambiguous": bool(actual["ambiguous_bars"])}

    assert same(actual, expected(case["expect"]["bounds"])), actual


@pytest.mark.parametrize("case", [case for case in SHORTS if "by_policy" in case["expect"]], ids=ids)
def test_golden_policies(case):
    actual = {policy: golden_trade(case, policy) for policy in INTRABAR}

    assert same(actual, expected(case["expect"]["by_policy"])), actual


def test_random_shorts_meet_every_branch():
    met = set()
    for seed in range(2000):
        case = short_case(seed)
        entry = naive_short.enter(case["bars"], **case["alert"])
        if entry["status"] == "OK":
            met.add(case["alert"]["mode"])
            for policy in INTRABAR:
                trade = naive_short.simulate(case["bars"], entry, case["exits"], intrabar=policy, **case["costs"])
                met |= {trade["reason"], *trade["flags"]}
                met |= {("gap", fill["reason"]) for fill in trade["fills"] if fill["gap"]}
    wanted = {*REASONS, *FLAGS, *MODES} - {"", "SIGNAL"} | {("gap", reason) for reason in ("SL", "BE", "TRAIL", "TP")}

    assert wanted == met


def test_a_held_short_loses_what_a_held_long_gains():
    for seed in range(500):
        case = short_case(seed)
        if case["alert"]["mode"] != "next_high":
            entry = naive.enter(case["bars"], **case["alert"])
            if entry["status"] == "OK":
                long, short = (each.simulate(case["bars"], entry, {})["ret"] for each in (naive, naive_short))

                assert pytest.approx(-long, abs=1e-12) == short
