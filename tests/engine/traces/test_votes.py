import itertools
import random
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from document_strategies import START, STEP, market
from highwater.engine.traces import votes
from highwater.engine.traces.features import Features
from highwater.engine.traces.filters import Clause
from highwater.engine.traces.grammar import parse_strategy
from highwater.engine.traces.registry import RULES
from highwater.engine.traces.votes import signal_of
from highwater.kernels.arrays import candles
from highwater.kernels.signals import NONE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plain_conditions import bars_of, level_signal
from random_conditions import truths, written

NAMES = ("momentum", "rsi_bands", "sma_crossover", "macd_crossover")

BARS = market(60)
PLAIN = bars_of(BARS)


def given_signals(signals):
    """Return a registry whose rules say what is given, by name, lists with None."""

    def rule(values):
        made = np.array([NONE if value is None else value for value in values], np.int8)
        return SimpleNamespace(signal=lambda features, _: made)

    return mock.patch.object(votes, "RULES", {name: rule(values) for name, values in signals.items()})


def voted(config, signals, bars=BARS):
    """Return what a strategy makes of the signals of its rules, a list with None, and its clauses."""
    with given_signals(signals):
        signal, report = signal_of(parse_strategy(config), Features(bars, STEP))
    return [None if value == NONE else value for value in signal.tolist()], report.clauses


@st.composite
def levels(draw, depth=0):
    """Return a level as ``plain_conditions`` has it; its children are names of rules, or levels."""
    # Inside, a level of one rule would be that rule, and its name the level's above.
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=2 if depth else 1, max_size=3))
    members = [{"child": name, "name": name} for name in names]
    if depth < 2 and draw(st.booleans()):
        members.append({"child": draw(levels(depth + 1)), "name": None})
    combination = draw(st.sampled_from(["weighted", "weighted", "average", "majority", "unanimous"]))
    for each in members:
        each["weight"] = draw(st.integers(1, 9))
        each["condition"] = draw(st.none() | truths())
    sides = {}
    for side in draw(st.sampled_from([(0,), (0,), (1, -1), (1,)])):
        least = draw(st.none() | st.integers(0, 10).map(lambda tenth: tenth / 10))
        clauses = draw(st.lists(truths(tuple(names)), max_size=2))
        sides[side] = ([] if least is None else [("vote", least)]) + clauses
    constraints = draw(st.lists(truths(tuple(names)), max_size=2))
    return {
        "members": members,
        "combination": combination,
        "sides": sides,
        "constraints": constraints,
        "hold": draw(st.booleans()),
    }


def config_of(level):
    """Return a level as a config."""
    total, items = sum(each["weight"] for each in level["members"]), []
    for each in level["members"]:
        item = {each["child"]: {}} if isinstance(each["child"], str) else config_of(each["child"])
        if level["combination"] == "weighted":
            item["weight"] = each["weight"] / total
        if each["condition"]:
            item["condition"] = written(each["condition"])
        items.append(item)
    texts = {side: " AND ".join(map(bracketed, nodes)) for side, nodes in level["sides"].items() if nodes}
    names = {1: "long", -1: "short"}
    config = {"strategy": items, "combination": level["combination"]}
    if texts:
        config["threshold"] = texts[0] if 0 in texts else {names[side]: each for side, each in texts.items()}
    config["constraints"] = [written(node) for node in level["constraints"]]
    config["on_reject"] = "hold" if level["hold"] else "flat"
    return config


def bracketed(node):
    return written(node) if node[0] == "vote" else f"({written(node)})"


def with_clauses(level):
    """Return a level with its clauses in order, and rules by their place in NAMES."""
    whole = len(level["members"]) == 1 or level["combination"] in ("majority", "unanimous")
    default = [] if whole else [("vote", 0.5)]
    sides = level["sides"]
    if not any(sides.values()):
        pairs = [(0, each) for each in default]
    elif 0 in sides:
        pairs = [(0, each) for each in sides[0]]
    else:
        pairs = [(side, each) for side in (1, -1) for each in (sides.get(side) or default)]
    members = [
        each | {"child": NAMES.index(each["child"]) if isinstance(each["child"], str) else with_clauses(each["child"])}
        for each in level["members"]
    ]
    return level | {"members": members, "clauses": pairs + [(0, each) for each in level["constraints"]]}


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(levels(), st.integers(0, 10**6))
def test_levels_are_what_plain_python_makes_of_them(level, seed):
    rng = random.Random(seed)
    warm = [rng.randrange(30) for _ in NAMES]
    signals = [
        [None if i < start or rng.random() < 0.02 else rng.choice([1, 0, -1]) for i in range(len(PLAIN))]
        for start in warm
    ]
    config = config_of(level)
    if len(str(config)) > 3000:
        return
    expected, _ = level_signal(with_clauses(level), PLAIN, signals)

    assert expected == voted(config, dict(zip(NAMES, signals, strict=True)))[0]


@settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(levels(), st.randoms())
def test_the_order_of_members_changes_no_bit(level, order):
    config = config_of(level)
    if len(str(config)) > 3000:
        return
    signals = {name: [random.Random(name).choice([1, 0, -1, None]) for _ in PLAIN] for name in NAMES}

    def shuffled(each):
        if isinstance(each, dict) and "strategy" in each:
            items = [shuffled(item) for item in each["strategy"]]
            order.shuffle(items)
            return each | {"strategy": items, "constraints": each["constraints"][::-1]}
        return each

    other = shuffled(config)

    assert voted(config, signals) == voted(other, signals)
    assert parse_strategy(config).strategy_hash == parse_strategy(other).strategy_hash


def test_the_worked_example_of_an_ensemble():
    config = {
        "strategy": [{"sma_crossover": {"weight": 0.4}}, {"rsi_bands": {"weight": 0.6}}],
        "threshold": 0.5,
    }
    sma = [1, 0, 1, 1, -1, 0, None, None, -1]
    bands = [0, -1, -1, 1, 0, 0, 1, None, None]

    # .4, -.6, -.2, 1, -.4, 0, 1 (the only one that is warm), nobody, -1
    expected = [0, -1, 0, 1, 0, 0, 1, None, -1]
    assert expected == voted(config, {"sma_crossover": sma, "rsi_bands": bands}, market(9))[0]


def test_exactly_half_passes_and_the_default_is_half():
    config = ["sma_crossover", "rsi_bands"]
    signals = {"sma_crossover": [1, 1, 0, 1], "rsi_bands": [0, 1, -1, -1]}

    assert [1, 1, -1, 0] == voted(config, signals, market(4))[0]
    assert [0, 1, 0, 0] == voted({"strategy": config, "threshold": "0.51"}, signals, market(4))[0]


def test_weights_whose_sum_rounds_reach_the_threshold_they_add_up_to():
    weights = {"momentum": 0.1, "rsi_bands": 0.2, "sma_crossover": 0.7}
    config = {"strategy": [{name: {"weight": weight}} for name, weight in weights.items()], "threshold": 0.8}
    signals = {"momentum": [1, 1, 0], "rsi_bands": [0, 1, 1], "sma_crossover": [1, -1, 0]}

    assert [1, 0, 0] == voted(config, signals, market(3))[0]  # 0.1 + 0.7 is 0.7999999999999999
    config["threshold"] = "signal != 0"
    assert [1, -1, 1] == voted(config, signals, market(3))[0]
    config = {"strategy": [{"momentum": {"weight": 0.3}}, *config["strategy"]], "threshold": 0}
    config["strategy"] = [
        {"momentum": {"weight": 0.1}},
        {"rsi_bands": {"weight": 0.2}},
        {"sma_crossover": {"weight": 0.3}},
    ]
    config["strategy"].append({"macd_crossover": {"weight": 0.4}})
    signals = {"momentum": [1], "rsi_bands": [1], "sma_crossover": [-1], "macd_crossover": [0]}
    assert [0] == voted(config, signals, market(1))[0]  # 0.1 + 0.2 - 0.3 is 5.6e-17


def test_a_rejected_signal_is_flat_or_holds():
    signals = {"momentum": [None, 1, 1, -1, 0, -1, 1]}
    bars = market(7)._replace(volume=np.array([1.0, 0, 1, 0, 0, 0, 1]))
    config = {"momentum": {}, "constraints": "volume > 0"}

    assert [None, 0, 1, 0, 0, 0, 1] == voted(config, signals, bars)[0]
    assert [None, 0, 1, 1, 0, 0, 1] == voted(config | {"on_reject": "hold"}, signals, bars)[0]


def test_a_member_whose_condition_fails_leaves_its_weight_to_the_others():
    bars = market(6)._replace(volume=np.array([1.0, 0, 0, 0, 1, 0]))
    config = {
        "strategy": [
            {"momentum": {"weight": 0.7}, "condition": "volume > 0"},
            {"rsi_bands": {"weight": 0.3}},
        ]
    }
    signals = {"momentum": [1, 1, 1, 1, None, 1], "rsi_bands": [0, -1, 0, None, -1, None]}

    found, clauses = voted(config, signals, bars)
    assert [1, -1, 0, 0, -1, 0] == found  # at the fourth nobody votes though one is warm: flat, not unknown
    assert Clause("1", "momentum", "condition: volume > 0", 5, 1) in clauses


def test_majority_and_unanimity_count_the_flat_and_leave_out_the_cold():
    names = ["momentum", "rsi_bands", "sma_crossover"]
    signals = {
        "momentum": [1, 1, 1, 1, -1, None, None],
        "rsi_bands": [1, 0, 1, 1, -1, 1, None],
        "sma_crossover": [1, 0, 0, -1, 0, None, None],
    }

    assert [1, 0, 1, 1, -1, 1, None] == voted({"combination": "majority", "strategies": names}, signals, market(7))[0]
    assert [1, 0, 0, 0, 0, 1, None] == voted({"combination": "unanimous", "strategies": names}, signals, market(7))[0]
    average = {"combination": "average", "weight_threshold": 0.6, "strategies": names}
    assert [1, 0, 1, 0, -1, 1, None] == voted(average, signals, market(7))[0]


def test_directional_thresholds():
    config = {"momentum": {}, "threshold": {"long": "volume > 2", "short": False}}
    bars = market(4)._replace(volume=np.array([3.0, 1, 3, 3]))

    found, clauses = voted(config, {"momentum": [1, 1, -1, 0]}, bars)
    assert [1, 0, 0, 0] == found
    assert [("long: volume > 2", 2, 1), ("short: false", 1, 0)] == [(e.text, e.before, e.after) for e in clauses]


def test_members_named_in_a_threshold():
    signals = {"momentum": [1, 1, 0, -1, 1], "rsi_bands": [0, 1, 1, 1, None]}
    config = {"strategy": ["momentum", "rsi_extreme"], "threshold": "momentum AND rsi_extreme"}

    assert [0, 1, 0, 0, 0] == voted(config, signals, market(5))[0]
    assert [1, 1, 0, 0, 1] == voted(config | {"threshold": "momentum > 0"}, signals, market(5))[0]
    assert [1, 0, 0, 0, 0] == voted(config | {"threshold": "NOT rsi_bands"}, signals, market(5))[0]
    assert [1, 1, 1, 0, 1] == voted(config | {"threshold": "momentum OR rsi_bands"}, signals, market(5))[0]


HAND = {
    # By candle: open times from 15:45 on every five minutes, so that the last two open at 16:00 and 16:05; volume
    # against its mean of 2 candles; both members long throughout.
    "0.5 AND volume > sma(volume, 2) AND market_hours() == 'regular'": [0, 1, 0, 0, 0],
    "0.5 AND volume > sma(volume, 2)": [0, 1, 0, 1, 0],
    "0.5 AND market_hours() == 'regular'": [1, 1, 1, 0, 0],
    "0.5 AND NOT volume > sma(volume, 2)": [0, 0, 1, 0, 1],
    "0.5 AND intraday": [1, 1, 0, 0, 0],
    "0.5 AND time_until_close() > 10": [1, 0, 0, 0, 0],
}


@pytest.mark.parametrize(("threshold", "expected"), HAND.items())
def test_thresholds_filter_what_they_say(threshold, expected):
    close = np.full(5, 10.0)
    ts = START + 375 * 60_000 + STEP * np.arange(5)
    bars = candles(ts, close, close, close, close, np.array([5.0, 9, 3, 7, 7]))
    config = {"strategy": ["sma_crossover", "rsi_bands"], "threshold": threshold}

    assert expected == voted(config, {"sma_crossover": [1] * 5, "rsi_bands": [1] * 5}, bars)[0]


@pytest.mark.parametrize(("threshold", "strong"), [("0.3 AND adx(14) > 25", True), ("0.5 AND adx(14) < 20", False)])
def test_thresholds_on_the_adx_filter_what_they_say(threshold, strong):
    """Forty candles that rise, an ADX of 100, then forty that go up and down, an ADX that sinks below 20."""
    close = np.concatenate([np.arange(100.0, 140.0), 139 + np.tile([0.0, 1.0], 60)])
    bars = candles(START + STEP * np.arange(160), close, close + 1, close - 1, close, np.ones(160))
    config = {"strategy": ["sma_crossover", "rsi_bands"], "threshold": threshold}
    found = voted(config, {"sma_crossover": [1] * 160, "rsi_bands": [1] * 160}, bars)[0]

    assert [0] * 27 == found[:27]  # the ADX is not known before
    assert [int(strong)] * 13 == found[27:40]
    assert [int(not strong)] * 30 == found[130:]
    assert 1 == sum(one != other for one, other in itertools.pairwise(found[40:]))


def test_a_level_is_flat_while_its_filter_warms_up_and_so_with_the_opposite():
    signals = {"momentum": [1] * 30}
    for text in ("rsi(14) > 50", "NOT (rsi(14) > 50)"):
        found, _ = voted({"momentum": {}, "threshold": text}, signals, market(30))
        assert [0] * 14 == found[:14]
        assert {0, 1} == set(found[14:])


def test_an_atom_is_its_rule():
    rule = RULES["bollinger_bands"]
    features = Features(market(200), STEP)
    found, report = signal_of(parse_strategy({"bollinger_bands": {"period": 20, "std": 2.0}}), features)

    assert rule.signal(features, {"period": 20, "std_dev": 2.0}).tolist() == found.tolist()
    assert () == report.clauses
    assert np.int8 == found.dtype
