"""How fast is a search, how much does it gain on one policy after another, and does its memory stay flat?"""

import subprocess
import sys

import numba
import numpy as np
import pytest
from highwater.bench.market import STEP, Market, market, policies
from highwater.kernels import Costs, Policies, Rules, entry_of, no_blocks, policy_of, search_all, simulate, tally_all
from highwater.kernels.exits import FILL, micro, net_return
from highwater.kernels.walk import window_of

BLOCK = 64  # trials


@numba.njit(nogil=True, error_model="numpy")
def one_by_one(candles, windows, step, policies, rules, costs):
    """Return the returns of each alert's trades: every policy on its own, worst and best left out."""
    out = np.zeros((windows.first.size, policies.sl.size), np.int64)
    nothing = np.empty(0, FILL)
    for a in range(windows.first.size):
        bars, entry = window_of(candles, windows, a), entry_of(windows, a, step)
        for t in range(policies.sl.size):
            done = simulate(bars, entry, policy_of(policies, t), rules, nothing, no_blocks())
            out[a, t] = micro(net_return(done.gross, entry.price, costs))
    return out


def search(made: Market, trials: Policies) -> int:
    """Search in blocks, keeping tallies only; return the candle-steps."""
    steps = 0
    for t in range(0, trials.sl.size, BLOCK):
        block = Policies(*(part[t : t + BLOCK] for part in trials))
        *matrices, lived = search_all(made.candles, made.windows, STEP, block, Rules(), Costs())
        tally_all(*matrices)
        steps += int(lived.sum())
    return steps


@pytest.mark.parametrize("kind", ["fixed", "trailing"])
def test_search(bench, kind):
    made, trials = market(1_000), policies(kind, 4 * BLOCK)
    times = bench.compare(
        {
            "search": lambda: search(made, trials),
            "one policy after another": lambda: one_by_one(*made[::2], STEP, trials, Rules(), Costs()),
        },
        rounds=7,
    )
    pairs, steps = made.windows.first.size * trials.sl.size, search(made, trials)
    for way, took in times.items():
        figure = f"{steps / took.cpu / 1e9:.2f} G candle-steps/s a core, {1e9 * took.cpu / pairs:.0f} ns a pair"
        bench.say(way, took, figure)
    bench.hold("search", "one policy after another")


PEAK = """
from pathlib import Path
from highwater.bench.market import market, policies
from highwater.bench.test_search import BLOCK, search
search(market(300), policies("fixed", {trials}))
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(status["VmHWM"].split()[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a process tells its own peak on Linux only")
def test_memory_of_a_search(bench):
    def peak(trials):
        code = PEAK.format(trials=trials)
        return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)

    found: dict[int, int] = {}
    ways = {f"{n * BLOCK} trials": lambda n=n: found.__setitem__(n, peak(n * BLOCK)) for n in (1, 16)}
    for n, (way, took) in zip((1, 16), bench.compare(ways, rounds=1).items(), strict=True):
        bench.say(way, took, f"peak {found[n] / 1024:,.0f} MiB")

    assert found[16] < 1.05 * found[1]
