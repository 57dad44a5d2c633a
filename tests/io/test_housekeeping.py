import fcntl
import subprocess
import sys
from pathlib import Path

import pytest
from highwater.io import housekeeping
from highwater.io.archives import months
from highwater.io.errors import UsageError
from highwater.io.exports import placed
from highwater.io.housekeeping import collect, leftovers, prunable, remove
from highwater.io.publish import stage
from highwater.io.runs import list_runs
from old_runs import (
    ALWAYS,
    DAY,
    JANUARY,
    NEVER,
    made,
    names,
    runs_in,
    shortened,
    unverified,
    with_link,
    with_notes,
)


def test_leftovers_are_dead_stages_trash_and_old_failed_runs(tmp_path):
    good, bad = made(tmp_path, JANUARY), made(tmp_path, JANUARY, fail=True)
    dead, trash = tmp_path / ".staging" / "dead.1.2", tmp_path / ".trash" / f"{good.name}.0123456789ab"
    for folder in (dead, trash, tmp_path / ".trash" / "mine"):
        folder.mkdir(parents=True)
        (folder / "file").touch()
    (tmp_path / ".staging" / "dead.1.2.lock").touch()
    found = leftovers(tmp_path, "2025-02")

    assert [("stage", dead), ("trash", trash), ("failed run", bad)] == [(one.what, one.path) for one in found]
    assert [("stage", dead), ("trash", trash)] == [(o.what, o.path) for o in leftovers(tmp_path, "2025-01")]
    assert dead.exists() and trash.exists() and bad.exists()
    collect(tmp_path, found)
    assert [str(good.relative_to(tmp_path))] == runs_in(tmp_path)
    assert [] == leftovers(tmp_path, ALWAYS)
    assert ["mine"] == names(tmp_path / ".trash")
    assert [] == names(tmp_path / ".staging")


@pytest.mark.parametrize("where", ["archive", ".slices"])
def test_a_draft_of_a_dead_process_is_a_leftover_and_one_that_is_held_is_none(tmp_path, where):
    folder = tmp_path / where
    dead, other = folder / f".2025-01.tar.zst.{'0' * 12}.draft", folder / f".mine.{'1' * 12}.draft"
    for path in (dead, other):
        path.mkdir(parents=True)
    (dead / "new").touch()
    (other / "notes.txt").touch()
    with placed(folder / "x", "repeat") as held:
        found = leftovers(tmp_path, ALWAYS)
        collect(tmp_path, [*found, housekeeping.Leftover("draft", held)])

        assert [("draft", dead)] == [(one.what, one.path) for one in found]
        assert held.exists()
        (held / "new").touch()
    assert sorted([other.name, "x"]) == names(folder)
    assert [] == leftovers(tmp_path, ALWAYS)


def test_a_stage_that_is_held_is_left(tmp_path):
    """F066: a run that is being written is no leftover."""
    with stage(tmp_path, "path-only") as staged:
        found = leftovers(tmp_path, ALWAYS)
        collect(tmp_path, [housekeeping.Leftover("stage", staged.path)])

        assert [] == found
        assert staged.path.exists()
        staged.publish()
    assert 1 == len(list_runs(tmp_path))


def test_asking_for_leftovers_leaves_no_lock(tmp_path):
    (tmp_path / ".staging" / "dead").mkdir(parents=True)
    lock = tmp_path / ".staging" / "dead.lock"
    lock.touch()
    leftovers(tmp_path, ALWAYS)
    with lock.open() as file:
        held = fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    assert held is None


@pytest.mark.parametrize(
    ("before", "keep", "left"),
    [
        ("2025-01-03T00:00:00.000Z", None, 2),
        ("2025-01-03T00:00:00.001Z", None, 1),
        (NEVER, None, 4),
        (ALWAYS, None, 0),
        (None, 0, 0),
        (None, 1, 1),
        (None, 9, 4),
    ],
)
def test_old_runs_can_be_pruned_by_time_or_number(tmp_path, before, keep, left):
    runs = [made(tmp_path, JANUARY + day * DAY, fail=day == 1) for day in range(4)]
    found, _ = prunable(tmp_path, before, keep)
    for entry in found:
        remove(tmp_path, entry.path)

    assert runs[4 - left :] == sorted((entry.path for entry in list_runs(tmp_path)), key=runs.index)
    assert {f"{run.parent.name}/{run.name}" for run in runs[4 - left :]} == set(runs_in(tmp_path))
    assert [] == list(tmp_path.glob(".trash/*"))


@pytest.mark.parametrize(("before", "keep"), [(None, None), (ALWAYS, 1)])
def test_pruning_needs_one_rule(tmp_path, before, keep):
    with pytest.raises(UsageError, match="either --before or --keep"):
        prunable(tmp_path, before, keep)


@pytest.mark.parametrize("damage", [shortened, unverified, with_notes, with_link])
def test_what_is_not_a_run_of_ours_is_named_and_left(tmp_path, damage):
    run, good = made(tmp_path, JANUARY), made(tmp_path, JANUARY)
    damage(run)
    found, left = prunable(tmp_path, ALWAYS, None)

    assert [good] == [entry.path for entry in found]
    assert 1 == len(left)
    assert left[0].startswith(f"{run}: left alone: ")


def test_a_month_that_is_a_link_is_left(tmp_path):
    run = made(tmp_path / "old", JANUARY)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "2025-01").symlink_to(run.parent)

    found, (left,) = prunable(tmp_path / "runs", ALWAYS, None)

    assert [] == found
    assert "is a link" in left


def test_directories_of_somebody_else_are_never_seen(tmp_path):
    mine = tmp_path / "2025-01" / "run_id=mine"
    mine.mkdir(parents=True)
    (mine / "file").touch()

    assert ([], []) == prunable(tmp_path, ALWAYS, None)
    assert {} == months(tmp_path, ALWAYS)


def test_a_run_that_is_gone_already_is_no_error(tmp_path):
    run = made(tmp_path, JANUARY)
    remove(tmp_path, run)
    remove(tmp_path, run)

    assert [] == list_runs(tmp_path)


# Kills itself with signal 9 at the n-th system call of a removal, for every n.
KILLED = """
import itertools, os, signal, sys
from pathlib import Path
sys.path.insert(0, {here!r})
from highwater.io import publish
from highwater.io.housekeeping import collect, leftovers, remove
from highwater.io.runs import verify
from old_runs import *

def dies_at(n):
    calls = itertools.count(1)
    def watch(call):
        def watched(*given, **named):
            if next(calls) == n:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*given, **named)
        return watched
    for name in ("rename", "mkdir", "fsync", "unlink", "rmdir"):
        setattr(os, name, watch(getattr(os, name)))

publish.code = lambda found=publish.code(): found
for n in itertools.count(1):
    root = Path({root!r}) / str(n)
    run = made(root, JANUARY)
    pid = os.fork()
    if pid == 0:
        dies_at(n)
        remove(root, run)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    seen = [verify(e.path) for e in list_runs(root)]
    left = len(leftovers(root, ALWAYS))
    collect(root, leftovers(root, ALWAYS))
    print(n, seen in ([], [[]]), left, len(leftovers(root, ALWAYS)), sep=",", flush=True)
    if status == 0:
        break
"""


def test_killed_at_any_call_a_run_is_there_or_in_the_trash(tmp_path):
    """F062"""
    code = KILLED.format(here=str(Path(__file__).parents[1]), root=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    rows = [line.split(",") for line in done.stdout.split()]

    assert len(rows) > 5
    assert {("True", "0")} == {(row[1], row[3]) for row in rows}
    assert {"0", "1"} == {row[2] for row in rows}


def test_a_run_whose_traces_another_lists_is_left_while_that_one_stays(tmp_path):
    with stage(tmp_path, "traces") as first:
        held = first.publish()
    with stage(tmp_path, "traces") as second:
        second.publish(execution={"traces_of": [first.run_id]})
    found, left = prunable(tmp_path, None, 1)
    both, none = prunable(tmp_path, None, 0)

    assert ([], [f"{held}: left alone: run {second.run_id} has traces of it"]) == (found, left)
    assert ([second.run_id, first.run_id], []) == ([entry.run_id for entry in both], none)
