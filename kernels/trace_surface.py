"""Every stop with every target on the positions of one trace: what each would have saved, and given up.

With exit memory a signal is entered once, so the positions are the same in every cell. The moving stops and targets of
both sides would need tables of their own; a position takes about 1 us, so each cell trades each of them by ``exits``.
"""

# pyright: reportArgumentType=false

from math import nan
from typing import NamedTuple

import numpy as np

from .arrays import BE, SL, TP, TRAIL, Floats, Ints, Policy
from .bounds import NOTE, bracket
from .exits import FILL
from .jit import compiled, share
from .positions import POSITION, Exits, Market, Taking, entry_of, policy_of, returned, trade, window_of
from .walk import no_blocks

CELL = np.dtype(
    [
        *((name, "i8") for name in ("trades", "wins", "stopped", "targets", "ambiguous")),
        *((name, "f8") for name in ("mean", "total_return", "saved", "given_up", "mean_worst", "mean_best")),
    ]
)


class Levels(NamedTuple):
    """The stops float64[M] and targets float64[K] of longs, and of shorts in the mirror; unset as in ``Policy``.

    ``whole`` int64[1]: a target sells all of a position; ``rest``: what else may end one.
    """

    sl: Floats
    tp: Floats
    short_sl: Floats
    short_tp: Floats
    whole: Ints
    rest: Exits


@compiled
def with_levels(policy, sl, tp, whole):
    """Return ``policy`` with a stop and a target, float64[1]."""
    return Policy(
        sl, tp, whole, policy.be_trigger, policy.be_offset, policy.trail_pct, policy.activate, policy.time_ms
    )  # fmt: skip


@compiled
def cell(positions, market, exits, how, out):
    """Write one CELL: the positions of a trace, by their signal alone, with ``exits`` instead."""
    this, nothing, unnoted = np.empty(1, POSITION)[0], np.empty(0, FILL), np.empty(0, NOTE)
    grown, total, worst, best, saved, given_up = 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
    wins, stopped, targets, ambiguous = 0, 0, 0, 0
    for k in range(positions.size):
        base, up = positions[k], positions[k]["direction"] > 0
        bars, policy = (market.bars, exits.long) if up else (market.mirror, exits.short)
        this["direction"], this["entry_bar"], this["until"] = base["direction"], base["entry_bar"], base["until"]
        trade(this, bars, policy, how, nothing)
        own, entry = policy_of(this, bars.ts, policy, how), entry_of(this, bars, how)
        found = bracket(window_of(this, bars, how), entry, own, how.rules, unnoted, no_blocks())
        ret, without, reason = this["ret"], base["ret"], this["reason"]
        grown, total = max(grown * (1.0 + ret), 0.0), total + ret
        worst += returned(found.worst, entry.price, this["direction"], how.costs)
        best += returned(found.best, entry.price, this["direction"], how.costs)
        saved, given_up = saved + max(ret - without, 0.0), given_up + max(without - ret, 0.0)
        wins, ambiguous = wins + (ret > 0), ambiguous + (found.n_ambiguous > 0)
        stopped, targets = stopped + (reason in (SL, BE, TRAIL)), targets + (reason == TP)
    n = positions.size
    out["trades"], out["wins"], out["stopped"], out["targets"], out["ambiguous"] = n, wins, stopped, targets, ambiguous
    out["mean"], out["mean_worst"], out["mean_best"] = nan, nan, nan
    if n:
        out["mean"], out["mean_worst"], out["mean_best"] = total / n, worst / n, best / n
    out["total_return"], out["saved"], out["given_up"] = grown - 1.0, saved, given_up


@compiled
def cells(positions, market, levels, how, first, last):
    """Return CELL of the cells ``first`` to ``last - 1``, the targets running fastest."""
    out, width = np.zeros(last - first, CELL), levels.tp.size
    for c in range(first, last):
        m, k = c // width, c % width
        long = with_levels(levels.rest.long, levels.sl[m], levels.tp[k : k + 1], levels.whole)
        short = with_levels(levels.rest.short, levels.short_sl[m], levels.short_tp[k : k + 1], levels.whole)
        cell(positions, market, Exits(long, short), how, out[c - first])
    return out


def cells_all(positions: np.ndarray, market: Market, levels: Levels, how: Taking) -> np.ndarray:
    """Return CELL[M, K] of the positions of one trace, made by ``jit.threads``; means are NaN where there are none."""
    parts = share(cells, levels.sl.size * levels.tp.size, positions, market, levels, how)
    return np.concatenate([np.empty(0, CELL), *parts]).reshape(levels.sl.size, levels.tp.size)
