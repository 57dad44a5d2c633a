"""How does the time grow with alerts, candles, trials and threads?"""

import os

import numba
import pytest
from highwater.bench.engines import BARS, OURS, asked
from highwater.bench.market import market

CORES = os.cpu_count() or 1
SIZES = {
    "alerts": (100, 400, 1_600),
    "candles an alert": (180, 720, 2_880, 11_520),
    "policies": (16, 64, 256, 1_024),
    "threads": tuple(sorted({2**n for n in range(CORES.bit_length())} | {CORES})),
}


@pytest.mark.parametrize("axis", SIZES)
def test_scale(bench, axis):
    ways = {}
    for size in SIZES[axis]:
        given = {"alerts": 400, "candles an alert": 2_880, "policies": 64, "threads": CORES} | {axis: size}
        made = market(given["alerts"], given["candles an alert"])
        for name, each in {**OURS, **BARS}.items():
            for task in ("paths", "sweep"):
                if each.has(task) and (task, axis) != ("paths", "policies"):
                    way, data = each.way(task), each.loaded().load(made)
                    extra = asked(task, round(given["policies"] ** 0.5))
                    ways[f"{task}, {name}", size] = on(given["threads"], way, data, *extra)

    times = bench.compare(ways, rounds=7, cores=CORES)
    for (way, size), took in times.items():
        bench.draw(axis, size, way, took.best)
    for way in dict.fromkeys(way for way, _ in times):
        first, last = (times[way, SIZES[axis][i]] for i in (0, -1))
        bench.say(way, last, f"{axis} x{SIZES[axis][-1] / SIZES[axis][0]:,.3g}: time x{last.best / first.best:,.3g}")


def on(count: int, way, *given):
    """Return the call of ``way`` on ``count`` threads."""

    def call():
        numba.set_num_threads(count)
        return way(*given)

    return call
