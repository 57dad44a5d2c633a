"""How long whoever asks will wait: what reads much looks at the clock in between."""

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar

from .errors import BusyError

_ASKED: ContextVar[tuple[float, float] | None] = ContextVar("asked", default=None)  # (seconds, until then)


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Have ``check`` raise once ``seconds`` are over, in this thread and in contexts that are copied from it."""
    token = _ASKED.set((seconds, time.monotonic() + seconds))
    try:
        yield
    finally:
        _ASKED.reset(token)


def check() -> None:
    """Raise BusyError where more time went by than was given; where none was, there is no end to it."""
    asked = _ASKED.get()
    if asked is not None and time.monotonic() > asked[1]:
        raise BusyError(f"the answer takes longer than {asked[0]:g} s; ask for less")


def left(seconds: float) -> float:
    """Return ``seconds``, or what is left of the time that was given where that is less; at least a millisecond."""
    asked = _ASKED.get()
    return seconds if asked is None else max(0.001, min(seconds, asked[1] - time.monotonic()))
