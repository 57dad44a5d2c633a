import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from highwater.io import files
from highwater.io.candles import CandleOptions, read_candles
from highwater.io.cutting import cut_slice, read_rows_of
from highwater.io.errors import DataError, HighwaterError, LimitError, SchemaError, StoreError
from highwater.io.slices import Spans, build
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_candles import START, table, written

MARK, MINUTE = "cd" * 32, 60_000
TOKENS = ("A", "B", "C", "D")
PRICES = ("open", "high", "low", "close")


def needing(step):
    """Return stretches of every token but D, two of A."""
    token, at = np.array([0, 0, 1, 2]), START + step * np.array([0, 12, 3, 1])
    return Spans(TOKENS, token, at - step, at, at + 8 * step)


def in_parts(path, folder, options, most):
    rows = read_rows_of(path, TOKENS, options, folder / "parts", most=most)
    try:
        return cut_slice(rows, needing, folder / "parts", MARK)
    finally:
        rows.close()


def whole(path, folder, options):
    found = read_candles(path, set(TOKENS), options)
    return build(folder / "whole", found, needing(found.interval_ms), MARK)


def outcome(call, *given):
    """Return the bytes of the slice and of its manifest that a call makes, or what it raises."""
    try:
        one = call(*given)
    except HighwaterError as error:
        return type(error), str(error)
    return one.path.read_bytes(), json.loads(one.path.with_suffix(".json").read_bytes())


rows = st.tuples(
    st.sampled_from("ABCDE"),
    st.integers(0, 30),
    st.sampled_from([1.0, 1.0, 1.0, 2.0, 0.0, float("nan")]),
    st.sampled_from([1.0, -1.0]),
)
offered = st.fixed_dictionaries(
    {
        "on_bad_bar": st.sampled_from(["drop", "drop", "error"]),
        "on_unsorted": st.sampled_from(["sort", "sort", "reject"]),
        "on_dup_conflict": st.sampled_from(["first", "last", "reject"]),
        "ts_label": st.sampled_from(["open", "close"]),
        "resample_ms": st.sampled_from([None, 2 * MINUTE]),
        "interval_ms": st.sampled_from([None, MINUTE]),
    }
)


def market(drawn, form, lengths):
    """Return a table of rows, in the given form of times; ``lengths`` gives them one of two lengths."""
    tokens, at, price, volume = (list(column) for column in zip(*drawn, strict=True))
    ts = [START + MINUTE * each for each in at]
    found = {
        "ms": lambda: pa.array(ts),
        "s": lambda: pa.array([each // 1000 for each in ts]),
        "time": lambda: pa.array(ts, pa.timestamp("ms", "UTC")),
        "text": lambda: pa.array([str(each) for each in ts]),
    }
    columns = {"mint": tokens, "timestamp": found[form](), **dict.fromkeys(PRICES, price), "volume": volume}
    if lengths:
        columns["interval"] = [("1m", "5m")[each % 2] for each in at]
    return pa.table(columns)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(rows, min_size=1, max_size=40), min_size=1, max_size=3),
    offered,
    st.sampled_from(["ms", "s", "time", "text"]),
    st.booleans(),
    st.integers(1, 60),
    st.integers(1, 20),
)
def test_a_slice_cut_in_parts_is_the_one_cut_whole(
    tmp_path_factory, monkeypatch, several, given, form, lengths, most, block
):
    folder = tmp_path_factory.mktemp("cut")
    for i, drawn in enumerate(several):
        pq.write_table(market(drawn, form, lengths), folder / f"{i}.parquet", row_group_size=17)
    options = CandleOptions(**given)
    expected = outcome(whole, folder, folder, options)
    monkeypatch.setattr(files, "_BATCH_ROWS", block)
    actual = outcome(in_parts, folder, folder, options, most)

    assert expected == actual
    assert ["0.parquet"] == sorted(path.name for path in folder.rglob("0*"))


@pytest.mark.parametrize("most", [1, 3, 100])
@pytest.mark.parametrize("name", ["c.parquet", "c.arrow", "c.csv", "c.csv.gz"])
def test_every_kind_of_file_is_cut_in_parts(tmp_path, name, most):
    ts = [START + MINUTE * at for at in (0, 1, 0, 1, 2, 3)]
    path = written(tmp_path / name, table(("A", "A", "B", "B", "A", "B"), ts=ts))
    options = CandleOptions()

    assert outcome(whole, path, tmp_path, options) == outcome(in_parts, path, tmp_path, options, most)


def test_the_unit_of_times_is_told_by_all_rows_of_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_BATCH_ROWS", 2)
    odd = [1, 2, *(START + MINUTE * at for at in range(5))]
    path = tmp_path / "c.parquet"
    pq.write_table(table(("A",) * 7, ts=odd), path)
    found = in_parts(path, tmp_path, CandleOptions(), 2)

    assert [START + MINUTE * at for at in range(5)] == found.candles.ts.tolist()[:5]


def test_texts_that_are_times_in_one_row_and_numbers_in_another_are_refused_wherever_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_BATCH_ROWS", 2)
    words = ["", "", "2024-01-01T00:00", "2024-01-01T00:01", "1704067320000"]
    path = written(tmp_path / "c.parquet", table(("A",) * 5).set_column(1, "timestamp", pa.array(words)))
    with pytest.raises(DataError, match=r"c.parquet:5: timestamp is '1704067320000'; it must be an integer"):
        in_parts(path, tmp_path, CandleOptions(), 2)


def test_what_is_put_by_is_gone_whatever_happens(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_BATCH_ROWS", 2)
    path = written(tmp_path / "c.parquet", table(("A", "B") * 4, ts=[START + MINUTE * at for at in range(8)]))
    with pytest.raises(LimitError, match="decodes to more than"):
        in_parts(path, tmp_path, CandleOptions(max_decoded=300), 1)
    with pytest.raises(SchemaError, match="bars are 2m apart but interval is 5m; set --interval 2m"):
        in_parts(path, tmp_path, CandleOptions(interval_ms=5 * MINUTE), 1)

    assert [] == list((tmp_path / "parts").iterdir())


def test_a_disk_without_room_is_told(tmp_path):
    path = written(tmp_path / "c.parquet", table(("A", "B")))
    (tmp_path / "parts").write_text("in the way")
    with pytest.raises(StoreError, match=r"while writing to .*parts; free space or choose another --slices folder"):
        in_parts(path, tmp_path, CandleOptions(), 1)


LIMITED = """
import resource, sys
from pathlib import Path
from highwater.io.candles import CandleOptions
from highwater.io import cutting, files
from highwater.io.slices import Spans
import numpy as np
import pyarrow as pa

def own(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))

path, folder, count, most, room = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
files._BATCH_ROWS = 1 << 14
pa.set_cpu_count(1), pa.set_io_thread_count(1)  # their stacks count too
tokens = tuple(f"T{i:04}" for i in range(count))
at = np.arange(count)
resource.setrlimit(resource.RLIMIT_DATA, (own("VmData") + room,) * 2)
rows = cutting.read_rows_of(Path(path), tokens, CandleOptions(), Path(folder), most=most)
one = cutting.cut_slice(rows, lambda step: Spans(tokens, at, at, at, at + 2**62), Path(folder), "ab" * 32)
print(one.facts.rows, one.facts.bytes)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is limited and told on Linux only")
def test_a_slice_is_cut_in_less_memory_than_it_has(tmp_path):
    count, length, room = 400, 6_000, 96 << 20
    schema = pa.schema(
        {"mint": pa.string(), "timestamp": pa.int64(), **dict.fromkeys((*PRICES, "volume"), pa.float64())}
    )
    with pq.ParquetWriter(tmp_path / "c.parquet", schema) as out:
        for first in range(0, length, 200):  # all tokens, minute by minute
            at, token = (
                each.ravel() for each in np.meshgrid(np.arange(first, first + 200), range(count), indexing="ij")
            )
            names = pa.DictionaryArray.from_arrays(token, [f"T{i:04}" for i in range(count)]).cast(pa.string())
            out.write_table(pa.table([names, START + MINUTE * at, *[np.ones(at.size)] * 5], schema=schema))
    given = map(str, (tmp_path / "c.parquet", tmp_path / "slices", count, 1 << 15, room))
    plain = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"}  # the other one reserves a gigabyte at once
    words = [sys.executable, "-c", LIMITED, *given]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=plain)

    assert "" == done.stderr
    rows, size = map(int, done.stdout.split())
    assert count * length == rows
    assert room < size
