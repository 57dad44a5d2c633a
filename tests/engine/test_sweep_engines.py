"""The two engines of a search: one answer, whichever does it; and which of them ``auto`` takes."""

import dataclasses
import re

import numpy as np
import pytest
import small_market
from highwater.engine import show
from highwater.engine import sweep_run as work
from highwater.engine.recipe import prepare
from highwater.engine.settings import Guards, Sources, Store, Trading
from highwater.engine.sizing import (
    MOST_MOVING_STOPS,
    SMALLEST_BLOCK,
    TOGETHER,
    Levels,
    Size,
    engine_for,
    levels_of,
    tables_block,
    tables_bytes,
    trial_bytes,
    uncovered,
)
from highwater.engine.space import Space, draw, policy_at, rungs_of, to_policies
from highwater.engine.strategy import trade_columns
from highwater.engine.sweep import Choices, constraint, plan
from highwater.engine.tallies import exact, ground, max_drawdown, returns, tally
from highwater.engine.values import Range, parse_size
from highwater.io.errors import LimitError, UsageError
from highwater.io.runs import read_artifact, read_manifest
from highwater.kernels import packed
from highwater.kernels.axes import axes_of
from highwater.kernels.stats import quantile
from hypothesis import given
from hypothesis import strategies as st
from small_market import HORIZON, by_token, tables

WHOLE, PARTS = rungs_of("1.1:3@100%"), rungs_of("1.02:1.3@50%,1.1:2@30%")
SPACES = {
    "fixed": Space({"tp": Range(1.1, 3.0, None, True), "sl": Range(0.5, 0.95)}),
    "trailing": Space(
        {"trail": Range(0.05, 0.5), "sl": Range(0.7, 0.9), "time_stop_ms": Range(300_000.0, 7_200_000.0)}
    ),
    "armed later": Space({"trail": Range(0.05, 0.2), "trail_activate": Range(1.0, 1.4)} | WHOLE[0], WHOLE[1]),
    "breakeven": Space(
        {"breakeven": Range(1.05, 1.5), "breakeven_offset": Range(-0.1, 0.04), "trail": Range(0.1, 0.3)}
    ),
    "one": Space({"tp": Range(2.0, 2.0), "sl": Range(0.8, 0.8)}),
}
TRIALS = 300
OUTLIER = 6  # the number of the token whose returns no table holds


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return the sources, the trading and the runs of a market in which a token rises ten-thousandfold."""
    folder = tmp_path_factory.mktemp("market")
    candles = tables()[0]
    series = by_token(candles)
    for row in series[list(series)[OUTLIER]]:
        row["high"] *= 10_000
    rows = [row for each in series.values() for row in each]
    market = small_market.write(folder, type(candles).from_pylist(rows, candles.schema))
    return Sources(alerts=market.alerts, candles=market.candles), Trading(horizon=HORIZON), folder / "runs"


@pytest.fixture(scope="module")
def ready(home):
    sources, trading, runs = home
    return prepare(sources, trading, Store(runs=runs, quiet=True))


def swept(home, space, choices, threads=None, memory=512 << 20, objective="avg_return_bps"):
    """Return the outcome of a search and its manifest."""
    sources, trading, runs = home

    def sized(prepared):
        return plan(space, TRIALS, 5, objective, (), prepared, memory, 10**9, choices)

    store = Store(runs=runs, threads=threads, quiet=True)
    done = work.run_sweep(prepare(sources, trading, store), store, space, sized, Guards(), ("highwater", "sweep"))
    return done, read_manifest(done.path)


def contents(manifest):
    return {a.type: a.content_sha256 if a.rows is not None else a.sha256 for a in manifest.artifacts}


@pytest.mark.parametrize("medians", ["top", "all"])
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_every_artifact_is_the_same_whichever_engine_makes_it(home, ready, space, medians):
    _, usual = swept(home, space, Choices("bars", medians, 2))
    longest = int((ready.windows.last - ready.windows.first).max())
    size = Size(usual.counts["OK"], longest, TRIALS, medians == "all", levels_of(space, TRIALS))
    short = tables_bytes(size) + 90 * trial_bytes(size)
    ways = [("tables", 1), ("tables", 2), ("tables", 2, short), ("bars", 1, 50_000), ("auto", None)]
    others = [swept(home, space, Choices(engine, medians, 2), *more)[1] for engine, *more in ways]

    assert [contents(usual)] * len(ways) == list(map(contents, others))
    assert {usual.config_digest} == {one.config_digest for one in others}
    assert ["tables"] * 3 + ["bars"] == [one.execution["engine"] for one in others[:-1]]
    assert [TRIALS, TRIALS, 90] == [one.execution["block"] for one in others[:3]]
    assert 0 < others[0].execution["alerts_by_candle"] < usual.execution["alerts_by_candle"] == usual.counts["OK"]


@pytest.mark.parametrize("engine", ["tables", "bars"])
def test_returns_are_those_of_the_strategy_and_so_is_all_that_is_read_off_them(ready, engine):
    space = SPACES["trailing"]
    drawn = draw(space, 5, 0, 9)
    there = ground(ready, engine, 20_000, None)
    found, columns = returns(there, to_policies(space, drawn)), exact(there, to_policies(space, drawn))
    alerts = [row for row, ok in zip(ready.alerts.to_pylist(), ready.ok, strict=True) if ok]
    when = sorted(range(len(alerts)), key=lambda a: (ready.windows.ts[ready.ok][a], alerts[a]["call_id"]))

    assert ("tables" == engine) == there.fits.any()
    assert there.bars > 0
    for i in range(9):
        trades, _ = trade_columns(ready, policy_at(space, drawn, i), 1)
        ret_q = np.ma.getdata(trades["ret_q"])[ready.ok]
        curve = [0]
        for a in when:
            curve.append(curve[-1] + int(ret_q[a]))

        assert ret_q.tolist() == found[i].tolist()
        assert min(curve[k] - max(curve[: k + 1]) for k in range(len(curve))) / 100 == columns["max_drawdown_bps"][i]
        for name, q in {"p25": 0.25, "median": 0.5, "p75": 0.75, "p90": 0.9}.items():
            assert quantile(ret_q.astype(float), q) / 100 == columns[f"{name}_return_bps"][i]


def test_the_engine_that_ran_is_named_with_its_pace_and_what_it_could_not_take(home):
    tables, bars = (show.engine(swept(home, SPACES["fixed"], Choices(engine))[0]) for engine in ("tables", "bars"))
    pace = r": 300 trials x 19 alerts in [0-9.]+ s( with compiling|, [0-9.,]+ ns a trade)"

    assert re.fullmatch(f"engine tables{pace};\n {{15}}2 alerts candle by candle", tables)
    assert re.fullmatch(f"engine bars{pace}", bars)


@given(st.lists(st.lists(st.integers(-(10**6), 10**9), min_size=3, max_size=3), min_size=1, max_size=4))
def test_a_drawdown_begins_at_nothing_lost(steps):
    found = max_drawdown(np.array(steps))
    for row, deepest in zip(steps, found, strict=True):
        curve = [0, row[0], row[0] + row[1], sum(row)]

        assert min(low - high for k, low in enumerate(curve) for high in curve[: k + 1]) == deepest


@pytest.mark.parametrize("medians", [False, True])
def test_progress_counts_the_trades_of_both_engines(ready, medians):
    there, done = ground(ready, "tables", 1 << 20, None), []
    drawn = draw(SPACES["fixed"], 5, 0, 50)
    sums = tally(there, to_policies(SPACES["fixed"], drawn), medians, done.append)

    assert [50 * (there.fits.size - there.bars), 50 * there.fits.size] == done
    assert (not medians) == bool(np.isnan(sums["median_q"]).all())


def test_medians_of_trials_are_told_where_they_are_asked_for(home):
    columns = {}
    for choice, objective in (("top", "avg_return_bps"), ("all", "avg_return_bps"), ("top", "median_return_bps")):
        done, manifest = swept(home, SPACES["fixed"], Choices("auto", choice), objective=objective)
        trials = read_artifact(done.path, "trials")["median_return_bps"].to_pylist()
        rows = read_artifact(done.path, "frontier").to_pylist()
        columns[choice, objective] = (trials, rows, manifest.config["medians"])
    top, everyone, implied = columns.values()

    assert [None] * TRIALS == top[0]
    assert ("top", "all", "all") == (top[2], everyone[2], implied[2])
    assert top[1] == [row | {"run_id": top[1][0]["run_id"]} for row in everyone[1]]
    assert everyone[0] == implied[0]
    for row in everyone[1]:
        assert everyone[0][row["trial_id"]] == row["median_return_bps"]
        assert row["p25_return_bps"] <= row["median_return_bps"] <= row["p75_return_bps"] <= row["p90_return_bps"]
    assert sorted(everyone[0], reverse=True) == [row["objective_score"] for row in implied[1]]


def test_a_bound_on_the_median_wants_all_of_them(ready):
    bound = (constraint("median_return_bps>=0"),)

    assert "all" == plan(SPACES["fixed"], 50, 1, "avg_return_bps", bound, ready, 512 << 20, 10**9).medians


def test_the_trades_of_the_best_are_written_each_policy_once(home):
    done, _ = swept(home, SPACES["fixed"], Choices(trades=3))
    best = read_artifact(done.path, "frontier").to_pylist()[:3]
    trades, fills = (read_artifact(done.path, kind).to_pylist() for kind in ("trades", "fills"))
    ids = list(dict.fromkeys(row["policy_id"] for row in best))

    assert 3 == len(ids)
    assert ids == list(dict.fromkeys(row["policy_id"] for row in trades))
    assert ids == list(dict.fromkeys(row["policy_id"] for row in fills))
    for row in best:
        own = [trade["ret_q"] for trade in trades if trade["policy_id"] == row["policy_id"] and trade["status"] == "OK"]

        assert row["trades_count"] == len(own)
        assert row["avg_return_bps"] == pytest.approx(sum(own) / len(own) / 100)
    same, _ = swept(home, SPACES["one"], Choices(trades=3))
    assert len(read_artifact(same.path, "alerts")) == len(read_artifact(same.path, "trades"))


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("trials", [1, 40, 3000])
def test_a_search_holds_no_more_levels_than_were_counted(space, trials):
    axes, moving, _ = axes_of(to_policies(space, draw(space, 1, 0, trials)))
    plain = axes.trail_pct.size
    late = moving.sl.size - plain if {"trail", "breakeven"} & set(space.ranges) else 0
    counted = levels_of(space, trials)

    assert late <= counted.moving <= trials
    assert axes.sl.size + axes.tp.size + axes.time_ms.size + plain <= counted.others
    if space in (SPACES["trailing"], SPACES["one"]) and trials == 3000:
        assert plain + axes.sl.size + axes.tp.size + axes.time_ms.size == counted.others - (not plain)


def test_tables_are_of_as_many_alerts_as_are_added_up_at_once():
    assert packed.TOGETHER == TOGETHER


SMALL = Size(1000, 500, 10_000, False, Levels(500, 0))


@pytest.mark.parametrize(
    ("changes", "engine"),
    [
        ({}, "tables"),
        ({"trials": 15}, "bars"),
        ({"trials": 16, "levels": Levels(16, 0)}, "tables"),
        ({"trials": 1000, "levels": Levels(0, 999)}, "tables"),
        ({"trials": 1000, "levels": Levels(9000, 999)}, "bars"),
        ({"levels": Levels(500, MOST_MOVING_STOPS)}, "bars"),
        ({"longest": 10**7}, "bars"),
        ({"medians": True}, "tables"),
    ],
)
def test_auto_takes_tables_where_they_fit_and_pay(changes, engine):
    size = dataclasses.replace(SMALL, **changes)

    assert engine == engine_for("auto", size, 512 << 20, covered=True)[0]
    assert "bars" == engine_for("auto", size, 512 << 20, covered=False)[0]
    assert "bars" == engine_for("bars", size, 512 << 20, covered=True)[0]


def test_the_memory_a_refusal_names_is_enough():
    for engine, size in (("tables", SMALL), ("tables", dataclasses.replace(SMALL, medians=True)), ("bars", SMALL)):
        with pytest.raises(LimitError) as caught:
            engine_for(engine, size, 1000, covered=True)
        ((text, _),) = re.findall(r"budget is 0.000954 MiB: raise it with --mem (\d+[KM])(,|$)", str(caught.value))
        took, block = engine_for(engine, size, parse_size(text), covered=True)

        assert engine == took
        assert SMALLEST_BLOCK <= block


def test_too_many_moving_stops_for_tables_are_refused():
    with pytest.raises(LimitError, match=r"up to 20,000 different moving stops.* or use --engine bars"):
        tables_block(dataclasses.replace(SMALL, levels=Levels(0, MOST_MOVING_STOPS)), 1 << 40)


@pytest.mark.parametrize(
    ("space", "trading", "flag"),
    [
        (SPACES["fixed"], {"intrabar": "optimistic"}, "--intrabar optimistic"),
        (SPACES["fixed"], {"intrabar": "ohlc_path"}, "--intrabar ohlc_path"),
        (SPACES["fixed"], {"costs": "legacy"}, "--costs legacy"),
        (Space(*PARTS), {}, "a --ladder of several rungs"),
        (Space(*rungs_of("1.1:2@50%")), {}, "a --ladder that keeps a part"),
    ],
)
def test_what_tables_do_not_cover_is_named(ready, space, trading, flag):
    trading = dataclasses.replace(ready.trading, **trading)
    ready = dataclasses.replace(ready, trading=trading)
    work_of = (space, 100, 1, "avg_return_bps", (), ready, 512 << 20, 10**9)

    assert flag == uncovered(space, trading)
    assert "bars" == plan(*work_of).engine
    with pytest.raises(UsageError) as caught:
        plan(*work_of, Choices("tables"))
    assert f"--engine tables does not cover {flag}; use --engine bars, or auto" in str(caught.value)


@pytest.mark.parametrize("space", [space for name, space in SPACES.items() if name != "one"])
def test_what_tables_cover_needs_no_words(space):
    assert "" == uncovered(space, Trading())
