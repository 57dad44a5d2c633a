import json
from itertools import pairwise

import pytest
from highwater.io.labs import made_up
from highwater.io.labs.made_up import MadeUpLab
from shared_market import DATA, needs_data

LAB = MadeUpLab(backtests=20)


def keys(value, depth=0):
    """Return the shape of a JSON value: names and types, of a list that of its first entry."""
    if isinstance(value, dict) and depth < 5:
        return {name: keys(each, depth + 1) for name, each in value.items()}
    if isinstance(value, list):
        return [keys(value[0], depth + 1)] if value else []
    return type(value).__name__


def test_the_same_lab_is_the_same_each_time():
    assert made_up.runtime(LAB, 3) == made_up.runtime(MadeUpLab(backtests=5), 3)
    assert made_up.runtime(LAB, 3) != made_up.runtime(MadeUpLab(seed=8), 3)
    assert len(set(LAB.ids())) == 20


@pytest.mark.parametrize("i", range(20))
def test_positions_add_up_to_the_report(i):
    runtime = made_up.runtime(LAB, i)
    (report,), done = runtime["Reports"].values(), runtime["FinishedPositions"]

    for each in done:
        (entry,), (exit_,) = each["eno"], each["exo"]
        gross = (exit_["ep"] - entry["ep"]) * entry["a"] * (-1 if each["d"] else 1)
        assert gross == pytest.approx(exit_["pr"])
        assert each["fe"] == pytest.approx(0.0005 * entry["a"] * (entry["ep"] + exit_["ep"]))
        assert each["rp"] == pytest.approx(gross - each["fe"])
        assert entry["m"] == pytest.approx(entry["ep"] * entry["a"] / 20)
        assert each["roi"] == pytest.approx(each["rp"] / entry["m"] * 100, abs=1e-4)
    assert report["PR"]["RP"] == pytest.approx(report["PR"]["GP"] - report["F"]["TFC"])
    assert len(done) == report["P"]["C"]
    assert report["P"]["PH"] == [each["rp"] for each in done]
    assert all(before["ct"] < after["ot"] for before, after in pairwise(done))


def test_fills_lie_in_their_candles():
    for each in made_up.positions(LAB, 4):
        for order in (*each["eno"], *each["exo"]):
            _, high, low, _, _ = made_up.candle(LAB.market, order["ct"])
            assert low <= order["ep"] <= high


def test_what_is_made_up_is_json():
    for value in (made_up.item(LAB, 0), made_up.item(LAB, 1), made_up.details(LAB), made_up.runtime(LAB, 2)):
        assert value == json.loads(json.dumps(value, allow_nan=False))


@pytest.mark.parametrize("name", ["runtime", "chart"])
@needs_data[0]
@needs_data[1]
def test_the_shape_is_that_of_the_sample(name):
    if name == "runtime":
        sample = json.loads((DATA / "haas" / "backtest_runtime_closed_position.json").read_text())["Data"]
        made = made_up.runtime(LAB, next(i for i in range(20) if made_up.positions(LAB, i)))
        for each in (sample, made):  # keys of these are names of accounts and inputs
            each["Reports"] = next(iter(each["Reports"].values()))
            each["InputFields"] = next(iter(each["InputFields"].values()))
            each["InputFields"] |= {"O": None}
    else:
        sample = json.loads((DATA / "haas" / "backtest_chart_first150min.json").read_text())
        made = made_up.chart("x", LAB.market, LAB.start, LAB.start + 600)
        for each in (sample, made):
            each["Charts"] = each["Charts"]["0"]
            each["Charts"]["PricePlot"]["Candles"] = next(iter(each["Charts"]["PricePlot"]["Candles"].values()))
            each["Charts"] |= {"DataLines": {}, "TradeAnnotations": []}

    assert keys(sample) == keys(made)
