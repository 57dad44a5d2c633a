"""How fast a server is asked: a token bucket that many threads share."""

import threading
import time
from collections.abc import Callable

from ..errors import BusyError


class Pace:
    """Lets ``rate`` questions a second pass, and ``burst`` at once after a rest; a server may ask for a pause of all.

    What waits is let go with BusyError once ``stop`` was called.
    """

    def __init__(self, rate: float, burst: int = 1, clock: Callable[[], float] = time.monotonic):
        self._step, self._burst, self._clock = 1 / rate, burst, clock
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._next = clock()

    def take(self) -> None:
        """Return when the next question may be asked."""
        with self._lock:
            now = self._clock()
            self._next = max(self._next, now - self._step * (self._burst - 1))
            wait = self._next - now
            self._next += self._step
        self.rest(wait)

    def hold(self, seconds: float) -> None:
        """Let no question pass for so long."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds + self._step * (self._burst - 1))

    def rest(self, seconds: float) -> None:
        """Wait, or raise BusyError once ``stop`` was called."""
        if self._stopped.is_set() or (seconds > 0 and self._stopped.wait(seconds)):
            raise BusyError("the fetch was stopped")

    def stop(self) -> None:
        """Let go of what waits."""
        self._stopped.set()
