import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numba
import numpy as np
import platformdirs
import pytest
from highwater.kernels import jit
from numba.core.cpu_options import ParallelOptions


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return the folder that stands for the user's cache."""
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / name)
    return tmp_path / "highwater" / "kernels"


def test_the_cache_is_made_for_its_owner_alone(cache):
    folder = jit.cache_folder()

    assert cache / jit.kernels_digest()[:16] == folder
    assert 0o700 == stat.S_IMODE(cache.stat().st_mode)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_cache_that_others_may_write_is_refused(cache, mode):
    cache.mkdir(parents=True)
    cache.chmod(mode)

    with pytest.raises(PermissionError, match=f"others may write .* chmod 700.*{cache}"):
        jit.cache_folder()


@pytest.mark.skipif(os.name != "posix", reason="owners are POSIX")
def test_a_cache_of_somebody_else_is_refused(cache, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: cache.stat().st_uid + 1)

    with pytest.raises(PermissionError, match="others may write"):
        jit.cache_folder()


def test_where_no_cache_can_be_made_there_is_none(cache):
    cache.parent.write_text("a file in the way")

    assert None is jit.cache_folder()


def test_a_cache_that_cannot_be_written_is_none(cache, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)

    assert None is jit.cache_folder()


@pytest.mark.parametrize("change", ["edit", "rename", "add"])
def test_the_digest_knows_every_kernel_source(tmp_path, monkeypatch, change):
    copy = shutil.copytree(Path(jit.__file__).parent, tmp_path / "kernels")
    before = jit.kernels_digest()
    monkeypatch.setattr(jit, "__file__", str(copy / "jit.py"))
    unchanged = jit.kernels_digest()
    walk = copy / "walk.py"
    if change == "edit":
        walk.write_text(walk.read_text().replace("BLOCK = 16", "BLOCK = 32"))
    elif change == "rename":
        walk.rename(copy / "stroll.py")
    else:
        (copy / "more.py").touch()

    assert before == unchanged
    assert before != jit.kernels_digest()


@pytest.mark.skipif(bool(jit.config.DISABLE_JIT), reason="nothing is compiled")
def test_every_signature_is_compiled_with_prange_alone():
    options: Any = jit.compiled_parallel(lambda n: n).targetoptions["parallel"]  # type: ignore[attr-defined]
    first, second = (ParallelOptions(options) for _ in range(2))  # as numba reads them, once for each signature

    assert first == second
    assert second.prange and not second.numpy


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 9, 1000])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_loop_is_shared_out_whole(count, workers):
    done = np.zeros(count, int)

    def kernel(done, first, last):
        done[first:last] += 1

    with jit.threads(workers):
        jit.share(kernel, count, done)

    assert [1] * count == done.tolist()


def test_an_error_in_a_part_of_a_loop_is_raised():
    def kernel(first, last):
        raise KeyError(first)

    with jit.threads(2), pytest.raises(KeyError):
        jit.share(kernel, 100)


def test_an_error_waits_for_the_other_parts():
    done = []

    def kernel(first, last):
        if first == 0:
            raise KeyError(first)
        time.sleep(0.05)
        done.append(first)

    with jit.threads(2), pytest.raises(KeyError):
        jit.share(kernel, 100)

    assert [50] == done


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_shares_loops_too():
    code = (
        "import os, warnings; warnings.simplefilter('ignore'); from highwater.kernels import jit\n"
        "with jit.threads(2):\n"
        "    assert [(0, 5), (5, 10)] == jit.share(lambda first, last: (first, last), 10)\n"
        "    child = os.fork()\n"
        "    if child == 0: os._exit([(0, 5), (5, 10)] != jit.share(lambda first, last: (first, last), 10))\n"
        "    assert 0 == os.waitpid(child, 0)[1]\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)

    assert (0, "") == (ran.returncode, ran.stderr)


@pytest.mark.parametrize(("count", "yielded"), [(1, 1), (2, 2), (None, 3), (99, 3)])
def test_threads_are_given_back(monkeypatch, count, yielded):
    given = [3]
    monkeypatch.setattr(jit.config, "NUMBA_NUM_THREADS", 3)
    monkeypatch.setattr(numba, "get_num_threads", lambda: given[-1])
    monkeypatch.setattr(numba, "set_num_threads", given.append)
    with jit.threads(count) as n:
        assert yielded == n == given[-1]

    assert [3, yielded, 3] == given


def test_threads_are_given_back_after_an_error():
    before = numba.get_num_threads()
    with pytest.raises(KeyError), jit.threads(1):
        assert 1 == numba.get_num_threads()
        raise KeyError

    assert before == numba.get_num_threads()


@pytest.mark.parametrize(
    ("cause", "raised"), [(KeyboardInterrupt(), KeyboardInterrupt), (ValueError(), SystemError), (None, SystemError)]
)
def test_a_signal_that_a_kernel_swallowed_comes_out_again(cause, raised):
    inner = SystemError("returned a result with an exception set")
    inner.__cause__ = cause
    with pytest.raises(raised), jit.threads(1):
        raise SystemError("returned a result with an exception set") from inner


@pytest.mark.skipif(bool(jit.config.DISABLE_JIT), reason="nothing is compiled")
def test_division_by_zero_is_that_of_numpy_and_a_users_cache_stays_theirs():
    divide = jit.compiled(lambda a, b: a / b)

    assert float("inf") == divide(1.0, 0.0)
    assert str(jit._folder) != jit.config.CACHE_DIR
