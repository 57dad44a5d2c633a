import json
from typing import get_args

import pytest
import small_series
from highwater.engine.traces.registry import CATEGORIES, RULES
from highwater.engine.traces_command import Category
from highwater.io.runs import list_runs
from small_market import leftovers, run


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


@pytest.fixture(scope="module")
def candles(tmp_path_factory):
    return small_series.write(tmp_path_factory.mktemp("candles"))


def test_a_run_says_what_was_asked_and_what_is_best(candles, tmp_path):
    done = small_series.trace(candles, tmp_path, "--top", "3")
    lines = done.out.splitlines()

    assert (0, "") == (done.code, done.err)
    assert [
        "strategies 5",
        "candles    QQQ 5m, 608 from 2024-01-02T14:30Z to 2024-01-09T20:55Z (UTC)",
        "candles    SPY 5m, 608 from 2024-01-02T14:30Z to 2024-01-09T20:55Z (UTC)",
        "hours      of America/New_York",
        "fills      next_open, fee 0 bps and slippage 1 bps a side",
    ] == lines[:5]
    assert "Best of 10 by Sharpe ratio" in done.out
    assert [] == [line for line in lines[:-1] if len(line.rstrip()) > 80]
    assert str(list_runs(tmp_path)[0].path) == lines[-1].strip()


def test_a_single_strategy_is_told_with_its_filters(candles, tmp_path):
    document = '{"bollinger_bands": {"period": 20}, "constraints": "intraday", "threshold": "volume > 300"}'
    words = ("--symbols", "SPY", "--sl", "0.998")
    done = small_series.trace(candles, tmp_path, *words, strategies=document)

    assert 0 == done.code, done.err
    for text in (
        "Filters on SPY, 608 candles",
        "  volume > 300 ",
        "  intraday ",
        "deepest drawdown",
        "exits      SL -0.2%",
    ):
        assert text in done.out


def test_json_is_one_document(candles, tmp_path):
    document = json.loads(small_series.trace(candles, tmp_path, "--json").out)
    sharpes = [row.get("sharpe") for row in document["strategies"]]

    assert list_runs(tmp_path)[0].run_id == document["run_id"]
    assert (10, {}) == (document["counts"]["traces"], document["kept"])
    assert sorted(sharpes, reverse=True) == sharpes


@pytest.mark.parametrize(
    ("words", "strategies", "code", "message"),
    [
        ((), "bolinger_bands", 2, "unknown strategy 'bolinger_bands'; did you mean 'bollinger_bands'"),
        ((), '{"bollinger_bands": {"perod": 20}}', 2, "has no parameter 'perod'; did you mean 'period'"),
        (
            (),
            '{"bollinger_bands": {"period": "range(10, 50, 1)", "std_dev": "range(1.5, 3, 0.01)"}}',
            5,
            "the limit is 100",
        ),
        ((), "{", 2, "--strategies:1: not JSON"),
        (("--symbols", "TLT"), "sma_crossover", 3, "holds no candles of TLT; it holds QQQ, SPY"),
        (("--zone", "New_York"), "sma_crossover", 2, "the time zone is 'New_York'; it must be a name of the IANA"),
        (("--slippage-bps", "-1"), "sma_crossover", 2, "slippage_bps is -1; it must be at least 0"),
        (("--sl", "1.2"), "sma_crossover", 2, "sl"),
        (("--fill", "open"), "sma_crossover", 2, "--fill is 'open'; it must be one of next_open, signal_close"),
        (("--resample", "7m"), "sma_crossover", 2, "7m is no whole multiple of the interval 5m"),
    ],
)
def test_what_cannot_be_run_is_one_line(candles, tmp_path, words, strategies, code, message):
    if code == 5:
        words = (*words, "--max-strategies", "100")
    done = small_series.trace(candles, tmp_path, *words, strategies=strategies)

    assert (code, "", 1) == (done.code, done.out, done.err.count("\n")), done.err
    assert message in done.err
    assert [] == leftovers(tmp_path)
