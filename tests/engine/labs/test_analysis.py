import json

import numpy as np
import plain_labs
import pytest
import small_lab
from highwater.engine.labs import analysis
from highwater.engine.labs.analysis import analyse, analytics_table, day_table, equity_table
from highwater.io.errors import DataError, LimitError, UsageError
from highwater.io.labs import made_up
from highwater.io.labs.parse import lab_of, tables_of
from shared_market import DATA, document, needs_data
from small_lab import BALANCE, parts, position, runtime, tables

DAY = 86_400
START = 20_000 * DAY


def at(day, second=0):
    return START + day * DAY + second


GOOD = [position(at(0), at(0, 60), 5.0, 6.0), position(at(1), at(1, 60), 5.0, 5.5)]
BAD = [position(at(0), at(2, 60), 5.0, 4.0)]


@pytest.mark.shared_data
@needs_data[1]
def test_the_sample_to_the_cent():
    body = (DATA / "haas" / "backtest_runtime_closed_position.json").read_bytes()
    row = analytics_table(analyse(tables_of(lab_of("lab", {}), [("b", {"runtime": body})])), "run").to_pylist()[0]
    expected = {case["id"]: case["expected"] for case in document("haas_arithmetic")["cases"]}

    assert expected["gross_profit"] == pytest.approx(row["gross_profit"], abs=1e-9)
    assert expected["fees"] == row["fees_usdt"] == row["fees"]
    assert expected["realised"] == row["realized_profits_usdt"] == row["realized_profit"]
    assert expected["margin"] == row["margin"]
    assert expected["roi_pct"] == round(row["roi_on_margin_pct"], 4)
    assert expected["holding_seconds"] * 1000 == row["average_holding_ms"] == row["longest_holding_ms"]
    assert (1, 1, 1.0, 0.0) == tuple(row[n] for n in ("total_trades", "winning_trades", "win_rate", "max_drawdown_pct"))
    assert (5.0165, -0.2509, True) == (
        round(row["return_on_balance_pct"], 4),
        row["buy_hold_pct"],
        row["beats_buy_hold"],
    )


def test_made_up_backtests_are_those_of_the_oracle():
    lab, kept = small_lab.made_up_tables(12)
    found = analyse(kept)

    assert () == found.notes
    assert sum(each["total_trades"] for each in found.figures) > 50
    for i, actual in enumerate(found.figures):
        expected = plain_labs.figures(made_up.positions(lab, i), lab.start, lab.end, made_up.BALANCE)
        for name, value in expected.items():
            assert actual[name] == (value if value is None else pytest.approx(value, rel=1e-9, abs=1e-9)), name


def test_the_best_comes_first_and_what_has_no_figure_last():
    found = analyse(tables([BAD, {}, GOOD, []]))
    lowest = analyse(tables([BAD, {}, GOOD, []]), ascending=True)

    assert [2, 3, 0, 1] == found.order.tolist()
    assert [0, 3, 2, 1] == lowest.order.tolist()
    assert [0, 2, 1, 3] == analyse(tables([BAD, {}, GOOD, []]), by="longest_holding_ms").order.tolist()


def test_rows_of_the_table_follow_the_order():
    table = analytics_table(analyse(tables([BAD, GOOD])), "run")

    assert ["b1", "b0"] == table["backtest_id"].to_pylist()
    assert [1, 2] == table["rank"].to_pylist()
    assert [2, 1] == table["total_trades"].to_pylist()


@pytest.mark.parametrize("by", ["returns", "backtest_id", "rank"])
def test_what_is_no_figure_is_refused(by):
    with pytest.raises(UsageError, match=f"--by {by}: no such figure"):
        analyse(tables([GOOD]), by=by)


def test_a_lab_without_runtimes_is_refused():
    with pytest.raises(DataError, match="none of 2 backtests has a runtime; fetch them with labs sync"):
        analyse(tables([{}, {}]))


def test_a_backtest_whose_positions_are_not_all_there_is_not_judged():
    whole = runtime(GOOD)
    found = analyse(tables([whole | {"FinishedPositions": GOOD[:1]}, GOOD]))
    row = found.figures[0]
    ((name, said),) = found.notes

    assert [1] == found.judged.tolist()
    assert ("b0", "1 of 2 closed positions are there; what rests on them is missing") == (
        name,
        said,
    )
    assert (False, 2, None) == (row["complete"], row["total_trades"], row["max_drawdown_amount"])
    assert whole["Reports"][f"account_{small_lab.MARKET}"]["PR"]["RP"] == row["realized_profit"]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"ct": 0}, "a closed position has no times, or ends before it begins"),
        ({"ot": at(5), "ct": at(4)}, "a closed position has no times, or ends before it begins"),
        ({"rp": None}, "a closed position has no profit or no fees"),
        ({"fe": None}, "a closed position has no profit or no fees"),
        ({"pl": "BTC"}, "closed positions are in BTC too, and its report is in USDT"),
    ],
)
def test_a_position_without_its_numbers_makes_a_backtest_incomplete(broken, why):
    whole = runtime(GOOD)
    found = analyse(tables([whole | {"FinishedPositions": [GOOD[0], GOOD[1] | broken]}, BAD]))

    assert [False, True] == [each["complete"] for each in found.figures]
    assert (("b0", f"{why}; what rests on them is missing"),) == found.notes
    assert (at(0) * 1000, at(2, 60) * 1000 + 1) == (found.span.start, found.span.end)


def test_positions_where_the_report_has_none_are_amiss():
    found = analyse(tables([runtime([]) | {"FinishedPositions": GOOD}, GOOD]))

    assert "2 of 0 closed positions are there" in found.notes[0][1]


def test_reports_that_are_not_the_sum_of_their_positions_are_noted():
    whole = runtime(GOOD)
    whole["Reports"][f"account_{small_lab.MARKET}"]["PR"]["RP"] += 1.0
    whole["Reports"][f"account_{small_lab.MARKET}"]["P"]["W"] = 1
    notes = [said for _, said in analyse(tables([whole])).notes]

    assert ["realized_profit of its positions is 14.89, its report says 15.89"] == notes[:1]
    assert ["winning_trades of its positions is 2.00, its report says 1.00"] == notes[1:]


def test_buy_and_hold_is_beaten_by_the_same_balance_and_not_by_margin():
    found = analyse(tables([GOOD, BAD]))  # the market makes 2 %; 14.89 on a margin of 2.5, but on a balance of 10,000
    row = analytics_table(found, "run").to_pylist()[0]

    assert row["roi_on_margin_pct"] > 100
    assert (0.149, 2.0, False) == (round(row["return_on_balance_pct"], 3), row["buy_hold_pct"], row["beats_buy_hold"])


def test_another_capital_stands_for_all():
    found = analyse(tables([GOOD]), capital=100.0)

    assert 100.0 == found.figures[0]["starting_balance"]
    assert 100 * found.figures[0]["return_on_balance_pct"] == pytest.approx(
        analyse(tables([GOOD])).figures[0]["return_on_balance_pct"] * BALANCE
    )


def test_days_are_millionths_of_the_balance_by_the_day_of_the_exit():
    found = analyse(tables([GOOD, BAD], START, at(4)))
    net = [each["rp"] for each in GOOD]

    assert 4 == found.span.days
    assert [
        [round(net[0] * 100), round(net[1] * 100), 0, 0],
        [0, 0, round(BAD[0]["rp"] * 100), 0],
    ] == found.sums.tolist()


def test_the_period_is_the_labs_and_reaches_to_positions_outside():
    inside = analyse(tables([GOOD], at(-3), at(9, 5))).span
    outside = analyse(tables([GOOD], at(1), at(1, 1))).span

    assert (at(-3) * 1000, at(9, 5) * 1000, 13) == (inside.start, inside.end, inside.days)
    assert (at(0) * 1000, at(1, 60) * 1000 + 1, 2) == (outside.start, outside.end, outside.days)


def test_days_that_need_too_much_memory_are_refused(monkeypatch):
    monkeypatch.setattr(analysis, "ROOM", 8 * 2 * 3 - 1)
    with pytest.raises(LimitError, match="2 backtests on 3 days need more than 0 MiB; is a position's time wrong"):
        analyse(tables([GOOD, BAD]))


def test_more_than_a_million_balances_a_day_are_not_judged():
    found = analyse(tables([runtime(GOOD, balance=1e-7), GOOD], at(0), at(3)))

    assert ([1], (1, 3)) == (found.judged.tolist(), found.sums.shape)


def test_tables_of_days_and_curves():
    found = analyse(tables([[*GOOD, GOOD[1]], [], BAD]))
    days, curve = day_table(found, "run").to_pylist(), equity_table(found, "run").to_pylist()
    first, second = (each["rp"] for each in GOOD)

    assert [("b0", "2024-10-04", 1), ("b0", "2024-10-05", 2), ("b2", "2024-10-06", 1)] == [
        (r["backtest_id"], r["day"], r["trades"]) for r in days
    ]
    assert [first, 2 * second, BAD[0]["rp"]] == pytest.approx([r["realized_profit"] for r in days])
    assert [r["realized_profit"] / BALANCE for r in days] == pytest.approx([r["return_on_balance"] for r in days])
    assert [1, 2, 1] == [r["trades"] for r in curve]
    assert [first, first + 2 * second, BAD[0]["rp"]] == pytest.approx([r["cumulative_profit"] for r in curve])
    assert BAD[0]["rp"] == curve[2]["drawdown"] == pytest.approx(curve[2]["drawdown_pct"] * BALANCE / 100)


def test_tables_of_nothing_have_their_columns():
    found = analyse(tables([[]]))

    assert (0, 0) == (day_table(found, "run").num_rows, equity_table(found, "run").num_rows)


def test_the_order_of_a_lab_decides_nothing():
    forth, back = ([runtime(each) for each in (GOOD, BAD, [], GOOD)], [runtime(each) for each in (GOOD, [], BAD, GOOD)])
    sides = [analyse(tables(each)) for each in (forth, back)]

    assert np.array_equal(sides[0].sums[[0, 2, 1, 3]], sides[1].sums)
    assert json.dumps(sides[0].figures[1]) == json.dumps(sides[1].figures[2])


def test_a_backtest_may_share_an_id_prefix_and_have_no_position():
    kept = tables_of(
        lab_of("lab", {}), [(name, parts(runtime(rows))) for name, rows in (("b", []), ("bb", GOOD), ("bbb", BAD))]
    )

    assert [0, 2, 1] == [each["total_trades"] for each in analyse(kept).figures]
