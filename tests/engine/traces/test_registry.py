import re
from fractions import Fraction
from math import inf, nan

import numpy as np
import pytest
from highwater.engine.traces.registry import RULES, complete, rule_named, samples
from highwater.io.errors import UsageError

# What the strategy document and its configs write, and what is meant by it.
WRITTEN = [
    ("sma_crossover", {"fast_period": 15, "slow_period": 50}, "sma_crossover", {"fast_period": 15, "slow_period": 50}),
    ("bollinger_bands", {"period": 20, "std": 2.0}, "bollinger_bands", {"period": 20, "std_dev": 2.0}),
    ("bollinger_bands", {"period": 25, "std_dev": 2.5}, "bollinger_bands", {"period": 25, "std_dev": 2.5}),
    ("ma_crossover", {"fast": 10, "slow": 30}, "ma_crossover", {"fast_period": 10, "slow_period": 30}),
    ("momentum", {"period": 14}, "momentum", {"period": 14}),
    (
        "rsi_extreme",
        {"period": 14, "oversold": 30},
        "rsi_bands",
        {"rsi_period": 14, "oversold": 30.0, "overbought": 70.0},
    ),
    ("macd_crossover", {}, "macd_crossover", {"fast_ema": 12, "slow_ema": 26, "signal_ema": 9}),
    ("roc_trend", {"trend_threshold": 1.5}, "roc_trend", {"roc_period": 12, "threshold": 1.5}),
]

# What must be refused: the rule, what is given, what is said.
WRONG = [
    ("bollinger_bands", {"std": "2"}, "std_dev is '2'; it must be a number from 1.5 to 3"),
    ("bollinger_bands", {"std": None}, "std_dev is None; it must be a number from 1.5 to 3"),
    ("bollinger_bands", {"std": nan}, "std_dev is nan; it must be a number from 1.5 to 3"),
    ("bollinger_bands", {"std": inf}, "std_dev is inf; it must be a number from 1.5 to 3"),
    ("bollinger_bands", {"std": 1.4999}, "std_dev is 1.4999; it must be a number from 1.5 to 3"),
    ("bollinger_bands", {"period": 2.5}, "period is 2.5; it must be a whole number from 10 to 50"),
    ("bollinger_bands", {"period": 20.5}, "period is 20.5; it must be a whole number from 10 to 50"),
    ("bollinger_bands", {"period": 51}, "period is 51; it must be a whole number from 10 to 50"),
    ("bollinger_bands", {"period": True}, "period is True; it must be a whole number from 10 to 50"),
    ("bollinger_bands", {"period": [20]}, "period is [20]; it must be a whole number from 10 to 50"),
    ("bollinger_bands", {"period": 10**400}, f"period is 1{'0' * 39}; it must be a whole number from 10 to 50"),
    ("bollinger_bands", {"period": 20 + 1j}, "period is (20+1j); it must be a whole number from 10 to 50"),
    ("donchian_bands", {"use_middle_exit": 1}, "use_middle_exit is 1; it must be true or false"),
    ("donchian_bands", {"use_middle_exit": "yes"}, "use_middle_exit is 'yes'; it must be true or false"),
    ("sma_crossover", {"fast": 30}, "fast_period is 30; it must be below slow_period, which is 20"),
    ("sma_crossover", {"fast": 20}, "fast_period is 20; it must be below slow_period, which is 20"),
    ("ema_crossover", {"fast": 40, "slow": 30}, "fast_period is 40; it must be below slow_period, which is 30"),
    ("bollinger_bands", {"std": 2, "std_dev": 2}, "std_dev is given twice, as std and as std_dev"),
    ("macd_crossover", {"fast": 8, "fast_period": 8}, "fast_ema is given twice, as fast and as fast_period"),
]


@pytest.mark.parametrize("name,given,meant,values", WRITTEN)
def test_what_the_documents_write_is_understood(name, given, meant, values):
    rule = rule_named(name)
    found = complete(rule, given)

    assert meant == rule.name
    assert list(values.items()) == list(found.items())
    assert [type(value) for value in values.values()] == [type(value) for value in found.values()]


@pytest.mark.parametrize("name,given,says", WRONG)
def test_what_is_wrong_is_named(name, given, says):
    with pytest.raises(UsageError, match=f"^{name}: {re.escape(says)}$"):
        complete(rule_named(name), given)


@pytest.mark.parametrize("value", [20, 20.0, np.int64(20), np.float32(20), Fraction(20)])
def test_a_whole_number_is_an_int_however_it_is_written(value):
    found = complete(rule_named("bollinger_bands"), {"period": value, "std": np.float64(2)})

    assert {"period": 20, "std_dev": 2.0} == found
    assert [int, float] == list(map(type, found.values()))


def test_the_ends_of_a_range_are_in_it():
    for rule in RULES.values():
        for each in rule.parameters:
            for end in (each.low, each.high) if not isinstance(each.default, bool) else ():
                free = [pair for pair in rule.ascending if each.name in pair]
                others = {name: _far(rule, name, name == low) for low, high in free for name in (low, high)}

                assert end == complete(rule, others | {each.name: end})[each.name]


def _far(rule, name, first):
    """Return the end of a parameter's range that leaves the other of its pair most room."""
    each = next(each for each in rule.parameters if each.name == name)
    return each.low if first else each.high


def test_an_unknown_parameter_is_refused_with_what_there_is():
    with pytest.raises(UsageError, match=r"^bollinger_bands has no parameter 'perid'; did you mean 'period'\?$"):
        complete(rule_named("bollinger_bands"), {"perid": 20})
    with pytest.raises(UsageError, match=r"^bollinger_bands has no parameter 'x'; it has period, std_dev$"):
        complete(rule_named("bollinger_bands"), {"x": 20})


def test_an_unknown_strategy_is_refused_with_a_suggestion():
    with pytest.raises(UsageError, match=r"^unknown strategy 'rsi_extrem'; did you mean 'rsi_extreme'\?$"):
        rule_named("rsi_extrem")
    with pytest.raises(UsageError, match=r"^unknown strategy 'zzz'; see highwater traces strategies$"):
        rule_named("zzz")


def test_no_name_means_two_things():
    names = [name for rule in RULES.values() for name in (rule.name, *rule.aliases)]

    assert sorted(set(names)) == sorted(names)
    for rule in RULES.values():
        words = [word for each in rule.parameters for word in (each.name, *each.aliases)]
        assert sorted(set(words)) == sorted(words), rule.name


def test_the_defaults_are_good():
    for rule in RULES.values():
        assert {each.name: each.default for each in rule.parameters} == complete(rule, {})


def test_samples_run_through_the_ranges():
    found = samples(rule_named("donchian_bands"), 3)

    assert {"period": (10, 30, 50), "buffer_pct": (0.0, 0.005, 0.01), "use_middle_exit": (False, True)} == found
    assert {"period": (10, 20, 30, 40, 50), "std_dev": (1.5, 1.875, 2.25, 2.625, 3.0)} == samples(
        rule_named("bollinger_bands"), 5
    )
    assert (8, 9, 10, 11, 12, 13, 14, 15) == samples(rule_named("macd_crossover"), 99)["fast_ema"]
    assert {"period": (20,), "std_dev": (2.0,)} == samples(rule_named("bollinger_bands"), 1)


@pytest.mark.parametrize("n", [1, 2, 5, 7])
def test_every_sample_is_a_value_its_rule_takes(n):
    for rule in RULES.values():
        for name, values in samples(rule, n).items():
            each = next(each for each in rule.parameters if each.name == name)
            pairs = {other: _far(rule, other, other == low) for low, high in rule.ascending for other in (low, high)}

            assert sorted(set(values)) == list(values)
            assert {type(each.default)} == set(map(type, values))
            assert list(values) == [complete(rule, pairs | {name: value})[name] for value in values]


def test_no_samples_are_refused():
    with pytest.raises(UsageError, match=r"^0 values of each parameter were asked for"):
        samples(rule_named("momentum"), 0)
