import numba
import pytest
from highwater.engine.traces.performance import TRADES, performance_of
from highwater.kernels.arrays import REASONS
from hypothesis import given, settings
from hypothesis import strategies as st
from trace_market import asked, expected_of, fills_of, random_trace_case

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
