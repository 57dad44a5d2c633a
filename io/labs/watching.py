"""A lab at work, watched: what it finished is fetched as it comes, until it runs no more."""

import heapq
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .client import RUNNING, Client
from .store import each, lab_records
from .sync import OnEvent, sync

BEST = 10


@dataclass(frozen=True)
class Row:
    """A finished backtest as its list has it; None where that does not say.

    ``profit`` is realised and net of fees; ``margin_roi_pct`` the server's ROI: on margin, leverage included.
    """

    backtest: str
    generation: int | None
    population: int | None
    trades: float | None
    profit: float | None
    fees: float | None
    margin_roi_pct: float | None


@dataclass(frozen=True)
class Snapshot:
    """How far a lab is: ``done`` of ``scheduled`` backtests, at ``rate`` a minute since the watch began.

    ``best`` are the finished ones with the highest realised profit, best first; ``kept``: backtests whose runtime is
    in the store.
    """

    lab: str
    name: str
    running: bool
    done: int
    scheduled: int
    kept: int
    rate: float | None
    best: tuple[Row, ...]


def watch(
    client: Client,
    store: Path,
    lab: str,
    every_s: float = 10.0,
    *,
    parts: Sequence[str] = ("runtime",),
    best: int = BEST,
    on_snapshot: Callable[[Snapshot], None] = lambda snapshot: None,
    on_event: OnEvent = lambda event: None,
    pause: Callable[[float], None] = time.sleep,
) -> Snapshot:
    """Fetch what a running lab finishes, every so often, and return what it was when it ran no more.

    ``on_snapshot`` is called each time, ``on_event`` as ``sync`` calls it. Raises as ``sync`` does.
    """
    began, first = time.monotonic(), None
    while True:
        done = sync(client, store, lab, parts=parts, on_event=on_event)
        found = lab_records(store, client.access.server, lab)
        kept = sum("runtime" in each.parts for each in found.backtests)
        count = sum(each.finished for each in found.backtests)
        first = count if first is None else first
        minutes = (time.monotonic() - began) / 60
        snapshot = Snapshot(
            lab,
            str(found.details.get("N") or ""),
            found.details.get("S") in RUNNING,
            count,
            max(count, _number(found.details.get("SB"), int) or 0, done.found),
            kept,
            (count - first) / minutes if count > first else None,
            _best(store, client.access.server, lab, best),
        )
        on_snapshot(snapshot)
        if not snapshot.running:
            return snapshot
        pause(every_s)


def row_of(item: Mapping[str, Any]) -> Row:
    """Return what an entry of a lab's list says, in either shape of its summary."""
    found = item.get("S")
    summary: Mapping[str, Any] = found if isinstance(found, dict) else {}

    def first(*names: str) -> float | None:
        value = next((summary[name] for name in names if summary.get(name) is not None), None)
        if isinstance(value, dict):  # by currency
            value = next(iter(value.values()), None)
        if isinstance(value, list):
            value = value[-1] if value else None
        return _number(value, float)

    return Row(
        str(item.get("BID")),
        _number(item.get("NG"), int),
        _number(item.get("NP"), int),
        first("Trades", "T"),
        first("RealizedProfits", "RP"),
        first("FeeCosts", "FC"),
        first("ReturnOnInvestment", "ROI"),
    )


def _best(store: Path, server: str, lab: str, count: int) -> tuple[Row, ...]:
    finished = {one.key.backtest for one in lab_records(store, server, lab).backtests if one.finished}
    items = (json.loads(parts["summary"]) for _, parts in each(store, server, lab, ("summary",)))
    rows = (row_of(item) for item in items)
    known = (row for row in rows if row.backtest in finished and row.profit is not None)
    return tuple(heapq.nlargest(count, known, key=lambda row: (row.profit, row.backtest)))


def _number(value: Any, kind: Callable[[Any], Any]) -> Any:
    return kind(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
