import math
import statistics
from types import SimpleNamespace

import numpy as np
import pytest
import small_market
from highwater.engine import rates
from highwater.engine.baseline import path_table
from highwater.engine.callers import caller_columns, score, trade_statistics, watches
from highwater.engine.policy import Policy, Rung
from highwater.engine.strategy import trade_columns
from highwater.io import schemas
from highwater.kernels.stats import kaplan_meier
from plain_callers import chance, fate
from small_market import close, plain

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


def middle(rows, name, how=statistics.median):
    known = [row[name] for row in rows if row[name] is not None]
    return how(known) if known else None


def expected(ready, paths, trades, name):
    """Return one caller's row in plain Python; what its rates prove is ``rates.judge``'s."""
    followed = dict(zip(plain(ready.alerts["call_id"]), small_market.oracle(ready), strict=True))
    mine = [row for row in paths if row["caller_name"] == name]
    ok = [row for row in mine if row["status"] == "OK"]
    row = {"run_id": "run", "caller_name": name, "calls": len(mine), "calls_excluded": len(mine) - len(ok)}
    coverage = dict(zip(plain(ready.alerts["call_id"]), ready.windows.coverage_end.tolist(), strict=True))
    for k in ("2x", "3x", "4x", "5x", "10x"):
        watched = [min(ready.trading.horizon, coverage[r["call_id"]] - r["entry_ts_ms"]) for r in ok]
        cases = [(r[f"t_{k}_ms"] if r[f"hit_{k}"] else w, r[f"hit_{k}"]) for r, w in zip(ok, watched, strict=True)]
        row[f"hit_{k}_rate"], row[f"hit_{k}_km"] = sum(hit for _, hit in cases) / len(ok), chance(cases)
        times, hits = (np.array(part) for part in zip(*cases, strict=True))
        row[f"hit_{k}_km_low"], row[f"hit_{k}_km_high"] = rates.reached_by(times.astype(float), hits, math.inf)[1:]
        fates = [fate(ready, *followed[r["call_id"]], r[f"hit_{k}"]) for r in ok]
        row |= {f"calls_{what}_{k}": fates.count(what) for what in ("reached", "data_ended", "died")}
    for column, name in (
        ("median_ath_mult", "ath_mult"),
        ("median_t_2x_ms", "t_2x_ms"),
        ("median_dd_overall", "dd_overall"),
        ("median_dd_pre_2x_or_horizon", "dd_pre_2x_or_horizon"),
        ("median_ret_end_bps", "ret_end_bps"),
    ):
        row[column] = middle(ok, name)
    row["median_ath_low"], row["median_ath_high"] = rates.median_interval(np.array([r["ath_mult"] for r in ok]))
    row["censored_rate"] = sum(r["censored"] for r in ok) / len(ok)
    p25, p75, p95 = (np.quantile([r["ath_mult"] for r in ok], q) for q in (0.25, 0.75, 0.95))
    row["caller_score"] = merit(row, len(ok), p75, p95)
    sold = [trade for trade in trades if trade["call_id"] in {r["call_id"] for r in ok}]
    returns = [trade["realized_return_bps"] for trade in sold]
    ends = rates.median_interval(np.array(returns))
    return row | {
        "p25_ath_mult": p25,
        "p75_ath_mult": p75,
        "median_return_low_bps": ends[0],
        "median_return_high_bps": ends[1],
        "trades_count": len(sold),
        "avg_return_bps": statistics.mean(returns),
        "median_return_bps": statistics.median(returns),
        "win_rate": sum(r > 0 for r in returns) / len(returns),
        "stop_out_rate": sum(trade["stop_out"] for trade in sold) / len(sold),
        "mean_worst_bps": middle(sold, "worst_bps", statistics.mean),
        "mean_best_bps": middle(sold, "best_bps", statistics.mean),
    }


def merit(row, n, p75, p95):
    """Return the caller score, term by term."""
    fall = -row["median_dd_pre_2x_or_horizon"]
    hours = math.inf if row["median_t_2x_ms"] is None else row["median_t_2x_ms"] / 3_600_000
    gain = (row["median_ath_mult"] - 1) * row["hit_2x_km"] + 0.1 * (p75 - row["median_ath_mult"]) + 0.05 * (p95 - p75)
    discipline = 0.6 if row["hit_2x_km"] >= 0.5 and fall <= 0.3 else 0
    penalty = math.exp(15 * (fall - 0.3)) - 1 if fall > 0.3 else 0
    return math.sqrt(n / (n + 50)) * (gain * (1 + 0.8 * 0.5**hours) + discipline) - penalty


def judged(rows):
    """Return the columns that ``rates.judge`` fills, a dict a row, None for NaN."""
    found = [{} for _ in rows]
    for k in ("2x", "3x", "4x", "5x", "10x"):
        calls = np.array([row["calls"] - row["calls_excluded"] for row in rows])
        proved = rates.judge(np.array([row[f"calls_reached_{k}"] or 0 for row in rows]), calls)
        for i, row in enumerate(found):
            columns = {name: float(getattr(proved, name)[i]) for name in ("low", "high", "shrunk", "q", "needs")}
            row |= {f"hit_{k}_{name}": None if math.isnan(value) else value for name, value in columns.items()}
    return found


def test_each_row_is_what_plain_python_makes_of_paths_and_trades(market):
    ready, paths, trades = market
    table = schemas.table(schemas.CALLERS, caller_columns(ready, paths, trades), "run").to_pylist()
    path_rows, trade_rows = paths.to_pylist(), rows_of(trades)

    assert set(plain(ready.alerts["caller_name"])) == {row["caller_name"] for row in table}
    for row, proved in zip(table, judged(table), strict=True):
        if row["calls"] > row["calls_excluded"]:
            wanted = expected(ready, path_rows, trade_rows, row["caller_name"]) | proved
            assert wanted.keys() == row.keys()
            for column, value in wanted.items() - {("run_id", "run"), ("caller_name", row["caller_name"])}:
                assert close([None if value != value else value], 1e-9) == [row[column]], column


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


def test_every_fate_occurs(market):
    ready, paths, _ = market
    columns = caller_columns(ready, paths, None)

    for what, k in (("reached", "2x"), ("data_ended", "2x"), ("died", "10x")):
        assert sum(n or 0 for n in columns[f"calls_{what}_{k}"]) > 0, what


@pytest.mark.parametrize(
    ("covered", "last", "longest", "wanted"),
    [
        (100_000, 88_999, None, (100_000, False, True)),
        (100_000, 89_000, None, (100_000, False, False)),
        (100_000, 89_000, 9_999, (100_000, False, True)),
        (200_000, 88_999, None, (100_000, False, True)),
        (99_999, 1_000, None, (99_999, True, False)),
        (200_000, 99_000, None, (100_000, False, False)),
    ],
    ids=["silent", "traded", "waits for less", "the feed goes on", "ended", "to the end"],
)
def test_a_token_died_that_is_silent_for_longer_than_a_trade_waits(covered, last, longest, wanted):
    one = {"ts": 0, "end": 100_000, "coverage_end": covered, "last": 1}
    ready = SimpleNamespace(
        windows=SimpleNamespace(**{name: np.array([value]) for name, value in one.items()}),
        trading=SimpleNamespace(max_entry_delay=longest),
        slice=SimpleNamespace(candles=SimpleNamespace(ts=np.array([last]))),
        step=1_000,
    )

    assert wanted == tuple(column[0] for column in watches(ready, np.array([0])))


def scored(**changes):
    row = {"calls": 32, "calls_excluded": 2, "median_ath_mult": 3.0, "p75_ath_mult": 5.0, "hit_2x_km": 0.5}
    row |= {"median_t_2x_ms": 3_600_000.0, "median_dd_pre_2x_or_horizon": -0.3} | changes
    return score(row, 7.0)


def test_the_score_by_hand():
    # confidence of 30 calls 0.612; (2 * .5 + .1 * 2 + .05 * 2) * 1.4 + .6 = 2.42
    assert pytest.approx(math.sqrt(30 / 80) * 2.42) == scored()
    assert pytest.approx(math.sqrt(30 / 80) * 1.9) == scored(median_t_2x_ms=math.nan)
    assert pytest.approx(math.sqrt(30 / 80) * (1.1 * 1.4)) == scored(hit_2x_km=0.4)
    assert math.isnan(scored(calls=2))


@pytest.mark.parametrize(("fall", "penalty"), [(0.3, 0.0), (0.4, 3.48), (0.5, 19.09), (0.6, 89.02)])
def test_the_penalty_of_the_score_and_that_doubt_does_not_lighten_it(fall, penalty):
    rows = {"median_ath_mult": 1.0, "p75_ath_mult": 1.0, "hit_2x_km": 0.0, "median_dd_pre_2x_or_horizon": -fall}
    few, many = (score({"calls": n, "calls_excluded": 0, "median_t_2x_ms": math.nan} | rows, 1.0) for n in (1, 1000))

    assert pytest.approx(-penalty, abs=0.005) == few == many
