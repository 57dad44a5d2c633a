"""How fast are path metrics, against a plain read of the same columns?"""

import numba
import numpy as np
import pytest
from highwater.bench.market import CANDLES, STEP, market
from highwater.kernels import column, measure_all


@numba.njit(parallel=True, nogil=True)
def read_sum(high, low, first, last):
    """Return the sum of highs and lows of each window."""
    out = np.zeros(first.size)
    for a in numba.prange(first.size):
        highs, lows = high[first[a] : last[a]], low[first[a] : last[a]]
        total = 0.0
        for i in range(highs.size):
            total += highs[i] + lows[i]
        out[a] = total
    return out


@pytest.mark.parametrize("cores", [1, 2])
def test_path_metrics(bench, cores):
    bars, alerts, windows = market()
    multiples = column([1.2, 1.5, 2.0, 3.0, 4.0, 5.0, 10.0])
    times = bench.compare(
        {
            "read-sum": lambda: read_sum(bars.high, bars.low, windows.first, windows.last),
            "path metrics": lambda: measure_all(bars, windows, alerts, STEP, multiples),
        },
        cores=cores,
    )
    candles = windows.first.size * CANDLES
    for way, took in times.items():
        ratio = took.median / times["read-sum"].median
        bench.say(way, took, f"{1e9 * took.median / candles:.2f} ns/candle, {ratio:.2f}x the read-sum")
    if cores == 1:
        bench.hold("path metrics", "read-sum")
