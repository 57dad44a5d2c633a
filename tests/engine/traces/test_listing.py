import pyarrow as pa
import pytest
from highwater.engine.traces.listing import Listed, Named, Of, Where, index_table, parameter_kinds
from highwater.io.trace_schemas import INDEX

OF = Of("SPY", "5m", "c3" * 32, 100, 1_704_067_200_000, 1_704_096_900_000)
WHERE = Where("r1", "traces/part-0000.parquet", 4, 17, 9, 19)


def named(i=0, **parameters):
    return Named(f"strategy_{i}", "a3" * 32, "bollinger_bands", "{}", parameters, "intraday")


def test_a_row_says_who_where_and_what_it_earned():
    earned = {"sharpe": 1.5, "num_trades": 12.0, "win_rate": float("nan"), "profit_factor": None}
    fills = {"fill": "next_open", "fee_bps": 0.0, "slippage_bps": 1.0, "exits": None}
    table = index_table([Listed(named(period=20), OF, WHERE, "b7" * 32, "traces/x.parquet", fills, earned)], "r1")
    (row,) = table.to_pylist()

    assert {
        "run_id": "r1",
        "strategy_id": "strategy_0",
        "constraints": "intraday",
        "trace_row": 17,
    }.items() <= row.items()
    assert (1.5, 1.5, 12, None, None) == tuple(
        row[name] for name in ("sharpe", "sharpe_ratio", "num_trades", "win_rate", "profit_factor")
    )
    assert ("int64", 20) == (str(table.schema.field("period").type), row["period"])


def test_what_is_not_known_is_null():
    unknown = Named("old", None, "other", "{}")
    row = Listed(unknown, Of("SPY", "5m", None, None, None, None), WHERE, None)
    (found,) = index_table([row], "r1").to_pylist()
    names = ("strategy_hash", "trace_key", "data_digest", "bars", "fill", "sharpe", "num_trades", "signals_path")

    assert {None} == {found[name] for name in names}


def test_parameters_of_several_types_are_united():
    rows = [Listed(each, OF, WHERE, "k") for each in (named(0, period=20), named(1, std_dev=2.0), named(2))]
    table = index_table(rows, "r1")

    assert [20, None, None] == table["period"].to_pylist()
    assert [None, 2.0, None] == table["std_dev"].to_pylist()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], pa.int64()),
        ([1, 2.5], pa.float64()),
        ([2.0, 2.5], pa.float64()),
        ([True, False], pa.bool_()),
        ([True, 2], pa.string()),
    ],
)
def test_a_parameter_has_one_type_in_a_run(values, kind):
    rows = [Listed(named(i, it=value), OF, WHERE, "k") for i, value in enumerate(values)]

    assert {"it": kind} == parameter_kinds(row.named.parameters for row in rows)
    assert kind == index_table(rows, "r1").schema.field("it").type


def test_no_registered_parameter_is_called_as_a_column_of_the_index():
    from highwater.engine.traces.registry import RULES

    assert [] == [(rule.name, each.name) for rule in RULES.values() for each in rule.parameters if each.name in INDEX]
