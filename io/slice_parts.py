"""A slice that comes in parts, token range by token range: each kept when it is whole, joined in bounded memory.

The parts of an unfinished slice lie in ``.export_<fingerprint>`` beside the slices, each an Arrow file named by what
was asked for and by the digest of its bytes. Whoever asks the same again finds them; a finished slice leaves none.
"""

import contextlib
import dataclasses
import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..kernels.arrays import Candles, candles, of_rows
from .digest import canonical_json, config_digest
from .durable import disk_errors, make_folder
from .errors import BusyError
from .exports import put
from .locks import give_back, take
from .slices import COUNTED, Cut, Slice, Spans, candle_table, write

_REMEDY = "free space or choose another --slices folder, then repeat: what came is kept"
EXPORTED = ".export_"  # how their folders are called
_TOLD = b"told"
_NONE = candles(np.zeros(0, np.int64), *(np.zeros(0) for _ in range(5)))


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
    """Write the slice that the parts make, in their order, beside ``folder``, and remove the parts."""
    with gathered((part_in(path).cut for path in paths), folder) as whole:
        made = write(folder.parent, whole, interval_ms, mark)
    shutil.rmtree(folder, ignore_errors=True)
    return made


@contextmanager
def gathered(cuts: Iterable[Cut], folder: Path) -> Iterator[Cut]:
    """Yield what the cuts make, in their order.

    Its candles are put together in files of ``folder`` that have no name and are mapped, never in memory. They are
    padded to a multiple of eight rows, as a slice is.
    """
    told, rows, last = [], 0, None
    with contextlib.ExitStack() as stack, disk_errors(f"writing to {folder}", _REMEDY):
        columns = [stack.enter_context(tempfile.TemporaryFile(dir=folder)) for _ in Candles._fields]
        for cut in cuts:
            size = int(cut.offsets[-1])
            last = of_rows(cut.candles, slice(size - 1, size)) if size else last
            for file, values in zip(columns, cut.candles, strict=True):
                file.write(np.ascontiguousarray(values[:size]).data)
            told.append(dataclasses.replace(cut, candles=_NONE, offsets=cut.offsets + rows))
            rows += size
        for _ in range(-rows % 8):
            for file, values in zip(columns, last or _NONE, strict=True):
                file.write(values.tobytes())
        for file in columns:
            file.flush()
        yield Cut(
            candles(*(_mapped(file, kind.dtype) for file, kind in zip(columns, _NONE, strict=True))),
            tuple(token for cut in told for token in cut.tokens),
            np.concatenate([*(cut.offsets[:-1] for cut in told), [rows]]).astype(np.int64),
            tuple(end for cut in told for end in cut.coverage_end),
            {token: why for cut in told for token, why in cut.rejected.items()},
            {name: sum(cut.counts[name] for cut in told) for name in COUNTED},
            tuple(note for cut in told for note in cut.notes),
            tuple(fits for cut in told for fits in cut.on_grid),
        )


def _mapped(file: Any, kind: Any) -> Any:
    return np.memmap(file, kind, "r") if file.tell() else np.zeros(0, kind)


def by_token(spans: Spans) -> Callable[[Sequence[str]], Spans]:
    """Return a function from some tokens, ascending, to the spans of these."""
    order = np.argsort(spans.token, kind="stable")
    starts = np.searchsorted(spans.token[order], np.arange(len(spans.tokens) + 1))
    place = {token: i for i, token in enumerate(spans.tokens)}

    def of(tokens: Sequence[str]) -> Spans:
        rows = [place[token] for token in tokens]
        picked = np.concatenate([order[starts[i] : starts[i + 1]] for i in rows])
        token = np.searchsorted(rows, spans.token[picked])
        return Spans(tuple(tokens), token, spans.lo[picked], spans.asked[picked], spans.hi[picked])

    return of


def spacing(paths: Sequence[Path]) -> int:
    """Return the commonest distance between neighbouring candles of all parts, the shortest of equals, or 0."""
    gaps: Counter[int] = Counter()
    for path in paths:
        gaps.update(part_in(path).gaps)
    return min(gaps, key=lambda gap: (-gaps[gap], gap), default=0)
