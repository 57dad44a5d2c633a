"""Callers and fixed exits of the small market in plain Python: what became of a call, and what a cell returned."""

import naive
import numpy as np
from highwater.engine.baseline import path_columns
from highwater.engine.fixed_exits import fixed_exits
from highwater.engine.values import Range
from small_market import PAID, oracle

TP, SL = Range(1.1, 5.1, 0.8), Range(0.6, 0.9, 0.15)
# The last parameter fastest, in the order of the schema.
CELLS = [(tp, sl) for tp in (1.1, 1.9, 2.7, 3.5, 4.3, 5.1) for sl in (0.6, 0.75, 0.9)]


def chance(cases):
    """Return the Kaplan-Meier chance of a hit, of (time, hit) pairs: the product over the times of hits."""
    left = 1.0
    for time in sorted({time for time, hit in cases if hit}):
        at_risk = sum(t >= time for t, _ in cases)
        left *= 1 - sum(t == time and hit for t, hit in cases) / at_risk
    return 1 - left


def fate(ready, bars, entry, hit):
    """Return what became of a call: reached, data_ended, died, or None where it was followed and traded to the end."""
    if hit:
        return "reached"
    if entry["coverage_end"] < entry["end"]:
        return "data_ended"
    silence = entry["end"] - (bars[entry["last"] - 1][0] + ready.step)
    return "died" if silence > 10 * ready.step else None


def highs_of(ready):
    return np.ma.filled(path_columns(ready, (), 1)["ath_mult"], np.nan)


def made(ready, tp=TP, sl=SL, threads=None):
    return fixed_exits(ready, highs_of(ready), tp, sl, threads)


def returns(ready):
    """Return the caller, the token and the ``ret_q`` of each of CELLS of every alert with a window, by the oracle."""
    found = []
    for alert, (bars, entry) in zip(ready.alerts.to_pylist(), oracle(ready), strict=True):
        if entry["status"] == "OK":
            exits = ({"tp": [{"mult": tp}], "sl": sl} for tp, sl in CELLS)
            cells = [naive.simulate(bars, entry, each, **PAID)["ret_q"] for each in exits]
            found.append((alert["caller_name"], alert["mint"], cells))
    return found
