"""What another process takes away, or puts in its place, between a look and a touch: at each room that looks."""

import fcntl
import os
import shutil
import threading

import numpy as np
import pyarrow as pa
import pytest
from highwater.io import (
    archives,
    cache,
    catalog,
    catalog_sql,
    catalog_store,
    exports,
    exports_duckdb,
    folders,
    housekeeping,
    runs,
    searches,
    slices,
)
from highwater.io.candles import CandleSet
from highwater.io.errors import BusyError, IntegrityError, MissingError, UsageError
from highwater.io.exports import INDEX, write_each
from highwater.io.locks import give_back, take
from highwater.io.manifest import new_run_id
from highwater.io.publish import stage
from highwater.io.runs import list_runs, read_manifest, verify
from highwater.io.schemas import TRADES
from highwater.io.trace_schemas import strategy_index
from highwater.kernels.arrays import candles
from old_runs import ALWAYS, JANUARY, made, names, runs_in


def first(action, usual):
    """Return a function that does ``action`` with what it is given the first time, and always what is usual."""
    calls = []

    def done(*given, **named):
        calls.append(given)
        if len(calls) == 1:
            action(*given, **named)
        return usual(*given, **named)

    return done


def is_held_alone(folder):
    """Return whether somebody holds a directory, so that another who wants it alone would wait."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def test_what_is_no_directory_has_no_entries(tmp_path):
    (tmp_path / "b").touch()
    (tmp_path / "a").mkdir()

    assert [tmp_path / "a", tmp_path / "b"] == folders.entries(tmp_path)
    assert [] == folders.entries(tmp_path / "b") == folders.entries(tmp_path / "no")
    assert folders.status(tmp_path / "no") is None is folders.status(tmp_path / "b" / "no")
    assert 0 == folders.status(tmp_path / "b").st_size


def test_all_that_is_no_plain_directory_lies_below(tmp_path):
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "a" / "deep" / "file").touch()
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "c").symlink_to(tmp_path / "nowhere")

    assert ["a/deep/file", "b", "c"] == [str(path.relative_to(tmp_path)) for path in folders.below(tmp_path)]
    assert [] == folders.below(tmp_path / "no")


def test_a_directory_that_goes_while_it_is_looked_through_is_left_out(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    usual = os.scandir

    def scandir(path):
        if path == str(tmp_path / "a"):
            (tmp_path / "a").rename(tmp_path / "gone")
        return usual(path)

    monkeypatch.setattr(os, "scandir", scandir)

    assert [tmp_path / "b" / "file"] == folders.below(tmp_path)


def test_a_run_that_is_removed_while_it_is_verified_is_gone_and_not_damaged(tmp_path, monkeypatch):
    run = made(tmp_path, JANUARY)
    monkeypatch.setattr(runs, "_problem", first(lambda *_: shutil.rmtree(run), runs._problem))

    with pytest.raises(MissingError, match="was deleted"):
        verify(run)
    with pytest.raises(MissingError, match="was deleted"):
        verify(run)


def test_a_run_that_is_removed_while_months_are_looked_through_is_not_archived(tmp_path, monkeypatch):
    gone, stays = made(tmp_path, JANUARY), made(tmp_path, JANUARY + 1)
    monkeypatch.setattr(archives, "verify", first(shutil.rmtree, archives.verify))
    found = archives.months(tmp_path, ALWAYS)

    assert not (gone.exists() and stays.exists())
    assert [1] == [len(entries) for entries in found.values()]


@pytest.mark.parametrize("late", [False, True])
def test_an_archive_of_which_a_run_is_removed_leaves_all_as_it_is(tmp_path, monkeypatch, late):
    root, old = tmp_path / "runs", tmp_path / "old"
    run, other = made(root, JANUARY), made(root, JANUARY + 1)
    entries = archives.months(root, ALWAYS)["2025-01"]
    name = "_write" if late else "read_manifest"
    monkeypatch.setattr(archives, name, first(lambda *_: shutil.rmtree(run), getattr(archives, name)))

    with pytest.raises(BusyError, match=r"removed runs of 2025-01; nothing was archived, repeat"):
        archives.archive(root, "2025-01", entries, old)
    assert ([], [str(other.relative_to(root))]) == (names(old), runs_in(root))


def test_one_archives_into_a_directory_at_a_time(tmp_path, monkeypatch):
    made(tmp_path / "runs", JANUARY)
    held = []
    entries = archives.months(tmp_path / "runs", ALWAYS)["2025-01"]
    monkeypatch.setattr(archives, "_write", first(lambda *_: held.append(is_held_alone(tmp_path)), archives._write))
    archives.archive(tmp_path / "runs", "2025-01", entries, tmp_path)

    assert [True] == held
    assert not is_held_alone(tmp_path)


def test_two_who_find_no_database_add_to_one(tmp_path, monkeypatch):
    manifest = read_manifest(made(tmp_path / "runs", JANUARY))
    held, usual = [], exports_duckdb._fill
    monkeypatch.setattr(exports_duckdb, "_fill", first(lambda *_: held.append(is_held_alone(tmp_path)), usual))
    exports_duckdb.store(tmp_path / "x.duckdb", manifest, iter([]), "")

    assert [True] == held


def write(path, value, *files):
    table = pa.table({"a": pa.array([value], pa.int64())})
    return write_each(path, [(name, table) for name in files], pa.table({"file": pa.array(files)}), {}, "repeat")


def test_an_export_that_takes_the_place_of_one_that_is_looked_at_is_an_export(tmp_path, monkeypatch):
    write(tmp_path / "x", 1, "a.parquet")
    usual, replaced = exports._listed, []

    def listed(folder):
        found = usual(folder)
        if not replaced:
            replaced.append(True)
            write(tmp_path / "x", 2, "b.parquet")
        return found

    monkeypatch.setattr(exports, "_listed", listed)
    exports.check(tmp_path / "x", folder=True)

    assert ["b.parquet", INDEX] == names(tmp_path / "x")
    (tmp_path / "x" / "mine").touch()
    with pytest.raises(UsageError, match="'mine', which no export wrote"):
        exports.check(tmp_path / "x", folder=True)


def test_an_export_whose_place_is_taken_meanwhile_takes_that(tmp_path, monkeypatch):
    usual = exports.rename_new
    other = first(lambda *_: write(tmp_path / "x", 1, "a.parquet"), usual)
    monkeypatch.setattr(
        exports, "rename_new", lambda *given: other(*given) if not (tmp_path / "x").exists() else usual(*given)
    )
    write(tmp_path / "x", 2, "b.parquet")

    assert ["b.parquet", INDEX] == sorted(names(tmp_path / "x"))
    assert ["x"] == names(tmp_path)


def test_what_two_remove_at_once_is_removed(tmp_path, monkeypatch):
    run = made(tmp_path, JANUARY)

    def another(gone):
        (gone / "run.json").unlink()
        raise FileNotFoundError(2, "No such file or directory", str(gone / "run.json"))

    usual, calls = shutil.rmtree, []
    monkeypatch.setattr(
        housekeeping.shutil, "rmtree", lambda path: another(path) if not calls and not calls.append(1) else usual(path)
    )
    housekeeping.remove(tmp_path, run)

    assert [] == names(tmp_path / ".trash")
    assert [] == list_runs(tmp_path)


def test_a_run_that_is_removed_while_the_catalog_reads_it_is_not_in_it(tmp_path, monkeypatch):
    with stage(tmp_path, "traces") as staged:
        staged.write("strategy_index", strategy_index({}).empty_table())
        run = staged.publish()
    usual = catalog.index_of
    monkeypatch.setattr(catalog, "index_of", first(lambda _: shutil.rmtree(run), usual))
    report = catalog.sync(tmp_path)

    assert (0, ()) == (report.registered, report.corrupt)
    assert [] == catalog_store.rows(tmp_path, "SELECT run_id FROM catalog.runs")


def test_a_reader_is_led_from_one_generation_to_the_next_as_often_as_it_takes(tmp_path, monkeypatch):
    made(tmp_path, JANUARY)
    catalog.sync(tmp_path)
    usual = catalog_store._pointed
    passed = iter([(tmp_path / f"catalog-{n}.duckdb", "") for n in range(50)])
    monkeypatch.setattr(catalog_store, "_pointed", lambda folder: next(passed, None) or usual(folder))

    assert usual(tmp_path / catalog_store.FOLDER)[0] == catalog_store.current(tmp_path)
    monkeypatch.setattr(catalog_store, "_pointed", lambda _: (tmp_path / "catalog-1.duckdb", ""))
    with pytest.raises(IntegrityError, match="is damaged"):
        catalog_store.current(tmp_path)


def test_a_run_that_is_removed_under_a_statement_is_left_out(tmp_path, monkeypatch):
    found = []
    for _ in range(2):
        with stage(tmp_path, "policy") as staged:
            staged.write("trades", TRADES.empty_table())
            found.append(staged.publish())
    catalog.sync(tmp_path)
    usual = catalog_sql._sound

    def sound(*given):
        answer = usual(*given)
        shutil.rmtree(found[0], ignore_errors=True)
        return answer

    monkeypatch.setattr(catalog_sql, "_sound", sound)
    answer = catalog_sql.ask(tmp_path, "SELECT count(*) AS n FROM trades")

    assert [{"n": 0}] == answer.table.to_pylist()
    assert 1 == len(answer.left_out)
    assert str(found[0]) in answer.left_out[0]


def sliced(folder):
    """Return a slice of two candles."""
    price = [1.0, 2.0]
    found = CandleSet(
        ("A",), np.array([0, 2]), candles([0, 60_000], price, price, price, price), 60_000, np.array([120_000]), (), ()
    )
    spans = slices.Spans(("A",), *(np.array([n]) for n in (0, -1, 0, 600_000)))
    return slices.build(folder, found, spans, "ab" * 32)


def test_a_slice_that_is_removed_since_it_was_seen_is_left_out(tmp_path, monkeypatch):
    one = sliced(tmp_path)
    (entry,) = cache.slices_in(tmp_path)
    monkeypatch.setattr(slices.pa, "memory_map", first(lambda _: cache.remove([entry]), pa.memory_map))

    assert [] == list(slices.slices(tmp_path)) == names(tmp_path)
    with pytest.raises(MissingError):
        slices.open_slice(one.path)


def test_half_a_slice_is_no_slice_that_was_removed(tmp_path):
    sliced(tmp_path).path.with_suffix(".json").unlink()

    with pytest.raises(MissingError, match=r"its \.json manifest is missing"):
        list(slices.slices(tmp_path))


def test_nobody_removes_one_file_of_a_slice_that_is_being_written(tmp_path, monkeypatch):
    held = []
    monkeypatch.setattr(
        slices, "put_written", first(lambda *_: held.append(is_held_alone(tmp_path)), slices.put_written)
    )
    one = sliced(tmp_path)
    (entry,) = cache.slices_in(tmp_path)
    half = cache.Kept(cache.SLICE, (one.path.with_suffix(".json"),), None, 0, 0)  # as it was seen in the middle

    assert [True] == held
    assert not is_held_alone(tmp_path)
    cache.remove([half])
    assert [] == names(tmp_path)
    cache.remove([entry])


def test_a_lock_that_is_held_for_a_look_makes_no_search_busy(tmp_path):
    run_id = new_run_id()
    path = tmp_path / searches.STAGING / f"{run_id}{searches.KEPT}"
    path.parent.mkdir()
    lock = take(path)
    timer = threading.Timer(0.05, give_back, (path, lock))
    timer.start()
    with searches.hold(tmp_path, run_id) as kept:
        assert run_id == kept.run_id
    timer.join()


def test_a_search_that_comes_to_its_end_while_it_is_told_of_is_not_damaged(tmp_path, monkeypatch):
    path = tmp_path / searches.STAGING / f"{new_run_id()}{searches.KEPT}"
    with pytest.raises(KeyError), searches.hold(tmp_path, path.stem) as kept:
        kept.begin({"trials": 10})
        kept.add(0, {"trial_id": np.arange(3)})
        kept.keep()
        raise KeyError

    assert searches.stopped(path, tmp_path).startswith("stopped at trial 3 of 10; ")
    monkeypatch.setattr(searches, "open_plain", first(lambda *_: shutil.rmtree(path), searches.open_plain))
    assert "came to its end meanwhile" == searches.stopped(path, tmp_path)


def test_a_leftover_whose_directory_goes_is_none(tmp_path, monkeypatch):
    (tmp_path / "archive").mkdir()
    made(tmp_path, JANUARY)
    usual = housekeeping.drafts
    monkeypatch.setattr(housekeeping, "drafts", first(shutil.rmtree, usual))

    assert [] == housekeeping.leftovers(tmp_path, ALWAYS)
