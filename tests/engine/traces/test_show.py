import json

import pytest
from highwater.engine.traces.grammar import parse_strategy
from highwater.engine.traces.show import earned, ranking, rows_json, what

NESTED = {
    "strategy": [
        {"weight": 0.6, "strategy": [{"sma_crossover": {}}, {"momentum": {}}], "threshold": "0.3 AND adx(14) > 25"},
        {"weight": 0.4, "bollinger_bands": {}},
    ]
}


def row(config, **more):
    strategy = parse_strategy(config)
    found = {"strategy_type": strategy.strategy_type, "config": json.dumps(strategy.config), "exits": None}
    return found | {"constraints": strategy.constraints, "symbol": "SPY", "timeframe": "5m"} | more


RESULT = {"sharpe": 1.234, "total_return": 0.1, "max_drawdown": -0.051, "win_rate": 0.58, "num_trades": 1234}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"bollinger_bands": {"std": 2.5}}, "bollinger_bands(20, 2.5)"),
        ({"bollinger_bands": {}, "constraints": "intraday"}, "bollinger_bands(20, 2), intraday"),
        ({"bollinger_bands": {}, "threshold": "adx(14) < 20"}, "bollinger_bands(20, 2) if adx(14) < 20"),
        (
            {"bollinger_bands": {}, "threshold": {"long": "adx(14) < 20", "short": "true"}},
            "bollinger_bands(20, 2) if long: adx(14) < 20; short: true",
        ),
        ({"donchian_bands": {"use_middle_exit": True}}, "donchian_bands(20, 0.002, true)"),
    ],
)
def test_a_strategy_is_said_in_words(config, words):
    assert words == what(row(config))


def test_levels_name_their_rules():
    assert what(row(NESTED)).startswith("composite (")
    assert "(momentum + sma_crossover)" in what(row(NESTED)) or "(sma_crossover + momentum)" in what(row(NESTED))


def test_what_another_engine_said_is_named_by_its_type():
    found = {
        "strategy_type": "old_rule",
        "config": '{"file":"x","type":"old_rule"}',
        "constraints": None,
        "exits": None,
    }

    assert "old_rule" == what(found) == what(found | {"config": "no json"})


def test_exits_are_said_too():
    assert "bollinger_bands(20, 2), SL -1%" == what(row({"bollinger_bands": {}}, exits='{"kind":"exits","sl":"0.99"}'))


def test_what_is_not_known_is_a_dash():
    assert ["1.23", "+10.0%", "-5.1%", "58%", "1,234"] == earned(RESULT)
    assert ["-"] * 5 == earned(dict.fromkeys(RESULT))


@pytest.mark.parametrize(("config", "beside"), [({"bollinger_bands": {}}, True), (NESTED, False)])
def test_words_stand_beside_the_numbers_where_they_fit(capsys, config, beside):
    found = row(config, **RESULT, strategy_id="strategy_0", strategy_hash="a3" * 32, run_id="0" * 26)
    ranking("Best", [found], several=False)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    held = next(line for line in lines if line.startswith("strategy_0"))

    assert beside == (what(found) in held)
    assert any(what(found) in line for line in lines)
    assert all(len(line) <= 80 for line in lines if "1.23" in line)


def test_json_leaves_out_what_is_null():
    found = rows_json({"config": '{"a":1}', "exits": None, "sharpe": None, "symbol": "SPY"})

    assert {"config": {"a": 1}, "symbol": "SPY"} == found
