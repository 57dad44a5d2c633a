"""Files written once: made exclusively, hashed on their way, synced; and opened again only where still plain files."""

import contextlib
import ctypes
import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import AccessError, HighwaterError, IntegrityError, StoreError
from .names import plain_path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_AT_FDCWD, _RENAME_NOREPLACE = -100, 1

_CAUSES = {
    errno.ENOSPC: "disk full",
    errno.EDQUOT: "disk quota reached",
    errno.EFBIG: "file size limit reached",
    errno.EIO: "the disk reported an error",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
}


@contextlib.contextmanager
def disk_errors(doing: str, remedy: str) -> Iterator[None]:
    """Turn an OSError inside into StoreError or AccessError: ``<cause> while <doing>; <remedy>``.

    A remedy that begins with free space does so only where that would help.
    """
    try:
        yield
    except HighwaterError:
        raise
    except OSError as error:
        denied = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
        cause = _CAUSES.get(error.errno or 0, error.strerror or str(error))
        help_ = re.sub("^free space(, or|,| or) ", "", remedy) if denied else remedy
        raise (AccessError if denied else StoreError)(f"{cause} while {doing}; {help_}") from error


class NewFile:
    """A file that did not exist: ``size`` and ``sha256`` of what was written, on disk once ``close`` returned.

    Where the disk refuses it, StoreError or AccessError names the file (as ``known_as``, if it is yet to get that
    name); what it refuses of the writing is raised by ``close``, so that whatever makes the bytes comes to its end. A
    path that leads out of ``root`` is a ValueError. Fit to be given to pyarrow.
    """

    def __init__(self, root: Path, relative: str, remedy: str, known_as: str = ""):
        self.relative, self.remedy, self._name = relative, remedy, known_as or relative
        self.size, self.closed = 0, False
        self._hash = hashlib.sha256()
        self._refused: HighwaterError | None = None
        with self._errors():
            self._path = root / plain_path(relative)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            folder = os.open(self._path.parent, _FOLDER | os.O_NOFOLLOW)
            try:
                self._fd = os.open(self._path.name, _NEW, 0o444, dir_fd=folder)
            finally:
                os.close(folder)

    @property
    def sha256(self) -> str:
        """The sha256 of the bytes so far, 64 hex."""
        return self._hash.hexdigest()

    def write(self, data: Any) -> int:
        """Write all of ``data``; nothing after a refusal or ``discard``."""
        view = memoryview(data).cast("B")
        if not self.closed and self._refused is None:
            self._hash.update(view)
            try:
                with self._errors():
                    rest = view
                    while rest:
                        rest = rest[os.write(self._fd, rest) :]
                self.size += len(view)
            except (StoreError, AccessError) as error:
                self._refused = error
        return len(view)

    def flush(self) -> None:
        """Do nothing: bytes are not held back here."""

    def close(self) -> None:
        """Sync and close. A failed sync is final: what is on disk is unknown."""
        if not self.closed:
            self.closed = True
            with self._errors():
                try:
                    if self._refused is not None:
                        raise self._refused
                    os.fsync(self._fd)
                finally:
                    os.close(self._fd)

    def discard(self) -> None:
        """Close and remove the unfinished file."""
        if not self.closed:
            self.closed = True
            os.close(self._fd)
        self._path.unlink(missing_ok=True)

    def _errors(self) -> contextlib.AbstractContextManager[None]:
        return disk_errors(f"writing {self._name} (after {self.size:,} bytes)", self.remedy)


def sync_folder(path: Path) -> None:
    """Make the entries of a directory durable."""
    sync_file(path, _FOLDER)


def sync_file(path: Path, flags: int = os.O_RDONLY | os.O_CLOEXEC) -> None:
    """Make what others wrote into a file durable."""
    file = os.open(path, flags)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def make_folder(path: Path) -> None:
    """Make a directory and its parents durably; it may exist already."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def rename_new(source: Path, target: Path) -> None:
    """Rename a directory in one step to a name that must be free. Raises FileExistsError where it is taken."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is not None:
        if renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE) == 0:
            return
        code = ctypes.get_errno()
        if code not in (errno.ENOSYS, errno.EINVAL):
            raise OSError(code, os.strerror(code), str(target))
    # rename(2) replaces an empty directory: making it first claims the name, and a reader sees no marker in it.
    target.mkdir()
    source.rename(target)


def open_plain(folder: Path, relative: str) -> int:
    """Return a descriptor of a file below ``folder``, to read.

    Raises IntegrityError where it, or a directory on the way, is a link or anything but plain (a pipe is not
    even opened); FileNotFoundError where it is missing.
    """
    *folders, name = relative.split("/")
    at = os.open(folder, _FOLDER)
    try:
        for part in folders:
            outer, at = at, os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=at)
            os.close(outer)
        if not stat.S_ISREG(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
            raise IntegrityError(f"{folder / relative} is not a plain file; it was replaced after the run was saved")
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        raise IntegrityError(f"{folder / relative} does not lie in plain directories; one was replaced") from error
    finally:
        os.close(at)
