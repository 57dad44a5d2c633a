import itertools

import pytest
from highwater.engine.traces.documents import LABELS
from highwater.engine.traces.forms import Strategy
from highwater.engine.traces.grammar import ITEM, LISTS, parse_strategy
from highwater.engine.traces.registry import CATEGORIES, RULES, OutOfOrder, complete, samples
from highwater.engine.traces.sweeps import Expansion, parse_strategies
from highwater.io.errors import LimitError, UsageError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SMA = {"sma_crossover": {"fast_period": 10, "slow_period": 20}}


def configs(document, **how):
    return [each.config for each in parse_strategies(document, **how).strategies]


def test_a_document_without_sweeps_is_one_strategy():
    expected = Expansion((parse_strategy(SMA),))

    assert expected == parse_strategies(SMA)
    assert expected == parse_strategies("sma_crossover")
    assert expected == parse_strategies([SMA])
    assert expected == parse_strategies({"strategy": SMA})
    assert expected == parse_strategies({"strategies": [SMA]})
    assert expected == parse_strategies({"strategies": "sma_crossover"})
    assert expected == parse_strategies({"name": "mine", "description": "?", "strategy": [SMA]})


def test_what_a_trace_file_says_of_itself_is_a_document():
    strategy = parse_strategy(SMA | {"constraints": "intraday"})
    told = dict.fromkeys(LABELS, "x")

    assert (strategy,) == parse_strategies(told | {"strategy_config": strategy.config}).strategies
    assert (strategy,) == parse_strategies(told | {"config": {"strategy": [strategy.config]}}).strategies
    assert (strategy,) == parse_strategies(told | {"config": strategy.config | {"name": "x"}}).strategies


def test_lists_and_ranges_make_every_combination_the_last_varying_fastest():
    document = {"sma_crossover": {"fast": [5, 10], "slow": "range(20, 60, 20)"}}
    expected = [(5, 20), (5, 40), (5, 60), (10, 20), (10, 40), (10, 60)]

    assert expected == [tuple(each["sma_crossover"].values()) for each in configs(document)]
    assert expected == [
        tuple(each["sma_crossover"].values())
        for each in configs({"sma_crossover": {"params": document["sma_crossover"]}})
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("range(10, 30, 10)", [10, 20, 30]),
        ("range(10, 29, 10)", [10, 20]),
        (" range( 10,12 ) ", [10, 11, 12]),
        ("range(10, 10, 1)", [10]),
        (["range(10, 12)", 20, "range(40, 50, 5)"], [10, 11, 12, 20, 40, 45, 50]),
        ("range(10.0, 20.0, 5)", [10, 15, 20]),
    ],
)
def test_ranges_of_whole_numbers(text, expected):
    assert expected == [each["bollinger_bands"]["period"] for each in configs({"bollinger_bands": {"period": text}})]


def test_ranges_of_decimals_hold_their_ends_and_no_rounding():
    found = configs({"bollinger_bands": {"std": "range(1.5, 2.5, 0.1)"}})

    assert [1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.1, 2.2, 2.3, 2.4, 2.5] == [e["bollinger_bands"]["std_dev"] for e in found]


def test_sets_of_parameters_are_not_crossed():
    document = {"sma_crossover": {"params": [{"fast": 5, "slow": 20}, {"fast": 10, "slow": [30, 40]}]}}

    assert [(5, 20), (10, 30), (10, 40)] == [tuple(each["sma_crossover"].values()) for each in configs(document)]


def test_what_does_not_ascend_is_skipped_and_counted():
    found = parse_strategies({"sma_crossover": {"fast": [10, 20, 30], "slow": [20, 25]}})

    assert [(10, 20), (10, 25), (20, 25)] == [tuple(each.parameters.values()) for each in found.strategies]
    assert (3, 0) == (found.skipped, found.duplicates)
    with pytest.raises(OutOfOrder, match="fast_period is 30; it must be below slow_period, which is 20"):
        parse_strategies({"sma_crossover": {"fast": 30, "slow": 20}})
    with pytest.raises(UsageError, match="nothing is left of 2 strategies; in each a parameter is not below another"):
        parse_strategies({"sma_crossover": {"fast": [30, 40], "slow": 20}})


def test_what_is_out_of_range_is_not_skipped():
    with pytest.raises(UsageError, match="fast_period is 51; it must be a whole number from 5 to 50"):
        parse_strategies({"sma_crossover": {"fast": [10, 51], "slow": 60}})


def test_the_same_strategy_twice_is_one_and_counted():
    found = parse_strategies({"strategies": [SMA, {"sma_crossover": {"fast": [10.0, 5]}}, [SMA]]})

    assert [10, 5] == [each.parameters["fast_period"] for each in found.strategies]
    assert (0, 2) == (found.skipped, found.duplicates)


def test_ids_are_in_the_order_of_the_strategies():
    found = parse_strategies({"rsi_bands": {"period": [7, 14, 14, 21]}})

    assert ["strategy_0", "strategy_1", "strategy_2"] == list(found.ids())
    assert [7, 14, 21] == [each.parameters["rsi_period"] for each in found.strategies]


def test_a_level_with_swept_members_is_every_level():
    document = {
        "strategy": [
            {"sma_crossover": {"fast": [5, 10], "weight": 0.4}},
            {
                "strategy": [{"rsi_bands": {"period": [7, 14]}}, "momentum"],
                "weight": 0.6,
                "threshold": [0.3, "0.5 AND intraday"],
            },
        ]
    }
    expected = [
        parse_strategy(
            [
                {"sma_crossover": {"fast": fast, "weight": 0.4}},
                {"strategy": [{"rsi_bands": {"period": period}}, "momentum"], "weight": 0.6, "threshold": threshold},
            ]
        )
        for fast, period, threshold in itertools.product([5, 10], [7, 14], [0.3, "0.5 AND intraday"])
    ]

    assert expected == list(parse_strategies(document).strategies)


def test_thresholds_filters_and_exits_are_swept():
    found = parse_strategies(
        SMA | {"filter": [None, "volume > sma(volume, 20)", "intraday"], "constraints": ["hour > 9", "hour < 15"]}
    )
    hours = "hour < 15 AND hour > 9"
    assert [hours, f"{hours} AND volume > sma(volume, 20)", f"{hours} AND intraday"] == [
        each.constraints for each in found.strategies
    ]

    found = parse_strategies({"strategy": [SMA, "momentum"], "threshold": {"long": [0.3, 0.6], "short": [False, 0.5]}})
    assert 4 == len({each.strategy_hash for each in found.strategies})

    found = parse_strategies(SMA | {"risk": {"stop_loss": "range(0.01, 0.03, 0.01)", "take_profit": [None, 0.02]}})
    assert [(0.01, None), (0.01, 0.02), (0.02, None), (0.02, 0.02), (0.03, None), (0.03, 0.02)] == [
        each.risk and (each.risk.stop_loss, each.risk.take_profit) for each in found.strategies
    ]
    assert 1 == len({each.strategy_hash for each in found.strategies})


def test_the_items_of_strategies_are_swept_by_themselves():
    document = {
        "strategies": [{"sma_crossover": {"fast": [5, 10]}}, {"rsi_bands": {"period": [7, 14]}}, [SMA, "momentum"]]
    }

    assert ["sma_crossover", "sma_crossover", "rsi_bands", "rsi_bands", "ensemble"] == [
        each.strategy_type for each in parse_strategies(document).strategies
    ]


def test_what_stands_beside_the_strategies_is_of_each():
    document = {
        "strategies": [
            SMA,
            SMA | {"filter": "hour < 15", "risk": {"stop_loss": 0.01}},
            [SMA, "momentum", {"threshold": 0.7}],
        ],
        "constraints": "intraday",
        "risk": {"stop_loss": 0.02},
    }
    expected = [
        parse_strategy(SMA | {"constraints": "intraday", "risk": {"stop_loss": 0.02}}),
        parse_strategy(SMA | {"constraints": ["intraday", "hour < 15"], "risk": {"stop_loss": 0.01}}),
        parse_strategy([SMA, "momentum", {"threshold": 0.7, "constraints": "intraday", "risk": {"stop_loss": 0.02}}]),
    ]

    assert expected == list(parse_strategies(document).strategies)


def sampled(names, granularity=5):
    made = []
    for name in names:
        rule = RULES[name]
        spread = samples(rule, granularity)
        for values in itertools.product(*spread.values()):
            try:
                made.append((name, dict(complete(rule, dict(zip(spread, values, strict=True))))))
            except OutOfOrder:
                continue
    return made


def rules_and_values(expansion):
    return [(each.strategy_type, each.parameters) for each in expansion.strategies]


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_category_is_every_rule_of_it(category):
    names = [name for name, rule in RULES.items() if rule.category == category]
    expected = sampled(names, 3)
    for item in (f"{category}.*", {category: "*"}, f"{category.rstrip('s')}s.*"):
        found = parse_strategies({"strategies": [item], "granularity": 3})

        assert expected == rules_and_values(found)


def test_all_rules():
    found = parse_strategies({"strategies": "*", "granularity": 2, "exclude": ["bands.*", "obv_trend"]})
    names = [name for name, rule in RULES.items() if rule.category != "bands" and name != "obv_trend"]

    assert sampled(names, 2) == rules_and_values(found)
    assert found.skipped > 0
    assert len(sampled(RULES)) == len(parse_strategies({"strategies": "*"}).strategies)


def test_a_wildcard_of_one_rule_and_one_with_settings_of_its_own():
    found = parse_strategies({"strategies": [{"rsi_extreme": "*", "granularity": 3, "constraints": "intraday"}, SMA]})

    assert [*sampled(["rsi_bands"], 3), ("sma_crossover", {"fast_period": 10, "slow_period": 20})] == rules_and_values(
        found
    )
    assert {"intraday": 27, None: 1} == {
        text: sum(each.constraints == text for each in found.strategies) for text in ("intraday", None)
    }


WRONG = [
    ({"strategies": []}, "strategies: strategies is an empty list"),
    ({"strategies": [SMA, {"sma_crosover": {}}]}, "strategies, strategy 2: unknown strategy 'sma_crosover'"),
    ({"strategies": [SMA], "exlude": ["x"]}, "strategies: unknown key 'exlude'; did you mean 'exclude'?"),
    ({"strategies": ["crossing.*"]}, "strategy 1: 'crossing' is no category and no strategy"),
    ({"strategies": [{"frob": "*"}]}, "'frob' is no category and no strategy; categories are crossover, bands"),
    ({"strategies": "*", "exclude": "bandz"}, "exclude: 'bandz' is no category and no strategy; did you mean 'bands'?"),
    ({"strategies": "*", "exclude": 5}, "exclude is 5; it must be a list of names"),
    ({"strategies": "bands.*", "exclude": ["bands"]}, "'bands' without those excluded leaves no strategy"),
    ({"strategies": "*", "granularity": 0}, "granularity is 0; it must be a whole number from 1 to 1,000"),
    ({"strategies": "*", "granularity": 2.5}, "granularity is 2.5; it must be a whole number"),
    ({"strategies": [{"bands": "*", "threshhold": 1}]}, "unknown key 'threshhold'"),
    (["*"], "strategies, member 1: unknown strategy '*'"),
    ({"config": SMA, "constraints": "intraday"}, "strategies: unknown key 'constraints'"),
    ({"sma_crossover": {"fast": []}}, "sma_crossover: fast is an empty list; it must have at least one value"),
    ({"sma_crossover": {"fast": [[5, 6]]}}, "sma_crossover: fast is a list of lists; it must be a list of values"),
    ({"sma_crossover": {"params": []}}, "sma_crossover: params is an empty list"),
    ({"sma_crossover": {"params": [5]}}, "sma_crossover: params is 5; it must be a mapping of parameters"),
    (
        {"sma_crossover": {"fast": "range(5, 20, 0)"}},
        "fast is 'range(5, 20, 0)'; it must run upwards, by a step above 0",
    ),
    ({"sma_crossover": {"fast": "range(20, 5, 1)"}}, "it must run upwards, by a step above 0"),
    ({"sma_crossover": {"fast": "range(5)"}}, "it must be range(start, stop, step), such as range(10, 50, 10)"),
    ({"sma_crossover": {"fast": "range(5, x, 1)"}}, "it must be range(start, stop, step)"),
    ({"sma_crossover": {"fast": "range(5, 20, 1"}}, "fast_period is 'range(5, 20, 1'; it must be a whole number"),
    ({"sma_crossover": {"fast": "range(5, 20, 0.5)"}}, "fast_period is 5.5; it must be a whole number"),
    (SMA | {"threshold": []}, "threshold is an empty list"),
    (SMA | {"condition": ["intraday"]}, "condition is ['intraday']; it must be an expression"),
    (
        [{"sma_crossover": {"weight": [0.4, 0.5]}}, "momentum"],
        "member 1: weight is [0.4, 0.5]; it must be a number above 0",
    ),
    (None, "strategies is None; it must be a mapping"),
    ({"sma_crossover": {None: 5}}, "strategies: the key None must be text"),
    ({5: {}}, "strategies: the key 5 must be text"),
    ({}, "strategies: it names no strategy"),
]


@pytest.mark.parametrize(("document", "expected"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_said(document, expected):
    with pytest.raises(UsageError) as caught:
        parse_strategies(document)

    assert expected in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_sweep_that_is_too_large_is_refused_before_it_is_made():
    thousands = {"bollinger_bands": {"period": "range(10, 50)", "std": "range(1.5, 3, 0.00001)"}}
    with pytest.raises(LimitError, match=r"makes 6,150,041 strategies, the limit is 100,000; .*--max-strategies"):
        parse_strategies(thousands)
    with pytest.raises(LimitError, match="makes 232,613,027,198,514,518,921 "):
        parse_strategies([thousands, thousands, thousands])
    with pytest.raises(LimitError, match="3 strategies, the limit is 2"):
        parse_strategies({"rsi_bands": {"period": [7, 14, 14]}}, "a.yaml", 2)
    with pytest.raises(LimitError, match="1,500,000,001 values; the limit is 1,000,000"):
        parse_strategies({"bollinger_bands": {"std": "range(1.5, 3, 0.000000001)"}})
    assert 5 == LimitError("").exit_code


def test_a_sweep_and_its_strategies_one_by_one_are_the_same():
    document = {
        "strategies": ["bands.*", {"strategy": [{"sma_crossover": {"fast": [5, 10]}}, "momentum"]}],
        "granularity": 2,
    }
    found = parse_strategies(document)

    assert all(isinstance(each, Strategy) for each in found.strategies)
    assert found.strategies == tuple(parse_strategy(each.config) for each in found.strategies)


keys = st.sampled_from(
    [
        *(*ITEM, *LISTS, *LABELS),
        *("config", "exclude", "granularity", "params", "long", "stop_loss", "fast", "period", "*"),
        *("sma_crossover", "rsi_extreme", "bands", "momentum", "nonsense", "regime", "timeframe"),
    ]
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 60),
    st.sampled_from([0.5, 1e300, float("nan"), float("inf"), 10**400]),
    st.sampled_from(
        ["*", "bands.*", "sma_crossover", "intraday", "0.5 AND intraday", "range(5, 20, 5)", "majority", "2h", ""]
    ),
)
documents = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(keys, inner, max_size=3),
        st.dictionaries(leaves, inner, max_size=1),
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=600, suppress_health_check=list(HealthCheck))
@given(documents)
def test_any_document_is_read_or_refused_in_one_line(document):
    try:
        found = parse_strategies(document, max_strategies=500)
    except (UsageError, LimitError) as error:
        assert str(error).isprintable()
        return
    assert found.strategies == tuple(
        parse_strategy(each.config | ({"risk": each.risk.canonical()} if each.risk else {}))
        for each in found.strategies
    )
