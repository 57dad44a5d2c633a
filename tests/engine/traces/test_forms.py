import hashlib

import pytest
from document_strategies import COMPOSITE, ENSEMBLE
from highwater.engine.traces.grammar import parse_strategy
from highwater.engine.traces.votes import rules_of
from hypothesis import given
from hypothesis import strategies as st

BANDS = {"bollinger_bands": {"period": 20, "std_dev": 2.0}}
GOLDEN = {
    "bands": BANDS,
    "bands 25": {"bollinger_bands": {"period": 25, "std_dev": 2.0}},
    "intraday": BANDS | {"constraints": "intraday"},
    "ensemble": ENSEMBLE,
    "composite": COMPOSITE,
    "held": BANDS | {"threshold": {"long": "rsi(14, '1h') < 70", "short": False}, "on_reject": "hold"},
}
HASHES = {
    "bands": "7118e06d426460bff8ba912ea5513cd1eaab4f1f99527d4dbf941573dcc3b777",
    "bands 25": "8ea652bf0fd16b70c9fce00f03954c54f253e4be9a919a204434a4144988cc9c",
    "intraday": "c6c0157e311a4f42ce87ab108df8d482cae7c865763f9194bd9c3828cffdd7fa",
    "ensemble": "b5dd2936f2a4eda40949991335861aeb021b6d6cc0255b856a9a6c6f6387cdfe",
    "composite": "7d8c5cbcb02f9f2e3994cb50b8fd7d074bc8f4f14cbfd80cda366eee58ffed76",
    "held": "c3464bc4c204e7235c4e734a7b6955747845274fc789a9b4bb0427a7d83eb205",
}

# Pairs that mean the same, by what would tell them apart (ORIGINS, defects of the hash).
SAME = {
    "a whole number of a float": (BANDS, {"bollinger_bands": {"period": 20, "std_dev": 2}}),
    "a float of a whole number": (BANDS, {"bollinger_bands": {"period": 20.0, "std_dev": 2.0}}),
    "defaults": (BANDS, {"bollinger_bands": {}}),
    "an alias of a parameter": (BANDS, {"bollinger_bands": {"std": 2.0}}),
    "an alias of a rule": ({"rsi_extreme": {"period": 14}}, {"rsi_bands": {"rsi_period": 14}}),
    "the order of parameters": (BANDS, {"bollinger_bands": {"std_dev": 2.0, "period": 20}}),
    "the order of members": (ENSEMBLE, {"strategy": [*ENSEMBLE["strategy"][1::-1], ENSEMBLE["strategy"][2]]}),
    "the way a threshold is written": (
        ENSEMBLE,
        {
            "strategy": ENSEMBLE["strategy"][:2],
            "threshold": ".50 and (volume>ma( volume,20.0 )) and 'regular'==market_hours()",
        },
    ),
    "the order of constraints": (
        BANDS | {"constraints": ["intraday", "is_friday()"]},
        BANDS | {"constraints": "is_friday() AND intraday"},
    ),
    "where constraints stand": (BANDS | {"constraints": "intraday"}, [BANDS, {"constraints": "intraday"}]),
    "a filter and a constraint": (BANDS | {"constraints": "intraday"}, BANDS | {"filter": "intraday"}),
    "equal weights": (
        [BANDS, "momentum"],
        [{"bollinger_bands": {"weight": 0.5}}, {"momentum": {"weight": 0.5}}, {"threshold": 0.5}],
    ),
    "the form of a rule": (BANDS, {"bollinger_bands": {"params": {"period": 20}}}),
    "exits": (BANDS, BANDS | {"risk": {"stop_loss": 0.02}}),
}
DIFFERENT = {
    "a parameter": (BANDS, {"bollinger_bands": {"period": 21}}),
    "a constraint": (BANDS, BANDS | {"constraints": "intraday"}),
    "another constraint": (BANDS | {"constraints": "intraday"}, BANDS | {"constraints": "is_friday()"}),
    "a threshold": (ENSEMBLE, ENSEMBLE["strategy"][:2]),
    "a least vote": ([BANDS, "momentum"], [BANDS, "momentum", {"threshold": 0.6}]),
    "no least vote": ([BANDS, "momentum"], [BANDS, "momentum", {"threshold": 0}]),
    "the number of equal members": ([BANDS, "momentum"], [BANDS, BANDS, "momentum"]),
    "what a rejected signal becomes": (
        BANDS | {"constraints": "intraday"},
        BANDS | {"constraints": "intraday", "on_reject": "hold"},
    ),
    "weights": (
        [{"bollinger_bands": {"weight": 0.5}}, {"momentum": {"weight": 0.5}}],
        [{"bollinger_bands": {"weight": 0.4}}, {"momentum": {"weight": 0.6}}],
    ),
    "a level within": ([BANDS, "momentum", "rsi_bands"], [BANDS, ["momentum", "rsi_bands"]]),
    "the side of a threshold": (BANDS | {"threshold": "intraday"}, BANDS | {"threshold": {"long": "intraday"}}),
    "a combination": ([BANDS, "momentum"], {"combination": "majority", "strategies": [BANDS, "momentum"]}),
}


def known_by(value):
    return parse_strategy(value).strategy_hash


@pytest.mark.parametrize("name", SAME)
def test_what_does_not_matter_does_not_change_the_hash(name):
    one, other = SAME[name]

    assert known_by(one) == known_by(other)
    assert parse_strategy(one).form == parse_strategy(other).form


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_matters_does(name):
    one, other = DIFFERENT[name]

    assert known_by(one) != known_by(other)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_hash_stays_what_it_was(name):
    assert HASHES[name] == known_by(GOLDEN[name])


def test_a_hash_is_that_of_the_config_in_canonical_json():
    texts = {
        "bands": '{"bollinger_bands":{"period":20,"std_dev":2}}',
        "intraday": '{"bollinger_bands":{"period":20,"std_dev":2},"constraints":"intraday"}',
        "held": '{"bollinger_bands":{"period":20,"std_dev":2},"on_reject":"hold",'
        '"threshold":{"long":"rsi(14, \'1h\') < 70","short":"false"}}',
    }
    for name, text in texts.items():
        assert hashlib.sha256(text.encode()).hexdigest() == HASHES[name]


def test_exits_have_a_hash_of_their_own():
    one, other, none = (
        parse_strategy(BANDS | {"risk": risk}).risk_hash for risk in ({"stop_loss": 0.02}, {"stop_loss": 0.03}, None)
    )

    assert 3 == len({one, other, none})
    assert none == parse_strategy(BANDS).risk_hash == parse_strategy(BANDS | {"risk": {}}).risk_hash
    assert one == parse_strategy(BANDS | {"risk": {"stop_loss": 0.020, "take_profit": None}}).risk_hash
    assert all(64 == len(each) for each in (one, known_by(BANDS)))


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=40))
def test_weights_that_are_read_back_are_the_same(weights):
    total = sum(weights)
    items = [{"momentum": {"period": 5 + i, "weight": weight / total}} for i, weight in enumerate(weights)]
    found = parse_strategy(items)

    assert found == parse_strategy(found.config)
    found = parse_strategy(["momentum" if i == 0 else {"momentum": {"period": 5 + i}} for i in range(len(weights))])
    assert found == parse_strategy(found.config)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (BANDS, "bollinger_bands"),
        (BANDS | {"constraints": "intraday"}, "bollinger_bands"),
        ([BANDS], "bollinger_bands"),
        ({"rsi_extreme": {}}, "rsi_bands"),
        (ENSEMBLE, "ensemble"),
        ([BANDS | {"constraints": "intraday"}, "momentum"], "ensemble"),
        (COMPOSITE, "composite"),
        ([BANDS, ["momentum", "rsi_bands"]], "composite"),
    ],
)
def test_types(value, expected):
    assert expected == parse_strategy(value).strategy_type


def test_parameters_and_constraints():
    found = parse_strategy(BANDS | {"constraints": ["intraday", "is_friday() OR hour < 12"]})

    assert {"period": 20, "std_dev": 2.0} == found.parameters
    assert "intraday AND (is_friday() OR hour < 12)" == found.constraints
    assert parse_strategy(BANDS | {"constraints": found.constraints}).form == found.form
    assert {} == parse_strategy(ENSEMBLE).parameters
    assert None is parse_strategy(BANDS).constraints is parse_strategy(ENSEMBLE).constraints
    assert "bollinger_bands+sma_crossover" == rules_of(parse_strategy(ENSEMBLE).form)
