"""How long does it take to store the traces of 2,000 strategies, and to find some among 100,000?"""

import shutil

import numpy as np
import pytest
from highwater.engine.traces.index import list_strategies
from highwater.engine.traces.listing import Listed, Named, Of, Where, index_table
from highwater.io.catalog import sync
from highwater.io.publish import stage
from highwater.io.runs import read_manifest
from highwater.io.traces import read_traces, trace_files

STRATEGIES, BARS, SHARE = 2_000, 67_555, 0.114
RUNS, EACH = 200, 500


def random_traces(count: int, bars: int, share: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return changes at random candles, as hard to keep small as any with so many."""
    random = np.random.default_rng(7)
    found = []
    for _ in range(count):
        idx = np.flatnonzero(random.random(bars) < share).astype(np.int32)
        steps = random.integers(1, 3, idx.size)  # to one of the two other values
        found.append((idx, ((np.cumsum(steps) % 3) - 1).astype(np.int8)))
    return found


def listed(i: int, run_id: str, period: int, std_dev: float) -> Listed:
    """Return a row of an index with every column filled."""
    config = f'{{"bollinger_bands":{{"period":{period},"std_dev":{std_dev}}}}}'
    named = Named(
        f"strategy_{i}", f"{hash((period, std_dev)) % 2**60:064x}", "bollinger_bands", config,
        {"period": period, "std_dev": std_dev},
    )  # fmt: skip
    of = Of("SPY", "5m", "c3" * 32, 20_769, 1_704_067_200_000, 1_714_067_200_000)
    where = Where(run_id, "traces/part-0000.parquet", i, i * 2_373, 2_373, 19)
    earned = dict.fromkeys(("sharpe", "total_pnl", "total_return", "max_drawdown", "win_rate", "num_trades"), i / 7)
    earned |= dict.fromkeys(("profit_factor", "expectancy", "sharpe_trade", "exposure_time", "avg_bars_held"), i / 7)
    fills = {"fill": "next_open", "fee_bps": 0.0, "slippage_bps": 1.0, "exits": None}
    return Listed(named, of, where, f"{i:064x}", None, fills, earned)


def test_storing_the_traces_of_2000_strategies(bench, tmp_path):
    traces = random_traces(STRATEGIES, BARS, SHARE)
    rows = sum(idx.size for idx, _ in traces)
    kept = []

    def store():
        with stage(tmp_path, "traces") as staged:
            with trace_files(staged) as files:
                for first in range(0, STRATEGIES, 256):
                    places = files.add(first, traces[first : first + 256])
            index = [listed(i, staged.run_id, 10 + i % 40, 1 + i // 40 / 50) for i in range(STRATEGIES)]
            staged.write("strategy_index", index_table(index, staged.run_id))
            kept.append((staged.publish(), places[-1]))

    for way, took in bench.compare({"2,000 strategies": store}, rounds=3).items():
        run, last = kept[-1]
        size = sum(artifact.bytes for artifact in read_manifest(run).artifacts)
        bench.say(way, took, f"{rows / 1e6:.1f} M changes in {size / 1e6:.1f} MB, {8 * size / rows:.2f} bits each")
    ((idx, val),) = read_traces(run, [(last, STRATEGIES - 1)])

    np.testing.assert_array_equal(traces[-1][0], idx)
    np.testing.assert_array_equal(traces[-1][1], val)
    assert took.cpu < 3  # of the processor: the clock on the wall counts what else runs here
    assert size < 20e6


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a directory of 200 runs of 500 strategies each, and its catalog."""
    root = tmp_path_factory.mktemp("index") / "runs"
    random = np.random.default_rng(7)
    for _ in range(RUNS):
        with stage(root, "traces") as staged:
            periods, widths = random.integers(5, 100, EACH), random.integers(1, 60, EACH) / 20
            index = [listed(i, staged.run_id, int(periods[i]), float(widths[i])) for i in range(EACH)]
            staged.write("strategy_index", index_table(index, staged.run_id))
            staged.publish()
    sync(root)
    yield root
    shutil.rmtree(root)


def test_a_question_to_100000_strategies(bench, runs):
    ways = {
        "period=20 std_dev=2.0": lambda: list_strategies(runs, "bollinger_bands", ["period=20", "std_dev=2.0"]),
        "the ten best": lambda: list_strategies(runs, where=["sharpe>1.5"], sort="sharpe", limit=10),
    }
    times = bench.compare(ways, rounds=9)
    for way, took in times.items():
        bench.say(way, took, f"{RUNS * EACH:,} strategies in {RUNS} runs; {1e3 * took.median:.0f} ms")

    assert list_strategies(runs, "bollinger_bands", ["period=20", "std_dev=2.0"]).num_rows
    assert all(took.cpu < 0.1 for took in times.values())
