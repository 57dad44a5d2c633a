"""The njit options, once, and the folder where compiled code is kept.

Numba's file cache does not notice a changed helper in another file. So the folder is named by a digest of every
kernel source: a changed kernel looks in a new folder and finds nothing stale there.
"""

# numba makes the attributes of its config at run time.
# pyright: reportAttributeAccessIssue=false

import contextlib
import errno
import hashlib
import os
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
import platformdirs
from numba import prange
from numba.core import config
from numba.core.cpu_options import ParallelOptions

__all__ = ["compiled", "compiled_parallel", "kernels_digest", "prange", "share", "threads"]

F = TypeVar("F", bound=Callable[..., Any])

# numba's workqueue layer aborts the process when two threads run parallel kernels at once.
_one_at_a_time = threading.Lock()


def kernels_digest() -> str:
    """Return the sha256 (64 hex) over the names and bytes of the kernel sources."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()


def cache_folder() -> Path | None:
    """Return this user's folder for the compiled kernels, made with mode 0700, or None where none can be made.

    Raises PermissionError where the folder belongs to somebody else or others may write to it: the cache holds
    machine code that numba loads without asking.
    """
    folder = Path(platformdirs.user_cache_path("highwater")) / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return None
    found = folder.stat()
    if os.name == "posix" and (found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        raise PermissionError(
            errno.EPERM, "others may write compiled code here; chmod 700 it or remove it", str(folder)
        )
    return folder / kernels_digest()[:16] if os.access(folder, os.W_OK) else None


_folder = cache_folder()
cold = _folder is None or not _folder.exists()  # when this module was loaded: the kernels used will be compiled first


def _njit(function: Callable[..., Any], **options: Any) -> Any:
    if _folder is None:
        return numba.njit(**options)(function)
    # The folder is read once, when the function is decorated; a user's own cached functions keep theirs.
    before, config.CACHE_DIR = config.CACHE_DIR, str(_folder)
    try:
        return numba.njit(cache=True, **options)(function)
    finally:
        config.CACHE_DIR = before


def compiled(function: F) -> F:
    """Compile ``function``: no Python objects, no fastmath, division by zero gives inf or NaN as in numpy."""
    return _njit(function, nogil=True, error_model="numpy")


# Only ``prange`` is made parallel: letting numba rewrite array expressions too costs seconds of compilation. The
# options are frozen here, because numba empties a dict at its first compilation and the second signature would get
# all of them.
_PRANGE_ONLY = ParallelOptions(
    dict.fromkeys(("comprehension", "reduction", "inplace_binop", "setitem", "numpy", "stencil", "fusion"), False)
    | {"prange": True}
)


def compiled_parallel(function: F) -> F:
    """Compile ``function`` so that its ``prange`` loops use the threads given by ``threads``."""
    return _njit(function, nogil=True, error_model="numpy", parallel=_PRANGE_ONLY)


def share(kernel: Callable[..., Any], count: int, *given: Any) -> list[Any]:
    """Return what ``kernel(*given, first, last)`` returns for parts of ``range(count)``, in order, done by ``threads``.

    The parts must not depend on each other. This instead of ``prange`` halves what a large kernel takes to compile;
    a call costs about 0.1 ms, for the types of its arguments.
    """
    size = max(1, -(-count // numba.get_num_threads()))

    def one(first: int) -> Any:
        return kernel(*given, first, min(count, first + size))

    others = [_pool().submit(one, first) for first in range(size, count, size)]
    try:
        return [one(0), *(each.result() for each in others)] if count else []
    finally:
        wait(others)  # whatever happened, nobody writes on


@cache
def _pool() -> ThreadPoolExecutor:
    """Return the threads that stand beside the caller's, kept: starting two takes 0.2 ms."""
    return ThreadPoolExecutor(max(1, config.NUMBA_NUM_THREADS - 1), "highwater-kernels")


if hasattr(os, "register_at_fork"):  # a child has none of the threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


@contextlib.contextmanager
def threads(count: int | None = None) -> Iterator[int]:
    """Hold the parallel kernels for one caller, on ``count`` threads (None: all), and yield that number."""
    with _one_at_a_time:
        before = numba.get_num_threads()
        limit = config.NUMBA_NUM_THREADS
        numba.set_num_threads(min(count or limit, limit))
        try:
            yield numba.get_num_threads()
        except SystemError as error:
            # A signal handled while a kernel's results are wrapped comes out as the cause of the cause of an error.
            cause: BaseException | None = error
            while isinstance(cause, Exception):
                cause = cause.__cause__
            raise cause or error from None
        finally:
            numba.set_num_threads(before)
