"""Bringing a lab into the store: its list to the last page, and what is missing of each finished backtest."""

import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import DataError, HighwaterError, MissingError
from .client import RUNNING, Client, Page, is_finished
from .store import LabRecords, Writer, lab_records, writing

PAGE, WORKERS = 100, 8
COMMIT_S = 1.0  # what was fetched is durable after so long at the latest
IN_A_ROW = 5  # failures after which a server is taken to be gone


@dataclass(frozen=True)
class Event:
    """How far a fetch is: ``kind`` is page (``done`` listed), stored (``done`` durable), failed, or done."""

    kind: str
    lab: str
    done: int
    total: int
    text: str = ""


@dataclass(frozen=True)
class Synced:
    """What a fetch did. ``found``: backtests in the list; ``kept``: of these, known to be whole before.

    ``fetched``: parts that came now; ``failed``: backtest -> why a part of it did not come; ``complete``: nothing is
    missing of the lab as it was listed.
    """

    server: str
    lab: str
    running: bool
    found: int
    kept: int
    fetched: int
    complete: bool
    failed: Mapping[str, str] = field(default_factory=dict)


OnEvent = Callable[[Event], None]


def sync(
    client: Client,
    store: Path,
    lab: str,
    *,
    parts: Sequence[str] = ("runtime",),
    page: int = PAGE,
    most: int | None = None,
    workers: int = WORKERS,
    on_event: OnEvent = lambda event: None,
) -> Synced:
    """Fetch what is missing of a lab and return what was done; goes on where an earlier fetch stopped.

    ``most``: list no more than so many backtests; such a list is not complete. A part that the server does not have is
    noted in ``failed``, and others are fetched all the same; where five in a row do not come, the error is raised.
    What is stored by then stays; the client is of no use then.
    """
    server = client.access.server
    found = client.lab(lab)
    details: dict[str, Any] = found.value
    running, count = details.get("S") in RUNNING, details.get("CB")
    count = count if isinstance(count, int) else None
    before = _before(store, server, lab)
    with writing(store, server, lab) as out:
        job = _Job(lab, parts, {part: out.kept(part) for part in parts}, running, count or 0, on_event)
        pages: Iterator[Page] | None = None
        if before is None or not before.listed or running or _changed(before.details, details):
            pages = client.pages(lab, page, count)
            job.listing = out.begin_listing(found.body.decode())
        else:
            names = [each.key.backtest for each in before.backtests if each.finished][:most]
            job.names = [each.key.backtest for each in before.backtests][:most]
            job.add(names)
        _fetch(client, out, job, pages, most, workers)
    after = lab_records(store, server, lab)
    on_event(Event("done", lab, job.done, job.total))
    kept = len(job.names) - len(job.lacking)
    return Synced(server, lab, running, len(job.names), kept, job.done, after.complete, job.failed)


@dataclass
class _Job:
    """What is to be fetched of a lab, and what was.

    ``kept``: by part the backtests that have it; ``count``: backtests that the server says the lab has; ``todo`` of
    (part, backtest); ``names`` in the list so far, of which ``lacking`` had not every part; ``row`` of failures.
    """

    lab: str
    parts: Sequence[str]
    kept: Mapping[str, set[str]]
    running: bool
    count: int
    on_event: OnEvent
    todo: deque[tuple[str, str]] = field(default_factory=deque)
    names: list[str] = field(default_factory=list)
    lacking: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    listing: int | None = None
    pages: int = 0
    total: int = 0
    done: int = 0
    pending: int = 0
    row: int = 0
    told: float = field(default_factory=time.monotonic)

    def add(self, names: Iterable[str]) -> None:
        """Note what is missing of finished backtests."""
        for name in names:
            missing = [(part, name) for part in self.parts if name not in self.kept[part]]
            self.todo.extend(missing)
            self.total += len(missing)
            self.lacking |= {name} if missing else set()

    def tell(self, kind: str, done: int, total: int, text: str = "") -> None:
        self.on_event(Event(kind, self.lab, done, total, text))


def _before(store: Path, server: str, lab: str) -> LabRecords | None:
    with suppress(MissingError):
        return lab_records(store, server, lab)
    return None


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether a lab has more, or was started again, since its list was read."""
    return any(before.get(name) != now.get(name) for name in ("S", "SB", "CB", "SA", "UA"))


def _fetch(
    client: Client, out: Writer, job: _Job, pages: Iterator[Page] | None, most: int | None, workers: int
) -> None:
    """Read the list into the store and, meanwhile, fetch what is missing of the backtests seen so far."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="labs")
    asked: dict[Future[Any], tuple[str, str] | None] = {}
    try:
        while True:
            if pages is not None and None not in asked.values():
                asked[pool.submit(next, pages, None)] = None
            while len(asked) < 2 * workers and job.todo:
                part, name = job.todo.popleft()
                asked[pool.submit(client.detail, part, job.lab, name)] = part, name
            if not asked:
                break
            for future in wait(asked, return_when=FIRST_COMPLETED).done:
                what = asked.pop(future)
                if what is not None:
                    _answered(out, job, *what, future)
                elif not _listed(out, job, future.result(), most):
                    pages = None
        _commit(out, job)
    except BaseException:
        client.pace.stop()
        with suppress(sqlite3.Error):
            out.commit()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _listed(out: Writer, job: _Job, page: Page | None, most: int | None) -> bool:
    """Keep a page, durably, and return whether another is to be read."""
    if page is None:
        out.end_listing(job.listing or 0, job.pages)
        out.commit()
        return False
    job.pages += 1
    items = page.items if most is None else page.items[: most - len(job.names)]
    names = [str(item.value["BID"]) for item in items]
    finished = [
        out.seen(name, each.body, is_finished(each.value, job.running)) for name, each in zip(names, items, strict=True)
    ]
    _commit(out, job)
    job.names += names
    job.add(name for name, done in zip(names, finished, strict=True) if done)
    job.tell("page", len(job.names), max(job.count, len(job.names)))
    whole = page.following is None and len(items) == len(page.items)
    return whole or most is None or len(job.names) < most


def _answered(out: Writer, job: _Job, part: str, name: str, future: Future[bytes]) -> None:
    """Keep an answer, durable soon, or note why it is none. Raises it where it is the fifth in a row."""
    try:
        body = future.result()
    except HighwaterError as error:
        job.failed[name] = f"{part}: {error}"
        job.tell("failed", job.done, job.total, f"{name} {job.failed[name]}")
        job.row = 0 if isinstance(error, DataError) else job.row + 1
        if job.row >= IN_A_ROW:
            _commit(out, job)
            raise
        return
    job.row = 0
    out.add(name, part, body)
    job.pending += 1
    if time.monotonic() - job.told >= COMMIT_S:
        _commit(out, job)


def _commit(out: Writer, job: _Job) -> None:
    out.commit()
    job.told = time.monotonic()
    if job.pending:
        job.done, job.pending = job.done + job.pending, 0
        job.tell("stored", job.done, max(job.total, len(job.parts) * job.count if job.listing else 0))
