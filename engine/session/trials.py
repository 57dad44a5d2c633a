"""What configurations of the session runner make of the same candles: their metrics, and their R by session day."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...io.errors import UsageError
from ...kernels.arrays import Ints
from .config import Config
from .ground import Ground
from .metrics import Metric, metrics_of
from .prepare import ready_on
from .walk import found_of

WORKERS = 8  # at most: half of the work is Python's
MICRO = 1_000_000  # millionths of R: sums of them do not depend on their order


@dataclass(frozen=True)
class Land:
    """A symbol of a search: its ``ground``, the sessions bool[S] that must not be traded, what a point is worth."""

    symbol: str
    ground: Ground
    skip: np.ndarray | None = None
    point_value: float = 1.0


@dataclass(frozen=True)
class Days:
    """The D days on which some symbol has candles, and for each land the day of each of its sessions, int64[S]."""

    names: tuple[str, ...]
    numbers: tuple[Ints, ...]


@dataclass(frozen=True)
class Made:
    """What a configuration made: its trades' columns by exit, its ``metrics``, and millionths of R by the day of entry,
    int64[D]; ``held``: the most days that a trade took to end."""

    trades: Mapping[str, Any]
    metrics: Mapping[str, Metric]
    sums: Ints
    held: int


def days_of(lands: Sequence[Land]) -> Days:
    """Return the ``Days`` of a search."""
    some = [
        {day for day, has in zip(each.ground.hours.days, each.ground.traded.tolist(), strict=True) if has}
        for each in lands
    ]
    every = sorted(set().union(*some))
    place = {day: i for i, day in enumerate(every)}
    numbers = [np.array([place.get(day, -1) for day in each.ground.hours.days], np.int64) for each in lands]
    return Days(tuple(day.isoformat() for day in every), tuple(numbers))


def made_of(lands: Sequence[Land], days: Days, config: Config) -> Made:
    """Return what one configuration makes. Raises UsageError where the candles do not allow it."""
    parts: dict[str, list[Any]] = {}
    for number, (land, places) in enumerate(zip(lands, days.numbers, strict=True)):
        ready = ready_on(land.ground, config, land.skip)
        found = found_of(ready)[0]
        closes = land.ground.hours.close
        ends = np.minimum(np.searchsorted(closes, found["exit_ts"]), closes.size - 1)
        worth = config.backtest.contracts_per_trade * land.point_value
        columns = {
            "symbol": np.full(found.size, number),
            "day": places[found["session"]],
            "entry_timestamp": ready.bars.ts[found["entry_bar"]],
            "exit_timestamp": found["exit_ts"],
            "realized_r": found["r"],
            "worst_r": found["worst_r"],
            "best_r": found["best_r"],
            "ambiguous": found["best_r"] > found["worst_r"],
            "pnl": found["r"] * found["risk"] * worth,
            "held": ends - found["session"],
        }
        for name, column in columns.items():
            parts.setdefault(name, []).append(column)
    trades = {name: np.concatenate(columns) for name, columns in parts.items()}
    order = np.lexsort((trades["symbol"], trades["entry_timestamp"], trades["exit_timestamp"]))
    trades = {name: column[order] for name, column in trades.items()}
    metrics = metrics_of(trades, len(days.names), config.backtest.initial_capital)
    sums = by_day(trades, trades["realized_r"], len(days.names))
    return Made(trades, metrics, sums, int(trades["held"].max(initial=0)))


def by_day(trades: Mapping[str, Any], values: np.ndarray, days: int) -> Ints:
    """Return millionths of ``values``, one a trade, summed by day, int64[D]."""
    sums = np.zeros(days, np.int64)
    np.add.at(sums, trades["day"], np.rint(values * MICRO).astype(np.int64))
    return sums


def made_by_all(
    lands: Sequence[Land],
    days: Days,
    configs: Sequence[Config],
    threads: int,
    advance: Callable[[int], None] = lambda done: None,
) -> list[Made | None]:
    """Return what each configuration makes, without its trades, None where the candles do not allow it; the same for
    any number of ``threads``."""
    threads = max(1, min(threads, len(configs), WORKERS))
    found: list[Made | None] = [None] * len(configs)
    done = [0] * threads

    def some(worker: int) -> None:
        for i in range(worker, len(configs), threads):
            try:
                found[i] = replace(made_of(lands, days, configs[i]), trades={})
            except UsageError:
                found[i] = None
            done[worker] += 1
            if worker == 0:
                advance(sum(done))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(some, range(threads)))
    return found
