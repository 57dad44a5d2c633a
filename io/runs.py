"""Reading published runs: finding, listing and checking them. Nothing damaged is served, and nothing is skipped."""

import contextlib
import hashlib
import itertools
import os
import re
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from . import patience
from .digest import ContentHash
from .durable import disk_errors, open_plain
from .errors import BusyError, HighwaterError, IntegrityError, MissingError, UsageError
from .folders import below, entries
from .manifest import COMPLETED, MARKERS, Artifact, Manifest
from .schemas import PATHS, SCHEMA_VERSION, run_columns

CORRUPT, UNVERIFIED, NEWER = "corrupt", "unverified", "newer"
_PREFIX = "run_id="


@dataclass(frozen=True)
class RunEntry:
    """A run as it is found. ``status`` is completed, failed, corrupt, unverified or newer; ``reason`` says why.

    ``manifest`` is None unless the run is completed or failed, with every artifact in place at its size.
    """

    run_id: str
    path: Path
    status: str
    reason: str = ""
    manifest: Manifest | None = None


@dataclass(frozen=True)
class Finding:
    """What ``verify`` met: ``level`` is error or warning, ``path`` the file in the run's directory."""

    level: str
    path: str
    problem: str


def list_runs(root: str | Path) -> list[RunEntry]:
    """Return every run below ``root``, newest first. Sizes are checked, digests of artifacts are not."""
    entries = (read_entry(path) for path in run_folders(Path(root)))
    return [entry for entry in entries if entry is not None]


def find_run(root: str | Path, text: str) -> RunEntry:
    """Return the run that ``text`` names: its id, four or more characters that begin or end it, a path, or latest.

    ``latest`` is the newest completed run. Raises MissingError where none fits, UsageError where several do.
    """
    if "/" in text or (Path(text) / "run.json").exists():
        entry = read_entry(Path(text).resolve()) if Path(text).is_dir() else None
        if entry is None:
            raise MissingError(f"{text} is not the directory of a run")
        return entry
    folders = run_folders(Path(root))
    if text == "latest":
        entries = (read_entry(path) for path in folders)
        found = next((entry for entry in entries if entry is not None and entry.status == COMPLETED), None)
        if found is None:
            raise MissingError(f"there is no completed run in {root}")
        return found
    wanted = text.lower()
    if len(wanted) < 4:
        raise UsageError(f"run {text!r} is too short; give at least 4 characters of its id")
    ids = {path: path.name.removeprefix(_PREFIX).lower() for path in folders}
    matches = [path for path, run_id in ids.items() if run_id.startswith(wanted) or run_id.endswith(wanted)]
    entries = [entry for path in matches if (entry := read_entry(path)) is not None]
    if not entries:
        raise MissingError(f"there is no run {text!r} in {root}")
    if len(entries) > 1:
        raise UsageError(f"{text!r} fits {len(entries)} runs: {', '.join(e.run_id for e in entries[:4])}; give more")
    return entries[0]


def read_manifest(run: str | Path) -> Manifest:
    """Return the manifest of the run in the directory ``run``.

    Raises IntegrityError where it is damaged (``E_CORRUPT``), carries no marker (``E_UNVERIFIED``) or is newer
    than this version (``E_VERSION``); MissingError where the run is gone.
    """
    run = Path(run)
    markers = {status: name for status, name in MARKERS.items() if os.path.lexists(run / name)}
    if len(markers) > 1:
        raise IntegrityError(f"{run} has both {' and '.join(markers.values())}; it is not one run")
    status, marker = next(iter(markers.items()), ("", "marker"))
    promised = _bytes(run, marker).decode("ascii", "replace").strip() if status else ""
    data = _bytes(run, "run.json")
    if not promised:
        raise IntegrityError(
            f"{run} has no {marker} with the digest of its run.json; it proves nothing", "E_UNVERIFIED"
        )
    if hashlib.sha256(data).hexdigest() != promised:
        raise IntegrityError(f"{run / 'run.json'} was changed after the run was saved (its digest is not in {marker})")
    manifest = Manifest.from_json(data, str(run / "run.json"))
    if manifest.status != status or run.name != _PREFIX + manifest.run_id:
        raise IntegrityError(f"{run} holds the {manifest.status} run {manifest.run_id}; it was renamed or mixed up")
    return manifest


def read_artifact(run: str | Path, name: str, check: bool = True) -> pa.Table:
    """Return the table of a run's artifact, named by type or path; ``check`` its sha256, not its size alone.

    Raises MissingError where the run has no such artifact, IntegrityError where its bytes are not those published.
    """
    with opened_table(Path(run), name, check) as parquet:
        return whole(parquet)


def whole(parquet: pq.ParquetFile, columns: Sequence[str] | None = None) -> pa.Table:
    """Return all rows of some columns, or of all; raises BusyError where that takes longer than was given."""
    names = None if columns is None else list(columns)
    if parquet.num_row_groups < 2:
        return parquet.read(names)
    groups = []
    for i in range(parquet.num_row_groups):
        patience.check()
        groups.append(parquet.read_row_group(i, names))
    return pa.concat_tables(groups)


def read_rows(run: str | Path, name: str, spans: Sequence[tuple[int, int]], check: bool = True) -> list[pa.Table]:
    """Return rows of a run's artifact, a table for each (first row, number of rows); raises as ``read_artifact``.

    Only the row groups that hold them are decoded, each once where the spans ascend.
    """
    with opened_table(Path(run), name, check) as parquet:
        sizes = [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)]
        starts = list(itertools.accumulate(sizes, initial=0))
        found, held = [], {}
        for first, count in spans:
            if first < 0 or count < 0 or first + count > starts[-1]:
                text = f"has {starts[-1]:,} rows, and not {count:,} from row {first:,} on"
                raise IntegrityError(f"{Path(run) / name} {text}; it does not fit what leads to it")
            groups = [i for i, start in enumerate(starts[1:]) if start > first and starts[i] < first + count]
            held = {i: held[i] if i in held else parquet.read_row_group(i) for i in groups}
            rows = pa.concat_tables(held.values()) if held else parquet.schema_arrow.empty_table()
            found.append(rows.slice(first - starts[groups[0]] if groups else 0, count))
    return found


def read_batches(run: str | Path, name: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield some columns of a run's artifact, some rows at a time, by its size alone; raises as ``read_artifact``."""
    with opened_table(Path(run), name, check=False) as parquet:
        yield from parquet.iter_batches(columns=list(columns))


def read_file(run: str | Path, name: str) -> bytes:
    """Return the bytes of a run's artifact, a table or not, named by type or path; raises as ``read_artifact`` does."""
    run = Path(run)
    manifest = read_manifest(run)
    artifact = manifest.artifact(name)
    if artifact is None:
        raise MissingError(f"run {manifest.run_id} has no artifact {name!r}")
    with _opened(run, artifact, check=True) as file:
        return file.read()


@contextlib.contextmanager
def opened_table(
    run: Path, name: str, check: bool = True, manifest: Manifest | None = None
) -> Iterator[pq.ParquetFile]:
    """Yield a run's artifact, named by type or path, open to be decoded; raises as ``read_artifact`` does.

    ``manifest`` is that of the run where it was just read.
    """
    manifest = manifest or read_manifest(run)
    artifact = manifest.artifact(name)
    if artifact is None or artifact.rows is None:
        tables = sorted({a.type for a in manifest.artifacts if a.rows is not None})
        raise MissingError(f"run {manifest.run_id} has no table {name!r}; it has {', '.join(tables)}")
    if artifact.schema_version > SCHEMA_VERSION:
        text = f"was written by a newer version (schema {artifact.schema_version}, this is {SCHEMA_VERSION})"
        raise IntegrityError(f"{run / artifact.path} {text}; upgrade to read it", "E_VERSION")
    with _opened(run, artifact, check) as file:
        try:
            yield pq.ParquetFile(file, page_checksum_verification=True)
        except HighwaterError:  # raised by whoever reads it; some are an OSError too
            raise
        except (OSError, pa.ArrowException) as error:
            raise IntegrityError(f"{run / artifact.path} cannot be read: {error}") from error


def verify(run: str | Path, content: bool = False) -> list[Finding]:
    """Return what is wrong with a run, worst first; an empty list where every byte is as published.

    A changed, missing or replaced file is an error, a file the manifest does not know a warning, unless it is the page
    that was made of the run. With ``content`` tables are decoded too, and their values held against ``content_sha256``.
    Raises MissingError where the run is gone, before or meanwhile.
    """
    run = Path(run)
    findings = _findings(run, content)
    if findings and not run.is_dir():
        raise gone(run)
    return findings


def _findings(run: Path, content: bool) -> list[Finding]:
    try:
        manifest = read_manifest(run)
    except (HighwaterError, OSError) as error:
        return [Finding("error", "run.json", str(error))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        contexts = [copy_context() for _ in manifest.artifacts]  # of how long whoever asks will wait
        problems = list(pool.map(lambda c, a: c.run(_problem, run, a, content), contexts, manifest.artifacts))
    named = zip(manifest.artifacts, problems, strict=True)
    findings = [Finding("error", artifact.path, problem) for artifact, problem in named if problem]
    known = {"run.json", PATHS["report"], *MARKERS.values(), *(artifact.path for artifact in manifest.artifacts)}
    found = {str(path.relative_to(run)) for path in below(run)}
    return findings + [Finding("warning", path, "is no part of the run") for path in sorted(found - known)]


def run_folders(root: Path) -> list[Path]:
    """Return what may be runs, newest first; ids begin with their time. A directory that cannot be read is an error."""
    with disk_errors(f"reading {root}", "mend the directory, or name another --runs"):
        months = [path for path in entries(root) if re.fullmatch(r"\d{4}-\d\d", path.name)]
        found = [path for month in months for path in entries(month) if path.name.startswith(_PREFIX)]
    return sorted(found, key=lambda path: (path.parent.name, path.name), reverse=True)


def read_entry(path: Path) -> RunEntry | None:
    """Return the run in ``path``, or None where there is neither a manifest nor a marker, so no run."""
    run_id = path.name.removeprefix(_PREFIX)
    try:
        if not stat.S_ISDIR(path.lstat().st_mode):
            raise IntegrityError(f"{path} is not a plain directory; a run was replaced")
        if not any(os.path.lexists(path / name) for name in ("run.json", *MARKERS.values())):
            return None
        manifest = read_manifest(path)
        for artifact in manifest.artifacts:
            _opened(path, artifact, check=False).close()
    except (MissingError, FileNotFoundError):
        return None
    except IntegrityError as error:
        status = {"E_VERSION": NEWER, "E_UNVERIFIED": UNVERIFIED}.get(error.code, CORRUPT)
        return RunEntry(run_id, path, status, str(error))
    except OSError as error:
        return RunEntry(run_id, path, UNVERIFIED, str(error))
    return RunEntry(run_id, path, manifest.status, manifest.error or "", manifest)


def _problem(run: Path, artifact: Artifact, content: bool) -> str:
    """Return what is wrong with an artifact, '' if nothing."""
    try:
        with _opened(run, artifact, check=True) as file:
            found = _content(file, artifact) if content else artifact.content_sha256
    except BusyError:
        raise
    except (HighwaterError, OSError) as error:
        return str(error)
    except (pa.ArrowException, ValueError) as error:
        return f"{run / artifact.path} cannot be read: {error}"
    promised = artifact.content_sha256
    text = f"content_sha256 is {found:.12}, the run was saved with {promised:.12}; repeat the run"
    return "" if found == promised else f"{run / artifact.path}: {text}"


def _content(file: BufferedReader, artifact: Artifact) -> str:
    """Return the digest of what a reader sees in an artifact: its values, or its bytes where it is no table."""
    if artifact.rows is None:
        return artifact.sha256
    parquet = pq.ParquetFile(file, page_checksum_verification=True)
    content = ContentHash(parquet.schema_arrow, run_columns(artifact.type))
    for batch in parquet.iter_batches():
        patience.check()
        content.update(pa.Table.from_batches([batch]))
    return content.hexdigest()


def _opened(run: Path, artifact: Artifact, check: bool) -> BufferedReader:
    """Return an artifact open to read, its size proved and with ``check`` its sha256. Raises IntegrityError."""
    file = _open(run, artifact.path)
    try:
        proofs: list[tuple[str, int | str, int | str]] = [("size", os.fstat(file.fileno()).st_size, artifact.bytes)]
        if check:
            proofs.append(("sha256", _sha256(file), artifact.sha256))
            file.seek(0)
        for what, found, promised in proofs:
            if found != promised:
                text = f"{what} is {found!s:.12}, the run was saved with {promised!s:.12}"
                raise IntegrityError(f"{run / artifact.path}: {text}; restore it or repeat the run")
    except BaseException:
        file.close()
        raise
    return file


def _sha256(file: BufferedReader) -> str:
    """Return the sha256 of what is left of a file; raises BusyError where that takes longer than was given."""
    digest, block = hashlib.sha256(), memoryview(bytearray(min(1 << 20, max(1, os.fstat(file.fileno()).st_size))))
    while size := file.readinto(block):
        patience.check()
        digest.update(block[:size])
    return digest.hexdigest()


def _open(run: Path, relative: str) -> BufferedReader:
    """Return a file of the run, open to read; a missing file is damage unless the run as a whole is gone."""
    with disk_errors(f"reading {run / relative}", "see to the disk and its permissions"):
        try:
            return os.fdopen(open_plain(run, relative), "rb")
        except FileNotFoundError as error:
            if not run.is_dir():
                raise gone(run) from error
            raise IntegrityError(f"{run / relative} is missing; the run was saved with it") from error


def gone(run: Path) -> MissingError:
    """Return the error that says that a run, whose directory this was, was deleted."""
    return MissingError(f"run {run.name.removeprefix(_PREFIX)} was deleted", "E_GONE")


def _bytes(run: Path, relative: str) -> bytes:
    with _open(run, relative) as file:
        return file.read()
