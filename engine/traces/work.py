"""The work of a run of traces on one series: blocks of strategies, their traces stored as they come, then traded."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...io.digest import canonical_json
from ...io.traces import Place, TraceFiles
from ...kernels.signals import Signal
from .features import Features
from .identity import trace_key
from .kept import Kept, read_kept
from .listing import Listed, Named, Of, Where
from .performance import METRICS, Fills, performances
from .series import Series
from .trace import Trace, trace_of

if TYPE_CHECKING:
    from ..policy import Policy

BLOCK = 256  # strategies whose signals are held at once


@dataclass(frozen=True)
class Asked:
    """A strategy of a run: what the index says of it, the exits of its own, and how its signal is made.

    ``exits(step)`` are those on candles of ``step`` ms, None without any.
    """

    named: Named
    exits: Callable[[int], "Policy | None"]
    signal: Callable[[Features], Signal]


@dataclass(frozen=True)
class How:
    """How traces are made and traded: the exchange's zone, the fills of strategies without exits of their own (None:
    not traded), bytes for indicators, and threads (None: all)."""

    zone: str
    fills: Fills | None
    memory: int
    threads: int | None


@dataclass(frozen=True)
class Done:
    """A row of the index and its trace."""

    row: Listed
    trace: Trace


def blocks(
    series: Series,
    asked: Sequence[Asked],
    how: How,
    held: Mapping[str, Kept],
    files: TraceFiles,
    numbers: Iterator[int],
    run_id: str,
) -> Iterator[list[Done]]:
    """Yield the strategies on one series, a block at a time, each trace written to ``files`` unless it is ``held``.

    ``numbers`` are those that traces get in the files. Strategies of one trace (only their exits differ) share it.
    """
    features = Features(series.bars, series.step, how.zone, how.memory)
    written: dict[str, Where] = {}
    for first in range(0, len(asked), BLOCK):
        some = asked[first : first + BLOCK]
        keys = [_key(each.named, series, how.zone) for each in some]
        traces = _traces(some, keys, features, held, how.threads)
        new = [key for key in dict.fromkeys(keys) if key not in written and key not in held]
        written |= _written(new, traces, files, numbers, run_id)
        earned = _earned(some, [traces[key] for key in keys], series, how)
        yield [
            Done(_row(each, key, series, held, written, *said), traces[key])
            for each, key, said in zip(some, keys, earned, strict=True)
        ]


def _key(named: Named, series: Series, zone: str) -> str:
    return trace_key(named.strategy_hash or "", series.digest, series.symbol, series.timeframe, zone)


def _traces(
    some: Sequence[Asked], keys: Sequence[str], features: Features, held: Mapping[str, Kept], threads: int | None
) -> dict[str, Trace]:
    """Return the trace of each key: read where another run holds it, else made."""
    first = dict(zip(reversed(keys), reversed(some), strict=True))
    known = {key: held[key] for key in keys if key in held}
    bars = features.bars.ts.size
    found = {key: Trace(*changes, bars) for key, changes in zip(known, read_kept(known.values()), strict=True)}
    todo = [key for key in dict.fromkeys(keys) if key not in known]
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        try:
            made = pool.map(lambda key: trace_of(first[key].signal(features)), todo)
            found |= dict(zip(todo, made, strict=True))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return found


def _written(
    keys: Sequence[str], traces: Mapping[str, Trace], files: TraceFiles, numbers: Iterator[int], run_id: str
) -> dict[str, Where]:
    """Write the traces of new keys, and return where each lies."""
    mine = [next(numbers) for _ in keys]
    places = files.add(mine[0], [(traces[key].idx, traces[key].val) for key in keys]) if keys else []
    return {
        key: _where(run_id, place, number, traces[key]) for key, place, number in zip(keys, places, mine, strict=True)
    }


def _where(run_id: str, place: Place, number: int, trace: Trace) -> Where:
    first = int(trace.idx[0]) if trace.idx.size else None
    return Where(run_id, place.path, number, place.first, place.rows, first)


def _row(
    asked: Asked,
    key: str,
    series: Series,
    held: Mapping[str, Kept],
    written: Mapping[str, Where],
    fills: Mapping[str, Any] | None,
    earned: Mapping[str, float | None] | None,
) -> Listed:
    where = held[key].where if key in held else written[key]
    return Listed(asked.named, of(series), where, key, None, fills, earned)


def of(series: Series) -> Of:
    """Return the candles of a series as the index names them."""
    ts = series.bars.ts
    return Of(series.symbol, series.timeframe, series.digest, ts.size, int(ts[0]), int(ts[-1]))


def _earned(
    some: Sequence[Asked], traces: Sequence[Trace], series: Series, how: How
) -> list[tuple[Mapping[str, Any] | None, Mapping[str, float | None] | None]]:
    """Return how each trace was traded and what it earned; strategies of the same exits are done together."""
    if how.fills is None:
        return [(None, None)] * len(some)
    found: list[Any] = [None] * len(some)
    own = [_own(how.fills, each.exits(series.step)) for each in some]
    groups: dict[str, list[int]] = {}
    for i, each in enumerate(own):
        groups.setdefault(canonical_json(each.canonical()).decode(), []).append(i)
    for mine in groups.values():
        columns = performances([traces[i] for i in mine], series.bars, series.step, own[mine[0]], how.threads)
        rows = np.array([columns[name] for name in METRICS]).T.tolist()
        for i, row in zip(mine, rows, strict=True):
            found[i] = described(own[i]), dict(zip(METRICS, row, strict=True))
    return found


def _own(fills: Fills, exits: "Policy | None") -> Fills:
    return fills if exits is None else replace(fills, exits=exits)


def described(fills: Fills) -> dict[str, Any]:
    """Return fills as the index has them."""
    exits = canonical_json(fills.exits.canonical()).decode() if fills.exits else None
    return {"fill": fills.fill, "fee_bps": fills.fee_bps, "slippage_bps": fills.slippage_bps, "exits": exits}
