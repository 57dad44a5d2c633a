"""How far a long piece of work has come, on stderr: a bar on a terminal, lines elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from .stopping import check

Advance = Callable[[int], None]
PATIENCE = 1.0  # seconds before anything is shown


def say(text: str, quiet: bool = False) -> None:
    """Print a step of the work on stderr; nothing where it is to be quiet."""
    if not quiet:
        print(text, file=sys.stderr)


@contextlib.contextmanager
def progress(what: str, total: int, quiet: bool = False) -> Iterator[Advance]:
    """Yield ``advance(done)``, which says how much of ``total`` is done by now (not how much more).

    Work that ends within a second shows nothing; nor does ``quiet``. Then a terminal gets a bar with rate and time
    left, anything else a line for every 10 %, with both too.
    """
    if quiet or total <= 0:
        yield lambda done: check()
        return
    view = _Bar(what, total) if sys.stderr.isatty() else _Lines(what, total)

    def advance(done: int) -> None:
        check()
        view.advance(done)

    try:
        yield advance
    finally:
        view.close()


class _Lines:
    def __init__(self, what: str, total: int):
        self.what, self.total, self.tenths, self.began = what, total, 0, time.monotonic()

    def advance(self, done: int) -> None:
        tenths, passed = 10 * done // self.total, time.monotonic() - self.began
        if passed >= PATIENCE and tenths > self.tenths:
            self.tenths = tenths
            rate, left = done / passed, passed * (self.total - done) / done
            print(
                f"{self.what}: {10 * tenths} %, {done:,} of {self.total:,}, {rate:,.0f}/s, {left:,.0f} s left",
                file=sys.stderr,
            )

    def close(self) -> None:
        pass


class _Bar:
    def __init__(self, what: str, total: int):
        self.what, self.total, self.began = what, total, time.monotonic()
        self.shown: Any = None

    def advance(self, done: int) -> None:
        if self.shown is None:
            if time.monotonic() - self.began < PATIENCE:
                return
            self.shown = _rich(self.what, self.total)
            self.shown.start()
        rate = done / (time.monotonic() - self.began)
        self.shown.update(self.shown.task_ids[0], completed=done, rate=f"{rate:,.0f}/s")

    def close(self) -> None:
        if self.shown:
            self.shown.stop()


def _rich(what: str, total: int) -> Any:
    """Return a bar that vanishes when it is done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]}")
    columns = TextColumn(what, markup=False), BarColumn(), TaskProgressColumn(), rate, TimeRemainingColumn()
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    bar.add_task(what, total=total, rate="")
    return bar
