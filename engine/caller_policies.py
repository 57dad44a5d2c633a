"""The best fixed exits of each caller: in hindsight, and as chosen without him, so that the luck of the first shows."""

from dataclasses import dataclass

import numpy as np

from .fixed_exits import Cell, FixedExits


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
    """Return the policies of every caller with at least ``least_calls`` trades, by name. Of equal cells the first."""
    prepared = exits.there.prepared
    kept = prepared.alerts.filter(prepared.ok)
    names, mints = (np.array(kept[name].to_pylist(), object) for name in ("caller_name", "mint"))
    whole, rows = exits.sums(), []
    for name in sorted(set(names.tolist())):
        mine = np.flatnonzero(names == name)
        if mine.size >= least_calls:
            called = set(mints[mine].tolist())
            near = np.array([i for i, mint in enumerate(mints.tolist()) if mint in called], np.int64)
            rows.append(_policy(exits, name, mine, near, whole))
    judged = [row for row in rows if row.chosen is not None]
    return CallerPolicies(
        tuple(rows),
        _mean([(row.calls, row.best) for row in judged]),
        _mean([(row.calls, row.chosen) for row in judged]),
        exits.best(whole, names.size),
    )


def _policy(exits: FixedExits, name: str, mine: np.ndarray, near: np.ndarray, whole: np.ndarray) -> CallerPolicy:
    """Return a caller's row: ``mine`` are his alerts, ``near`` all alerts on the tokens he called."""
    own = exits.sums(mine)
    others = exits.there.fits.size - near.size
    apart = whole - exits.sums(near)
    chosen = exits.cell(int(np.argmax(apart)), own, mine.size) if others else None
    return CallerPolicy(name, mine.size, exits.best(own, mine.size), others, chosen)


def _mean(cells: list[tuple[int, Cell | None]]) -> float:
    """Return the mean return over calls, NaN for none."""
    calls = sum(n for n, _ in cells)
    return sum(n * cell.avg_return_bps for n, cell in cells if cell) / calls if calls else float("nan")
