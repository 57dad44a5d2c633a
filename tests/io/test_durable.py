import errno
import os
import types

import pytest
from highwater.io import durable
from highwater.io.durable import NewFile, disk_errors, open_plain, rename_new
from highwater.io.errors import AccessError, IntegrityError, MissingError, StoreError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("code", "kind", "cause"),
    [
        (errno.ENOSPC, StoreError, "disk full"),
        (errno.EDQUOT, StoreError, "disk quota reached"),
        (errno.EFBIG, StoreError, "file size limit reached"),
        (errno.EIO, StoreError, "the disk reported an error"),
        (errno.EMFILE, StoreError, "too many open files"),
        (errno.EACCES, AccessError, "Permission denied"),
        (errno.EROFS, AccessError, "Read-only file system"),
    ],
)
def test_what_the_disk_refuses_is_named(code, kind, cause):
    with pytest.raises(kind) as caught, disk_errors("writing x", "free space, or name another"):
        raise OSError(code, os.strerror(code))
    remedy = "name another" if kind is AccessError else "free space, or name another"

    assert f"{cause} while writing x; {remedy}" == str(caught.value)


def test_an_error_that_has_its_words_keeps_them():
    with pytest.raises(MissingError, match="no run"), disk_errors("reading x", "wait"):
        raise MissingError("no run")


@pytest.mark.parametrize("link", [False, True])
def test_a_new_file_never_replaces_or_follows_what_is_there(tmp_path, link):
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    (tmp_path / "f").symlink_to(target) if link else (tmp_path / "f").write_bytes(b"precious")
    with pytest.raises(StoreError, match="File exists while writing f"):
        NewFile(tmp_path, "f", "repeat")

    assert [b"precious"] * 2 == [target.read_bytes(), (tmp_path / "f").read_bytes()]


def test_a_new_file_in_a_linked_folder_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "a").symlink_to("elsewhere")
    with pytest.raises(StoreError, match="while writing a/f"):
        NewFile(tmp_path, "a/f", "repeat")

    assert [] == names(tmp_path / "elsewhere")


def test_a_write_that_takes_few_bytes_goes_on(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
    file = NewFile(tmp_path, "f", "repeat")
    file.write(b"0123456789")
    file.close()

    assert b"0123456789" == (tmp_path / "f").read_bytes()
    assert 10 == file.size


@pytest.mark.parametrize("refuse", ["write", "fsync"])
def test_what_the_disk_refuses_of_the_writing_is_raised_at_the_end(tmp_path, monkeypatch, refuse):
    calls = []

    def refusing(*given):
        calls.append(given)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = NewFile(tmp_path, "f", "free space")
    with monkeypatch.context() as full:
        full.setattr(os, refuse, refusing)
        written = [file.write(b"0123"), file.write(b"45")]
        with pytest.raises(StoreError, match=r"disk full while writing f \(after \d bytes\); free space"):
            file.close()
    file.discard()

    assert [4, 2] == written
    assert 1 == len(calls)
    assert [] == names(tmp_path)


@pytest.fixture(params=["renameat2", "without renameat2"])
def rename(request, monkeypatch):
    if request.param == "without renameat2":
        monkeypatch.setattr(durable.ctypes, "CDLL", lambda *_, **__: types.SimpleNamespace())
    return rename_new


def test_a_directory_moves_to_a_free_name(tmp_path, rename):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "f").touch()
    rename(tmp_path / "a", tmp_path / "b")

    assert ["b"] == names(tmp_path)
    assert ["f"] == names(tmp_path / "b")


@pytest.mark.parametrize("content", [[], ["kept"]])
def test_a_taken_name_is_never_replaced(tmp_path, rename, content):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name in content:
        (tmp_path / "b" / name).touch()
    with pytest.raises(FileExistsError):
        rename(tmp_path / "a", tmp_path / "b")

    assert ["a", "b"] == names(tmp_path)
    assert content == names(tmp_path / "b")


def test_a_plain_file_is_opened(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "f").write_bytes(b"x")
    with os.fdopen(open_plain(tmp_path, "a/f"), "rb") as file:
        found = file.read()

    assert b"x" == found


def link_file(root):
    (root / "a").mkdir()
    (root / "a" / "f").symlink_to(root / "f")


def link_folder(root):
    (root / "a").symlink_to(root / "b")


def pipe(root):
    (root / "a").mkdir()
    os.mkfifo(root / "a" / "f")


def folder(root):
    (root / "a" / "f").mkdir(parents=True)


@pytest.mark.parametrize("hostile", [link_file, link_folder, pipe, folder])
def test_anything_but_a_plain_file_is_refused(tmp_path, hostile):
    (tmp_path / "b").mkdir()
    for name in ("f", "b/f"):
        (tmp_path / name).write_bytes(b"secret")
    hostile(tmp_path)
    with pytest.raises(IntegrityError, match="plain"):
        open_plain(tmp_path, "a/f")
    with pytest.raises(FileNotFoundError):
        open_plain(tmp_path, "b/gone")
