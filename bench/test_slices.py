"""How long from a slice on disk to the first kernel, and what does it take of memory?"""

import shutil
from pathlib import Path

import numpy as np
import pytest
from highwater.bench.market import ALERTS, CANDLES, START, STEP, market
from highwater.io.candles import CandleSet
from highwater.io.slices import Spans, build, open_slice
from highwater.kernels import Alerts, column, enter_all, entry_rule
from highwater.kernels.arrays import NEXT_OPEN

END = START + STEP * CANDLES


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Return the path of a slice of 1.4 GB, in the page cache because it was just written."""
    folder = tmp_path_factory.mktemp("slices")
    tokens = tuple(f"token{a:05}" for a in range(ALERTS))
    offsets = CANDLES * np.arange(ALERTS + 1)
    found = CandleSet(tokens, offsets, market().candles, STEP, np.full(ALERTS, END), (), ())
    starts = np.full(ALERTS, START)
    yield build(folder, found, Spans(tokens, np.arange(ALERTS), starts - 1, starts, starts + END), "0" * 64).path
    shutil.rmtree(folder)


def first_kernel(path: Path) -> int:
    """Return how many alerts were entered on the candles of the slice."""
    one = open_slice(path)
    offsets, flat = column(one.facts.offsets, np.int64), len(one.facts.tokens)
    alerts = Alerts(
        offsets[:-1],
        offsets[1:],
        column(np.full(flat, START), np.int64),
        column(np.full(flat, np.nan)),
        column(one.facts.coverage_end_ms, np.int64),
        column(one.facts.on_grid, np.bool_),
    )
    rule, none = entry_rule(NEXT_OPEN, CANDLES * STEP, STEP), column(np.zeros(flat), np.int64)
    return int(np.sum(enter_all(one.candles, alerts, rule, none).status == 0))


def own_memory() -> int:
    """Return the KiB of this process that are backed by no file."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0])


def test_slice_to_first_kernel(bench, path):
    entered = first_kernel(path)
    linux = Path("/proc/self/status").exists()
    before = own_memory() if linux else 0
    one = open_slice(path)
    grown = (own_memory() - before) / 1024 if linux else float("nan")
    ways = {"open": lambda: open_slice(path), "open and enter every alert": lambda: first_kernel(path)}
    size = f"{one.facts.bytes / 1e9:.2f} GB"
    for way, took in bench.compare(ways).items():
        bench.say(way, took, f"{size}, memory grew by {grown:.0f} MiB" if way == "open" else f"{entered:,} alerts")
