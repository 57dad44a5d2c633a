"""The questions that are asked of the made-up market and of real ones: path metrics, the index, a million trials.

Of each, a sample is first answered by our kernels that go candle by candle and by the plain loop, and the answers must
be equal. Then the same sample is what those ways get; what a trade takes is compared. ``note`` is said of the market in
the first line of a question.
"""

import os
from pathlib import Path

import numba
import numpy as np
from highwater.bench import ours
from highwater.bench.engines import STATUS
from highwater.bench.market import Market
from highwater.bench.ours_surface import unmoved
from highwater.bench.peers import numba_bars
from highwater.kernels import (
    Costs,
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
MULTIPLES = column([1.2, 1.5, 2.0, 3.0, 4.0, 5.0, 10.0])
SAMPLE = 480_000  # trades of the plain loop, about


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


def path_metrics(bench, market: Market, cores: int, note: str = "") -> None:
    bars, alerts, windows, step = market
    data = numba_bars.load(market)
    for plain, own in zip(numba_bars.paths(data), ours.paths(market), strict=True):
        np.testing.assert_array_equal(plain, own)
    ways = {
        "read-sum": lambda: read_sum(bars.high, bars.low, windows.first, windows.last),
        "plain numba loop, 3 metrics": lambda: numba_bars.paths(data),
        "path metrics": lambda: measure_all(bars, windows, alerts, step, MULTIPLES),
    }
    times = bench.compare(ways, cores=cores)
    candles = np.sum(windows.last - windows.first)
    for (way, took), more in zip(times.items(), (note, "", ""), strict=True):
        ratio = took.median / times["read-sum"].median
        bench.say(way, took, f"{1e9 * took.median / candles:.2f} ns/candle, {ratio:.2f}x the read-sum{more}")


def index(bench, market: Market, cores: int = CORES, note: str = "") -> None:
    windows = market.windows
    times = bench.compare({"index": lambda: index_all(market.candles, windows)}, cores=cores)
    rate = 1e9 * times["index"].median / np.sum(windows.last - windows.first)
    bench.say("index", times["index"], f"{rate:.2f} ns a candle on {cores} thread{'s' * (cores > 1)}{note}")


def search_of_a_million(bench, market: Market, note: str = "") -> None:
    some, data, alerts = policies(market, 1_000_000), numba_bars.load(market), market.windows.first.size
    few = Policies(*(part[: SAMPLE // alerts] for part in some))

    def tables(policies: Policies, paid: Costs = PAID):
        return tally_tables(market.candles, market.windows, market.step, policies, Rules(), paid)

    def by_candle():
        return tally_all(*search_all(market.candles, market.windows, market.step, few, Rules(), PAID)[:4])

    same(tables(some)[: few.sl.size], by_candle())
    close(numba_bars.search(data, few), tables(few, Costs())["sum_q"] / alerts)
    trials = {
        "stop, target, trail, time: 1,000,000 policies": (1_000_000, lambda: tables(some)),
        f"ours candle by candle, with bounds: {few.sl.size:,}": (few.sl.size, by_candle),
        f"numba bar by bar: {few.sl.size:,}": (few.sl.size, lambda: numba_bars.search(data, few)),
    }
    a_trade(bench, alerts, trials, note)


def surface_of_a_million(bench, market: Market, note: str = "") -> None:
    data, alerts = numba_bars.load(market), market.windows.first.size
    sl, tp = column(np.linspace(0.98, 0.2, 1_000)), column(np.linspace(1.1, 10, 1_000))
    some = np.arange(0, 1_000, -(-1_000 * alerts // SAMPLE))  # cells on the diagonal
    few = sl[some], tp[some]

    def whole(medians: bool):
        given = market.candles, market.windows, market.step, sl, tp, unmoved(), column([NEVER], np.int64)
        return surface_all(*given, Rules(), PAID, medians)[0, 0]

    trades = search_all(market.candles, market.windows, market.step, ours.stops_and_targets(*few), Rules(), PAID)
    for medians in (False, True):
        same(whole(medians)[some, some], tally_all(*trades[:4]))
    close(numba_bars.sweep(data, *few), 1e6 * ours.sweep(market, *few))
    trials = {
        "1,000 x 1,000 with bounds": (1_000_000, lambda: whole(False)),
        "with medians too": (1_000_000, lambda: whole(True)),
        f"numba bar by bar: {some.size:,}": (some.size, lambda: numba_bars.sweep(data, *few)),
    }
    a_trade(bench, alerts, trials, note)


def a_trade(bench, alerts: int, trials: dict, note: str) -> None:
    """Measure ways that each make a number of trials, and say what a trade takes; the last is the plain loop."""
    growth()
    times = bench.compare({way: call for way, (_, call) in trials.items()}, rounds=3, cores=CORES)
    rates = {way: 1e9 * times[way].median / alerts / count for way, (count, _) in trials.items()}
    *_, plain = rates
    memory = f", {growth():,.0f} MiB beside the candles" if STATUS.exists() else ""
    for way, rate in rates.items():
        faster = "" if way == plain else f", {rounded(rates[plain] / rate)}x bar by bar{memory}{note}"
        bench.say(way, times[way], f"{rounded(rate)} ns a trade{faster}")
        memory = note = ""


def rounded(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def policies(market: Market, trials: int, seed: int = 5) -> Policies:
    """Return random policies on the grids of ``highwater sweep``: stop, target, trailing stop and time limit.

    Time limits are whole candles, from the 96th part of the horizon on: of two days, 30 minutes.
    """
    rng = np.random.Generator(np.random.PCG64(seed))

    def of(low: float, high: float, step: float) -> np.ndarray:
        return np.round(low + step * rng.integers(0, round((high - low) / step) + 1, trials), 10)

    horizon = int(np.max(market.windows.end - market.windows.ts)) // market.step
    sl, tp, trail = of(0.3, 0.95, 0.005), of(1.1, 10, 0.01), of(0.05, 0.5, 0.005)
    times = (of(horizon // 96, horizon, 1) * market.step).astype(np.int64)
    unset, never, shares = np.zeros(trials), np.full(trials, np.inf), np.full((trials, 1), 10_000)
    parts = (sl, tp[:, None], shares, never, unset, trail, unset + 1, times)
    return Policies(*(column(part, part.dtype) for part in parts))


def same(found: np.ndarray, expected: np.ndarray) -> None:
    """Hold the statistics of some trials, bounds and all, against those found candle by candle."""
    unasked = {"median_q"} if np.isnan(found["median_q"]).all() else set()

    for name in set(found.dtype.names) - unasked:
        np.testing.assert_array_equal(found[name], expected[name], name)


def close(plain: np.ndarray, mean_q: np.ndarray) -> None:
    """Hold the plain loop's mean returns against ours, in millionths."""
    np.testing.assert_allclose(plain, mean_q / 1e6, rtol=0, atol=ours.ROUNDING)


def growth() -> float:
    """Return the MiB by which the peak of this process's memory lies above its memory now, and begin anew."""
    if not STATUS.exists():
        return float("nan")
    fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    Path("/proc/self/clear_refs").write_text("5")
    return (int(fields["VmHWM"].split()[0]) - int(fields["VmRSS"].split()[0])) / 1024
