from pathlib import Path

import duckdb
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from highwater.io.errors import SchemaError, UsageError
from highwater.io.tables import kept

TABLE = pa.table({"mint": ["a", "b", None], "ts": pa.array([1, 2, 3], pa.timestamp("ms", "UTC")), "x": [1.5, None, 2]})


class Stream:
    """What a library that is not Arrow's hands over."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize(
    "given",
    [TABLE, Stream(TABLE), pa.RecordBatchReader.from_batches(TABLE.schema, TABLE.to_batches())],
    ids=["table", "stream", "reader"],
)
def test_a_table_is_kept_by_its_content_once(tmp_path, given):
    path = kept(given, tmp_path / "t", "alerts")
    again = kept(TABLE, tmp_path / "t", "alerts")

    assert path == again
    assert [path] == list((tmp_path / "t").iterdir())
    assert TABLE.equals(pq.read_table(path))


def test_frames_of_pandas_and_relations_of_duckdb_are_tables(tmp_path):
    frame, relation = TABLE.to_pandas(), duckdb.sql("SELECT 'a' AS mint, 1.5::DECIMAL(9, 3) AS x")

    assert ["a", "b", None] == pq.read_table(kept(frame, tmp_path, "alerts"))["mint"].to_pylist()
    assert pandas.__version__ and ["a"] == pq.read_table(kept(relation, tmp_path, "alerts"))["mint"].to_pylist()


def test_views_of_text_are_kept_as_text(tmp_path):
    table = pa.table({"mint": pa.array(["a", "b"], pa.string_view())})

    assert pa.large_string() == pq.read_schema(kept(table, tmp_path, "alerts")).field("mint").type


@pytest.mark.parametrize("change", [{"x": [1.5, None, 3]}, {"y": [1, 2, 3]}])
def test_other_tables_have_other_names(tmp_path, change):
    other = pa.table({name: TABLE[name] for name in TABLE.column_names} | change)
    marked = TABLE.replace_schema_metadata({"coverage_end_ms": "7"})

    assert 3 == len({kept(each, tmp_path, "candles") for each in (TABLE, other, marked)})


@pytest.mark.parametrize("given", ["a.parquet", Path("b.csv")])
def test_a_path_stays_a_path(tmp_path, given):
    assert Path(given) == kept(given, tmp_path, "alerts")
    assert [] == list(tmp_path.iterdir())


def test_what_is_neither_is_refused(tmp_path):
    with pytest.raises(UsageError, match="alerts is a list; it must be a file, or a table with __arrow_c_stream__"):
        kept([1], tmp_path, "alerts")


def test_a_column_that_a_file_cannot_hold_is_named(tmp_path):
    table = pa.table({"x": pa.array([None], pa.month_day_nano_interval())})

    with pytest.raises(SchemaError, match=r"^candles: .*; leave that column out"):
        kept(table, tmp_path, "candles")
    assert [] == list(tmp_path.iterdir())
