"""The oracle against the worked cases, and the invariants that SEMANTICS promises on random markets."""

import math
import random
from itertools import pairwise

import naive
import pytest
from golden_cases import cases, expected, same
from highwater.kernels.arrays import FLAGS, INTRABAR, REASONS, STATUSES
from hypothesis import given, settings
from hypothesis import strategies as st
from random_market import MODES, random_case

DATA, PATHS, EXITS = cases("d"), cases("p"), cases("x")
MULTIPLES = (2.0, 3.0, 5.0, 10.0)
seeds = st.integers(0, 2**63)
examples = settings(max_examples=150, deadline=None)


def test_every_golden_case_is_read():
    assert (10, 10, 44) == (len(DATA), len(PATHS), len(EXITS))


def ids(case):
    return case["id"]


def golden_trade(case, bars, policy):
    """Return the trade of a case, named as the golden files name its fields."""
    entry = naive.enter(bars, **case["alert"])
    if entry["status"] != "OK":
        return {"status": entry["status"]}
    trade = naive.simulate(bars, entry, case["exits"], intrabar=policy)
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


@pytest.mark.parametrize("case", EXITS, ids=ids)
def test_golden_trade(case):
    actual = golden_trade(case, case["bars"], case["policy"])

    assert same(actual, expected(case["expect"]["trade"])), actual


@pytest.mark.parametrize("case", [case for case in EXITS if case["expect"]["bounds"]], ids=ids)
def test_golden_bounds(case):
    entry = naive.enter(case["bars"], **case["alert"])
    actual = naive.bounds(case["bars"], entry, case["exits"])

    assert same(actual, expected(case["expect"]["bounds"])), actual


@pytest.mark.parametrize("case", [case for case in EXITS if case["expect"].get("by_policy")], ids=ids)
def test_golden_policies(case):
    actual = {policy: golden_trade(case, case["bars"], policy) for policy in INTRABAR}

    assert same(actual, expected(case["expect"]["by_policy"])), actual


@pytest.mark.parametrize("case", PATHS, ids=ids)
def test_golden_path(case):
    entry = naive.enter(case["bars"], **case["alert"])
    actual = naive.paths(case["bars"], entry, MULTIPLES, case["alert_ts_ms"], case["interval_ms"])
    actual |= {"entry_ts_ms": actual["entry_ts"], "k": {f"{k:g}": row for k, row in actual["k"].items()}}

    assert same(actual, expected(case["expect"]["path"])), actual


@pytest.mark.parametrize("case", DATA, ids=ids)
def test_golden_validation(case):
    actual = naive.validate(case["bars"], **case.get("validate", {}))
    actual["kept_ts"] = [bar[0] for bar in actual["bars"]]

    assert same(actual, expected(case["expect"]["validation"])), actual


@pytest.mark.parametrize("case", [case for case in DATA if "trade" in case["expect"]], ids=ids)
def test_golden_trade_after_validation(case):
    bars = naive.validate(case["bars"], **case.get("validate", {}))["bars"]
    actual = golden_trade(case, bars, case["policy"])

    assert same(actual, expected(case["expect"]["trade"])), actual


def test_same_sees_a_difference():
    assert same({"a": 1.0, "b": None, "c": 3}, {"a": 1.0 + 1e-14, "b": None})
    assert not same({"a": 1.0}, {"a": 1.0 + 1e-11})
    assert not same({"a": 0.0}, {"a": None})
    assert not same({"a": None}, {"a": 0.0})
    assert not same({}, {"a": None})
    assert not same([1, 2], [1])


def entered(seed):
    """Return a random case and its entry."""
    case = random_case(seed)
    return case, naive.enter(case["bars"], **case["alert"])


def trades(case, entry, **changed):
    """Return the trade under every policy, in the order of INTRABAR."""
    exits, costs = changed.get("exits", case["exits"]), changed.get("costs", case["costs"])
    bars = changed.get("bars", case["bars"])
    return [naive.simulate(bars, entry, exits, intrabar=policy, **costs) for policy in INTRABAR]


def test_random_market_meets_every_branch():
    met = set()
    for seed in range(2000):
        case, entry = entered(seed)
        met |= {entry["status"], *entry["flags"]}
        if entry["status"] == "OK":
            met.add(case["alert"]["mode"])
            for trade in trades(case, entry):
                met |= {trade["reason"], *trade["flags"], *trade["classes"]}
                met |= {("gap", fill["reason"]) for fill in trade["fills"] if fill["gap"]}
    wanted = {*STATUSES, *REASONS, *FLAGS, *MODES, "A", "Cc", "Co", "B"}
    wanted -= {"", "SERIES_REJECTED", "SEALED", "PURGED", "SIGNAL"}
    wanted |= {("gap", reason) for reason in ("SL", "BE", "TRAIL", "TP")}

    assert wanted == met


def test_random_bars_are_valid():
    for seed in range(200):
        bars = random_case(seed)["bars"]

        assert bars == naive.validate(bars)["bars"]


@examples
@given(seeds)
def test_every_policy_lies_between_worst_and_best(seed):
    case, entry = entered(seed)
    if entry["status"] == "OK":
        bound = naive.bounds(case["bars"], entry, case["exits"], **case["costs"])
        returns = [trade["ret_bps"] for trade in trades(case, entry)]

        assert bound["worst_bps"] <= min(returns)
        assert max(returns) <= bound["best_bps"]
        assert bound["ambiguous"] or bound["worst_bps"] == bound["best_bps"]


def wander(rng, bar):
    """Return a random price path through a bar's o, h, l and c, as bars that only rise or only fall."""
    ts, o, h, l, c, v = bar
    inside = [rng.uniform(l, h) for _ in range(rng.randint(0, 4))]
    turns = [o, *rng.sample([h, l, *inside], 2 + len(inside)), c]
    return [(ts, a, max(a, b), min(a, b), b, v) for a, b in pairwise(turns)]


@examples
@given(seeds)
def test_every_path_inside_the_bars_lies_between_worst_and_best(seed):
    """A bar that only rises or only falls has one path, so the optimistic policy tells its one outcome."""
    case, entry = entered(seed)
    if entry["status"] == "OK":
        window = case["bars"][entry["first"] : entry["last"]]
        pieces = [piece for bar in window for piece in wander(random.Random(seed), bar)]
        path = entry | {"first": 0, "last": len(pieces)}
        bound = naive.bounds(case["bars"], entry, case["exits"], **case["costs"])
        ret_bps = naive.simulate(pieces, path, case["exits"], intrabar="optimistic", **case["costs"])["ret_bps"]

        assert bound["worst_bps"] - 1e-8 <= ret_bps <= bound["best_bps"] + 1e-8


@examples
@given(seeds)
def test_no_fill_is_above_the_ath(seed):
    case, entry = entered(seed)
    if entry["status"] == "OK":
        path = naive.paths(case["bars"], entry, MULTIPLES, case["alert"]["alert_ts"], case["interval_ms"])

        assert path["ath_mult"] >= 1
        for trade in trades(case, entry):
            assert all(fill["price"] / entry["price"] <= path["ath_mult"] for fill in trade["fills"])
            assert sum(fill["bps"] for fill in trade["fills"]) == 10000
            assert trade["tail_capture"] is None or trade["tail_capture"] <= 1 + 1e-12
            assert trade["mae_bps"] <= 0 <= trade["mfe_bps"]


@examples
@given(seeds, st.sampled_from([1.05, 1.1, 1.2, 1.5, 2.0, 3.0]))
def test_a_target_alone_is_taken_where_the_multiple_is_hit(seed, k):
    case, entry = entered(seed)
    if entry["status"] == "OK":
        hit = naive.paths(case["bars"], entry, [k], 0, case["interval_ms"])["k"][k]
        for trade in trades(case, entry, exits={"tp": [{"mult": k}]}):
            assert (trade["reason"] == "TP") == hit["hit"]
            assert not hit["hit"] or (trade["exit_bar"], trade["time_exposed_ms"]) == (hit["bar"], hit["t_ms"])


@examples
@given(seeds)
def test_the_default_drawdown_is_the_deeper(seed):
    case, entry = entered(seed)
    if entry["status"] == "OK":
        path = naive.paths(case["bars"], entry, [1.1, 1.5, 2.0], 0, case["interval_ms"])
        rows = [path, *path["k"].values()]
        names = ("dd_initial", "dd_pre", "dd_after", "dd_after_ath")

        for row, name in [(row, name) for row in rows for name in names if row.get(name) is not None]:
            assert -1 < row[name] <= row[f"{name}_opt"] <= 0
        assert -1 < path["mdd"] <= path["dd_overall"] <= 0
        assert path["mdd"] <= path["mdd_opt"] <= path["dd_overall"]


@examples
@given(seeds, st.integers(-40, 40))
def test_scaling_prices_by_a_power_of_two_changes_nothing(seed, n):
    case, entry = entered(seed)
    scaled = [(ts, o * 2.0**n, h * 2.0**n, l * 2.0**n, c * 2.0**n, v) for ts, o, h, l, c, v in case["bars"]]
    price = case["alert"]["alert_price"]
    alert = case["alert"] | {"alert_price": None if price is None else price * 2.0**n}
    again = naive.enter(scaled, **alert)
    unpriced = {"price": None, "fills": None, "gross": None}

    assert again | {"price": None} == entry | {"price": None}
    if entry["status"] == "OK":
        before, after = trades(case, entry), trades(case, again, bars=scaled)
        moment = (MULTIPLES, alert["alert_ts"], case["interval_ms"])
        path = naive.paths(case["bars"], entry, *moment)

        assert [trade | unpriced for trade in after] == [trade | unpriced for trade in before]
        assert naive.paths(scaled, again, *moment) == path | {"entry_price": again["price"]}


@examples
@given(seeds)
def test_bars_after_the_window_change_nothing(seed):
    case, _ = entered(seed)
    end = case["bars"][-1][0] + case["interval_ms"]
    alert = {"coverage_end_ms": end} | {k: v for k, v in case["alert"].items() if v is not None}
    entry = naive.enter(case["bars"], **alert)
    if entry["status"] == "OK":
        more = [*case["bars"], (max(end, entry["end"]), 1e9, 1e9, 1e-9, 1e-9, 0.0)]
        moment = (MULTIPLES, alert["alert_ts"], case["interval_ms"])
        path = naive.paths(case["bars"], entry, *moment)

        assert naive.enter(more, **alert) == entry
        assert trades(case, entry, bars=more) == trades(case, entry)
        assert naive.paths(more, entry, *moment) == path


@examples
@given(seeds)
def test_costs_never_raise_a_return(seed):
    case, entry = entered(seed)
    if entry["status"] == "OK":
        free, charged = trades(case, entry, costs={}), trades(case, entry)

        assert all(a["ret"] >= b["ret"] for a, b in zip(free, charged, strict=True))


@examples
@given(seeds, st.sampled_from([math.nan, math.inf, -1.0, 0.0, None]))
def test_a_bad_bar_is_a_hole(seed, wrong):
    rng, bars = random.Random(seed), random_case(seed)["bars"]
    spoiled, i, field = list(bars), rng.randrange(len(bars)), rng.randint(1, 4)
    spoiled[i] = (*bars[i][:field], wrong, *bars[i][field + 1 :])
    result = naive.validate(spoiled)

    assert result["bars"] == bars[:i] + bars[i + 1 :]
    assert result["counters"]["bad_bars"] == 1


BAR = (0, 2.0, 3.0, 1.0, 2.0, 5.0)
OTHER = (0, 2.0, 4.0, 1.0, 2.0, 5.0)


@pytest.mark.parametrize(
    ("options", "bars", "error", "kept"),
    [
        ({"on_dup_conflict": "first"}, [BAR, OTHER], None, [BAR]),
        ({"on_dup_conflict": "last"}, [BAR, OTHER], None, [OTHER]),
        ({"on_bad_bar": "error"}, [BAR, (60, 2.0, 0.0, 1.0, 2.0, 5.0)], "E_BAD_BAR", []),
        ({}, [(*BAR[:5], math.nan)], None, [(*BAR[:5], 0.0)]),
        ({}, [(*BAR[:5], -1.0)], None, [(*BAR[:5], 0.0)]),
        ({}, [(*BAR[:5], None)], None, [(*BAR[:5], 0.0)]),
    ],
)
def test_validation_options(options, bars, error, kept):
    result = naive.validate(bars, **options)

    assert (error, kept) == (result["error"], result["bars"])
