"""What SIGINT and SIGTERM ask of this process, to stop; raised again where code of others swallowed it.

An exception raised by a signal handler is lost where it meets a callback of the interpreter, or C code that looks
whether a module is there (pyarrow). Measured: two in sixty, sent at random times into the first second of a command.
"""

import contextlib
import functools
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any


class Terminated(BaseException):
    """SIGTERM arrived."""


_RAISED = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}
_asked: BaseException | None = None


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Turn both signals into exceptions, so that cleaning up happens; only the main thread may do so.

    A SIGINT that is ignored, as a shell has it for what runs behind it, stays ignored.
    """
    global _asked
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is _stop:
        yield
        return
    _asked = None
    numbers = [number for number in _RAISED if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _stop) for number in numbers}
    hook = sys.unraisablehook
    sys.unraisablehook = functools.partial(_told, hook)
    try:
        yield
    finally:
        _asked, sys.unraisablehook = None, hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, at: FrameType | None) -> None:
    global _asked
    if _in_llvm(at):
        again = threading.Timer(0.02, signal.pthread_kill, (threading.main_thread().ident, number))
        again.daemon = True
        again.start()
        return
    if number == signal.SIGTERM:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # one is enough; the next would cut the clean-up short
    error = _RAISED[signal.Signals(number)]()
    _asked = error
    raise error


def _in_llvm(at: FrameType | None) -> bool:
    """Return whether LLVM is at work below: it goes on without what a callback of its should have given, to a SIGSEGV.

    Measured: one in 200, sent while kernels were loaded.
    """
    while at is not None:
        if at.f_globals.get("__name__", "").startswith("llvmlite."):
            return True
        at = at.f_back
    return False


def _told(hook: Callable[[Any], Any], lost: Any) -> None:
    """Tell ``hook`` of an error that met a ``__del__``, but of no signal: ``check`` raises that again."""
    if lost.exc_value is None or lost.exc_value is not _asked:
        hook(lost)


def check() -> None:
    """Raise again what was asked of this process, if it is still at work."""
    if _asked is not None:
        raise _asked


def behind(error: BaseException) -> BaseException:
    """Return what was asked, where ``error`` may come of it: Python 3.11 wraps what is raised as a class is made, and
    a module that was half loaded when it was asked fails in ways of its own.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, KeyboardInterrupt | Terminated):
            return cause
        cause = cause.__cause__
    return _asked or error


def exit_of(error: BaseException) -> tuple[int, str]:
    """Return the exit code of a process that was asked to stop, and the word for it; (1, "") for another error."""
    if isinstance(error, KeyboardInterrupt):
        return 130, "interrupted"
    return (143, "terminated") if isinstance(error, Terminated) else (1, "")
