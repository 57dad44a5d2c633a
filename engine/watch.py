"""The process that waits for the work to be done in another, and says what became of it where the system killed it.

Out of memory, or with a mapped file cut short under it, a process ends without a word. Linux only: elsewhere the work
is done where it is.
"""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..io import account

_PASSED_ON = (signal.SIGINT, signal.SIGTERM)
_KILLED = (
    *(signal.SIGKILL, signal.SIGBUS, signal.SIGSEGV, signal.SIGABRT, signal.SIGILL, signal.SIGFPE),
    *(signal.SIGSYS, signal.SIGXCPU),
)
_FROM_KERNEL = 0x80  # si_code: a terminal, which tells the child itself
_PR_SET_PDEATHSIG = 1


def watch() -> int | None:
    """Return None in a new process, which is to do the work, and in this one its exit code once it has ended.

    Called before anything is loaded that has threads. Where a signal killed it that it could not meet, a line on stderr
    says in which work; its stage is removed and the code is 1.
    """
    if sys.platform != "linux":
        return None
    page, waited = account.share(), {*_PASSED_ON, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    watcher = os.getpid()
    child = os.fork()
    if child == 0:
        _end_with(watcher)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return None
    status = _wait(child, waited)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if os.WIFEXITED(status):
        return os.WEXITSTATUS(status)
    return _killed(os.WTERMSIG(status), account.told(page))


def _end_with(watcher: int) -> None:
    """Let this process be killed when its watcher ends."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != watcher:
        os._exit(1)


def _wait(child: int, waited: set[signal.Signals]) -> int:
    """Return the status of a child once it has ended; what another process asks of this one is passed on to it."""
    while True:
        came = signal.sigwaitinfo(waited)
        if came.si_signo == signal.SIGCHLD:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return status
        elif came.si_code != _FROM_KERNEL:
            os.kill(child, came.si_signo)


def _killed(number: int, known: Mapping[str, Any]) -> int:
    """Say what a process was at that a signal killed, remove its stage, and return the exit code."""
    if number not in _KILLED:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    line, stage = reason(number, known), Path(known.get("stage", "/"))
    if stage.name and stage.is_dir():
        from ..io.publish import sweep
        from ..io.searches import stopped, unfinished

        sweep(stage.parent)
        root, run_id = stage.parents[1], stage.name.partition(".")[0]
        kept = [stopped(one.path, root) for one in unfinished(root) if one.run_id == run_id]
        line += f"; {kept[0] if kept else 'nothing was saved'}"
    print(f"highwater: {line}", file=sys.stderr)
    return 1


def reason(number: int, known: Mapping[str, Any]) -> str:
    """Return why a process was killed by a signal, with what it told."""
    name, size = known.get("mapped", ("", 0))
    if number == signal.SIGBUS and name and (found := _size(name)) != size:
        was = f"it had {size:,} bytes and has {found:,}"
        return f"{name} changed while it was being read: {was}; let nothing write to it"
    at = f" in {known['doing']}" if "doing" in known else ""
    why = ", probably out of memory" if number == signal.SIGKILL else f", {signal.Signals(number).name}"
    remedy = "; ask for less at once, or use a larger machine" if number == signal.SIGKILL else ""
    return f"the process at work was killed (signal {number}{why}){at}{remedy}"


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0
