"""The best fixed exits of each caller: in hindsight, and as chosen without him, so that the luck of the first shows."""

from dataclasses import dataclass

import numpy as np

from ..io.errors import LimitError
from .fixed_exits import Cell, FixedExits

BLOCK = 2**22  # returns held at once
MOST = 2**26  # callers times cells: a GiB of sums


@dataclass(frozen=True)
class CallerPolicy:
    """The cell that paid best on a caller's own alerts, and the one that paid best on the others', both on his own.

    The others' alerts are those of other callers on tokens that he did not call; ``others`` counts them, and
    ``chosen`` is None where there is none.
    """

    caller_name: str
    calls: int
    best: Cell
    others: int
    chosen: Cell | None


@dataclass(frozen=True)
class CallerPolicies:
    """Each caller's policies, and over all of them the mean return of the best and of the chosen cells, in bps.

    ``whole`` is the one cell that paid best on all alerts of the run.
    """

    rows: tuple[CallerPolicy, ...]
    best_bps: float
    chosen_bps: float
    whole: Cell


def caller_policies(exits: FixedExits, least_calls: int) -> CallerPolicies:
    """Return the policies of every caller with at least ``least_calls`` trades, by name. Of equal cells the first.

    Raises LimitError where callers times cells pass MOST.
    """
    prepared, cells = exits.there.prepared, exits.work.grid.cells
    kept = prepared.alerts.filter(prepared.ok)
    names, caller = np.unique(np.array(kept["caller_name"].to_pylist(), object), return_inverse=True)
    _, token = np.unique(np.array(kept["mint"].to_pylist(), object), return_inverse=True)
    calls = np.bincount(caller)
    judged = np.flatnonzero(calls >= least_calls)
    if judged.size * cells > MOST:
        raise LimitError(
            f"{cells:,} fixed exits for each of {judged.size:,} callers are more than {MOST:,}; raise --min-calls, "
            "or give --tp and --sl longer steps"
        )
    place = np.full(names.size, -1)
    place[judged] = np.arange(judged.size)
    own, near, others = _sums(exits, place[caller], token)
    whole = exits.sums()
    rows = []
    for i, who in enumerate(judged.tolist()):
        chosen = exits.cell(int(np.argmax(whole - near[i])), own[i], int(calls[who])) if others[i] else None
        best = exits.best(own[i], int(calls[who]))
        rows.append(CallerPolicy(str(names[who]), int(calls[who]), best, int(others[i]), chosen))
    known = [row for row in rows if row.chosen is not None]
    best_bps, chosen_bps = _mean([(row.calls, row.best) for row in known]), _mean([(r.calls, r.chosen) for r in known])
    return CallerPolicies(tuple(rows), best_bps, chosen_bps, exits.best(whole, caller.size))


def _sums(exits: FixedExits, caller: np.ndarray, token: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what every cell returned on each caller's alerts, and on all alerts of the tokens he called.

    int64[C, cells] both; and how many alerts are of other tokens, int64[C]. ``caller`` and ``token`` number those of
    each alert; -1 is a caller left out.
    """
    count, cells = caller.max(initial=-1) + 1, exits.work.grid.cells
    own, near = np.zeros((count, cells), np.int64), np.zeros((count, cells), np.int64)
    others = np.full(count, caller.size)
    called = [np.empty(0, np.int64)] * (token.max() + 1)
    order = np.argsort(token, kind="stable")
    for each in np.split(order, np.flatnonzero(np.diff(token[order])) + 1):
        who = np.unique(caller[each])
        called[token[each[0]]] = who[who >= 0]
        others[called[token[each[0]]]] -= each.size
    block = max(1, BLOCK // cells)
    for first in range(0, order.size, block):
        rows = order[first : first + block]
        found = np.ascontiguousarray(exits.returns(rows))
        cuts = np.flatnonzero(np.diff(token[rows], prepend=-1))
        for start, total in zip(cuts, np.add.reduceat(found, cuts, axis=0), strict=True):
            near[called[token[rows[start]]]] += total
        for who, each in zip(caller[rows], found, strict=True):
            if who >= 0:
                own[who] += each
    return own, near, others


def _mean(cells: list[tuple[int, Cell | None]]) -> float:
    """Return the mean return over calls, NaN for none."""
    calls = sum(n for n, _ in cells)
    return sum(n * cell.avg_return_bps for n, cell in cells if cell) / calls if calls else float("nan")
