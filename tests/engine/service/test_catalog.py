import threading

import duckdb
import pytest
from highwater.engine.service import catalog, limits
from highwater.engine.service.catalog import asking, mark_stale
from highwater.io.errors import MissingError
from highwater.io.publish import stage
from highwater.io.runs import find_run


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    monkeypatch.setattr(catalog, "WAIT_S", 30.0)


def new_run(root):
    with stage(root, "path-only") as staged:
        staged.publish()
    return staged.run_id


def delete(root, run_id):
    path = find_run(root, run_id).path
    (root / ".trash").mkdir(exist_ok=True)
    path.rename(root / ".trash" / path.name)


def ids(root):
    with asking(root) as database:
        return [run for (run,) in database.execute("SELECT run_id FROM catalog.runs ORDER BY 1").fetchall()]


def test_runs_are_found_by_themselves_as_they_come_and_go(tmp_path):
    assert [] == ids(tmp_path)
    first = new_run(tmp_path)
    assert [first] == ids(tmp_path)
    second = new_run(tmp_path)
    assert [first, second] == ids(tmp_path)
    delete(tmp_path, first)
    assert [second] == ids(tmp_path)


def test_a_run_being_written_is_no_run_yet(tmp_path):
    with stage(tmp_path, "path-only") as staged:
        assert [] == ids(tmp_path)
        staged.publish()

    assert [staged.run_id] == ids(tmp_path)


def test_what_is_up_to_date_is_not_synced_again(tmp_path, monkeypatch):
    new_run(tmp_path)
    ids(tmp_path)
    calls = []
    monkeypatch.setattr(catalog, "sync", calls.append)
    ids(tmp_path)
    assert [] == calls
    mark_stale(tmp_path)
    ids(tmp_path)
    assert [tmp_path] == calls


def test_a_long_sync_does_not_keep_a_question_waiting(tmp_path, monkeypatch):
    first, sync, go_on = new_run(tmp_path), catalog.sync, threading.Event()
    ids(tmp_path)

    def slow(root):
        assert go_on.wait(60)
        return sync(root)

    monkeypatch.setattr(catalog, "sync", slow)
    monkeypatch.setattr(catalog, "WAIT_S", 0.01)
    second = new_run(tmp_path)

    assert [first] == ids(tmp_path)
    go_on.set()
    catalog._held(tmp_path).job.result(60)
    assert [first, second] == ids(tmp_path)


def test_there_must_be_a_directory(tmp_path):
    with pytest.raises(MissingError, match="is not a directory of runs"):
        ids(tmp_path / "no")


def test_a_catalog_that_cannot_be_written_is_read(tmp_path, monkeypatch):
    first = new_run(tmp_path)
    ids(tmp_path)
    new_run(tmp_path)

    def refuse(root):
        raise MissingError("the disk refuses")

    monkeypatch.setattr(catalog, "sync", refuse)

    assert [first] == ids(tmp_path)


def test_few_directories_are_held_open(tmp_path):
    for i in range(catalog._MOST + 2):
        (tmp_path / str(i)).mkdir()
        ids(tmp_path / str(i))

    assert catalog._MOST == len(catalog._ALL)


def test_a_question_reads_on_while_runs_come(tmp_path):
    first = new_run(tmp_path)
    with asking(tmp_path) as database:
        second = new_run(tmp_path)
        assert [first, second] == ids(tmp_path)
        assert [(first,)] == database.execute("SELECT run_id FROM catalog.runs").fetchall()


def test_a_connection_that_is_closed_takes_no_slot(tmp_path):
    closed = duckdb.connect()
    closed.close()
    for _ in range(2 * limits.AT_ONCE):
        with pytest.raises(duckdb.ConnectionException), limits.limited(closed, 0.01):
            pass
