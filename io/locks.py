"""Locks: who is at work on a directory holds the lock file beside it; a dead process holds none."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = ".lock"
_ANY = os.O_NOFOLLOW | os.O_CLOEXEC


def lock_of(path: Path) -> Path:
    """Return the lock file of a directory."""
    return path.with_name(path.name + LOCK)


def take(path: Path, flags: int = os.O_CREAT) -> int | None:
    """Return a descriptor that holds the lock of ``path``, or None where another process has or had it."""
    lock = os.open(lock_of(path), os.O_RDWR | _ANY | flags, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A sweep may have removed the file between open and flock; a lock on a nameless file guards nothing.
        if os.fstat(lock).st_ino == lock_of(path).stat().st_ino:
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return None


def wait(path: Path, seconds: float) -> int | None:
    """Return what ``take`` does; None where another process has the lock for so long."""
    until = time.monotonic() + seconds
    while (lock := take(path)) is None and time.monotonic() < until:
        time.sleep(0.02)
    return lock


@contextmanager
def among(folder: Path, alone: bool = False) -> Iterator[None]:
    """Hold a directory itself, which must be there, for a moment: ``alone``, or with others who are not alone."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(lock)


def give_back(path: Path, lock: int) -> None:
    """Remove the lock file and let go of it; what the disk refuses is left to the next sweep."""
    with suppress(OSError):
        lock_of(path).unlink(missing_ok=True)
    with suppress(OSError):
        os.close(lock)


def remove_dead(path: Path) -> bool:
    """Remove a directory whose lock nobody holds; return whether it was so."""
    lock = take(path)
    if lock is not None:
        shutil.rmtree(path, ignore_errors=True)
        give_back(path, lock)
    return lock is not None


def is_held(path: Path) -> bool:
    """Return whether a process holds the lock of ``path``."""
    with suppress(OSError):
        lock = os.open(lock_of(path), os.O_RDONLY | _ANY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
    return False
