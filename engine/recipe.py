"""The first half of every run: alerts and candles in, a slice, and the window of each alert."""

import sys
import time
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..io.account import tell
from ..io.alerts import AlertBatch, AlertFilter, read_alerts
from ..io.candle_rows import candle_files, size_of
from ..io.columns import bar_name, pc
from ..io.cutting import cut_slice, read_rows_of
from ..io.errors import DataError
from ..io.files import describe, unchanged
from ..io.manifest import Input
from ..io.remote import origin_of
from ..io.slice_store import find_in, share
from ..io.slices import Slice, Spans, fingerprint
from ..kernels import arrays
from ..kernels.arrays import Alerts, Costs, Ints, Rules, Windows, column
from .places import local
from .progress import progress
from .settings import Sources, Store, Trading
from .stopping import check
from .values import show_duration, show_instant

FILL_SEMANTICS = "FS-1"
WHY_EXCLUDED = {
    "NO_ENTRY_BAR": "no candle at or after the alert",
    "ENTRY_TOO_LATE": "the next candle came later than the longest entry delay",
    "BAD_ENTRY_PRICE": "the entry price is not a price of that market",
    "NO_BARS": "no candle between the entry and the horizon",
    "SERIES_REJECTED": "the token's candles were refused",
    "SEALED": "kept for the holdout",
    "PURGED": "it was searched, or its horizon reaches into the holdout",
}


@dataclass
class Clock:
    """Milliseconds spent in each phase of a run; what memory a phase no longer needs goes back to the system."""

    spent: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time inside to ``name``."""
        began = time.perf_counter()
        check()
        tell(doing=name)
        try:
            yield
        finally:
            pa.default_memory_pool().release_unused()  # 400 MB after a million alerts are read
            self.spent[name] = self.spent.get(name, 0) + round((time.perf_counter() - began) * 1000)


@dataclass(frozen=True)
class Prepared:
    """Alerts, candles and windows, ready for the kernels; one row an alert throughout.

    ``alerts`` is the table of ``schemas.ALERTS``; ``status`` and ``message`` say what became of each. ``reused``: the
    slice was cut by an earlier run. ``sealed_ms``: from when on candles must not be seen, if there is a holdout.
    """

    alerts: pa.Table
    batch: AlertBatch
    slice: Slice
    reused: bool
    asked: Alerts
    windows: Windows
    rules: Rules
    costs: Costs
    sources: Sources
    trading: Trading
    clock: Clock
    sealed_ms: int | None = None

    @property
    def step(self) -> int:
        """The candle interval, ms."""
        return self.slice.facts.interval_ms

    @property
    def ok(self) -> np.ndarray:
        """Which alerts have a window, bool[A]."""
        return self.windows.status == arrays.OK

    @property
    def status(self) -> list[str]:
        """The status of each alert, as text."""
        return [arrays.STATUSES[code] for code in self.windows.status.tolist()]

    @property
    def counts(self) -> Mapping[str, int]:
        """How many alerts ended in each status."""
        counts = np.bincount(self.windows.status).tolist()
        return {name: count for name, count in sorted(zip(arrays.STATUSES, counts, strict=False)) if count}

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The alerts and the candles, as the manifest names them."""
        ts, facts = self.alerts["alert_ts_ms"].to_numpy(), self.slice.facts
        alerts = self.batch.sources[0].sha256, self.alerts.num_rows, int(ts.min()), int(ts.max())
        end = max(facts.coverage_end_ms, default=None)
        candles = facts.content_sha256, facts.rows, facts.from_ms, facts.to_ms, end
        return (
            Input("alerts", self.batch.place, *alerts),
            Input("candles", origin_of(self.sources.candles), *candles),
        )

    def lines(self) -> list[str]:
        """Return what was read and how trades are entered and paid, one line each; the same on every machine."""
        facts, how = self.slice.facts, self.trading
        skipped = ("read", "kept")
        lost = {name.replace("_", " "): n for name, n in self.batch.counts.items() if n and name not in skipped}
        gone = {name: n for name, n in self.counts.items() if name != "OK"}
        rejected = f", {len(facts.rejected)} rejected" if facts.rejected else ""
        marked = {"unusable candles made holes": facts.counts["bad_bars"], "off the grid": facts.counts["off_grid"]}
        notes = "".join(f", {n:,} {what}" for what, n in marked.items() if n)
        first, last = (show_instant(int(t)) for t in (self.asked.ts.min(), self.asked.ts.max()))
        return [
            f"alerts   {self.ok.sum():,} used of {self.batch.counts['read']:,} read"
            + "".join(f", {n:,} {name}" for name, n in (lost | gone).items()),
            f"period   {first} to {last} (UTC)",
            f"candles  {bar_name(self.step)}, {len(facts.tokens):,} tokens{rejected}, {facts.rows:,} rows{notes}",
            f"trades   entry {how.entry}, latency {show_duration(how.latency)}, horizon {show_duration(how.horizon)}, "
            f"intrabar {how.intrabar}",
            f"costs    fee {how.fee_bps:g} bps and slippage {how.slippage_bps:g} bps a side"
            + (" (legacy)" if how.costs == "legacy" else ""),
        ]


def prepare(sources: Sources, trading: Trading, store: Store) -> Prepared:
    """Return everything a kernel needs, from what the settings name.

    Raises DataError ``E_NO_ALERTS`` where no alert is left to backtest, saying where they went, and whatever the
    readers raise.
    """
    clock = Clock()
    with clock.phase("alerts"):
        batch = alerts_of(sources)
    with clock.phase("slice"):
        piece, reused = slice_for(batch, sources, trading, store)
    say_if_compiling(store.quiet)
    return prepare_on(batch, piece, reused, sources, trading, clock)


def prepare_on(
    batch: AlertBatch, piece: Slice, reused: bool, sources: Sources, trading: Trading, clock: Clock
) -> Prepared:
    """Return everything a kernel needs, of alerts and a slice at hand; raises as ``prepare`` does."""
    with clock.phase("entries"):
        asked, windows = enter(batch, piece, trading)
    prepared = prepared_with(batch, piece, reused, (asked, windows), (sources, trading), clock)
    if not prepared.ok.any():
        raise _nothing_left(batch, prepared.counts, piece.facts.rejected)
    return prepared


def prepared_with(
    batch: AlertBatch,
    piece: Slice,
    reused: bool,
    entered: tuple[Alerts, Windows],
    settings: tuple[Sources, Trading],
    clock: Clock,
) -> Prepared:
    """Return everything a kernel needs, of windows at hand."""
    (asked, windows), (sources, trading) = entered, settings
    return Prepared(
        alerts=batch.table,
        batch=batch,
        slice=piece,
        reused=reused,
        asked=asked,
        windows=windows,
        rules=Rules(arrays.INTRABAR[trading.intrabar], False, trading.costs == "legacy"),
        costs=arrays.costs(trading.fee_bps, trading.slippage_bps, legacy=trading.costs == "legacy"),
        sources=sources,
        trading=trading,
        clock=clock,
    )


def say_if_compiling(quiet: bool) -> None:
    """Say on stderr why the first command after a change takes half a minute longer."""
    from ..kernels.jit import cold

    if cold and not quiet:
        print("compiling the kernels, once; later commands find them compiled", file=sys.stderr)


def alerts_of(sources: Sources) -> AlertBatch:
    """Return the alerts the settings ask for. Raises DataError ``E_NO_ALERTS`` where there is none."""
    wanted = AlertFilter(
        from_ms=sources.from_,
        to_ms=sources.to,
        callers=tuple(sources.caller or ()),
        chain=sources.chain,
        mcap_min=sources.mcap_min,
        mcap_max=sources.mcap_max,
    )
    found = read_alerts(
        path := sources.alerts,
        table=sources.alerts_table,
        query=sources.alerts_query,
        filter=wanted,
        time_unit=sources.alert_unit,
        chain=sources.chain or "unknown",
    )
    found = replace(found, place=found.place.replace(str(path), origin_of(path), 1))
    if not found.table.num_rows:
        raise _nothing_left(found, {}, {})
    return found


def slice_for(batch: AlertBatch, sources: Sources, trading: Trading, store: Store) -> tuple[Slice, bool]:
    """Return the slice these alerts need, and whether it had been cut before."""
    options = {
        "horizon": trading.horizon,
        "latency": trading.latency,
        "max_entry_delay": trading.max_entry_delay,
        "chain": sources.chain,
        **{name: getattr(sources.candle_options, name) for name in _SHAPING},
    }
    candles = local(sources.candles)
    if not isinstance(candles, Path):
        from .table_slices import slice_of

        tokens = tuple(sorted(batch.table["mint"].unique().to_pylist()))
        return slice_of(sources, tokens, lambda step: spans_of(batch.table, trading, step), store, options)
    spans = spans_of(batch.table, trading, sources.resample or sources.interval or 0)
    files = tuple(candle_files(candles))
    size = sum(map(size_of, files))
    with progress("reading candles, bytes", size, store.quiet) as advance, ExitStack() as stack:

        def on_progress(done: int, _: int) -> None:
            advance(done * 2 // 5)  # the rest goes into judging them, and a fifth into the slice

        with unchanged(files):  # or a slice would be kept under the fingerprint of other candles
            mark = fingerprint(tuple(describe(path).sha256 for path in files), spans, options)
            if store.cache and (held := find_in(store.slice_folder, mark)):
                return held, True
            how, folder = sources.candle_options, store.slice_folder
            rows = stack.enter_context(closing(read_rows_of(candles, spans.tokens, how, folder, on_progress)))

        def on_share(share: float) -> None:
            advance(int(size * (2 + 2 * share) / 5))

        needing = partial(spans_of, batch.table, trading)
        return share(cut_slice(rows, needing, folder, mark, on_share)), False


_SHAPING = (
    *("interval_ms", "ts_label", "time_unit", "allow_float32", "on_bad_bar", "on_unsorted", "on_dup_conflict"),
    *("resample_ms", "coverage_end_ms"),
)


def spans_of(alerts: pa.Table, trading: Trading, step: int) -> Spans:
    """Return the candles each alert may need, from the one it falls into to the end of the latest entry's horizon."""
    tokens = tuple(sorted(alerts["mint"].unique().to_pylist()))
    ts = alerts["alert_ts_ms"].to_numpy()
    asked = ts + trading.latency
    delay = 10 * step if trading.max_entry_delay is None else trading.max_entry_delay
    lo, hi = ts - step, asked + delay + step + trading.horizon
    return Spans(tokens, _places(alerts["mint"], tokens), lo, asked, hi)


def _places(names: pa.ChunkedArray, among: Collection[str]) -> Ints:
    """Return the place of each name ``among`` some, and behind the last where it is none of them."""
    found = pc.index_in(names, pa.array(among, names.type))
    return pc.fill_null(found, len(among)).to_numpy().astype(np.int64)


def asked_of(batch: AlertBatch, piece: Slice, before: int | None = None) -> Alerts:
    """Return what the entry rule asks of each alert: its token's candles in the slice, and what is known of them.

    Of the candles only those that began ``before`` that instant, where one is given.
    """
    facts = piece.facts
    token = _places(batch.table["mint"], facts.tokens)
    starts, ends = np.array(facts.offsets[:-1]), np.array(facts.offsets[1:])
    if before is not None:
        ts = piece.candles.ts
        ends = np.array([s + np.searchsorted(ts[s:e], before) for s, e in zip(starts, ends, strict=True)], np.int64)
    first, last = (np.array([*part, 0], np.int64)[token] for part in (starts, ends))
    prices = batch.table["alert_price"].to_numpy(zero_copy_only=False)
    return Alerts(
        column(first, np.int64),
        column(last, np.int64),
        column(batch.table["alert_ts_ms"].to_numpy(), np.int64),
        column(prices, np.float64),
        column(np.array([*facts.coverage_end_ms, 0], np.int64)[token], np.int64),
        column(np.array([*facts.on_grid, False], np.bool_)[token], np.bool_),
    )


def enter(batch: AlertBatch, piece: Slice, trading: Trading, before: int | None = None) -> tuple[Alerts, Windows]:
    """Return what the entry rule asked of each alert, and the window it gave.

    As if there were only the candles that began ``before`` that instant, where one is given.
    """
    from ..kernels.entries import enter_all, entry_rule

    facts, asked = piece.facts, asked_of(batch, piece, before)
    rejected = _places(batch.table["mint"], facts.rejected.keys()) < len(facts.rejected)
    status = np.where(rejected, arrays.SERIES_REJECTED, arrays.OK)
    mode = arrays.ENTRY[trading.entry]
    rule = entry_rule(mode, trading.horizon, facts.interval_ms, trading.latency, trading.max_entry_delay)
    found = enter_all(piece.candles, asked, rule, column(status, np.int64))
    return asked, Windows(*(column(part, part.dtype) for part in found))


def _nothing_left(batch: AlertBatch, statuses: Mapping[str, int], rejected: Mapping[str, str]) -> DataError:
    """Return the error that says where every alert went, with the first reason why candles were ``rejected``."""
    read = batch.counts.get("read", 0)
    words = {name: count for name, count in batch.counts.items() if count and name not in ("read", "kept")}
    gone = [f"{count} {name.replace('_', ' ')}" for name, count in words.items()]
    why, first = dict(WHY_EXCLUDED), next(iter(rejected.values()), "")
    if first:
        why["SERIES_REJECTED"] += f": {first}"
    gone += [f"{count} {name} ({why[name]})" for name, count in statuses.items()]
    return DataError(
        f"{batch.place}: no alert left to backtest: {' / '.join([f'{read} in the file', *gone])}", "E_NO_ALERTS"
    )


def excluded(prepared: Prepared) -> list[dict[str, Any]]:
    """Return a row for errors.parquet for every alert without a window and every note on callers and candles."""
    rows = []
    out = np.flatnonzero(~prepared.ok)
    calls, mints = (prepared.alerts[name].take(out).to_pylist() for name in ("call_id", "mint"))
    for call, mint, code in zip(calls, mints, prepared.windows.status[out].tolist(), strict=True):
        status = arrays.STATUSES[code]
        why = prepared.slice.facts.rejected.get(mint) or WHY_EXCLUDED[status]
        rows.append({"level": "warning", "phase": "entry", "call_id": call, "message": f"{status}: {why}"})
    notes = [("alerts", note) for note in _look_alikes(prepared.alerts["caller_name"].unique().to_pylist())]
    notes += [("candles", note) for note in prepared.slice.facts.notes]
    return rows + [{"level": "info", "phase": phase, "call_id": None, "message": note} for phase, note in notes]


def _look_alikes(names: list[str]) -> list[str]:
    """Return a note for each group of names that Unicode composes to one (NFC)."""
    forms: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        forms.setdefault(unicodedata.normalize("NFC", name), []).append(name)
    return [f"callers {', '.join(same)} differ only in Unicode form" for same in forms.values() if len(same) > 1]
