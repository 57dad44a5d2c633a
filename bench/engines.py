"""The engines that do the same tasks, ours and the peers', and how much of each task one of them is given.

An engine is a module: ``load(market)`` returns the data as the engine likes them, untimed; ``paths(data)``,
``policy(data, sl, tp)`` and ``sweep(data, sl[T], tp[T])``, as far as it has them, return what those of ``ours`` do.
"""

import importlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
from highwater.bench.market import market

TASKS = ("paths", "policy", "sweep")
STATUS = Path("/proc/self/status")


class Engine(NamedTuple):
    """Where an engine lies, what it needs, and its sizes: a slow one gets less, so that a round stays short.

    ``alerts`` for ``paths`` and ``policy``; ``swept`` alerts and ``side`` x ``side`` policies for ``sweep``.
    ``at_open``: it fills a target that a candle opens beyond at that open; we and the others fill it at its level.
    """

    module: str
    needs: str
    alerts: int
    swept: int
    side: int
    at_open: bool = False

    def loaded(self) -> ModuleType:
        return importlib.import_module(f"highwater.bench.{self.module}")

    def has(self, task: str) -> bool:
        return hasattr(self.loaded(), task)

    def way(self, task: str) -> Callable:
        return getattr(self.loaded(), task)

    def size(self, task: str) -> tuple[int, int]:
        """Return (alerts, policies) of a task."""
        return (self.swept, self.side**2) if task == "sweep" else (self.alerts, 1)


# A new way of ours is one more line here. The first is the reference; ratios are to the quickest that has the task.
OURS = {
    "highwater": Engine("ours", "numba", 2_000, 500, 16),
    "highwater tables": Engine("ours_tables", "numba", 2_000, 500, 64),
    "highwater surface": Engine("ours_surface", "numba", 2_000, 500, 64),
}
BARS = {"numba bar by bar": Engine("peers.numba_bars", "numba", 2_000, 500, 16)}
PLAIN = {
    "numpy": Engine("peers.numpy_", "numpy", 1_000, 200, 16),
    "duckdb": Engine("peers.duckdb_sql", "duckdb", 500, 200, 16),
}
PEERS = {
    "polars": Engine("peers.polars_", "polars", 1_000, 200, 16),
    "pandas": Engine("peers.pandas_", "pandas", 200, 100, 8),
    "vectorbt": Engine("peers.vectorbt_", "vectorbt", 200, 50, 4, at_open=True),
    "raptorbt": Engine("peers.raptorbt_", "raptorbt", 100, 20, 8),
    "backtesting.py": Engine("peers.backtestingpy", "backtesting", 5, 2, 2, at_open=True),
}


def missing(engines: dict[str, Engine]) -> list[str]:
    """Return the packages that the engines need and that are not installed."""
    return [each.needs for each in engines.values() if importlib.util.find_spec(each.needs) is None]


def asked(task: str, side: int) -> tuple:
    """Return what a task is asked beside the data: a stop and a target, or ``side`` of each, all combined.

    Whole 256ths: a stop is the same number said as a multiple of the entry or as a loss, in every engine.
    """
    if task != "sweep":
        return {"paths": (), "policy": (0.75, 1.25)}[task]
    stops, targets = (np.round(256 * np.linspace(*ends, side)) / 256 for ends in ((0.4, 0.95), (1.05, 4.0)))
    sl, tp = np.meshgrid(stops, targets)
    return sl.ravel(), tp.ravel()


def peaks(engine: Engine) -> dict[str, float]:
    """Return the MiB that each task needs at its peak beyond the data, measured in a process of its own; Linux only."""
    if not STATUS.exists():
        return {}
    code = f"from highwater.bench.engines import Engine, _peaks; _peaks({engine!r})"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _peaks(engine: Engine) -> None:
    """Print what ``peaks`` returns: each task is done once in small, so that nothing is compiled while measured."""
    found, module = {}, engine.loaded()
    for task in TASKS:
        if engine.has(task):
            way, (alerts, _) = engine.way(task), engine.size(task)
            way(module.load(market(2, 64)), *asked(task, 2))
            data = module.load(market(alerts))
            before = _reset_peak()
            way(data, *asked(task, engine.side))
            found[task] = max(0, _memory("VmHWM") - before) / 1024
    print(json.dumps(found))


def _reset_peak() -> int:
    """Return the memory in use, in KiB, after making it the peak from which ``VmHWM`` grows (man proc, clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(field: str) -> int:
    return int(dict(line.split(":", 1) for line in STATUS.read_text().splitlines())[field].split()[0])
