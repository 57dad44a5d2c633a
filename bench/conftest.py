"""Interleaved rounds of the ways a bench compares, and one table of all that was measured."""

import contextlib
import os
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from highwater.bench import ratios
from highwater.bench.figures import Point, curves
from highwater.kernels import threads

FIGURES, BEGIN, END = Path(__file__).parent / "FIGURES.md", "<!-- figures -->", "<!-- /figures -->"
BASELINE, CURVES = Path(__file__).with_name("baseline.json"), Path(__file__).with_name("figures.svg")
linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is told on Linux only")


class Times(NamedTuple):
    """Seconds a round: the quickest and the middle one by the wall clock, and the least that processors spent."""

    best: float
    median: float
    cpu: float


def spent() -> float:
    """Return the processor seconds of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class Found(NamedTuple):
    """All that was measured: the lines of the table, the points of the curves, and the ratios that must hold."""

    rows: list[tuple[str, str, Times, str]]
    points: list[Point]
    ratios: dict[str, float]


FOUND = pytest.StashKey[Found]()
WORSE = pytest.StashKey[list[str]]()


class Bench:
    """One question: ``compare`` measures its ways, ``say`` states a figure of one of them for the table."""

    def __init__(self, benchmark, question: str, found: Found):
        self.benchmark, self.question, self.found = benchmark, question, found
        self.times: dict[str, Times] = {}
        benchmark.extra_info["load_average"] = os.getloadavg()[0]

    def compare(
        self, ways: dict[str, Callable[[], object]], rounds: int = 15, cores: int | None = 1
    ) -> dict[str, Times]:
        """Return the times of each way; a round runs every way once, after one unmeasured.

        On ``cores`` threads, the kernels' lock held; None: each way takes it itself, for as many as it asks for.
        """
        walls: dict[str, list[float]] = {name: [] for name in ways}
        cpus: dict[str, list[float]] = {name: [] for name in ways}

        def one_round():
            for name, way in ways.items():
                wall, cpu = time.perf_counter(), spent()
                way()
                cpus[name].append(spent() - cpu)
                walls[name].append(time.perf_counter() - wall)

        with threads(cores) if cores else contextlib.nullcontext():
            for way in ways.values():
                way()
            self.benchmark.pedantic(one_round, rounds=rounds)
        self.times = {n: Times(min(walls[n]), statistics.median(walls[n]), min(cpus[n])) for n in ways}
        return self.times

    def hold(self, way: str, other: str) -> None:
        """Keep the processor time of ``way`` / that of ``other``, both at their least: it must not grow.

        On one core: a thread that waits spins, and beside other load that moved such ratios by two fifths.
        """
        self.found.ratios[f"{self.question}: {way} / {other}"] = self.times[way].cpu / self.times[other].cpu

    def draw(self, axis: str, size: float, way: str, seconds: float) -> None:
        """Put a point on the curve of ``way`` over ``axis``."""
        self.found.points.append(Point(axis, size, way, 1e3 * seconds))

    def say(self, way: str, times: Times, figure: str) -> None:
        """Put a line into the table and into the saved results; ``figure`` is reckoned from ``best`` or ``cpu``."""
        self.found.rows.append((self.question, way, times, figure))
        self.benchmark.extra_info[way] = {**times._asdict(), "figure": figure}


def pytest_addoption(parser):
    parser.addoption("--figures", action="store_true", help="write the table into FIGURES.md, the curves beside it")
    parser.addoption("--ratios", choices=["keep", "compare"], help="keep the ratios, or hold them against those kept")


def pytest_configure(config):
    config.stash[FOUND] = Found([], [], {})


@pytest.fixture
def bench(benchmark, request) -> Bench:
    question = request.node.name.removeprefix("test_").replace("_", " ")
    return Bench(benchmark, question, request.config.stash[FOUND])


def pytest_sessionfinish(session, exitstatus):
    found, config = session.config.stash[FOUND].ratios, session.config
    if exitstatus == pytest.ExitCode.OK and config.getoption("--ratios") == "keep":
        ratios.keep(BASELINE, found)
    if exitstatus == pytest.ExitCode.OK and config.getoption("--ratios") == "compare":
        config.stash[WORSE] = ratios.worse(found, ratios.kept(BASELINE))
        session.exitstatus = pytest.ExitCode.TESTS_FAILED if config.stash[WORSE] else exitstatus


def pytest_terminal_summary(terminalreporter, config):
    rows, points, _ = config.stash[FOUND]
    for reason in sorted({report.longrepr[2] for report in terminalreporter.stats.get("skipped", ())}):
        terminalreporter.write_line(reason)
    if not rows:
        return
    lines = ["| question | way | best ms | median ms | CPU ms | figure |", "|---|---|--:|--:|--:|---|"]
    for question, way, times, figure in rows:
        lines.append(f"| {question} | {way} | {' | '.join(f'{1e3 * t:,.1f}' for t in times)} | {figure} |")
    load = f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    lines += ["", f"Measured with {load}; ratios are of medians, rates a core of processor time."]
    terminalreporter.write_line("\n" + "\n".join(lines))
    for line in config.stash.get(WORSE, []):
        terminalreporter.write_line(line, red=True)
    if config.getoption("--figures") and points:
        CURVES.write_text(curves(points))
    if config.getoption("--figures"):
        before, _, rest = FIGURES.read_text().partition(BEGIN)
        FIGURES.write_text("\n".join([before + BEGIN, *lines, END + rest.partition(END)[2]]))
