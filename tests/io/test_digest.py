import hashlib
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from highwater.io.digest import ContentHash, canonical_json, config_digest, content_sha256, file_sha256
from hypothesis import given
from hypothesis import strategies as st

TEXTS = ["a", None, "", "bc", "a"]
TABLE = pa.table(
    {
        "text": pa.array(TEXTS),
        "x": pa.array([1.5, None, -2.0, 0.0, 1e-9]),
        "n": pa.array([1, 2, None, 4, 5], pa.int64()),
        "flag": pa.array([True, False, None, True, False]),
        "at": pa.array([1, None, 3, 4, 5], pa.timestamp("ms", "UTC")),
        "clock": pa.array([1, 2, 3, None, 5], pa.time32("s")),
        "nothing": pa.nulls(5),
    }
)


def column(array, name="text"):
    return TABLE.set_column(TABLE.schema.get_field_index(name), name, array)


def test_a_known_table_has_a_known_digest():
    plain = pa.table({"run_id": ["r", "r"], "n": pa.array([1, None], pa.int64()), "t": ["ab", None]})
    n = [hashlib.sha256(b"\1\0").hexdigest(), hashlib.sha256((1).to_bytes(8, "little")).hexdigest()]
    lengths = (2).to_bytes(8, "little") + (-1).to_bytes(8, "little", signed=True)
    t = [hashlib.sha256(lengths).hexdigest(), hashlib.sha256(b"ab").hexdigest()]
    columns = f'[["n","int64","{n[0]}","{n[1]}"],["t","string","{t[0]}","{t[1]}"]]'
    expected = hashlib.sha256(f'{{"columns":{columns},"rows":2}}'.encode()).hexdigest()

    assert expected == content_sha256(plain)


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())], ids=["large", "view", "dict"]
)
def test_how_texts_are_held_does_not_count(kind):
    assert content_sha256(TABLE) == content_sha256(column(TABLE["text"].cast(kind)))


def test_bytes_below_a_null_do_not_count():
    buffers = pa.array(["a", "x", "", "bc", "a"]).buffers()
    valid = pa.array([True, False, True, True, True]).buffers()[1]
    hidden = pa.StringArray.from_buffers(5, buffers[1], buffers[2], valid)
    below = pa.array(np.array([1.5, 7.0, -2.0, 0.0, 1e-9]), mask=np.array([False, True, False, False, False]))

    assert content_sha256(TABLE) == content_sha256(column(hidden))
    assert content_sha256(TABLE) == content_sha256(column(below, "x"))


@pytest.mark.parametrize(
    "values", [[1.5, float("nan"), -2.0, 0.0, 1e-9], [1.5, None, -2.0, -0.0, 1e-9]], ids=["nan", "minus zero"]
)
def test_nan_is_null_and_minus_zero_is_zero(values):
    assert content_sha256(TABLE) == content_sha256(column(pa.array(values), "x"))


@pytest.mark.parametrize(
    "other",
    [
        TABLE.slice(1),
        TABLE.rename_columns(["text", "y", *TABLE.column_names[2:]]),
        TABLE.select([*TABLE.column_names[1:], "text"]),
        TABLE.drop_columns("nothing"),
        column(pa.array(["a", "", "", "bc", "a"])),
        column(pa.array(["a", None, "b", "c", "a"])),
        column(pa.array([b"a", None, b"", b"bc", b"a"])),
        column(pa.array([1.5, None, -2.0, 0.0, np.nextafter(1e-9, 1)]), "x"),
        column(pa.array([1.5, 0.0, -2.0, 0.0, 1e-9]), "x"),
        column(pa.array([1.5, None, -2.0, 0.0, 1e-9], pa.float32()), "x"),
        column(pa.array([1, 2, None, 4, 5], pa.int32()), "n"),
        column(pa.array([1, None, 3, 4, 5], pa.timestamp("us", "UTC")), "at"),
    ],
)
def test_whatever_a_reader_sees_counts(other):
    assert content_sha256(TABLE) != content_sha256(other)


def test_columns_that_name_the_run_are_left_out():
    def named(run_id):
        return TABLE.append_column("run_id", pa.array([run_id] * 5)).append_column("timestamp", pa.array([run_id] * 5))

    assert content_sha256(TABLE) == content_sha256(named("a"), without=("run_id", "timestamp"))
    assert content_sha256(named("a")) != content_sha256(named("b"))


@given(st.lists(st.integers(0, 5), max_size=6))
def test_where_the_rows_are_cut_does_not_count(cuts):
    bounds = [0, *sorted(cuts), 5]
    blocks = [TABLE.slice(a, b - a) for a, b in pairwise(bounds)]
    streamed = ContentHash(TABLE.schema)
    for block in blocks:
        streamed.update(block)

    assert content_sha256(TABLE) == streamed.hexdigest()
    assert content_sha256(TABLE) == content_sha256(pa.concat_tables(blocks))


def test_an_empty_table_has_a_digest_of_its_schema():
    empty = TABLE.schema.empty_table()

    assert content_sha256(empty) == content_sha256(TABLE.slice(2, 0))
    assert content_sha256(empty) != content_sha256(empty.drop_columns("x"))


def test_nested_columns_are_refused():
    with pytest.raises(ValueError, match="column path is list"):
        content_sha256(pa.table({"path": [[1, 2]]}))


def test_a_config_has_one_digest_whatever_its_order():
    expected = hashlib.sha256(b'{"a":[1,2.5],"b":null}').hexdigest()

    assert expected == config_digest({"b": None, "a": (1.0, 2.5)})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**60])
def test_numbers_that_json_cannot_hold_are_refused(value):
    with pytest.raises(ValueError, match=r".+"):
        canonical_json({"x": value})


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "f").write_bytes(b"abc" * 100_000)

    assert hashlib.sha256(b"abc" * 100_000).hexdigest() == file_sha256(tmp_path / "f")
