import math

import pytest
import small_market
from highwater.engine import rates
from highwater.engine.baseline import path_table
from highwater.engine.caller_ranking import ranking
from highwater.engine.callers import caller_columns
from highwater.io import schemas
from highwater.io.errors import MissingError, UsageError


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    ready = small_market.prepared(tmp_path_factory.mktemp("market"))
    return schemas.table(schemas.CALLERS, caller_columns(ready, path_table(ready, (), 1), None), "run")


ORDERS = {
    "shrunk": ("hit_3x_shrunk", -1),
    "rate": ("hit_3x_rate", -1),
    "low": ("hit_3x_low", -1),
    "q": ("hit_3x_q", 1),
    "needs": ("hit_3x_needs", 1),
    "calls": ("calls", -1),
    "median": ("median_ath_mult", -1),
    "score": ("caller_score", -1),
}


@pytest.mark.parametrize("order", ORDERS)
def test_callers_stand_in_their_order_the_undefined_last(table, order):
    rows = ranking(table, 3.0, order, 1, "run").rows.to_pylist()
    column, sign = ORDERS[order]
    keys = [(math.inf if row[column] is None else sign * row[column], row["caller_name"]) for row in rows]

    assert table.num_rows == len(rows)
    assert sorted(keys) == keys
    assert sorted(table.to_pylist(), key=str) == sorted(rows, key=str)


def test_callers_with_few_calls_are_left_out_but_count_in_the_pool(table):
    every, some = (ranking(table, 2, "shrunk", least, "run") for least in (1, 4))

    assert 0 < some.rows.num_rows < every.rows.num_rows
    assert every.pool == some.pool


def test_the_pool_is_all_calls(table):
    pool = ranking(table, 2, "shrunk", 1, "run").pool
    rows = table.to_pylist()
    calls = [row["calls"] - row["calls_excluded"] for row in rows]
    reached = [row["calls_reached_2x"] or 0 for row in rows]
    low, high = rates.wilson(*(pool_of([sum(part)]) for part in (reached, calls)))

    assert (sum(calls), sum(reached), sum(reached) / sum(calls)) == (pool.calls, pool.reached, pool.rate)
    assert (low[0], high[0]) == (pool.low, pool.high)
    assert rates.strength(pool_of(reached), pool_of(calls)) == pool.strength


def pool_of(counts):
    return rates.np.array(counts)


def test_another_multiple_is_refused(table):
    with pytest.raises(UsageError, match=r"--multiple is 2.5; it must be one of 2, 3, 4, 5, 10"):
        ranking(table, 2.5, "shrunk", 1, "run")


def test_a_run_of_an_earlier_version_says_what_to_do(table):
    with pytest.raises(
        MissingError, match="run abc is of an earlier version and judged no caller; highwater runs rerun"
    ):
        ranking(table.drop_columns(["hit_2x_shrunk"]), 2, "shrunk", 1, "abc")
