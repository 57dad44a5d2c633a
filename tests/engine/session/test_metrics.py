import json
import math
import re

import documents
import numpy as np
import pytest
from highwater.engine.session.metrics import (
    attribution,
    buckets,
    concentration,
    drawdown,
    equity_columns,
    merged,
    metrics_of,
)

MINUTE = 60_000


def trades(r, days=None, pnl=None, **more):
    """Return columns of trades that are entered an hour apart and last half an hour."""
    r = np.array(r, float)
    entered = np.arange(r.size) * 60 * MINUTE
    found = {
        "symbol": ["SPY"] * r.size,
        "trade_id": [f"SPY-{i}" for i in range(r.size)],
        "day": [f"2024-01-{1 + i:02}" for i in range(r.size)] if days is None else days,
        "entry_timestamp": entered,
        "exit_timestamp": entered + 30 * MINUTE,
        "realized_r": r,
        "worst_r": r - 0.5,
        "best_r": r + 0.25,
        "ambiguous": r < 0,
        "pnl": r * 100 if pnl is None else np.array(pnl, float),
    }
    return found | more


# The example of the page of formulas: name -> what it is there, worked by hand.
ROWS = re.findall(r"^\| `(\w+)` \| .* \| (\S.*) \|$", documents.METRICS.read_text(), re.MULTILINE)
EXAMPLE = trades(
    [2, -1, -1, 0.5, 0],
    ["1", "1", "2", "4", "5"],
    [200, -100, -100, 50, 0],
    worst_r=np.array([1, -1, -1, 0.5, 0.0]),
    best_r=np.array([2, -1, -1, 0.5, 1.0]),
    ambiguous=np.array([True, False, False, False, True]),
    exit_timestamp=np.arange(5) * 60 * MINUTE + np.array([10, 20, 30, 40, 50]) * MINUTE,
)


@pytest.mark.parametrize(("name", "written"), ROWS, ids=[name for name, _ in ROWS])
def test_every_formula_of_the_page_gives_what_stands_there(name, written):
    found = metrics_of(EXAMPLE, 6, 1000.0) | concentration(EXAMPLE, 6)

    assert re.fullmatch(r"(sqrt|[-+*/(). 0-9])+", written)
    assert found[name] == pytest.approx(eval(written, {"sqrt": math.sqrt}), rel=1e-12)


def test_the_page_has_every_metric_once():
    names = [name for name, _ in ROWS]

    assert sorted(names) == sorted({*metrics_of(EXAMPLE, 6, 1000.0), *concentration(EXAMPLE, 6)})


# By hand: R of three sessions is 2, -1 and 0, mean 1/3, squares around it 25/9 + 16/9 + 1/9 = 42/9.
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("total_trades", 2),
        ("winning_trades", 1),
        ("losing_trades", 1),
        ("win_rate", 0.5),
        ("total_r", 1.0),
        ("average_r", 0.5),
        ("expectancy", 0.5),
        ("median_r", 0.5),
        ("profit_factor", 2.0),
        ("sharpe_ratio", math.sqrt(12)),
        ("sharpe_per_trade", math.sqrt(2) / 6),
        ("sortino_ratio", math.sqrt(84)),
        ("max_drawdown_r", -1.0),
        ("max_drawdown_pct", -100 / 1200),
        ("average_winner_r", 2.0),
        ("average_loser_r", -1.0),
        ("largest_winner_r", 2.0),
        ("largest_loser_r", -1.0),
        ("max_consecutive_wins", 1),
        ("max_consecutive_losses", 1),
        ("average_duration_minutes", 30.0),
        ("worst_r", 0.0),
        ("best_r", 1.5),
        ("ambiguous_rate", 0.5),
        ("net_pnl", 100.0),
        ("return_on_capital", 0.1),
        ("sessions", 3),
    ],
)
def test_a_win_of_two_and_a_loss_of_one_on_three_sessions(name, wanted):
    found = metrics_of(trades([2, -1]), 3, 1000.0)

    assert wanted == pytest.approx(found[name], rel=1e-12)
    assert 27 == len(found)


def test_the_fall_of_losses_from_the_start_is_counted_from_zero():
    found = metrics_of(trades([-1, -1]), 2, 1000.0)

    assert -2.0 == found["max_drawdown_r"]
    assert -0.2 == pytest.approx(found["max_drawdown_pct"])


def test_the_deepest_fall_of_the_account_is_a_share_of_its_high():
    found = metrics_of(trades([1, 1, 1], pnl=[10, -33, 5]), 3, 100.0)

    assert -0.3 == pytest.approx(found["max_drawdown_pct"])
    assert 0.0 == found["max_drawdown_r"]


def test_several_trades_of_a_session_are_one_day():
    both = metrics_of(trades([1.5, -0.5, 1.0], ["a", "a", "b"]), 2, 1000.0)

    assert both["sharpe_ratio"] is None  # 1 and 1 do not vary
    assert both["sharpe_per_trade"] is not None


@pytest.mark.parametrize(
    ("r", "factor"), [([1, 2], None), ([1, 0], None), ([0, 0], None), ([-1, -2], 0.0), ([1, -2], 0.5)]
)
def test_the_profit_factor_is_undefined_without_a_loss(r, factor):
    assert factor == metrics_of(trades(r), 2, 1000.0)["profit_factor"]


def test_a_trade_that_makes_nothing_is_no_win():
    found = metrics_of(trades([0, 1, 0, 0]), 4, 1000.0)

    assert (1, 3, 0.25) == (found["winning_trades"], found["losing_trades"], found["win_rate"])
    assert (1, 2) == (found["max_consecutive_wins"], found["max_consecutive_losses"])


@pytest.mark.parametrize("days", [0, 1, 5])
def test_without_trades_nothing_is_nan_or_infinite(days):
    found = metrics_of(trades([]), days, 1000.0)

    json.dumps(found, allow_nan=False)
    undefined = {name for name, value in found.items() if value is None}
    assert {"win_rate", "expectancy", "profit_factor", "sharpe_ratio", "sharpe_per_trade", "median_r"} <= undefined
    assert (0, 0.0, 0.0) == (found["total_trades"], found["total_r"], found["max_drawdown_r"])


def test_drawdown():
    assert [0, 0, -2, -1, 0] == drawdown(np.array([0.0, 3.0, 1.0, 2.0, 4.0])).tolist()


def test_the_equity_after_each_trade():
    found = equity_columns(trades([-1, 3, -0.5]), 1000.0)

    assert [1, 2, 3] == found["trade_number"].tolist()
    assert [-1, 2, 1.5] == found["cumulative_r"].tolist()
    assert [0, 2, 2] == found["running_max"].tolist()
    assert [-1, 0, -0.5] == found["drawdown_r"].tolist()
    assert [900, 1200, 1150] == found["equity"].tolist()
    np.testing.assert_allclose(found["drawdown_pct"], [-0.1, 0, -50 / 1200])


def test_symbols_are_merged_by_exit_then_entry_then_name():
    flag = np.ma.masked_array([True, False], [False, True])
    one = {"symbol": ["B", "B"], "entry_timestamp": [5, 6], "exit_timestamp": [10, 20], "factor": flag}
    two = {"symbol": ["A", "A"], "entry_timestamp": [5, 4], "exit_timestamp": [10, 20], "factor": flag}
    found = merged([one, two])

    assert ["A", "B", "A", "B"] == found["symbol"].tolist()
    assert [5, 5, 4, 6] == found["entry_timestamp"].tolist()
    assert [True, True, None, None] == found["factor"].tolist()


def test_what_a_factor_was_worth():
    flags = {"factor_vwap": np.array([True, True, False]), "factor_adx": np.ma.masked_all(3, bool)}
    found = attribution(trades([1, -1, 2], **flags))

    assert ["vwap"] == [each["factor"] for each in found]
    assert (2, 0.5, 0.0) == tuple(found[0][f"present_{name}"] for name in ("count", "win_rate", "avg_r"))
    assert (1, 1.0, 2.0) == tuple(found[0][f"absent_{name}"] for name in ("count", "win_rate", "avg_r"))
    assert (-0.5, -2.0) == (found[0]["delta_win_rate"], found[0]["delta_avg_r"])


def test_a_factor_that_is_always_there_has_no_difference():
    found = attribution(trades([1, -1], factor_vwap=np.array([True, True])))

    assert (0, None, None, None) == tuple(
        found[0][name] for name in ("absent_count", "absent_win_rate", "absent_avg_r", "delta_avg_r")
    )


def test_buckets():
    found = buckets(trades([1, -1, 2]), np.array([2.5, 1.0, 2.5]))

    assert [
        {"bucket": 1.0, "count": 1, "avg_r": -1.0, "win_rate": 0.0, "total_r": -1.0},
        {"bucket": 2.5, "count": 2, "avg_r": 1.5, "win_rate": 1.0, "total_r": 3.0},
    ] == found


def test_how_much_hangs_on_few():
    found = concentration(trades([4, -1, 1, -1, 1], ["a", "b", "c", "d", "c"]), 5)

    assert {
        "best_day_share": 1.0,
        "best_5_days_share": 1.0,
        "best_5_trades_share": 1.0,
        "total_r_without_best_day": 0.0,
        "total_r_without_5_best_trades": 0.0,
        "median_day_r": 0.0,
    } == found


def test_of_a_loss_there_are_no_shares():
    found = concentration(trades([-1, -1]), 2)

    assert (None, -1.0) == (found["best_day_share"], found["total_r_without_best_day"])
