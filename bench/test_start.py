"""How long until a command answers?"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from highwater.io.sources.synthetic import write_market

DATA = Path(__file__).parents[2] / "shared" / "data"
no_commands = pytest.mark.skipif(
    importlib.util.find_spec("highwater.engine.cli") is None, reason="there is no highwater.engine.cli"
)


def started(*words):
    subprocess.run([sys.executable, *words], check=True, capture_output=True)


@no_commands
def test_start(bench):
    ways = {
        "python": lambda: started("-c", ""),
        "import highwater": lambda: started("-c", "import highwater"),
        "highwater --help": lambda: started("-m", "highwater", "--help"),
    }
    for way, took in bench.compare(ways, rounds=7).items():
        bench.say(way, took, "")


@no_commands
def test_a_warm_strategy_run(bench, tmp_path):
    candles, alerts = write_market(tmp_path, tokens=200, days=7)
    for way, took in bench.compare({"highwater strategy": strategy(alerts, candles, tmp_path / "runs")}, 5).items():
        bench.say(way, took, "200 tokens, 7 days of minutes")


@no_commands
@pytest.mark.shared_data
@pytest.mark.skipif(not DATA.is_dir(), reason="a warm run on real alerts: the market data are not beside this checkout")
def test_a_warm_strategy_run_on_pump_calls(bench, tmp_path):
    files = DATA / "alerts" / "pump_calls_with_candles.parquet", DATA / "candles" / "pump_events_binance_1m.parquet"
    for way, took in bench.compare({"highwater strategy": strategy(*files, tmp_path / "runs")}, 5).items():
        bench.say(way, took, "157 alerts, 24 tokens, minutes")


def strategy(alerts, candles, runs):
    """Return a call of ``highwater strategy`` on these files."""
    words = ("--tp", "2", "--sl", "0.7", "--alerts", alerts, "--candles", candles, "--runs", runs)
    return lambda: started("-m", "highwater", "strategy", *words)
