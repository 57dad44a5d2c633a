"""The catalog of a directory of runs, held open and brought up to date by itself."""

import atexit
import contextlib
import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ...io.catalog import sync
from ...io.catalog_store import FOLDER, POINTER, connect
from ...io.errors import BusyError, HighwaterError, MissingError
from .limits import MEMORY, TIME_S, limited

pc: Any = pyarrow.compute
WAIT_S = 0.5  # for a sync that has begun; after that the generation before is asked
STALE_S = 60.0  # a run that was changed where it lies is noticed after this time
# What a list of runs shows, made once a generation: joined anew for each page of 10,000 runs it took 40 ms, and a page
# out of a table of DuckDB took 5 ms of processor.
_LISTED = """
SELECT row_number() OVER (ORDER BY run_id, status) - 1 AS place, r.* EXCLUDE (config, counts),
  config ->> '$.source' AS source, config -> '$.symbols' AS symbols,
  -- an alert without an entry has a row among the trades, and is none
  CASE WHEN total_trades > 0 THEN least(total_trades, (counts ->> '$.OK')::BIGINT) ELSE total_trades END AS total_trades
FROM catalog.runs r LEFT JOIN (
  SELECT run_id, sum(rows)::BIGINT AS total_trades FROM catalog.artifacts
  WHERE artifact_type IN ('trades', 'session_trades') GROUP BY run_id) USING (run_id)
ORDER BY place
"""
_ORDERS = 32  # kept of a listing, 8 bytes a run each
_MONTH = re.compile(r"\d{4}-\d\d")
_Months = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Listing:
    """What a list of runs shows: a row a run, by id, in ``table``; ``digest`` is that of the generation it is of."""

    table: pa.Table
    digest: str
    _orders: dict[Any, np.ndarray] = field(default_factory=dict)

    def row(self, run_id: str) -> int | None:
        """Return the row of a run, None where there is none."""
        found = pc.index(self.table["run_id"], run_id).as_py()
        return None if found < 0 else found

    def ordered(self, key: Any, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the rows that ``make`` returns, made once for a key while few others are asked for."""
        found = self._orders.get(key)
        if found is None:
            found = self._orders[key] = make()
            with _LOCK:
                while len(self._orders) > _ORDERS:
                    self._orders.pop(next(iter(self._orders)))
        return found


@dataclass
class _Held:
    """The catalog of a directory: its connection, the generation it is of, and the sync in progress."""

    root: Path
    lock: threading.Lock = field(default_factory=threading.Lock)
    database: Any = None
    generation: bytes = b""
    listing: Listing | None = None
    months: _Months | None = None
    synced: float = -STALE_S
    job: "Future[Any] | None" = None


_ALL: dict[Path, _Held] = {}
_LOCK = threading.Lock()
_MOST = 8  # directories held open
_POOL = ThreadPoolExecutor(1, "catalog")
atexit.register(_ALL.clear)  # a connection that outlives the interpreter is told of on stderr


@contextlib.contextmanager
def asking(root: str | Path) -> Iterator[Any]:
    """Yield a cursor on the catalog of the runs below ``root``, attached as ``catalog``; raises as ``limited`` does.

    New runs are found by the times of the directories they lie in, and the catalog is synced. Where that takes long
    the generation before is asked. Raises MissingError where there are no runs, and no catalog of them.
    """
    with limited(_current(Path(root))[0]) as cursor:
        yield cursor


def listing(root: str | Path) -> Listing:
    """Return what a list of the runs below ``root`` shows, as new as ``asking`` would have it."""
    return _current(Path(root))[1]


def mark_stale(root: str | Path) -> None:
    """Have the next question sync first: a run was found not to be what the catalog says."""
    _held(Path(root)).synced = -STALE_S


def _held(root: Path) -> _Held:
    root = root.absolute()
    with _LOCK:
        held = _ALL.pop(root, None) or _Held(root)
        _ALL[root] = held  # the last that was asked for stands last
        while len(_ALL) > _MOST:
            _ALL.pop(next(iter(_ALL)))
    return held


def _current(root: Path) -> tuple[Any, Listing]:
    """Return the connection to the newest generation and its listing, after a sync where anything is new."""
    held = _held(root)
    job = _begin(held)
    if job is not None:
        first = not (held.root / FOLDER / POINTER).exists()
        try:
            job.result(TIME_S if first else WAIT_S)
        except TimeoutError:
            if first:
                raise BusyError(f"the catalog of {held.root} is being made; ask again") from None
        except HighwaterError:
            if first:
                raise
    with held.lock:
        pointer = _pointer(held.root)
        if held.listing is None or pointer != held.generation:
            held.listing = _attach(held, pointer)
        return held.database, held.listing


def _begin(held: _Held) -> "Future[Any] | None":
    """Return the sync in progress, begun here where anything changed; None where all is up to date."""
    with held.lock:
        if held.job is not None and not held.job.done():
            return held.job
        months, now = _months(held.root), time.monotonic()
        if months == held.months and now - held.synced < STALE_S:
            return None
        held.months, held.synced = months, now
        held.job = _POOL.submit(sync, held.root)
        return held.job


def _months(root: Path) -> _Months:
    """Return the months below ``root`` with the time at which a run last came or went."""
    try:
        found = [each for each in root.iterdir() if _MONTH.fullmatch(each.name)]
        return tuple(sorted((each.name, each.stat().st_mtime_ns) for each in found))
    except FileNotFoundError:
        raise MissingError(f"{root} is not a directory of runs, or a month of it is gone") from None


def _pointer(root: Path) -> bytes:
    try:
        return (root / FOLDER / POINTER).read_bytes()
    except FileNotFoundError:
        raise MissingError(f"there is no catalog in {root}; highwater catalog sync makes it") from None


def _attach(held: _Held, pointer: bytes) -> Listing:
    """Open the newest generation and return its listing; whoever reads on the connection before keeps it open."""
    database = connect(held.root, memory_limit=f"{MEMORY}B", temp_directory="")
    found = database.sql(_LISTED).to_arrow_table().combine_chunks()
    database.execute("SET threads = 1")
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")
    held.database, held.generation = database, pointer
    return Listing(found, hashlib.sha256(pointer).hexdigest())
