import pytest
from highwater.engine.policy import Policy, Rung
from highwater.engine.traces.risk import Risk, parse_risk
from highwater.io.errors import UsageError

STEP = 300_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({}, Policy()),
        ({"stop_loss": None}, Policy()),
        ({"stop_loss": 0.05}, Policy(sl=0.95)),
        ({"take_profit": 0.1}, Policy(tp=(Rung(1.1),))),
        ({"take_profit": 2}, Policy(tp=(Rung(3.0),))),
        ({"trailing_stop": 0.01}, Policy(trail_pct=0.01)),
        ({"trailing_stop": {"distance": 0.01, "activate": 0.02}}, Policy(trail_pct=0.01, trail_activate=1.02)),
        ({"max_holding_period": 100}, Policy(time_ms=100 * STEP)),
        ({"max_holding_period": "2h"}, Policy(time_ms=7_200_000)),
        (
            {"stop_loss": 0.3, "take_profit": 0.6, "trailing_stop": 0.25, "max_holding_period": "1d"},
            Policy(sl=0.7, tp=(Rung(1.6),), trail_pct=0.25, time_ms=86_400_000),
        ),
    ],
)
def test_exits_of_a_config(value, expected):
    found = parse_risk(value, "risk")

    assert expected == found.policy(STEP)
    assert found == parse_risk(found.canonical(), "risk")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1, "risk is 0.1; it must be a mapping such as {stop_loss: 0.02}"),
        ({"stoploss": 0.1}, "risk: unknown key 'stoploss'; did you mean 'stop_loss'?"),
        ({"stop_loss": 2}, "risk: stop_loss is 2; it must be a fraction above 0 and below 1; did you mean 0.02?"),
        ({"stop_loss": 0}, "risk: stop_loss is 0; it must be a fraction above 0 and below 1"),
        ({"stop_loss": -0.1}, "risk: stop_loss is -0.1; it must be a fraction above 0"),
        ({"stop_loss": float("nan")}, "risk: stop_loss is nan; it must be a fraction"),
        ({"stop_loss": True}, "risk: stop_loss is True; it must be a fraction such as 0.02 for 2 %"),
        ({"stop_loss": [0.1]}, "risk: stop_loss is [0.1]; it must be a fraction"),
        ({"stop_loss": "2 * atr(14)"}, "exits that move with an indicator are not supported"),
        (
            {"take_profit": 25},
            "risk: take_profit is 25; it must be a fraction above 0 and below 10; did you mean 0.25?",
        ),
        ({"trailing_stop": {"activate": 0.1}}, "risk: trailing_stop has no distance"),
        ({"trailing_stop": {"distanse": 0.1}}, "risk: trailing_stop: unknown key 'distanse'; did you mean 'distance'?"),
        ({"max_holding_period": 0}, "max_holding_period is 0; it must be a number of candles from 1 on"),
        ({"max_holding_period": float("inf")}, "max_holding_period is inf; it must be a number of candles"),
        ({"max_holding_period": float("nan")}, "max_holding_period is nan; it must be a number of candles"),
        ({"max_holding_period": 1.5}, "max_holding_period is 1.5; it must be a number of candles"),
        ({"max_holding_period": "long"}, "max_holding_period is 'long'; it must be a duration"),
        ({"max_holding_period": "0s"}, "max_holding_period is '0s'; it must be longer than nothing"),
        ({"position_size": 0.1}, "risk: position_size is not supported; a trace holds one unit"),
        ({"max_positions": 2}, "risk: max_positions is not supported; a trace holds one position at a time"),
    ],
)
def test_what_exits_cannot_say(value, expected):
    with pytest.raises(UsageError) as caught:
        parse_risk(value, "risk")

    assert expected in str(caught.value)


def test_no_exits():
    assert Policy() == Risk().policy(STEP)
    assert {} == Risk().canonical()
