"""What do Dask workers add: one or two of them on ten thousand million candle-steps, and what starting them costs?

The wall clock of a shared machine says little, so what is told is the processor time of each worker: two share a search
well where the busier one spends little more than half of what one spends alone.
"""

import tempfile
from pathlib import Path

import pytest
from highwater.engine import search
from highwater.io.sources.synthetic import write_market

pytest.importorskip("distributed")
TRIALS, SETTINGS = 100_000, {"engine": "bars", "guards": False, "sl": "0.3:0.95", "trail": "0.05:0.5"}


def test_workers(bench):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_market(folder, tokens=100)
        given = folder / "alerts.parquet", folder / "candles.parquet"
        spent: dict[str, list[float]] = {}
        moved: dict[str, int] = {}

        def ran(name: str, trials: int, **where: int):
            def call():
                how = search(*given, trials=trials, runs=folder / "runs", **SETTINGS, **where).manifest.execution
                spent[name], moved[name] = how.get("worker_cpu_s", [0.0]), how.get("bytes_moved", 0)

            return call

        ways = {
            "this process, 10 trials": ran("this process, 10 trials", 10),
            "two workers, 10 trials": ran("two workers, 10 trials", 10, workers=2),
            "one worker": ran("one worker", TRIALS, workers=1),
            "two workers": ran("two workers", TRIALS, workers=2),
        }
        times = bench.compare(ways, rounds=2, cores=None)
    alone = sum(spent["one worker"])
    for name, took in times.items():
        told = f"{max(spent[name]):.1f} s of the busiest worker's processor, {moved[name] / 1e6:.1f} MB moved"
        bench.say(name, took, told + f", x{alone / max(spent[name]):.2f}" * (name == "two workers"))

    assert max(spent["two workers"]) < alone / 1.7
