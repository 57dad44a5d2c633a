"""What runs on a worker: it says what it is, takes a search and its slice, and does one item of it after another.

Whatever comes in and goes out is numbers, texts and arrays. A worker keeps the last few searches open.
"""

import asyncio
import contextlib
import os
import platform
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from ... import __version__
from ...io.durable import make_folder
from ...io.errors import HighwaterError
from ...io.objects import SCHEME, object_path
from ...io.slice_store import fetch
from ...io.slices import Slice, open_slice, verify
from ..space import Space, draw
from ..values import Range
from .job import Opened, engine_digest, opened, spec_of

KEPT = 4  # searches
MISSING = "missing"  # says that the worker does not know the search: it began anew

Told = dict[str, np.ndarray]

_open: dict[str, Opened] = {}
_one_at_a_time = threading.Lock()


def facts() -> dict[str, Any]:
    """Return what this process is: what must be equal on all workers, and its process id."""
    same = {"highwater": __version__, "engine": engine_digest(), "python": platform.python_version_tuple()[:2]}
    return {"same": same, "pid": os.getpid()}


async def aside(what: Callable[..., Any], *given: Any) -> Any:
    """Return what a function returns, while the worker goes on answering its scheduler: a slice may take minutes."""
    return await asyncio.to_thread(what, *given)


def warm() -> None:
    """Get ready: import what every item needs, and have numba look at all it knows, as it does at its first call."""
    from ...kernels import search, tables  # noqa: F401

    facts()
    draw(Space({"sl": Range(0.5, 0.9)}), 0, 0, 1)


def take(digest: str, message: bytes, threads: int) -> int:
    """Open a search; return 0, or how many bytes its slice has where this machine has none with its digest."""
    spec = spec_of(message)["slice"]
    piece = _held(spec)
    if piece is None:
        return spec["bytes"]
    while len(_open) >= KEPT:
        del _open[next(iter(_open))]
    _open[digest] = opened(message, piece, threads)
    return 0


def _held(spec: Mapping[str, Any]) -> Slice | None:
    """Return the slice where the search was begun, the one this user keeps, or out of its store, by its digest."""
    for path in (Path(spec["path"]), place_of(spec["content"])):
        try:
            piece = open_slice(path)
        except (HighwaterError, OSError):
            continue
        if piece.facts.content_sha256 == spec["content"]:
            return piece
    if spec["store"].startswith(SCHEME):
        with contextlib.suppress(HighwaterError, OSError):  # then it is sent
            return fetch(object_path(spec["store"]), spec["content"])
    return None


def place_of(content: str) -> Path:
    """Return where a slice that came from elsewhere is kept, by the digest of its candles."""
    return Path(platformdirs.user_cache_path("highwater")) / "slices" / f"{content}.arrow"


def put(content: str, offset: int, data: bytes) -> None:
    """Keep some bytes of a slice that comes in parts; those of one process do not meet those of another."""
    path = _part(content)
    make_folder(path.parent)
    with path.open("r+b" if offset else "wb") as file:
        file.seek(offset)
        file.write(data)


def have(content: str, manifest: bytes) -> None:
    """Keep the slice whose parts have all come, with its manifest, once its candles are verified."""
    part, path = _part(content), place_of(content)
    told = part.with_suffix(".json")
    told.write_bytes(manifest)
    try:
        verify(open_slice(part))
        told.replace(path.with_suffix(".json"))
        part.replace(path)
    finally:
        for each in (part, told):
            each.unlink(missing_ok=True)


def _part(content: str) -> Path:
    return place_of(content).with_name(f"{content}.{os.getpid()}.part.arrow")


def do(digest: str, what: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arrays of an item, the seconds it took and those the processor spent on it; or that it is MISSING."""
    with _one_at_a_time:
        job = _open.get(digest)
        if job is None:
            return {MISSING: True}
        wall, cpu = time.perf_counter(), time.process_time()
        found = WAYS[what](job, **given)
        return {"found": found, "took": time.perf_counter() - wall, "spent": time.process_time() - cpu}


def _tally(job: Opened, first: int, count: int, rows: tuple[int, int]) -> Told:
    """Return TALLY of some trials on some alerts, as bytes."""
    from ..tallies import only, tally

    some = only(job.there, slice(*rows))
    return {"tally": tally(some, job.chosen(first, count), job.medians, _nobody).view(np.uint8)}


def _cells(job: Opened, targets: tuple[int, int], rows: tuple[int, int]) -> Told:
    """Return TALLY of a surface's cells with some targets on some alerts, as bytes, in the order of the grid."""
    from ..surface import tallies
    from ..tallies import only

    if job.work is None:
        raise ValueError("a search has no cells")
    return {"tally": tallies(only(job.there, slice(*rows)), job.work, *targets).ravel().view(np.uint8)}


def _days(
    job: Opened, first: int, count: int, blind: int, length: float, floor: float | None, watched: list[int]
) -> Told:
    """Return what ``luck.Daily`` gathers of some trials, and their keys."""
    from ..luck import Daily, keys_of
    from ..tallies import by_day, calendar

    known, least = calendar(job.there)[0], -np.inf if floor is None else floor
    daily = Daily(known, job.horizon, length, blind, job.there.threads, np.array(watched, np.int64), first, least)
    room, keys = max(64, job.there.memory // (2 * 8 * known.days)), []
    for s in range(first, first + count, room):
        some = job.chosen(s, min(room, first + count - s))
        keys.append(keys_of(some))
        daily.add(by_day(job.there, some))
    return {**daily.told(), "keys": np.concatenate(keys)}


def _nobody(_: int) -> None:
    pass


WAYS: Mapping[str, Callable[..., Told]] = {"tally": _tally, "cells": _cells, "days": _days}
