"""What was fetched of labs, kept: each answer exactly as it came, compressed, one SQLite file a lab.

SQLite's rollback journal is what makes it safe: a process killed at any time loses nothing that was committed. What a
finished backtest is does not change, so what is kept of it is never written again; the file refuses it.
"""

import contextlib
import json
import sqlite3
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from ..durable import disk_errors, make_folder
from ..errors import BusyError, IntegrityError, MissingError, StoreError
from ..locks import give_back, take
from ..names import safe_name

PARTS = ("summary", "runtime", "chart", "log")
SUFFIX = ".labdb"
VERSION = 1
_REMEDY = "free space, or name another --store"
_CODEC = "zstd"
_REPLACE = (
    "DO UPDATE SET fetched_ms = excluded.fetched_ms, size = excluded.size, crc = excluded.crc, data = excluded.data"
)
_TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE backtests (place INTEGER PRIMARY KEY, backtest TEXT NOT NULL UNIQUE, finished INTEGER NOT NULL);
CREATE TABLE parts (
  place INTEGER NOT NULL REFERENCES backtests, part TEXT NOT NULL, fetched_ms INTEGER NOT NULL,
  size INTEGER NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (place, part));
CREATE TABLE listings (
  number INTEGER PRIMARY KEY, began_ms INTEGER NOT NULL, ended_ms INTEGER, pages INTEGER, details BLOB NOT NULL);
CREATE TRIGGER backtests_stay BEFORE DELETE ON backtests
  BEGIN SELECT RAISE(ABORT, 'what was kept of a backtest stays'); END;
CREATE TRIGGER finished_stays BEFORE UPDATE ON backtests WHEN OLD.finished
  BEGIN SELECT RAISE(ABORT, 'a finished backtest does not change'); END;
CREATE TRIGGER parts_stay BEFORE UPDATE ON parts
  WHEN (SELECT finished FROM backtests WHERE place = OLD.place)
  BEGIN SELECT RAISE(ABORT, 'what is kept of a finished backtest does not change'); END;
"""


class Key(NamedTuple):
    """Which backtest: ``server`` is host:port, ``lab`` and ``backtest`` are HaasOnline's ids."""

    server: str
    lab: str
    backtest: str


@dataclass(frozen=True)
class Record:
    """One backtest of a lab: ``place`` counts from 0 in the order they were first seen; ``parts`` are those kept."""

    key: Key
    place: int
    finished: bool
    parts: tuple[str, ...]


@dataclass(frozen=True)
class LabRecords:
    """A lab as it is kept.

    ``listed``: the latest list was read to its last page. ``complete``: and of each finished backtest in it the
    runtime is kept. ``details``: the lab as the server described it then, without envelope; ``listed_ms``: when, or
    None where no list ever came to its end.
    """

    server: str
    lab: str
    listed: bool
    listed_ms: int | None
    details: Mapping[str, Any]
    backtests: tuple[Record, ...]

    @property
    def missing(self) -> tuple[Record, ...]:
        """The finished backtests whose runtime is not kept."""
        return tuple(each for each in self.backtests if each.finished and "runtime" not in each.parts)

    @property
    def complete(self) -> bool:
        """Whether nothing of the lab, as it was listed last, is missing."""
        return self.listed and not self.missing


def path_of(store: Path, server: str, lab: str) -> Path:
    """Return where a lab is kept."""
    return store / safe_name(server) / f"{safe_name(lab)}{SUFFIX}"


def labs_in(store: Path) -> list[tuple[str, str]]:
    """Return (server, lab) of each lab that is kept, sorted."""
    found = []
    for path in sorted(store.glob(f"*/*{SUFFIX}")):
        with contextlib.suppress(MissingError), _opened(path) as db:  # killed as it was made: it holds nothing yet
            about = dict(db.execute("SELECT name, value FROM about"))
            found.append((about["server"], about["lab"]))
    return sorted(found)


def find_lab(store: Path, text: str, server: str | None = None) -> tuple[str, str]:
    """Return (server, lab) of the one kept lab whose id begins with ``text``; MissingError where that is not one."""
    every = [each for each in labs_in(store) if server in (None, each[0])]
    fits = [each for each in every if each[1] == text] or [each for each in every if each[1].startswith(text)]
    if len(fits) == 1:
        return fits[0]
    if len({lab for _, lab in fits}) == 1:
        servers = ", ".join(where for where, _ in fits)
        raise MissingError(f"{store} has lab {fits[0][1]} of {len(fits)} servers; name one with --server: {servers}")
    names = ", ".join(sorted({lab for _, lab in fits or every})[:4]) or "none"
    what = f"{len(fits)} labs in {store} fit '{text}'" if fits else f"there is no lab '{text}' in {store}"
    raise MissingError(f"{what}; it has {names}" + ("" if every else ": fetch one with highwater labs sync"))


def lab_records(store: Path, server: str, lab: str) -> LabRecords:
    """Return what is kept of a lab. Raises MissingError where nothing is, IntegrityError where the file is damaged."""
    with _opened(path_of(store, server, lab)) as db:
        parts: dict[int, list[str]] = {}
        for place, part in db.execute("SELECT place, part FROM parts"):
            parts.setdefault(place, []).append(part)
        rows = db.execute("SELECT place, backtest, finished FROM backtests ORDER BY place").fetchall()
        last = db.execute("SELECT ended_ms, details FROM listings ORDER BY number DESC LIMIT 1").fetchone()
        (ended,) = db.execute("SELECT MAX(ended_ms) FROM listings").fetchone()
    kept = tuple(
        Record(Key(server, lab, name), i, bool(done), tuple(p for p in PARTS if p in parts.get(place, ())))
        for i, (place, name, done) in enumerate(rows)
    )
    listed = last is not None and last[0] is not None
    return LabRecords(server, lab, listed, ended, json.loads(last[1]) if last else {}, kept)


def raw(store: Path, key: Key) -> dict[str, bytes]:
    """Return what is kept of one backtest, part -> JSON as it came: summary, runtime, chart, log.

    Of the summary it is the entry of the result page, of the others the whole answer with its envelope
    (``wire.unwrapped`` takes that off).
    """
    with _opened(path_of(store, key.server, key.lab)) as db:
        rows = db.execute(
            "SELECT part, size, crc, data FROM parts JOIN backtests USING (place) WHERE backtest = ?", (key.backtest,)
        ).fetchall()
    if not rows:
        raise MissingError(f"nothing is kept of the backtest '{key.backtest}' of lab {key.lab} in {store}")
    return {part: _unpacked(store, key, *packed) for part, *packed in rows}


def each(
    store: Path, server: str, lab: str, parts: Sequence[str] = ("summary", "runtime")
) -> Iterator[tuple[Key, dict[str, bytes]]]:
    """Yield each backtest in the order they were first seen with those ``parts`` that are kept, as ``raw`` has them.

    One is read after another: ten thousand need no more memory than one.
    """
    marks = ", ".join("?" * len(parts))
    with _opened(path_of(store, server, lab)) as db:
        rows = db.execute(
            f"SELECT backtest, part, size, crc, data FROM backtests LEFT JOIN parts ON parts.place = backtests.place "
            f"AND part IN ({marks}) ORDER BY backtests.place",
            tuple(parts),
        )
        now, found = None, {}
        for backtest, part, *packed in rows:
            if now is not None and backtest != now.backtest:
                yield now, found
                found = {}
            now = Key(server, lab, backtest)
            if part is not None:
                found[part] = _unpacked(store, now, *packed)
        if now is not None:
            yield now, found


class Writer:
    """The file of one lab, to add to; its lock is held. What was added is durable once ``commit`` returns."""

    def __init__(self, db: sqlite3.Connection):
        self._db = db

    def begin_listing(self, details: str) -> int:
        """Note that the list of backtests is about to be read, and the lab as JSON; returns the listing's number."""
        at = self._db.execute(
            "INSERT INTO listings (began_ms, details) VALUES (?, ?) RETURNING number", (_now(), details)
        )
        return at.fetchone()[0]

    def end_listing(self, number: int, pages: int) -> None:
        """Note that the last page was read."""
        self._db.execute("UPDATE listings SET ended_ms = ?, pages = ? WHERE number = ?", (_now(), pages, number))
        self._db.execute("DELETE FROM listings WHERE number < ?", (number,))

    def seen(self, backtest: str, summary: bytes, finished: bool) -> bool:
        """Keep the entry of a backtest as a page has it, nothing where it is finished; return whether it now is."""
        known = self._db.execute("SELECT place, finished FROM backtests WHERE backtest = ?", (backtest,)).fetchone()
        if known is None:
            row = self._db.execute(
                "INSERT INTO backtests (backtest, finished) VALUES (?, 0) RETURNING place", (backtest,)
            )
            place = row.fetchone()[0]
        elif known[1]:
            return True
        else:
            place = known[0]
        self._keep(place, "summary", summary, _REPLACE)
        if finished:
            self._db.execute("UPDATE backtests SET finished = 1 WHERE place = ?", (place,))
        return finished

    def add(self, backtest: str, part: str, body: bytes) -> None:
        """Keep the answer of a backtest that was ``seen``; nothing where it is kept already."""
        (place,) = self._db.execute("SELECT place FROM backtests WHERE backtest = ?", (backtest,)).fetchone()
        self._keep(place, part, body, "DO NOTHING")

    def kept(self, part: str) -> set[str]:
        """Return the backtests of which ``part`` is kept."""
        rows = self._db.execute("SELECT backtest FROM backtests JOIN parts USING (place) WHERE part = ?", (part,))
        return {name for (name,) in rows}

    def commit(self) -> None:
        """Make all that was added durable."""
        self._db.commit()

    def _keep(self, place: int, part: str, body: bytes, otherwise: str) -> None:
        data = memoryview(pa.compress(body, codec=_CODEC))
        self._db.execute(
            f"INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (place, part) {otherwise}",
            (place, part, _now(), len(body), zlib.crc32(body), data),
        )


@contextlib.contextmanager
def writing(store: Path, server: str, lab: str) -> Iterator[Writer]:
    """Yield the writer of a lab; what is not committed where the block raises is undone.

    Raises BusyError where another process is writing to it.
    """
    path = path_of(store, server, lab)
    with disk_errors(f"writing to {store}", _REMEDY):
        make_folder(path.parent)
        lock = take(path)
    if lock is None:
        raise BusyError(f"another process is fetching lab {lab} into {store}; wait until it is done")
    try:
        new = not path.exists()
        with _opened(path, new=True) as db:
            if new or not db.execute("SELECT name FROM sqlite_master").fetchone():
                db.executescript(f"BEGIN; {_TABLES}")
                about = {"server": server, "lab": lab, "version": str(VERSION)}
                db.executemany("INSERT INTO about VALUES (?, ?)", about.items())
                db.commit()
            yield Writer(db)
            db.commit()
    finally:
        give_back(path, lock)


@contextlib.contextmanager
def _opened(path: Path, new: bool = False) -> Iterator[sqlite3.Connection]:
    """Yield a connection, closed at the end; what SQLite says of the file becomes an error of ours."""
    if not new and not path.is_file():
        raise MissingError(f"{path} does not exist; fetch the lab with highwater labs sync")
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=30.0)) as db:
            db.execute("PRAGMA synchronous = FULL")
            if not new:
                db.execute("PRAGMA query_only = ON")
                _check(path, db)
            yield db
    except sqlite3.OperationalError as error:
        raise StoreError(f"{path}: {error}; {_REMEDY}") from error
    except sqlite3.DatabaseError as error:
        raise IntegrityError(f"{path} is damaged ({error}); move it away and fetch the lab again") from error


def _check(path: Path, db: sqlite3.Connection) -> None:
    """Raise IntegrityError where the file is none of ours, or of a later version."""
    if not db.execute("SELECT name FROM sqlite_master WHERE name = 'about'").fetchone():
        raise MissingError(f"{path} holds no lab yet; fetch it with highwater labs sync")
    version = db.execute("SELECT value FROM about WHERE name = 'version'").fetchone()
    if version is None or version[0] != str(VERSION):
        raise IntegrityError(f"{path} was written by another version of Highwater")


def _unpacked(store: Path, key: Key, size: int, crc: int, data: bytes) -> bytes:
    with contextlib.suppress(pa.ArrowException, OSError, ValueError):
        body = pa.decompress(data, decompressed_size=size, codec=_CODEC, asbytes=True)
        if zlib.crc32(body) == crc:
            return body
    path = path_of(store, key.server, key.lab)
    raise IntegrityError(f"{path} is damaged at backtest {key.backtest}; move it away and fetch the lab again")


def _now() -> int:
    return time.time_ns() // 1_000_000
