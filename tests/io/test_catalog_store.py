import fcntl
import shutil
import signal
import subprocess
import sys
import time

import duckdb
import pytest
from highwater.io import catalog, catalog_store
from highwater.io.catalog import sync
from highwater.io.catalog_store import FOLDER, POINTER, connected, current, rows
from highwater.io.errors import BusyError, IntegrityError, MissingError, StoreError
from highwater.io.manifest import Input
from highwater.io.publish import stage
from highwater.io.schemas import TRADES


def publish(root):
    with stage(root, "policy") as staged:
        staged.write("trades", TRADES.empty_table())
        return staged.publish(inputs=(Input("alerts", "alerts.parquet", "a" * 64),))


def replace(path, data):
    path.unlink()
    path.write_bytes(data)


def news(report):
    return report.registered, report.updated, report.unchanged, report.removed


def files(root):
    return sorted(path.name for path in (root / FOLDER).iterdir())


def test_any_duckdb_reads_the_file(tmp_path):
    publish(tmp_path)
    sync(tmp_path)
    with duckdb.connect(str(current(tmp_path)), read_only=True) as database:
        tables = database.sql("SHOW TABLES").fetchall()

        assert [("artifacts",), ("runs",), ("strategies",), ("trials_ledger",)] == tables
        assert [(1,)] == database.sql("SELECT configurations FROM trials_ledger").fetchall()


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES_OF_THE_CATALOG = {
    "flipped": flipped,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-5000]),
    "empty": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
    "another": lambda path: path.write_bytes(b"no database" * 1000),
    "pointer": lambda path: replace(path.parent / POINTER, b"catalog-1"),
    "empty pointer": lambda path: replace(path.parent / POINTER, b""),
    "pointer elsewhere": lambda path: replace(
        path.parent / POINTER, b'{"generation":"../../x","sha256":"","version":1}'
    ),
}


@pytest.mark.parametrize("damage", DAMAGES_OF_THE_CATALOG.values(), ids=DAMAGES_OF_THE_CATALOG)
def test_a_damaged_catalog_is_renamed_aside_and_rebuilt(tmp_path, damage):  # F078
    publish(tmp_path)
    sync(tmp_path)
    before = rows(tmp_path, "FROM catalog.runs")
    damage(current(tmp_path))
    with pytest.raises(IntegrityError, match="highwater catalog sync rebuilds"):
        rows(tmp_path, "FROM catalog.runs")
    report = sync(tmp_path)

    assert "damaged" in report.damage
    assert (1, 0, 0, 0) == news(report)
    assert before == rows(tmp_path, "FROM catalog.runs")
    assert "current.damaged" in files(tmp_path)
    assert not sync(tmp_path).written


def test_a_catalog_of_another_layout_is_made_anew(tmp_path, monkeypatch):
    publish(tmp_path)
    with monkeypatch.context() as other:
        other.setattr(catalog_store, "_VERSION", 0)
        sync(tmp_path)
    with pytest.raises(MissingError, match="another layout"):
        current(tmp_path)
    report = sync(tmp_path)

    assert ("", True) == (report.damage, report.fresh)
    assert [(1,)] == rows(tmp_path, "SELECT count(*) FROM catalog.runs")


def test_a_reader_keeps_its_generation_while_the_next_is_written(tmp_path):
    publish(tmp_path)
    sync(tmp_path)
    with connected(tmp_path) as database:
        publish(tmp_path)
        sync(tmp_path)

        assert [(1,)] == database.execute("SELECT count(*) FROM catalog.runs").fetchall()
    assert [(2,)] == rows(tmp_path, "SELECT count(*) FROM catalog.runs")
    assert ["catalog-2.duckdb", "current", "lock"] == files(tmp_path)


def test_a_reader_that_comes_as_the_generation_leaves_takes_the_next(tmp_path, monkeypatch):
    publish(tmp_path)
    sync(tmp_path)
    stale, calls = current(tmp_path), []

    def late(root):
        calls.append(root)
        return tmp_path / FOLDER / "catalog-0.duckdb" if len(calls) == 1 else stale

    monkeypatch.setattr(catalog_store, "current", late)

    assert [(1,)] == rows(tmp_path, "SELECT count(*) FROM catalog.runs")
    assert 2 == len(calls)


def test_two_syncs_wait_for_one_another_and_then_give_up(tmp_path, monkeypatch):
    publish(tmp_path)
    sync(tmp_path)
    publish(tmp_path)
    monkeypatch.setattr(catalog_store, "WAIT_S", 0.1)
    with (tmp_path / FOLDER / "lock").open("rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="locked by another sync") as caught:
            sync(tmp_path)

        assert 75 == caught.value.exit_code
        assert [(1,)] == rows(tmp_path, "SELECT count(*) FROM catalog.runs")
    assert (1, 0, 1, 0) == news(sync(tmp_path))


@pytest.mark.parametrize("step", ["file_sha256", "NewFile", "sync_folder", "os.fsync", "duckdb"])
def test_a_sync_that_dies_leaves_the_last_catalog(tmp_path, monkeypatch, step):  # F061
    publish(tmp_path)
    sync(tmp_path)
    publish(tmp_path)

    def dies(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        last = catalog_store.last(tmp_path / FOLDER)
        patched.setattr(catalog, "last", lambda _: last)
        patched.setattr(catalog_store, "_LEDGER", "SELECT no") if step == "duckdb" else patched.setattr(
            *((catalog_store.os, "fsync") if step == "os.fsync" else (catalog_store, step)), dies
        )
        with pytest.raises((KeyboardInterrupt, StoreError)):
            sync(tmp_path)

    assert [(1,)] == rows(tmp_path, "SELECT count(*) FROM catalog.runs")
    assert (1, 0, 1, 0) == news(sync(tmp_path))
    assert [(2,)] == rows(tmp_path, "SELECT count(*) FROM catalog.runs")
    assert ["current", "lock"] == [name for name in files(tmp_path) if not name.startswith("catalog-")]
    assert 1 == len([name for name in files(tmp_path) if name.startswith("catalog-")])


def test_a_killed_sync_harms_neither_runs_nor_catalog(tmp_path):  # F061
    for _ in range(3):
        publish(tmp_path)
    code = "import sys; from highwater.io.catalog import sync; print('go', flush=True); sync(sys.argv[1])"
    for wait_s in (0.0, 0.05, 0.1):
        child = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(wait_s)
        child.send_signal(signal.SIGKILL)
        child.communicate()

        assert sync(tmp_path).damage == ""
        assert [("completed", 3)] == rows(tmp_path, "SELECT status, count(*) FROM catalog.runs GROUP BY 1")
        shutil.rmtree(tmp_path / FOLDER)
