import json
import sqlite3

import pytest
from highwater.io.errors import BusyError, IntegrityError, MissingError
from highwater.io.labs import store as stored
from highwater.io.labs.store import Key, each, find_lab, lab_records, labs_in, path_of, raw, writing

SERVER, LAB = "127.0.0.1:8090", "caed4df4"
ODD = '{"Success": true , "Data":{"n":0.10,\t"text":"µ \\u00b5", "big": 12345678901234567890.10}}'.encode()


def filled(store, backtests=("a", "b", "c"), runtimes=("a",), ended=True):
    with writing(store, SERVER, LAB) as out:
        number = out.begin_listing('{"LID": "x"}')
        for name in backtests:
            out.seen(name, json.dumps({"BID": name}).encode(), finished=name != "c")
        for name in runtimes:
            out.add(name, "runtime", ODD)
        if ended:
            out.end_listing(number, 1)


def test_what_is_kept_comes_back_byte_for_byte(tmp_path):
    filled(tmp_path)

    assert {"summary": b'{"BID": "a"}', "runtime": ODD} == raw(tmp_path, Key(SERVER, LAB, "a"))
    assert {"summary": b'{"BID": "b"}'} == raw(tmp_path, Key(SERVER, LAB, "b"))


def test_records_name_what_is_missing(tmp_path):
    filled(tmp_path)
    found = lab_records(tmp_path, SERVER, LAB)

    assert [("a", True), ("b", True), ("c", False)] == [(one.key.backtest, one.finished) for one in found.backtests]
    assert [("summary", "runtime"), ("summary",), ("summary",)] == [one.parts for one in found.backtests]
    assert ["b"] == [one.key.backtest for one in found.missing]
    assert (True, False) == (found.listed, found.complete)
    assert {"LID": "x"} == found.details


def test_each_yields_all_in_order_with_what_there_is(tmp_path):
    filled(tmp_path)
    found = list(each(tmp_path, SERVER, LAB))

    assert ["a", "b", "c"] == [key.backtest for key, _ in found]
    assert [2, 1, 1] == [len(parts) for _, parts in found]
    assert [{}, {}, {}] == [parts for _, parts in each(tmp_path, SERVER, LAB, ("log",))]


def test_a_list_is_complete_only_once_it_ended(tmp_path):
    filled(tmp_path, runtimes=("a", "b"))
    assert lab_records(tmp_path, SERVER, LAB).complete
    filled(tmp_path, ended=False)
    found = lab_records(tmp_path, SERVER, LAB)

    assert (False, False) == (found.listed, found.complete)
    assert found.listed_ms is not None


def test_a_finished_backtest_does_not_change(tmp_path):
    filled(tmp_path)
    with writing(tmp_path, SERVER, LAB) as out:
        out.seen("a", b'{"BID": "other"}', True)
        out.seen("c", b'{"BID": "now done"}', True)
        out.add("a", "runtime", b"{}")

    assert b'{"BID": "a"}' == raw(tmp_path, Key(SERVER, LAB, "a"))["summary"]
    assert b'{"BID": "now done"}' == raw(tmp_path, Key(SERVER, LAB, "c"))["summary"]
    assert ODD == raw(tmp_path, Key(SERVER, LAB, "a"))["runtime"]


def test_the_file_itself_refuses_changes(tmp_path):
    filled(tmp_path)
    db = sqlite3.connect(path_of(tmp_path, SERVER, LAB))

    for statement in ("DELETE FROM backtests", "UPDATE backtests SET finished = 0", "UPDATE parts SET crc = 1"):
        with pytest.raises(sqlite3.IntegrityError):
            db.execute(statement)
    db.close()


def test_what_was_not_committed_is_undone(tmp_path):
    filled(tmp_path)
    with pytest.raises(RuntimeError), writing(tmp_path, SERVER, LAB) as out:
        out.seen("d", b"{}", True)
        out.commit()
        out.seen("e", b"{}", True)
        raise RuntimeError

    assert ["a", "b", "c", "d"] == [one.key.backtest for one in lab_records(tmp_path, SERVER, LAB).backtests]


def test_two_writers_of_one_lab_are_refused(tmp_path):
    with writing(tmp_path, SERVER, LAB), pytest.raises(BusyError, match="another process"):
        filled(tmp_path)
    filled(tmp_path)


def test_labs_are_found_by_how_their_id_begins(tmp_path):
    filled(tmp_path)

    assert [(SERVER, LAB)] == labs_in(tmp_path)
    assert (SERVER, LAB) == find_lab(tmp_path, "caed")
    with pytest.raises(MissingError, match=r"there is no lab 'x'.*it has caed4df4"):
        find_lab(tmp_path, "x")
    with pytest.raises(MissingError, match="labs sync"):
        find_lab(tmp_path / "none", "x")
    with writing(tmp_path, "other:1", LAB):
        pass
    with pytest.raises(MissingError, match=r"of 2 servers; name one with --server: 127.0.0.1:8090, other:1"):
        find_lab(tmp_path, "caed")
    assert ("other:1", LAB) == find_lab(tmp_path, "caed", "other:1")


def test_a_damaged_blob_is_named(tmp_path):
    filled(tmp_path)
    path = path_of(tmp_path, SERVER, LAB)
    db = sqlite3.connect(path)
    db.executescript("DROP TRIGGER parts_stay; UPDATE parts SET data = zeroblob(9) WHERE part = 'runtime'")
    db.close()

    with pytest.raises(IntegrityError, match="damaged at backtest a"):
        raw(tmp_path, Key(SERVER, LAB, "a"))


@pytest.mark.parametrize("data", [b"no database at all, though long enough to be looked at" * 30, b""])
def test_a_damaged_file_is_named(tmp_path, data):
    filled(tmp_path)
    path_of(tmp_path, SERVER, LAB).write_bytes(data)

    with pytest.raises((IntegrityError, MissingError), match=r"labdb"):
        lab_records(tmp_path, SERVER, LAB)


def test_another_version_is_refused(tmp_path, monkeypatch):
    filled(tmp_path)
    monkeypatch.setattr(stored, "VERSION", 2)

    with pytest.raises(IntegrityError, match="another version"):
        raw(tmp_path, Key(SERVER, LAB, "a"))


def test_a_file_that_was_killed_as_it_was_made_hides_no_other(tmp_path):
    filled(tmp_path)
    empty = path_of(tmp_path, SERVER, "killed")
    empty.touch()

    assert [(SERVER, LAB)] == labs_in(tmp_path)
    with writing(tmp_path, SERVER, "killed"):
        pass
    assert [(SERVER, LAB), (SERVER, "killed")] == labs_in(tmp_path)
