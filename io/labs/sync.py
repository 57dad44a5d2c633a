"""Bringing a lab into the store: its list to the last page, then what is missing of each finished backtest."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..digest import canonical_json
from ..errors import DataError, HighwaterError, MissingError
from .client import RUNNING, Client, is_finished
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
    What is stored by then stays.
    """
    server = client.access.server
    details = client.lab(lab)
    running = details.get("S") in RUNNING
    before = _before(store, server, lab)
    with writing(store, server, lab) as out:
        if before is None or not before.listed or running or _changed(before.details, details):
            names = _list(client, out, lab, details, page, most, on_event)
        else:
            names = [each.key.backtest for each in before.backtests]
        wanted = set(names[:most])
        missing = [(part, name) for part in parts for name in out.lacking(part) if name in wanted]
        fetched, failed = _fetch(client, out, lab, missing, workers, on_event)
    after = lab_records(store, server, lab)
    lacking = {name for _, name in missing}
    kept = sum(name not in lacking for name in names)
    on_event(Event("done", lab, fetched, len(missing)))
    return Synced(server, lab, running, len(names), kept, fetched, after.complete, failed)


def _before(store: Path, server: str, lab: str) -> LabRecords | None:
    with suppress(MissingError):
        return lab_records(store, server, lab)
    return None


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether a lab has more, or was started again, since its list was read."""
    return any(before.get(name) != now.get(name) for name in ("S", "SB", "CB", "SA", "UA"))


def _list(
    client: Client, out: Writer, lab: str, details: dict[str, Any], page: int, most: int | None, on_event: OnEvent
) -> list[str]:
    """Read the list page by page into the store, each page durable before the next, and return its backtests."""
    count, running = details.get("CB"), details.get("S") in RUNNING
    number, names, pages = out.begin_listing(canonical_json(details).decode()), [], 0
    for found in client.pages(lab, page, count if isinstance(count, int) else None):
        pages += 1
        for item in found.items:
            names.append(str(item.value["BID"]))
            out.seen(names[-1], item.body, is_finished(item.value, running))
        out.commit()
        on_event(Event("page", lab, len(names), max(len(names), count if isinstance(count, int) else 0)))
        if most is not None and len(names) >= most and found.following is not None:
            return names
    out.end_listing(number, pages)
    out.commit()
    return names


def _fetch(
    client: Client, out: Writer, lab: str, missing: list[tuple[str, str]], workers: int, on_event: OnEvent
) -> tuple[int, dict[str, str]]:
    """Fetch (part, backtest) many at once into the store; return how many came, and why others did not."""
    failed: dict[str, str] = {}
    done, pending, row, told = 0, 0, 0, time.monotonic()
    for part, name, answer in _answers(client, lab, missing, workers):
        if isinstance(answer, HighwaterError):
            failed[name] = f"{part}: {answer}"
            on_event(Event("failed", lab, done, len(missing), f"{name} {failed[name]}"))
            row = 0 if isinstance(answer, DataError) else row + 1
            if row >= IN_A_ROW:
                out.commit()
                raise answer
            continue
        row = 0
        out.add(name, part, answer)
        pending += 1
        if time.monotonic() - told >= COMMIT_S:
            out.commit()
            done, pending, told = done + pending, 0, time.monotonic()
            on_event(Event("stored", lab, done, len(missing)))
    out.commit()
    if pending:
        on_event(Event("stored", lab, done + pending, len(missing)))
    return done + pending, failed


def _answers(
    client: Client, lab: str, missing: list[tuple[str, str]], workers: int
) -> Iterator[tuple[str, str, bytes | HighwaterError]]:
    """Yield what came of each (part, backtest), as it comes; never more than two a worker wait to be taken."""
    rest = iter(missing)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="labs")
    asked: dict[Future[bytes], tuple[str, str]] = {}
    try:
        while True:
            while len(asked) < 2 * workers and (next_ := next(rest, None)) is not None:
                asked[pool.submit(client.detail, next_[0], lab, next_[1])] = next_
            if not asked:
                return
            for future in wait(asked, return_when=FIRST_COMPLETED).done:
                part, name = asked.pop(future)
                try:
                    yield part, name, future.result()
                except HighwaterError as error:
                    yield part, name, error
    except BaseException:
        client.pace.stop()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
