import fcntl
import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from highwater.io import housekeeping, manifest
from highwater.io.errors import DataError, IntegrityError, MissingError, UsageError
from highwater.io.housekeeping import archive, collect, leftovers, months, prunable, remove, restore
from highwater.io.publish import stage
from highwater.io.runs import list_runs, read_manifest, verify
from highwater.io.schemas import ALERTS, table

ROW = {"call_id": "c", "mint": "m", "caller_name": "k", "chain": "solana", "created_at": "2024-01-01T00:00:00Z"}
JANUARY, DAY = 1_735_689_600_000, 86_400_000
ALWAYS, NEVER = "9999", "0000"


def made(root, ms, fail=False, rows=3):
    """Return the directory of a run made at a time."""
    with stage(root, "path-only") as staged:
        staged.created_at = manifest.utc_text(ms)
        staged.write(
            "alerts",
            table(
                ALERTS, {**ROW, "alert_ts_ms": np.arange(rows), "alert_id": None, "alert_price": None, "mcap_usd": None}
            ),
        )
        return staged.fail(ValueError("a bug")) if fail else staged.publish()


def whole(root):
    """Return path -> bytes of everything below ``root`` that is a file."""
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def runs_in(root):
    return sorted(str(entry.path.relative_to(root)) for entry in list_runs(root))


def corrupt(run):
    path = run / "inputs" / "alerts.parquet"
    path.chmod(0o644)
    path.write_bytes(b"x" * path.stat().st_size)


def shortened(run):
    (run / "inputs" / "alerts.parquet").unlink()


def unverified(run):
    (run / "_SUCCESS").chmod(0o644)
    (run / "_SUCCESS").write_text("")


def with_notes(run):
    (run / "notes.txt").write_text("mine")


def with_link(run):
    (run / "inputs" / "link").symlink_to("/")


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
from test_housekeeping import *

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
    code = KILLED.format(here=str(Path(__file__).parent), root=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    rows = [line.split(",") for line in done.stdout.split()]

    assert len(rows) > 5
    assert {("True", "0")} == {(row[1], row[3]) for row in rows}
    assert {"0", "1"} == {row[2] for row in rows}


def test_months_go_into_one_archive_each_and_come_back_byte_for_byte(tmp_path):
    root = tmp_path / "runs"
    for ms in (JANUARY, JANUARY + DAY, JANUARY + 31 * DAY, JANUARY + 59 * DAY):
        made(root, ms)
    made(root, JANUARY, fail=True)
    before = whole(root)
    packed = [archive(root, month, runs, tmp_path / "old") for month, runs in months(root, "2025-03").items()]
    kept = runs_in(root)
    back = [restore(root, path) for path in packed]

    assert ["2025-01.tar.zst", "2025-02.tar.zst"] == [path.name for path in packed]
    assert 1 == len(kept)
    assert kept[0].startswith("2025-03/")
    assert [(3, 0), (1, 0)] == [(len(new), len(there)) for new, there in back]
    assert before == whole(root)
    assert all(verify(entry.path) == [] for entry in list_runs(root))
    assert {0} == {path.stat().st_mode & 0o222 for path in root.rglob("*") if path.is_file()}


def test_runs_that_are_there_already_are_left(tmp_path):
    root = tmp_path / "runs"
    runs = [made(root, JANUARY), made(root, JANUARY)]
    copy = shutil.copytree(runs[0], tmp_path / "copy")
    path = archive(root, "2025-01", months(root, ALWAYS)["2025-01"], tmp_path)
    shutil.copytree(copy, runs[0])
    new, there = restore(root, path)

    assert ([runs[1]], [runs[0]]) == (new, there)


def test_a_month_that_got_runs_since_has_a_second_archive(tmp_path):
    root = tmp_path / "runs"
    names = []
    for _ in range(3):
        made(root, JANUARY)
        names.append(archive(root, "2025-01", months(root, ALWAYS)["2025-01"], tmp_path).name)

    assert ["2025-01.tar.zst", "2025-01-2.tar.zst", "2025-01-3.tar.zst"] == names


@pytest.mark.parametrize(
    ("damage", "kind"),
    [(corrupt, IntegrityError), (shortened, IntegrityError), (unverified, IntegrityError), (with_notes, UsageError)],
)
def test_a_month_with_a_damaged_run_is_not_archived(tmp_path, damage, kind):
    run = made(tmp_path, JANUARY)
    damage(run)
    with pytest.raises(kind, match="put that right, then archive 2025-01"):
        months(tmp_path, ALWAYS)


def test_an_archive_that_reads_back_otherwise_removes_nothing(tmp_path, monkeypatch):
    root = tmp_path / "runs"
    run = made(root, JANUARY)
    found = months(root, ALWAYS)["2025-01"]
    real = housekeeping._write
    monkeypatch.setattr(housekeeping, "_write", lambda draft, at, names: real(draft, at, dict(list(names.items())[1:])))
    with pytest.raises(IntegrityError, match="did not read back"):
        archive(root, "2025-01", found, tmp_path / "old")

    assert [] == verify(run)
    assert [] == names(tmp_path / "old")


@pytest.fixture
def packed(tmp_path):
    """Return a directory of runs that is empty again, and the archive of the two it had."""
    root = tmp_path / "runs"
    for _ in range(2):
        made(root, JANUARY)
    return root, archive(root, "2025-01", months(root, ALWAYS)["2025-01"], tmp_path)


def damaged(path, data):
    path.chmod(0o644)
    path.write_bytes(data)
    return path


def test_a_shortened_archive_restores_nothing(packed):
    root, path = packed
    data = path.read_bytes()
    for cut in [*range(0, len(data), 97), len(data) - 1, len(data) - 4]:
        with pytest.raises((DataError, IntegrityError)):
            restore(root, damaged(path, data[:cut]))

        assert [] == list_runs(root)
    assert [] == names(root / ".staging")


def test_a_changed_archive_never_restores_a_damaged_run(packed):
    root, path = packed
    data = path.read_bytes()
    refused = 0
    for at in range(0, len(data), 211):
        try:
            restore(root, damaged(path, data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]))
        except (DataError, IntegrityError):
            refused += 1

        assert [] == [finding for entry in list_runs(root) for finding in verify(entry.path)]
    assert refused > 10


def test_an_archive_that_goes_on_is_refused(packed):
    root, path = packed
    damaged(path, path.read_bytes() * 2)
    with pytest.raises(DataError, match="goes on behind its end"):
        restore(root, path)

    assert [] == list_runs(root)


RUN = "2025-01/run_id=" + "0" * 26


def tar_of(path, *members):
    """Write an archive of (name, kind, bytes)."""
    with (
        pa.OSFile(str(path), "wb") as file,
        pa.CompressedOutputStream(file, "zstd") as out,
        tarfile.open(fileobj=out, mode="w|") as tar,
    ):
        for name, kind, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(data), "/etc/passwd"
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    "member",
    [
        ("../x", tarfile.REGTYPE),
        ("/etc/x", tarfile.REGTYPE),
        (f"{RUN}/../../../x", tarfile.REGTYPE),
        (f"{RUN}/.hidden", tarfile.REGTYPE),
        (f"{RUN}/a b", tarfile.REGTYPE),
        ("2025-13/run_id=" + "0" * 26 + "/run.json", tarfile.REGTYPE),
        (f"{RUN}/run.json", tarfile.SYMTYPE),
        (f"{RUN}/run.json", tarfile.LNKTYPE),
        (f"{RUN}/run.json", tarfile.FIFOTYPE),
        (f"{RUN}/inputs", tarfile.DIRTYPE),
        (f"{RUN}/run.json", tarfile.REGTYPE),
    ],
)
def test_a_hostile_archive_writes_nothing(tmp_path, member):
    root = tmp_path / "runs"
    path = tar_of(tmp_path / "x.tar.zst", (*member, b"" if member[1] != tarfile.REGTYPE else b"{}"))
    with pytest.raises((DataError, IntegrityError)):
        restore(root, path)

    assert [] == list_runs(root)
    assert ["runs", "x.tar.zst"] == names(tmp_path)
    assert {} == whole(root)


def test_a_file_that_is_twice_in_an_archive_is_refused(tmp_path):
    path = tar_of(tmp_path / "x.tar.zst", *[(f"{RUN}/run.json", tarfile.REGTYPE, b"{}")] * 2)
    with pytest.raises(OSError, match="File exists"):
        restore(tmp_path / "runs", path)

    assert {} == whole(tmp_path / "runs")


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda path: None, MissingError, "does not exist"),
        (lambda path: path.write_text("hello"), DataError, "not a readable archive"),
        (lambda path: path.write_bytes(b""), DataError, "x.tar.zst"),
        (tar_of, DataError, "holds no runs"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path, make, error, words):
    make(tmp_path / "x.tar.zst")
    with pytest.raises(error, match=words):
        restore(tmp_path / "runs", tmp_path / "x.tar.zst")


def test_archived_runs_keep_their_ids_and_order(tmp_path):
    root = tmp_path / "runs"
    ids = [read_manifest(made(root, JANUARY + i)).run_id for i in range(3)]
    path = archive(root, "2025-01", months(root, ALWAYS)["2025-01"], tmp_path)
    new, _ = restore(root, path)

    assert sorted(ids) == [run.name.removeprefix("run_id=") for run in new]
    assert [5, 5, 5] == [len(names(run)) for run in new]
