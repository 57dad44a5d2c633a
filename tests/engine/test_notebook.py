"""The functions of ``engine.notebook`` do what the commands do, on files or on tables in memory."""

import re

import pytest
import small_market
from highwater.engine import notebook
from highwater.engine.cli import main
from highwater.io.digest import content_sha256
from highwater.io.errors import DataError, UsageError
from highwater.io.runs import find_run, read_artifact
from small_market import run

STRATEGY = {"tp": 3, "sl": "0.8", "trail": 0.3, "horizon": "12h", "fee_bps": 10, "cache": False}
SWEEP = {
    "tp": "1.1:5",
    "sl": 0.8,
    "time_stop": "1h:6h",
    "trials": 30,
    "where": ["stop_out_rate<=0.99"],
    "guards": False,
}
SURFACE = {"tp": "1.1:3:0.1", "sl": "0.5:0.9:0.1", "time_stop": ["1h", "2h:4h:1h"], "by": "caller", "guards": False}
CASES = {
    "baseline": (notebook.baseline, {"multiples": [1.2, "7"], "horizon": 12 * 3_600_000}, ("paths", "callers")),
    "strategy": (notebook.strategy, STRATEGY, ("paths", "trades", "summary")),
    "sweep": (notebook.sweep, SWEEP, ("trials", "frontier", "trades")),
    "surface": (notebook.surface, SURFACE, ("surface", "surface_by", "frontier")),
}


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return small_market.write(tmp_path_factory.mktemp("market"))


@pytest.mark.parametrize("name", CASES)
def test_tables_in_memory_come_to_what_the_command_it_names_finds_in_files(name, market, tmp_path):
    call, settings, tables = CASES[name]
    candles, alerts = small_market.tables()
    mine = call(alerts.to_pandas(), candles, runs=tmp_path / "mine", **settings)
    words = list(mine.manifest.command)
    for flag, value in {"--alerts": market.alerts, "--candles": market.candles, "--runs": tmp_path / "theirs"}.items():
        words[words.index(flag) + 1] = str(value)
    assert 0 == main(words)
    theirs = find_run(tmp_path / "theirs", "latest").path

    assert name == words[0]
    assert mine.manifest.config_digest == notebook.opened(theirs).manifest.config_digest
    for table in tables:
        assert content_sha256(read_artifact(theirs, table)) == content_sha256(mine.table(table))


def test_a_run_of_a_table_can_be_repeated(tmp_path):
    candles, alerts = small_market.tables()
    notebook.strategy(alerts, candles, {"sl": 0.7, "policy_id": "mine"}, runs=tmp_path)

    assert 0 == run("runs", "rerun", "latest", "--runs", tmp_path, "--quiet").code


def test_traces_of_a_table(tmp_path):
    candles, _ = small_market.tables()
    made = notebook.traces({"sma_crossover": {"fast_period": 5}}, candles, runs=tmp_path, fill="signal_close")

    assert ("traces", {"signal_close"}) == (made.manifest.run_type, set(made.table()["fill"].to_pylist()))


@pytest.mark.parametrize(
    ("call", "settings", "message"),
    [
        (notebook.strategy, {"horizn": "1h"}, "strategy has no setting 'horizn'; did you mean 'horizon'?"),
        (notebook.strategy, {"horizon": "soon"}, "horizon is 'soon'; it must be a duration such as 48h"),
        (notebook.strategy, {"horizon": 48}, "--horizon is 48ms; it must be a second or more, such as 48h"),
        (notebook.strategy, {"policy": {"sl": 0.5}, "tp": 2}, "policy holds the whole policy"),
        (notebook.strategy, {"policy": {"sl": 2}}, "policy"),
        (notebook.sweep, {"trials": 0}, "trials is 0; it must be at least 1"),
        (notebook.surface, {"tp": "log:1:2", "sl": 0.5}, "a surface has even steps"),
        (notebook.baseline, {"json": True}, "baseline has no setting 'json'"),
    ],
)
def test_bad_settings_are_refused_in_one_line(market, tmp_path, call, settings, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        call(market.alerts, market.candles, runs=tmp_path / "runs", **settings)


def test_an_empty_table_is_no_alert(market, tmp_path):
    with pytest.raises(DataError, match="no alert left to backtest"):
        notebook.baseline(small_market.tables()[1].slice(0, 0), market.candles, runs=tmp_path)
