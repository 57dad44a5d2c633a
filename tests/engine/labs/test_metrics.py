import numpy as np
import plain_labs
import pytest
from highwater.engine.labs.metrics import Closed, Span, covered, figures
from hypothesis import given
from hypothesis import strategies as st

DAY = 86_400
START, DAYS = 20_000 * DAY, 9
END = START + DAYS * DAY

cents = st.integers(-100_000, 100_000).map(lambda c: c / 100)
times = st.tuples(st.integers(0, DAYS * 24 * 60 - 1), st.integers(0, 3000)).map(
    lambda t: (START + 60 * t[0], min(START + 60 * (t[0] + t[1]), END - 1))
)
positions = st.lists(
    st.builds(lambda t, rp, fe: {"ot": t[0], "ct": t[1], "rp": rp, "fe": fe}, times, cents, st.floats(0, 50)),
    max_size=25,
)
capitals = st.none() | st.integers(10_000, 10**7).map(float)


def closed(rows):
    columns = (
        zip(*((1000 * r["ot"], 1000 * r["ct"], r["rp"], r["fe"]) for r in rows), strict=True) if rows else [[]] * 4
    )
    entry, exit_, profit, fees = columns
    times = (np.array(each, np.int64) for each in (entry, exit_))
    return Closed(*times, np.array(profit, float), np.array(fees, float))


def found(rows, capital=10_000.0, start=START, end=END):
    return figures(closed(rows), Span(1000 * start, 1000 * end), capital)


def row(opened, closed_, rp, fe=0.0):
    return {"ot": START + opened, "ct": START + closed_, "rp": rp, "fe": fe}


@given(positions, capitals, st.integers(0, DAY - 1), st.integers(0, DAY - 1))
def test_every_figure_is_that_of_the_oracle(rows, capital, late, early):
    start, end = START - late, END + early
    expected = plain_labs.figures(rows, start, end, capital)
    actual = found(rows, capital, start, end)

    assert expected.keys() == actual.keys()
    for name, value in expected.items():
        if value is None:
            assert actual[name] is None, name
        else:
            assert actual[name] == pytest.approx(value, rel=1e-6, abs=1e-6), name


def test_fees_are_taken_once():
    told = found([row(0, 60, 90.0, 10.0), row(60, 120, -30.0, 10.0)])

    assert (60.0, 20.0, 80.0) == (told["realized_profit"], told["fees"], told["gross_profit"])
    assert (3.0, 30.0, 0.5) == (told["profit_factor"], told["expectancy"], told["win_rate"])


def test_the_high_water_begins_at_the_balance():
    only_losses = found([row(0, 60, -1000.0), row(60, 120, -500.0)])
    after_gains = found([row(0, 60, 2000.0), row(60, 120, -1200.0), row(120, 180, 5000.0)])

    assert (-1500.0, -15.0) == (only_losses["max_drawdown_amount"], only_losses["max_drawdown_pct"])
    assert (-1200.0, -10.0) == (after_gains["max_drawdown_amount"], after_gains["max_drawdown_pct"])


def test_what_closes_at_one_instant_is_one_step():
    rows = [row(0, 60, -900.0), row(0, 60, 900.0)]

    assert 0.0 == found(rows)["max_drawdown_amount"]


def test_a_position_that_made_nothing_is_neither_won_nor_lost():
    told = found([row(0, 60, 0.0), row(0, 60, 5.0)])

    assert (2, 1, 0, 0.5) == tuple(
        told[f"{n}"] for n in ("total_trades", "winning_trades", "losing_trades", "win_rate")
    )
    assert told["profit_factor"] is None


def test_without_positions_nothing_is_known_but_that():
    told = found([])
    known = {name: value for name, value in told.items() if value is not None}

    assert {0} == set(known.values())
    assert {"total_trades", "max_drawdown_pct", "exposure", "return_on_balance_pct", "fees"} < known.keys()
    assert {"win_rate", "sharpe_daily", "profit_factor", "expectancy", "longest_holding_ms"}.isdisjoint(known)


def test_without_a_balance_money_is_known_and_shares_are_not():
    told = found([row(0, 60, 5.0), row(DAY, DAY + 60, -7.0)], capital=None)

    assert (None, None) == (told["return_on_balance_pct"], told["max_drawdown_pct"])
    assert -7.0 == told["max_drawdown_amount"]
    assert told["sharpe_daily"] is not None


def test_exposure_counts_no_time_twice():
    span = Span(1000, 11_000)
    entry, exit_ = np.array([0, 3000, 3500, 9000]), np.array([2000, 5000, 4000, 20_000])

    assert 1000 + 2000 + 2000 == covered(entry, exit_, span)
    assert 0 == covered(entry[:0], exit_[:0], span)
