"""Random candles, signals and fills for what is made of traces, and the oracle's view of them."""

import random

import numpy as np
import plain_positions
from highwater.engine.policy import parse_policy
from highwater.engine.traces.performance import Fills
from highwater.engine.traces.trace import trace_of
from highwater.kernels.arrays import candles
from highwater.kernels.signals import NONE
from random_market import random_bars

DAY = 86_400_000
ZONES = (0.5, 0.75, 0.9, 0.95, 0.97)


def random_exits(rng, step):
    """Return an exit rule of a long, sometimes with several rungs, or one that holds nothing."""
    exits = {"sl": rng.choice(ZONES)} if rng.random() < 0.6 else {}
    multiples = sorted(rng.sample([1.05, 1.1, 1.2, 1.25, 1.5], rng.choice([0, 1, 1, 2, 3])))
    exits["tp"] = [{"mult": mult, "frac_bps": 10_000 // len(multiples)} for mult in multiples]
    if rng.random() < 0.4:
        exits["trail"] = {"pct": rng.choice([0.05, 0.1, 0.25]), "activate": rng.choice([1.0, 1.1, 1.25])}
    if rng.random() < 0.4:
        trigger = rng.choice([1.1, 1.2, 1.5])
        exits["breakeven"] = {"trigger": trigger, "offset": rng.choice([0.0, -0.1, 0.05])}
    if rng.random() < 0.4:
        exits["time_ms"] = rng.choice([1, 2, 5]) * step - rng.choice([0, 1])
    return exits | {"tp_gap_fill": rng.choice(["open", "level"])}


def random_trace_case(seed):
    """Return (bars, signal, how): bars as the oracle takes them, one value or None a bar, the oracle's ``how``."""
    rng = random.Random(seed)
    step = rng.choice([60_000, 3_600_000, 6 * 3_600_000, DAY])
    bars = random_bars(rng, step)
    signal, value, warm = [], 0, rng.randint(0, 6)
    for i in range(len(bars)):
        value = rng.choice([value] * 3 + [-1, 0, 1])
        signal.append(None if i < warm else value)
    how = {"fill": rng.choice(["next_open", "signal_close"]), "memory": rng.random() < 0.5, "interval_ms": step}
    how |= {"intrabar": rng.choice(["pessimistic", "optimistic", "ohlc_path"]), "exits": {}, "costs": {}}
    if rng.random() < 0.7:
        how["exits"] = random_exits(rng, step)
    if rng.random() < 0.5:
        how["costs"] = {"fee_bps": rng.choice([0.0, 30.0]), "slippage_bps": rng.choice([0.0, 12.5])}
    return bars, signal, how


def fills_of(how):
    """Return the ``Fills`` of the oracle's ``how``."""
    exits = parse_policy(how["exits"]) if how["exits"] else None
    return Fills(how["fill"], exits=exits, memory=how["memory"], intrabar=how["intrabar"], **how["costs"])


def asked(bars, signal):
    """Return (trace, candles) of bars and a signal."""
    values = np.array([NONE if value is None else value for value in signal], np.int8)
    ts, *prices = zip(*bars, strict=True)
    return trace_of(values), candles(ts, *prices)


def expected_of(case):
    """Return (trades, metrics, daily returns) of a case by the oracle."""
    return plain_positions.perform(*case)
