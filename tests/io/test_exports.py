import csv
import errno
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from highwater.io import exports
from highwater.io.errors import LimitError, StoreError, UsageError
from highwater.io.exports import INDEX, check, placed, write_csv, write_each, write_parquet
from hypothesis import given
from hypothesis import strategies as st

FACTS = {"artifact": "per_alert", "run_id": "r"}


def numbers(*values):
    return pa.table({"a": pa.array(values, pa.int64())})


def index_of(*names):
    return pa.table({"file": pa.array(names, pa.string())})


def write(path, value, *names):
    """Write an export of one number a file."""
    return write_each(path, [(name, numbers(value)) for name in names], index_of(*names), FACTS, "repeat")


def values(path):
    return {file.name: pq.read_table(file)["a"].to_pylist() for file in path.iterdir() if file.name != INDEX}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_export_of_many_files_lies_in_its_place_with_its_index(tmp_path):
    path = tmp_path / "deep" / "per_alert"

    assert 2 == write(path, 7, "a.parquet", "b.parquet")
    assert {"a.parquet": [7], "b.parquet": [7]} == values(path)
    assert ["a.parquet", "b.parquet"] == pq.read_table(path / INDEX)["file"].to_pylist()
    assert ["per_alert"] == names(path.parent)


def test_tables_of_one_file_follow_one_another_in_it(tmp_path):
    tables = [("a", numbers(1)), ("a", numbers(2)), ("b", numbers(3))]
    write_each(tmp_path / "x", tables, index_of("a", "a", "b"), FACTS, "")

    assert {"a": [1, 2], "b": [3]} == values(tmp_path / "x")


def test_a_later_export_takes_the_place_of_an_earlier_one_whole(tmp_path):
    write(tmp_path / "x", 1, "a", "b")
    write(tmp_path / "x", 2, "b", "c")
    for value in (1, 2):
        write_parquet(tmp_path / "one.parquet", numbers(value), FACTS, "")

    assert {"b": [2], "c": [2]} == values(tmp_path / "x")
    assert [2] == pq.read_table(tmp_path / "one.parquet")["a"].to_pylist()
    assert ["one.parquet", "x"] == names(tmp_path)


def test_without_an_exchange_the_earlier_one_is_set_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(exports, "_exchanged", lambda *_: False)
    write(tmp_path / "x", 1, "a")
    write(tmp_path / "x", 2, "b")

    assert {"b": [2]} == values(tmp_path / "x")
    assert ["x"] == names(tmp_path)


def foreign_file(path):
    path.write_text("mine")


def foreign_parquet(path):
    pq.write_table(numbers(1), path)


def foreign_folder(path):
    (path / "deep").mkdir(parents=True)
    (path / "deep" / "notes.txt").write_text("mine")


def stranger(path):
    write(path, 1, "a")
    (path / "notes.txt").write_text("mine")


def dangling(path):
    path.symlink_to("nowhere")


def index_alone(path):
    path.mkdir()
    pq.write_table(index_of("notes.txt"), path / INDEX)
    (path / "notes.txt").write_text("mine")


@pytest.mark.parametrize("make", [foreign_file, foreign_parquet, foreign_folder, stranger, dangling, index_alone])
@pytest.mark.parametrize("folder", [True, False])
def test_what_no_export_wrote_is_never_replaced(tmp_path, make, folder):
    path = tmp_path / "x"
    make(path)
    before = sorted(str(each) for each in tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=r"no export wrote|no earlier export"):
        write(path, 2, "a") if folder else write_parquet(path, numbers(2), FACTS, "")

    assert before == sorted(str(each) for each in tmp_path.rglob("*"))


def test_an_empty_directory_may_be_taken(tmp_path):
    (tmp_path / "x").mkdir()
    write(tmp_path / "x", 1, "a")

    assert {"a": [1]} == values(tmp_path / "x")


def test_a_link_to_an_export_stays_a_link(tmp_path):
    write(tmp_path / "real", 1, "a")
    (tmp_path / "x").symlink_to("real")
    write(tmp_path / "x", 2, "a")

    assert {"a": [2]} == values(tmp_path / "real")
    assert (tmp_path / "x").is_symlink()


@pytest.mark.parametrize("step", ["open", "write", "fsync", "mkdir"])
def test_whatever_the_disk_refuses_the_earlier_export_stays(tmp_path, monkeypatch, step):
    """Each call of ``step`` fails once, in turn, until an export gets through."""
    real = getattr(os, step)
    for at in itertools.count(1):
        root, calls = tmp_path / str(at), itertools.count(1)
        write(root / "x", 1, "a", "b")

        def failing(*given, at=at, calls=calls, **named):
            if next(calls) == at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*given, **named)

        monkeypatch.setattr(os, step, failing)
        problem = ""
        try:
            write(root / "x", 2, "a", "c")
        except StoreError as error:
            problem = str(error)
        finally:
            monkeypatch.setattr(os, step, real)
        seen = values(root / "x")

        assert seen in ({"a": [1], "b": [1]}, {"a": [2], "c": [2]})
        if not problem:
            break
        assert "disk full" in problem
        assert ["x"] == names(root)
    assert at > 1
    assert {"a": [2], "c": [2]} == seen


def test_an_interrupted_export_leaves_nothing(tmp_path):
    def tables():
        yield "a", numbers(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_each(tmp_path / "x", tables(), index_of("a"), FACTS, "")

    assert [] == names(tmp_path)


def test_the_draft_of_a_dead_process_is_swept_and_that_of_a_live_one_is_not(tmp_path):
    code = """
import os, sys
from pathlib import Path
from highwater.io.exports import placed
with placed(Path(sys.argv[1]), "") as draft:
    (draft / "new").mkdir()
    os._exit(9)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x")], check=False)
    (dead,) = names(tmp_path)
    with placed(tmp_path / "x", "") as live:
        (live / "new").mkdir()
        write(tmp_path / "x", 1, "a")

        assert 9 == done.returncode
        assert dead not in names(tmp_path)
        assert live.exists()
    assert ["x"] == names(tmp_path)


def test_a_draft_that_its_process_takes_away_meanwhile_is_no_matter(tmp_path, monkeypatch):
    (tmp_path / f".x.{'a' * 12}.draft").mkdir()

    def gone(path, is_draft=exports._is_draft):
        path.rmdir()
        return is_draft(path)

    monkeypatch.setattr(exports, "_is_draft", gone)
    exports.sweep(tmp_path)

    assert [] == list(tmp_path.iterdir())


def test_too_many_files_are_refused_before_any_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(exports, "MOST_FILES", 2)
    with pytest.raises(LimitError, match="would hold 3 files; at most 2"):
        write(tmp_path / "x", 1, "a", "b", "c")

    assert [] == names(tmp_path)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(st.lists(st.tuples(TEXTS, st.floats(allow_nan=False, allow_infinity=False))))
def test_csv_cells_read_back_and_no_text_is_a_formula(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("csv")
    table = pa.table(
        {"text": pa.array([t for t, _ in rows], pa.string()), "number": pa.array([n for _, n in rows], pa.float64())}
    )
    write_csv(folder, "x.csv", table, "")
    with (folder / "x.csv").open(newline="", encoding="utf-8") as file:
        head, *found = csv.reader(file)
    expected = [("'" if text[:1] in tuple("=+-@\t\r") and text else "") + text for text, _ in rows]

    assert ["text", "number"] == head
    assert expected == [text for text, _ in found]
    assert [number for _, number in rows] == [float(number) for _, number in found]


def test_csv_keeps_null_apart_from_empty_and_spells_nul_out(tmp_path):
    write_csv(tmp_path, "x.csv", pa.table({"a": ["a\0b", "", None], "b": [-1, None, 2]}), "")

    assert '"a","b"\n"a\\x00b",-1\n"",\n,2\n' == (tmp_path / "x.csv").read_text()


def test_check_asks_no_more_than_it_must(tmp_path):
    write(tmp_path / "x", 1, "a")

    assert check(tmp_path / "x", folder=True) is None
    assert check(tmp_path / "new", folder=True) is None
    assert check(Path(tmp_path / "new.parquet"), folder=False) is None
