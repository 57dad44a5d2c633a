"""Local copies of what lies on an object store: each folder of them holds ``.remote``, the place it is a copy of.

A copy of files is named by the store's marks of their content (ETags): what changed there is another copy here.
"""

import contextlib
import hashlib
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .digest import config_digest
from .durable import disk_errors, make_folder, rename_new
from .errors import MissingError
from .exports import put
from .objects import REMEDY, ObjectPath, cache_folder, download, listed, object_path
from .publish import REMOTE

AT_ONCE = 8  # downloads or uploads
_HIDDEN = (".", "_")


def copy_of(place: ObjectPath, kind: str) -> Path:
    """Return the folder of this user for copies of ``kind`` of what lies below ``place``, marked as such."""
    folder = cache_folder() / kind / hashlib.sha256(str(place).encode()).hexdigest()[:16]
    if remote_of(folder) != place:
        put(folder / REMOTE, str(place).encode(), REMEDY)
    return folder


def remote_of(folder: Path) -> ObjectPath | None:
    """Return what a folder is a copy of, None where it is none."""
    try:
        return object_path((folder / REMOTE).read_text())
    except (OSError, ValueError):
        return None


def origin_of(path: object) -> str:
    """Return where a file or folder came from: its place on the store where it is a copy, else its path.

    What is no path names itself.
    """
    if not isinstance(path, Path):
        return str(path)
    for folder in (path, *path.parents):
        remote = remote_of(folder)
        if remote is not None:
            below = path.relative_to(folder).as_posix()
            return str(remote) if below == "." else str(remote / below)
    return str(path)


def fetched(place: ObjectPath) -> Path:
    """Return a local copy of an object, or of all objects below a prefix as a directory; downloaded once.

    Raises MissingError where there is neither.
    """
    found = [one for one in listed(place) if not any(part.startswith(_HIDDEN) for part in one.name.split("/"))]
    single = [one for one in found if one.name == ""]
    if not found:
        raise MissingError(f"{place} does not exist, and nothing lies below it")
    name = place.key.rpartition("/")[2] or place.bucket
    parent = ObjectPath(place.bucket, place.key.rpartition("/")[0]) if single else place
    digest = config_digest([str(place), [list(one) for one in single or found]])[:32]
    folder = cache_folder() / "files" / digest
    if not folder.is_dir():
        with _draft(folder) as draft:
            (draft / REMOTE).write_text(str(parent))
            pairs = [(place, name)] if single else [(place / one.name, one.name) for one in found]
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(lambda pair: download(pair[0], draft / pair[1]), pairs))
    return folder / name if single else folder


@contextlib.contextmanager
def _draft(folder: Path):
    """Yield a new directory that becomes ``folder`` at the end, unless another process was quicker."""
    with disk_errors(f"writing {folder}", REMEDY):
        make_folder(folder.parent)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name[:12]}.", suffix=".draft", dir=folder.parent))
    try:
        yield draft
        with disk_errors(f"writing {folder}", REMEDY), contextlib.suppress(FileExistsError):
            rename_new(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
