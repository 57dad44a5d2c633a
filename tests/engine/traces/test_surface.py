import random
from dataclasses import replace

import numba
import numpy as np
import pytest
from highwater.engine.policy import parse_policy
from highwater.engine.traces.performance import Fills
from highwater.engine.traces.surface import trace_surface
from highwater.engine.traces.trace import Trace
from highwater.io.errors import DataError, UsageError
from hypothesis import given, settings
from hypothesis import strategies as st
from trace_market import asked, expected_of, fills_of, random_trace_case

examples = settings(max_examples=60 if not numba.config.DISABLE_JIT else 10, deadline=None)
STOPS, TARGETS = [None, 0.97, 0.9, 0.75], [None, 1.05, 1.25]


def moving(rng):
    """Return exits without a fixed stop or target, or none."""
    exits = {"trail": {"pct": rng.choice([0.05, 0.1]), "activate": 1.1}} if rng.random() < 0.5 else {}
    return exits | ({"breakeven": {"trigger": 1.1, "offset": 0.0}} if rng.random() < 0.5 else {})


def by_the_oracle(case, rest, stop, target):
    """Return what a cell must hold, from the oracle's trades with its exits and with none."""
    bars, signal, how = case
    exits = rest | ({"sl": stop} if stop else {}) | ({"tp": [{"mult": target}]} if target else {})
    trades, metrics, _ = expected_of((bars, signal, how | {"exits": exits}))
    alone = expected_of((bars, signal, how | {"exits": {}}))[0]
    more = [trade["ret"] - other["ret"] for trade, other in zip(trades, alone, strict=True)]
    n = len(trades)
    return {
        "trades": n,
        "stopped": sum(trade["reason"] in ("SL", "BE", "TRAIL") for trade in trades),
        "targets": sum(trade["reason"] == "TP" for trade in trades),
        "ambiguous": sum(trade["ambiguous"] for trade in trades),
        "mean": metrics["expectancy"] if n else np.nan,
        "win_rate": metrics["win_rate"] if n else np.nan,
        "total_return": metrics["total_return"],
        "mean_worst": sum(trade["worst_bps"] for trade in trades) / 10_000 / n if n else np.nan,
        "mean_best": sum(trade["best_bps"] for trade in trades) / 10_000 / n if n else np.nan,
        "saved": sum(max(each, 0) for each in more),
        "given_up": -sum(min(each, 0) for each in more),
    }


@examples
@given(st.integers(0, 2**63))
def test_every_cell_equals_the_oracle(seed):
    bars, signal, how = random_trace_case(seed)
    rest, how = moving(random.Random(seed)), how | {"memory": True, "exits": {}}
    fills = replace(fills_of(how), exits=parse_policy(rest) if rest else None)
    trace, market = asked(bars, signal)
    found = trace_surface(trace, market, how["interval_ms"], fills, STOPS, TARGETS, threads=1)
    for m, stop in enumerate(STOPS):
        for k, target in enumerate(TARGETS):
            expected = by_the_oracle((bars, signal, how), rest, stop, target)
            actual = {name: column[m, k].item() for name, column in found.cells.items()}

            assert {
                name: pytest.approx(value, rel=1e-9, abs=1e-11, nan_ok=True) for name, value in expected.items()
            } == actual


def any_trace(seed=1, n=300):
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))
    bars = [(i * 60_000, x, x * 1.01, x * 0.99, x, 1.0) for i, x in enumerate(close.tolist())]
    return asked(bars, rng.integers(-1, 2, n).tolist())


def test_any_number_of_threads_gives_the_same():
    trace, market = any_trace()
    one, two = (trace_surface(trace, market, 60_000, Fills(), STOPS, TARGETS, threads=n) for n in (1, 2))

    assert {name: each.tobytes() for name, each in one.cells.items()} == {
        name: each.tobytes() for name, each in two.cells.items()
    }
    assert (4, 3) == one.cells["mean"].shape
    assert str([[np.nan, 0.97, 0.9, 0.75], [np.nan, 1.05, 1.25]]) == str([one.stops.tolist(), one.targets.tolist()])


def test_bounds_hold_the_mean_and_no_level_saves_nothing():
    trace, market = any_trace()
    cells = trace_surface(trace, market, 60_000, Fills(), STOPS, TARGETS).cells

    assert (cells["mean_worst"] <= cells["mean"]).all()
    assert (cells["mean"] <= cells["mean_best"]).all()
    assert (0, 0, 0, 0) == tuple(cells[name][0, 0] for name in ("saved", "given_up", "stopped", "targets"))
    assert np.unique(cells["trades"]).size == 1
    assert [[3] * 3, [0] * 3] == cells["stopped"][1:3].tolist()


def test_a_trace_that_wants_nothing_has_no_means():
    _, market = any_trace(n=5)
    found = trace_surface(Trace(np.empty(0, np.int32), np.empty(0, np.int8), 5), market, 60_000, Fills(), [0.9], [1.1])

    assert (0, 0.0) == (found.cells["trades"][0, 0], found.cells["total_return"][0, 0])
    assert np.isnan([found.cells[name][0, 0] for name in ("mean", "win_rate", "mean_worst", "mean_best")]).all()


@pytest.mark.parametrize(
    ("how", "stops", "targets", "said"),
    [
        ({"memory": False}, [0.9], [1.1], "memory is False"),
        ({"exits": parse_policy({"sl": 0.9})}, [0.9], [1.1], "exits set sl"),
        ({"exits": parse_policy({"tp": 2})}, [0.9], [1.1], "exits set tp"),
        ({}, [], [1.1], "stops is empty"),
        ({}, [0.9], [], "targets is empty"),
        ({}, [1.1], [1.2], "sl is a multiple of the entry price"),
        ({}, [0.0], [1.2], "sl is a multiple of the entry price"),
        ({}, [0.9], [0.8], "tp must be > 1"),
        ({}, [0.9], [0.0], "tp must be > 1"),
    ],
)
def test_what_a_surface_cannot_be_is_refused(how, stops, targets, said):
    trace, market = any_trace(n=5)
    with pytest.raises(UsageError, match=said):
        trace_surface(trace, market, 60_000, Fills(**how), stops, targets)


def test_a_trace_of_other_candles_is_refused():
    trace, market = any_trace(n=5)
    with pytest.raises(DataError, match="the trace is of 6 candles"):
        trace_surface(replace(trace, bars=6), market, 60_000, Fills(), [0.9], [1.1])
