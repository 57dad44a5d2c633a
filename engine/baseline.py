"""Path metrics of every alert, the columns of truth/paths.parquet: measured, or as an earlier run kept them."""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..io import cache, schemas
from ..io.columns import bar_name
from ..io.digest import arrays_sha256, content_sha256
from ..io.errors import HighwaterError
from ..kernels import arrays
from .recipe import FILL_SEMANTICS, Prepared
from .settings import Store

BLOCK = 65_536  # alerts measured at a time
DEFAULT_MULTIPLES = (1.2, 1.5)  # beside those of schemas.MULTIPLES, which are always there
_OF_ALERTS = ("call_id", "caller_name", "mint", "chain", "alert_ts_ms")
_FRACTIONS = "dd_overall dd_initial dd_initial_opt dd_after_ath dd_after_ath_opt mdd mdd_opt peak_close_mult coverage"


@dataclass(frozen=True)
class Measured:
    """Path metrics, a table of ``schemas.paths`` but ``run_id``, packed; ``cached``: an earlier run measured them.

    Packed they take a fifth of the memory.
    """

    packed: pq.ParquetFile
    cached: bool

    def read(self, names: Sequence[str] | None = None) -> pa.Table:
        """Return some columns of all alerts, or all."""
        return self.packed.read(None if names is None else list(names)).replace_schema_metadata(None)

    def blocks(self) -> Iterator[pa.Table]:
        """Yield all columns, some alerts after others."""
        for i in range(self.packed.num_row_groups):
            yield self.packed.read_row_group(i).replace_schema_metadata(None)


def path_metrics(prepared: Prepared, extra: tuple[float, ...], store: Store) -> Measured:
    """Return the path metrics of every alert, those of an earlier run where all that they hang on is the same.

    Why a file that is there is not used, or a new one is not kept, is said on stderr.
    """
    with prepared.clock.phase("paths"):
        origin = origin_of(prepared, extra) if store.cache else None
        found = _found(prepared, extra, store, origin) if origin else None
        if found is not None:
            return found
        packed = cache.pack(path_blocks(prepared, extra, store.threads), origin)
    if origin:
        with prepared.clock.phase("cache"):
            try:
                cache.keep(store.cache_folder, origin, packed)
            except (HighwaterError, OSError) as error:
                print(f"highwater: path metrics are not kept: {error}", file=sys.stderr)
    return Measured(pq.ParquetFile(pa.BufferReader(packed)), False)


def _found(prepared: Prepared, extra: tuple[float, ...], store: Store, origin: cache.Origin) -> Measured | None:
    """Return the path metrics an earlier run kept, row for row those of these alerts by ``call_id``."""
    try:
        found = cache.find(store.cache_folder, origin)
    except (HighwaterError, OSError) as error:
        print(f"highwater: {error}; path metrics are measured again", file=sys.stderr)
        return None
    schema, calls = schemas.without_run(schemas.paths(extra)), prepared.alerts["call_id"]
    if found is None or found.schema_arrow != schema or found.read(["call_id"])["call_id"] != calls:
        return None
    return Measured(found, True)


def origin_of(prepared: Prepared, extra: tuple[float, ...]) -> cache.Origin:
    """Return all that path metrics hang on: candles, alerts and windows by their digests, and what measures them."""
    from ..kernels.jit import kernels_digest

    how, code = prepared.trading, kernels_digest().encode() + Path(__file__).read_bytes()
    return cache.Origin(
        candles=prepared.slice.facts.content_sha256,
        alerts=content_sha256(prepared.alerts.select(list(_OF_ALERTS))),
        windows=arrays_sha256([*prepared.asked, *prepared.windows]),
        calls=prepared.alerts.num_rows,
        interval_ms=prepared.step,
        horizon_ms=how.horizon,
        entry=how.entry,
        latency_ms=how.latency,
        max_entry_delay_ms=10 * prepared.step if how.max_entry_delay is None else how.max_entry_delay,
        multiples=tuple(map(repr, _multiples(extra))),
        fill_semantics=FILL_SEMANTICS,
        code=hashlib.sha256(code).hexdigest(),
    )


def path_table(prepared: Prepared, extra: tuple[float, ...], threads: int | None) -> pa.Table:
    """Return the path metrics of every alert, measured now: a table of ``schemas.paths(extra)`` but ``run_id``."""
    return pa.concat_tables(path_blocks(prepared, extra, threads))


def path_blocks(prepared: Prepared, extra: tuple[float, ...], threads: int | None) -> Iterator[pa.Table]:
    """Yield what ``path_table`` returns, some alerts after others."""
    schema = schemas.without_run(schemas.paths(extra))
    for first in range(0, max(1, prepared.alerts.num_rows), BLOCK):
        yield schemas.table(schema, path_columns(prepared, extra, threads, slice(first, first + BLOCK)))


def values(table: pa.Table, name: str) -> NDArray[np.float64]:
    """Return a column as numbers, one a row: NaN where it is null, 1 and 0 where it is true and false."""
    return table[name].cast(pa.float64()).to_numpy()


def _multiples(extra: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sorted({*schemas.MULTIPLES, *extra}))


def path_columns(
    prepared: Prepared, extra: tuple[float, ...], threads: int | None, rows: slice = slice(None)
) -> dict[str, Any]:
    """Return the columns of ``schemas.paths(extra)`` but ``run_id``: one row an alert, masked where undefined.

    Of all alerts, or of some ``rows``. Fractions are dimensionless, times ms after the entry (SEMANTICS section 2).
    """
    from ..kernels.jit import threads as on
    from ..kernels.paths import measure_all

    multiples = _multiples(extra)
    windows, asked = arrays.of_rows(prepared.windows, rows), arrays.of_rows(prepared.asked, rows)
    alerts, gone = prepared.alerts[rows], windows.status != arrays.OK
    with on(threads):
        paths, touches = measure_all(prepared.slice.candles, windows, asked, prepared.step, arrays.column(multiples))

    def known(values: Any, missing: Any = False) -> Any:
        return np.ma.array(values, mask=gone | missing | (values != values))

    def whole(values: NDArray[np.int64]) -> Any:
        return known(values, values < 0)

    found = {
        **{name: alerts[name] for name in _OF_ALERTS},
        "interval": bar_name(prepared.step),
        "p0": known(windows.price),
        "dd_bps": known(paths["dd_overall"] * 10000),
        "dd_to_2x_bps": known(touches["dd_pre"][:, multiples.index(2.0)] * 10000),
        "peak_multiple": known(paths["ath_mult"]),
        "ath_mult": known(paths["ath_mult"]),
        "ret_end_bps": known(paths["ret_end"] * 10000),
        "entry_ts_ms": known(windows.ts),
        "alert_to_entry_ms": known(windows.ts - alerts["alert_ts_ms"].to_numpy()),
        "flags": flag_texts(windows.flags),
        "status": named(windows.status, arrays.STATUSES),
        **{name: known(paths[name]) for name in (*_FRACTIONS.split(), "recovered", "stale", "censored")},
        **{name: whole(paths[name]) for name in ("n_bars", "t_ath_ms", "t_recovery_ms", "max_gap_ms")},
        "alert_to_activity_ms": whole(paths["alert_to_activity_ms"]),
    }
    for j, multiple in enumerate(multiples):
        k, touch = schemas.multiple_name(multiple), touches[:, j]
        found[f"hit_{k}"] = known(touch["hit"])
        found[f"t_{k}_ms"], found[f"t_{k}_lo_ms"] = whole(touch["t_ms"]), whole(touch["t_lo_ms"])
        for name in ("dd_pre", "dd_after"):
            found[f"{name}_{k}"], found[f"{name}_{k}_opt"] = known(touch[name]), known(touch[f"{name}_opt"])
        found[f"dd_pre_{k}_or_horizon"] = known(np.where(touch["hit"], touch["dd_pre"], paths["dd_overall"]))
    return found


def flag_texts(flags: NDArray[np.int64]) -> pa.Array:
    """Return for each of ``flags`` the names of those set in it, separated by commas."""
    every = range(1 << len(arrays.FLAGS))
    return named(flags, [",".join(name for i, name in enumerate(arrays.FLAGS) if n >> i & 1) for n in every])


def named(codes: NDArray[np.integer], names: Sequence[str | None]) -> pa.Array:
    """Return the name of each code as text."""
    return pa.array(names, pa.string()).take(pa.array(codes))
