import shutil
from datetime import datetime

import pyarrow as pa
import pytest
from highwater.io.catalog import sync
from highwater.io.catalog_store import FOLDER, last_strategies, rows
from highwater.io.catalog_strategies import STRATEGIES, united
from highwater.io.publish import stage


def publish(root, failure=None, **columns):
    """Publish a run with an index of a few columns."""
    rows = len(next(iter(columns.values())))
    with stage(root, "traces") as staged:
        staged.write("strategy_index", pa.table({"run_id": [staged.run_id] * rows, "strategy": range(rows), **columns}))
        path = staged.publish() if failure is None else staged.fail(failure)
    return path.name.removeprefix("run_id="), path


def table(root):
    return last_strategies(root / FOLDER)


def test_the_strategies_of_all_completed_runs_are_one_table(tmp_path):
    a, _ = publish(tmp_path, strategy_id=["s0", "s1"], period=[20, 25])
    b, _ = publish(tmp_path, strategy_id=["s0"], std_dev=[2.0])
    publish(tmp_path, ValueError("broken"), strategy_id=["s9"], period=[9])
    sync(tmp_path)
    found = table(tmp_path)

    assert [*STRATEGIES.names, "period", "std_dev"] == found.column_names
    assert sorted([(a, "s0", 20, None), (a, "s1", 25, None), (b, "s0", None, 2.0)]) == [
        tuple(row.values()) for row in found.select(["run_id", "strategy_id", "period", "std_dev"]).to_pylist()
    ]


def test_a_sync_of_new_runs_gives_what_one_of_all_gives(tmp_path):
    publish(tmp_path, strategy_id=["s0"], period=[20], slow=[True])
    sync(tmp_path)
    _, gone = publish(tmp_path, strategy_id=["s0", "s1"], period=[2.5, 3.5], only_here=["x", None])
    sync(tmp_path)
    publish(tmp_path, strategy_id=["s0"], slow=["text"])
    sync(tmp_path)
    step_by_step = table(tmp_path)
    shutil.rmtree(tmp_path / FOLDER)
    sync(tmp_path)
    anew = table(tmp_path)
    shutil.rmtree(gone)
    sync(tmp_path)

    assert anew.equals(step_by_step)
    assert "only_here" in anew.column_names
    assert "only_here" not in table(tmp_path).column_names
    assert 2 == table(tmp_path).num_rows


@pytest.mark.parametrize(
    ("kinds", "wide"),
    [
        ((pa.int32(), pa.int8()), pa.int64()),
        ((pa.int64(), pa.float32()), pa.float64()),
        ((pa.bool_(), pa.bool_()), pa.bool_()),
        ((pa.bool_(), pa.int64()), pa.string()),
        ((pa.float64(), pa.string()), pa.string()),
        ((pa.dictionary(pa.int8(), pa.string()), pa.large_string()), pa.string()),
    ],
)
def test_columns_of_two_kinds_become_one(tmp_path, kinds, wide):
    for kind in kinds:
        publish(tmp_path, period=pa.array([None, "1" if "string" in str(kind) else 1]).cast(kind))
    sync(tmp_path)
    found = table(tmp_path)["period"]

    assert wide == found.type
    assert 2 == found.null_count


def test_names_that_differ_in_case_alone_are_one_column_and_what_is_no_value_is_left_out(tmp_path):
    publish(tmp_path, Period=[20], made_at=[datetime(2024, 1, 1)])
    publish(tmp_path, period=[25])
    sync(tmp_path)

    assert [20, 25] == sorted(table(tmp_path)["period"].to_pylist())
    assert "made_at" not in table(tmp_path).column_names


def test_a_run_whose_index_is_damaged_is_corrupt(tmp_path):
    _, path = publish(tmp_path, period=[20])
    run_id, _ = publish(tmp_path, period=[30])
    index = path / "results/strategy_index.parquet"
    data = bytearray(index.read_bytes())
    data[len(data) // 2] ^= 1
    index.unlink()
    index.write_bytes(data)
    first, second = sync(tmp_path), sync(tmp_path)

    assert [("corrupt", str(path))] == [(entry.status, str(entry.path)) for entry in first.corrupt]
    assert "strategy_index.parquet: sha256 is" in first.corrupt[0].reason
    assert [(run_id,)] == rows(tmp_path, "SELECT run_id FROM catalog.strategies")
    assert (True, False, 1) == (first.written, second.written, len(second.corrupt))


def test_without_strategies_the_table_has_the_columns_of_every_index(tmp_path):
    sync(tmp_path)

    assert STRATEGIES.names == table(tmp_path).column_names
    assert 0 == united([]).num_rows
