import statistics

import naive
import numpy as np
import pyarrow as pa
import pytest
import small_market
from highwater.engine.baseline import path_table
from highwater.engine.policy import parse_policy
from highwater.engine.strategy import summary_columns, trade_columns, verdict, with_tail_capture
from highwater.io import schemas
from small_market import PAID, STEP, close, oracle, plain

POLICIES = {
    "fixed": {"sl": 0.7, "tp": [{"mult": 2.0}]},
    "tight": {"sl": 0.97, "tp": [{"mult": 1.03}]},
    "ladder": {"sl": 0.6, "tp": [{"mult": 1.05, "frac_bps": 5000}, {"mult": 1.2, "frac_bps": 3000}]},
    "trail": {"trail": {"pct": 0.1, "activate": 1.05}, "tp": [{"mult": 3.0}], "tp_gap_fill": "open"},
    "breakeven": {"sl": 0.8, "breakeven": {"trigger": 1.04, "offset": 0.01}},
    "time": {"time_ms": 3_700_000, "sl": 0.9},
    "all": {
        "sl": 0.8,
        "tp": [{"mult": 1.1, "frac_bps": 2500}, {"mult": 1.5, "frac_bps": 2500}],
        "trail": {"pct": 0.2},
        "breakeven": {"trigger": 1.2, "offset": -0.05},
        "time_ms": 6 * 3_600_000,
    },
    "hold": {},
}
_NAMES = """exit_ts_ms:exit_ts exit_px:price exit_reason:reason realized_return_bps:ret_bps time_exposed_ms:time_exposed
max_adverse_excursion_bps:mae_bps max_favorable_excursion_bps:mfe_bps tail_capture gap censored ret_q gross worst_bps
best_bps ambiguous"""
SAME = _NAMES.split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("market")


def traded(ready, exits):
    """Return the columns of trades and of fills of one policy."""
    trades, fills = trade_columns(ready, parse_policy({"kind": "exits", **exits}), 1)
    return with_tail_capture(trades, path_table(ready, (), 1)), fills


def truth(ready, exits, intrabar):
    """Return what the oracle says of each alert: the trade and its bounds, None where there is none."""
    rows = []
    for bars, entry in oracle(ready):
        row = None
        if entry["status"] == "OK":
            row = naive.simulate(bars, entry, exits, intrabar=intrabar, **PAID) | naive.bounds(
                bars, entry, exits, **PAID
            )
            row |= {
                "time_exposed": row["exit_ts"] - entry["entry_ts"],
                "opened": [bar[0] for bar in bars],
                "entry": entry,
            }
        rows.append(row)
    return rows


def test_trades_are_the_oracles(folder, exits, intrabar, entry):
    ready = small_market.prepared(folder, intrabar=intrabar, entry=entry)
    trades, fills = traded(ready, exits)
    rows = truth(ready, exits, intrabar)
    for name in SAME:
        mine, _, theirs = name.partition(":")
        wanted = [None if row is None else row[theirs or mine] for row in rows]
        wanted = wanted if theirs == "reason" else close(wanted, 1e-11)

        assert wanted == plain(trades[mine]), mine
    ok = [row for row in rows if row]
    stops = [row["reason"] in ("SL", "BE", "TRAIL") for row in ok]

    assert stops == [each for each in plain(trades["stop_out"]) if each is not None]
    assert [len(row["ambiguous_bars"]) for row in ok] == trades["n_ambiguous_bars"].compressed().tolist()
    assert [row["exit_bar"] - row["entry"]["first"] for row in ok] == trades["exit_bar"].compressed().tolist()
    assert [row["flags"] for row in ok] == [
        set(filter(None, flags.split(","))) for flags, row in zip(plain(trades["flags"]), rows, strict=True) if row
    ]
    made = [fill | {"ts": row["opened"][fill["bar"]]} for row in ok for fill in row["fills"]]
    at_open = [fill["gap"] or fill["reason"] == "TIME" for fill in made]

    assert [fill["price"] for fill in made] == fills["price"].tolist()
    assert [fill["bps"] for fill in made] == fills["frac_bps"].tolist()
    assert [fill["reason"] for fill in made] == plain(fills["reason"])
    assert [fill["gap"] for fill in made] == fills["gap"].tolist()
    assert [f["ts"] + (0 if o else STEP) for f, o in zip(made, at_open, strict=True)] == fills["ts_ms"].tolist()
    assert [j for row in ok for j in range(len(row["fills"]))] == fills["fill"].tolist()


def pytest_generate_tests(metafunc):
    if "intrabar" in metafunc.fixturenames:
        cases = [(exits, "pessimistic", "next_open") for exits in POLICIES.values()]
        cases += [(POLICIES["all"], intrabar, "next_open") for intrabar in ("optimistic", "ohlc_path")]
        cases += [(POLICIES["all"], "pessimistic", entry) for entry in ("next_high", "bar_close", "alert_price")]
        metafunc.parametrize(("exits", "intrabar", "entry"), cases)


def test_fills_sell_the_whole_position_and_add_up_to_gross(folder):
    ready = small_market.prepared(folder)
    trades, fills = traded(ready, POLICIES["all"])
    calls, parts, prices = fills["call_id"].to_pylist(), fills["frac_bps"].tolist(), fills["price"].tolist()
    for call, gross, count in zip(
        plain(trades["call_id"]), plain(trades["gross"]), plain(trades["n_fills"]), strict=True
    ):
        mine = [i for i, one in enumerate(calls) if one == call]

        assert (count or 0) == len(mine)
        if mine:
            assert 10_000 == sum(parts[i] for i in mine)
            assert pytest.approx(gross, rel=1e-12) == sum(parts[i] * prices[i] for i in mine) / 10_000


def test_trades_and_fills_are_tables_of_their_schemas(folder):
    ready = small_market.prepared(folder)
    trades, fills = traded(ready, POLICIES["ladder"])
    table = schemas.table(schemas.TRADES, trades, "run")
    gone = [row for row in table.to_pylist() if row["status"] != "OK"]
    known = {"run_id", "policy_id", "call_id", "status", "flags"}

    assert ready.alerts.num_rows == table.num_rows
    assert {len(fills["price"])} == {schemas.table(schemas.FILLS, fills, "run").num_rows}
    assert gone
    assert not any(value is not None for row in gone for name, value in row.items() if name not in known)
    assert {parse_policy({"kind": "exits", **POLICIES["ladder"]}).policy_id} == set(table["policy_id"].to_pylist())


def test_tail_capture_is_null_without_a_high_and_negative_on_a_loss():
    trades = {
        "gross": np.ma.array([1.5, 0.5, 0.9, 1.0]),
        "entry_px": np.ma.array([1.0, 1.0, 1.0, 1.0], mask=[0, 0, 0, 1]),
    }
    paths = pa.table({"ath_mult": [2.0, 1.5, 1.0, None]})

    assert [0.5, -1.0, None, None] == plain(with_tail_capture(trades, paths)["tail_capture"])


@pytest.mark.parametrize("name", POLICIES)
def test_the_summary_is_that_of_its_trades(folder, name):
    ready = small_market.prepared(folder)
    trades, _ = traded(ready, POLICIES[name])
    rows = [row for row in truth(ready, POLICIES[name], "pessimistic") if row]
    returns, micro = [row["ret_bps"] for row in rows], [row["ret_q"] for row in rows]
    gains, losses = sum(q for q in micro if q > 0), -sum(q for q in micro if q < 0)
    captured = [row["tail_capture"] for row in rows if row["tail_capture"] is not None]
    summary = schemas.table(schemas.SUMMARY, summary_columns(ready, trades), "run").to_pylist()[0]
    quarters = statistics.quantiles(returns, n=20, method="inclusive")
    expected = {
        "calls_processed": ready.alerts.num_rows,
        "calls_excluded": ready.alerts.num_rows - len(rows),
        "trades_count": len(rows),
        "avg_return_bps": statistics.mean(returns),
        "median_return_bps": statistics.median(returns),
        "p25_return_bps": quarters[4],
        "p75_return_bps": quarters[14],
        "p90_return_bps": quarters[17],
        "win_rate": sum(r > 0 for r in returns) / len(returns),
        "profit_factor": gains / losses,
        "stop_out_rate": sum(row["reason"] in ("SL", "BE", "TRAIL") for row in rows) / len(rows),
        "avg_max_adverse_excursion_bps": statistics.mean(row["mae_bps"] for row in rows),
        "avg_time_exposed_ms": statistics.mean(row["time_exposed"] for row in rows),
        "avg_tail_capture": statistics.mean(captured),
        "median_tail_capture": statistics.median(captured),
        "mean_worst_bps": statistics.mean(row["worst_bps"] for row in rows),
        "mean_best_bps": statistics.mean(row["best_bps"] for row in rows),
        "ambiguous_rate": sum(row["ambiguous"] for row in rows) / len(rows),
        "gain_q": gains,
        "loss_q": losses,
    }

    assert "pessimistic" == summary.pop("intrabar")
    assert verdict(expected["avg_return_bps"], expected["mean_worst_bps"]) == summary.pop("verdict")
    assert "run" == summary.pop("run_id")
    assert pytest.approx(expected, rel=1e-9) == summary


def test_nothing_lost_has_no_profit_factor(folder):
    ready = small_market.prepared(folder, fee_bps=0.0, slippage_bps=0.0)
    trades, _ = traded(ready, {})
    won = trades | {"ret_q": abs(trades["ret_q"])}

    assert [None] == summary_columns(ready, won)["profit_factor"]
    assert [0] == summary_columns(ready, won)["loss_q"]


@pytest.mark.parametrize(
    ("mean", "worst", "word"),
    [(2.0, 1.0, "ROBUST"), (2.0, 0.0, "RESOLUTION-DEPENDENT"), (0.0, -1.0, "NEGATIVE"), (-2.0, -3.0, "NEGATIVE")],
)
def test_the_verdict(mean, worst, word):
    assert word == verdict(mean, worst)


def test_legacy_costs_are_charged_as_older_engines_did(folder):
    ready = small_market.prepared(folder, costs="legacy")
    trades, _ = traded(ready, {"tp": [{"mult": 2.0}]})
    returns = [
        r
        for r, why in zip(*(plain(trades[name]) for name in ("realized_return_bps", "exit_reason")), strict=True)
        if why == "TP"
    ]

    assert returns
    assert close([9741.293532338311] * len(returns)) == returns
