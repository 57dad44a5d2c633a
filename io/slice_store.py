"""Slices on an object store: sent once, fetched once a machine into a cache named by the digest of their candles."""

import contextlib
import json
import shutil
import tempfile
from pathlib import Path

from .durable import disk_errors, make_folder, rename_new
from .errors import HighwaterError, IntegrityError, MissingError
from .exports import put
from .objects import REMEDY, ObjectPath, cache_folder, download, listed, put_new, read
from .publish import REMOTE
from .remote import remote_of
from .slices import Slice, open_slice, verify
from .slices import find as find_here


def send(one: Slice, store: ObjectPath) -> ObjectPath:
    """Write a slice below ``store``, its manifest first, and return the place of its .arrow; again is no harm."""
    place = store / one.path.name
    put_new(ObjectPath(place.bucket, _manifest_key(place.key)), one.path.with_suffix(".json"))
    put_new(place, one.path)
    return place


def fetch(place: ObjectPath, digest: str, folder: Path | None = None) -> Slice:
    """Return the slice at ``place`` (its .arrow) whose content has this digest, mapped from the local cache.

    It is downloaded once, checked value by value, and put there in one step; later calls, of any process, only map
    it. ``folder`` stands in for the cache. Raises MissingError where there is no such slice, IntegrityError where its
    candles have another digest.
    """
    kept = (cache_folder() / "slices" if folder is None else folder) / digest
    store, _, name = place.key.rpartition("/")
    if held := _held(kept, digest):
        return _marked(held, ObjectPath(place.bucket, store))
    with disk_errors(f"writing {kept}", REMEDY):
        make_folder(kept.parent)
        draft = Path(tempfile.mkdtemp(prefix=f".{digest[:12]}.", suffix=".draft", dir=kept.parent))
    try:
        for key in (_manifest_key(place.key), place.key):
            download(ObjectPath(place.bucket, key), draft / key.rpartition("/")[2])
        one = open_slice(draft / name)
        if one.facts.content_sha256 != digest:
            raise IntegrityError(f"{place} holds candles of digest {one.facts.content_sha256[:12]}, not {digest[:12]}")
        verify(one)
        with disk_errors(f"writing {kept}", REMEDY), contextlib.suppress(FileExistsError):  # another was quicker
            rename_new(draft, kept)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    held = _held(kept, digest)
    if held is None:
        raise IntegrityError(f"{kept} holds no sound slice; remove it, then repeat")
    return _marked(held, ObjectPath(place.bucket, store))


def _marked(held: Slice, store: ObjectPath) -> Slice:
    """Return a slice of the cache, whose folder says where it was fetched from: others may fetch it there."""
    if remote_of(held.path.parent) != store:
        put(held.path.parent / REMOTE, str(store).encode(), REMEDY)
    return held


def find(store: ObjectPath, mark: str, folder: Path | None = None) -> Slice | None:
    """Return the slice below ``store`` with this fingerprint, fetched as ``fetch`` does; None where there is none."""
    names = [one.name for one in listed(store) if one.name.endswith(f"_{mark[:12]}.arrow")]
    for name in names:
        with contextlib.suppress(MissingError, ValueError, KeyError, TypeError):
            told = json.loads(read(store / _manifest_key(name)))
            if told["fingerprint"] == mark:
                return fetch(store / name, told["content_sha256"], folder)
    return None


def find_in(folder: Path, mark: str) -> Slice | None:
    """Return the slice with this fingerprint out of a folder, or out of the store that it is a copy of; or None."""
    held, store = find_here(folder, mark), remote_of(folder)
    if held and store and not listed(store / held.path.name):
        send(held, store)  # a command that cut it could not
    return held if held or store is None else find(store, mark)


def share(one: Slice) -> Slice:
    """Return a slice that was just cut, sent to the store that its folder is a copy of."""
    if store := remote_of(one.path.parent):
        send(one, store)
    return one


def bring_all(store: ObjectPath, folder: Path) -> None:
    """Make ``folder`` show every slice below ``store``, each a link into the cache."""
    names = {one.name for one in listed(store) if one.name.startswith("slice_") and one.name.endswith(".arrow")}
    for name in sorted(names):
        try:
            digest = json.loads(read(store / _manifest_key(name)))["content_sha256"]
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(
                f"{store / _manifest_key(name)} is not the manifest of a slice; delete both"
            ) from error
        one = fetch(store / name, digest)
        for path in (one.path, one.path.with_suffix(".json")):
            link = folder / path.name
            if not link.exists():
                link.unlink(missing_ok=True)
                link.symlink_to(path)
    for path in folder.glob("slice_*"):
        if path.is_symlink() and f"{path.stem}.arrow" not in names:
            path.unlink()


def _manifest_key(key: str) -> str:
    return key.removesuffix(".arrow") + ".json"


def _held(folder: Path, digest: str) -> Slice | None:
    """Return the slice in a folder of the cache, None where there is none or it is not whole."""
    for path in folder.glob("slice_*.arrow"):
        with contextlib.suppress(HighwaterError, OSError):
            one = open_slice(path)
            if one.facts.content_sha256 == digest:
                return one
    return None
