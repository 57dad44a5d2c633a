"""How fast is the report of a run of ten thousand trades, and how large?"""

import subprocess
import sys

import pytest
from highwater.engine.report.page import page
from highwater.io.runs import find_run, read_artifact

TOKENS, STEP = 4_600, "5m"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the directory of a run of one policy on some ten thousand made-up alerts, and that of its slices."""
    folder = tmp_path_factory.mktemp("report")

    def highwater(*words):
        subprocess.run([sys.executable, "-m", "highwater", *map(str, words)], check=True, capture_output=True)

    highwater("data", "synth", folder, "--tokens", TOKENS, "--interval", STEP)
    data = ("--alerts", folder / "alerts.parquet", "--candles", folder / "candles.parquet")
    highwater("strategy", "--tp", 2, "--sl", 0.7, "--time-stop", "6h", *data, "--runs", folder / "runs", "--quiet")
    return find_run(folder / "runs", "latest").path, folder / "runs/.slices"


def test_report(bench, run):
    path, slices = run
    trades = read_artifact(path, "summary")["trades_count"][0].as_py()
    text = page(path, slices)
    assert trades > 9_500
    assert len(text) < 6_000_000
    words = [sys.executable, "-m", "highwater", "report", str(path), "--slices", str(slices)]
    ways = {
        "page of a run": lambda: page(path, slices),
        "highwater report": lambda: subprocess.run(words, check=True, capture_output=True),
    }
    times = bench.compare(ways, rounds=5)
    for way, took in times.items():
        bench.say(way, took, f"{trades:,} trades, {len(text) / 1e6:.2f} MB, {took.cpu:.2f} s of processor")
    assert times["page of a run"].cpu < 3
