"""How fast are the signals of a sweep of indicator strategies, indicators and all, beside others at the same?

2,000 strategies with bands and crossovers on 67,555 minutes: those of SPY from ``shared/data`` beside the checkout,
else made up. Before anything is measured, the signals of the others are held against ours.
"""

import importlib
import importlib.util
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from highwater.bench.market import market
from highwater.bench.questions import rounded
from highwater.engine.traces.features import Features
from highwater.engine.traces.registry import complete, rule_named
from highwater.io.candles import read_candles
from highwater.kernels.arrays import Candles
from highwater.kernels.signals import NONE, changes

CANDLES = 67_555
SPY = Path(__file__).parents[2] / "shared" / "data" / "candles" / "spy_1m_2024.parquet"
STRATEGIES = 2_000
FEW = 25  # of each kind, where an engine is slow

Asked = list[tuple[str, dict]]


def strategies() -> Asked:
    """Return the strategies, a quarter of each kind, those of one kind together."""
    widths, found = np.linspace(1.5, 3.0, 21).round(3).tolist(), []
    for name, width in (("bollinger_bands", "std_dev"), ("keltner_bands", "multiplier")):
        found += [(name, {"period": n, width: k}) for n, k in itertools.product(range(10, 34), widths)][:500]
    for name in ("sma_crossover", "ema_crossover"):
        periods = itertools.product(range(5, 30), range(40, 200, 8))
        found += [(name, {"fast_period": fast, "slow_period": slow}) for fast, slow in periods]
    return found


def bars() -> tuple[Candles, str]:
    """Return the candles and their name."""
    if SPY.exists():
        return read_candles(SPY, None).candles, "SPY 1m"
    return Candles(*(part[:CANDLES] for part in market(1, CANDLES).candles)), "made up"


def ours(candles: Candles, asked: Asked, kept: Callable = lambda signal: signal) -> list:
    """Return what is ``kept`` of each signal."""
    features = Features(candles, 60_000)
    rules = [(rule_named(name), given) for name, given in asked]
    return [kept(rule.signal(features, complete(rule, given))) for rule, given in rules]


def others(candles: Candles, some: Asked) -> dict[str, tuple[Asked, Callable, str]]:
    """Return those that are installed: what each is asked, how, and how its signals differ from ours."""
    found, few = {}, [each for i in range(0, STRATEGIES, 500) for each in some[i : i + 500 : 500 // FEW]]
    if importlib.util.find_spec("talib"):
        talib = importlib.import_module("highwater.bench.peers.talib_signals")
        lists = talib.load(candles)
        for shared, asked in ((False, few), (True, some)):
            way = "TA-Lib and NumPy, each indicator " + ("once" if shared else "anew")
            note = differing(candles, few, lambda asked, shared=shared: talib.signals(lists, asked, shared))
            found[way] = asked, lambda asked, shared=shared: list(talib.signals(lists, asked, shared)), note
    if importlib.util.find_spec("vectorbt"):
        vectorbt = importlib.import_module("highwater.bench.peers.vectorbt_signals")
        frames = vectorbt.load(candles)
        # Not held: its EMA begins with the first price, its ATR is another average.
        same = [each for each in few if each[0] in ("bollinger_bands", "sma_crossover")]
        note = differing(candles, same, lambda asked: (s for each in vectorbt.signals(frames, asked) for s in each.T))
        found["vectorbt"] = few, lambda asked: list(vectorbt.signals(frames, asked)), note
    return found


def differing(candles: Candles, asked: Asked, way: Callable) -> str:
    """Hold the signals of others against ours; say how many differ, by rounding on the very band or line."""
    pairs = zip(ours(candles, asked), way(asked), strict=True)
    count = sum(np.count_nonzero(np.where(own == NONE, 0, own) != other) for own, other in pairs)
    assert count < 1e-4 * len(asked) * candles.ts.size
    return f", {count} of {len(asked) * candles.ts.size:,} signals are others"


@pytest.mark.filterwarnings("ignore")
def test_signals_of_a_sweep(bench):
    candles, name = bars()
    some = strategies()
    ways = {
        "highwater, signals": (some, lambda asked: ours(candles, asked), ""),
        "highwater, signals and their changes": (some, lambda asked: ours(candles, asked, changes), ""),
        **others(candles, some),
    }
    times = bench.compare({way: lambda asked=asked, do=do: do(asked) for way, (asked, do, _) in ways.items()}, rounds=3)
    rates = {way: len(asked) * candles.ts.size / times[way].cpu for way, (asked, *_) in ways.items()}
    for way, (asked, _, note) in ways.items():
        rate, slower = rounded(rates[way] / 1e6), rounded(rates["highwater, signals"] / rates[way])
        size = f"{len(asked):,} strategies x {candles.ts.size:,} candles, {name}{note}"
        bench.say(way, times[way], f"{rate} M candle-strategies/s a core, ours / {slower}, {size}")
