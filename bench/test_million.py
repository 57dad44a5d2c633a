"""How far does it go: a million policies, a million combinations, a grid of four parameters, on 10,000 alerts?

The plain loop bar by bar gets a sample of the same policies; what it takes for a trade is compared.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from highwater.bench.engines import STATUS
from highwater.bench.market import ALERTS, CANDLES, STEP, market
from highwater.bench.ours_surface import unmoved
from highwater.bench.peers import numba_bars
from highwater.kernels import (
    Policies,
    Rules,
    column,
    costs,
    index_all,
    measure_all,
    search_all,
    surface_all,
    tally_all,
    tally_tables,
)
from highwater.kernels.arrays import NEVER

CORES = min(2, os.cpu_count() or 1)
PAID = costs(30, 50)
SAMPLE = 48  # policies of the plain loop


def policies(trials: int, moving: bool = True, seed: int = 5) -> Policies:
    """Return random policies on the grids of ``highwater sweep``: stop, target, trailing stop and time limit."""
    rng = np.random.Generator(np.random.PCG64(seed))

    def of(low: float, high: float, step: float) -> np.ndarray:
        return np.round(low + step * rng.integers(0, round((high - low) / step) + 1, trials), 10)

    sl, tp, trail, minutes = of(0.3, 0.95, 0.005), of(1.1, 10, 0.01), of(0.05, 0.5, 0.005), of(30, 2_880, 1)
    unset, never, shares = np.zeros(trials), np.full(trials, np.inf), np.full((trials, 1), 10_000)
    times = (minutes * STEP).astype(np.int64) if moving else np.full(trials, NEVER)
    parts = (sl, tp[:, None], shares, never, unset, trail if moving else unset, unset + 1 if moving else never, times)
    return Policies(*(column(part, part.dtype) for part in parts))


def trailing(widths: np.ndarray) -> Policies:
    """Return trailing stops armed from the entry on, and nothing else."""
    none, n = np.empty((widths.size, 0)), widths.size
    unset, never = np.zeros(n), np.full(n, np.inf)
    parts = (unset, none, none.astype(np.int64), never, unset, widths, unset + 1, np.full(n, NEVER))
    return Policies(*(column(part, part.dtype) for part in parts))


def growth() -> float:
    """Return the MiB by which the peak of this process's memory lies above its memory now, and begin anew."""
    fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    Path("/proc/self/clear_refs").write_text("5")
    return (int(fields["VmHWM"].split()[0]) - int(fields["VmRSS"].split()[0])) / 1024


def same(found: np.ndarray, some: Policies, made) -> None:
    """Hold the first trials of a result against the search that goes candle by candle."""
    first = Policies(*(part[: len(found)] for part in some))
    expected = tally_all(*search_all(made.candles, made.windows, STEP, first, Rules(), PAID)[:4])

    for name in set(found.dtype.names) - {"median_q"}:
        np.testing.assert_array_equal(found[name], expected[name])


def test_index(bench):
    made, data = market(), numba_bars.load(market())
    times = bench.compare(
        {
            "index": lambda: index_all(made.candles, made.windows),
            "path metrics, plain numba": lambda: numba_bars.paths(data),
            "path metrics": lambda: measure_all(made.candles, made.windows, made.alerts, STEP, column([2.0])),
        },
        cores=CORES,
    )
    for way, took in times.items():
        bench.say(way, took, f"{1e9 * took.median / (ALERTS * CANDLES):.2f} ns a candle on {CORES} threads")


def test_search_of_a_million(bench):
    made, some = market(), policies(1_000_000)
    data, few = numba_bars.load(made), Policies(*(part[:SAMPLE] for part in some))
    found = tally_tables(made.candles, made.windows, STEP, some, Rules(), PAID)
    same(found[:8], some, made)
    growth()
    ways = {
        "stop, target, trail, time: 1,000,000 policies": lambda: tally_tables(
            made.candles, made.windows, STEP, some, Rules(), PAID
        ),
        f"the same, numba bar by bar: {SAMPLE}": lambda: numba_bars.search(data, few),
    }
    times = bench.compare(ways, rounds=3, cores=CORES)
    rates = [1e9 * took.median / ALERTS / n for took, n in zip(times.values(), (1_000_000, SAMPLE), strict=True)]
    memory = f", {growth():,.0f} MiB beside the candles" if STATUS.exists() else ""
    for way, rate, more in zip(ways, rates, (f", {rates[1] / rates[0]:,.0f}x bar by bar{memory}", ""), strict=True):
        bench.say(way, times[way], f"{rate:.3g} ns a trade{more}")


@pytest.mark.parametrize("medians", [False, True], ids=["", "with medians"])
def test_surface_of_a_million(bench, medians):
    made = market()
    sl, tp, time_ms = (
        column(np.linspace(0.98, 0.2, 1_000)),
        column(np.linspace(1.1, 10, 1_000)),
        column([NEVER], np.int64),
    )

    def whole():
        return surface_all(made.candles, made.windows, STEP, sl, tp, unmoved(), time_ms, Rules(), PAID, medians)

    data = numba_bars.load(made)
    growth()
    times = bench.compare(
        {"1,000 x 1,000": whole, "16, bar by bar": lambda: numba_bars.sweep(data, sl[::63], tp[::63])},
        rounds=5,
        cores=CORES,
    )
    memory = f", {growth():,.0f} MiB beside the candles" if STATUS.exists() else ""
    rates = [1e9 * took.median / ALERTS / n for took, n in zip(times.values(), (1_000_000, 16), strict=True)]
    bench.say(
        "1,000 x 1,000", times["1,000 x 1,000"], f"{rates[0]:.3g} ns a trade, {rates[1] / rates[0]:,.0f}x{memory}"
    )
    bench.say("16, bar by bar", times["16, bar by bar"], f"{rates[1]:.3g} ns a trade")


def test_grid_of_four(bench):
    made, widths = market(), np.linspace(0.05, 0.5, 20)
    sl, tp = column(np.linspace(0.98, 0.3, 50)), column(np.linspace(1.1, 5, 100))
    time_ms = column(STEP * np.array([30, 60, 120, 240, 480, 960, 1_440, 2_880]), np.int64)

    def grid(medians):
        return surface_all(made.candles, made.windows, STEP, sl, tp, trailing(widths), time_ms, Rules(), PAID, medians)

    ways = {"100 x 50 x 20 x 8": lambda: grid(False), "the same with medians": lambda: grid(True)}
    for way, took in bench.compare(ways, rounds=5, cores=CORES).items():
        bench.say(way, took, f"{1e9 * took.median / ALERTS / 800_000:.3g} ns a trade")
