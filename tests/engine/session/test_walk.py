import numpy as np
import pytest
from highwater.engine.session.prepare import ready_on
from highwater.engine.session.walk import found_of, targets_of, walk
from highwater.kernels.exits import FILL
from highwater.kernels.session import EVENT, EVENTS, SESSION_TRADE, trade_sessions
from session_lands import every, land


def walked(seed, **sections):
    config, where = every(**sections), land(seed)
    return walk("SPY", ready_on(where.ground, config), config, 5.0), config


@pytest.mark.parametrize("seed", range(4))
def test_a_trade_is_its_fills(seed):
    found, _ = walked(seed)
    trades, fills = found.trades, found.fills
    ids, owners = list(trades["trade_id"]), np.array(fills["trade_id"])

    assert len(ids) > 10
    assert len(set(ids)) == len(ids)
    assert set(ids) == set(owners)
    for i, own in enumerate(ids):
        rows = np.flatnonzero(owners == own)
        assert list(range(rows.size)) == fills["fill"][rows].tolist()
        assert 1 == pytest.approx(fills["fraction"][rows].sum())
        assert trades["n_fills"][i] == rows.size
        assert trades["exit_reason"][i] == fills["reason"][rows[-1]]
        assert trades["exit_price"][i] == fills["price"][rows[-1]]
        assert trades["exit_timestamp"][i] == fills["timestamp"][rows[-1]]
        made = (fills["fraction"][rows] * fills["r_multiple"][rows]).sum()
        assert made == pytest.approx(trades["realized_r"][i], abs=1e-9)  # without costs


@pytest.mark.parametrize("seed", range(4))
def test_the_columns_of_a_trade_agree(seed):
    found, _ = walked(seed)
    trades = found.trades
    side = np.where(np.array(trades["direction"]) == "long", 1, -1)
    risk, r = trades["initial_risk"], trades["realized_r"]

    np.testing.assert_allclose(side * (trades["entry_price"] - trades["stop_price_initial"]), risk, rtol=1e-12)
    np.testing.assert_allclose(trades["points"] / risk, r, atol=1e-9)
    np.testing.assert_allclose(trades["pnl"], r * risk * 5.0)
    assert (trades["exit_timestamp"] > trades["entry_timestamp"]).all()
    assert (trades["max_adverse_r"] <= r + 1e-9).all()
    assert (r <= trades["max_favorable_r"] + 1e-9).all()
    assert (trades["worst_r"] <= r + 1e-9).all()
    assert (r <= trades["best_r"] + 1e-9).all()
    assert (trades["ambiguous"] == (trades["best_r"] > trades["worst_r"])).all()


def test_the_number_of_an_id_counts_within_its_session():
    found, _ = walked(1)
    seen: dict[str, int] = {}
    for day, own in zip(found.trades["day"], found.trades["trade_id"], strict=True):
        seen[day] = seen.get(day, 0) + 1
        assert f"SPY-{day}-{seen[day]}" == own
    assert max(seen.values()) > 1


def test_what_spoke_for_a_break_was_known_a_candle_before():
    found, config = walked(2, factors={"vwap": {"enabled": True}})
    factors, bars = found.ready.factors, found.ready.bars
    rows = np.searchsorted(bars.ts, found.trades["entry_timestamp"]) - 1
    for name in config.factors.enabled:
        flags = {"long": factors.long[name], "short": factors.short[name]}
        wanted = [bool(flags[side][row]) for side, row in zip(found.trades["direction"], rows, strict=True)]
        assert wanted == found.trades[f"factor_{name}"].tolist()
    score = {"long": factors.score_long, "short": factors.score_short}
    wanted = [score[side][row] for side, row in zip(found.trades["direction"], rows, strict=True)]

    assert wanted == found.trades["confluence_score"].tolist()
    assert found.trades["factor_adx"].mask.all()


def test_costs_come_off_r():
    free, dear = (walked(3, backtest={"fee_bps": fee})[0].trades for fee in (0.0, 10.0))
    paid = 0.001 * (free["entry_price"][0] + free["gross_price"][0]) / free["initial_risk"][0]

    assert free["realized_r"][0] - paid == pytest.approx(dear["realized_r"][0])


def test_targets_are_named_by_their_order():
    partial, _ = walked(1)
    whole, config = walked(1, trade={"partials": False})

    assert {"t1", "t2", "runner"} <= set(partial.fills["reason"])
    assert {"primary"} == set(whole.fills["reason"]) - {"stop", "breakeven", "end_of_session", "end_of_data"}
    assert ("primary",) == targets_of(config)


def test_events_are_in_words():
    found, _ = walked(1, governance={"max_signals_per_day": 1, "lockout_after_losses": 1})

    assert found.events["event"]
    assert set(found.events["event"]) <= set(EVENTS)
    assert set(found.events["day"]) <= {day.isoformat() for day in found.ready.hours.days}
    assert set(found.events["direction"]) <= {"long", "short", "both"}


def test_more_trades_and_events_than_were_guessed():
    often = {"max_signals_per_day": 10, "lockout_after_losses": 10, "second_chance_minutes": 120}
    ready = ready_on(land(4).ground, every(trade={"partials": False, "primary_r": 0.05}, governance=often))
    trades, fills, events = found_of(ready)
    out = np.zeros(2000, SESSION_TRADE), np.zeros((2000, 2), FILL), np.zeros(9000, EVENT)
    n, m = trade_sessions(ready.bars, ready.sessions, ready.known, ready.plan, ready.terms, out)

    assert n > 2 * ready.ranges.start.size + 1  # the first guess
    for found, wanted in ((trades, out[0][:n]), (fills, out[1][:n]), (events, out[2][:m])):
        np.testing.assert_array_equal(found, wanted)
