import numpy as np
import pytest
from highwater.kernels.arrays import NEVER, Policies, column
from highwater.kernels.axes import axes_of
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_market import COMPILED, frozen

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in scalar multiply")  # a hash, without JIT


def assert_axes_hold(policies):
    """Every policy is found again in its rows, each axis ascends, and the stops armed at once come first."""
    axes, moving, ranks = axes_of(policies)
    late = (moving.be_trigger < np.inf) | (moving.activate > 1.0)
    plain = axes.trail_pct.size

    assert all((values[1:] > values[:-1]).all() for values in (-axes.sl, axes.tp, axes.time_ms))
    assert (np.diff(axes.trail_pct) >= 0).all()
    assert [0, plain] == [late[:plain].sum(), (~late).sum()]
    np.testing.assert_array_equal(axes.trail_pct, moving.trail_pct[:plain])
    np.testing.assert_array_equal(policies.sl, axes.sl[ranks[0]])
    np.testing.assert_array_equal(policies.tp[:, 0], axes.tp[ranks[1]])
    np.testing.assert_array_equal(policies.time_ms, axes.time_ms[ranks[3]])
    for name in ("be_trigger", "be_offset", "trail_pct", "activate"):
        np.testing.assert_array_equal(getattr(policies, name), getattr(moving, name)[ranks[2]])


@settings(max_examples=40 if COMPILED else 10, deadline=None)
@given(st.integers(1, 60), st.integers(1, 4), st.randoms(use_true_random=False))
def test_axes_hold_every_policy(count, different, rng):
    values = [rng.uniform(0.01, 0.9) for _ in range(different)]

    def some(*more):
        return column([rng.choice([*values, *more]) for _ in range(count)])

    def above(*more):
        return column([rng.choice([*(1 + value for value in values), *more]) for _ in range(count)])

    time_ms = column([rng.choice([1, 60_000, 2**40, NEVER]) for _ in range(count)], np.int64)
    shares = column(np.full((count, 1), 10000), np.int64)
    tp = column(above(np.inf).reshape(-1, 1))
    assert_axes_hold(Policies(some(0.0), tp, shares, above(np.inf), some(0.0), some(0.0), above(1.0, np.inf), time_ms))


@pytest.mark.skipif(not COMPILED, reason="400,000 values would be hashed one by one in Python")
def test_axes_of_as_many_values_as_policies():
    """Combinations of four parameters of 100,000 values each are more than 64 bits can number."""
    rng, n = np.random.default_rng(1), 100_000
    plain = rng.random(n) < 0.5
    trigger, activate = (np.where(plain, unset, 1 + rng.random(n)) for unset in (np.inf, 1.0))
    shares, never = np.full((n, 1), 10000), np.full(n, NEVER)
    parts = rng.random(n), 1 + rng.random((n, 1)), shares, trigger, rng.random(n), rng.random(n), activate, never
    assert_axes_hold(frozen(Policies(*parts)))
