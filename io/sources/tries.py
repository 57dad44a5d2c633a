"""Asking a server again: what is worth another try, how long to wait for it, and what is said when there is none."""

import time
from collections.abc import Callable
from typing import TypeVar

from ..errors import BusyError, HighwaterError, StoreError

TRIES, LONGEST = 4, 30.0  # the last wait is the longest the server may ask for, in seconds
TIMEOUT = 10.0
OTHERWISE = "read local files instead: --data FILE, or try with --synthetic"
_Answer = TypeVar("_Answer")


class Refused(OSError):
    """A server's answer that is none: ``status`` of HTTP, 0 where nothing or only a part came; ``wait`` as it asked."""

    def __init__(self, status: int, reason: str, wait: float = 0.0):
        super().__init__(reason)
        self.status, self.reason, self.wait = status, reason.strip().partition("\n")[0][:200], wait

    @property
    def passing(self) -> bool:
        """Whether asking again can help: no connection, a broken answer, a rate limit, a fault of the server's."""
        return self.status in (0, 418, 429) or self.status >= 500


def insist(
    ask: Callable[[], _Answer],
    server: str,
    pause: Callable[[float], None] | None = None,
    otherwise: str = OTHERWISE,
) -> _Answer:
    """Return what ``ask`` returns, asked up to four times, 1, 2 and 4 seconds apart or as the server wishes.

    ``ask`` raises Refused; what asking again cannot help is raised as it is. In the end BusyError for a rate limit,
    StoreError for all else.
    """
    pause = pause or time.sleep
    for attempt in range(TRIES):
        try:
            return ask()
        except Refused as error:
            if not error.passing:
                raise
            if attempt == TRIES - 1 or error.wait > LONGEST:
                raise _given_up(error, server, attempt + 1, otherwise) from error
            pause(max(2.0**attempt, error.wait))
    raise AssertionError


def seconds(text: str | None) -> float:
    """Return what a Retry-After header asks for in seconds, 0 where it names none."""
    try:
        return max(0.0, float(text or 0))
    except ValueError:  # a date: rare, and a wait as after any other fault does
        return 0.0


def _given_up(error: Refused, server: str, tries: int, otherwise: str) -> HighwaterError:
    times = f"after {tries} tries" if tries > 1 else "at once"
    if error.status in (418, 429):
        asked = f" and asks for {error.wait:.0f} s of patience" if error.wait else ""
        return BusyError(f"{server} refused {times}: too many requests{asked}; try again later, or {otherwise}")
    if error.status:
        return StoreError(f"{server} failed {times} with HTTP {error.status} ({error.reason}); {otherwise}")
    return StoreError(f"{server} could not be read {times} ({error.reason}); look to the network, or {otherwise}")
