"""The commands' work from settings to a published run: baseline and strategy, and what searches share with them."""

import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from ..io import schemas
from ..io.errors import AccessError, HighwaterError, StoreError, found_or_raised
from ..io.manifest import utc_text
from ..io.publish import Stage, stage
from .baseline import Measured, path_metrics
from .callers import METRICS, caller_columns
from .judgement import Judgement
from .kept import MENDABLE
from .policy import Policy
from .recipe import FILL_SEMANTICS, Prepared, excluded
from .settings import Store, resolved
from .strategy import summary_columns, trade_columns, with_tail_capture


@dataclass(frozen=True)
class Outcome:
    """A run that was published, or could not be, and the tables a door shows of it.

    ``cached``: an earlier run measured its paths.
    """

    run_id: str
    saved: Path | HighwaterError
    prepared: Prepared
    config: Mapping[str, Any]
    tables: Mapping[str, pa.Table]
    cached: bool
    landscape: tuple[str, str, np.ndarray] | None = None
    judged: Judgement | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Where the run lies. Raises what kept it from being saved: ask last, its numbers are there all the same."""
        return found_or_raised(self.saved)


def run_baseline(prepared: Prepared, store: Store, multiples: tuple[float, ...], command: tuple[str, ...]) -> Outcome:
    """Measure every alert's path, and publish the metrics and the caller table."""
    config = config_of(prepared, {"multiples": [repr(k) for k in sorted({*schemas.MULTIPLES, *multiples})]})
    with recorded("path-only", prepared, store) as s:
        paths = path_metrics(prepared, multiples, store)
        callers = caller_columns(prepared, paths.read(METRICS), None)
        tables = {"callers": schemas.table(schemas.CALLERS, callers, s.run_id)}
        return publish(s, prepared, paths, store, config, command, tables)


def run_strategy(
    prepared: Prepared,
    store: Store,
    policy: Policy,
    multiples: tuple[float, ...],
    command: tuple[str, ...],
    about: Mapping[str, Any] = MappingProxyType({}),
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> Outcome:
    """Trade every alert with one policy, and publish its trades, fills and summary.

    ``about`` and ``facts`` go into the config and the manifest besides.
    """
    chosen = {"policy": policy.canonical(), "multiples": [repr(k) for k in sorted({*schemas.MULTIPLES, *multiples})]}
    config = config_of(prepared, {**chosen, **about})
    with recorded("policy", prepared, store) as s:
        paths = path_metrics(prepared, multiples, store)
        tables = trade_tables(s, prepared, store, policy, paths)
        return publish(s, prepared, paths, store, config, command, tables, facts=facts)


def trade_tables(
    s: Stage,
    prepared: Prepared,
    store: Store,
    policy: Policy,
    measured: Measured,
) -> dict[str, pa.Table]:
    """Return the tables of one policy's trades, given the path metrics: trades, fills, callers and summary."""
    with prepared.clock.phase("exits"):
        trades, fills = trade_columns(prepared, policy, store.threads)
    paths = measured.read(METRICS)
    trades = with_tail_capture(trades, paths)
    return {
        "trades": schemas.table(schemas.TRADES, trades, s.run_id),
        "fills": schemas.table(schemas.FILLS, fills, s.run_id),
        "callers": schemas.table(schemas.CALLERS, caller_columns(prepared, paths, trades), s.run_id),
        "summary": schemas.table(schemas.SUMMARY, summary_columns(prepared, trades), s.run_id),
    }


_TIMES = ("from", "to", "interval", "resample", "coverage_end", "horizon", "latency", "max_entry_delay")


def config_of(prepared: Prepared, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides the results, nothing left to be found out; times in ms.

    Where the data lay is among the inputs, with their digests.
    """
    settings = resolved(prepared.sources, prepared.trading)
    for name in [name for name in settings if name in ("alerts", "candles", "max_decoded") or name.startswith("ch_")]:
        del settings[name]
    settings["interval"] = prepared.step
    if settings["max_entry_delay"] is None:
        settings["max_entry_delay"] = 10 * prepared.step
    named = {f"{name}_ms" if name in _TIMES else name: value for name, value in settings.items()}
    return {"fill_semantics": FILL_SEMANTICS, **named, **chosen}


@contextmanager
def recorded(run_type: str, prepared: Prepared, store: Store, run_id: str = "") -> Iterator[Stage]:
    """Hold a stage; a bug inside is published as a failed run, what the user can mend is not."""
    with stage(store.runs, run_type, run_id) as s:
        try:
            yield s
        except MENDABLE:
            raise
        except Exception as error:
            s.fail(error, inputs=prepared.inputs)
            raise


def publish(
    s: Stage,
    prepared: Prepared,
    paths: Measured,
    store: Store,
    config: dict[str, Any],
    command: tuple[str, ...],
    tables: Mapping[str, pa.Table],
    written: tuple[str, ...] = (),
    facts: Mapping[str, Any] = MappingProxyType({}),
    **execution: Any,
) -> Outcome:
    """Write all but the tables ``written`` before, and publish the run, unless the disk refuses it."""
    try:
        with prepared.clock.phase("write"):
            s.write("alerts", prepared.alerts)
            _write_paths(s, paths)
            for kind, table in tables.items():
                if kind not in written:
                    s.write(kind, table)
            s.write("errors", _errors(prepared, s.run_id))
            s.write_file("logs/run.log", "\n".join([*prepared.lines(), ""]).encode(), "log")
        saved = s.publish(
            config=config,
            command=command,
            **facts,
            execution={"threads": store.threads or 0, "engine": "bars", "paths_cached": paths.cached, **execution},
            inputs=prepared.inputs,
            counts={**prepared.batch.counts, **prepared.counts},
            timing_ms=dict(prepared.clock.spent),
        )
    except (StoreError, AccessError) as error:
        saved = error
    return Outcome(s.run_id, saved, prepared, config, tables, paths.cached)


def _write_paths(s: Stage, paths: Measured) -> None:
    """Write the path metrics, some alerts after others."""
    blocks = (schemas.with_run(block, s.run_id) for block in paths.blocks())
    first = next(blocks)
    with s.writer("paths", first.schema) as out:
        for block in itertools.chain([first], blocks):
            out.write(block)


def _errors(prepared: Prepared, run_id: str) -> pa.Table:
    rows = excluded(prepared)
    now = utc_text(time.time_ns() // 1_000_000)
    columns = {name: [row[name] for row in rows] for name in ("level", "phase", "call_id", "message")}
    columns |= {"timestamp": [now] * len(rows), "details": [None] * len(rows)}
    return schemas.table(schemas.ERRORS, columns, run_id)
