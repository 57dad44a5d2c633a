"""Shorts (SEMANTICS section 5): a short is a long in the mirrored market, where every price is negative.

Negation is exact, so in the mirror each comparison and each multiplication of ``exits.simulate`` and
``bounds.bracket`` is that of a short, bit for bit: a high is a low, a stop above the entry is one below it. What has a
sign of its own is here: which levels are out of reach, what a trade returned, and the extremes it saw.
"""

# pyright: reportArgumentType=false

from decimal import Decimal

import numpy as np
from numpy.typing import ArrayLike

from .arrays import NEVER, Candles, Entry, Policy, column
from .jit import compiled


def mirrored(candles: Candles) -> Candles:
    """Return the candles with every price negated: open, high, low and close are -open, -low, -high and -close."""
    return candles._replace(
        open=column(-candles.open), high=column(-candles.low), low=column(-candles.high), close=column(-candles.close)
    )


def short_policy(
    sl: float = np.inf,
    tp: ArrayLike = (),
    frac_bps: ArrayLike | None = None,
    trail_pct: float | None = None,
    activate: float = 1.0,
    be_trigger: float = -np.inf,
    be_offset: float = 0.0,
    time_ms: int = NEVER,
) -> Policy:
    """Return the exit rules of a short; what is left out is unset. A single target buys all back.

    ``sl`` lies above 1, ``tp`` descends below it, a trailing stop is ``1 + trail_pct`` times the lowest price once that
    is down to ``activate``, a breakeven stop lies at ``1 + be_offset`` once the price is down to ``be_trigger``.
    """
    targets = column(tp).reshape(-1)
    shares = column(np.full(targets.size, 10000) if frac_bps is None else frac_bps, np.int64)
    armed = -np.inf if trail_pct is None else float(activate)
    return Policy(float(sl), targets, shares, float(be_trigger), float(be_offset), -(trail_pct or 0.0), armed, time_ms)


def reflected(policy: Policy) -> Policy:
    """Return a long's exit rules for a short: each multiple m is 2 - m, so 5 % below is 5 % above.

    Subtracted in decimal, as such numbers are written: 0.99 becomes 1.01. A target of 2 or more is never reached.
    """
    sl = _about_one(policy.sl) if policy.sl else np.inf
    tp = column([_about_one(mult) for mult in policy.tp.tolist()])
    trigger, activate = _about_one(policy.be_trigger), _about_one(policy.activate)
    return Policy(sl, tp, policy.frac_bps, trigger, -policy.be_offset, -policy.trail_pct, activate, policy.time_ms)


def _about_one(multiple: float) -> float:
    return float(2 - Decimal(repr(float(multiple))))


@compiled
def opposite(entry):
    """Return a short's ``Entry`` in the mirror; ``entry.peak``, the lowest price before ``start``, is P or below."""
    price, ts, end, coverage_end, step, fresh, on_grid, start, peak = entry
    return Entry(-price, ts, end, coverage_end, step, fresh, on_grid, start, -peak)


@compiled
def short_return(gross, price, costs):
    """Return R of a short sold at ``price`` and bought back at ``gross``; both negative, or both not."""
    return 1.0 - (gross * costs.k_in) / (price * costs.k_out) - costs.fixed


@compiled
def short_excursions(bars, entry, done):
    """Return (mae, mfe) of a short: the worst and best price it saw, as fractions of P; all in the mirror."""
    lowest, highest = done.lowest, done.highest
    for i in range(done.bar):
        lowest = min(lowest, bars.low[i])
        highest = max(highest, bars.high[i])
    return min(1.0 - lowest / entry.price, 0.0), max(1.0 - highest / entry.price, 0.0)
