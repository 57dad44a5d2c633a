import itertools
import math

import pytest
import service_runs
from highwater.engine.service import results, tables
from highwater.engine.service.runs import open_run
from highwater.io.errors import BusyError, LimitError, MissingError, UsageError
from highwater.io.patience import within
from highwater.io.runs import read_artifact


@pytest.fixture(scope="module")
def runs():
    made = service_runs.made()
    return {kind: open_run(made.root, run_id) for kind, run_id in made.ids.items()}


def rows(run, kind):
    return read_artifact(run.path, kind).to_pylist()


def test_trades_of_sessions_by_symbol_and_direction(runs):
    every = rows(runs["session"], "session_trades")
    found = results.trades(runs["session"], "QQQ", "long")

    assert [row for row in every if (row["symbol"], row["direction"]) == ("QQQ", "long")] == found.table.to_pylist()
    assert 0 < found.total < len(every)


def test_trades_of_alerts_say_whose_they_are(runs):
    alert = rows(runs["policy"], "alerts")[0]
    found = results.trades(runs["policy"], symbol=alert["mint"], direction="long")

    assert {alert["mint"]} == set(found.table["mint"].to_pylist())
    assert alert["caller_name"] in found.table["caller_name"].to_pylist()
    assert 0 == results.trades(runs["policy"], direction="short").total


def test_equity_of_alerts_adds_up_by_entry(runs):
    found = results.equity(runs["policy"])
    done = sorted(
        (row for row in rows(runs["policy"], "trades") if row["ret_q"] is not None),
        key=lambda row: (row["entry_ts_ms"], row["call_id"]),
    )
    sums, high, falls, total = [], 0.0, [], 0
    for row in done:
        total += row["ret_q"]
        high = max(high, total / 100)
        sums.append(total / 100)
        falls.append(total / 100 - high)

    assert (sums, falls) == tuple(found.table[name].to_pylist() for name in ("cumulative_return_bps", "drawdown_bps"))
    assert ("bps", sums[-1], min(0.0, *falls)) == (found.unit, found.final, found.max_drawdown)
    assert list(range(1, len(done) + 1)) == found.table["trade_number"].to_pylist()


def test_equity_of_sessions_is_that_of_all_or_of_a_symbol(runs):
    every = rows(runs["session"], "equity")
    for symbol in (None, "SPY"):
        found = results.equity(runs["session"], symbol)
        assert [row for row in every if row["scope"] == (symbol or "combined")] == found.table.to_pylist()
        assert found.table["cumulative_r"][-1].as_py() == found.final
    with pytest.raises(MissingError, match="has no trade of symbol 'XXX'"):
        results.equity(runs["session"], "XXX")
    with pytest.raises(MissingError, match="has no artifact 'trades'"):
        results.equity(runs["path-only"])
    with pytest.raises(MissingError, match="has no trade of policy 'nope'"):
        results.equity(runs["policy"], policy="nope")
    with pytest.raises(UsageError, match="is of sessions and has no policies"):
        results.equity(runs["session"], policy="nope")


def test_equity_of_one_mint_is_that_of_its_trades(runs):
    calls = {row["call_id"]: row["mint"] for row in rows(runs["policy"], "alerts")}
    done = [row for row in rows(runs["policy"], "trades") if row["ret_q"] is not None]
    mint = calls[done[0]["call_id"]]
    found = results.equity(runs["policy"], mint)

    mine = [row["ret_q"] for row in done if calls[row["call_id"]] == mint]
    assert (len(mine), sum(mine) / 100) == (found.table.num_rows, found.final)
    with pytest.raises(MissingError, match="has no trade of symbol 'SPY'"):
        results.equity(runs["policy"], "SPY")


def test_metrics_are_of_all_or_of_a_symbol(runs):
    every = rows(runs["session"], "symbols")
    for symbol in (None, "QQQ"):
        expected = next(row for row in every if row["symbol"] == symbol)
        found = results.metrics(runs["session"], symbol)
        assert {k: v for k, v in expected.items() if k not in ("run_id", "symbol")} == found.values
    assert rows(runs["policy"], "summary")[0]["win_rate"] == results.metrics(runs["policy"]).values["win_rate"]
    with pytest.raises(MissingError, match="has no figures of symbol 'SPY'"):
        results.metrics(runs["policy"], "SPY")


def test_what_is_undefined_says_why(runs):
    values = {"total_trades": 3, "profit_factor": None, "sharpe_ratio": None, "median_r": None}

    assert "no losing trade" == results._why("profit_factor", values)
    assert "undefined on these trades" == results._why("median_r", values)
    assert "no trades" == results._why("sharpe_ratio", values | {"total_trades": 0})
    assert None is results._finite(math.nan) is results._finite(math.inf)


def test_attribution_counts_every_trade(runs):
    factors, scores = results.attribution(runs["session"])
    every = rows(runs["session"], "session_trades")

    for row in factors:
        known = [each[f"factor_{row['factor']}"] for each in every]
        assert (known.count(True), known.count(False)) == (row["present_count"], row["absent_count"])
    assert len(every) == sum(each["count"] for each in scores)
    low, high = (end(each["confluence_score"] for each in every) for end in (min, max))
    top = [each["realized_r"] for each in every if each["confluence_score"] >= low + 0.8 * (high - low)]
    assert ("Very High", len(top)) == (scores[-1]["bucket"], scores[-1]["count"])
    with pytest.raises(MissingError, match="has no artifact 'session_trades'"):
        results.attribution(runs["policy"])


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_factors_are_sampled_evenly_and_alike_each_time(runs, limit):
    found = results.factors(runs["session"], "SPY", limit)

    assert limit == found.num_rows
    assert found.equals(results.factors(runs["session"], "SPY", limit))
    bars = found["bar_number"].to_pylist()
    assert 0 == bars[0] and sorted(set(bars)) == bars
    assert 2 > max((b - a for a, b in itertools.pairwise(bars)), default=0) - 10920 / limit


def test_callers_are_ranked(runs):
    names = results.callers(runs["policy"], sort="calls").rows["caller_name"].to_pylist()

    assert {service_runs.HOSTILE, service_runs.FORMULA} < set(names)
    with pytest.raises(MissingError, match="has no artifact 'callers'"):
        results.callers(runs["session"])


def test_guards_are_those_of_a_search(runs):
    assert "FAIL" == results.guards(runs["search"])["checks"][0]["status"]
    assert None is results.guards(runs["policy"])


def test_a_surface_of_three_is_cut_at_one_of_the_third(runs):
    found = results.surface(runs["surface"], held={"trail": 0.2})
    cells = [row for row in rows(runs["surface"], "surface") if row["trail"] == 0.2]

    assert ("tp", "sl", {"trail": 0.2}) == (found.x, found.y, found.held)
    assert [row["avg_return_bps"] for row in cells] == found.table["avg_return_bps"].to_pylist()
    best = max(rows(runs["surface"], "surface"), key=lambda row: row["avg_return_bps"])
    assert {"tp": best["tp"]} == results.surface(runs["surface"], "trail", "sl").held


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"x": "nope"}, "x is 'nope'; it must be one of tp, sl, trail"),
        ({"value": "run_id"}, "value is 'run_id'; it must be one of "),
        ({"held": {"trail": 0.3}}, "trail is 0.3; the nearest value of the surface is 0.[24]"),
        ({"held": {"nope": 1.0}}, "'nope' is held, and is no parameter"),
    ],
)
def test_what_is_asked_of_a_surface_is_checked(runs, asked, message):
    with pytest.raises(UsageError, match=message):
        results.surface(runs["surface"], **asked)


def test_pages_of_a_surface_follow_each_other(runs):
    whole = results.surface(runs["surface"], held={"trail": 0.2})
    cells = [results.surface(runs["surface"], held={"trail": 0.2}, limit=4, offset=at) for at in range(0, 12, 4)]

    assert {whole.total} == {each.total for each in cells}
    assert whole.table.to_pylist()[:12] == [row for each in cells for row in each.table.to_pylist()]
    assert 0 == results.surface(runs["surface"], limit=4, offset=10**6).table.num_rows


def test_of_a_surface_only_the_rows_that_are_asked_for_are_held(runs, monkeypatch):
    monkeypatch.setattr(results, "whole_of", None)
    monkeypatch.setattr(tables, "MOST_CELLS", 60)

    assert 10 == results.surface(runs["surface"], limit=10).table.num_rows
    with pytest.raises(LimitError, match=r"surface has \d+ rows, and this answer needs 6 columns"):
        results.surface(runs["surface"], limit=11)


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (results.equity, "policy"),
        (results.equity, "session"),
        (results.attribution, "session"),
        (results.callers, "policy"),
    ],
)
def test_what_needs_a_whole_table_says_where_it_ends(runs, monkeypatch, asked, kind):
    asked(runs[kind])
    monkeypatch.setattr(tables, "MOST_CELLS", 2)

    with pytest.raises(LimitError, match="that is too much at once: read its artifact page by page"):
        asked(runs[kind])


def test_alerts_are_beside_their_trades_whatever_is_asked(runs):
    alerts = {row["call_id"]: row for row in rows(runs["policy"], "alerts")}
    plain = results.trades(runs["policy"], limit=7, offset=3).table
    by_caller = results.trades(runs["policy"], sort="caller_name").table

    assert plain.column_names == by_caller.column_names
    for row in [*plain.to_pylist(), *by_caller.to_pylist()]:
        assert {name: alerts[row["call_id"]][name] for name in ("mint", "caller_name", "alert_ts_ms")}.items() <= (
            row.items()
        )


def test_runs_are_compared_within_limits(runs, monkeypatch):
    with within(0.0), pytest.raises(BusyError, match="takes longer than 0 s; ask for less"):
        results.compare(runs["policy"], runs["search"])
    monkeypatch.setattr(tables, "MOST_CELLS", 60)
    with pytest.raises(LimitError, match="trades has 24 rows"):
        results.compare(runs["policy"], runs["search"])


def test_two_runs_are_compared(runs):
    found = results.compare(runs["policy"], runs["search"])
    none = results.compare(runs["policy"], runs["policy"])

    assert "policy" in [change.what for change in found.changes]
    assert 24 >= found.trades.totals["trades"].to_numpy().sum() > 0
    assert ((), (), ["same"]) == (none.changes, none.differences, none.trades.totals["reason"].to_pylist())
    paths = results.compare(runs["policy"], runs["path-only"])
    assert (None, 24) == (paths.trades, paths.metrics.alerts)
    assert (None, None) == ((odd := results.compare(runs["session"], runs["policy"])).trades, odd.metrics)
