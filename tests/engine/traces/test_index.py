import pyarrow as pa
import pytest
from highwater.engine.traces.index import (
    Spread,
    find_by_digest,
    find_duplicates,
    find_strategy,
    list_strategies,
    parameters,
)
from highwater.engine.traces.listing import Listed, Named, Of, Where, index_table
from highwater.io.catalog import sync
from highwater.io.errors import MissingError, UsageError
from highwater.io.publish import stage

HASHES = {(period, std): f"{period:02x}{round(std * 10):02x}" * 16 for period in (20, 25) for std in (2.0, 2.5)}


def bands(i, period, std, symbol="SPY", sharpe=None):
    named = Named(f"strategy_{i}", HASHES[period, std], "bollinger_bands", "{}", {"period": period, "std_dev": std})
    of = Of(symbol, "5m", "c3" * 32, 100, 0, 1)
    key = f"{symbol.encode().hex()}{HASHES[period, std]}"[:64]
    return Listed(named, of, Where("r", "traces/part-0000.parquet", i, 0, 0, None), key, earned={"sharpe": sharpe})


def crossing(i):
    named = Named(f"strategy_{i}", "ff" * 32, "sma_crossover", "{}", {"fast_period": 10, "use_it": True})
    return Listed(named, Of("SPY", "5m", None, None, None, None), Where("r", "x", i, 0, 0, None), None)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a catalog of three runs."""
    root = tmp_path_factory.mktemp("index")
    for rows in (
        [bands(0, 20, 2.0, sharpe=1.8), bands(1, 25, 2.0, sharpe=-0.5), bands(2, 20, 2.5)],
        [bands(0, 20, 2.0, "QQQ", 1.2), crossing(1)],
        [bands(0, 20, 2.0, sharpe=1.6)],
    ):
        with stage(root, "traces") as s:
            s.write("strategy_index", index_table(rows, s.run_id))
            s.publish()
    sync(root)
    return root


def found(table):
    return list(zip(table["strategy_id"].to_pylist(), table["symbol"].to_pylist(), strict=True))


def test_all_are_listed_those_of_the_newest_run_first(runs):
    ids = list_strategies(runs)["run_id"].to_pylist()

    assert 6 == len(ids)
    assert sorted(ids, reverse=True) == ids


def test_strategies_are_found_by_type_parameter_and_what_they_earned(runs):
    assert 3 == list_strategies(runs, "bollinger_bands", ["period=20", "std_dev=2.0"]).num_rows
    assert [("strategy_0", "SPY")] * 2 == found(list_strategies(runs, where=["sharpe>1.5"]))
    assert [("strategy_2", "SPY")] == found(list_strategies(runs, "bollinger_bands", ["sharpe=null"]))
    assert [("strategy_1", "SPY")] == found(list_strategies(runs, where=["use_it=true"]))
    assert [] == found(list_strategies(runs, "bollinger"))


def test_they_are_sorted_with_what_is_unknown_last(runs):
    best = list_strategies(runs, sort="sharpe", limit=3)["sharpe"].to_pylist()
    worst = list_strategies(runs, sort="sharpe", ascending=True)["sharpe"].to_pylist()

    assert [1.8, 1.6, 1.2] == best
    assert [-0.5, 1.2, 1.6, 1.8, None, None] == worst


def test_exact_parameters_find_a_strategy(runs):
    assert 3 == find_strategy(runs, period=20, std_dev=2.0).num_rows
    assert 1 == find_strategy(runs, strategy_type="sma_crossover", use_it=True, period=None).num_rows
    assert 3 == find_strategy(runs, HASHES[20, 2.0][:6]).num_rows
    with pytest.raises(UsageError, match="no strategy has 'perod'; did you mean 'period'"):
        find_strategy(runs, perod=20)


def test_a_digest_finds_hashes_and_keys(runs):
    key = list_strategies(runs, where=["symbol=QQQ"])["trace_key"][0].as_py()

    assert [("strategy_0", "QQQ")] == found(find_by_digest(runs, key[:12]))
    assert 3 == find_by_digest(runs, HASHES[20, 2.0]).num_rows
    assert 0 == find_by_digest(runs, HASHES[20, 2.0], "sma_crossover").num_rows
    for text in ("abc", "xyz1", "", "a" * 65):
        with pytest.raises(UsageError, match="is no digest; it must be 4 to 64 of the digits"):
            find_by_digest(runs, text)


def test_duplicates_are_hashes_of_several_runs(runs):
    (row,) = find_duplicates(runs).to_pylist()

    assert (HASHES[20, 2.0], 3, 2, "QQQ 5m, SPY 5m") == tuple(
        row[name] for name in ("strategy_hash", "runs", "traces", "series")
    )
    assert 3 == len(row["run_ids"].split(", "))
    assert 0 == find_duplicates(runs, limit=0).num_rows


def test_parameters_of_a_type_are_told(runs):
    expected = [
        Spread("period", 5, 2, 20, 25, 21.0, ((20, 4), (25, 1))),
        Spread("std_dev", 5, 2, 2.0, 2.5, 2.1, ((2.0, 4), (2.5, 1))),
    ]

    assert expected == parameters(runs, "bollinger_bands")
    assert [("fast_period", 10.0), ("use_it", None)] == [(s.name, s.mean) for s in parameters(runs, "sma_crossover")]
    with pytest.raises(MissingError, match="type 'bollinger_band'; did you mean 'bollinger_bands"):
        parameters(runs, "bollinger_band")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "--limit is 0; it must be at least 1"),
        ({"sort": "sharp"}, "--sort is 'sharp'; did you mean 'sharpe'"),
        ({"where": ["sharpe>>1"]}, "it must be a finite decimal number"),
    ],
)
def test_a_wrong_question_is_refused(runs, options, message):
    with pytest.raises(UsageError, match=message):
        list_strategies(runs, **options)


def test_without_a_catalog_or_strategies(tmp_path):
    with pytest.raises(MissingError, match=r"there is no catalog in .*; highwater catalog sync makes it"):
        list_strategies(tmp_path)
    sync(tmp_path)

    assert 0 == list_strategies(tmp_path).num_rows
    assert isinstance(find_duplicates(tmp_path), pa.Table)
    with pytest.raises(MissingError, match="highwater catalog sync finds new runs"):
        parameters(tmp_path, "bollinger_bands")
