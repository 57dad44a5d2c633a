"""How far does it go: a million policies, a million combinations, a grid of four parameters, on 10,000 alerts?"""

import numpy as np
from highwater.bench import questions
from highwater.bench.market import ALERTS, STEP, market
from highwater.bench.questions import CORES, PAID
from highwater.kernels import Policies, Rules, column, surface_all
from highwater.kernels.arrays import NEVER


def test_index(bench):
    questions.index(bench, market())


def test_search_of_a_million(bench):
    questions.search_of_a_million(bench, market())


def test_surface_of_a_million(bench):
    questions.surface_of_a_million(bench, market())


def trailing(widths: np.ndarray) -> Policies:
    """Return trailing stops armed from the entry on, and nothing else."""
    none, n = np.empty((widths.size, 0)), widths.size
    unset, never = np.zeros(n), np.full(n, np.inf)
    parts = (unset, none, none.astype(np.int64), never, unset, widths, unset + 1, np.full(n, NEVER))
    return Policies(*(column(part, part.dtype) for part in parts))


def test_grid_of_four(bench):
    made, widths = market(), np.linspace(0.05, 0.5, 20)
    sl, tp = column(np.linspace(0.98, 0.3, 50)), column(np.linspace(1.1, 5, 100))
    time_ms = column(STEP * np.array([30, 60, 120, 240, 480, 960, 1_440, 2_880]), np.int64)

    def grid(medians):
        return surface_all(made.candles, made.windows, STEP, sl, tp, trailing(widths), time_ms, Rules(), PAID, medians)

    ways = {"100 x 50 x 20 x 8": lambda: grid(False), "the same with medians": lambda: grid(True)}
    for way, took in bench.compare(ways, rounds=5, cores=CORES).items():
        bench.say(way, took, f"{1e9 * took.median / ALERTS / 800_000:.3g} ns a trade")
