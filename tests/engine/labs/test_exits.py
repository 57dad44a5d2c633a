import json
from types import SimpleNamespace

import naive
import naive_short
import numpy as np
import pytest
from highwater.engine.labs.analysis import analyse
from highwater.engine.labs.exits import Leaving, leaving_of, left, own_policy, totals
from highwater.engine.labs.replay import replay
from highwater.engine.policy import Policy, Rung
from highwater.kernels.arrays import candles
from hypothesis import given, settings
from hypothesis import strategies as st
from small_lab import MARKET, position, runtime, tables

MINUTE, START = 60, 20_000 * 86_400
HORIZON = 5 * MINUTE * 1000
POLICY = Policy(sl=0.95, tp=(Rung(1.05, 6000), Rung(1.1, 4000)), trail_pct=0.04, trail_activate=1.05)
LONG = {"sl": 0.95, "tp": [{"mult": 1.05, "frac_bps": 6000}, {"mult": 1.1, "frac_bps": 4000}]}
SHORT = {"sl": 1.05, "tp": [{"mult": 0.95, "frac_bps": 6000}, {"mult": 0.9, "frac_bps": 4000}]}
EXITS = {
    False: LONG | {"trail": {"pct": 0.04, "activate": 1.05}},
    True: SHORT | {"trail": {"pct": 0.04, "activate": 0.95}},
}


def bars_of(prices):
    return [((START + MINUTE * i) * 1000, *each, 0.0) for i, each in enumerate(prices) if each is not None]


def ground(prices):
    ts, *columns, _ = zip(*bars_of(prices), strict=True)
    end = (ts[-1] + 60_000,)
    facts = SimpleNamespace(tokens=(MARKET,), offsets=(0, len(ts)), interval_ms=60_000, rejected={})
    facts.coverage_end_ms, facts.on_grid = end, (True,)
    return SimpleNamespace(piece=SimpleNamespace(facts=facts, candles=candles(ts, *columns)), markets={MARKET: MARKET})


def exits_of(backtests, prices, policy=POLICY):
    found, on = analyse(tables(backtests)), ground(prices)
    return left(found, replay(found, on.piece, on.markets), on, Leaving(policy, HORIZON), 1)


def expected(held, prices, short):
    """Return the position as the oracles of FS-1 have it, after the lab's fee of 5 bps a side."""
    oracle, bars = (naive_short, naive)[not short], bars_of(prices)
    known = {"horizon_ms": HORIZON, "interval_ms": 60_000}
    entry = oracle.enter(bars, held["ot"] * 1000, mode="next_open", **known)
    if entry["status"] != "OK":
        return entry["status"], None, None, None, None, None
    trade, bounds = (each(bars, entry, EXITS[short]) for each in (oracle.simulate, oracle.bounds))
    sign, price = -1 if short else 1, entry["price"]

    def profit(ret):
        gross = price * (1 + sign * ret)
        return 10 * (sign * (gross - price) - 0.0005 * (price + gross))

    made = (profit(each / 1e4) for each in (trade["ret_bps"], bounds["worst_bps"], bounds["best_bps"]))
    return "OK", trade["reason"], trade["exit_ts"], *(pytest.approx(each, abs=1e-9) for each in made)


def shown(row):
    names = ("status", "exit_reason", "exit_ts_ms", "fs1_profit", "worst_profit", "best_profit")
    return tuple(row[name] for name in names)


prices = st.integers(86, 114).map(lambda x: x / 10)
bars = st.builds(lambda a, b, c, d: (a, max(a, b, c, d), min(a, b, c, d), b), prices, prices, prices, prices)
entries = st.tuples(st.integers(0, 9 * MINUTE), st.booleans())


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.one_of(bars, bars, bars, st.none()), min_size=8, max_size=8).filter(any),
    st.lists(entries, min_size=1, max_size=5),
)
def test_every_entry_is_left_as_the_oracles_of_fs1_leave_it(some, drawn):
    held = [position(START + at, START + at + 90, 10.0, 9.0 if short else 11.0, short=short) for at, short in drawn]
    rows = exits_of([held], some).to_pylist()

    assert len(held) == len(rows)
    for row, each, (_, short) in zip(rows, held, drawn, strict=True):
        assert expected(each, some, short) == shown(row)
        assert ("asked", "short" if short else "long") == (row["exits"], row["direction"])


RISING = [(10.0, 10.05, 9.95, 10.0), (10.0, 10.6, 9.9, 10.5), (10.5, 11.2, 10.4, 11.0), (11.0, 11.1, 9.0, 9.1)]


def named(**parameters):
    return {str(i): {"N": name, "V": value} for i, (name, value) in enumerate(parameters.items())}


def test_own_exits_are_those_of_each_backtest():
    held = position(START, START + 90, 10.0, 10.5)
    both = [runtime([held], InputFields=named(**{"Take Profit (%)": v, "Stop Loss (%)": "1"})) for v in ("5", "10")]
    silent = runtime([held], InputFields=named(Speed="3"))
    rows = exits_of([*both, silent], RISING, None).to_pylist()

    assert [("b0", "TP 1.05x, SL -1%", "SL"), ("b1", "TP 1.1x, SL -1%", "SL")] == [
        (row["backtest_id"], row["policy"], row["exit_reason"]) for row in rows
    ]
    assert [True, False] == [row["ambiguous"] for row in rows]  # 9.9 and 10.5 lie in one candle, 11 in a later
    assert [10 * (9.9 - 10 - 0.0005 * 19.9)] * 2 == [pytest.approx(row["fs1_profit"]) for row in rows]
    assert 10 * (10.5 - 10 - 0.0005 * 20.5) == pytest.approx(rows[0]["best_profit"])


@pytest.mark.parametrize(
    ("parameters", "policy"),
    [
        ({"Stop Loss (%)": "2", "Take Profit (%)": "4.5"}, Policy(sl=0.98, tp=(Rung(1.045),))),
        ({"stop_loss_percentage": 1.5}, Policy(sl=0.985)),
        ({"12-12-4-5.TP, %": "3", "SL %": 0}, Policy(tp=(Rung(1.03),))),
        ({"StopLoss pct": "0", "Take profit %": "0"}, None),
        ({"Stop Loss": "2"}, None),  # of what?
        ({"Stop Loss (%)": "2", "SL %": "3"}, None),
        ({"TP 1st pt, %": "100", "Stop Loss Shrinkage %": "2"}, None),
        ({"Stop Loss (%)": "soon"}, None),
        ({"Stop Loss (%)": "nan"}, None),
        ({"Stop Loss (%)": "-2"}, None),
        ({"Stop Loss (%)": "100"}, None),
        ({"Stop Loss (%)": None}, None),
    ],
)
def test_exits_are_known_only_where_parameters_say_nothing_else(parameters, policy):
    assert policy == own_policy(json.dumps(parameters))


def test_what_cannot_be_told_is_left_out_and_said():
    inverse = position(START, START + 90, 9.5, 13.9) | {"rp": 0.3, "fe": 0.0}
    unknown = position(START, START + 90, 9.5, 9.5, short=True)
    late = position(START + 10**6, START + 10**6 + 60, 9.5, 10.0)
    elsewhere = position(START, START + 90, 9.5, 10.0, ma="BINANCE_X_Y_")
    rows = exits_of([[inverse, unknown, late, elsewhere]], RISING).to_pylist()

    assert ["NOT_LINEAR", "NO_DIRECTION", "NO_ENTRY_BAR", "NO_ENTRY_BAR"] == [row["status"] for row in rows]
    for row in rows:
        for name in ("fs1_profit", "worst_profit", "best_profit", "exit_ts_ms", "exit_reason", "entry_price"):
            assert row[name] is None


def test_totals_are_of_what_could_be_traded():
    held, gone = position(START, START + 90, 10.0, 10.5), position(START + 10**6, START + 10**6 + 60, 9.5, 10.0)
    table = exits_of([[held, gone], [held]], RISING)
    (whole,), (first,) = totals(table), totals(table, "b0")
    row = table.to_pylist()[0]

    assert ("asked", "USDT", 2, 3, 1, 2) == (
        *(whole.exits, whole.currency, whole.positions, whole.among),
        *(first.positions, first.among),
    )
    assert 2 * held["rp"] == pytest.approx(whole.realized)
    assert (row["fs1_profit"], row["worst_profit"], row["best_profit"]) == (first.fs1, first.worst, first.best)


def test_how_entries_are_left_survives_its_document():
    leaving = Leaving(POLICY, 1000)

    assert leaving == leaving_of(json.loads(json.dumps(leaving.document())))
    assert Leaving(None, 7) == leaving_of(Leaving(None, 7).document())
    assert leaving_of(None) is None


def test_two_threads_leave_alike():
    held = [position(START + i, START + 90, 10.0, 10.5, short=i % 2 == 1) for i in range(40)]
    found, on = analyse(tables([held])), ground(RISING)
    replayed = replay(found, on.piece, on.markets)
    one, two = (left(found, replayed, on, Leaving(POLICY, HORIZON), threads) for threads in (1, 2))

    assert one.equals(two)
    assert not np.isnan(one["fs1_profit"].to_numpy()).any()
