import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from highwater.io import cache, schemas
from highwater.io.cache import METRICS, SLICE, Origin, metrics_in, pack, remove, slices_in
from highwater.io.candles import CandleSet
from highwater.io.errors import AccessError, IntegrityError
from highwater.io.slices import Spans, build
from highwater.kernels.arrays import candles

ORIGIN = Origin(
    candles="a" * 64,
    alerts="b" * 64,
    windows="c" * 64,
    calls=3,
    interval_ms=60_000,
    horizon_ms=172_800_000,
    entry="next_open",
    latency_ms=0,
    max_entry_delay_ms=600_000,
    multiples=("2.0", "3.0"),
    fill_semantics="FS-1",
    code="d" * 64,
)


def metrics(rows=3, first=1.0):
    """Return path metrics of a kind: every other number is missing, and a text has an accent."""
    schema = schemas.without_run(schemas.paths())
    numbers = {"int64": np.arange(rows), "double": first + np.arange(rows) / 7, "bool": np.arange(rows) % 2 == 0}
    columns = {
        field.name: np.ma.array(numbers[str(field.type)], mask=field.nullable & (np.arange(rows) % 2 == 1))
        if str(field.type) in numbers
        else [f"{field.name} é {i}" for i in range(rows)]
        for field in schema
    }
    return schemas.table(schema, columns)


def keep(folder, origin, table):
    return cache.keep(folder, origin, pack([table], origin))


def find(folder, origin):
    """Return the table that was kept, or None."""
    found = cache.find(folder, origin)
    return found and found.read().replace_schema_metadata(None)


def kept(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_comes_in_blocks_is_one_table():
    whole = metrics(10)
    packed = pq.ParquetFile(pa.BufferReader(pack([whole.slice(0, 4), whole.slice(4)], None)))

    assert 2 == packed.num_row_groups
    assert whole.equals(packed.read().replace_schema_metadata(None))


def write_over(path, data):
    path.chmod(0o600)
    path.write_bytes(data)


def test_what_is_kept_is_found_again_to_the_bit(tmp_path):
    path = keep(tmp_path, ORIGIN, metrics())
    found = find(tmp_path, ORIGIN)

    assert found is not None
    assert metrics().equals(found)
    assert metrics().schema.equals(found.schema, check_metadata=True)
    assert [path.name] == kept(tmp_path)
    assert 0o444 == path.stat().st_mode & 0o777


OTHER = {
    "candles": "e" * 64,
    "alerts": "e" * 64,
    "windows": "e" * 64,
    "calls": 4,
    "interval_ms": 300_000,
    "horizon_ms": 172_800_001,
    "entry": "next_high",
    "latency_ms": 1,
    "max_entry_delay_ms": 600_001,
    "multiples": ("2.0",),
    "fill_semantics": "FS-2",
    "code": "e" * 64,
    "version": 2,
}


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Origin)])
def test_another_origin_in_any_part_finds_nothing(tmp_path, name):
    keep(tmp_path, ORIGIN, metrics())
    other = dataclasses.replace(ORIGIN, **{name: OTHER[name]})

    assert find(tmp_path, other) is None
    keep(tmp_path, other, metrics(first=9.0))
    assert [metrics(), metrics(first=9.0)] == [find(tmp_path, one) for one in (ORIGIN, other)]


def test_two_origins_whose_digests_begin_alike_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(Origin, "digest", "0" * 64)
    keep(tmp_path, ORIGIN, metrics())

    assert find(tmp_path, dataclasses.replace(ORIGIN, calls=4)) is None


def test_nothing_is_found_where_there_is_no_folder(tmp_path):
    assert find(tmp_path / "none", ORIGIN) is None
    assert [] == [*metrics_in(tmp_path / "none"), *slices_in(tmp_path / "none")]


def test_a_flipped_bit_anywhere_is_damage(tmp_path):
    path = keep(tmp_path, ORIGIN, metrics())
    good = path.read_bytes()
    for at in range(0, 8 * len(good), 101):
        bad = bytearray(good)
        bad[at // 8] ^= 1 << at % 8
        write_over(path, bytes(bad))
        with pytest.raises(IntegrityError, match="is damaged: its bytes are not those it is named after"):
            find(tmp_path, ORIGIN)
    write_over(path, good)

    assert metrics().equals(find(tmp_path, ORIGIN))


@pytest.mark.parametrize("size", [0, 1, 4, 1000, -1])
def test_a_cut_off_file_is_damage_and_is_replaced(tmp_path, size):
    path = keep(tmp_path, ORIGIN, metrics())
    write_over(path, path.read_bytes()[:size])
    with pytest.raises(IntegrityError):
        find(tmp_path, ORIGIN)

    assert path == keep(tmp_path, ORIGIN, metrics())
    assert metrics().equals(find(tmp_path, ORIGIN))


def test_a_damaged_file_of_another_name_is_replaced_too(tmp_path):
    path = keep(tmp_path, ORIGIN, metrics())
    path.rename(path.with_name(path.name.replace(path.name[-24:-8], "0" * 16)))
    with pytest.raises(IntegrityError):
        find(tmp_path, ORIGIN)
    keep(tmp_path, ORIGIN, metrics())

    assert [path.name] == kept(tmp_path)


def test_a_link_is_never_followed(tmp_path):
    path = keep(tmp_path / "cache", ORIGIN, metrics())
    path.rename(tmp_path / "away")
    path.symlink_to(tmp_path / "away")
    with pytest.raises(IntegrityError, match="not a plain file"):
        find(tmp_path / "cache", ORIGIN)


WRITERS = 4
WRITER = """
import os, sys
from pathlib import Path
from test_cache import ORIGIN, find, keep, metrics

for turn in range(10):
    keep(Path(sys.argv[1]), ORIGIN, metrics(1000))
    found = find(Path(sys.argv[1]), ORIGIN)
    assert found is not None and found.equals(metrics(1000)), turn
os._exit(0)  # at its end the interpreter now and then aborts on a thread of Arrow's (arrow #34314)
"""


def test_writers_at_once_leave_one_whole_file(tmp_path):
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", WRITER, str(tmp_path / "cache")]
    started = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(WRITERS)]
    ends = [one.communicate(timeout=300)[1] for one in started]

    assert [(0, "")] * WRITERS == [(one.returncode, err) for one, err in zip(started, ends, strict=True)]
    assert metrics(1000).equals(find(tmp_path / "cache", ORIGIN))
    assert 1 == len(kept(tmp_path / "cache"))


def sliced(folder):
    """Return the path of a slice of two candles."""
    price = [1.0, 2.0]
    bars = candles([0, 60_000], price, price, price, price)
    found = CandleSet(("A",), np.array([0, 2]), bars, 60_000, np.array([120_000]), (), ())
    spans = Spans(("A",), *(np.array([n]) for n in (0, -1, 0, 600_000)))
    return build(folder, found, spans, "ab" * 32).path


def test_what_is_kept_is_listed_with_what_it_is_of(tmp_path):
    path, piece = keep(tmp_path / "cache", ORIGIN, metrics()), sliced(tmp_path / "slices")
    (mine,), (cut,) = metrics_in(tmp_path / "cache"), slices_in(tmp_path / "slices")

    assert (METRICS, (path,), ORIGIN, path.stat().st_size) == (mine.kind, mine.files, mine.facts, mine.bytes)
    assert (SLICE, (piece, piece.with_suffix(".json"))) == (cut.kind, cut.files)
    assert (2, sum(file.stat().st_size for file in cut.files)) == (cut.facts.rows, cut.bytes)
    assert path.stat().st_mtime_ns // 1_000_000 == mine.written_ms


@pytest.mark.parametrize("part", ["arrow", "json"])
def test_half_a_slice_and_damaged_metrics_are_listed_without_facts(tmp_path, part):
    path, piece = keep(tmp_path, ORIGIN, metrics()), sliced(tmp_path)
    write_over(path, b"")
    piece.with_suffix(f".{part}").unlink()
    found = [*metrics_in(tmp_path), *slices_in(tmp_path)]

    assert [METRICS, SLICE] == [one.kind for one in found]
    assert [None, None] == [one.facts for one in found]
    assert [1, 1] == [len(one.files) for one in found]


def test_only_what_was_kept_is_listed_and_removed(tmp_path):
    keep(tmp_path, ORIGIN, metrics())
    sliced(tmp_path)
    others = ["paths_mine.parquet", "slice_notes.json", "slice_20250101_20250102_mine.arrow", "notes.txt"]
    for name in others:
        (tmp_path / name).write_text("mine")
    (tmp_path / ".paths-x~0123.abcdef012345.draft").mkdir()  # its process is dead
    remove([*metrics_in(tmp_path), *slices_in(tmp_path)])

    assert sorted(others) == kept(tmp_path)
    assert [] == [*metrics_in(tmp_path), *slices_in(tmp_path)]


def test_what_is_gone_already_is_removed(tmp_path):
    keep(tmp_path, ORIGIN, metrics())
    found = [*metrics_in(tmp_path)]
    remove(found)
    remove(found)

    assert [] == kept(tmp_path)


def test_what_may_not_be_removed_is_said(tmp_path, monkeypatch):
    keep(tmp_path, ORIGIN, metrics())

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", denied)
    with pytest.raises(AccessError, match=r"Permission denied while removing .*\.parquet; make its directory one"):
        remove(metrics_in(tmp_path))


def test_the_metrics_are_a_table_that_others_can_read(tmp_path):
    path = keep(tmp_path, ORIGIN, metrics())

    assert metrics().equals(pa.parquet.read_table(path, partitioning=None).replace_schema_metadata(None))
