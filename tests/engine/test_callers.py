import math
import statistics

import numpy as np
import pytest
import small_market
from highwater.engine.baseline import path_table
from highwater.engine.callers import caller_columns, trade_statistics
from highwater.engine.policy import Policy, Rung
from highwater.engine.strategy import trade_columns
from highwater.io import schemas
from highwater.kernels.stats import kaplan_meier
from small_market import plain

POLICY = Policy(sl=0.8, tp=(Rung(1.3),), trail_pct=0.15)


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    """Return (prepared, path metrics, trade columns); half of the alerts are not followed to the horizon."""
    ready = small_market.prepared(tmp_path_factory.mktemp("market"))
    return ready, path_table(ready, (), 1), trade_columns(ready, POLICY, 1)[0]


def rows_of(columns):
    """Return the columns as a list of dicts, None where masked."""
    lists = {name: plain(values) for name, values in columns.items() if not isinstance(values, str)}
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def chance(cases):
    """Return the Kaplan-Meier chance of a hit, of (time, hit) pairs: the product over the times of hits."""
    left = 1.0
    for time in sorted({time for time, hit in cases if hit}):
        at_risk = sum(t >= time for t, _ in cases)
        left *= 1 - sum(t == time and hit for t, hit in cases) / at_risk
    return 1 - left


def middle(rows, name, how=statistics.median):
    known = [row[name] for row in rows if row[name] is not None]
    return how(known) if known else None


def expected(ready, paths, trades, name):
    """Return one caller's row in plain Python."""
    mine = [row for row in paths if row["caller_name"] == name]
    ok = [row for row in mine if row["status"] == "OK"]
    row = {"run_id": "run", "caller_name": name, "calls": len(mine), "calls_excluded": len(mine) - len(ok)}
    coverage = dict(zip(plain(ready.alerts["call_id"]), ready.windows.coverage_end.tolist(), strict=True))
    for k in ("2x", "3x", "4x", "5x", "10x"):
        watched = [min(ready.trading.horizon, coverage[r["call_id"]] - r["entry_ts_ms"]) for r in ok]
        cases = [(r[f"t_{k}_ms"] if r[f"hit_{k}"] else w, r[f"hit_{k}"]) for r, w in zip(ok, watched, strict=True)]
        row[f"hit_{k}_rate"], row[f"hit_{k}_km"] = sum(hit for _, hit in cases) / len(ok), chance(cases)
    for column, name in (
        ("median_ath_mult", "ath_mult"),
        ("median_t_2x_ms", "t_2x_ms"),
        ("median_dd_overall", "dd_overall"),
        ("median_dd_pre_2x_or_horizon", "dd_pre_2x_or_horizon"),
        ("median_ret_end_bps", "ret_end_bps"),
    ):
        row[column] = middle(ok, name)
    row["censored_rate"] = sum(r["censored"] for r in ok) / len(ok)
    sold = [trade for trade in trades if trade["call_id"] in {r["call_id"] for r in ok}]
    returns = [trade["realized_return_bps"] for trade in sold]
    return row | {
        "trades_count": len(sold),
        "avg_return_bps": statistics.mean(returns),
        "median_return_bps": statistics.median(returns),
        "win_rate": sum(r > 0 for r in returns) / len(returns),
        "stop_out_rate": sum(trade["stop_out"] for trade in sold) / len(sold),
        "mean_worst_bps": middle(sold, "worst_bps", statistics.mean),
        "mean_best_bps": middle(sold, "best_bps", statistics.mean),
    }


def test_each_row_is_what_plain_python_makes_of_paths_and_trades(market):
    ready, paths, trades = market
    table = schemas.table(schemas.CALLERS, caller_columns(ready, paths, trades), "run").to_pylist()
    path_rows, trade_rows = paths.to_pylist(), rows_of(trades)

    assert set(plain(ready.alerts["caller_name"])) == {row["caller_name"] for row in table}
    for row in (row for row in table if row["calls"] > row["calls_excluded"]):
        wanted = expected(ready, path_rows, trade_rows, row["caller_name"])

        assert row.pop("p25_ath_mult") <= row["median_ath_mult"] <= row.pop("p75_ath_mult")
        assert pytest.approx({k: v for k, v in wanted.items() if isinstance(v, int | float)}, rel=1e-9) == {
            k: v for k, v in row.items() if isinstance(v, int | float)
        }
        assert wanted.keys() == row.keys()


def test_best_median_high_first(market):
    ready, paths, _ = market
    highs = caller_columns(ready, paths, None)["median_ath_mult"]

    assert sorted(highs, reverse=True) == highs


def test_without_trades_their_columns_are_null(market):
    ready, paths, _ = market
    table = schemas.table(schemas.CALLERS, caller_columns(ready, paths, None), "run")

    assert table.num_rows == table["trades_count"].null_count == table["win_rate"].null_count


def test_a_caller_none_of_whose_alerts_is_entered_has_no_rate(market):
    ready, paths, trades = market
    table = schemas.table(schemas.CALLERS, caller_columns(ready, paths, None), "run").to_pylist()
    empty = [row for row in table if row["calls"] == row["calls_excluded"]]
    known = ("run_id", "caller_name", "calls", "calls_excluded")

    assert empty
    assert not any(value is not None for row in empty for name, value in row.items() if name not in known)
    nothing = trade_statistics(trades, ready.ok.nonzero()[0][:0])

    assert 0 == nothing["trades_count"]
    assert all(math.isnan(value) for name, value in nothing.items() if name != "trades_count")


@pytest.mark.parametrize(
    ("cases", "rate"),
    [
        ([(1, True), (2, False), (3, True), (4, False)], 1 - 3 / 4 * 1 / 2),
        ([(1, False), (2, True)], 1.0),
        ([(2, True), (2, False), (5, False)], 1 / 3),
        ([(3, False), (4, False)], 0.0),
    ],
)
def test_the_chance_by_hand(cases, rate):
    times, hits = (np.array(part) for part in zip(*cases, strict=True))

    assert pytest.approx(rate) == chance(cases) == kaplan_meier(times.astype(float), hits)
