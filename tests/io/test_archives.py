import io
import shutil
import tarfile

import pyarrow as pa
import pytest
from highwater.io import archives
from highwater.io.archives import archive, months, restore
from highwater.io.errors import DataError, IntegrityError, MissingError, UsageError
from highwater.io.runs import list_runs, read_manifest, verify
from old_runs import (
    ALWAYS,
    DAY,
    JANUARY,
    corrupt,
    made,
    names,
    runs_in,
    shortened,
    unverified,
    whole,
    with_notes,
)


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


def test_what_a_dead_process_left_beside_an_archive_is_swept(tmp_path):
    root, old = tmp_path / "runs", tmp_path / "old"
    made(root, JANUARY)
    (old / f".2024-12-3.tar.zst.{'0' * 12}.draft").mkdir(parents=True)
    archive(root, "2025-01", months(root, ALWAYS)["2025-01"], old)

    assert ["2025-01.tar.zst"] == names(old)


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
    real = archives._write
    monkeypatch.setattr(archives, "_write", lambda draft, at, names: real(draft, at, dict(list(names.items())[1:])))
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
    with pytest.raises(DataError, match=r"x\.tar\.zst holds '.*run\.json' twice; nothing was restored"):
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
