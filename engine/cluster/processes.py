"""Workers that are processes of ours: begun before there is work, replaced where they end, and gone when we are.

Each is this file run as a program: it gets ready, reads the scheduler's address from its standard input, and works
until that is closed. Ctrl-C in a terminal does not reach it, so it is we who end it. Dask's nannies do the same, but
begin only when there is a scheduler: a search on two workers took 2.7 s longer than alone, with these 1.0 s.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

COME_S = 60.0  # seconds a process has to be a worker
AGAIN_S = 1.0  # seconds at least between two processes that take the place of others
_ALONE = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
}


@dataclass
class Processes:
    """Processes that are to be workers. ``address``: the scheduler they were told of; "" before there is one."""

    folder: str
    running: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    address: str = ""
    _replaced: float = 0.0

    def begin(self) -> None:
        """Start one more."""
        command = [sys.executable, "-P", "-m", __name__, self.folder]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=os.environ | _ALONE, start_new_session=True
        )
        self.running.append(process)
        if self.address:
            _tell(process, self.address)

    def join(self, address: str, there: Callable[[], int]) -> None:
        """Tell all of a scheduler, whose workers they become, and return when ``there`` counts as many as they are.

        Raises OSError where one ends before, TimeoutError where one does not come.
        """
        self.address, began = address, time.monotonic()
        for process in self.running:
            _tell(process, address)
        while there() < len(self.running):
            if codes := [process.returncode for process in self.running if process.poll() is not None]:
                raise OSError(f"one ended as it began, with code {codes[0]}")
            if time.monotonic() - began > COME_S:
                raise TimeoutError(f"one did not come in {COME_S:.0f} s")
            time.sleep(0.01)

    def mend(self) -> None:
        """Start another in the place of one that ended, if none was started just now."""
        ended = [process for process in self.running if process.poll() is not None]
        if ended and time.monotonic() - self._replaced > AGAIN_S:
            self._replaced = time.monotonic()
            _end(ended[0])
            self.running.remove(ended[0])
            self.begin()


@contextlib.contextmanager
def begun(count: int) -> Iterator[Processes]:
    """Yield so many processes on their way to be workers; they and what they wrote are gone at the end."""
    found = Processes(tempfile.mkdtemp(prefix="highwater-workers-"))
    try:
        for _ in range(count):
            found.begin()
        yield found
    finally:
        for process in found.running:
            process.kill()
        for process in found.running:
            _end(process)
        shutil.rmtree(found.folder, ignore_errors=True)


def _tell(process: "subprocess.Popen[bytes]", address: str) -> None:
    if process.stdin:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(address.encode() + b"\n")
            process.stdin.flush()


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.wait()
    if process.stdin:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def _main(folder: str) -> None:
    """Be a worker: ready first, then of the scheduler that is named, until standard input ends."""
    sys.modules["pandas"] = None  # type: ignore[assignment]  # pyarrow imports it with its first array: 0.8 s, for nothing
    import asyncio
    import logging

    logging.disable()
    from distributed import Worker

    from . import worker

    worker.warm()
    address = sys.stdin.readline().strip()

    def until_closed() -> None:
        sys.stdin.read()
        os._exit(0)

    async def work() -> None:
        options = {"host": "127.0.0.1", "memory_limit": None, "local_directory": folder}
        async with Worker(address, nthreads=1, **options) as one:
            await one.finished()

    if address:
        threading.Thread(target=until_closed, daemon=True).start()
        asyncio.run(work())


if __name__ == "__main__":
    _main(sys.argv[1])
