import json

import pytest
from highwater.engine.traces.grammar import parse_strategy
from highwater.engine.traces.registry import RULES
from highwater.io.config import read_config
from highwater.io.errors import UsageError

SMA = {"sma_crossover": {"fast_period": 10, "slow_period": 20}}
RSI = {"rsi_bands": {"rsi_period": 14, "oversold": 30.0, "overbought": 70.0}}

# By what is written: the config it means.
FORMS = [
    ("sma_crossover", SMA),
    ({"sma_crossover": {}}, SMA),
    ({"sma_crossover": None}, SMA),
    ({"sma_crossover": {"params": {"fast": 10}}}, SMA),
    ({"sma_crossover": {"params": None}}, SMA),
    (["sma_crossover"], SMA),
    ([["sma_crossover"]], SMA),
    ({"strategy": SMA}, SMA),
    ({"strategy": [SMA], "threshold": 0.9}, SMA),
    ({"strategy": [SMA], "threshold": "true", "constraints": []}, SMA),
    ({"combination": "majority", "strategies": [SMA]}, SMA),
    ([{"sma_crossover": {"weight": 1}}], SMA),
    (SMA | {"weight": 1.0}, SMA),
    (SMA | {"constraints": "intraday"}, SMA | {"constraints": "intraday"}),
    ([SMA, {"constraints": "intraday"}], SMA | {"constraints": "intraday"}),
    ({"strategy": [SMA | {"filter": "intraday"}]}, SMA | {"constraints": "intraday"}),
    (
        {"strategy": [SMA | {"filter": "intraday"}], "constraints": "is_friday() AND intraday"},
        SMA | {"constraints": ["intraday", "is_friday()"]},
    ),
    ({"sma_crossover": {"filter": "intraday"}}, SMA | {"constraints": "intraday"}),
    ({"sma_crossover": {"params": {}, "filter": "intraday"}}, SMA | {"constraints": "intraday"}),
    (SMA | {"constraints": ["intraday", "true", "intraday"], "filter": None}, SMA | {"constraints": "intraday"}),
    (SMA | {"threshold": "0.5 AND intraday"}, SMA | {"threshold": "intraday"}),
    (SMA | {"threshold": {"long": "true", "short": False}}, SMA | {"threshold": {"long": "true", "short": "false"}}),
    (SMA | {"threshold": {"long": "intraday"}}, SMA | {"threshold": {"long": "intraday", "short": "true"}}),
    (SMA | {"threshold": {"long": "intraday", "short": "intraday"}}, SMA | {"threshold": "intraday"}),
    (SMA | {"on_reject": "hold"}, SMA | {"on_reject": "hold"}),
    (SMA | {"condition": "intraday"}, SMA | {"condition": "intraday"}),
    ({"rsi_extreme": {"period": 14, "oversold": 30}}, RSI),
    ({"rsi_threshold": {"threshold": 60}}, {"rsi_threshold": {"rsi_period": 14, "threshold": 60.0}}),
    (
        [{"sma_crossover": {"weight": 0.4}}, {"rsi_extreme": {"weight": 0.6}}],
        {"strategy": [RSI | {"weight": 0.6}, SMA | {"weight": 0.4}], "threshold": "0.5"},
    ),
    (
        ["sma_crossover", "rsi_bands", {"threshold": 0}],
        {"strategy": [RSI | {"weight": 0.5}, SMA | {"weight": 0.5}], "threshold": "0"},
    ),
    (
        ["sma_crossover", "rsi_bands", {"threshold": "0 AND intraday"}, {"constraints": "is_friday()"}],
        {
            "strategy": [RSI | {"weight": 0.5}, SMA | {"weight": 0.5}],
            "threshold": "intraday",
            "constraints": "is_friday()",
        },
    ),
    (
        {"combination": "average", "weight_threshold": 0.6, "strategies": ["sma_crossover", "rsi_bands"]},
        {"strategy": [RSI | {"weight": 0.5}, SMA | {"weight": 0.5}], "threshold": "0.6"},
    ),
    (
        {"combination": "unanimous", "strategies": ["sma_crossover", "rsi_bands"], "threshold": "0.7 AND intraday"},
        {"strategy": [RSI, SMA], "combination": "unanimous", "threshold": "intraday"},
    ),
    (
        ["sma_crossover", {"strategy": ["rsi_bands", "momentum"], "on_reject": "hold", "condition": "is_friday()"}],
        {
            "strategy": [
                SMA | {"weight": 0.5},
                {
                    "strategy": [{"momentum": {"period": 14}, "weight": 0.5}, RSI | {"weight": 0.5}],
                    "threshold": "0.5",
                    "on_reject": "hold",
                    "condition": "is_friday()",
                    "weight": 0.5,
                },
            ],
            "threshold": "0.5",
        },
    ),
]


@pytest.mark.parametrize(("value", "expected"), FORMS, ids=lambda value: json.dumps(value)[:60])
def test_every_form_has_one_config(value, expected):
    found = parse_strategy(value)

    assert ordered(expected) == ordered(found.config)
    assert found == parse_strategy(found.config)
    assert found.strategy_hash == parse_strategy(json.loads(json.dumps(found.config))).strategy_hash


def ordered(config):
    """Return a config with its members in one order: which that is, the hash decides, not this test."""
    if isinstance(config, dict):
        made = {key: ordered(each) for key, each in config.items()}
        if isinstance(made.get("strategy"), list):
            made["strategy"].sort(key=lambda each: json.dumps(each, sort_keys=True))
        return made
    return config


DEEP = SMA
for _ in range(10):
    DEEP = {"strategy": [DEEP, RSI]}
ROUND = {"strategy": []}
ROUND["strategy"].append(ROUND)
ROUND_LIST = []
ROUND_LIST.append(ROUND_LIST)

# By what is written: what must be said.
WRONG = [
    ({"sma_crosover": {}}, "strategy: unknown strategy 'sma_crosover'; did you mean 'sma_crossover'?"),
    ({"frobnicate": {}}, "strategy: unknown strategy 'frobnicate'; see highwater traces strategies"),
    ("sma", "strategy: unknown strategy 'sma'"),
    ({"sma_crossover": {"fats": 5}}, "sma_crossover has no parameter 'fats'; did you mean 'fast'?"),
    ({"sma_crossover": {"fast": 4}}, "fast_period is 4; it must be a whole number from 5 to 50"),
    ({"sma_crossover": {"fast": 7.5}}, "fast_period is 7.5; it must be a whole number from 5 to 50"),
    ({"sma_crossover": {"fast": "7"}}, "fast_period is '7'; it must be a whole number"),
    ({"sma_crossover": {"fast": True}}, "fast_period is True; it must be a whole number"),
    ({"sma_crossover": {"fast": [5, 6]}}, "fast_period is [5, 6]; it must be a whole number"),
    ({"sma_crossover": {"fast": 5, "fast_period": 5}}, "fast_period is given twice, as fast and as fast_period"),
    ({"sma_crossover": {"fast": 50, "slow": 50}}, "fast_period is 50; it must be below slow_period, which is 50"),
    ({"bollinger_bands": {"std_dev": float("nan")}}, "std_dev is nan; it must be a number from"),
    ({"sma_crossover": [5, 20]}, "sma_crossover is [5, 20]; it must be a mapping of parameters, {} for the defaults"),
    ({"sma_crossover": {"params": 5}}, "params of sma_crossover is 5; it must be a mapping"),
    ({"sma_crossover": {"params": {}, "fast": 5}}, "sma_crossover: unknown key 'fast'"),
    (SMA | {"constraint": "intraday"}, "strategy: unknown key 'constraint'; did you mean 'constraints'?"),
    ({"threshhold": "0.5"}, "unknown key 'threshhold'; did you mean 'threshold'?"),
    (SMA | RSI, "strategy: it names sma_crossover and rsi_bands; several strategies are a list"),
    ({"constraints": "intraday"}, "strategy: it names no strategy"),
    ({}, "strategy: it names no strategy"),
    ({5: {}}, "strategy is {5: {}}; it must be a mapping such as {sma_crossover: {fast: 10}}"),
    (5, "strategy is 5; it must be a mapping"),
    (None, "strategy is None; it must be a mapping"),
    ([], "strategy is an empty list; it must have at least one strategy"),
    ({"strategy": []}, "strategy is an empty list"),
    ([SMA, []], "strategy, member 2 is an empty list"),
    ([{"threshold": 0.5}], "strategy is an empty list"),
    ([{"threshold": 0.5}, SMA], "strategy: the settings of a level stand behind all its members"),
    ([SMA, {"threshold": 0.5}, RSI], "strategy: the settings of a level stand behind all its members"),
    ([SMA, RSI, {"threshold": 0.5}, {"threshold": 0.6}], "strategy: threshold is given twice"),
    ({"strategy": [SMA, {"threshold": 0.5}], "threshold": 0.5}, "strategy: threshold is given twice"),
    ({"sma_crossover": {"weight": 1}, "weight": 1}, "weight is given twice, in sma_crossover and beside it"),
    ([SMA | {"weight": 0.4}, RSI | {"weight": 0.5}], "the weights 0.4 + 0.5 are 0.9; together they must be 1"),
    ([SMA | {"weight": 0.4}, RSI | {"weight": 0.60001}], "the weights 0.4 + 0.60001 are 1.00001"),
    ([SMA | {"weight": 0.4}, RSI], "rsi_bands has no weight and others have; give all of them one, or none"),
    ([SMA | {"weight": 0}, RSI | {"weight": 1}], "strategy, member 1: weight is 0; it must be a number above 0"),
    ([SMA | {"weight": -1}, RSI | {"weight": 2}], "member 1: weight is -1; it must be a number above 0"),
    ([SMA | {"weight": "1/n"}, RSI], "member 1: weight is '1/n'; it must be a number above 0"),
    ([SMA | {"weight": True}, RSI], "member 1: weight is True; it must be a number above 0"),
    ([SMA | {"weight": 10**400}, RSI], "member 1: weight is 1000"),
    ([SMA | {"weight": float("inf")}, RSI], "member 1: weight is inf; it must be a number above 0"),
    (SMA | {"weight": 0.4}, "strategy: weight is 0.4; a strategy alone weighs 1"),
    (
        {"strategies": [SMA]},
        "strategy: strategies is a sweep, which stands at the top; the list of a level is 'strategy'",
    ),
    (
        {"combination": "majority", "strategies": [SMA | {"weight": 0.5}, RSI | {"weight": 0.5}]},
        "weights mean nothing where the combination is majority; leave them out",
    ),
    (
        {"combination": "mojority", "strategies": [SMA]},
        "combination is 'mojority'; it must be one of weighted, average",
    ),
    ({"combination": ["majority"], "strategies": [SMA]}, "combination is ['majority']; it must be one of"),
    (SMA | {"threshold": 0.5, "weight_threshold": 0.5}, "threshold and weight_threshold exclude each other"),
    (SMA | {"weight_threshold": "0.5"}, "strategy: weight_threshold is '0.5'; it must be a number from 0 to 1"),
    (
        SMA | {"threshold": "volume > sma(volum, 20)"},
        'strategy: threshold: at character 14 of "volume > sma(volum, 20)"',
    ),
    (SMA | {"threshold": 1.5}, 'strategy: threshold: at character 1 of "1.5": the least vote is 1.5'),
    (SMA | {"threshold": ""}, "strategy: threshold is empty"),
    (SMA | {"threshold": {}}, "strategy: threshold says nothing; it must have long, short, or both"),
    (SMA | {"threshold": {"up": "intraday"}}, "strategy: threshold: unknown key 'up'"),
    (SMA | {"threshold": {"long": "volum > 3"}}, "strategy: threshold: long: at character 1"),
    (SMA | {"constraints": 0.5}, "strategy: constraints is 0.5; a least vote stands in a threshold only"),
    (SMA | {"constraints": "0.5 AND intraday"}, "a least vote (0.5) stands in a threshold only"),
    (SMA | {"constraints": ["intraday", "nonsense"]}, "strategy: constraints 2: at character 1"),
    (SMA | {"constraints": {"rsi_below": 70}}, "strategy: constraints is {'rsi_below': 70}; it must be an expression"),
    (SMA | {"condition": "signal > 0"}, "strategy: condition: at character 1"),
    (SMA | {"on_reject": "wait"}, "strategy: on_reject is 'wait'; it must be one of flat, hold"),
    (
        [SMA, SMA | {"constraints": "intraday"}, {"threshold": "sma_crossover"}],
        "several members are named sma_crossover",
    ),
    ([SMA, RSI, {"threshold": "momentum"}], "unknown name 'momentum'"),
    ([SMA | {"risk": {"stop_loss": 0.1}}, RSI], "strategy, member 1: risk is of the whole strategy"),
    (SMA | {"risk": 0.1}, "strategy: risk is 0.1; it must be a mapping such as {stop_loss: 0.02}"),
    ({"regime": "volatility_regime()", "cases": {}}, "regime is not supported; write members with a condition each"),
    ({"condition": "intraday", "if_true": SMA, "if_false": RSI}, "if_true is not supported"),
    ({"conditions": [], "strategy": SMA}, "conditions is not supported"),
    (SMA | {"timeframe": "1m"}, "timeframe is not supported; it belongs to the run: a strategy is of one series"),
    (DEEP, "it nests deeper than 10 levels, or holds itself"),
    (ROUND, "it nests deeper than 10 levels, or holds itself"),
    (ROUND_LIST, "it nests deeper than 10 levels, or holds itself"),
    ([SMA] * 1001, "strategy has 1,001 members; it may have 1,000"),
]


@pytest.mark.parametrize(("value", "expected"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_said(value, expected):
    with pytest.raises(UsageError) as caught:
        parse_strategy(value)

    assert expected in str(caught.value)
    assert str(caught.value).startswith("strategy")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_the_place_of_a_member_of_a_member():
    with pytest.raises(UsageError, match=r"^a\.yaml, member 2\.1: unknown strategy 'smaa_crossover'"):
        parse_strategy([SMA, [{"smaa_crossover": {}}, RSI]], "a.yaml")


def test_yaml_says_what_json_says(tmp_path):
    path = tmp_path / "strategy.yaml"
    path.write_text(
        """
strategy:
  - sma_crossover: {params: {fast_period: 15, slow_period: 50}, weight: 0.4}
  - bollinger_bands: {period: 20, std: 2.0, weight: 0.6}
  - threshold: |
      0.5 and
      volume > sma(volume, 20) and
      market_hours() == 'regular'
"""
    )
    expected = {
        "strategy": [
            {"sma_crossover": {"fast_period": 15, "slow_period": 50, "weight": 0.4}},
            {"bollinger_bands": {"period": 20, "std": 2.0, "weight": 0.6}},
            {"threshold": "0.5 AND volume > sma(volume, 20) AND market_hours() == 'regular'"},
        ]
    }

    assert parse_strategy(expected) == parse_strategy(read_config(path))


@pytest.mark.parametrize("text", ["strategy: &a\n  - *a\n", "strategy:\n  - sma_crossover: {fast: 5, fast: 6}\n"])
def test_yaml_that_refers_to_itself_or_says_a_key_twice(tmp_path, text):
    path = tmp_path / "strategy.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"anchors and aliases|occurs twice"):
        parse_strategy(read_config(path))


@pytest.mark.parametrize("name", RULES)
def test_every_rule_is_an_item(name):
    found = parse_strategy(name)

    assert {name: {each.name: each.default for each in RULES[name].parameters}} == found.config
    assert name == found.strategy_type
