"""A slice that comes in parts, token range by token range: each kept when it is whole, joined in bounded memory.

The parts of an unfinished slice lie in ``.export_<fingerprint>`` beside the slices, each an Arrow file named by what
was asked for and by the digest of its bytes. Whoever asks the same again finds them; a finished slice leaves none.
"""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..kernels.arrays import Candles, candles
from .digest import canonical_json, config_digest
from .durable import disk_errors, make_folder
from .errors import BusyError
from .exports import put
from .locks import give_back, take
from .slices import COUNTED, Cut, Slice, candle_table, write

_REMEDY = "free space or choose another --slices folder, then repeat: what came is kept"
EXPORTED = ".export_"  # how their folders are called
_TOLD = b"told"


@dataclass(frozen=True)
class Part:
    """One range of tokens of a slice: its candles, and how often neighbours lay how far apart (ms -> count)."""

    cut: Cut
    gaps: dict[int, int]


@contextmanager
def unfinished(slices: Path, mark: str) -> Iterator[Path]:
    """Yield the folder for the parts of the slice with fingerprint ``mark``; this process alone works on it.

    Raises BusyError where another process does.
    """
    folder = slices / f"{EXPORTED}{mark[:12]}"
    with disk_errors(f"writing to {slices}", _REMEDY):
        make_folder(slices)
        lock = take(folder)
        if lock is None:
            raise BusyError(f"another process exports the same candles into {slices}; try again when it is done")
    try:
        with disk_errors(f"writing to {slices}", _REMEDY):
            make_folder(folder)
        yield folder
    finally:
        give_back(folder, lock)


def keep(folder: Path, asked: Any, part: Part) -> Path:
    """Write a part as the answer to ``asked`` (any JSON), durably, and return its path."""
    told = {
        "tokens": part.cut.tokens,
        "offsets": part.cut.offsets.tolist(),
        "coverage_end": part.cut.coverage_end,
        "rejected": part.cut.rejected,
        "counts": part.cut.counts,
        "notes": part.cut.notes,
        "on_grid": part.cut.on_grid,
        "gaps": list(part.gaps.items()),
    }
    table = candle_table(part.cut.candles).replace_schema_metadata({_TOLD: canonical_json(told)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    data = memoryview(sink.getvalue())
    path = folder / f"part_{config_digest(asked)[:16]}_{hashlib.sha256(data).hexdigest()[:16]}.arrow"
    put(path, data, _REMEDY)
    return path


def kept(folder: Path, asked: Any) -> Path | None:
    """Return the part that answers ``asked``, every byte of it checked; None where there is none or it is damaged."""
    for path in sorted(folder.glob(f"part_{config_digest(asked)[:16]}_*.arrow")):
        with contextlib.suppress(OSError), path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest()[:16] == path.stem.rpartition("_")[2]:
                return path
    return None


def part_in(path: Path) -> Part:
    """Return a part that was kept, its candles mapped."""
    batches = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    told = json.loads((batches.schema.metadata or {})[_TOLD])
    # No combine_chunks: it copies one chunk too, a quarter of the time of an export.
    columns = [(each.chunk(0) if each.num_chunks else pa.array([], each.type)).to_numpy() for each in batches.columns]
    bars = candles(columns[0].view(np.int64), *columns[1:])
    cut = Cut(
        bars,
        tuple(told["tokens"]),
        np.array(told["offsets"], np.int64),
        tuple(told["coverage_end"]),
        told["rejected"],
        told["counts"],
        tuple(told["notes"]),
        tuple(told["on_grid"]),
    )
    return Part(cut, {int(gap): int(count) for gap, count in told["gaps"]})


def joined(folder: Path, paths: Sequence[Path], interval_ms: int, mark: str) -> Slice:
    """Write the slice that the parts make, in their order, beside ``folder``, and remove the parts.

    Its columns are put together in a file that is mapped, never in memory.
    """
    told = [part_in(path).cut for path in paths]
    rows = sum(int(cut.offsets[-1]) for cut in told)
    scratch = folder / f"columns_{secrets.token_hex(6)}"
    try:
        bars = _columns(scratch, [cut.candles for cut in told], rows)
        starts = np.cumsum([0, *(int(cut.offsets[-1]) for cut in told)])
        offsets = [cut.offsets[:-1] + start for cut, start in zip(told, starts, strict=False)]
        whole = Cut(
            bars,
            tuple(token for cut in told for token in cut.tokens),
            np.concatenate([*offsets, [rows]]).astype(np.int64),
            tuple(end for cut in told for end in cut.coverage_end),
            {token: why for cut in told for token, why in cut.rejected.items()},
            {name: sum(cut.counts[name] for cut in told) for name in COUNTED},
            tuple(note for cut in told for note in cut.notes),
            tuple(fits for cut in told for fits in cut.on_grid),
        )
        made = write(folder.parent, whole, interval_ms, mark)
    finally:
        scratch.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    return made


def spacing(paths: Sequence[Path]) -> int:
    """Return the commonest distance between neighbouring candles of all parts, the shortest of equals, or 0."""
    gaps: Counter[int] = Counter()
    for path in paths:
        gaps.update(part_in(path).gaps)
    return min(gaps, key=lambda gap: (-gaps[gap], gap), default=0)


def _columns(path: Path, parts: Sequence[Candles], rows: int) -> Candles:
    """Return the candles of all parts one behind the other, mapped from a new file ``path``.

    They are padded to a multiple of eight rows, as a slice is. Space is taken first: a full disk is told, not met.
    """
    padded = rows + -rows % 8
    if not rows:
        return candles(np.zeros(0, np.int64), *(np.zeros(0) for _ in range(5)))
    with disk_errors(f"writing {path}", _REMEDY), path.open("xb") as file:
        os.posix_fallocate(file.fileno(), 0, padded * 8 * len(Candles._fields))
    columns = []
    for i, name in enumerate(Candles._fields):
        kind = np.int64 if name == "ts" else np.float64
        column = np.memmap(path, kind, "r+", offset=i * padded * 8, shape=(padded,))
        at = 0
        for part in parts:
            values = getattr(part, name)
            column[at : at + values.size] = values
            at += values.size
        column[rows:] = column[rows - 1]
        columns.append(np.memmap(path, kind, "r", offset=i * padded * 8, shape=(padded,)))
    return candles(*columns)
