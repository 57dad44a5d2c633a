"""What the workers of a search know of it: one message, by whose digest they ask for it, and what it is opened as.

An Arrow stream of the windows, whose schema carries all else as canonical JSON. Nothing in it is code.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...io.digest import arrays_sha256, canonical_json, config_digest
from ...io.errors import IntegrityError
from ...io.remote import origin_of
from ...io.slices import Slice
from ...kernels.arrays import Costs, Policies, Rules, Windows, column
from ..space import draw, space_in, to_policies
from ..surface import Work
from ..surface_grid import grid_of, ranges_of
from ..sweep import Plan
from ..tallies import Ground, Market

Chosen = Callable[[int, int], Policies]  # the policies of some trials: the number of the first, and how many


@dataclass(frozen=True)
class Job:
    """What all items of a search share: the message, and the slice its windows lie in.

    ``config``, ``data`` and ``engine`` are digests: of what is searched, of candles and windows, and of all code.
    """

    message: bytes
    slice: Slice
    config: str
    data: str
    engine: str

    @property
    def digest(self) -> str:
        """The sha256 of the message, 64 hex."""
        return hashlib.sha256(self.message).hexdigest()


@dataclass(frozen=True)
class Opened:
    """A job as a worker holds it. ``work``: the plan of a surface; None of a search."""

    there: Ground
    chosen: Chosen
    horizon: int
    medians: bool
    work: Work | None


def job_of(there: Ground, config: Mapping[str, Any], work: Plan | Work) -> Job:
    """Return the job of a search or a surface with this ``config``."""
    ready, facts = there.prepared, there.prepared.slice.facts
    arrays = {**there.windows._asdict(), "fits": there.fits}
    data = _data_digest(facts.content_sha256, arrays)
    spec = {
        "config": dict(config),
        "data": data,
        "engine": engine_digest(),
        "slice": {
            "content": facts.content_sha256,
            "bytes": facts.bytes,
            "path": str(ready.slice.path.absolute()),
            "store": origin_of(ready.slice.path.absolute()),
        },
        "step": ready.step,
        "horizon": ready.trading.horizon,
        "rules": list(ready.rules),
        "costs": list(ready.costs),
        "memory": there.memory,
        "cut": [work.height, work.widths, work.block] if isinstance(work, Work) else [],
    }
    table = pa.table(arrays).replace_schema_metadata({"job": canonical_json(spec)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return Job(sink.getvalue().to_pybytes(), ready.slice, config_digest(dict(config)), data, spec["engine"])


def spec_of(message: bytes) -> dict[str, Any]:
    """Return what a message says beside its windows."""
    return json.loads((pa.ipc.open_stream(message).schema.metadata or {})[b"job"])


def opened(message: bytes, piece: Slice, threads: int) -> Opened:
    """Return the job of a message on its slice. Raises IntegrityError where they are not those it was made of."""
    spec, table = spec_of(message), pa.ipc.open_stream(message).read_all()
    arrays = {name: table[name].to_numpy() for name in table.column_names}
    if _data_digest(piece.facts.content_sha256, arrays) != spec["data"]:
        raise IntegrityError(f"{piece.path} does not hold the candles of this search; delete it and its manifest")
    fits = arrays.pop("fits")
    windows = Windows(**{name: column(each, each.dtype) for name, each in arrays.items()})
    market = Market(piece.candles, spec["step"], Rules(*spec["rules"]), Costs(*map(float, spec["costs"])))
    there = Ground(market, windows, fits, np.arange(fits.size), spec["memory"], threads)
    chosen, medians, work = _tried(spec, fits.size)
    return Opened(there, chosen, spec["horizon"], medians, work)


def _tried(spec: Mapping[str, Any], alerts: int) -> tuple[Chosen, bool, Work | None]:
    """Return what a job tries: its policies by number, whether medians are wanted, and the plan of a surface."""
    config = spec["config"]
    if "search" in config:
        asked, space = config["search"], space_in(config["search"]["space"])

        def drawn(first: int, count: int) -> Policies:
            return to_policies(space, draw(space, int(asked["seed"]), first, count))

        return drawn, config["medians"] == "all", None
    grid = grid_of(ranges_of(config["surface"]), 2**62)

    def cells(first: int, count: int) -> Policies:
        return to_policies(grid.space, grid.drawn(first, count))

    told = config["objective"], config["medians"], config["by"], 2**62
    height, widths, block = spec["cut"]
    return cells, config["medians"], Work(grid, *told, alerts, height, widths, block, spec["memory"])


def _data_digest(content: str, arrays: Mapping[str, np.ndarray]) -> str:
    names = sorted(arrays)
    return hashlib.sha256(canonical_json([content, names, arrays_sha256(arrays[name] for name in names)])).hexdigest()


@functools.cache
def engine_digest() -> str:
    """Return the sha256 (64 hex) over our sources and the versions that decide bits."""
    import numba

    package, digest = Path(__file__).parents[2], hashlib.sha256()
    for floor in ("kernels", "io", "engine"):
        for source in sorted((package / floor).rglob("*.py")):
            digest.update(source.relative_to(package).as_posix().encode() + b"\0" + source.read_bytes() + b"\0")
    digest.update(f"numba {numba.__version__} numpy {np.__version__}".encode())
    return digest.hexdigest()


def key_of(job: Job, what: str, given: Mapping[str, Any]) -> str:
    """Return the name of an item: equal where and only where the same is to be done with the same code."""
    part = hashlib.sha256(canonical_json([what, dict(given)])).hexdigest()
    return f"highwater-{what}-{job.config[:12]}-{job.data[:12]}-{job.engine[:12]}-{part[:16]}"
