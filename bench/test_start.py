"""How long until a command answers?"""

import importlib.util
import subprocess
import sys

import pytest
from highwater.io.sources.synthetic import write_market

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
    paths = ("--alerts", alerts, "--candles", candles, "--runs", tmp_path / "runs")
    words = ("-m", "highwater", "strategy", "--tp", "2", "--sl", "0.7", *paths)
    for way, took in bench.compare({"highwater strategy": lambda: started(*words)}, rounds=5).items():
        bench.say(way, took, "200 tokens, 7 days of minutes")
