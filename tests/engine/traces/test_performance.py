import math
import re
from dataclasses import replace

import numba
import numpy as np
import pytest
from highwater.engine.policy import parse_policy
from highwater.engine.traces.performance import METRICS, TRADES, Fills, performance_of, performances
from highwater.engine.traces.trace import Trace
from highwater.io.errors import DataError, UsageError
from highwater.kernels.arrays import REASONS, candles
from highwater.kernels.equity import METRIC
from hypothesis import given, settings
from hypothesis import strategies as st
from trace_market import asked, expected_of, fills_of, random_trace_case

CLOSE = "signal_close"
seeds = st.integers(0, 2**63)
examples = settings(max_examples=400 if not numba.config.DISABLE_JIT else 60, deadline=None)


def found(case):
    """Return the ``Performance`` of a case."""
    bars, signal, how = case
    trace, candles = asked(bars, signal)
    return performance_of(trace, candles, how["interval_ms"], fills_of(how))


def trade_rows(performance):
    """Return the trades as the oracle lists them."""
    columns = {name: performance.trades[name].tolist() for name in TRADES}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    for row in rows:
        row["reason"] = REASONS[row["reason"]]
        row |= {f"{name}_bps": row.pop(name) * 10000 for name in ("worst", "best", "mae", "mfe")}
    return rows


@examples
@given(seeds)
def test_trades_equal_the_oracle(seed):
    case = random_trace_case(seed)
    expected = [{name: value for name, value in row.items() if name != "pnl"} for row in expected_of(case)[0]]

    assert expected == trade_rows(found(case))


@examples
@given(seeds)
def test_metrics_equal_the_oracle(seed):
    case = random_trace_case(seed)
    expected = {
        name: value if value is None else pytest.approx(value, rel=1e-9, abs=1e-12)
        for name, value in expected_of(case)[1].items()
    }

    assert expected == found(case).metrics


def test_the_columns_are_those_of_the_kernel():
    assert METRIC.names == METRICS


@pytest.mark.parametrize("threads", [1, 2])
def test_many_at_once_are_each_by_itself(threads):
    cases = [random_trace_case(seed) for seed in range(40)]
    bars, how = cases[0][0], replace(fills_of(cases[0][2]), exits=parse_policy({"sl": 0.9, "tp": 1.2}))
    rng, step = np.random.default_rng(4), cases[0][2]["interval_ms"]
    traces = [asked(bars, rng.integers(-1, 2, len(bars)).tolist()) for _ in cases]
    together = performances([one for one, _ in traces], traces[0][1], step, how, threads)
    for row, (one, market) in enumerate(traces):
        alone = performance_of(one, market, step, how).metrics
        expected = {name: math.nan if value is None else value for name, value in alone.items()}

        np.testing.assert_equal({name: column[row] for name, column in together.items()}, expected)


UP = candles(np.arange(5) * 60_000, *(np.arange(100.0, 105.0) for _ in range(4)))


def trace(idx, val, bars=5):
    return Trace(np.array(idx, np.int32), np.array(val, np.int8), bars)


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (trace([0], [1], 6), "the trace is of 6 candles and these are 5"),
        (trace([0, 5], [1, 0]), "must ascend within 0 to 4; it runs from 0 to 5"),
        (trace([-1], [1]), "from -1 to -1"),
        (trace([2, 2], [1, 0]), "must ascend"),
        (trace([1, 2], [1, 2]), "val is 2; it must be -1, 0 or 1"),
        (trace([1, 2], [1]), "2 candles and 1 values"),
    ],
)
def test_a_trace_of_other_candles_is_refused(refused, said):
    with pytest.raises(DataError, match=said):
        performance_of(refused, UP, 60_000)
    with pytest.raises(DataError, match=said):
        performances([refused], UP, 60_000)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"fill": "next_opne"}, "fill is 'next_opne'; did you mean 'next_open'?"),
        ({"fill": "never"}, "it must be one of next_open, signal_close"),
        ({"intrabar": "pesimistic"}, "did you mean 'pessimistic'?"),
        ({"fee_bps": -1}, "fee_bps is -1; it must be at least 0 and below 5000 basis points"),
        ({"slippage_bps": 5000}, "slippage_bps is 5000"),
        ({"fee_bps": math.nan}, "fee_bps is nan"),
    ],
)
def test_fills_outside_their_limits_are_refused(how, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        Fills(**how)


def test_equal_fills_have_one_canonical_form():
    exits = parse_policy({"sl": 0.9})
    forms = [Fills(fee_bps=fee, exits=exits).canonical() for fee in (1, 1.0)]

    assert forms[0] == forms[1]
    assert {"fill", "fee_bps", "slippage_bps", "memory", "intrabar", "exits"} == set(forms[0])
    assert "exits" not in Fills().canonical()
    assert 4 == len({str(Fills(**how).canonical()) for how in ({}, {"memory": False}, {"fee_bps": 1}, {"fill": CLOSE})})


def test_no_candles_and_no_signals_are_no_trades():
    empty = candles(*([],) * 5)
    for bars, nothing in ((empty, trace([], [], 0)), (UP, trace([], []))):
        found = performance_of(nothing, bars, 60_000)

        assert dict.fromkeys(TRADES, 0) == {name: column.size for name, column in found.trades.items()}
        assert (0, 0.0, None) == tuple(found.metrics[name] for name in ("num_trades", "total_return", "sharpe"))
    assert [] == performances([], UP, 60_000)["sharpe"].tolist()


# What must not see the future (ORIGINS, the look-ahead list).


@pytest.mark.parametrize("fill", ["next_open", "signal_close"])
def test_a_signal_earns_nothing_of_the_candle_that_made_it(fill):
    """One candle doubles, and the signal that it makes of that is too late for it."""
    jump = candles(
        np.arange(4) * 60_000, [10.0, 10, 20, 20], [10.0, 20, 20, 20], [10.0, 10, 20, 20], [10.0, 20, 20, 20]
    )
    found = performance_of(trace([1], [1], 4), jump, 60_000, Fills(fill))

    assert (1, 0.0, 0.0) == tuple(found.metrics[name] for name in ("num_trades", "total_return", "max_drawdown"))


@examples
@given(seeds, st.integers(1, 39))
def test_what_was_closed_before_a_candle_does_not_change_when_the_future_is_removed(seed, keep):
    bars, signal, how = random_trace_case(seed)
    whole, part = (trade_rows(found((bars[:n], signal[:n], how))) for n in (len(bars), min(keep, len(bars))))
    done = [row for row in whole if row["exit_bar"] < keep - 1]
    names = set(TRADES) - {"worst", "best", "ambiguous"}  # bounds know what would have been until the signal's end

    assert [{n: row[n] for n in names & set(row)} for row in done] == [
        {n: row[n] for n in names & set(row)} for row in part[: len(done)]
    ]


@pytest.mark.parametrize(
    ("exits", "reason"), [({"sl": 0.95}, "END_OF_DATA"), ({"trail": {"pct": 0.05}}, "END_OF_DATA")]
)
def test_the_entry_candle_of_a_fill_at_its_close_is_the_past(exits, reason):
    rows = [(100.0, 130.0, 80.0, 100.0), (100.0, 101.0, 99.0, 100.0)]
    bars = candles(np.arange(2) * 60_000, *np.array(rows).T)
    found = performance_of(trace([0], [1], 2), bars, 60_000, Fills(CLOSE, exits=parse_policy(exits)))

    assert ([reason], [0.0]) == ([REASONS[code] for code in found.trades["reason"]], found.trades["ret"].tolist())
    assert (-0.01, 0.01) == pytest.approx((found.trades["mae"][0], found.trades["mfe"][0]))


def test_a_ratchet_of_the_same_candle_is_never_in_our_favour():
    """High 110, low 99: pessimistically the trailing stop that 110 has set sells, and breakeven does."""
    bars = candles(np.arange(3) * 60_000, *np.array([(100,) * 4, (100, 110, 99, 108), (108, 120, 107, 120)], float).T)
    for exits, ret in (({"trail": {"pct": 0.05}}, 0.045), ({"breakeven": {"trigger": 1.05}}, 0.0)):
        sold = performance_of(trace([0], [1], 3), bars, 60_000, Fills(exits=parse_policy(exits)))

        assert pytest.approx([ret]) == sold.trades["ret"].tolist()
        assert pytest.approx([0.2]) == sold.trades["best"].tolist()
