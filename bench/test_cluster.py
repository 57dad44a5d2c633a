"""What do Dask workers add: one or two of them on a thousand million candle-steps and more, and what is their start?

The wall clock of a shared machine says little, so the processor time of each worker is told too: two share a search
well where the busier one spends little more than half of what one spends alone.
"""

import tempfile
from pathlib import Path

import pytest
from highwater.engine import search
from highwater.engine.recipe import prepare
from highwater.engine.settings import Sources, Store, Trading
from highwater.engine.space import Space, draw, to_policies
from highwater.engine.tallies import ground
from highwater.engine.values import Range
from highwater.io.sources.synthetic import write_market
from highwater.kernels.search import search_all

pytest.importorskip("distributed")
TRIALS, SETTINGS = 150_000, {"engine": "bars", "guards": False, "sl": "0.3:0.95", "trail": "0.05:0.5"}
SPACE = Space({"sl": Range(0.3, 0.95), "trail": Range(0.05, 0.5)})
SAMPLE = 200


def candle_steps(alerts: Path, candles: Path, runs: Path) -> float:
    """Return how many candles all trials walk, by the first of them."""
    ready = prepare(Sources(alerts=alerts, candles=candles), Trading(), Store(runs=runs, quiet=True))
    there = ground(ready, "bars", 1 << 30, 1)
    market = there.market
    some = to_policies(SPACE, draw(SPACE, 1, 0, SAMPLE))
    lived = search_all(market.candles, there.windows, market.step, some, market.rules, market.costs)[4]
    return float(lived.sum()) * TRIALS / SAMPLE


def test_workers(bench):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_market(folder, tokens=100)
        given = folder / "alerts.parquet", folder / "candles.parquet"
        steps = candle_steps(*given, folder / "runs")
        spent: dict[str, list[float]] = {}
        moved: dict[str, int] = {}

        def ran(name: str, trials: int, **where: int):
            def call():
                how = search(*given, trials=trials, runs=folder / "runs", **SETTINGS, **where).manifest.execution
                spent[name], moved[name] = how.get("worker_cpu_s", []), how.get("bytes_moved", 0)

            return call

        ways = {
            "this process, 10 trials": ran("this process, 10 trials", 10),
            "two workers, 10 trials": ran("two workers, 10 trials", 10, workers=2),
            "one worker": ran("one worker", TRIALS, workers=1),
            "two workers": ran("two workers", TRIALS, workers=2),
        }
        times = bench.compare(ways, rounds=2, cores=None)
    here, begun, one, two = times.values()
    shared = sum(spent["one worker"]) / max(spent["two workers"])
    told = {
        "this process, 10 trials": "",
        "two workers, 10 trials": f"{begun.best - here.best:.1f} s more than here",
        "one worker": f"{steps:.2g} candle-steps, {sum(spent['one worker']):.1f} s of its processor",
        "two workers": f"x{one.best / two.best:.2f} by the clock, x{shared:.2f} by the busier one's processor",
    }
    for name, took in times.items():
        bench.say(name, took, told[name] + f", {moved[name] / 1e6:.1f} MB moved" * bool(moved[name]))

    assert steps > 1e9
    assert shared > 1.7
    assert begun.best - here.best < 3
