import pyarrow as pa
import pytest
from highwater.io.trace_schemas import INDEX, SIGNALS, strategy_index

DOCUMENT = "strategy_id strategy_hash strategy_type period std_dev constraints trace_path"
ISSUE = (
    "strategy_id strategy_hash trace_key strategy_type symbol timeframe constraints config trace_path sharpe "
    "sharpe_ratio total_pnl total_return max_drawdown win_rate num_trades profit_factor expectancy"
)


def test_the_index_has_the_columns_of_the_document_in_its_order():
    names = strategy_index({"std_dev": pa.float64(), "period": pa.int64()}).names

    assert DOCUMENT.split() == [name for name in names if name in DOCUMENT.split()]
    assert set(ISSUE.split()) < set(names)
    assert len(names) == len(set(names)) == len(INDEX) + 2


def test_a_parameter_keeps_its_type():
    schema = strategy_index({"std_dev": pa.float64(), "period": pa.int64(), "use_middle_exit": pa.bool_()})

    assert [pa.int64(), pa.float64(), pa.bool_()] == [
        schema.field(name).type for name in ("period", "std_dev", "use_middle_exit")
    ]


def test_a_parameter_called_as_a_column_is_refused():
    with pytest.raises(ValueError, match=r"parameters \['symbol'\] are called as columns"):
        strategy_index({"period": pa.int64(), "symbol": pa.string()})


def test_a_file_of_signals_has_the_eight_columns_of_the_document():
    assert ["idx", "ts", "sym", "val", "strat", "px", "strat_hash", "metadata"] == SIGNALS.names
