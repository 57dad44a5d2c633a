"""A run on real calls done again is identical; with one candle changed, exactly what that candle decides is named."""

import json

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from highwater.io.runs import find_run, list_runs, read_artifact
from shared_market import DATA, needs_data
from small_market import Market, run

pytestmark = needs_data
MARKET = Market(
    DATA / "candles" / "pump_events_binance_1m.parquet", DATA / "alerts" / "pump_calls_with_candles.parquet"
)
MINUTE, SL = 60_000, 0.9


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a directory of one run, a strategy's on the pump calls."""
    folder = tmp_path_factory.mktemp("calls") / "runs"
    done = run("strategy", *MARKET.flags, "--tp", 1.3, "--sl", SL, "--horizon", "2h", "--runs", folder, "--quiet")
    assert 0 == done.code, done.err
    return folder


@pytest.fixture(scope="module")
def changed(runs, tmp_path_factory):
    """Return candles of which one, a minute within a trade, falls to a tenth; its token, and its time in ms."""
    before = find_run(runs, "latest").path
    alerts, trades = (read_artifact(before, kind).to_pylist() for kind in ("alerts", "trades"))
    mint, when = next(
        (alert["mint"], trade["entry_ts_ms"] // MINUTE * MINUTE + 10 * MINUTE)
        for alert, trade in zip(alerts, trades, strict=True)
        if trade["status"] == "OK" and trade["time_exposed_ms"] > 30 * MINUTE
    )
    table = pq.read_table(MARKET.candles)
    here = pc.and_(pc.equal(table["symbol"], mint), pc.equal(table["ts"], pa.scalar(when, pa.timestamp("ms", "UTC"))))
    assert 1 == pc.sum(here).as_py()
    low = pc.if_else(here, pc.multiply(table["low"], 0.1), table["low"])
    path = tmp_path_factory.mktemp("changed") / "candles.parquet"
    pq.write_table(table.set_column(table.column_names.index("low"), "low", low), path)
    return path, mint, when


def test_a_run_done_again_is_identical(runs):
    done = run("runs", "rerun", list_runs(runs)[-1].run_id, "--runs", runs, "--quiet")

    assert (0, "") == (done.code, done.err)
    assert "identical  157 alerts, 157 paths, 157 trades, " in done.out


def test_one_changed_candle_is_named_by_its_effect_and_nothing_else_moved(runs, changed):
    path, mint, when = changed
    before = list_runs(runs)[-1]
    done = run("runs", "rerun", before.run_id, "--runs", runs, "--candles", path, "--quiet", "--json")
    found = json.loads(done.out)
    after = find_run(runs, found["rerun_id"])
    alerts = read_artifact(before.path, "alerts").to_pylist()
    old, new = (read_artifact(one.path, "trades").drop_columns(["run_id"]).to_pylist() for one in (before, after))
    held = [
        row
        for row, (alert, trade) in enumerate(zip(alerts, old, strict=True))
        if alert["mint"] == mint and trade["entry_ts_ms"] <= when < trade["exit_ts_ms"]
    ]
    (trade,) = (each for each in found["differences"] if each["artifact"] == "trades")

    assert (4, "", False) == (done.code, done.err, found["identical"])
    assert {("data", "candles")} == {(each["kind"], each["what"]) for each in found["changes"]}
    assert held
    assert held == [row for row in range(len(old)) if old[row] != new[row]]
    for row in held:
        assert ("SL", when + MINUTE) == (new[row]["exit_reason"], new[row]["exit_ts_ms"])
        assert pytest.approx(SL * old[row]["entry_px"]) == new[row]["exit_px"]
    assert (held[0], f"call_id {alerts[held[0]]['call_id']}") == (trade["row"], trade["key"])
    assert (old[held[0]][trade["column"]], new[held[0]][trade["column"]]) == (trade["before"], trade["after"])

    compared = json.loads(run("runs", "diff", before.run_id, after.run_id, "--runs", runs, "--json").out)
    assert {alerts[row]["call_id"] for row in held} == {each["call_id"] for each in compared["rows"]}
    assert {"data changed"} == {each["reason"] for each in compared["rows"]}
