from pathlib import Path

import pyarrow as pa
import pytest
from highwater.io.errors import StoreError
from highwater.io.spool import Spool


def block(first, size):
    rows = range(first, first + size)
    names = pa.array([None if at % 3 else f"n{at}" for at in rows], pa.string())
    return pa.table({"at": pa.array(rows, pa.int64()), "name": names})


@pytest.mark.parametrize("sizes", [(7,), (0,), (3, 4), (1, 0, 5, 1)])
def test_a_table_is_its_blocks_one_behind_the_other_and_leaves_no_file(tmp_path, sizes):
    with Spool(tmp_path) as spool:
        for i, size in enumerate(sizes):
            spool.write(block(sum(sizes[:i]), size))
        found = spool.table()

    assert block(0, sum(sizes)).equals(found)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="memory maps are listed on Linux only")
def test_several_blocks_are_mapped(tmp_path):
    before = pa.total_allocated_bytes()
    with Spool(tmp_path) as spool:
        for i in range(4):
            spool.write(pa.table({"at": pa.array(range(i << 17, (i + 1) << 17))}))
        found = spool.table()

    assert 4 << 20 == found.nbytes
    assert pa.total_allocated_bytes() - before < 1 << 20
    assert list(range(4 << 17)) == found["at"].to_pylist()


def test_a_disk_that_refuses_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with Spool(tmp_path / "file") as spool, pytest.raises(StoreError, match=r"while writing to .*file; free space"):
        spool.write(block(0, 1))
        spool.write(block(1, 1))


def test_no_block_is_no_table(tmp_path):
    with Spool(tmp_path) as spool, pytest.raises(ValueError, match="no block"):
        spool.table()
