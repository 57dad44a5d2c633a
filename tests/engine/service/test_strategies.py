import pytest
import service_runs
from highwater.engine.service.strategies import series_table, strategies, trace
from highwater.engine.traces.load import load_trace
from highwater.io.errors import MissingError, UsageError


@pytest.fixture(scope="module")
def root():
    return service_runs.made().root


def test_strategies_are_asked_for_by_parameter(root):
    found = strategies(root, ["fast_period=5"], fields=["fast_period", "slow_period", "sharpe_ratio"])

    assert 1 == found.total
    assert [5, 20] == [found.table[name][0].as_py() for name in ("fast_period", "slow_period")]
    assert ["fast_period", "slow_period", "sharpe_ratio"] == found.table.column_names


def test_they_are_sorted_and_cut(root):
    every = strategies(root, sort="sharpe").table.to_pylist()

    assert sorted((row["sharpe"] for row in every), reverse=True) == [row["sharpe"] for row in every]
    second = strategies(root, sort="sharpe", limit=1, offset=1)
    assert (every[1:], 2) == (second.table.to_pylist(), second.total)


@pytest.mark.parametrize("asked", [{"sort": "sharp"}, {"fields": ["sharp"]}, {"where": ["sharp>1"]}])
def test_a_column_that_there_is_not_is_named(root, asked):
    with pytest.raises(UsageError, match=r"no strategy has 'sharp'.*sharpe"):
        strategies(root, **asked)


def test_a_trace_is_loaded_by_its_hash_a_page_at_a_time(root):
    digest = strategies(root).table["strategy_hash"][0].as_py()
    whole = load_trace(root, digest).table
    found = trace(root, digest[:12], limit=3, offset=2)

    assert whole.slice(2, 3).equals(found.page.table)
    assert whole.num_rows == found.page.total
    assert found.loaded.row["bars"] == series_table(root, found.loaded).num_rows
    with pytest.raises(MissingError, match="there is no strategy 'ffffffff'"):
        trace(root, "ffffffff")
    with pytest.raises(UsageError):
        trace(root, "../../x")
