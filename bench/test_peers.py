"""How fast are others at the same work, with the same answers?"""

import os

import numpy as np
import pytest
from highwater.bench import ours
from highwater.bench.engines import BARS, OURS, PEERS, PLAIN, TASKS, Engine, asked, missing, peaks
from highwater.bench.market import CANDLES, market
from highwater.bench.ours import ROUNDING
from highwater.bench.questions import rounded
from highwater.kernels import Rules

MEMORY: dict[str, dict[str, float]] = {}


def check(task: str, engine: Engine, answer) -> str:
    """Hold an answer against ours, under the engine's own rule for gaps; return how many fills that rule moved."""
    made, extra, rules = market(engine.size(task)[0]), asked(task, engine.side), Rules(tp_at_open=engine.at_open)
    if task == "sweep":
        np.testing.assert_allclose(answer, ours.sweep(made, *extra, rules), rtol=0, atol=ROUNDING)
        return ""
    expected = ours.paths(made) if task == "paths" else ours.policy(made, *extra, rules)

    for theirs, own in zip(answer, expected, strict=True):
        np.testing.assert_array_equal(theirs, own)
    if task == "paths" or not engine.at_open:
        return ""
    return f", {np.sum(answer[1] != ours.policy(made, *extra)[1])} sold at an open beyond the target"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("others", [PLAIN, PEERS], ids=["plain", "peers"])
def test_others(bench, task, others):
    if lacking := missing(others):
        pytest.skip(f"{', '.join(lacking)} not installed: make bench PEERS=1")
    engines = {name: each for name, each in {**OURS, **BARS, **others}.items() if each.has(task)}
    ways, notes = {}, {}
    for name, each in engines.items():
        data, way, extra = each.loaded().load(market(each.size(task)[0])), each.way(task), asked(task, each.side)
        ways[name] = lambda way=way, data=data, extra=extra: way(data, *extra)
        notes[name] = check(task, each, ways[name]())
        MEMORY[name] = MEMORY.get(name) or peaks(each)

    times = bench.compare(ways, rounds=9, cores=os.cpu_count() or 1)
    per = (CANDLES, "candle") if task == "paths" else (1, "pair")
    rates = {name: 1e9 * times[name].median / np.prod(each.size(task)) / per[0] for name, each in engines.items()}
    quickest = min(rates[name] for name in OURS if name in rates)
    for name, each in engines.items():
        alerts, trials = each.size(task)
        size = f"{alerts:,} alerts" + (f" x {trials} policies" if trials > 1 else "")
        memory = f", {MEMORY[name][task]:,.0f} MiB" if MEMORY[name] else ""
        rate = f"{rounded(rates[name])} ns/{per[1]}, {rounded(rates[name] / quickest)}x ours"
        bench.say(name, times[name], f"{rate}, {size}{memory}{notes[name]}")


@pytest.mark.parametrize("task", TASKS)
def test_ours(bench, task):
    """One core and no peers: the ratios that ``make bench-compare`` holds."""
    ways = {}
    for name, each in {**OURS, **BARS}.items():
        if each.has(task):
            data, way, extra = each.loaded().load(market(each.size(task)[0])), each.way(task), asked(task, each.side)
            ways[name] = lambda way=way, data=data, extra=extra: way(data, *extra)

    times = bench.compare(ways, rounds=9)
    for name, took in times.items():
        bench.say(name, took, f"{took.cpu / times[next(iter(BARS))].cpu:.2f} of numba bar by bar")
        if name in OURS:
            bench.hold(name, *BARS)
