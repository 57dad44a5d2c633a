import json
from dataclasses import replace
from datetime import date

import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from highwater.engine.recipe import Clock
from highwater.engine.rerun import rerun
from highwater.engine.session.config import parse
from highwater.engine.session.files import safe, write_files
from highwater.engine.session.given import Feed, Task, fetch
from highwater.engine.session.run import run_sessions
from highwater.engine.settings import Store
from highwater.io.errors import DataError, MissingError
from highwater.io.runs import verify

MINUTE = 60_000
FEW = {"scoring": {"enabled": False}}


def task(symbols=("SPY", "QQQ"), settings=FEW, end=date(2024, 2, 10), **more):
    return Task(symbols, date(2024, 1, 2), end, MINUTE, parse(settings, "settings"), **more)


def done(folder, what, feed=None, **store):
    store = Store(runs=folder, quiet=True, **store)
    clock = Clock()
    given = fetch(what, feed or Feed("synthetic"), store, None, clock)
    return run_sessions(what, given, store, ("backtest",), clock)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return done(tmp_path_factory.mktemp("runs"), task())


def digests(run):
    manifest = json.loads((run.path / "run.json").read_text())
    return {each["path"]: each["content_sha256"] for each in manifest["artifacts"] if each["type"] != "log"}


def test_a_run_is_published_whole(run):
    names = {
        "session_trades",
        "session_fills",
        "governance",
        "equity",
        "symbols",
        "attribution",
        "factors",
        "sessions",
        "errors",
        "log",
    }
    manifest = json.loads((run.path / "run.json").read_text())

    assert names == {each["type"] for each in manifest["artifacts"]}
    assert ("session", "completed", "OR-1") == (
        manifest["run_type"],
        manifest["status"],
        manifest["config"]["session_semantics"],
    )
    assert [] == [each for each in verify(run.path) if each.level == "error"]
    assert run.tables["session_trades"].num_rows > 20


def test_symbols_do_not_share_their_days(run):
    trades = run.tables["session_trades"]
    first, second = (
        trades.filter(pc.equal(trades["symbol"], each))["entry_price"].to_pylist() for each in ("SPY", "QQQ")
    )

    assert first and second and first != second


def test_the_combined_equity_is_in_the_order_of_time(run):
    equity = run.tables["equity"]
    whole = equity.filter(pc.equal(equity["scope"], "combined"))
    times, r = whole["exit_timestamp"].to_pylist(), whole["realized_r"].to_pylist()

    assert sorted(times) == times
    assert pytest.approx(sum(r)) == whole["cumulative_r"].to_pylist()[-1]
    assert {"SPY", "QQQ"} == set(whole["symbol"].to_pylist())


def test_fills_add_up_to_their_trades(run):
    trades = {row["trade_id"]: row for row in run.tables["session_trades"].to_pylist()}
    sums = dict.fromkeys(trades, 0.0)
    shares = dict.fromkeys(trades, 0.0)
    for fill in run.tables["session_fills"].to_pylist():
        sums[fill["trade_id"]] += fill["fraction"] * fill["r_multiple"]
        shares[fill["trade_id"]] += fill["fraction"]

    assert {name: pytest.approx(row["realized_r"], abs=1e-9) for name, row in trades.items()} == sums
    assert {name: pytest.approx(1.0) for name in trades} == shares


@pytest.mark.parametrize("threads", [1, 2])
def test_any_number_of_threads_gives_the_same(run, tmp_path, threads):
    assert digests(run) == digests(done(tmp_path, task(), threads=threads))


def test_the_order_of_symbols_changes_no_trade(run, tmp_path):
    other = done(tmp_path, task(("QQQ", "SPY")))

    assert (
        run.tables["session_trades"]
        .drop_columns("run_id")
        .equals(other.tables["session_trades"].drop_columns("run_id"))
    )


def test_a_rerun_is_identical(run):
    found = rerun(run.path, Store(runs=run.path.parents[1], quiet=True))

    assert () == found.differences
    assert run.run_id != found.after.run_id


def test_a_rerun_without_its_candles_says_so(run, tmp_path):
    with pytest.raises(MissingError, match=r"are not in .*name their folder with --slices"):
        rerun(run.path, Store(runs=run.path.parents[1], slices=tmp_path, quiet=True))


def test_a_symbol_that_fails_leaves_the_others(tmp_path, run):
    feed = Feed("file", _file(tmp_path, run))
    found = done(tmp_path / "runs", task(("SPY", "NONE")), feed)

    assert ["SPY"] == [each.symbol for each in found.walked]
    assert ["NONE"] == list(found.given.failed)
    assert any("NONE" in message for message in found.tables["symbols"].column_names) is False
    again = rerun(found.path, Store(runs=tmp_path / "runs", quiet=True))
    assert () == again.differences


def test_no_symbol_with_candles_is_an_error(tmp_path, run):
    with pytest.raises(DataError, match="NONE"):
        done(tmp_path / "runs", task(("NONE",)), Feed("file", _file(tmp_path, run)))


def _file(folder, run):
    """Return a CSV of the candles that a run read of SPY."""
    bars = run.walked[0].ready.bars
    path = folder / "candles.csv"
    rows = zip(*(part.tolist() for part in bars), strict=True)
    lines = [f"SPY,{ts},{o},{h},{low},{c},{v}" for ts, o, h, low, c, v in rows]
    path.write_text("\n".join(["symbol,timestamp,open,high,low,close,volume", *lines]) + "\n")
    return path


def test_the_files_of_the_guide(run, tmp_path):
    folder = write_files(run, tmp_path)
    names = {
        f"{symbol}_{what}" for symbol in ("SPY", "QQQ") for what in ("trades.parquet", "metrics.json", "equity.parquet")
    }
    names |= {"all_trades.parquet", "all_trades.csv", "combined_equity.parquet", "config.json"}
    names |= {"backtest_run.log"}

    assert names == {path.name for path in folder.iterdir()}
    assert folder.name.startswith("backtest_2")
    trades = pq.read_table(folder / "all_trades.parquet")
    assert (
        trades.num_rows == pa_csv.read_csv(folder / "all_trades.csv").num_rows == run.tables["session_trades"].num_rows
    )
    assert "timestamp[ms, tz=UTC]" == str(trades.schema.field("entry_timestamp").type)
    metrics = json.loads((folder / "SPY_metrics.json").read_text())
    assert pq.read_table(folder / "SPY_trades.parquet").num_rows == metrics["total_trades"]
    config = json.loads((folder / "config.json").read_text())
    assert run.run_id == config["run_id"] and 15 == config["settings"]["orb"]["base_minutes"]


def test_two_runs_of_one_second_do_not_collide(run, tmp_path):
    first, second = write_files(run, tmp_path), write_files(run, tmp_path)

    assert f"{first.name}_2" == second.name


def test_a_symbol_that_is_a_formula_is_a_text_in_csv(run, tmp_path):
    trades = run.tables["session_trades"]
    at, cells = trades.column_names.index("symbol"), ["=HYPERLINK(1)"] * trades.num_rows
    hostile = replace(run, tables={**run.tables, "session_trades": trades.set_column(at, "symbol", [cells])})
    written = pa_csv.read_csv(write_files(hostile, tmp_path) / "all_trades.csv")

    assert {"'=HYPERLINK(1)"} == set(written["symbol"].to_pylist())


@pytest.mark.parametrize(("symbol", "plain"), [("SPY", True), ("BRK-B", True), ("BTC/USDT", False), ("../x", False)])
def test_symbols_in_file_names(symbol, plain):
    assert plain == (safe(symbol) == symbol)
    assert "/" not in safe(symbol) and not safe(symbol).startswith(".")


def test_candles_on_another_clock_are_named(run, tmp_path):
    bars = run.walked[0].ready.bars
    path = tmp_path / "SPY.csv"
    local = bars.ts - 5 * 3_600_000  # the clock of New York, written as if it were UTC
    rows = zip(local.tolist(), *(part.tolist() for part in bars[1:]), strict=True)
    path.write_text(
        "timestamp,open,high,low,close,volume\n" + "\n".join(",".join(map(str, row)) for row in rows) + "\n"
    )

    with pytest.raises(DataError, match="New_York local time"):
        done(tmp_path / "runs", task(("SPY",)), Feed("file", path))


def test_the_manifest_names_the_source_of_each_symbol(run):
    inputs = json.loads((run.path / "run.json").read_text())["inputs"]

    assert ["candles", "series", "series"] == [each["kind"] for each in inputs]
    assert all(
        each["source"].split(", ")[:2] == [symbol, "synthetic"]
        for symbol, each in zip(("SPY", "QQQ"), inputs[1:], strict=True)
    )
