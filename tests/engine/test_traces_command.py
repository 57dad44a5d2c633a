import json
from typing import get_args

import pytest
from highwater.engine.traces.registry import CATEGORIES, RULES
from highwater.engine.traces_command import Category
from small_market import run


def test_every_strategy_is_listed_with_its_words_parameters_and_other_names():
    done = run("traces", "strategies")
    text = " ".join(done.out.split())

    assert (0, "") == (done.code, done.err)
    for rule in RULES.values():
        words = [f"{rule.name} ({rule.category}", f"long {rule.long} short {rule.short}", rule.note, *rule.aliases]
        for each in rule.parameters:
            words += [each.help, *each.aliases]
        assert [] == [word for word in words if word not in text]


def test_a_strategy_is_printed_as_text():
    done = run("traces", "strategies", "--category", "bands")

    block = [
        "rsi_bands (bands, also rsi_extreme)",
        "  long   RSI of the close below oversold",
        "  short  above overbought",
        "  rsi_period  14  7 to 30   candles of Wilder's RSI; also period",
        "  oversold    30  10 to 40  long below it; also rsi_oversold",
        "  overbought  70  60 to 90  short above it; also rsi_overbought",
        "  oversold must be below overbought.",
        "",
    ]
    assert "\n".join(block) in done.out
    assert "use_middle_exit  false  true or false  " in done.out


@pytest.mark.parametrize("category", [None, *CATEGORIES])
def test_a_category_lists_its_own_within_80_columns(category):
    flags = ["--category", category] if category else []
    lines = run("traces", "strategies", *flags).out.splitlines()
    heads = [line for line in lines if line.endswith(")") and not line.startswith(" ")]
    named = [line.partition(" ")[0] for line in heads]

    assert [name for name, rule in RULES.items() if category in (None, rule.category)] == named
    assert [] == [line for line in lines if len(line) > 80]
    assert lines[-1].startswith(f"{len(named)} strategies")


def test_the_categories_of_the_flag_are_those_of_the_rules():
    assert get_args(Category) == CATEGORIES


def test_json_has_all_that_a_rule_says():
    document = json.loads(run("traces", "strategies", "--json").out)
    found = {each["name"]: each for each in document["strategies"]}

    assert list(RULES) == list(found)
    assert ["rsi_extreme"] == found["rsi_bands"]["aliases"]
    assert ["fast_period < slow_period"] == found["sma_crossover"]["constraints"]
    expected = {
        "name": "std_dev",
        "type": "float",
        "default": 2.0,
        "low": 1.5,
        "high": 3.0,
        "help": "distance of the bands in deviations",
        "aliases": ["std"],
    }
    assert expected == found["bollinger_bands"]["parameters"][1]
    middle = found["donchian_bands"]["parameters"][2]
    assert ("bool", False, None, None) == tuple(middle[key] for key in ("type", "default", "low", "high"))


def test_an_unknown_category_is_refused():
    done = run("traces", "strategies", "--category", "band")

    assert (2, "") == (done.code, done.out)
    assert "--category is 'band'; it must be one of" in done.err and "did you mean 'bands'?" in done.err
