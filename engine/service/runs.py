"""Runs as a door meets them: listed by page, looked up by id, checked."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from ...io.config import nearest
from ...io.durable import disk_errors
from ...io.errors import HighwaterError, IntegrityError, MissingError, UsageError
from ...io.manifest import COMPLETED, MARKERS, Manifest, new_run_id
from ...io.runs import Finding, read_manifest, verify
from .catalog import Listing, asking, listing, mark_stale

SORTS = ("created_at", "completed_at", "run_id", "run_type", "status", "calls", "trials", "total_trades", "total_ms")
MOST = 1000  # rows of a page
_ID = re.compile("[0-9a-hjkmnp-tv-z]{26}")
_GUIDE = re.compile(r"backtest_(\d{8}_\d{6})(?:_([1-9]\d{0,3}))?")  # as run-backtest names the files of a run
_CONDITIONS = {
    "run_type": "run_type = $run_type",
    "status": "status = $status",
    "from_ms": "epoch_ms(created_at) >= $from_ms",
    "to_ms": "epoch_ms(created_at) < $to_ms",
    "artifact": "run_id IN (SELECT run_id FROM catalog.artifacts WHERE artifact_type = $artifact)",
    "config_digest": "starts_with(config_digest, $config_digest)",
    "data_digest": "starts_with(data_digest, $data_digest)",
}
_LATEST = "SELECT run_id FROM catalog.runs WHERE status = 'completed' ORDER BY created_at DESC, run_id DESC LIMIT 1"
_COUNTS = "SELECT {0}, count(*) FROM catalog.runs WHERE {0} IS NOT NULL GROUP BY 1 ORDER BY 1"
_IN_ORDER = """
SELECT run_id FROM catalog.runs WHERE run_type = 'session' AND run_id >= $first AND run_id < $last ORDER BY run_id
LIMIT 1 OFFSET $nth
"""


@dataclass(frozen=True)
class Filter:
    """Which runs are listed; None: any. Times are ms UTC of ``created_at``; digests may be cut short."""

    run_type: str | None = None
    status: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    artifact: str | None = None
    config_digest: str | None = None
    data_digest: str | None = None


@dataclass(frozen=True)
class RunPage:
    """A page of runs: the columns of the catalog without ``config`` and ``counts``, then ``source``, ``symbols`` (JSON)
    and ``total_trades``. ``total`` runs fit in all; ``cursor`` is the run after which the next page begins, None after
    the last; ``digest`` that of all that is known of runs.
    """

    table: pa.Table
    total: int
    cursor: str | None
    digest: str


@dataclass(frozen=True)
class Run:
    """A sound run: its directory, its manifest, and the digest of that."""

    run_id: str
    path: Path
    manifest: Manifest
    digest: str

    @property
    def root(self) -> Path:
        """The directory of runs it lies in."""
        return self.path.parents[1]


def list_runs(
    root: str | Path,
    only: Filter = Filter(),
    sort: str = "created_at",
    ascending: bool = False,
    limit: int = 100,
    offset: int = 0,
    after: str | None = None,
) -> RunPage:
    """Return a page of the runs below ``root``, damaged ones with the reason; the newest first unless told otherwise.

    ``after`` is the ``cursor`` of the page before. Raises UsageError for a column that ``SORTS`` has not.
    """
    check_page(limit, offset)
    if sort not in SORTS:
        near = nearest(sort, SORTS) or f"; it must be one of {', '.join(SORTS)}"
        raise UsageError(f"sort is '{plain(sort)}'{near}")
    order = f"{sort} {'ASC' if ascending else 'DESC'} NULLS LAST, path DESC"
    every = listing(root)
    places = every.ordered((only, order), lambda: _places(root, every, only, order))
    if after is not None and (last := every.row(after)) is not None:
        offset += next((int(place) + 1 for place in np.flatnonzero(places == last)), 0)
    table = every.table.take(pa.array(places[offset : offset + limit])).drop_columns("place")
    cursor = table["run_id"][-1].as_py() if table.num_rows == limit else None
    return RunPage(table, places.size, cursor, every.digest)


def _places(root: str | Path, every: Listing, only: Filter, order: str) -> np.ndarray:
    """Return the rows of a listing that pass a filter, in order."""
    given = {name: value for name, value in vars(only).items() if value is not None}
    where = " AND ".join(["true", *(_CONDITIONS[name] for name in given)])
    with asking(root) as database:
        database.register("listed", every.table)
        sql = f"SELECT place FROM listed WHERE {where} ORDER BY {order}"
        return database.execute(sql, given).fetchnumpy()["place"]


def counts(root: str | Path) -> tuple[int, str | None, dict[str, int], dict[str, int]]:
    """Return how many runs there are, the newest completed one, and how many of each status and of each type."""
    with asking(root) as database:
        latest = database.execute(_LATEST).fetchall()
        by_status, by_type = (
            dict(database.execute(_COUNTS.format(name)).fetchall()) for name in ("status", "run_type")
        )
    return sum(by_status.values()), latest[0][0] if latest else None, by_status, by_type


def check_page(limit: int, offset: int = 0) -> None:
    """Raise UsageError unless a page has 1 to MOST rows and begins at 0 or later."""
    if not 1 <= limit <= MOST:
        raise UsageError(f"limit is {limit}; it must be 1..{MOST}")
    if not 0 <= offset < 2**53:
        raise UsageError(f"offset is {offset}; it must be 0 or more")


def open_run(root: str | Path, run_id: str) -> Run:
    """Return the run of an id; ``latest`` and ``backtest_20240131_235959`` name one too.

    Its path comes from the catalog and leads to where it says. Raises MissingError where there is no such run, and
    ``E_GONE`` where it was deleted; IntegrityError where it is not as published.
    """
    wanted = _meant(root, run_id)
    found = _listed(root, wanted)
    if found is None:
        raise MissingError(f"there is no run '{plain(run_id)}'")
    relative, status, reason = found
    path = Path(root).absolute() / relative
    try:
        if status not in MARKERS:
            raise IntegrityError(f"run {wanted} is {status} and is not served: {reason}")
        if path.resolve() != Path(root).resolve() / relative:
            raise IntegrityError(f"run {wanted} does not lie where the catalog says; it is not served")
        manifest = read_manifest(path)
        with disk_errors(f"reading {path}", "see to the disk"):
            digest = (path / MARKERS[manifest.status]).read_text("ascii").strip()
    except (HighwaterError, FileNotFoundError) as error:
        mark_stale(root)
        if isinstance(error, FileNotFoundError) or not path.exists():
            raise MissingError(f"run {wanted} was deleted", "E_GONE") from error
        raise
    return Run(manifest.run_id, path, manifest, digest)


def completed(run: Run) -> Run:
    """Return the run. Raises MissingError where it failed: what it wrote is no result."""
    if run.manifest.status != COMPLETED:
        raise MissingError(f"run {run.run_id} failed ({run.manifest.error}); it has no results")
    return run


def verify_run(root: str | Path, run_id: str, content: bool = False) -> tuple[Finding, ...]:
    """Return what is wrong with a run, worst first, also where it is one that is not served; () where nothing is."""
    wanted = _meant(root, run_id)
    found = _listed(root, wanted)
    if found is None or not (path := Path(root).absolute() / found[0]).is_dir():
        raise MissingError(f"there is no run '{plain(run_id)}'")
    return tuple(verify(path, content))


def _listed(root: str | Path, run_id: str | None) -> list[str] | None:
    """Return the path, the status and the reason of a run as the catalog has them, None where it has no such run."""
    every = listing(root)
    row = None if run_id is None else every.row(run_id)
    return None if row is None else [every.table[name][row].as_py() for name in ("path", "status", "reason")]


def _meant(root: str | Path, text: str) -> str | None:
    """Return the id that a text means, None where it can be none."""
    if _ID.fullmatch(text):
        return text
    guide = _GUIDE.fullmatch(text)
    if text != "latest" and guide is None:
        return None
    with asking(root) as database:
        if guide is None:
            found = database.execute(_LATEST).fetchall()
        else:
            try:
                moment = datetime.strptime(guide[1], "%Y%m%d_%H%M%S").replace(tzinfo=UTC)
            except ValueError:
                return None
            ms, nth = int(moment.timestamp()) * 1000, int(guide[2] or 1) - 1
            if ms < 0:
                return None
            # The first ten digits of an id are its time, of which each that follows is higher than this one.
            first, last = (new_run_id(at)[:10] for at in (ms, ms + 1000))
            found = database.execute(_IN_ORDER, {"first": first, "last": last, "nth": nth}).fetchall()
    return found[0][0] if found else None


def plain(text: str) -> str:
    """Return a text of a stranger as a message may hold it."""
    return "".join(c if c.isprintable() else "?" for c in text[:60])
