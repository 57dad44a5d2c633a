import errno
import hashlib
import itertools
import json
import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from highwater.io import publish, runs
from highwater.io.durable import NewFile
from highwater.io.errors import AccessError, StoreError, UsageError
from highwater.io.publish import BlockWriter, stage
from highwater.io.schemas import ALERTS, FILLS, table

ROW = {"call_id": "c", "mint": "m", "caller_name": "k", "chain": "solana", "created_at": "2024-01-01T00:00:00Z"}
FACTS = {"config": {"seed": "42"}, "command": ("highwater", "baseline"), "counts": {"OK": 3}}


def alerts(rows=3):
    columns = {**ROW, "alert_ts_ms": np.arange(rows), "alert_id": None, "alert_price": None, "mcap_usd": None}
    return table(ALERTS, columns)


def publish_one(root):
    with stage(root, "path-only") as staged:
        staged.write("alerts", alerts())
        return staged.publish(**FACTS)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def left(root):
    """Return what lies in the staging directory, and the states of the runs that can be seen."""
    return names(root / ".staging"), [run.status for run in runs.list_runs(root)]


def files(run):
    return sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())


def test_a_run_comes_into_view_whole(tmp_path):
    run = publish_one(tmp_path / "deep" / "runs")
    manifest = runs.read_manifest(run)

    assert ["_SUCCESS", "errors/errors.parquet", "inputs/alerts.parquet", "logs/run.log", "run.json"] == files(run)
    assert f"{manifest.created_at[:7]}/run_id={manifest.run_id}" == str(run.relative_to(tmp_path / "deep" / "runs"))
    assert hashlib.sha256((run / "run.json").read_bytes()).hexdigest() == (run / "_SUCCESS").read_text()
    assert ("completed", "path-only", FACTS) == (
        manifest.status,
        manifest.run_type,
        {name: getattr(manifest, name) for name in FACTS},
    )
    assert ([], ["completed"]) == left(tmp_path / "deep" / "runs")


def test_an_artifact_carries_its_name_its_run_and_page_checksums(tmp_path):
    run = publish_one(tmp_path)
    artifact = runs.read_manifest(run).artifact("alerts")
    data = (run / artifact.path).read_bytes()
    found = pq.read_metadata(run / artifact.path)
    column = found.row_group(0).column(0)

    assert (3, len(data), hashlib.sha256(data).hexdigest()) == (artifact.rows, artifact.bytes, artifact.sha256)
    assert (b"alerts", b"1") == (found.metadata[b"artifact"], found.metadata[b"schema_version"])
    assert f"run_id={found.metadata[b'run_id'].decode()}" == run.name
    assert ("ZSTD", True) == (column.compression, column.is_stats_set)


def test_a_published_file_is_not_writable(tmp_path):
    modes = {path.stat().st_mode & 0o222 for path in publish_one(tmp_path).rglob("*") if path.is_file()}

    assert {0} == modes


def test_an_artifact_without_rows_is_written_with_its_schema(tmp_path):
    with stage(tmp_path, "policy") as staged:
        with staged.writer("fills", FILLS):
            pass
        run = staged.publish()

    assert FILLS == runs.read_artifact(run, "fills").schema.remove_metadata()
    assert 0 == runs.read_manifest(run).artifact("fills").rows


def test_files_that_are_no_tables_keep_their_bytes(tmp_path):
    with stage(tmp_path, "path-only") as staged:
        staged.write_file("report.html", b"<p>", "report")
        staged.write_file("logs/run.log", b"began\n", "log")
        run = staged.publish()
    report = runs.read_manifest(run).artifact("report")

    assert (b"<p>", b"began\n") == ((run / "report.html").read_bytes(), (run / "logs/run.log").read_bytes())
    assert (None, hashlib.sha256(b"<p>").hexdigest()) == (report.rows, report.content_sha256)


def test_a_failed_run_says_why(tmp_path):
    with stage(tmp_path, "path-only") as staged:
        staged.write("alerts", alerts())
        run = staged.fail(StoreError("the source went away"), phase="candles", **FACTS)
    (entry,) = runs.list_runs(tmp_path)
    (row,) = runs.read_artifact(run, "errors").to_pylist()

    assert ("failed", "the source went away") == (entry.status, entry.reason)
    assert ("error", "candles", "the source went away", '{"code": "E_IO"}') == (
        row["level"],
        row["phase"],
        row["message"],
        row["details"],
    )
    assert (True, False) == ((run / "_FAILED").exists(), (run / "_SUCCESS").exists())


@pytest.mark.parametrize("error", [ValueError("bug"), KeyboardInterrupt(), FileNotFoundError("candles.csv")])
def test_leaving_without_publishing_leaves_nothing(tmp_path, error):
    def interrupted():
        with stage(tmp_path, "path-only") as staged, staged.writer("alerts", ALERTS) as writer:
            writer.write(alerts())
            raise error

    with pytest.raises(type(error)) as caught:
        interrupted()

    assert error is caught.value
    assert ([], []) == left(tmp_path)
    assert [".staging"] == names(tmp_path)


def test_a_broken_artifact_can_only_fail_the_run(tmp_path):
    with stage(tmp_path, "path-only") as staged:
        with pytest.raises(ValueError, match="names"):
            staged.write("alerts", alerts().drop_columns("mint"))
        with pytest.raises(StoreError, match=r"inputs/alerts.parquet was not written to its end"):
            staged.publish()
        run = staged.fail(ValueError("bad alerts"))

    assert ["_FAILED", "errors/errors.parquet", "logs/run.log", "run.json"] == files(run)
    assert [] == runs.verify(run)


@pytest.mark.parametrize("path", ["../x.svg", "/x.svg", "a/../x.svg", ".hidden", "a\0b"])
def test_a_path_out_of_the_run_is_refused(tmp_path, path):
    with stage(tmp_path / "runs", "path-only") as staged, pytest.raises(ValueError, match="plain names"):
        staged.write_file(path, b"x", "chart")

    assert ([], []) == left(tmp_path / "runs")
    assert ["runs"] == names(tmp_path)


def test_blocks_leave_no_trace_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(publish, "ROW_GROUP", 100)
    rows = alerts(1234)

    def written(name, cuts):
        file = NewFile(tmp_path, name, "")
        writer = BlockWriter(file, ALERTS, ())
        for start, stop in itertools.pairwise([0, *cuts, rows.num_rows]):
            writer.write(rows.slice(start, stop - start))
        writer.close()
        file.close()
        return file.sha256, writer.content.hexdigest(), writer.rows

    whole = written("whole", [])

    assert 1234 == whole[2]
    assert {whole} == {written("a", [1, 2, 99, 100, 101]), written("b", range(7, 1234, 7)), written("c", [350, 350])}
    assert [100] * 12 + [34] == [pq.read_metadata(tmp_path / "a").row_group(i).num_rows for i in range(13)]


@pytest.mark.parametrize("step", ["write", "fsync", "open", "mkdir"])
def test_whatever_the_disk_refuses_no_run_is_half_there(tmp_path, monkeypatch, step):
    """Each call of ``step`` fails once, in turn: the first, the second, ... until a run gets through."""
    real = getattr(os, step)
    for at in itertools.count(1):
        root, calls = tmp_path / str(at), itertools.count(1)
        root.mkdir()

        def failing(*given, at=at, calls=calls, **named):
            if next(calls) == at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*given, **named)

        monkeypatch.setattr(os, step, failing)
        try:
            publish_one(root)
            break
        except StoreError as error:
            problem = str(error)
        finally:
            monkeypatch.setattr(os, step, real)
        seen = runs.list_runs(root)

        if "did not confirm" in problem:
            assert [[]] == [runs.verify(run.path) for run in seen]
        else:
            assert "disk full" in problem
            assert [] == seen
        publish_one(root)
        assert ([], ["completed"] * (len(seen) + 1)) == left(root)
    assert at > 3


def test_a_failed_sync_fails_the_run(tmp_path, monkeypatch):
    def failing(_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with stage(tmp_path, "path-only") as staged:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing)
            staged.write("alerts", alerts())
        with pytest.raises(StoreError) as caught:
            staged.publish()

    assert [] == list(tmp_path.glob("*/run_id=*"))
    assert "the disk reported an error while writing inputs/alerts.parquet" in str(caught.value)
    assert f"run {staged.run_id} is not saved" in str(caught.value)


def child(script, *before, **options):
    """Run ``script`` in a process of its own that has the names of this file; return what it did."""
    here = f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom test_publish import *\n"
    command = [*before, sys.executable, "-c", here + script]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=120, **options)


# Kills itself with signal 9 at the n-th system call of a publish, for every n, and reports what can be seen then.
KILLED = """
import signal
from highwater.io import durable, publish, runs

def dies_at(n):
    calls = itertools.count(1)
    def watch(call):
        def watched(*given, **named):
            if next(calls) == n:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*given, **named)
        return watched
    for name in ("open", "write", "fsync", "mkdir", "unlink"):
        setattr(os, name, watch(getattr(os, name)))
    publish.rename_new = watch(publish.rename_new)

publish.code = lambda found=publish.code(): found
seen = []
for n in itertools.count(1):
    root = Path({root!r}) / str(n)
    pid = os.fork()
    if pid == 0:
        dies_at(n)
        publish_one(root)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    found = runs.list_runs(root)
    problems = [[f.problem for f in runs.verify(run.path)] for run in found]
    publish_one(root)
    seen.append([os.waitstatus_to_exitcode(status), [run.status for run in found], problems, left(root)[0]])
    if status == 0:
        break
print(json.dumps(seen))
"""


def test_a_run_killed_at_any_step_is_whole_or_absent_and_swept(tmp_path):
    done = child(KILLED.format(root=str(tmp_path)))
    seen = json.loads(done.stdout)
    absent, whole = [-9, [], [], []], [-9, ["completed"], [[]], []]

    assert [0, ["completed"], [[]], []] == seen[-1]
    assert [] == [state for state in seen[:-1] if state not in (absent, whole)]
    assert seen.count(absent) > 20
    assert seen.count(whole) > 1


FULL = """
root = Path({root!r})
try:
    with stage(root, "path-only") as staged:
        staged.write("alerts", alerts(1_000_000))
        staged.publish()
except StoreError as error:
    print(error.exit_code, error, left(root))
"""


def test_a_full_disk_leaves_nothing(tmp_path):
    root = tmp_path / "small"
    root.mkdir()
    mount = f'mount -t tmpfs -o size=256k none {root} && exec "$@"'
    before = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    try:
        subprocess.run([*before, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system lets nobody mount a small disk")
    done = child(FULL.format(root=str(root)), *before)

    assert done.stdout.startswith("74 disk full while writing inputs/alerts.parquet (after ")
    assert done.stdout.endswith("([], [])\n")


def test_a_file_size_limit_leaves_nothing(tmp_path):
    limit = 100_000
    done = child(
        FULL.format(root=str(tmp_path)), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    )

    assert done.stdout.startswith("74 file size limit reached while writing inputs/alerts.parquet")
    assert done.stdout.endswith("([], [])\n")


def test_two_processes_publish_side_by_side(tmp_path):
    script = f"[publish_one(Path({str(tmp_path)!r})) for _ in range(15)]"
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(child, [script, script]))

    assert ([], ["completed"] * 30) == left(tmp_path)


def test_many_threads_publish_at_once(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: publish_one(tmp_path), range(40)))
    problems = [runs.verify(run) for run in found]

    assert [[]] * 40 == problems
    assert ([], ["completed"] * 40) == left(tmp_path)


def test_a_live_stage_is_not_swept_and_a_dead_one_is(tmp_path):
    with stage(tmp_path, "path-only") as live:
        dead = tmp_path / ".staging" / "01dead.1.aa"
        orphan = tmp_path / ".staging" / "01orphan.1.bb"
        for path in (dead, orphan):
            (path / "inputs").mkdir(parents=True)
        (tmp_path / ".staging" / "01dead.1.aa.lock").touch()
        live.write("alerts", alerts())
        publish_one(tmp_path)
        staged = names(tmp_path / ".staging")
        live.publish()

    assert [live.path.name, live.path.name + ".lock"] == staged
    assert ([], ["completed"] * 2) == left(tmp_path)


def test_a_taken_run_directory_is_never_replaced(tmp_path):
    with stage(tmp_path, "path-only") as staged:
        final = tmp_path / staged.created_at[:7] / f"run_id={staged.run_id}"
        final.mkdir(parents=True)
        with pytest.raises(StoreError, match="File exists while saving"):
            staged.publish()

    assert [] == names(final)


def test_a_root_that_cannot_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o555)
    was = os.geteuid()
    try:
        if was == 0:
            os.seteuid(65534)
        with pytest.raises(AccessError, match="Permission denied while writing to") as caught:
            publish_one(tmp_path / "runs")
    finally:
        os.seteuid(was)
        tmp_path.chmod(0o755)

    assert 77 == caught.value.exit_code


def test_staging_on_another_disk_is_refused(tmp_path):
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system to try")
    (tmp_path / ".staging").symlink_to(memory)

    with pytest.raises(UsageError, match="must be on the same file system"):
        publish_one(tmp_path)


def test_facts_that_a_manifest_does_not_know_are_refused(tmp_path):
    with stage(tmp_path, "path-only") as staged, pytest.raises(TypeError, match="colour"):
        staged.publish(colour="red")

    assert ([], []) == left(tmp_path)


def test_columns_of_no_fixed_schema_are_kept(tmp_path):
    features = pa.table({"call_id": ["a", "b"], "score": [0.5, None]})
    with stage(tmp_path, "path-only") as staged:
        staged.write("features", features)
        run = staged.publish()

    assert features == runs.read_artifact(run, "features").replace_schema_metadata(None)


def test_every_folder_of_a_run_is_on_disk_before_it_comes_into_view(tmp_path, monkeypatch):
    done, sync, rename = [], publish.sync_folder, publish.rename_new
    monkeypatch.setattr(publish, "sync_folder", lambda path: (done.append(path.name), sync(path)))
    monkeypatch.setattr(publish, "rename_new", lambda old, new: (done.append("in view"), rename(old, new)))
    with stage(tmp_path, "path-only") as staged:
        path = staged.publish()
    inside = {"logs", "errors", staged.path.name}

    assert inside <= set(done[: done.index("in view")])
    assert path.parent.name == done[-1]
