"""The work of ``highwater traces run`` from a document of strategies to a published run."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...io.digest import canonical_json
from ...io.errors import AccessError, HighwaterError, StoreError, found_or_raised
from ...io.publish import Stage, stage
from ...io.slices import Slice
from ...io.traces import About, signals_path, signals_table, trace_files
from ..kept import MENDABLE
from ..progress import progress
from ..recipe import Clock, say_if_compiling
from ..settings import Store
from ..sizing import check_room
from ..trace_settings import Market
from .clock import wall_of
from .features import Features
from .filters import FilterReport
from .forms import Strategy
from .identity import SEMANTICS
from .kept import Kept, kept_traces
from .listing import Listed, Named, index_table
from .performance import Fills
from .record import config_of, counts_of, errors_of, lines_of
from .series import Series, inputs, prepared
from .sweeps import Expansion
from .votes import signal_of
from .work import Asked, Done, How, blocks

FEW = 200  # strategies of a run that get a file each, besides
_BITS = 2  # a candle and strategy, a generous guess of what a trace takes on disk


@dataclass(frozen=True)
class Task:
    """What a run of traces is to do. ``document`` is what the strategies were read from, a JSON value.

    ``fills`` None: nothing is traded. ``held`` are traces not to be made again, by key; None: those that other runs of
    the store hold. ``name`` is what the user calls the run.
    """

    document: Any
    expansion: Expansion
    market: Market
    fills: Fills | None
    memory: int
    held: Mapping[str, Kept] | None = None
    name: str | None = None


@dataclass(frozen=True)
class Given:
    """The series of a run and the slice that holds them. ``reused``: it was cut before."""

    series: Sequence[Series]
    piece: Slice
    reused: bool


@dataclass(frozen=True)
class Traced:
    """A run of traces that was published, or could not be, and what a door shows of it.

    ``reports`` are the filters of a single strategy, by symbol; ``kept`` counts the traces that other runs hold, by
    run; ``reused``: the slice was cut before.
    """

    run_id: str
    saved: Path | HighwaterError
    config: Mapping[str, Any]
    index: pa.Table
    counts: Mapping[str, int]
    kept: Mapping[str, int]
    reports: Mapping[str, FilterReport]
    lines: tuple[str, ...]
    clock: Clock
    reused: bool

    @property
    def path(self) -> Path:
        """Where the run lies. Raises what kept it from being saved: ask last."""
        return found_or_raised(self.saved)


@dataclass(frozen=True)
class _Ready:
    """What a task works on: the strategies in plain values, the series, and the traces that are held."""

    asked: tuple[Asked, ...]
    of: Given
    held: Mapping[str, Kept]
    clock: Clock


@dataclass
class _Found:
    """What a run has found so far; the traces only of a run of few."""

    rows: list[Listed] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)


def run_traces(task: Task, store: Store, command: tuple[str, ...], given: Given | None = None) -> Traced:
    """Make, store and trade the traces of every strategy on every series, and publish them with their index.

    The series are those ``given``, else as the task names them. Raises DataError where a symbol has no candle,
    LimitError where the disk has no room, and as the readers do.
    """
    clock = Clock()
    with clock.phase("slice"):
        of = given or Given(*prepared(task.market, store))
    wall_of(of.series[0].bars.ts[:1], of.series[0].step, task.market.zone)  # or a wrong zone is met in the middle
    with clock.phase("known"):
        held = kept_traces(store.runs, {each.digest for each in of.series}) if task.held is None else task.held
    say_if_compiling(store.quiet)
    asked = tuple(map(_asked, task.expansion.ids(), task.expansion.strategies))
    ready = _Ready(asked, of, held, clock)
    with _recorded(task, ready, store) as s:
        check_room(_bytes_on_disk(ready), s.root, "or choose another --runs", spare=1.0)
        found = _Found()
        with clock.phase("traces"):
            _make(task, ready, store, s, found)
        with clock.phase("write"):
            rows = _write_each(found, task, ready, s) if found.done else found.rows
            index = index_table(rows, s.run_id)
            s.write("strategy_index", index)
        return _publish(task, ready, store, s, index, command)


def _asked(strategy_id: str, strategy: Strategy) -> Asked:
    """Return a strategy of the grammar in plain values."""
    named = Named(
        strategy_id,
        strategy.strategy_hash,
        strategy.strategy_type,
        canonical_json(strategy.config).decode(),
        strategy.parameters,
        strategy.constraints,
    )
    risk = strategy.risk
    return Asked(named, risk.policy if risk else _none, lambda features: signal_of(strategy, features)[0])


def _none(_: int) -> None:
    """Return no exits."""


def _make(task: Task, ready: _Ready, store: Store, s: Stage, found: _Found) -> None:
    """Make every trace, store it, and list it."""
    how = How(task.market.zone, task.fills, task.memory, store.threads)
    total, numbers = len(ready.asked) * len(ready.of.series), itertools.count()
    with trace_files(s) as files, progress("strategies", total, store.quiet) as advance:
        for one in ready.of.series:
            for block in blocks(one, ready.asked, how, ready.held, files, numbers, s.run_id):
                found.rows += [each.row for each in block]
                if total <= FEW:
                    found.done += block
                advance(len(found.rows))


def _write_each(found: _Found, task: Task, ready: _Ready, s: Stage) -> list[Listed]:
    """Write a file that tells all of one strategy for each, and return the rows with its place in them."""
    series = {one.symbol: one for one in ready.of.series}
    rows = []
    for each in found.done:
        about, table = one_file(each, series[each.row.of.symbol], str(task.market.candles))
        path = signals_path(about)
        s.write("signals", table, path, about.metadata())
        rows.append(replace(each.row, signals_path=path))
    return rows


def one_file(done: Done, series: Series, source: str) -> tuple[About, pa.Table]:
    """Return what the file of one strategy says of itself, and its rows. ``source`` is where its candles lay."""
    row, idx = done.row, done.trace.idx
    about = About(
        strategy_id=row.named.strategy_id,
        strategy_hash=row.named.strategy_hash,
        strategy_type=row.named.strategy_type,
        config=row.named.config,
        trace_key=row.trace_key,
        symbol=row.of.symbol,
        timeframe=row.of.timeframe,
        data_digest=row.of.data_digest,
        data_source=source,
        semantics=SEMANTICS,
        bars=row.of.bars,
        first_ts_ms=row.of.first_ts_ms,
        last_ts_ms=row.of.last_ts_ms,
    )
    return about, signals_table(about, idx, done.trace.val, series.bars.ts[idx], series.bars.close[idx])


@contextmanager
def _recorded(task: Task, ready: _Ready, store: Store) -> Iterator[Stage]:
    """Hold a stage; a bug inside is published as a failed run, what the user can mend is not."""
    with stage(store.runs, "traces") as s:
        try:
            yield s
        except MENDABLE:
            raise
        except Exception as error:
            s.fail(error, inputs=inputs(task.market, ready.of.piece))
            raise


def _bytes_on_disk(ready: _Ready) -> int:
    """Return a generous guess of what the traces take."""
    return sum(one.bars.ts.size for one in ready.of.series) * len(ready.asked) * _BITS // 8


def _publish(task: Task, ready: _Ready, store: Store, s: Stage, index: pa.Table, command: tuple[str, ...]) -> Traced:
    """Write what is left, and publish the run, unless the disk refuses it."""
    what = task.expansion, task.market, task.fills, ready.of.series
    config, lines = config_of(*what), lines_of(*what)
    kept = Counter(run for run in index["trace_run"].to_pylist() if run != s.run_id)
    counts = counts_of(task.expansion, ready.of.series, index, sum(kept.values()))
    try:
        with ready.clock.phase("write"):
            s.write_file("inputs/strategies.json", canonical_json(task.document), "document")
            s.write("errors", errors_of(ready.of.piece, index, s.run_id))
            s.write_file("logs/run.log", "\n".join([*lines, ""]).encode(), "log")
        execution = {"threads": store.threads or 0, "memory": task.memory, "distinct": index.num_rows}
        saved = s.publish(
            config=config,
            command=command,
            execution={**execution, "name": task.name, "traces_of": sorted(kept)},
            inputs=inputs(task.market, ready.of.piece),
            counts=counts,
            timing_ms=dict(ready.clock.spent),
        )
    except (StoreError, AccessError) as error:
        saved = error
    reports = reports_of(task.expansion.strategies, ready.of.series, task.market.zone, task.memory)
    return Traced(
        s.run_id, saved, config, index, counts, dict(kept), reports, tuple(lines), ready.clock, ready.of.reused
    )


def reports_of(
    strategies: Sequence[Strategy], series: Sequence[Series], zone: str, memory: int
) -> dict[str, FilterReport]:
    """Return what the filters of a single strategy did, by symbol; none of several."""
    if len(strategies) != 1:
        return {}
    (strategy,), found = strategies, {}
    for one in series:
        found[one.symbol] = signal_of(strategy, Features(one.bars, one.step, zone, memory))[1]
    return {symbol: report for symbol, report in found.items() if report.clauses}
