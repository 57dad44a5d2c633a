"""Interleaved rounds of the ways a bench compares, and one table of all that was measured."""

import os
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from highwater.kernels import threads

README, BEGIN, END = Path(__file__).parents[1] / "README.md", "<!-- figures -->", "<!-- /figures -->"
ROWS = pytest.StashKey[list[tuple[str, str, "Times", str]]]()


class Times(NamedTuple):
    """Seconds a round: the quickest and the middle one by the wall clock, and the least that processors spent."""

    best: float
    median: float
    cpu: float


def spent() -> float:
    """Return the processor seconds of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class Bench:
    """One question: ``compare`` measures its ways, ``say`` states a figure of one of them for the table."""

    def __init__(self, benchmark, question: str, rows: list):
        self.benchmark, self.question, self.rows = benchmark, question, rows
        benchmark.extra_info["load_average"] = os.getloadavg()[0]

    def compare(self, ways: dict[str, Callable[[], object]], rounds: int = 15, cores: int = 1) -> dict[str, Times]:
        """Return the times of each way; a round runs every way once, on ``cores`` threads, after one unmeasured."""
        walls: dict[str, list[float]] = {name: [] for name in ways}
        cpus: dict[str, list[float]] = {name: [] for name in ways}

        def one_round():
            for name, way in ways.items():
                wall, cpu = time.perf_counter(), spent()
                way()
                cpus[name].append(spent() - cpu)
                walls[name].append(time.perf_counter() - wall)

        with threads(cores):
            for way in ways.values():
                way()
            self.benchmark.pedantic(one_round, rounds=rounds)
        return {name: Times(min(walls[name]), statistics.median(walls[name]), min(cpus[name])) for name in ways}

    def say(self, way: str, times: Times, figure: str) -> None:
        """Put a line into the table and into the saved results; ``figure`` is reckoned from ``best`` or ``cpu``."""
        self.rows.append((self.question, way, times, figure))
        self.benchmark.extra_info[way] = {**times._asdict(), "figure": figure}


def pytest_addoption(parser):
    parser.addoption("--figures", action="store_true", help="write the table into the README")


def pytest_configure(config):
    config.stash[ROWS] = []


@pytest.fixture
def bench(benchmark, request) -> Bench:
    question = request.node.name.removeprefix("test_").replace("_", " ")
    return Bench(benchmark, question, request.config.stash[ROWS])


def pytest_terminal_summary(terminalreporter, config):
    rows = config.stash[ROWS]
    if not rows:
        return
    lines = ["| question | way | best ms | median ms | CPU ms | figure |", "|---|---|--:|--:|--:|---|"]
    for question, way, times, figure in rows:
        lines.append(f"| {question} | {way} | {' | '.join(f'{1e3 * t:,.1f}' for t in times)} | {figure} |")
    load = f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    lines += ["", f"Measured with {load}; ratios are of medians, rates a core of processor time."]
    terminalreporter.write_line("\n" + "\n".join(lines))
    if config.getoption("--figures"):
        before, _, rest = README.read_text().partition(BEGIN)
        README.write_text("\n".join([before + BEGIN, *lines, END + rest.partition(END)[2]]))
