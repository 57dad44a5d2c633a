"""What does the verdict cost: every trial by day, luck, selection and walk-forward, on 10,000 alerts over a year?"""

from types import SimpleNamespace

import numpy as np
from highwater.bench.market import ALERTS, CANDLES, STEP, market
from highwater.bench.questions import CORES, PAID, growth, policies
from highwater.engine.luck import SAMPLE, luck_of
from highwater.engine.tallies import Ground, Market
from highwater.kernels import Policies, Rules, column
from highwater.kernels.jit import threads
from highwater.kernels.search import search_all
from highwater.kernels.tables import tally_tables

DAY, DAYS, TRIALS, MEMORY = 86_400_000, 365, 1_000_000, 512 << 20


def ground(engine: str) -> Ground:
    """Return the market with its alerts spread over a year, ready for the guards."""
    made, days = market(), np.random.default_rng(0).integers(0, DAYS, ALERTS)
    later = days * DAY
    candles = made.candles._replace(ts=column(made.candles.ts + np.repeat(later, CANDLES), np.int64))
    moved = {name: column(getattr(made.windows, name) + later, np.int64) for name in ("ts", "end", "coverage_end")}
    windows = made.windows._replace(**moved)
    ready = SimpleNamespace(trading=SimpleNamespace(horizon=CANDLES * STEP))
    fits, bars = np.full(ALERTS, engine == "tables"), Market(candles, STEP, Rules(), PAID)
    return Ground(bars, windows, fits, np.argsort(windows.ts), MEMORY, CORES, ready)  # type: ignore[arg-type]


def cut(whole: Policies, first: int, count: int) -> Policies:
    return Policies(*(column(part[first : first + count], part.dtype) for part in whole))


def judged(there: Ground, trials: Policies) -> None:
    count = trials.sl.size
    luck_of(there, count, lambda first, some: cut(trials, first, some), cut(trials, 0, min(count, SAMPLE)))


def test_guards_of_a_million(bench):
    there, trials = ground("tables"), policies(market(), TRIALS)
    judged(there, cut(trials, 0, 64))
    growth()
    million = bench.compare({"guards of 1,000,000 trials": lambda: judged(there, trials)}, rounds=2, cores=None)
    memory = growth()
    for way, took in million.items():
        bench.say(way, took, f"{1e6 * took.median / TRIALS:.3g} µs a trial, {memory:,.0f} MiB beside the candles")


def test_guards_of_few(bench):
    there = ground("tables")
    ten = policies(market(), 10_000)

    def searched():
        with threads(CORES):
            tally_tables(there.market.candles, there.windows, STEP, ten, Rules(), PAID)

    ways = {"guards of 10,000 trials": lambda: judged(there, ten), "their search in tables": searched}
    for way, took in bench.compare(ways, rounds=5, cores=None).items():
        bench.say(way, took, f"{1e6 * took.median / 10_000:.3g} µs a trial")


def test_guards_bar_by_bar(bench):
    there, trials = ground("bars"), policies(market(), 256)

    def searched():
        with threads(CORES):
            search_all(there.market.candles, there.windows, STEP, trials, Rules(), PAID)

    searched()
    judged(there, cut(trials, 0, 8))
    ways = {"search of 256 trials, bar by bar": searched, "their guards": lambda: judged(there, trials)}
    found = bench.compare(ways, rounds=3, cores=None)
    for way, took in found.items():
        bench.say(way, took, f"{took.median / found['search of 256 trials, bar by bar'].median:.2f} of the search")
