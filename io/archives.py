"""Whole months of runs packed into archives, read back before the originals go, and brought back checked."""

import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from .durable import NewFile, disk_errors, make_folder, open_plain, rename_new, sync_folder
from .errors import BusyError, DataError, HighwaterError, IntegrityError, MissingError, StoreError, UsageError
from .exports import NEW, placed, sweep
from .housekeeping import files_of, remove
from .locks import among
from .manifest import MARKERS
from .names import plain_path
from .publish import stage
from .runs import RunEntry, list_runs, read_manifest, verify

_MEMBER = re.compile(r"([0-9]{4}-(?:0[1-9]|1[0-2]))/(run_id=[0-9a-z]{26})/(.+)")
_REMEDY = "see to the disk, then repeat"


def months(root: Path, before: str) -> dict[str, list[RunEntry]]:
    """Return the completed and failed runs of each month (``2025-03``) before another, by month.

    Raises IntegrityError or UsageError at the first that is damaged or not only ours: a month is archived whole.
    """
    found: dict[str, list[RunEntry]] = {}
    for entry in list_runs(root):
        month = entry.path.parent.name
        if month < before:
            try:
                findings = verify(entry.path)
            except MissingError:  # removed since it was listed
                continue
            for finding in findings:
                kind = IntegrityError if finding.level == "error" else UsageError
                raise kind(f"{entry.path}: {finding.path}: {finding.problem}; put that right, then archive {month}")
            found.setdefault(month, []).append(entry)
    return dict(sorted(found.items()))


def archive(root: Path, month: str, runs: list[RunEntry], folder: Path) -> Path:
    """Move the runs of a month into ``<month>.tar.zst`` in ``folder`` and return its path.

    The archive is read back and compared with the manifests before any original goes. It takes a free name: a month
    that got runs since has a second archive, ``<month>-2.tar.zst``.
    """
    with disk_errors(f"writing to {folder}", _REMEDY):
        make_folder(folder)
        with among(folder, alone=True):  # or two would choose the same name
            return _archive(root, month, runs, folder)


def _archive(root: Path, month: str, runs: list[RunEntry], folder: Path) -> Path:
    sweep(folder)
    names = (f"{month}{f'-{i}' if i > 1 else ''}.tar.zst" for i in range(1, 10_000))
    path = folder / next(name for name in names if not os.path.lexists(folder / name))
    with placed(path, _REMEDY) as draft:
        try:
            wanted = {f"{month}/{run.path.name}/{name}": digest for run in runs for name, digest in _digests(run.path)}
            _write(draft, root, wanted)
        except (FileNotFoundError, MissingError) as error:
            if all(run.path.is_dir() for run in runs):
                raise
            raise BusyError(f"another process removed runs of {month}; nothing was archived, repeat") from error
        with _reading(draft / NEW) as members:
            found = {name: hashlib.file_digest(data, "sha256").hexdigest() for name, data in members}
        if found != wanted:
            raise IntegrityError(f"the archive of {month} did not read back as it was written; nothing was removed")
    for run in runs:
        remove(root, run.path)
    return path


def _digests(run: Path) -> Iterator[tuple[str, str]]:
    """Yield the files of a run and their sha256 as the manifest and the marker promise them."""
    manifest = read_manifest(run)
    marker = run / MARKERS[manifest.status]
    promised = {artifact.path: artifact.sha256 for artifact in manifest.artifacts}
    promised |= {"run.json": marker.read_text().strip(), marker.name: hashlib.sha256(marker.read_bytes()).hexdigest()}
    for name in files_of(manifest):
        yield name, promised[name]


def _write(draft: Path, root: Path, names: dict[str, str]) -> None:
    file = NewFile(draft, NEW, _REMEDY)
    try:
        with (
            pa.CompressedOutputStream(file, "zstd") as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            for name in names:
                with os.fdopen(open_plain(root, name), "rb") as source:
                    info = tarfile.TarInfo(name)
                    there = os.fstat(source.fileno())
                    info.size, info.mtime, info.mode = there.st_size, int(there.st_mtime), 0o444
                    tar.addfile(info, source)
        file.close()
    except BaseException:
        file.discard()
        raise


@contextmanager
def _reading(path: Path) -> Iterator[Iterator[tuple[str, Any]]]:
    """Yield the (name, open file) of an archive's members; raises DataError where it is damaged or no archive."""
    try:
        with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as packed:
            with tarfile.open(fileobj=packed, mode="r|") as tar:
                yield ((member.name, _data(tar, member, path)) for member in tar)
            while rest := packed.read(1 << 16):  # zeros fill the last record; a frame cut short is seen here
                if rest.strip(b"\0"):
                    raise DataError(f"{path} goes on behind its end; it is damaged")
    except HighwaterError:
        raise
    except FileNotFoundError:
        raise MissingError(f"{path} does not exist") from None
    except (tarfile.TarError, pa.ArrowException, EOFError) as error:
        raise DataError(f"{path} is not a readable archive: {str(error)[:200]}") from error
    except OSError as error:
        if error.errno:
            raise
        raise DataError(f"{path} is not a readable archive: {str(error)[:200]}") from error


def _data(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> Any:
    data = tar.extractfile(member) if member.isreg() else None
    if data is None:
        raise DataError(f"{path} holds {member.name[:80]!r}, which is no plain file; it is no archive of runs")
    return data


def restore(root: Path, path: Path) -> tuple[list[Path], list[Path]]:
    """Put the runs of an archive back, and return those put back and those that were there already.

    All are unpacked and checked, byte for byte against their manifests, before the first comes into view. Raises
    DataError where the file is no archive of runs or cut short, IntegrityError where a run in it is damaged.
    """
    with stage(root, "restore") as scratch:  # never published: a locked place that is swept if this process dies
        with disk_errors(f"unpacking {path}", _REMEDY), _reading(path) as members:
            runs = {_unpacked(scratch.path, path, name, data) for name, data in members}
        for run in sorted(runs):
            for finding in verify(scratch.path / run):
                raise IntegrityError(f"{path}: {run}: {finding.path}: {finding.problem}; nothing was restored")
        if not runs:
            raise DataError(f"{path} holds no runs")
        return _into_view(root, scratch.path, sorted(runs))


def _unpacked(folder: Path, path: Path, name: str, data: Any) -> str:
    """Write a member of an archive below ``folder`` and return the run it belongs to, such as 2025-03/run_id=…"""
    match = _MEMBER.fullmatch(name)
    try:
        plain_path(name)
    except ValueError:
        match = None
    if match is None:
        raise DataError(f"{path} holds {name[:80]!r}, which is no file of a run; nothing was restored")
    try:
        file = NewFile(folder, name, _REMEDY)
    except StoreError as error:
        if isinstance(error.__cause__, FileExistsError | NotADirectoryError):
            raise DataError(f"{path} holds {name[:80]!r} twice; nothing was restored") from error
        raise
    try:
        shutil.copyfileobj(data, file, 1 << 20)
        file.close()
    except BaseException:
        file.discard()
        raise
    return f"{match[1]}/{match[2]}"


def _into_view(root: Path, folder: Path, runs: list[str]) -> tuple[list[Path], list[Path]]:
    back, there = [], []
    for run in runs:
        final = root / run
        with disk_errors(f"restoring {final}", _REMEDY):
            for inner, _, _ in os.walk(folder / run, topdown=False):
                sync_folder(Path(inner))
            make_folder(final.parent)
            try:
                rename_new(folder / run, final)
            except FileExistsError:
                there.append(final)
                continue
            sync_folder(final.parent)
            back.append(final)
    return back, there
