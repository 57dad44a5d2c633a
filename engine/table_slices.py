"""The slice of a run out of a table of ClickHouse: what its alerts need, which tokens have it, and the candles."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from ..io.digest import config_digest
from ..io.slice_store import find_in, share
from ..io.slices import Slice, Spans, fingerprint
from ..io.sources.clickhouse import Table
from ..io.sources.clickhouse_export import Bulk, Coverage, Source, covered, export, opened
from .progress import progress
from .settings import Sources, Store

Needing = Callable[[int], Spans]  # the stretches that alerts need, given how long candles are, ms


def slice_of(
    sources: Sources, tokens: tuple[str, ...], needing: Needing, store: Store, options: Mapping[str, Any]
) -> tuple[Slice, bool]:
    """Return the slice that alerts on ``tokens`` need, and whether it had been cut before.

    ``options`` are what shapes it besides. Raises what a table's opening, coverage and export raise.
    """
    source, spans, found = looked_at(sources, tokens, needing)
    mark = fingerprint((found.digest(), config_digest(str(source.table))), spans, options)
    if store.cache and (held := find_in(store.slice_folder, mark)):
        return held, True

    def reporting(total: int) -> AbstractContextManager[Callable[[int], None]]:
        return progress("exporting candles", total, store.quiet)

    return share(export(source, spans, found, mark, store.slice_folder, reporting)), False


def looked_at(sources: Sources, tokens: tuple[str, ...], needing: Needing) -> tuple[Source, Spans, Coverage]:
    """Return the table that settings name, what alerts need of it, and which tokens have what of that."""
    table = sources.candles
    assert isinstance(table, Table)
    source = opened(table, tokens, sources.candle_options, sources.chain, Bulk(sources.ch_batch, sources.ch_parallel))
    spans = needing(source.step)
    return source, spans, covered(source, spans)
